"""The budget: the caps that no request may exceed, and the ledger of what was spent.

Amounts are whole mills, thousandths of a US dollar, so that sums are exact. The ledger has one entry for each
purchase and UTC month. A process writes its reservation before it adds up all entries, and uses only the part
that fits: if two processes reserve at once, the later writer sees the other's reservation, so both stay below
the cap.
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
    """Ids of these responses: a stored response is not lost, even if S3's reply to its writer was."""

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
    """The worst case of one request for `size` units; `at` determines its price and its month."""

    size: int
    at: datetime
    response: Response | None = None

    def settle(self, response: Response) -> Response:
        """Book what X has billed for the response; returns it with its id and time."""
        self.response = replace(response, sent_at=self.at, id=uuid4().hex)
        return self.response


class _Month:
    """The ledger entry of one month: the stored one, and the changes of this process."""

    def __init__(self, store: ObjectStore, key: str, new: LedgerEntry, stored: Stored) -> None:
        self._store, self.key, self._stored, self._known = store, key, stored, new
        self._token = uuid4().hex
        self.in_flight = 0
        """The worst case of open requests, in mills."""
        self.lost: dict[str, Billed] = {}
        self.uncertain = NO_BILL
        self._is_taken_over = False
        """Whether another process buys for the same purchase: this one only adds its lost responses."""
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
            # The last writer was killed, and may have had requests in flight for all of it. If it only lost
            # its lease, it corrects the amount when it closes its entry.
            posts = BilledUnits(posts=unspent // prices(start_of(month))["posts"])
            uncertain[known.writer] = uncertain.get(known.writer, NO_BILL) + Billed(posts, unspent)
            return _summed(known, *bought, lost, uncertain)
        return entry

    @property
    def taken(self) -> int:
        """Mills that are spent, uncertain or in flight."""
        return self.entry.charged_mills + self.in_flight

    @property
    def _usable(self) -> int:
        """Mills that this process has reserved, and that were checked."""
        return self._known.checked_mills if self._known.writer == self._token else 0

    @property
    def free(self) -> int:
        """Mills that a further request may use."""
        return max(self._usable - self.taken, 0)

    def reserve(self, more: int, at_most: int, *, is_checked: bool = True) -> None:
        """Raise the reservation to `more` mills above those taken, but to `at_most` in all, and write it.

        Only a reservation that `is_checked` against the caps may be used. WriteConflict if another process
        buys for the same purchase.
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
                # A process without the lease that adds its lost responses changes neither field.
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
    """The entry with these parts and their sums; the open reservation above them is unchanged."""
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
    """The budget of one purchase, which its readers share; a context that settles the entries at its end.

        with budget.reserve("posts", 100, smallest=5) as reservation:
            response = reservation.settle(x.timeline(…, size=reservation.size))
            store(response)

    `purchase`: its day and number. `stored`: what X billed for its stored responses. `entry`: the name of its
    ledger entries, if it is not that of the purchase. `age`: the age of the posts of a snapshot, in days.
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
        """The uncertain amount of all months."""
        return sum(month.entry.uncertain_mills for month in self._months.values())

    def __enter__(self) -> Budget:
        return self

    def __exit__(self, *_: object) -> None:
        for month in self._months.values():
            month.close()

    @contextmanager
    def reserve(self, kind: str, units: int, smallest: int) -> Iterator[Reservation]:
        """Reserve the worst case of a request for `units` or fewer, and book what X bills for it.

        If the budget cannot cover it, wait until the requests in flight are settled, then shrink it, down to
        `smallest`, then raise OverBudget. A response counts as stored if the context ends without an error,
        else as lost. A request without a response is booked as uncertain, unless the error proves that X did
        not bill it.
        """
        at = self._clock()
        month, price = self._month(month_of(at)), worst_case(at)[kind]
        reservation = Reservation(self._granted(month, kind, price, units, smallest), at)
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

    def _granted(self, month: _Month, kind: str, price: int, units: int, smallest: int) -> int:
        """The number of units that fit into the caps, once no request in flight can raise it."""
        with self._changed:
            while True:
                if month.free < price * units:
                    self._reserve(month, price * units)
                granted = min(units, month.free // price)
                any_in_flight = any(other.in_flight for other in self._months.values())
                if granted == units or (granted >= smallest and not any_in_flight):
                    month.in_flight += price * granted
                    return granted
                if not any_in_flight:
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
        """Reserve at least `needed` mills, as far as the caps allow: write the reservation, then add up.

        If this fails in between, the reservation is not used, and the end of the budget gives it back.
        """
        more = max(needed, RESERVATION_CHUNK)
        in_other_months = sum(other.taken for other in self._months.values() if other is not month)
        at_most = (self._caps.run[1] or sys.maxsize) - in_other_months
        if cap := self._caps.month[1]:
            month.reserve(more, at_most, is_checked=False)
            at_most = min(at_most, cap - sum(map(reserved, self._others(month))))
        month.reserve(more, at_most)

    def _others(self, month: _Month) -> list[LedgerEntry]:
        """The month's entries of other purchases: listed at every call, read if their ETag has changed."""
        etags = self._store.etags(f"{LEDGER}month={month.entry.month}/")
        keys = [key for key in self._store.parsed(etags, parse_ledger_key) if key != month.key]
        seen = {key: entry.etag for key, entry in self._others_seen.items() if entry}
        changed = [key for key in keys if etags[key] != seen.get(key)]
        self._others_seen |= zip(changed, self._store.get_many(changed), strict=True)
        return _decoded(self._store, ((key, self._others_seen[key]) for key in keys))

    def _refusal(self, month: _Month, request: str, price: int) -> str:
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
            f"the next request is for at least {request}, up to ${dollars(price):.3f}. "
            f"Raise {name}{wait} and clear the task: it continues where it stopped."
        )


def _billed(kind: str, number: int, price: int) -> Billed:
    return Billed(BilledUnits(**{kind: number}), price * number)


def _may_be_billed(error: BaseException) -> bool:
    """Whether X may have billed a request that ended with this error.

    X bills neither an error response nor a request that was not sent. Every PipelineError but NoResponse
    is one of these.
    """
    return isinstance(error, NoResponse) or not isinstance(error, PipelineError)


def spent_of_month(store: ObjectStore, at: datetime) -> int:
    """Mills that all entries of the month count against its cap."""
    return sum(map(reserved, entries(store, month_of(at))))


def entries(store: ObjectStore, month: str) -> list[LedgerEntry]:
    """All entries of a month; DamagedObject if one cannot be read, as the sum would be too small."""
    keys = [*store.parsed(store.keys(f"{LEDGER}month={month}/"), parse_ledger_key)]
    return _decoded(store, zip(keys, store.get_many(keys), strict=True))


def _decoded(store: ObjectStore, objects: Iterable[tuple[str, StoredObject | None]]) -> list[LedgerEntry]:
    return [store.decoded(key, entry.data, LedgerEntry) for key, entry in objects if entry]


def reserved(entry: LedgerEntry) -> int:
    """Mills that an entry counts against the cap of its month."""
    return max(entry.reserved_mills, entry.charged_mills)
