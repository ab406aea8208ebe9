"""One UTC day."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.twitter.day import ACCOUNTS, LEDGER, Day, short_hash

DAY = Day.parse("2026-11-18")


def test_a_day_runs_from_midnight_to_midnight_utc():
    assert DAY.start == datetime(2026, 11, 18, tzinfo=UTC)
    assert DAY.end == datetime(2026, 11, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 11, 18, tzinfo=UTC), "2026-11-18"),
        (datetime(2026, 11, 18, 23, 59, 59, 999999, tzinfo=UTC), "2026-11-18"),
        (datetime(2026, 11, 19, tzinfo=UTC), "2026-11-19"),
        (datetime(2026, 11, 19, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2026-11-18"),
        (datetime(2026, 11, 18, 20, 0, tzinfo=timezone(timedelta(hours=-5))), "2026-11-19"),
    ],
)
def test_a_moment_belongs_to_its_utc_day_wherever_it_was_told(moment, day):
    assert str(Day.of(moment)) == day


@pytest.mark.parametrize(
    "text", ["20261118", "2026-W47-3", "2026-11-31", "2026-1-1", "18.11.2026", " 2026-11-18", "yesterday", ""]
)
def test_only_the_form_yyyy_mm_dd_names_a_day(text):
    with pytest.raises(ValueError):
        Day.parse(text)


def test_days_are_counted_over_the_ends_of_months_and_years():
    assert str(Day.parse("2026-12-31").plus(1)) == "2027-01-01"
    assert str(Day.parse("2028-03-01").plus(-1)) == "2028-02-29"


def test_a_day_is_settled_at_half_past_one_unless_told_otherwise():
    assert DAY.settled_at() == datetime(2026, 11, 19, 1, 30, tzinfo=UTC)
    assert DAY.settled_at(timedelta(minutes=5)) == datetime(2026, 11, 19, 0, 5, tzinfo=UTC)


def test_the_latest_settled_day_is_the_day_before_from_half_past_one_on():
    assert str(Day.latest_settled(datetime(2026, 11, 19, 1, 29, 59, tzinfo=UTC))) == "2026-11-17"
    assert str(Day.latest_settled(datetime(2026, 11, 19, 1, 30, tzinfo=UTC))) == "2026-11-18"


def test_equal_days_are_one_member_of_a_set():
    assert {DAY, Day.parse("2026-11-18")} == {DAY}


def test_readers_find_each_kind_of_file_below_a_prefix_of_its_own():
    assert DAY.csv == "twitter/dt=2026-11-18/refined_tweets.csv"
    assert DAY.parquet == "twitter_parquet/dt=2026-11-18/refined_tweets.parquet"
    assert DAY.rejected == "twitter_rejected/dt=2026-11-18/rejected_tweets.jsonl.gz"
    assert DAY.receipt == "twitter_receipts/dt=2026-11-18/receipt.json"


def test_what_is_bought_belongs_to_the_day_and_what_is_staged_to_the_run():
    assert DAY.raw == "twitter_raw/dt=2026-11-18/"
    assert DAY.staging("c0ffee") == "staging/twitter/dt=2026-11-18/run=c0ffee/"
    assert DAY.lease == "staging/twitter/dt=2026-11-18/lease.json"
    assert ACCOUNTS == "twitter_accounts/accounts.json"
    assert LEDGER == "twitter_ledger/"


def test_what_x_has_counted_lies_by_its_month():
    assert DAY.usage == "twitter_usage/month=2026-11/2026-11-18.json"


def test_a_run_id_has_a_key_safe_name_that_never_changes():
    assert short_hash("scheduled__2026-11-19T00:00:00+00:00") == "450239e2d3b8"
    assert short_hash("manual__2026-11-19T00:00:00+00:00") != short_hash(
        "scheduled__2026-11-19T00:00:00+00:00"
    )
