"""Collects what is missing of a day: which account each handle is, its posts, and X's own count of them.

Accounts are isolated and read side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from include.twitter.answer import Answer
from include.twitter.errors import BadRequest, OtherAuthors, Refused, TryLater
from include.twitter.extract.accounts import PROTECTED, Accounts, reasons, users_of
from include.twitter.extract.buyer import Buyer, Stopped
from include.twitter.extract.group import TOGETHER, Group
from include.twitter.extract.paid_requests import REFUSED
from include.twitter.extract.planned import Planned
from include.twitter.extract.proof import Proving, groups
from include.twitter.extract.purchase import COUNTS, KINDS, LOOKUPS, Purchase
from include.twitter.extract.walk import REREADS, SEARCHED, THREADS, Reading, Walk
from include.twitter.extract.x import (
    ARCHIVE_PAGES,
    HANDLES_A_LOOKUP,
    LONGEST_ARCHIVE_QUERY,
    READERS,
    RECENT_PAGES,
    TIMELINE_PAGES,
)
from include.twitter.records import AccountRead
from include.twitter.safe_text import safe_text

log = logging.getLogger(__name__)

WHICH_ONE = (
    ". Nothing is bought of {id}: if it is the account you want, add {handle}={id} to Variable "
    "twitter_confirmed_account_ids and clear `extract`; if not, put the new handle of the old one into "
    "twitter_handles"
)

FORGOTTEN = "it was forgotten on {:%Y-%m-%d}, and nothing is bought of it: take it out of twitter_handles"


@dataclass
class Collection:
    """The reading of the accounts of which something is missing; of an `old` day X's full archive is read."""

    purchase: Purchase
    old: bool
    planned: Planned = field(default_factory=Planned)
    readings: dict[str, Reading] = field(default_factory=dict)
    """By lower-case handle, as `twitter_handles` names it."""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    """That a look-up of this purchase found, by lower-case handle."""
    look_ups: list[Answer] = field(default_factory=list)
    """Those that were staged before."""
    counts: list[Answer] = field(default_factory=list)
    groups: dict[tuple[str, ...], Group] = field(default_factory=dict)
    """Accounts that are read together, by their ids."""
    _read_as: dict[str, Reading] = field(default_factory=dict)
    """The accounts that are being read, by id."""

    def resume(self) -> None:
        """Take every walk to where its staged pages end."""
        self.readings = {handle.lower(): self._begun(handle) for handle in self.purchase.missing}
        self.users |= {n: u for n, u in self.planned.users.items() if not self.purchase.line(n)}
        for folder, key, answer in self.purchase.staged():
            if folder == LOOKUPS:
                self.look_ups.append(answer)
                self._found(answer)
            elif folder == COUNTS:
                self.counts.append(answer)
            elif folder.removeprefix(REFUSED).startswith(TOGETHER):
                self._take(folder, key, answer, ())
        for reading in self.readings.values():
            if id_ := self._presumed_id(reading.handle):
                self._bind(reading, id_)
        for group in self.groups.values():
            group.walk.leave_token()

    def _begun(self, handle: str) -> Reading:
        """The reading of an account, by the handle that it has on this day."""
        day, limit = self.purchase.day, self.purchase.limit_of(handle)
        first, then = (ARCHIVE_PAGES,) * 2 if self.old else (TIMELINE_PAGES, RECENT_PAGES)
        return Reading(
            self.purchase.username_of(handle),
            Walk(day, limit, *first),
            Walk(day, limit, *then),
            Walk(day, limit, *then, of_threads=True),
            handle=handle,
        )

    def _take(self, folder: str, key: str, answer: Answer, readings: Iterable[Reading]) -> None:
        """Go over a staged page of posts: of a group, or of each of these readings that it is one of."""
        if folder.removeprefix(REFUSED).startswith(TOGETHER):
            group = self._group_in(folder.removeprefix(REFUSED), answer.asked_ids)
            if folder.startswith(REFUSED):
                group.give_up("X sent posts of others")
            elif key not in group.pages:
                group.take(key, answer)
            return
        if folder.startswith(REREADS):
            asked = {*str(answer.params["ids"]).split(",")}
            for reading in readings:
                if asked & reading.unfilled.keys():  # its pages came before
                    reading.take_again(key, answer)
            return
        kind = next((kind for kind in (SEARCHED, THREADS) if folder.startswith(kind)), "")
        for reading in readings:
            if folder == f"{kind}{reading.id}":
                reading.resume(key, answer, kind)

    def _presumed_id(self, handle: str) -> str | None:
        """Which account the handle is, as far as it is known before the look-ups of this try."""
        return self.users.get(handle.lower(), {}).get("id") or self.purchase.id_of(handle)

    def collect(self, buyer: Buyer, known: Accounts, at: datetime) -> list[AccountRead]:
        """Buy what is missing; an account that X no longer finds by its id is looked up by its handle."""
        for answer in self.look_ups:
            self._learn(answer, known)
        self._look_up(buyer, known, self._unknown(known, at))
        self._read(buyer)
        if lost := [reading for name, reading in self.readings.items() if self._is_lost(name)]:
            self._find_again(buyer, known, lost)
            self._read(buyer)
        self._read_again(buyer)
        _side_by_side(buyer, Proving(buyer, self.counts, self.planned).jobs(self._available))
        self._read_again(buyer)
        return [reading.record() for reading in self.readings.values()]

    @property
    def _available(self) -> list[Reading]:
        return [reading for reading in self.readings.values() if not reading.is_unavailable]

    def _find_again(self, buyer: Buyer, known: Accounts, lost: list[Reading]) -> None:
        try:
            self._look_up(buyer, known, lost)
        except Refused as error:
            log.warning(
                "%d accounts that X does not find by their ids are not looked up. %s", len(lost), error
            )

    def _is_lost(self, name: str) -> bool:
        told_before = name in self.users and not self.planned.knows(name)
        return self.readings[name].walk.is_lost and not told_before

    def _read(self, buyer: Buyer) -> None:
        self._group_the_small()
        _side_by_side(buyer, [partial(self._walk_together, buyer, group) for group in self.groups.values()])
        _side_by_side(buyer, [partial(self._walk, buyer, reading) for reading in self._available])

    def _read_again(self, buyer: Buyer) -> None:
        """Read posts once more of which X could not fill a field."""
        lacking = [reading for reading in self._available if reading.unfilled]
        _side_by_side(buyer, [partial(buyer.read_again, reading) for reading in lacking])

    def _walk(self, buyer: Buyer, reading: Reading) -> None:
        """Read an account to the end of its day or to the limit, and its threads where they are wanted."""
        for kind in ("", THREADS) if self.purchase.wants_threads(reading.handle) else ("",):
            walk = reading.of(kind)
            try:
                while not walk.outcome:
                    buyer.page(reading, kind)
            except OtherAuthors as error:
                reading.give_up(str(error))
            if walk.pages or not reading.share:
                said = f"{kind}{reading.username}: {walk.reason or walk.outcome}"
                log.info("%s; posts %d, pages %d", said, walk.returned, walk.pages)
            if reading.is_unavailable:  # neither has it threads to be read
                return

    def _group_in(self, folder: str, ids: tuple[str, ...]) -> Group:
        """The group whose pages are in a folder: later ones may have been asked for fewer of its accounts."""
        begun = (group for group in self.groups.values() if group.folder == folder)
        return next(begun, None) or self._group(ids)

    def _group(self, ids: tuple[str, ...]) -> Group:
        return self.groups.setdefault(ids, Group.of(ids, self.purchase.day, *ARCHIVE_PAGES))

    def _group_the_small(self) -> None:
        """Read together, from the archive, what was not begun and has no limit, or holds no more."""
        limits = {str(reading.id): reading.walk.limit for reading in self._available}
        unlimited = {id_ for id_, limit in limits.items() if not limit}
        few = unlimited | self.planned.few(limits) if self.old else set()
        small = [str(r.id) for r in self._available if r.id in few and self._is_new(r)]
        for ids in groups(small, len(small), LONGEST_ARCHIVE_QUERY):
            if len(ids) > 1:
                self._group(tuple(ids))
        for reading in self._available:
            self._join(reading)

    def _join(self, reading: Reading) -> None:
        """Let an account have what comes of it in a group."""
        for group in self.groups.values():
            if reading.id in group.shares:
                reading.share_in(group.pages, group.shares[str(reading.id)])

    def _is_new(self, reading: Reading) -> bool:
        begun = reading.walk.pages or reading.walk.outcome or reading.share
        return not (
            begun or self.purchase.line(reading.handle) or self.purchase.wants_threads(reading.handle)
        )

    def _walk_together(self, buyer: Buyer, group: Group) -> None:
        """Read a group to the end of the day; where X does not let that be, they are read one by one."""
        readings = [reading for reading in self._available if reading.shared is group.pages]
        ids = {reading.id for reading in readings}
        group.reading = tuple(id_ for id_ in group.ids if id_ in ids)
        try:
            while readings and not group.walk.outcome:
                buyer.page_of(group)
        except (OtherAuthors, BadRequest) as error:
            group.give_up(str(error))
        walk = group.walk
        log.info(
            "%d accounts together: %s; posts %d, pages %d",
            len(group.ids),
            walk.reason or walk.outcome,
            walk.returned,
            walk.pages,
        )
        for reading in readings:
            line = self.purchase.line(reading.handle)
            if walk.outcome == "complete" and not (line and line.outcome == "unavailable"):
                reading.walk.outcome = reading.walk.outcome or walk.outcome
                reading.walk.reason = reading.walk.reason or walk.reason

    def _unknown(self, known: Accounts, at: datetime) -> list[Reading]:
        """The accounts to look up; of those still to be read, the archive wants all seen anew.

        A search finds nothing of an account that is gone, and does not say so; a timeline does.
        """
        unknown = []
        for name, reading in [*self.readings.items()]:
            id_ = self._id_of(name) or known.id_of(name, at)
            is_read = reading.walk.outcome and reading.id == id_
            anew = self.old and not is_read and id_ not in self.purchase.forgotten.accounts
            if name not in self.users and (not id_ or anew):
                unknown.append(reading)
            elif id_:
                self._recognise(reading, id_, known)
        return unknown

    def _id_of(self, name: str) -> str | None:
        """As a look-up of this purchase told it, or as it was bought: one that was away may be another."""
        line = self.purchase.line(name)  # that of the account, whatever its handle was
        bought = line.id if line and line.outcome != "unavailable" else None
        return self.users.get(name, {}).get("id") or bought

    def _look_up(self, buyer: Buyer, known: Accounts, readings: list[Reading]) -> None:
        for start in range(0, len(readings), HANDLES_A_LOOKUP):
            some = readings[start : start + HANDLES_A_LOOKUP]
            answer = buyer.users([reading.handle for reading in some])
            self._found(answer)
            gone = reasons(answer, [reading.handle for reading in some])
            for reading in some:
                if reading.handle not in gone:
                    self._recognise(reading, self.users[reading.handle.lower()]["id"], known)
                elif not reading.is_unavailable:
                    reading.give_up(gone[reading.handle])
            self._learn(answer, known)

    def _found(self, answer: Answer) -> None:
        self.users |= users_of(answer)

    def _learn(self, answer: Answer, known: Accounts) -> None:
        """Remember which accounts the handles are, but for those that nobody has accepted as another one."""
        ids = {name: user["id"] for name, user in users_of(answer).items()}
        known.learn(answer, but=[name for name, id_ in ids.items() if self._is_refused(name, id_, known)])

    def _is_refused(self, handle: str, id_: str, known: Accounts) -> bool:
        return bool(self._former(handle, id_, known)) and not known.accepts(handle, id_)

    def _former(self, handle: str, id_: str, known: Accounts) -> str | None:
        """The other account that the handle was, in the day or when it was looked up last."""
        before = self.purchase.line(handle) or self.purchase.former(handle)
        # Without a look-up, the day itself says which account it is, whatever the handle became later.
        remembered = known.last_id_of(handle) if handle.lower() in self.users else None
        had = [before.id if before else None, remembered]
        return next((other for other in had if other not in (None, id_)), None)

    def _recognise(self, reading: Reading, id_: str, known: Accounts) -> None:
        """Read this account for the handle, unless it was another one's, and that was not accepted."""
        handle = reading.handle
        if former := self._former(handle, id_, known):
            told = safe_text(f"the handle has become another account: {id_}, and it was {former}")
            if not known.accepts(handle, id_):
                # The refusal takes the place of no line that has pages: what was bought stays the day's.
                line = self.purchase.line(handle)
                self._bind(reading, (line and line.id) or (id_ if self.purchase.former(handle) else former))
                reading.give_up(told + WHICH_ONE.format(handle=handle, id=safe_text(id_, 40)))
                return
            log.warning("%s: %s. Accepted by twitter_confirmed_account_ids", handle, told)
        self.purchase.confirm(handle, id_)
        if other := self._twin(reading, id_):
            log.warning("%s and %s are one account, %s: it is collected once", handle, other, id_)
            del self.readings[handle.lower()]
            return
        if self.purchase.has(handle):
            log.info(
                "%s is %s in this day, and nothing of it is missing",
                handle,
                self.purchase.username_of(handle),
            )
            del self.readings[handle.lower()]
            return
        reading.was_another = known.accepts(handle, id_)
        self._bind(reading, id_)
        self._join(reading)
        if not reading.walk.outcome:
            self._refuse_the_unreadable(reading)
        if not reading.is_unavailable:
            self._read_as[id_] = reading

    def _twin(self, reading: Reading, id_: str) -> str | None:
        """Another handle of the same account, whose reading goes on in this one's place."""
        other = self._read_as.get(id_)
        return other.handle if other and other is not reading else None

    def _bind(self, reading: Reading, id_: str) -> None:
        """Read this account, going on from what the purchase has of it, whatever its handle was then."""
        reading.username = self.purchase.username_of(reading.handle)
        if reading.id == id_:
            return
        reading.belong_to(id_)
        for folder, key, answer in self.purchase.staged_of(id_):
            self._take(folder, key, answer, [reading])
        for kind in KINDS:
            reading.of(kind).leave_token()

    def _refuse_the_unreadable(self, reading: Reading) -> None:
        if tombstone := self.purchase.forgotten.accounts.get(str(reading.id)):
            reading.give_up(FORGOTTEN.format(tombstone.at))
        elif self.old and self.users.get(reading.handle.lower(), {}).get("protected"):
            reading.give_up(PROTECTED)


def _side_by_side(buyer: Buyer, jobs: Iterable[Callable[[], None]]) -> None:
    """Run the jobs, several at once; the first failure keeps the others from buying more.

    Of several failures the one that needs a person is raised, and one that passes by itself last.
    """
    with ThreadPoolExecutor(READERS) as pool:
        running = [pool.submit(job) for job in jobs]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
            failed = any(job.done() and not job.cancelled() and job.exception() for job in running)
        except BaseException:  # Airflow ends the task
            failed = True
            raise
        finally:
            if failed:
                buyer.stopped.set()
                pool.shutdown(cancel_futures=True)
    errors = [error for job in running if not job.cancelled() and (error := job.exception())]
    errors = [error for error in errors if not isinstance(error, Stopped)]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, TryLater) - isinstance(error, Refused))
