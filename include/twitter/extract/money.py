"""What X charges, the caps that no request may cross, and the ledger of what was spent.

Amounts are whole mills, thousandths of a US dollar, so that sums are exact. Prices are those of X's
developer console since 2026-04-21 (pay per use); failed and empty answers are free. The ledger has one
entry a purchase and UTC month. A reservation is written before the entries are added up, and these before
anything is spent: of two who reserve at once, none spends what the other may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Condition
from types import TracebackType

from include.twitter.answer import Answer
from include.twitter.day import LEDGER
from include.twitter.errors import Busy, OverBudget
from include.twitter.lake import Lake
from include.twitter.records import Bought, LedgerEntry, decoded, encoded

PRICES = {"posts": 5, "own_posts": 1, "users": 10, "counts": 5, "archive_counts": 10}
"""Mills for a post or a user returned, and for a count request, whatever it counts."""
AT_ONCE = 1000
"""Mills reserved at a time: an entry is not written for each page, and a kill leaves little reserved."""


def cost(bought: Bought) -> int:
    """What X charges for these reads, in mills."""
    return sum(price * getattr(bought, kind) for kind, price in PRICES.items())


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
    number: int = 0

    def __call__(self, answer: Answer) -> Answer:
        self.number = answer.billed
        return answer


@dataclass
class _Account:
    """One purchase's month: its ledger entry and what is in flight."""

    key: str
    bought: Bought
    unstaged: int = 0
    reserved: int = 0
    held: int = 0
    tag: str | None = None
    lost: int = 0
    """Of the unstaged: by this try."""

    @property
    def spent(self) -> int:
        return cost(self.bought) + self.unstaged


@dataclass
class Money:
    """What one purchase may spend, drawn on by several readers at once; a context that ends with it settled.

        with money.hold("posts", 100, smallest=5) as bill:
            answer = bill(x.timeline(…, size=bill.size))

    `bought` is what the purchase has staged before, by month.
    """

    lake: Lake
    purchase: tuple[str, int]
    """Its day and number."""
    caps: Caps
    bought: Mapping[str, Bought]
    clock: Callable[[], datetime]
    _months: dict[str, _Account] = field(default_factory=dict)
    _changed: Condition = field(default_factory=Condition)

    def __enter__(self) -> Money:
        for month in {*self.bought, month_of(self.clock())}:
            self._month(month)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, month in self._months.items():
            if month.tag or month.spent:
                self._settle(name, month)

    @contextmanager
    def hold(self, kind: str, wanted: int, smallest: int) -> Iterator[Bill]:
        """Reserve the worst case of a request, `wanted` things or fewer, and book what X bills for it.

        What does not fit waits for the requests in flight, then asks for less, down to `smallest`, then is
        refused: OverBudget. What was billed stays booked, also when its answer could not be kept.
        """
        name = month_of(self.clock())
        bill = Bill(self._held(name, kind, wanted, smallest))
        kept = False
        try:
            yield bill
            kept = True
        finally:
            with self._changed:
                month, billed = self._months[name], PRICES[kind] * bill.number
                month.held -= PRICES[kind] * bill.size
                if kept:
                    month.bought += Bought(**{kind: bill.number})
                else:
                    month.unstaged += billed
                    month.lost += billed
                self._changed.notify_all()

    def _held(self, name: str, kind: str, wanted: int, smallest: int) -> int:
        price = PRICES[kind]
        with self._changed:
            month = self._month(name)
            while True:
                if self._free(month) < price * wanted:
                    self._reserve(name, month, price * wanted)
                granted = min(wanted, self._free(month) // price)
                if granted == wanted or (granted >= smallest and not self._in_flight):
                    month.held += price * granted
                    return granted
                if not self._in_flight:
                    raise OverBudget(self._refusal(name, month, f"{smallest} {kind}", price * smallest))
                self._changed.wait()

    @property
    def _in_flight(self) -> int:
        return sum(month.held for month in self._months.values())

    @property
    def _spent(self) -> int:
        return sum(month.spent for month in self._months.values())

    def _free(self, month: _Account) -> int:
        """Mills of the reserved that are neither spent nor held; never below nothing."""
        return max(month.reserved - month.spent - month.held, 0)

    def _month(self, name: str) -> _Account:
        if name not in self._months:
            key = f"{LEDGER}month={name}/{self.purchase[0]}-{self.purchase[1]}.json"
            month = _Account(key, self.bought.get(name, Bought()))
            if found := self.lake.look(key):
                month.tag, month.unstaged = found.tag, decoded(found.data, LedgerEntry).unstaged_mills
            self._months[name] = month
        return self._months[name]

    def _reserve(self, name: str, month: _Account, needed: int) -> None:
        """Reserve what is needed, and some more, as far as the caps let it: first written, then added up."""
        now = month.spent + month.held
        month.reserved = now + max(needed, AT_ONCE)
        if self.caps.run[1]:
            left = max(self.caps.run[1] - self._spent - self._in_flight, 0)
            month.reserved = min(month.reserved, now + left)
        self._write(name, month)
        if self.caps.month[1]:
            room = self.caps.month[1] - self._others(name, month)[0]
            if month.reserved > room:
                month.reserved = max(room, now)
                self._write(name, month)

    def _others(self, name: str, month: _Account) -> tuple[int, list[str]]:
        """What the other purchases of the month have spent or reserved, and which of them are not settled."""
        keys = [key for key in self.lake.keys(f"{LEDGER}month={name}/") if key != month.key]
        entries = [decoded(data, LedgerEntry) for data in self.lake.read_each(keys) if data]
        unsettled = [entry.day for entry in entries if entry.reserved_mills > entry.spent_mills]
        return sum(max(entry.reserved_mills, entry.spent_mills) for entry in entries), unsettled

    def _entry(self, name: str, month: _Account) -> bytes:
        return encoded(
            LedgerEntry(
                day=self.purchase[0],
                buy=self.purchase[1],
                month=name,
                reserved_mills=month.reserved,
                spent_mills=month.spent,
                unstaged_mills=month.unstaged,
                spent_usd=dollars(month.spent),
                bought=month.bought,
            )
        )

    def _write(self, name: str, month: _Account) -> None:
        month.tag = self.lake.swap(month.key, self._entry(name, month), month.tag)

    def _settle(self, name: str, month: _Account) -> None:
        """Give back what is reserved and not spent; after a takeover only add what was lost here."""
        month.reserved = month.spent
        try:
            self._write(name, month)
        except Busy:
            self.lake.change(month.key, lambda data: _with_lost(data, month.lost))

    def _refusal(self, name: str, month: _Account, planned: str, price: int) -> str:
        others, unsettled = self._others(name, month) if self.caps.month[1] else (0, [])
        spent = {self.caps.run: self._spent, self.caps.month: others + month.spent}
        cap = min((cap for cap in spent if cap[1]), key=lambda cap: cap[1] - spent[cap])
        told = f", with what is reserved for {', '.join(unsettled)}: not settled" if unsettled else ""
        return (
            f"${dollars(spent[cap]):.3f} of ${dollars(cap[1]):.2f} are spent (Variable {cap[0]}){told}; "
            f"the next request is for at least {planned}, up to ${dollars(price):.3f}. "
            f"Raise {cap[0]} and clear `extract`: it goes on where it stopped."
        )


def _with_lost(data: bytes | None, lost: int) -> bytes:
    entry = decoded(data or b"", LedgerEntry)
    entry.unstaged_mills += lost
    entry.spent_mills += lost
    entry.reserved_mills += lost
    entry.spent_usd = dollars(entry.spent_mills)
    return encoded(entry)
