"""The alert for days that have not landed by their deadline."""

import pytest

from include.twitter.day import Day
from include.twitter.errors import NotLanded
from include.twitter_features.freshness.tasks import require_landed
from tests.include.test_airflow_context import utc
from tests.include.test_landed import store_with

DAY = Day.parse("2026-11-18")
DEADLINE = utc(2026, 11, 19, 6)


def test_a_month_that_has_landed_is_not_late():
    require_landed(store_with(*(DAY.plus(-back) for back in range(31))), DAY, DEADLINE)


def test_late_days_are_named_with_what_fills_them():
    with pytest.raises(NotLanded) as late:
        require_landed(store_with("2026-11-14", "2026-11-18"), DAY, DEADLINE)
    assert "2026-11-15, 2026-11-16, 2026-11-17" in str(late.value)
    assert "Trigger `twitter_plan` from 2026-11-15 to 2026-11-17" in str(late.value)
