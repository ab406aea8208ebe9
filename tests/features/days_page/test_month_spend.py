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
        ([entry("2026-11-18", 300, buy=1), entry("2026-11-18", 520, buy=2, unstaged_mills=20)], 2,
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


def test_what_is_not_spent_is_counted_apart():
    ledger = [
        entry("2026-11-18", 500, reserved_mills=530, uncertain_mills=30),
        entry("2026-11-18", 0, buy=0, age=7, reserved_mills=5, uncertain_mills=5),
        entry("2026-11-20", 40, reserved_mills=1000),
        entry("2026-11-18", 0, buy=0, age=1, would_have_cost_usd=0.04),
    ]
    spend = month_spend.of_month(NOVEMBER, {"2026-11-18": landed()}, ledger)
    assert (spend.spent, spend.uncertain, spend.reserved, spend.would_have_cost) == (540, 35, 960, 40)
    assert month_spend.by_day(ledger) == {"2026-11-18": 500, "2026-11-20": 40}
    assert month_spend.by_day(ledger, "uncertain_mills")["2026-11-18"] == 30
    assert spend.differences == []


def test_a_day_that_was_billed_in_two_months_agrees_with_its_receipt():
    ledger = [entry("2026-11-30", 200), entry("2026-11-30", 300, month="2026-12")]
    november, december = (
        month_spend.of_month(month, {"2026-11-30": landed()}, ledger) for month in (NOVEMBER, "2026-12")
    )
    assert (november.spent, november.own_days, november.other_days) == (
        200,
        {NOVEMBER: 200, "2026-12": 300},
        {},
    )
    assert (december.spent, december.own_days, december.other_days) == (300, {}, {NOVEMBER: 300})
    assert november.differences == december.differences == []


def test_receipts_with_another_cost_than_the_ledger_are_named_in_each_month_they_concern():
    days = {"2026-11-18": landed(), "2026-11-19": landed(cost_usd=0.7), "2026-11-20": landed()}
    ledger = [entry("2026-11-18", 520), entry("2026-11-19", 500, month="2026-12")]
    expected = [("2026-11-18", 520, 500), ("2026-11-19", 500, 700), ("2026-11-20", 0, 500)]
    assert month_spend.of_month(NOVEMBER, days, ledger).differences == expected
    assert month_spend.of_month("2026-12", days, ledger).differences == expected[1:2]
