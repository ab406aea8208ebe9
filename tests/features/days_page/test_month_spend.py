"""Each mill of a month is of one part, and each receipt is compared with the ledger."""

import pytest

from include.twitter.records import LedgerEntry
from include.twitter_features.days_page import month_spend
from include.twitter_features.days_page.landed_days import LandedDay

NOVEMBER = "2026-11"


def landed(buy: int = 1, cost_usd: float = 0.5) -> LandedDay:
    return LandedDay(buy=buy, cost_usd=cost_usd, totals=None, accounts=[])


def entry(day: str, spent: int, buy: int = 1, month: str = NOVEMBER, **more: float) -> LedgerEntry:
    return LedgerEntry(day=day, buy=buy, month=month, spent_mills=spent, **{"reserved_mills": spent} | more)


@pytest.mark.parametrize(
    ("entries", "buy", "parts"),
    [
        ([entry("2026-11-18", 500)], 1, {"landed": 500}),
        ([entry("2026-11-18", 300, buy=1), entry("2026-11-18", 520, buy=2, lost_mills=20)], 2,
         {"replaced": 300, "landed": 500, "lost": 20}),
        ([entry("2026-11-18", 40, buy=2)], 1, {"not landed": 40}),
        ([entry("2026-11-20", 40)], 1, {"not landed": 40}),
        ([entry("2026-11-18", 210, buy=0), entry("2026-11-20", 5, buy=0)], 1, {"plans": 215}),
        ([entry("2026-11-18", 35, buy=0, age=7)], 1, {"engagement": 35}),
        ([entry("2026-11-18", 500, month="2026-12")], 1, {}),
    ],
)  # fmt: skip
def test_each_entry_counts_as_one_part(entries, buy, parts):
    spend = month_spend.of_month(NOVEMBER, {"2026-11-18": landed(buy)}, entries)
    assert {part: mills for part, mills in spend.parts.items() if mills} == parts
    assert spend.spent == sum(parts.values())


def test_the_cost_of_a_day_is_that_of_its_purchases_over_all_months():
    ledger = [
        entry("2026-11-30", 200, uncertain_mills=30),
        entry("2026-11-30", 300, month="2026-12"),
        entry("2026-11-30", 210, buy=0),
        entry("2026-11-30", 35, buy=0, age=7, uncertain_mills=5),
    ]
    assert month_spend.by_day(ledger) == {"2026-11-30": 500}
    assert month_spend.by_day(ledger, "uncertain_mills") == {"2026-11-30": 30}
    assert month_spend.differences({"2026-11-30": landed()}, ledger) == []


def test_receipts_with_another_cost_than_the_ledger_are_named_in_each_month_they_concern():
    days = {"2026-11-18": landed(), "2026-11-19": landed(cost_usd=0.7), "2026-11-20": landed()}
    ledger = [entry("2026-11-18", 520), entry("2026-11-19", 500, month="2026-12")]
    expected = [("2026-11-18", 520, 500), ("2026-11-19", 500, 700), ("2026-11-20", 0, 500)]
    assert month_spend.of_month(NOVEMBER, days, ledger).differences == expected
    assert month_spend.of_month("2026-12", days, ledger).differences == expected[1:2]
