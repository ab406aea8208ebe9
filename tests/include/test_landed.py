"""Which days should have landed by now, and have not."""

import pytest

from include.twitter.day import Day
from include.twitter.landed import missing_days
from tests.include.factories import MemoryStore


def store_with(*days):
    store = MemoryStore()
    for day in days:
        store.write(f"twitter_receipts/dt={day}/receipt.json", b"{}")
    return store


@pytest.mark.parametrize(
    ("landed", "days", "missing"),
    [
        ([], 31, ["2026-11-18"]),
        (["2026-11-16", "2026-11-19"], 31, ["2026-11-17", "2026-11-18"]),
        (["2026-01-01", "2026-11-18"], 2, ["2026-11-17"]),
    ],
    ids=["none yet", "since the first landed day", "only recent days"],
)
def test_a_day_is_missing_from_the_first_landed_one_to_the_latest(landed, days, missing):
    latest = Day.parse("2026-11-18")
    assert [str(day) for day in missing_days(store_with(*landed), latest, days)] == missing
