"""The budget: the caps that no request may exceed, and the ledger of what was spent.

Amounts are whole mills, thousandths of a US dollar, so that sums are exact. The ledger has one entry a
purchase and UTC month. A reservation is written before the entries are added up, and only what was checked
against that sum is used: of two that reserve at once, neither spends what the other may.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Condition
from uuid import uuid4

from msgspec import structs

from include.twitter.errors import NoResponse, OverBudget, PipelineError, WriteConflict
from include.twitter.layout import LEDGER, ledger_key, parse_ledger_key
from include.twitter.object_store import ObjectStore, StoredObject, is_write_conflict, retried
from include.twitter.pricing import cost, dollars, month_of, prices, start_of, worst_case, would_have_cost
from include.twitter.records import Billed, BilledUnits, LedgerEntry, decoded, encoded
from include.twitter.response import Response

RESERVATION_CHUNK = 1000
"""Mills reserved at a time: the entry is not written for each page, and a kill leaves little reserved."""
NO_BILL = Billed(BilledUnits(), 0)


@dataclass
class Stored:
    """What X has billed for stored responses, by the UTC month of the request, and the price then."""

    bought: dict[str, BilledUnits] = field(default_factory=dict)
    mills: dict[str, int] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    """Of the responses: a response that is stored is not lost, although S3's reply to its writer was."""

    def add(self, answer: Response) -> None:
        at = answer.sent_at or answer.received_at
        month, number = month_of(at), BilledUnits(**{answer.kind: answer.billed})
        self.mills[month] = self.mills.get(month, 0) + cost(number, at)
        self.bought[month] = self.bought.get(month, BilledUnits()) + number
        self.ids.add(answer.id)

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
    """The worst case of one request, which may ask for `size` things."""

    size: int
    at: datetime
    """When it was reserved: the month that the request is booked in, and the day of its price."""
    response: Response | None = None
    is_uncertain: bool = False

    def settle(self, response: Response) -> Response:
        """Book what X has billed for the response, which is lost unless it is stored then; returns it."""
        self.response = replace(response, sent_at=self.at, id=uuid4().hex)
        return self.response

    def fail(self, error: BaseException) -> None:
        """Note whether X may have billed a request that ended with this error.

        X bills no error response, and no request that was not sent: the other errors mean one of these.
        """
        is_known = isinstance(error, PipelineError) and not isinstance(error, NoResponse)
        self.is_uncertain |= not (self.response or is_known)


