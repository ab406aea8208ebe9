"""What X charges, the caps that no request may cross, and the ledger of what was spent.

Amounts are whole mills, thousandths of a US dollar, so that sums are exact. Prices are those of X's
developer console since 2026-04-21 (pay per use); failed and empty answers are free. The ledger has one
entry a purchase and UTC month. A reservation is written before the entries are added up, and these before
anything is spent: of two who reserve at once, none spends what the other may.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Condition

from msgspec import structs

from include.twitter.answer import Answer
from include.twitter.day import LEDGER
from include.twitter.errors import Busy, OverBudget
from include.twitter.lake import Lake, Object
from include.twitter.records import Bought, LedgerEntry, decoded, encoded

PRICES = {"posts": 5, "own_posts": 1, "users": 10, "counts": 5, "archive_counts": 10, "rereads": 0}
"""Mills for a post or a user returned, and for a count request, whatever it counts."""
HELD = PRICES | {"rereads": PRICES["posts"]}
"""The worst case: that a post is charged once in a UTC day is a soft guarantee of X's."""
AT_ONCE = 1000
"""Mills reserved at a time: an entry is not written for each page, and a kill leaves little reserved."""


def cost(bought: Bought) -> int:
    """What X charges for these reads, in mills."""
    return sum(price * getattr(bought, kind) for kind, price in PRICES.items())


def would_have_cost(bought: Bought) -> int:
    """What the posts that were read for nothing would have cost on another day, in mills."""
    return HELD["rereads"] * bought.rereads


def dollars(mills: int) -> float:
    return mills / 1000


def month_of(moment: datetime) -> str:
    """The UTC month that X bills."""
    return f"{moment:%Y-%m}"


@dataclass(frozen=True)
class Caps:
    """Mills that one purchase, and all of a month, may cost, with the Variables that say so; 0 is no cap."""

    run: tuple[str, int]
    month: tuple[str, int]


@dataclass
class Bill:
    """Room for one request: it may ask for `size` things, and is called with what came."""

    size: int
    at: datetime
    """When it was held: the month that it is booked in."""
    number: int = 0

    def __call__(self, answer: Answer) -> Answer:
        answer = replace(answer, sent_at=self.at)
        self.number = answer.billed
        return answer


class _Month:
    """A month of the purchase: its ledger entry as it is to be written next, and what is in flight."""

    def __init__(self, lake: Lake, key: str, entry: LedgerEntry) -> None:
        self._lake, self.key, self.entry = lake, key, entry
        self._written: bytes = b""
        self._tag: str | None = None
        self._known = LedgerEntry(day="", buy=0, month="", reserved_mills=0, spent_mills=0)
        """The entry as it stands in the lake."""
        self.in_flight = 0
        self.is_overtaken = False
        self._look()

    def _look(self) -> None:
        """Take up what others have lost: an earlier try, or a writer that was overtaken."""
        if found := self._lake.look(self.key):
            self._written, self._tag = found
            before, self._known = self._known, decoded(found.data, LedgerEntry)
            self.entry.unstaged_mills += self._known.unstaged_mills - before.unstaged_mills
        self.book(Bought())

    @property
    def taken(self) -> int:
        return self.entry.spent_mills + self.in_flight

    @property
    def free(self) -> int:
        """Mills of the reserved that are neither spent nor held."""
        return max(self.entry.reserved_mills - self.taken, 0)

    def book(self, bought: Bought, unstaged: int = 0) -> None:
        self.entry.bought += bought
        self.entry.unstaged_mills += unstaged
        self.entry.spent_mills = cost(self.entry.bought) + self.entry.unstaged_mills
        self.entry.spent_usd = dollars(self.entry.spent_mills)
        self.entry.would_have_cost_usd = dollars(would_have_cost(self.entry.bought))

    def reserve(self, more: int, at_most: int = 0) -> None:
        """Write the entry with so much reserved beyond what is taken; Busy where another has taken over."""
        while True:
            self.entry.reserved_mills = max(self.taken, min(self.taken + more, at_most))
            if (data := encoded(self.entry)) == self._written:
                return
            before = self._known
            try:
                self._tag = self._lake.swap(self.key, data, self._tag)
                self._written, self._known = data, decoded(data, LedgerEntry)
            except Busy:
                self._look()
                added = self._known.unstaged_mills - before.unstaged_mills
                self.is_overtaken |= self._known != _with_lost(before, added)
                if self.is_overtaken:
                    raise

    def settle(self) -> None:
        """Give back what is reserved and not spent; who was taken over only adds what was lost with it."""
        with suppress(Busy):
            if not self.is_overtaken and (self._tag or self.entry.spent_mills):
                self.reserve(0)
        if self.is_overtaken:
            lost = self.entry.unstaged_mills - self._known.unstaged_mills
            self._lake.change(
                self.key, lambda data: encoded(_with_lost(decoded(data or b"", LedgerEntry), lost))
            )


def _with_lost(entry: LedgerEntry, lost: int) -> LedgerEntry:
    """The entry with something more that was billed and could not be staged."""
    spent = entry.spent_mills + lost
    return structs.replace(
        entry,
        unstaged_mills=entry.unstaged_mills + lost,
        reserved_mills=entry.reserved_mills + lost,
        spent_mills=spent,
        spent_usd=dollars(spent),
    )


