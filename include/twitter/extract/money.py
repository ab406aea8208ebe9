"""The caps that no request may cross, and the ledger of what was spent.

Amounts are whole mills, thousandths of a US dollar, so that sums are exact. The ledger has one entry a
purchase and UTC month. A reservation is written before the entries are added up, and only what was checked
against that sum is used: of two who reserve at once, none spends what the other may.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Condition
from uuid import uuid4

from msgspec import structs

from include.twitter.answer import Answer
from include.twitter.day import LEDGER, ledger_key, parse_ledger_key
from include.twitter.errors import Busy, NoResponse, OverBudget, PipelineError
from include.twitter.lake import Lake, Object, is_busy, retried
from include.twitter.pricing import cost, dollars, month_of, prices, start_of, worst_case, would_have_cost
from include.twitter.records import Billed, Bought, LedgerEntry, decoded, encoded

AT_ONCE = 1000
"""Mills reserved at a time: an entry is not written for each page, and a kill leaves little reserved."""


@dataclass
class Stored:
    """What is stored of X's responses, by the UTC month of the request, and at which price it was booked."""

    bought: dict[str, Bought] = field(default_factory=dict)
    mills: dict[str, int] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    """Of the responses: the ledger may have some as unstaged, where S3's reply to their writer was lost."""

    def add(self, answer: Answer) -> None:
        at = answer.sent_at or answer.received_at
        month = month_of(at)
        number = Bought(**{answer.kind: answer.billed})
        self.mills[month] = self.mills_of(month) + cost(number, at)
        self.bought[month] = self.bought.get(month, Bought()) + number
        self.ids.add(answer.id)

    def mills_of(self, month: str) -> int:
        """The booked price; what a record has no price for costs what it did on the month's first day."""
        if month in self.mills:
            return self.mills[month]
        return cost(self.bought.get(month, Bought()), start_of(month))

    @property
    def total_mills(self) -> int:
        return sum(map(self.mills_of, self.bought))


@dataclass(frozen=True)
class Caps:
    """Mills that one purchase, and all of a month, may cost, with the Variables that say so; 0 is no cap."""

    run: tuple[str, int]
    month: tuple[str, int]


@dataclass
class Bill:
    """Room for one request: it may ask for `size` things, and is called with the response."""

    size: int
    at: datetime
    """When it was held: the month that it is booked in, and the day of its price."""
    id: str = field(default_factory=lambda: uuid4().hex)
    number: int = 0
    is_answered: bool = False
    is_uncertain: bool = False

    def __call__(self, answer: Answer) -> Answer:
        answer = replace(answer, sent_at=self.at, id=self.id)
        self.number = answer.billed
        self.is_answered = True
        return answer

    def fail(self, error: BaseException) -> None:
        """Note whether X may have billed a request that ended so.

        X bills no error answer, and no request that was not sent: the other errors mean one of these.
        """
        is_known = isinstance(error, PipelineError) and not isinstance(error, NoResponse)
        self.is_uncertain |= not (self.is_answered or is_known)


