"""As few counts as X's limits allow."""

from types import SimpleNamespace

import pytest

from include.twitter.errors import BadDay, UnexpectedResponse
from include.twitter.extract.counts import DAYS_A_COUNT
from include.twitter.response import Response
from include.twitter_features.backfill_plan.fetch_counts import CountRequests, windows
from include.twitter_features.backfill_plan.plan import days_between
from tests.include.factories import RECEIVED, MemoryStore

OCTOBER = days_between("2026-10-01", "2026-10-31")
AUTUMN = days_between("2026-09-01", "2026-10-31")
IDS = [f"{1_990_000_000_000_000_000 + offset}" for offset in range(36)]


@pytest.mark.parametrize(
    ("lacking", "spans"),
    [
        (dict.fromkeys(IDS, OCTOBER), [(35, "2026-10-01", "2026-10-31"), (1, "2026-10-01", "2026-10-31")]),
        (
            {"1": OCTOBER[:3], "2": OCTOBER[:1], "4": OCTOBER[:3]},
            [(2, "2026-10-01", "2026-10-03"), (1, "2026-10-01", "2026-10-01")],
        ),
        (
            {"1": AUTUMN, "2": AUTUMN[:31]},
            [(2, "2026-09-01", "2026-10-01"), (1, "2026-10-02", "2026-10-31")],
        ),
        (
            {"1": AUTUMN[:2] + AUTUMN[40:]},
            [(1, "2026-09-01", "2026-09-02"), (1, "2026-10-11", "2026-10-31")],
        ),
    ],
    ids=["as a query holds", "the same days", "31 days", "where something is missing"],
)
def test_accounts_that_lack_the_same_days_are_counted_together(lacking, spans):
    made = [(len(w.ids), str(w.days[0]), str(w.days[-1])) for w in windows(lacking)]
    assert made == spans


def test_accounts_with_a_limit_are_counted_apart():
    made = windows(dict.fromkeys(["1", "2", "3"], OCTOBER), limited={"1", "3"})
    assert [window.ids for window in made] == [("1", "3"), ("2",)]


def test_replies_to_oneself_are_counted_account_by_account():
    both = windows(dict.fromkeys(IDS[:2], OCTOBER), threads=True)
    assert [(len(window.ids), window.of_threads) for window in both] == [(2, False), (1, True), (1, True)]
    assert "to:" not in both[0].query
    assert f"to:{IDS[0]}" in both[1].query


def test_a_count_whose_parts_never_end_is_an_error():
    def count_days(query, first, last, token):
        body = b'{"data": [], "meta": {"total_tweet_count": 0, "next_token": "same"}}'
        return Response("/2/tweets/counts/all", {"query": query, "next_token": token}, RECEIVED, body)

    def ask(name, kind, wanted, smallest, send, problem):
        requested.append(name)
        return name, send(wanted)

    requested = []
    x, paid = SimpleNamespace(count_days=count_days), SimpleNamespace(ask=ask)
    requests = CountRequests(MemoryStore(), x, paid, None, lambda: RECEIVED)
    with pytest.raises(UnexpectedResponse, match="2026-10-01 to 2026-10-31"):
        requests.count(windows({"1": OCTOBER}))
    assert len(requested) <= DAYS_A_COUNT


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        ("2026-10-02", "2026-10-01", "are 0 days"),
        ("2025-10-01", "2026-10-02", "are 367 days, and a plan is for 1 to 366"),
        ("2026-10-1", "2026-10-02", "day='2026-10-1' is not a day"),
        ("2026-10-01", "today", "day='today' is not a day"),
    ],
)
def test_a_range_of_no_days_or_too_many_is_refused(first, last, problem):
    with pytest.raises(BadDay, match=problem):
        days_between(first, last)
    assert len(days_between("2025-10-01", "2026-10-01")) == 366
