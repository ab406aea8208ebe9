"""X's own count of posts, compared with the ledger."""

import json
from datetime import UTC, datetime

import pytest

from include.twitter.day import Day
from include.twitter.records import Billed, BilledUnits, LedgerEntry, Usage
from include.twitter_features.x_usage.compare import compare_usage, exceeds_tolerance, is_new, parse_x_usage

DAY = Day.parse("2026-11-18")
REQUESTED = datetime(2026, 11, 19, 6, tzinfo=UTC)


def body(days, apps=(), **more):
    def daily(posts):
        return {"usage": [{"date": f"{day}T00:00:00.000Z", "usage": number} for day, number in posts.items()]}

    usage = {"daily_project_usage": daily(days), "daily_client_app_usage": [*map(daily, apps)], **more}
    return json.dumps({"data": usage}).encode()


def billed(**number):
    return {f"of {number}": Billed(BilledUnits(**number), 5)}


def entry(posts, own=0, **more):
    bought, price = BilledUnits(posts=posts, own_posts=own, users=7), {"reserved_mills": 0, "spent_mills": 0}
    return LedgerEntry(day="2026-11-04", buy=1, month="2026-11", bought=bought, **price, **more)


def compared(posts, *ledger, previous=None, apps=(), day=DAY, at=REQUESTED):
    x_usage = parse_x_usage(body({"2026-11-05": posts}, [{"2026-11-05": number} for number in apps]))
    return compare_usage(x_usage, day, ledger, previous, at)


def earlier(confirmed=0, at=datetime(2026, 11, 18, 6, tzinfo=UTC), alerted=0):
    numbers = dict.fromkeys(("counted", "lower_bound", "upper_bound", "discrepancy"), 0)
    return Usage(
        day="2026-11-17", requested_at=at, confirmed=confirmed, alerted=alerted, summary="", **numbers
    )


def test_numbers_may_be_texts_and_a_day_may_lack_its_number():
    usage = parse_x_usage(body({"2026-11-05": "70", "2026-11-06": 1}, project_cap="2000000"))
    assert (usage.daily_project_usage.posts(DAY), usage.project_cap) == (71, 2_000_000)
    assert parse_x_usage(b'{"data":{"daily_project_usage":{"usage":[{"date":"2026-11-05"}]}}}')


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b'{"data": {"daily_project_usage": []}}',
        b'{"data": {"project_cap": 1}}',
        b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
)
def test_a_response_without_days_as_x_documents_them_is_none(data):
    assert parse_x_usage(data) is None


def test_only_the_days_of_the_month_up_to_the_day_are_counted():
    days = {"2026-10-31": 1000, "2026-11-01": 1, "2026-11-18": 20, "2026-11-19": 5000}
    assert compare_usage(parse_x_usage(body(days)), DAY, [], None, REQUESTED).counted == 21


@pytest.mark.parametrize(
    ("posts", "discrepancy"),
    [(899, -1), (900, 0), (1150, 0), (1151, 1), (0, -900), (5000, 3850)],
)
def test_a_count_between_the_bounds_is_no_discrepancy(posts, discrepancy):
    ledger = [
        entry(600),
        entry(400, own=50, lost_responses=billed(posts=50), uncertain=billed(posts=20, own_posts=30)),
    ]
    usage = compared(posts, *ledger, previous=earlier(900))
    assert (usage.discrepancy, usage.confirmed) == (discrepancy, 1000)


@pytest.mark.parametrize("kind", ["lost_responses", "uncertain"])
def test_a_lost_look_up_of_users_explains_no_posts(kind):
    assert compared(0, entry(1000, **{kind: billed(users=100)})).upper_bound == 1000


def test_a_total_of_after_the_end_of_the_day_is_no_lower_bound():
    late = earlier(900, at=datetime(2026, 11, 19, 1, tzinfo=UTC))
    assert compared(0, entry(1000), previous=late).lower_bound == 0


@pytest.mark.parametrize(("day", "at"), [("2026-11-30", (2026, 12, 1, 6)), ("2026-12-31", (2027, 1, 1, 6))])
def test_a_month_that_has_ended_is_compared_exactly(day, at):
    usage = compared(0, entry(1000), day=Day.parse(day), at=datetime(*at, tzinfo=UTC))
    assert (usage.lower_bound, usage.upper_bound, usage.discrepancy) == (1000, 1000, -1000)


def test_another_app_of_the_project_is_no_discrepancy():
    usage = compared(3000, entry(1000), previous=earlier(1000), apps=[1000, 2000])
    assert (usage.counted, usage.discrepancy) == (1000, 0)


@pytest.mark.parametrize(
    ("posts", "ledger", "exceeds"),
    [(1020, 1000, False), (1021, 1000, True), (120, 100, False), (121, 100, True)],
)
def test_two_per_cent_and_twenty_posts_are_tolerated(posts, ledger, exceeds):
    assert exceeds_tolerance(compared(posts, entry(ledger))) is exceeds


@pytest.mark.parametrize(("alerted", "new"), [(0, True), (100, False), (80, False), (70, True), (-100, True)])
def test_a_discrepancy_is_new_until_it_was_alerted_and_if_it_grows(alerted, new):
    assert is_new(compared(1100, entry(1000), previous=earlier(alerted=alerted))) is new


@pytest.mark.parametrize(
    ("usage", "facts"),
    [
        (compared(1000, entry(1000)), ["1,000 posts", "0 to 1,000", "they agree"]),
        (compared(1100, entry(1000)), ["X counts 100 more"]),
        (compared(950, entry(1000), previous=earlier(1000)), ["1,000 to 1,000", "X counts 50 fewer"]),
    ],
)
def test_the_summary_has_both_numbers_and_the_verdict(usage, facts):
    assert [fact for fact in facts if fact not in usage.summary] == []


def test_the_summary_has_the_used_part_of_the_own_cap_of_x():
    usage = parse_x_usage(body({"2026-11-18": 700}, project_cap=10_000, project_usage=9_500))
    assert "9,500 posts of X's own cap of 10,000" in compare_usage(usage, DAY, [], None, REQUESTED).summary