class _Month:
    """A month of the purchase: its ledger entry as it is to be written next, and what is in flight."""

    def __init__(
        self, lake: Lake, key: str, entry: LedgerEntry, staged_mills: int, stored: Collection[str]
    ) -> None:
        self._lake, self.key, self.entry = lake, key, entry
        self._staged_mills, self._stored = staged_mills, stored
        self._token = uuid4().hex
        self._mine = Billed(Bought(), 0)
        """What is uncertain of its own requests."""
        self._written: bytes = b""
        self._tag: str | None = None
        self._known = LedgerEntry(day="", buy=0, month="", reserved_mills=0, spent_mills=0)
        """The entry as it stands in the lake."""
        self.in_flight = 0
        self._usable = 0
        """Mills that are written as reserved and were checked."""
        self.is_overtaken = False
        self._look()
        self._take_up_abandoned()

    def _look(self) -> None:
        """Take up what others have lost: an earlier try, or a writer that was overtaken."""
        if found := self._lake.look(self.key):
            self._written, self._tag = found
            self._known = self._lake.decoded(self.key, found.data, LedgerEntry)
            unstaged = self._known.unstaged | self.entry.unstaged
            self.entry.unstaged = {id_: lost for id_, lost in unstaged.items() if id_ not in self._stored}
            mine = {self._token: self._mine} if self._mine.mills else {}
            self.entry.uncertain = self.entry.uncertain | self._known.uncertain | mine
        self._add_up()

    def _take_up_abandoned(self) -> None:
        """Who was killed may have had requests in flight, for all that it had checked and not spent.

        Where it lives, and was only overtaken, it corrects that when it settles.
        """
        if (rest := self._known.checked_mills - self.entry.charged_mills) > 0:
            price = prices(start_of(self.entry.month))["posts"]
            writer = self._known.writer
            its = self.entry.uncertain.get(writer, Billed(Bought(), 0))  # it may have settled in part
            abandoned = Billed(its.bought + Bought(posts=rest // price), its.mills + rest)
            self.entry.uncertain = self.entry.uncertain | {writer: abandoned}
            self._add_up()

    @property
    def taken(self) -> int:
        return self.entry.charged_mills + self.in_flight

    @property
    def free(self) -> int:
        """Mills of the reserved that may be used, and are neither spent nor held."""
        return max(self._usable - self.taken, 0)

    def book(self, bought: Bought, mills: int) -> None:
        self.entry.bought += bought
        self._staged_mills += mills
        self._add_up()

    def add_unstaged(self, id_: str, billed: Billed) -> None:
        self.entry.unstaged = self.entry.unstaged | {id_: billed}
        self._add_up()

    def add_uncertain(self, billed: Billed) -> None:
        self._mine = Billed(self._mine.bought + billed.bought, self._mine.mills + billed.mills)
        self.entry.uncertain = self.entry.uncertain | {self._token: self._mine}
        self._add_up()

    def _add_up(self) -> None:
        entry = self.entry
        entry.unstaged_mills, entry.uncertain_mills = _mills(entry.unstaged), _mills(entry.uncertain)
        entry.spent_mills = self._staged_mills + entry.unstaged_mills
        entry.spent_usd = dollars(entry.spent_mills)
        entry.would_have_cost_usd = dollars(would_have_cost({entry.month: entry.bought}))

    def reserve(self, more: int, at_most: int = 0, *, is_checked: bool = True) -> None:
        """Write the entry with so much reserved beyond what is taken; Busy where another has taken over.

        It can be used once it is written and `is_checked`.
        """
        retried(is_busy)(self._write, more, at_most, is_checked)
        if self.is_overtaken:
            raise Busy(f"{self._lake.url(self.key)} is kept by another process by now.")
        if is_checked:
            self._usable = self.entry.checked_mills

    def _write(self, more: int, at_most: int, is_checked: bool) -> None:
        """Write the entry, unless another has taken over; Busy where others have added to it meanwhile."""
        if self.is_overtaken:
            return
        entry = self.entry
        entry.reserved_mills = max(self.taken, min(self.taken + more, at_most))
        entry.checked_mills = entry.reserved_mills if is_checked else min(self._usable, entry.reserved_mills)
        entry.writer = self._token if more else ""
        if (data := encoded(entry)) == self._written:
            return
        before = self._known
        try:
            self._tag = self._lake.swap(self.key, data, self._tag)
            self._written, self._known = data, decoded(data, LedgerEntry)
        except Busy:
            self._look()
            added = _with_lost(before, self._known.unstaged, self._known.uncertain)
            self.is_overtaken = self._known != added
            if not self.is_overtaken:
                raise

    def settle(self) -> None:
        """Give back what is reserved and not spent; who was taken over only adds what was lost with it."""
        with suppress(Busy):
            if not self.is_overtaken and (self._tag or self.entry.charged_mills):
                self.reserve(0)
        if self.is_overtaken:
            mine = {self._token: self._mine}
            self._lake.change(
                self.key,
                lambda data: encoded(
                    _with_lost(
                        self._lake.decoded(self.key, data or b"", LedgerEntry), self.entry.unstaged, mine
                    )
                ),
            )


def _mills(lost: Mapping[str, Billed]) -> int:
    return sum(each.mills for each in lost.values())


def _with_lost(
    entry: LedgerEntry, unstaged: Mapping[str, Billed], uncertain: Mapping[str, Billed]
) -> LedgerEntry:
    """The entry with something more that was billed and could not be staged, or that may be billed."""
    unstaged, uncertain = {**entry.unstaged, **unstaged}, {**entry.uncertain, **uncertain}
    lost = _mills(unstaged) - entry.unstaged_mills
    both = lost + _mills(uncertain) - entry.uncertain_mills
    spent = entry.spent_mills + lost
    return structs.replace(
        entry,
        unstaged=unstaged,
        uncertain=uncertain,
        unstaged_mills=_mills(unstaged),
        uncertain_mills=_mills(uncertain),
        reserved_mills=entry.reserved_mills + both,
        checked_mills=entry.checked_mills + both,
        spent_mills=spent,
        spent_usd=dollars(spent),
    )


class Money:
    """What one purchase may spend, drawn on by several readers at once; a context that ends with it settled.

        with money.hold("posts", 100, smallest=5) as bill:
            answer = bill(x.timeline(…, size=bill.size))

    `purchase` is its day and number; `stored` what it has staged before; `entry` the name of its ledger
    entries, where that is not the purchase's; `age` that of landed posts which are read again.
    """

    def __init__(
        self,
        lake: Lake,
        purchase: tuple[str, int],
        caps: Caps,
        stored: Stored,
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
        self._stored = Stored(dict(stored.bought), dict(stored.mills), set(stored.ids))
        kept = lake.parsed(lake.keys(LEDGER), parse_ledger_key).values()
        before = {key.month for key in kept if key.entry == self._entry}
        for name in {*stored.bought, *before, month_of(clock())}:
            self._month(name)

    @property
    def uncertain_mills(self) -> int:
        """What X may have billed beside what is spent, in all months."""
        return sum(month.entry.uncertain_mills for month in self._months.values())

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
        price, most = prices(at)[kind], worst_case(at)[kind]
        bill = Bill(self._granted(month, kind, most, wanted, smallest), at)
        is_kept = False
        try:
            yield bill
            is_kept = True
        except BaseException as error:
            bill.fail(error)
            raise
        finally:
            number = Bought(**{kind: bill.number})
            with self._changed:
                month.in_flight -= most * bill.size
                if bill.is_uncertain:
                    month.add_uncertain(Billed(Bought(**{kind: bill.size}), most * bill.size))
                elif is_kept:
                    month.book(number, price * bill.number)
                elif bill.number:
                    month.add_unstaged(bill.id, Billed(number, price * bill.number))
                self._changed.notify_all()

    def _granted(self, month: _Month, kind: str, price: int, wanted: int, smallest: int) -> int:
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

    def _month(self, name: str) -> _Month:
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
                    bought=self._stored.bought.get(name, Bought()),
                )
                key = ledger_key(name, self._entry)
                mills = self._stored.mills_of(name)
                self._months[name] = _Month(self._lake, key, entry, mills, self._stored.ids)
            return self._months[name]

    def _reserve(self, month: _Month, needed: int) -> None:
        """Reserve what is needed, and some more, as far as the caps let it: first written, then added up.

        Where that fails in between, nothing of it is used, and it is given back in the end.
        """
        more = max(needed, AT_ONCE)
        in_other_months = sum(each.taken for each in self._months.values() if each is not month)
        at_most = (self._caps.run[1] or sys.maxsize) - in_other_months
        cap = self._caps.month[1]
        month.reserve(more, at_most, is_checked=not cap)
        if cap:
            left = cap - sum(reserved(entry) for entry in self._others(month))
            month.reserve(more, min(left, at_most))

    def _others(self, month: _Month) -> list[LedgerEntry]:
        """The entries of the month's other purchases: listed each time, read where they have changed."""
        tags = self._lake.tags(f"{LEDGER}month={month.entry.month}/")
        tags.pop(month.key, None)
        tags = {key: tags[key] for key in self._lake.parsed(tags, parse_ledger_key)}
        changed = [key for key, tag in tags.items() if key not in self._seen or self._seen[key].tag != tag]
        found = zip(changed, self._lake.look_each(changed), strict=True)
        self._seen |= {key: entry for key, entry in found if entry}
        there = [(key, self._seen[key].data) for key in tags if key in self._seen]
        return [self._lake.decoded(key, data, LedgerEntry) for key, data in there]

    def _refusal(self, month: _Month, planned: str, price: int) -> str:
        others = self._others(month) if self._caps.month[1] else []
        spent = {
            self._caps.run: sum(each.entry.charged_mills for each in self._months.values()),
            self._caps.month: sum(map(reserved, others)) + month.entry.charged_mills,
        }
        cap = min((cap for cap in spent if cap[1]), key=lambda cap: cap[1] - spent[cap])
        unsettled = [entry.day for entry in others if entry.reserved_mills > entry.charged_mills]
        told = f", with what is reserved for {', '.join(unsettled)}: not settled" if unsettled else ""
        if uncertain := self.uncertain_mills:
            told += (
                f", with ${dollars(uncertain):.3f} of requests without a response, which X may have billed"
            )
        return (
            f"${dollars(spent[cap]):.3f} of ${dollars(cap[1]):.2f} are spent (Variable {cap[0]}){told}; "
            f"the next request is for at least {planned}, up to ${dollars(price):.3f}. "
            f"Raise {cap[0]} and clear the task: it goes on where it stopped."
        )


def spent_of_month(lake: Lake, at: datetime) -> int:
    """Mills that all entries take of the cap of the month."""
    return sum(map(reserved, entries(lake, month_of(at))))


def entries(lake: Lake, month: str) -> list[LedgerEntry]:
    """All entries of a month; DamagedObject where one cannot be read: without it the sum is too small."""
    keys = [*lake.parsed(lake.keys(f"{LEDGER}month={month}/"), parse_ledger_key)]
    found = zip(keys, lake.look_each(keys), strict=True)
    return [lake.decoded(key, entry.data, LedgerEntry) for key, entry in found if entry]


def reserved(entry: LedgerEntry) -> int:
    """Mills that an entry takes of its month's cap."""
    return max(entry.reserved_mills, entry.charged_mills)
