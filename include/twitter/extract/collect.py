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
from include.twitter.errors import Refused, TryLater
from include.twitter.extract.accounts import Accounts, reasons
from include.twitter.extract.buyer import Buyer, Stopped
from include.twitter.extract.proof import Proving
from include.twitter.extract.purchase import COUNTS, LOOKUPS, SEARCHED, Purchase
from include.twitter.extract.walk import Reading, Walk
from include.twitter.extract.x import (
    ARCHIVE_PAGES,
    HANDLES_A_LOOKUP,
    READERS,
    RECENT_PAGES,
    TIMELINE_PAGES,
)
from include.twitter.records import AccountRead

log = logging.getLogger(__name__)

PROTECTED = "Authorization Error: the account is protected, and the archive shows nothing of it"


@dataclass
class Collection:
    """The reading of the accounts of which something is missing; of an `old` day X's full archive is read."""

    purchase: Purchase
    limit: int
    old: bool
    readings: dict[str, Reading] = field(default_factory=dict)
    """By lower-case handle."""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    """That a look-up of this purchase found, by lower-case handle."""
    counts: list[Answer] = field(default_factory=list)

    def resume(self) -> None:
        """Take every walk to where its staged pages end."""
        day = self.purchase.day
        first, second = (ARCHIVE_PAGES,) * 2 if self.old else (TIMELINE_PAGES, RECENT_PAGES)
        for handle in self.purchase.missing:
            walks = Walk(day, self.limit, *first), Walk(day, self.limit, *second)
            self.readings[handle.lower()] = Reading(handle, *walks)
        for folder, key, answer in self.purchase.staged():
            if folder == LOOKUPS:
                self._found(answer)
            elif folder == COUNTS:
                self.counts.append(answer)
            elif reading := self.readings.get(folder.removeprefix(SEARCHED)):
                reading.resume(key, answer, second=folder.startswith(SEARCHED))
        for reading in self.readings.values():
            reading.walk.leave_token()
            reading.second.leave_token()

    def collect(self, buyer: Buyer, known: Accounts, at: datetime) -> list[AccountRead]:
        """Buy what is missing."""
        self._look_up(buyer, known, at)
        found = [reading for reading in self.readings.values() if not reading.is_unavailable]
        _side_by_side(buyer, [partial(_walk, buyer, reading) for reading in found])
        read = [reading for reading in found if not reading.is_unavailable]
        _side_by_side(buyer, Proving(buyer, self.counts).jobs(read))
        return [reading.record() for reading in self.readings.values()]

    def _look_up(self, buyer: Buyer, known: Accounts, at: datetime) -> None:
        """Find the ids of the accounts; of those still to be read, the archive wants them seen anew.

        A search finds nothing of an account that is gone, and does not say so; a timeline does.
        """
        asked = []
        for name, reading in self.readings.items():
            line = self.purchase.line(name)
            reading.id = self.users.get(name, {}).get("id") or (line and line.id) or known.id_of(name, at)
            if not reading.walk.outcome and (name not in self.users if self.old else not reading.id):
                asked.append(reading)
        for start in range(0, len(asked), HANDLES_A_LOOKUP):
            some = asked[start : start + HANDLES_A_LOOKUP]
            answer = buyer.users([reading.username for reading in some])
            known.learn(answer)
            self._found(answer)
            unknown = reasons(answer, [reading.username for reading in some])
            for reading in some:
                reading.id = self.users.get(reading.username.lower(), {}).get("id")
                if reading.username in unknown:
                    reading.give_up(unknown[reading.username])
        self._refuse_the_unreadable()

    def _found(self, answer: Answer) -> None:
        self.users |= {user["username"].lower(): user for user in answer.posts}

    def _refuse_the_unreadable(self) -> None:
        seen = self.purchase.has
        for name, reading in self.readings.items():
            if not reading.walk.outcome and self.old and self.users[name].get("protected"):
                reading.give_up(PROTECTED)
            elif not reading.walk.outcome and reading.id in seen:
                reading.give_up(
                    f"the same account as {seen[reading.id]}: take one of them out of twitter_handles, or "
                    "let the day lose the other by twitter_accept_shrink"
                )
            seen.setdefault(reading.id, reading.username)


def _walk(buyer: Buyer, reading: Reading) -> None:
    """Read an account to the end of its day or to the limit."""
    walk = reading.walk
    while not walk.outcome:
        buyer.page(reading)
    said = walk.reason or walk.outcome
    log.info("%s: %s; posts %d, pages %d", reading.username, said, walk.returned, walk.pages)


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
