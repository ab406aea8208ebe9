"""Each mill of a month is of one part, and each receipt is compared with the ledger."""

import pytest

from include.twitter.records import LedgerEntry
from include.twitter_features.days_page import month_spend
from include.twitter_features.days_page.landed_days import LandedDay

DAY = "2026-11-18"


def landed(buy: int = 1, cost_usd: float = 0.5) -> LandedDay:
    return LandedDay(buy=buy, cost_usd=cost_usd, totals=None, accounts=[])


def entry(day: str, spent: int, buy: int = 1, month: str = "2026-11", **more: float) -> LedgerEntry:
    return LedgerEntry(day=day, buy=buy, month=month, reserved_mills=spent, spent_mills=spent, **more)


@pytest.mark.parametrize(
    ("entries", "buy", "parts"),
    [
        ([entry(DAY, 500)], 1, {"landed": 500}),
        ([entry(DAY, 300, buy=1), entry(DAY, 520, buy=2, lost_mills=20)], 2,
         {"replaced": 300, "landed": 500, "lost": 20}),
        ([entry(DAY, 40, buy=2), entry("2026-11-20", 40)], 1, {"not landed": 80}),
        ([entry(DAY, 210, buy=0), entry("2026-11-20", 5, buy=0)], 1, {"plans": 215}),
        ([entry(DAY, 35, buy=0, age=7)], 1, {"engagement": 35}),
        ([entry(DAY, 500, month="2026-12")], 1, {}),
    ],
)  # fmt: skip
def test_each_entry_counts_as_one_part(entries, buy, parts):
    spend = month_spend.of_month("2026-11", {DAY: landed(buy)}, entries)
    assert {part: mills for part, mills in spend.parts.items() if mills} == parts
    assert spend.spent == sum(parts.values())


def test_a_receipt_is_compared_with_the_ledger_over_all_months():
    days = {DAY: landed(), "2026-11-19": landed(cost_usd=0.7), "2026-11-20": landed(), "2026-11-30": landed()}
    ledger = [
        entry(DAY, 520),
        entry("2026-11-19", 500, month="2026-12"),
        entry("2026-11-30", 200),
        entry("2026-11-30", 300, month="2026-12"),
        entry("2026-11-30", 210, buy=0),
    ]
    expected = [(DAY, 520, 500), ("2026-11-19", 500, 700), ("2026-11-20", 0, 500)]
    assert month_spend.differences(days, ledger) == expected
