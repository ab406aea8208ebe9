"""A month's bill: ledger and receipts tell the same, and what only one of them knows is named."""

from include.twitter.page import bill
from include.twitter.records import DayLine, LedgerEntry

NOVEMBER = "2026-11"


def line(buy: int = 1, cost_usd: float = 0.5) -> DayLine:
    return DayLine(etag="e", buy=buy, cost_usd=cost_usd, published=0, rejected=0, accounts=[], ledger={})


def entry(day: str, spent: int, buy: int = 1, month: str = NOVEMBER, **more: float) -> LedgerEntry:
    whole = {"reserved_mills": spent, **more}
    return LedgerEntry(day=day, buy=buy, month=month, spent_mills=spent, **whole)


def told(landed: dict[str, DayLine], *ledger: LedgerEntry, cap: int | None = 100_000) -> str:
    return " ".join(bill.in_words(bill.of_month(NOVEMBER, landed, ledger), cap))


def test_a_month_whose_purchases_have_all_landed_is_told_by_its_receipts():
    landed = {"2026-11-18": line(), "2026-11-19": line(cost_usd=0.005)}
    assert told(landed, entry("2026-11-18", 500), entry("2026-11-19", 5)) == (
        "X has billed $0.505 of $100.00 this month, says the ledger. The receipts tell $0.505 of it. "
        "Ledger and receipts agree."
    )


def test_what_only_the_ledger_knows_is_named():
    ledger = [
        entry("2026-11-18", 300, buy=1),
        entry("2026-11-18", 520, buy=2, unstaged_mills=20),
        entry("2026-11-20", 40, reserved_mills=1000),
    ]
    assert told({"2026-11-18": line(buy=2)}, *ledger) == (
        "X has billed $0.86 of $100.00 this month, says the ledger. The receipts tell $0.50 of it. "
        "The ledger alone has $0.30 for days that were bought again since, "
        "$0.04 for purchases that have not landed, "
        "$0.02 for answers that were lost before they could be kept. "
        "$0.96 more are reserved for purchases that go on. Ledger and receipts agree."
    )


def test_what_x_may_have_billed_is_told_beside_what_it_has():
    ledger = [
        entry("2026-11-18", 500, reserved_mills=530, uncertain_mills=30),
        entry("2026-11-18", 0, buy=0, age=7, reserved_mills=5, uncertain_mills=5),
    ]
    assert told({"2026-11-18": line()}, *ledger) == (
        "X has billed $0.50 of $100.00 this month, says the ledger. The receipts tell $0.50 of it. "
        "X may have billed up to $0.035 more, for requests without a response: that counts against the cap "
        "too. "
        "Ledger and receipts agree."
    )
    assert bill.uncertain_of("2026-11-18", ledger) == 30
    assert bill.differing({"2026-11-18": line()}, ledger) == []


def test_plans_and_engagement_are_no_purchases_of_their_day():
    ledger = [
        entry("2026-11-18", 500),
        entry("2026-11-18", 210, buy=0),
        entry("2026-11-18", 35, buy=0, age=7),
        entry("2026-11-18", 0, buy=0, age=1, would_have_cost_usd=0.04),
    ]
    assert told({"2026-11-18": line()}, *ledger) == (
        "X has billed $0.745 of $100.00 this month, says the ledger. The receipts tell $0.50 of it. "
        "The ledger alone has $0.21 for plans, $0.035 for engagement. "
        "Engagement that was free would have cost $0.04: X charges a post once in a UTC day. "
        "The month's own days have cost $0.50 so far. Ledger and receipts agree."
    )
    assert bill.by_day(ledger) == {"2026-11-18": 500}
    assert bill.differing({"2026-11-18": line()}, ledger) == []


def test_a_plan_for_a_day_that_has_not_landed_is_no_purchase_that_has_not():
    said = told({}, entry("2026-11-18", 210, buy=0))
    assert "$0.21 for plans" in said and "not landed" not in said


def test_a_day_that_was_billed_in_two_months_agrees_with_its_receipt():
    ledger = [entry("2026-11-30", 200), entry("2026-11-30", 300, month="2026-12")]
    assert told({"2026-11-30": line()}, *ledger) == (
        "X has billed $0.20 of $100.00 this month, says the ledger. The receipts tell $0.20 of it. "
        "The month's own days have cost $0.50 so far: $0.20 billed this month, $0.30 in 2026-12. "
        "Ledger and receipts agree."
    )


def test_a_day_of_another_month_that_was_bought_in_this_one_counts_here():
    found = bill.of_month(NOVEMBER, {"2026-10-01": line()}, [entry("2026-10-01", 500)])
    assert (found.spent, found.of_days, found.differing) == (500, 0, [])


def test_a_receipt_that_tells_another_price_than_the_ledger_is_named():
    landed = {"2026-11-18": line(cost_usd=0.5), "2026-11-19": line(cost_usd=0.7), "2026-11-20": line()}
    ledger = [entry("2026-11-18", 520), entry("2026-11-19", 500)]
    found = bill.of_month(NOVEMBER, landed, ledger)
    assert found.differing == [
        ("2026-11-18", 520, 500),
        ("2026-11-19", 500, 700),
        ("2026-11-20", 0, 500),
    ]
    assert "agree" not in " ".join(bill.in_words(found, 0))
    assert bill.difference_in_words(*found.differing[0]) == (
        "2026-11-18: the ledger has $0.52, the receipt $0.50; "
        "more was bought since it landed: clear `transform`, it is free"
    )


def test_a_month_without_a_cap_or_with_an_unknown_one_says_no_cap_or_nothing():
    assert told({}, cap=0).startswith("X has billed $0.00, without a cap this month,")
    assert told({}, cap=None).startswith("X has billed $0.00 this month,")


def test_a_price_has_thousandths_where_it_needs_them():
    assert [bill.dollars(mills) for mills in (0, 5, 12_340, 1_234_567)] == [
        "$0.00", "$0.005", "$12.34", "$1,234.567",
    ]  # fmt: skip