class _Month:
    """The ledger entry of one month, as this process writes it next, and the requests in flight."""

    def __init__(self, store: ObjectStore, key: str, entry: LedgerEntry, stored: Stored) -> None:
        self._store, self.key, self._stored = store, key, stored
        self._token = uuid4().hex
        self._written = b""
        self._tag: str | None = None
        self._known = entry
        """As it is in the bucket."""
        self._lost: dict[str, Billed] = {}
        self._uncertain: dict[str, Billed] = {}
        """Both that the entry does not have yet."""
        self.in_flight = self._usable = 0
        """Mills; usable are those that are written as reserved, and were checked."""
        self.lease_lost = False
        self._look()
        # A process that was killed may have had requests in flight for all that it had checked and not
        # spent. If it is alive, and only its lease was lost, it corrects that when it settles.
        if (rest := self._known.checked_mills - self.entry.charged_mills) > 0:
            price = prices(start_of(entry.month))["posts"]
            self.add_uncertain(Billed(BilledUnits(posts=rest // price), rest), self._known.writer)

    def _look(self) -> None:
        before = self._known.uncertain
        if found := self._store.get(self.key):
            self._written, self._tag = found
            self._known = self._store.decoded(self.key, found.data, LedgerEntry)
        known = self._known.uncertain
        self._uncertain = {
            writer: billed
            for writer, billed in self._uncertain.items()
            if writer == self._token or known.get(writer) == before.get(writer)
        }

    @property
    def entry(self) -> LedgerEntry:
        known, month = self._known, self._known.month
        lost = {
            id_: it for id_, it in (known.lost_responses | self._lost).items() if id_ not in self._stored.ids
        }
        return _summed(
            structs.replace(
                known,
                bought=self._stored.bought.get(month, BilledUnits()),
                lost_responses=lost,
                uncertain=known.uncertain | self._uncertain,
            ),
            self._stored.mills.get(month, 0),
        )

    @property
    def taken(self) -> int:
        return self.entry.charged_mills + self.in_flight

    @property
    def free(self) -> int:
        """Mills of the reserved that may be used, and are neither spent nor in flight."""
        return max(self._usable - self.taken, 0)

    def add_lost(self, id_: str, billed: Billed) -> None:
        self._lost[id_] = billed

    def add_uncertain(self, more: Billed, writer: str = "") -> None:
        writer = writer or self._token
        before = self.entry.uncertain.get(writer, NO_BILL)
        self._uncertain[writer] = Billed(before.bought + more.bought, before.mills + more.mills)

    def reserve(self, more: int, at_most: int = 0, *, is_checked: bool = True) -> None:
        """Reserve so much beyond what is taken; WriteConflict if another process has bought.

        The reservation is usable once it is written and `is_checked`.
        """
        retried(is_write_conflict)(self._write, more, at_most, is_checked)
        if self.lease_lost:
            raise WriteConflict(
                f"{self._store.url(self.key)} was written by another process that buys the same."
            )
        if is_checked:
            self._usable = self._known.checked_mills

    def _write(self, more: int, at_most: int, is_checked: bool) -> None:
        """Write the entry; WriteConflict if another process has added what it lost meanwhile."""
        if self.lease_lost:
            return
        entry, before = self.entry, self._known
        entry.reserved_mills = max(self.taken, min(self.taken + more, at_most))
        entry.checked_mills = entry.reserved_mills if is_checked else min(self._usable, entry.reserved_mills)
        entry.writer = self._token if more else ""
        if (data := encoded(entry)) == self._written:
            return
        try:
            self._tag = self._store.put_if_match(self.key, data, self._tag)
        except WriteConflict:
            self._look()
            now, is_own = self._known, self._known.writer == self._token
            self.lease_lost = not is_own and (now.writer, now.bought) != (before.writer, before.bought)
            if not self.lease_lost:
                raise
        else:
            self._written, self._known = data, decoded(data, LedgerEntry)

    def close(self) -> None:
        """Give back what is reserved and not spent; a process that was overtaken adds only what it lost."""
        with suppress(WriteConflict):
            if not self.lease_lost and (self._tag or self.entry.charged_mills):
                self.reserve(0)
        if self.lease_lost:
            self._store.update(self.key, lambda data: encoded(self._with_own(data or b"")))

    def _with_own(self, data: bytes) -> LedgerEntry:
        """The entry of the other process with what this one lost, and with what is uncertain of it."""
        entry = self._store.decoded(self.key, data, LedgerEntry)
        own = self._uncertain.get(self._token, NO_BILL)
        both = structs.replace(
            entry,
            lost_responses=entry.lost_responses | self._lost,
            uncertain=entry.uncertain | {self._token: own},
        )
        return _summed(both, entry.spent_mills - entry.lost_mills)


def _billed(kind: str, number: int, price: int) -> Billed:
    return Billed(BilledUnits(**{kind: number}), price * number)


def _summed(entry: LedgerEntry, stored_mills: int) -> LedgerEntry:
    """The entry with the sums of what is stored, lost and uncertain; what is reserved beyond stays."""
    lost_responses, uncertain = (
        sum(billed.mills for billed in part.values()) for part in (entry.lost_responses, entry.uncertain)
    )
    spent = stored_mills + lost_responses
    more = spent + uncertain - entry.charged_mills
    return structs.replace(
        entry,
        lost_mills=lost_responses,
        uncertain_mills=uncertain,
        spent_mills=spent,
        spent_usd=dollars(spent),
        would_have_cost_usd=dollars(would_have_cost({entry.month: entry.bought})),
        reserved_mills=entry.reserved_mills + more,
        checked_mills=entry.checked_mills + more,
    )


class Budget:
    """What one purchase may spend, drawn on by several readers at once; a context that ends with it settled.

        with budget.reserve("posts", 100, smallest=5) as reservation:
            response = reservation.settle(x.timeline(…, size=reservation.size))

    `purchase` is its day and number; `stored` what its stored responses have cost, to which each response is
    added once it is stored; `entry` the name of its ledger entries, if that is not the purchase's; `age` that
    of the posts of a snapshot.
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
        self._entry = entry or "-".join(map(str, purchase))
        self._changed = Condition()
        self._months: dict[str, _Month] = {}
        self._others_seen: dict[str, StoredObject] = {}
        self._is_stored = stored.ids
        self._stored = Stored(dict(stored.bought), dict(stored.mills), set(stored.ids))
        kept = store.parsed(store.keys(LEDGER), parse_ledger_key).values()
        before = {key.month for key in kept if key.entry == self._entry}
        for name in {*stored.bought, *before, month_of(clock())}:
            self._month(name)

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
        """Reserve the worst case of a request for `wanted` things or fewer, and book what X bills for it.

        If the budget cannot cover it, wait until the requests in flight are settled, then ask for fewer, down
        to `smallest`, then raise OverBudget.
        """
        at = self._clock()
        month = self._month(month_of(at))
        worst = worst_case(at)[kind]
        reservation = Reservation(self._granted(month, kind, worst, wanted, smallest), at)
        try:
            yield reservation
        except BaseException as error:
            reservation.fail(error)
            raise
        finally:
            with self._changed:
                self._book(month, kind, worst, reservation)
                self._changed.notify_all()

    def _book(self, month: _Month, kind: str, worst: int, reservation: Reservation) -> None:
        month.in_flight -= worst * reservation.size
        response = reservation.response
        if reservation.is_uncertain:
            month.add_uncertain(_billed(kind, reservation.size, worst))
        elif response and response.id in self._is_stored:
            self._stored.add(response)
        elif response and response.billed:
            month.add_lost(response.id, _billed(kind, response.billed, prices(reservation.at)[kind]))

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
                    day=day, buy=buy, age=self._age, month=name, reserved_mills=0, spent_mills=0
                )
                self._months[name] = _Month(self._store, ledger_key(name, self._entry), entry, self._stored)
            return self._months[name]

    def _reserve(self, month: _Month, needed: int) -> None:
        """Reserve what is needed, and some more, as far as the caps let it: first written, then added up.

        Where that fails in between, nothing of it is used, and it is given back in the end.
        """
        more = max(needed, RESERVATION_CHUNK)
        in_other_months = sum(each.taken for each in self._months.values() if each is not month)
        at_most = (self._caps.run[1] or sys.maxsize) - in_other_months
        cap = self._caps.month[1]
        month.reserve(more, at_most, is_checked=not cap)
        if cap:
            left = cap - sum(reserved(entry) for entry in self._others(month))
            month.reserve(more, min(left, at_most))

    def _others(self, month: _Month) -> list[LedgerEntry]:
        """The entries of the month's other purchases: listed each time, read where they have changed."""
        tags = self._store.etags(f"{LEDGER}month={month.entry.month}/")
        tags.pop(month.key, None)
        tags = {key: tags[key] for key in self._store.parsed(tags, parse_ledger_key)}
        changed = [
            key
            for key, tag in tags.items()
            if key not in self._others_seen or self._others_seen[key].etag != tag
        ]
        found = zip(changed, self._store.get_many(changed), strict=True)
        self._others_seen |= {key: entry for key, entry in found if entry}
        there = [(key, self._others_seen[key].data) for key in tags if key in self._others_seen]
        return [self._store.decoded(key, data, LedgerEntry) for key, data in there]

    def _refusal(self, month: _Month, planned: str, price: int) -> str:
        others = self._others(month) if self._caps.month[1] else []
        spent = {
            self._caps.run: sum(each.entry.charged_mills for each in self._months.values()),
            self._caps.month: sum(map(reserved, others)) + month.entry.charged_mills,
        }
        cap = min((cap for cap in spent if cap[1]), key=lambda cap: cap[1] - spent[cap])
        unsettled = [entry.day for entry in others if entry.reserved_mills > entry.charged_mills]
        notes = f", with what is reserved for {', '.join(unsettled)}: not settled" if unsettled else ""
        if uncertain := self.uncertain_mills:
            notes += (
                f", with ${dollars(uncertain):.3f} of requests without a response, which X may have billed"
            )
        return (
            f"${dollars(spent[cap]):.3f} of ${dollars(cap[1]):.2f} are spent (Variable {cap[0]}){notes}; "
            f"the next request is for at least {planned}, up to ${dollars(price):.3f}. "
            f"Raise {cap[0]} and clear the task: it goes on where it stopped."
        )


def spent_of_month(store: ObjectStore, at: datetime) -> int:
    """Mills that all entries take of the cap of the month."""
    return sum(map(reserved, entries(store, month_of(at))))


def entries(store: ObjectStore, month: str) -> list[LedgerEntry]:
    """All entries of a month; DamagedObject where one cannot be read: without it the sum is too small."""
    keys = [*store.parsed(store.keys(f"{LEDGER}month={month}/"), parse_ledger_key)]
    found = zip(keys, store.get_many(keys), strict=True)
    return [store.decoded(key, entry.data, LedgerEntry) for key, entry in found if entry]


def reserved(entry: LedgerEntry) -> int:
    """Mills that an entry takes of its month's cap."""
    return max(entry.reserved_mills, entry.charged_mills)
