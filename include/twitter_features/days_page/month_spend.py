"""The cost of a month by purpose, and differences between receipts and ledger. Sums are in mills.

A receipt has the cost of its purchase over all months, the ledger every cost by the month that X bills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from include.twitter.records import LedgerEntry
from include.twitter_features.days_page.landed_days import LandedDay

ONLY_IN_LEDGER = {
    "replaced": "for days that were bought again since",
    "plans": "for plans",
    "engagement": "for snapshots",
    "not landed": "for purchases that have not landed",
    "lost": "for responses that were lost before they could be stored",
}


class Difference(NamedTuple):
    """A landed day whose purchase has another cost in the ledger than in the receipt."""

    day: str
    ledger: int
    receipt: int


@dataclass
class MonthSpend:
    month: str
    parts: Counter[str] = field(default_factory=Counter)
    """Amounts that X billed in the month, by purpose: `landed` and the keys of ONLY_IN_LEDGER."""
    would_have_cost: int = 0
    """Not spent: the price of free posts."""
    uncertain: int = 0
    """Not in the spent: the worst case of requests without a response, which X may have billed."""
    reserved: int = 0
    """Not spent: reservations of open purchases."""
    own_days: Counter[str] = field(default_factory=Counter)
    """The cost of the days of this month, by the month that X billed."""
    other_days: Counter[str] = field(default_factory=Counter)
    """Of the spent: for days of other months, by the days' month."""

    @property
    def spent(self) -> int:
        return self.parts.total()


def of_month(month: str, landed: Mapping[str, LandedDay], ledger: Collection[LedgerEntry]) -> MonthSpend:
    spend = MonthSpend(month)
    for entry in ledger:
        if entry.month == month:
            spend.parts[_part(entry, landed.get(entry.day))] += entry.spent_mills - entry.lost_mills
            spend.parts["lost"] += entry.lost_mills
            spend.uncertain += entry.uncertain_mills
            spend.reserved += max(entry.reserved_mills - entry.charged_mills, 0)
            spend.would_have_cost += round(entry.would_have_cost_usd * 1000)
        if entry.is_of_purchase and entry.day.startswith(month):
            spend.own_days[entry.month] += entry.spent_mills
        elif entry.is_of_purchase and entry.month == month:
            spend.other_days[entry.day[:7]] += entry.spent_mills
    return spend


def _part(entry: LedgerEntry, landed: LandedDay | None) -> str:
    if not entry.is_of_purchase:
        return "engagement" if entry.age else "plans"
    if landed is None or entry.buy > landed.buy:
        return "not landed"
    return "replaced" if entry.buy < landed.buy else "landed"


def differences(landed: Mapping[str, LandedDay], ledger: Collection[LedgerEntry]) -> list[Difference]:
    stored: Counter[tuple[str, int]] = Counter()
    for entry in ledger:  # plans and snapshots have number 0
        stored[entry.day, entry.buy] += entry.spent_mills - entry.lost_mills
    costs = [Difference(day, stored[day, of.buy], round(of.cost_usd * 1000)) for day, of in landed.items()]
    return sorted(cost for cost in costs if cost.ledger != cost.receipt)
