"""As few counts as X's limits allow."""

import pytest

from include.twitter.errors import BadDay
from include.twitter_features.backfill_plan.fetch_counts import windows
from include.twitter_features.backfill_plan.plan import days_between, plan_key

OCTOBER = days_between("2026-10-01", "2026-10-31")


def spans(lacking, **how):
    return [(len(w.ids), str(w.days[0]), str(w.days[-1])) for w in windows(lacking, **how)]


def ids(number):
    return [f"{1_990_000_000_000_000_000 + offset}" for offset in range(number)]


def test_accounts_that_lack_the_same_days_are_counted_together_as_many_as_a_query_holds():
    assert spans(dict.fromkeys(ids(36), OCTOBER)) == [
        (35, "2026-10-01", "2026-10-31"),
        (1, "2026-10-01", "2026-10-31"),
    ]


def test_accounts_that_lack_other_days_are_counted_apart():
    assert spans({"1": OCTOBER[:3], "2": OCTOBER[:1], "4": OCTOBER[:3]}) == [
        (2, "2026-10-01", "2026-10-03"),
        (1, "2026-10-01", "2026-10-01"),
    ]


def test_accounts_with_a_limit_are_counted_apart():
    made = windows(dict.fromkeys(["1", "2", "3"], OCTOBER), limited={"1", "3"})
    assert [window.ids for window in made] == [("1", "3"), ("2",)]


def test_a_window_is_of_31_days_and_begins_where_something_is_missing():
    days = days_between("2026-09-01", "2026-10-31")
    assert spans({"1": days[:2] + days[40:]}) == [
        (1, "2026-09-01", "2026-09-02"),
        (1, "2026-10-11", "2026-10-31"),
    ]
    assert spans({"1": days}) == [(1, "2026-09-01", "2026-10-01"), (1, "2026-10-02", "2026-10-31")]


def test_replies_to_oneself_are_counted_account_by_account():
    both = windows(dict.fromkeys(ids(2), OCTOBER), threads=True)
    assert [(len(window.ids), window.of_threads) for window in both] == [(2, False), (1, True), (1, True)]
    assert "to:" not in both[0].query
    assert f"to:{ids(1)[0]}" in both[1].query


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


@pytest.mark.parametrize("typed", ["", "plan", "plan-1", "../../twitter_raw/x", "NOT A PLAN"])
def test_only_a_hash_names_a_plan(typed):
    assert plan_key("450239e2d3b8") == "twitter_plans/450239e2d3b8/plan.json"
    with pytest.raises(BadDay):
        plan_key(typed)
