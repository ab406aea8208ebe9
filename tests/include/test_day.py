"""One UTC day."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.twitter.day import Day
from include.twitter.errors import BadDay


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


DAY = Day.parse("2026-11-18")


def test_a_day_runs_from_midnight_to_midnight_utc_and_then_settles():
    assert (DAY.start, DAY.end) == (utc(2026, 11, 18), utc(2026, 11, 19))
    assert DAY.settled_at() == utc(2026, 11, 19, 1, 30)
    assert DAY.settled_at(timedelta(minutes=5)) == utc(2026, 11, 19, 0, 5)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (utc(2026, 11, 18), "2026-11-18"),
        (utc(2026, 11, 18, 23, 59, 59, 999999), "2026-11-18"),
        (utc(2026, 11, 19), "2026-11-19"),
        (datetime(2026, 11, 19, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2026-11-18"),
        (datetime(2026, 11, 18, 20, 0, tzinfo=timezone(timedelta(hours=-5))), "2026-11-19"),
    ],
)
def test_a_moment_belongs_to_its_utc_day_in_any_zone(moment, day):
    assert str(Day.of(moment)) == day


def test_days_are_counted_over_the_ends_of_months_and_years():
    assert str(Day.parse("2026-12-31").plus(1)) == "2027-01-01"
    assert str(Day.parse("2028-03-01").plus(-1)) == "2028-02-29"


def test_the_latest_settled_day_changes_at_half_past_one():
    assert str(Day.latest_settled(utc(2026, 11, 19, 1, 29, 59))) == "2026-11-17"
    assert str(Day.latest_settled(utc(2026, 11, 19, 1, 30))) == "2026-11-18"


def test_a_day_that_has_not_ended_or_precedes_x_cannot_be_collected():
    Day.parse("2026-11-21").require_collectable(utc(2026, 11, 21, 23, 59))
    Day.parse("2006-03-21").require_collectable(utc(2026, 11, 22))
    with pytest.raises(BadDay, match=r"2026-11-22 has not ended.* 2026-11-21\.$"):
        Day.parse("2026-11-22").require_collectable(utc(2026, 11, 22, 23, 58, 59))
    with pytest.raises(BadDay, match="2006-03-20 is before 2006-03-21"):
        Day.parse("2006-03-20").require_collectable(utc(2026, 11, 22))
