"""The budget: the caps that no request may exceed, and the ledger of what was spent.

Amounts are whole mills, thousandths of a US dollar, so that sums are exact. The ledger has one entry a
purchase and UTC month. A reservation is written before the entries are added up, and only what was checked
against that sum is used: of two that reserve at once, neither spends what the other may.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Condition
from uuid import uuid4

from msgspec import structs

from include.twitter.errors import NoResponse, OverBudget, PipelineError, WriteConflict
from include.twitter.layout import LEDGER, ledger_key, parse_ledger_key
from include.twitter.object_store import ObjectStore, StoredObject, is_write_conflict, retried
from include.twitter.pricing import cost, dollars, month_of, prices, start_of, worst_case, would_have_cost
from include.twitter.records import Billed, BilledUnits, LedgerEntry, encoded
from include.twitter.response import Response

RESERVATION_CHUNK = 1000
"""Mills reserved at a time: the entry is not written for every page, and a kill leaves little reserved."""
NO_BILL = Billed(BilledUnits(), 0)


@dataclass
class Stored:
    """What X has billed for stored responses, by the UTC month of the request, and the price then."""

    bought: dict[str, BilledUnits] = field(default_factory=dict)
    mills: dict[str, int] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    """Of the responses: a response that is stored is not lost, although S3's reply to its writer was."""

    def add(self, response: Response) -> None:
        at = response.sent_at or response.received_at
        month, units = month_of(at), BilledUnits(**{response.kind: response.billed})
        self.mills[month] = self.mills.get(month, 0) + cost(units, at)
        self.bought[month] = self.bought.get(month, BilledUnits()) + units
        self.ids.add(response.id)

    @property
    def total_mills(self) -> int:
        return sum(self.mills.values())


@dataclass(frozen=True)
class Caps:
    """Mills that one purchase, and all of a month, may cost, with their Variables; 0 is no cap."""

    run: tuple[str, int]
    month: tuple[str, int]


@dataclass
class Reservation:
    """The worst case of one request for `size` units, made `at` a time: that of its price and month."""

    size: int
    at: datetime
    response: Response | None = None

    def settle(self, response: Response) -> Response:
        """Book what X has billed for the response; returns it with its id and time."""
        self.response = replace(response, sent_at=self.at, id=uuid4().hex)
        return self.response


