"""X's own meter beside the ledger: when they agree, and how long the caps last."""

import json
from datetime import UTC, datetime

import pytest

from include.twitter import usage
from include.twitter.day import Day
from include.twitter.records import Billed, Bought, LedgerEntry, Usage
from include.twitter.usage import Counted, compared, counted

DAY = Day.parse("2026-11-18")
ASKED = datetime(2026, 11, 19, 6, tzinfo=UTC)


def body(days, apps=None, **more):
    daily = [{"date": f"{day}T00:00:00.000Z", "usage": posts} for day, posts in days.items()]
    data = {"daily_project_usage": {"project_id": 1, "usage": daily}, **more}
    if apps:
        data["daily_client_app_usage"] = [
            {"client_app_id": app, "usage": [{"date": "2026-11-05T00:00:00.000Z", "usage": posts}]}
            for app, posts in apps.items()
        ]
    return json.dumps({"data": data}).encode()


def billed(mills, **number):
    return {f"of {number}": Billed(Bought(**number), mills)}


def entry(posts, own=0, unstaged=None, uncertain=None):
    bought = Bought(posts=posts, own_posts=own, users=7)
    return LedgerEntry(
        day="2026-11-04",
        buy=1,
        month="2026-11",
        reserved_mills=0,
        spent_mills=0,
        bought=bought,
        unstaged=unstaged or {},
        uncertain=uncertain or {},
    )


def told(posts, *ledger, before=None, apps=None, day=DAY, at=ASKED):
    found = counted(body({"2026-11-05": posts}, apps))
    return compared(found, day, ledger, before, at)


def earlier(sure, at=datetime(2026, 11, 18, 6, tzinfo=UTC), told=0):
    return Usage(
        day="2026-11-17",
        asked_at=at,
        counted=0,
        apps={},
        least=0,
        most=0,
        sure=sure,
        told=told,
        a_day=0,
        cap=None,
        used=None,
    )


# What X answers


def test_numbers_come_as_numbers_and_as_texts():
    as_texts = body({"2026-11-05": "70"}, {"9": "60"}, project_cap="2000000", project_usage="5")
    as_numbers = body({"2026-11-05": 70}, {"9": 60}, project_cap=2000000, project_usage=5)
    assert counted(as_texts) == counted(as_numbers)
    assert counted(as_texts).by_day == {"2026-11-05": 70}
    assert counted(as_texts).apps == {"9": {"2026-11-05": 60}}
    assert counted(as_texts).project_cap == 2_000_000


def test_a_day_may_come_without_a_number():
    one = {"daily_project_usage": {"usage": [{"date": "2026-11-05T00:00:00.000Z"}]}}
    assert counted(json.dumps({"data": one}).encode()).by_day == {"2026-11-05": 0}


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b'{"data": {}}',
        b'{"data": {"daily_project_usage": []}}',
        b'{"data": {"project_cap": 1}}',
    ],
)
def test_what_tells_no_days_as_x_describes_them_is_nothing(data):
    assert counted(data) is None


def test_only_the_days_of_the_month_up_to_the_day_are_added_up():
    days = {"2026-10-31": 1000, "2026-11-01": 1, "2026-11-18": 20, "2026-11-19": 5000}
    assert compared(counted(body(days)), DAY, [], None, ASKED).counted == 21


def test_a_days_pace_is_that_of_the_last_week():
    days = {"2026-11-11": 7000, "2026-11-12": 70, "2026-11-18": 70, "2026-11-19": 7000}
    assert compared(counted(body(days)), DAY, [], None, ASKED).a_day == 20


# Whether they agree


@pytest.mark.parametrize(
    ("posts", "apart"),
    [(899, -1), (900, 0), (1000, 0), (1150, 0), (1151, 1), (0, -900), (5000, 3850)],
)
def test_they_agree_between_what_x_has_counted_for_sure_and_what_it_may_have(posts, apart):
    ledger = [entry(600), entry(400, own=100, unstaged=billed(250, posts=50))]
    assert told(posts, *ledger, before=earlier(900)).apart == apart


def test_what_may_have_been_billed_without_a_response_is_in_the_upper_bound_alone():
    ledger = [entry(1000, uncertain=billed(550, posts=100, own_posts=50))]
    assert [told(posts, *ledger, before=earlier(1000)).apart for posts in (999, 1000, 1150, 1151)] == [
        -1,
        0,
        0,
        1,
    ]


