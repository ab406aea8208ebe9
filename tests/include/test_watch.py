"""Which days should have landed by now, and have not."""

import pytest

from include.twitter.day import Day
from include.twitter.errors import NotLanded
from include.twitter.watch import not_landed, require_landed
from tests.include.invented import MemoryLake
from tests.include.test_airflow_context import utc

DAY = Day.parse("2026-11-18")


def lake_with(*days):
    lake = MemoryLake()
    for day in days:
        lake.write(f"twitter_receipts/dt={day}/receipt.json", b"{}")
    return lake


def test_a_month_that_is_landed_is_not_late():
    lake = lake_with(*(DAY.plus(-back) for back in range(31)))
    assert not_landed(lake, DAY, 31) == []
    require_landed(lake, DAY, utc(2026, 11, 19, 6))


def test_days_that_an_outage_left_out_are_named_with_what_fills_them():
    lake = lake_with("2026-11-14", "2026-11-18")
    with pytest.raises(NotLanded) as late:
        require_landed(lake, DAY, utc(2026, 11, 19, 6))
    assert str(late.value) == (
        "Not landed by 2026-11-19 06:00 UTC: 2026-11-15, 2026-11-16, 2026-11-17. "
        "To fill them, Trigger `twitter_plan` from 2026-11-15 to 2026-11-17, which tells the price first, "
        "or Trigger `twitter` with the day. Then clear this task."
    )


def test_a_lake_in_which_nothing_has_landed_yet_lacks_the_day_alone():
    assert not_landed(lake_with(), DAY, 31) == [DAY]


def test_days_before_the_first_landed_one_and_after_the_one_that_is_due_are_not_late():
    assert not_landed(lake_with("2026-11-16", "2026-11-19"), DAY, 31) == [DAY.plus(-1), DAY]


def test_days_of_longer_ago_than_a_month_are_let_be():
    assert not_landed(lake_with("2026-01-01", "2026-11-18"), DAY, 2) == [DAY.plus(-1)]