class _Month:
    """The ledger entry of one month: as it is stored, and what this process adds to it."""

    def __init__(self, store: ObjectStore, key: str, new: LedgerEntry, stored: Stored) -> None:
        self._store, self.key, self._stored, self._known = store, key, stored, new
        self._token = uuid4().hex
        self.in_flight = 0
        """The worst case of open requests, in mills."""
        self.lost: dict[str, Billed] = {}
        self.uncertain = NO_BILL
        self._is_taken_over = False
        """Whether another process buys the same: this one only adds what it lost."""
        self._read()

    def _read(self) -> None:
        self._object = self._store.get(self.key)
        if self._object:
            self._known = self._store.decoded(self.key, self._object.data, LedgerEntry)

    @property
    def entry(self) -> LedgerEntry:
        """The entry as this process writes it next."""
        known, month = self._known, self._known.month
        lost = known.lost_responses | self.lost
        uncertain = known.uncertain | {self._token: self.uncertain}
        if self._is_taken_over:
            return _summed(known, known.bought, known.spent_mills - known.lost_mills, lost, uncertain)
        bought = self._stored.bought.get(month, BilledUnits()), self._stored.mills.get(month, 0)
        lost = {id_: billed for id_, billed in lost.items() if id_ not in self._stored.ids}
        entry = _summed(known, *bought, lost, uncertain)
        if known.writer != self._token and (unspent := known.checked_mills - entry.charged_mills) > 0:
            # That process was killed, and may have had requests in flight for all of it. If it only lost
            # its lease, it corrects this when it settles.
            posts = BilledUnits(posts=unspent // prices(start_of(month))["posts"])
            uncertain[known.writer] = uncertain.get(known.writer, NO_BILL) + Billed(posts, unspent)
            return _summed(known, *bought, lost, uncertain)
        return entry

    @property
    def taken(self) -> int:
        return self.entry.charged_mills + self.in_flight

    @property
    def _usable(self) -> int:
        """Mills that this process has reserved, and that were checked."""
        return self._known.checked_mills if self._known.writer == self._token else 0

    @property
    def free(self) -> int:
        """Mills of the usable ones that are neither spent nor in flight."""
        return max(self._usable - self.taken, 0)

    def reserve(self, more: int, at_most: int, *, is_checked: bool = True) -> None:
        """Reserve so much beyond what is taken; WriteConflict if another process buys the same.

        The reservation is usable once it is written and `is_checked`.
        """
        retried(is_write_conflict)(self._write, more, at_most, is_checked)
        if self._is_taken_over:
            raise WriteConflict(
                f"{self._store.url(self.key)} was written by another process that buys the same."
            )

    def close(self) -> None:
        """Give back what is reserved and not spent."""
        if self._object or self.entry.charged_mills:
            retried(is_write_conflict)(self._write, 0, 0, True)

    def _write(self, more: int, at_most: int, is_checked: bool) -> None:
        entry, before = self.entry, self._known
        if not self._is_taken_over:
            entry.reserved_mills = max(self.taken, min(self.taken + more, at_most))
            entry.checked_mills = (
                entry.reserved_mills if is_checked else min(self._usable, entry.reserved_mills)
            )
            entry.writer = self._token if more else ""
        data = encoded(entry)
        if self._object and data == self._object.data:
            return
        try:
            etag = self._store.put_if_match(self.key, data, self._object and self._object.etag)
        except WriteConflict:
            self._read()
            now = self._known
            if now.writer != self._token:  # else this process has written it, and S3's reply was lost
                # A process that was taken over adds what it lost, and changes neither.
                self._is_taken_over |= (now.writer, now.bought) != (before.writer, before.bought)
            raise
        self._object, self._known = StoredObject(data, etag), entry


def _summed(
    known: LedgerEntry,
    bought: BilledUnits,
    stored_mills: int,
    lost: dict[str, Billed],
    uncertain: dict[str, Billed],
) -> LedgerEntry:
    """The entry with these parts and their sums; what is reserved beyond them stays."""
    lost_mills = sum(billed.mills for billed in lost.values())
    uncertain_mills = sum(billed.mills for billed in uncertain.values())
    spent = stored_mills + lost_mills
    more = spent + uncertain_mills - known.charged_mills
    return structs.replace(
        known,
        bought=bought,
        lost_responses=lost,
        uncertain={writer: billed for writer, billed in uncertain.items() if billed.mills},
        lost_mills=lost_mills,
        uncertain_mills=uncertain_mills,
        spent_mills=spent,
        spent_usd=dollars(spent),
        would_have_cost_usd=dollars(would_have_cost({known.month: bought})),
        reserved_mills=known.reserved_mills + more,
        checked_mills=known.checked_mills + more,
    )


class Budget:
    """What one purchase may spend, drawn on by several readers at once; a context that ends with it settled.

        with budget.reserve("posts", 100, smallest=5) as reservation:
            response = reservation.settle(x.timeline(…, size=reservation.size))
            store(response)

    `purchase` is its day and number; `stored` what its stored responses have cost; `entry` the name of its
    ledger entries, if that is not the purchase's; `age` that of the posts of a snapshot.
    """

    def __init__(
        self,
        store: ObjectStore,
        purchase: tuple[str, int],
        caps: Caps,
        stored: Stored,
        clock: Callable[[], datetime],
        entry: str = "",
        age: int = 0,
    ) -> None:
        self._store, self._purchase, self._caps, self._clock, self._age = store, purchase, caps, clock, age
        self._entry, self._stored = entry or "-".join(map(str, purchase)), stored
        self._changed = Condition()
        self._months: dict[str, _Month] = {}
        self._others_seen: dict[str, StoredObject | None] = {}
        ledger = store.parsed(store.keys(LEDGER), parse_ledger_key).values()
        months = {key.month for key in ledger if key.entry == self._entry}
        for month in {*stored.bought, *months, month_of(clock())}:
            self._month(month)

    @property
    def uncertain_mills(self) -> int:
        """What X may have billed in addition to what is spent, in all months."""
        return sum(month.entry.uncertain_mills for month in self._months.values())

    def __enter__(self) -> Budget:
        return self

    def __exit__(self, *_: object) -> None:
        for month in self._months.values():
            month.close()

    @contextmanager
    def reserve(self, kind: str, wanted: int, smallest: int) -> Iterator[Reservation]:
        """Reserve the worst case of a request for `wanted` units or fewer, and book what X bills for it.

        If the budget cannot cover it, wait until the requests in flight are settled, then shrink it, down to
        `smallest`, then raise OverBudget. A response is stored if the context ends without an error, else
        lost. Without a response, X may have billed the request, unless the error excludes that.
        """
        at = self._clock()
        month, price = self._month(month_of(at)), worst_case(at)[kind]
        reservation = Reservation(self._granted(month, kind, price, wanted, smallest), at)
        error: BaseException | None = None
        try:
            yield reservation
        except BaseException as raised:
            error = raised
            raise
        finally:
            with self._changed:
                response = reservation.response
                month.in_flight -= price * reservation.size
                if response and not error:
                    self._stored.add(response)
                elif response and response.billed:
                    month.lost[response.id] = _billed(kind, response.billed, prices(at)[kind])
                elif error and not response and _may_be_billed(error):
                    month.uncertain += _billed(kind, reservation.size, price)
                self._changed.notify_all()

    def _granted(self, month: _Month, kind: str, price: int, wanted: int, smallest: int) -> int:
        with self._changed:
            while True:
                if month.free < price * wanted:
                    self._reserve(month, price * wanted)
                granted = min(wanted, month.free // price)
                busy = any(other.in_flight for other in self._months.values())
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
                new = LedgerEntry(
                    day=day, buy=buy, age=self._age, month=name, reserved_mills=0, spent_mills=0
                )
                self._months[name] = _Month(self._store, ledger_key(name, self._entry), new, self._stored)
            return self._months[name]

    def _reserve(self, month: _Month, needed: int) -> None:
        """Reserve what is needed, and some more, as far as the caps let it: first written, then added up.

        Where that fails in between, nothing of it is used, and it is given back in the end.
        """
        more = max(needed, RESERVATION_CHUNK)
        in_other_months = sum(other.taken for other in self._months.values() if other is not month)
        at_most = (self._caps.run[1] or sys.maxsize) - in_other_months
        if cap := self._caps.month[1]:
            month.reserve(more, at_most, is_checked=False)
            at_most = min(at_most, cap - sum(map(reserved, self._others(month))))
        month.reserve(more, at_most)

    def _others(self, month: _Month) -> list[LedgerEntry]:
        """The entries of the month's other purchases: listed each time, read where they have changed."""
        etags = self._store.etags(f"{LEDGER}month={month.entry.month}/")
        keys = [key for key in self._store.parsed(etags, parse_ledger_key) if key != month.key]
        seen = {key: entry.etag for key, entry in self._others_seen.items() if entry}
        changed = [key for key in keys if etags[key] != seen.get(key)]
        self._others_seen |= zip(changed, self._store.get_many(changed), strict=True)
        return _decoded(self._store, ((key, self._others_seen[key]) for key in keys))

    def _refusal(self, month: _Month, planned: str, price: int) -> str:
        others = self._others(month) if self._caps.month[1] else []
        spent = {
            self._caps.run: sum(other.entry.charged_mills for other in self._months.values()),
            self._caps.month: sum(map(reserved, others)) + month.entry.charged_mills,
        }
        name, cap = min((cap for cap in spent if cap[1]), key=lambda cap: cap[1] - spent[cap])
        unsettled = [entry.day for entry in others if entry.reserved_mills > entry.charged_mills]
        days = ", ".join(unsettled)
        notes = f", including what is reserved for {days}, not settled yet" if unsettled else ""
        if uncertain := self.uncertain_mills:
            uncertain_text = f"${dollars(uncertain):.3f} of requests without a response"
            notes += f", including {uncertain_text}, which X may have billed"
        wait = ", or wait for the next month (UTC)," if name == self._caps.month[0] else ""
        return (
            f"${dollars(spent[name, cap]):.3f} of ${dollars(cap):.2f} are spent (Variable {name}){notes}; "
            f"the next request is for at least {planned}, up to ${dollars(price):.3f}. "
            f"Raise {name}{wait} and clear the task: it continues where it stopped."
        )


def _billed(kind: str, number: int, price: int) -> Billed:
    return Billed(BilledUnits(**{kind: number}), price * number)


def _may_be_billed(error: BaseException) -> bool:
    """Whether X may have billed a request that ended with this error.

    X bills no error response, and no request that was not sent: the other errors mean one of these.
    """
    return isinstance(error, NoResponse) or not isinstance(error, PipelineError)


def spent_of_month(store: ObjectStore, at: datetime) -> int:
    """Mills that all entries take of the cap of the month."""
    return sum(map(reserved, entries(store, month_of(at))))


def entries(store: ObjectStore, month: str) -> list[LedgerEntry]:
    """All entries of a month; DamagedObject where one cannot be read: without it the sum is too small."""
    keys = [*store.parsed(store.keys(f"{LEDGER}month={month}/"), parse_ledger_key)]
    return _decoded(store, zip(keys, store.get_many(keys), strict=True))


def _decoded(store: ObjectStore, objects: Iterable[tuple[str, StoredObject | None]]) -> list[LedgerEntry]:
    return [store.decoded(key, entry.data, LedgerEntry) for key, entry in objects if entry]


def reserved(entry: LedgerEntry) -> int:
    """Mills that an entry takes of its month's cap."""
    return max(entry.reserved_mills, entry.charged_mills)