class Money:
    """What one purchase may spend, drawn on by several readers at once; a context that ends with it settled.

        with money.hold("posts", 100, smallest=5) as bill:
            answer = bill(x.timeline(…, size=bill.size))

    `purchase` is its day and number; `bought` what it has staged before, by month; `entry` the name of its
    ledger entries, where that is not the purchase's; `age` that of landed posts which are read again.
    """

    def __init__(
        self,
        lake: Lake,
        purchase: tuple[str, int],
        caps: Caps,
        bought: Mapping[str, Bought],
        clock: Callable[[], datetime],
        entry: str = "",
        age: int = 0,
    ) -> None:
        self._age = age
        self._entry = entry or "-".join(map(str, purchase))
        self._lake, self._purchase, self._caps, self._clock = lake, purchase, caps, clock
        self._changed = Condition()
        self._months: dict[str, _Month] = {}
        self._seen: dict[str, Object] = {}
        """The entries of others, by key."""
        for name in {*bought, month_of(clock())}:
            self._month(name, bought.get(name, Bought()))

    def __enter__(self) -> Money:
        return self

    def __exit__(self, *_: object) -> None:
        for month in self._months.values():
            month.settle()

    @contextmanager
    def hold(self, kind: str, wanted: int, smallest: int) -> Iterator[Bill]:
        """Reserve the worst case of a request, `wanted` things or fewer, and book what X bills for it.

        What does not fit waits for the requests in flight, then asks for less, down to `smallest`, then is
        refused: OverBudget. What was billed stays booked, also when its answer could not be kept.
        """
        at = self._clock()
        month = self._month(month_of(at))
        bill = Bill(self._granted(month, kind, wanted, smallest), at)
        kept = False
        try:
            yield bill
            kept = True
        finally:
            with self._changed:
                month.in_flight -= HELD[kind] * bill.size
                if kept:
                    month.book(Bought(**{kind: bill.number}))
                else:
                    month.book(Bought(), unstaged=PRICES[kind] * bill.number)
                self._changed.notify_all()

    def _granted(self, month: _Month, kind: str, wanted: int, smallest: int) -> int:
        price = HELD[kind]
        with self._changed:
            while True:
                if month.free < price * wanted:
                    self._reserve(month, price * wanted)
                granted = min(wanted, month.free // price)
                busy = any(each.in_flight for each in self._months.values())
                if granted == wanted or (granted >= smallest and not busy):
                    month.in_flight += price * granted
                    return granted
                if not busy:
                    raise OverBudget(self._refusal(month, f"{smallest} {kind}", price * smallest))
                self._changed.wait()

    def _month(self, name: str, bought: Bought = Bought()) -> _Month:  # noqa: B008 - it is frozen
        with self._changed:
            if name not in self._months:
                day, buy = self._purchase
                entry = LedgerEntry(
                    day=day,
                    buy=buy,
                    age=self._age,
                    month=name,
                    reserved_mills=0,
                    spent_mills=0,
                    bought=bought,
                )
                self._months[name] = _Month(self._lake, f"{LEDGER}month={name}/{self._entry}.json", entry)
            return self._months[name]

    def _reserve(self, month: _Month, needed: int) -> None:
        """Reserve what is needed, and some more, as far as the caps let it: first written, then added up."""
        more = max(needed, AT_ONCE)
        in_other_months = sum(each.taken for each in self._months.values() if each is not month)
        at_most = (self._caps.run[1] or sys.maxsize) - in_other_months
        month.reserve(more, at_most)
        if cap := self._caps.month[1]:
            left = cap - sum(reserved(entry) for entry in self._others(month))
            month.reserve(more, min(left, at_most))

    def _others(self, month: _Month) -> list[LedgerEntry]:
        """The entries of the month's other purchases: listed each time, read where they have changed."""
        tags = self._lake.tags(f"{LEDGER}month={month.entry.month}/")
        tags.pop(month.key, None)
        changed = [key for key, tag in tags.items() if key not in self._seen or self._seen[key].tag != tag]
        found = zip(changed, self._lake.look_each(changed), strict=True)
        self._seen |= {key: entry for key, entry in found if entry}
        return [decoded(self._seen[key].data, LedgerEntry) for key in tags if key in self._seen]

    def _refusal(self, month: _Month, planned: str, price: int) -> str:
        others = self._others(month) if self._caps.month[1] else []
        spent = {
            self._caps.run: sum(each.entry.spent_mills for each in self._months.values()),
            self._caps.month: sum(map(reserved, others)) + month.entry.spent_mills,
        }
        cap = min((cap for cap in spent if cap[1]), key=lambda cap: cap[1] - spent[cap])
        unsettled = [entry.day for entry in others if entry.reserved_mills > entry.spent_mills]
        told = f", with what is reserved for {', '.join(unsettled)}: not settled" if unsettled else ""
        return (
            f"${dollars(spent[cap]):.3f} of ${dollars(cap[1]):.2f} are spent (Variable {cap[0]}){told}; "
            f"the next request is for at least {planned}, up to ${dollars(price):.3f}. "
            f"Raise {cap[0]} and clear the task: it goes on where it stopped."
        )


def spent_of_month(lake: Lake, at: datetime) -> int:
    """Mills that all entries take of the cap of the month."""
    keys = lake.keys(f"{LEDGER}month={month_of(at)}/")
    return sum(reserved(decoded(found.data, LedgerEntry)) for found in lake.look_each(keys) if found)


def reserved(entry: LedgerEntry) -> int:
    """Mills that an entry takes of its month's cap."""
    return max(entry.reserved_mills, entry.spent_mills)