@pytest.mark.parametrize("kind", ["unstaged", "uncertain"])
def test_a_lost_look_up_explains_no_posts(kind):
    lost = told(0, entry(1000, **{kind: billed(1000, users=100)}))
    assert lost.most == 1000


def test_what_was_known_after_the_day_had_ended_need_not_have_been_counted_in_it():
    late = earlier(900, at=datetime(2026, 11, 19, 1, tzinfo=UTC))
    assert told(0, entry(1000), before=late).least == 0


def test_a_month_that_has_ended_is_compared_whole():
    whole = told(940, entry(1000), day=Day.parse("2026-11-30"), at=datetime(2026, 12, 1, 6, tzinfo=UTC))
    assert (whole.least, whole.most, whole.apart) == (1000, 1000, -60)
    assert usage.differs(whole)


def test_other_apps_of_the_project_are_no_difference():
    both = told(3000, entry(1000), before=earlier(1000), apps={"ours": 1000, "theirs": 2000})
    assert both.apart == 0
    assert usage.in_words(both) == (
        "X's own meter has 3,000 posts (1,000 of app ours, 2,000 of app theirs) from 2026-11-01 to "
        "2026-11-18, the ledger explains 1,000: they agree."
    )


@pytest.mark.parametrize(
    ("posts", "ledger", "parted"),
    [(1020, 1000, False), (1021, 1000, True), (120, 100, False), (121, 100, True), (10_201, 10_000, True)],
)
def test_two_per_cent_and_twenty_posts_are_tolerated(posts, ledger, parted):
    assert usage.differs(told(posts, entry(ledger))) is parted


@pytest.mark.parametrize(("before", "news"), [(0, True), (100, False), (80, False), (70, True), (-100, True)])
def test_a_difference_is_news_until_it_is_told_and_when_it_grows(before, news):
    parted = told(1100, entry(1000), before=earlier(0, told=before))
    assert (parted.apart, usage.is_news(parted)) == (100, news)


def test_what_grows_slowly_is_told_once_it_is_too_much():
    first = told(1015, entry(1000))
    then = told(1025, entry(1000), before=first)
    assert (usage.is_news(first), usage.is_news(then)) == (False, True)


@pytest.mark.parametrize(
    ("parted", "said"),
    [
        (told(1100, entry(1000)), "the ledger explains 0 to 1,000: X counts 100 more, 10.0 %."),
        (
            told(950, entry(1000), before=earlier(1000)),
            "the ledger explains 1,000: X counts 50 fewer, 5.0 %.",
        ),
        (told(100), "the ledger explains 0: X counts 100 more."),
    ],
)
def test_a_difference_is_told_in_posts_and_per_cent(parted, said):
    assert usage.in_words(parted).endswith(said)


# How long the caps last


def test_xs_own_cap_is_told_with_the_days_that_are_left():
    found = counted(body({"2026-11-18": 700}, project_cap=10_000, project_usage=9_500))
    assert usage.cap_in_words(compared(found, DAY, [], None, ASKED)) == (
        "Of X's own cap of 10,000 posts 9,500 are used: at 100 a day, as in the last week, the rest is for "
        "5 days, if it is not reset before."
    )


@pytest.mark.parametrize(
    "found", [Counted(), Counted(project_cap=5), Counted(project_cap=5, project_usage=1)]
)
def test_without_a_cap_or_a_pace_nothing_is_told(found):
    assert usage.cap_in_words(compared(found, DAY, [], None, ASKED)) == ""


@pytest.mark.parametrize(
    ("spent", "cap", "said"),
    [
        (0, 100_000, ""),
        (50_000, 0, ""),
        (76_000, 100_000, "$4.00 a day, the cap of $100.00 is enough for 6 more days, to 2026-11-25."),
        (100_000, 100_000, "$5.26 a day, the cap of $100.00 is enough for 0 more days, to 2026-11-19."),
        (57_000, 100_000, "$3.00 a day, the cap of $100.00 holds to the end of the month."),
        (63_334, 100_000, "$3.33 a day, the cap of $100.00 is enough for 10 more days, to 2026-11-29."),
        (60_000, 100_000, "$3.16 a day, the cap of $100.00 holds to the end of the month."),
    ],
)
def test_the_months_cap_is_told_with_the_days_that_are_left(spent, cap, said):
    assert usage.pace_in_words(spent, cap, ASKED) == (f"At this pace, {said}" if said else "")


def test_an_answer_that_is_nested_without_end_is_none_of_the_meter():
    assert counted(b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}") is None
