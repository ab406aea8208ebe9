"""One UTC day."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.twitter.day import Day

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
