"""What a month cost, from the ledger and from the receipts, and where the two do not tell the same.

A receipt knows the price of the purchase that it was made from, over all months. The ledger knows every
purchase by the month that X bills: also those that were bought again since, those that have not landed,
plans, landed posts that were read again, and what was billed and lost. So each mill of a month is one of
these, and each receipt has to tell what the ledger has of its purchase.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from include.twitter.records import DayLine, LedgerEntry

Landed = Mapping[str, DayLine]
"""The landed days, by the day."""
Ledger = Collection[LedgerEntry]


@dataclass
class Bill:
    """A month's, in mills."""

    month: str
    told: int = 0
    """By the receipts of the purchases."""
    again: int = 0
    """Of purchases in whose place a later one has landed."""
    for_plans: int = 0
    """For the look-ups and counts of `twitter_plan`."""
    for_engagement: int = 0
    """For landed posts that were read again."""
    would_have_cost: int = 0
    """Not spent: the price of those that were free."""
    not_landed: int = 0
    """Of purchases that no receipt has been made from."""
    unstaged: int = 0
    """Billed by X, and lost before it could be kept."""
    uncertain: int = 0
    """Not in the spent: the worst case of requests that X may have billed, and whose response never came."""
    reserved: int = 0
    """Not spent: what purchases that are not settled may yet spend."""
    of_days: int = 0
    """What the days of this month have cost, whenever that was."""
    elsewhere: Counter[str] = field(default_factory=Counter)
    """Of these days: billed in other months, by the month."""
    of_other_days: Counter[str] = field(default_factory=Counter)
    """Of the spent: for days of other months, by the days' month."""
    differing: list[tuple[str, int, int]] = field(default_factory=list)
    """Days whose receipt tells another price than the ledger: the day, the ledger's and the receipt's."""

    @property
    def spent(self) -> int:
        return self.told + self.alone

    @property
    def alone(self) -> int:
        """What stands in the ledger alone."""
        return self.again + self.for_plans + self.for_engagement + self.not_landed + self.unstaged


def of_month(month: str, landed: Landed, ledger: Ledger) -> Bill:
    bill = Bill(month)
    for entry in ledger:
        if entry.month == month:
            _add(bill, entry, landed.get(entry.day))
        if not (entry.is_of_purchase and entry.spent_mills):
            continue
        if entry.day.startswith(month):
            bill.of_days += entry.spent_mills
            bill.elsewhere[entry.month] += entry.spent_mills if entry.month != month else 0
        elif entry.month == month:
            bill.of_other_days[entry.day[:7]] += entry.spent_mills
    concerned = {entry.day for entry in ledger if entry.month == month and entry.is_of_purchase}
    bill.differing = [
        found for found in differing(landed, ledger) if found[0] in concerned or found[0].startswith(month)
    ]
    return bill


def _add(bill: Bill, entry: LedgerEntry, line: DayLine | None) -> None:
    staged = entry.spent_mills - entry.unstaged_mills
    bill.unstaged += entry.unstaged_mills
    bill.uncertain += entry.uncertain_mills
    bill.reserved += max(entry.reserved_mills - entry.charged_mills, 0)
    bill.would_have_cost += round(entry.would_have_cost_usd * 1000)
    if entry.age:
        bill.for_engagement += staged
    elif not entry.is_of_purchase:
        bill.for_plans += staged
    elif line is None or entry.buy > line.buy:
        bill.not_landed += staged
    elif entry.buy < line.buy:
        bill.again += staged
    else:
        bill.told += staged


def differing(landed: Landed, ledger: Ledger) -> list[tuple[str, int, int]]:
    """The landed days whose purchase has another price in the ledger than in the receipt."""
    of_purchase: dict[tuple[str, int], int] = defaultdict(int)
    for entry in ledger:  # the buy of a plan, and of what was read again, is no purchase's
        of_purchase[entry.day, entry.buy] += entry.spent_mills - entry.unstaged_mills
    prices = [(day, of_purchase[day, line.buy], round(line.cost_usd * 1000)) for day, line in landed.items()]
    return sorted(price for price in prices if price[1] != price[2])


def by_day(ledger: Ledger) -> dict[str, int]:
    """Mills that each day has cost, over all its purchases and months."""
    spent: dict[str, int] = defaultdict(int)
    for entry in filter(attrgetter("is_of_purchase"), ledger):
        spent[entry.day] += entry.spent_mills
    return dict(spent)


def uncertain_of(day: str, ledger: Ledger) -> int:
    """Mills that X may have billed for the day's purchases beside what is spent."""
    return sum(entry.uncertain_mills for entry in ledger if entry.day == day and entry.is_of_purchase)


def dollars(mills: int) -> str:
    """`$12.34`; thousandths where there are any."""
    text = f"${mills / 1000:,.3f}"
    return text[:-1] if text.endswith("0") else text


def in_words(bill: Bill, cap: int | None) -> list[str]:
    """The month's bill as sentences; `cap` in mills, 0 for none, None where it is not known."""
    of_cap = f" of {dollars(cap)}" if cap else ", without a cap" if cap == 0 else ""
    said = [f"X has billed {dollars(bill.spent)}{of_cap} this month, says the ledger."]
    if bill.spent or not bill.of_days:
        said.append(f"The receipts tell {dollars(bill.told)} of it.")
    alone = [
        f"{dollars(mills)} {what}"
        for mills, what in (
            (bill.again, "for days that were bought again since"),
            (bill.for_plans, "for plans"),
            (bill.for_engagement, "for engagement"),
            (bill.not_landed, "for purchases that have not landed"),
            (bill.unstaged, "for answers that were lost before they could be kept"),
        )
        if mills
    ]
    if alone:
        said.append(f"The ledger alone has {', '.join(alone)}.")
    if bill.would_have_cost:
        said.append(
            f"Engagement that was free would have cost {dollars(bill.would_have_cost)}: X charges a post "
            "once in a UTC day."
        )
    if bill.uncertain:
        said.append(
            f"X may have billed up to {dollars(bill.uncertain)} more, for requests without a response: that "
            "counts against the cap too."
        )
    if bill.reserved:
        said.append(f"{dollars(bill.reserved)} more are reserved for purchases that go on.")
    if bill.of_other_days:
        months = [
            f"{dollars(mills)} for days of {month}" for month, mills in sorted(bill.of_other_days.items())
        ]
        said.append(f"Billed this month for other months: {', '.join(months)}.")
    elsewhere = +bill.elsewhere
    if elsewhere or bill.of_days != bill.spent:
        here = bill.of_days - elsewhere.total()
        months = [f"{dollars(mills)} in {month}" for month, mills in sorted(elsewhere.items())]
        when = f": {dollars(here)} billed this month, {', '.join(months)}" if months else ""
        said.append(f"The month's own days have cost {dollars(bill.of_days)} so far{when}.")
    if not bill.differing:
        said.append("Ledger and receipts agree.")
    return said


def difference_in_words(day: str, in_ledger: int, in_receipt: int) -> str:
    what = (
        "more was bought since it landed: clear `transform`, it is free"
        if in_ledger > in_receipt
        else "the ledger lacks an entry: was one deleted?"
    )
    return f"{day}: the ledger has {dollars(in_ledger)}, the receipt {dollars(in_receipt)}; {what}"
