"""X's own count held against what arrived.

A count costs as much as a post, so accounts are counted together, and one by one only where a group's count
is not exactly what arrived. X says that counts and results can differ a little. Whatever becomes of the
proof, what was paid for lands.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from include.twitter.answer import Answer
from include.twitter.errors import (
    BadKeys,
    BadRequest,
    ClockWrong,
    KeysInDoubt,
    NoAccess,
    NoCredits,
    Outage,
    OverBudget,
    PipelineError,
    RateLimited,
    UnexpectedAnswer,
)
from include.twitter.extract.buyer import Buyer
from include.twitter.extract.counts import Count, count_of
from include.twitter.extract.walk import SEARCHED, THREADS, Reading
from include.twitter.sources import author_query, batches

log = logging.getLogger(__name__)

PASSING = (Outage, RateLimited)
PAUSES = (1, 5, 25)
"""Seconds after which a failure that passes by itself is tried again: half a minute in all."""
FOR_ALL = (BadKeys, KeysInDoubt, ClockWrong, NoAccess, NoCredits, OverBudget, *PASSING)
"""What keeps X's count, or the search, away from every account alike."""
NO_PROOF = (*FOR_ALL, BadRequest, UnexpectedAnswer)
"""What may keep them away: then the day lands without."""

Asked = TypeVar("Asked")


@dataclass
class Proving:
    """The counting of accounts that were read; `counts` are X's answers that the purchase has already."""

    buyer: Buyer
    counts: list[Answer]
    stored: Mapping[tuple[str, ...], Count] = field(default_factory=dict)
    """X's counts that others have paid for, by the ids of the accounts that were counted together."""
    _closed: dict[str, PipelineError] = field(default_factory=dict)
    """What is not asked for any more, and why."""

    def jobs(self, readings: Iterable[Reading]) -> list[Callable[[], None]]:
        """What is to be done, group by group: an account that stopped at the limit is not counted."""
        complete = {}
        for reading in readings:
            if reading.outcome == "limit":
                reading.proof = "limited"
                if count := self.stored.get((str(reading.id),)):
                    reading.counted = count.total
            else:
                complete[str(reading.id)] = reading
        together = [*self._counted_already(complete)]
        rest = complete.keys() - {id_ for ids in together for id_ in ids}
        rest = {id_ for id_ in rest if not self._is_proven(complete[id_])}
        together += batches(id_ for id_ in complete if id_ in rest)
        return [partial(self._check, [complete[id_] for id_ in ids]) for ids in together]

    def _is_proven(self, reading: Reading) -> bool:
        """Whether its own posts were held against a count before: threads that are read later change none."""
        line = self.buyer.purchase.line(reading.handle)
        if line is None or line.outcome != "complete" or line.proof == "unchecked" or line.id != reading.id:
            return False
        own = [page for page in reading.pages if f"/{THREADS}" not in page]
        if not {*own} <= {*line.pages}:
            return False
        reading.proof, reading.proof_reason, reading.counted = line.proof, line.proof_reason, line.counted
        return True

    def _check(self, group: list[Reading]) -> None:
        """Count a group together, and one by one where it does not match in each hour of the day."""
        try:
            counted = self._counted([str(reading.id) for reading in group])
        except NO_PROOF as error:
            self._leave_unchecked(group, _in_words(error))
            return
        if len(group) == 1:
            group[0].counted = counted.total
            self._compare(group[0], counted.total)
        elif counted.total == _arrived(group) and +counted.hours == _hours(group):
            told = f"X counts {counted.total} posts of {len(group)} accounts together, and as many arrived"
            for reading in group:
                reading.proof, reading.proof_reason = "matched", told
        else:
            for reading in group:
                self._check([reading])

    def _counted_already(self, ids: Iterable[str]) -> Iterator[list[str]]:
        """Those of the accounts that were counted for others, one by one where it can be, else together."""
        left = {*ids}
        for group in sorted(self.stored, key=len):
            if left.issuperset(group):
                left -= {*group}
                yield [*group]

    def _leave_unchecked(self, group: list[Reading], reason: str) -> None:
        """Nothing says that an empty account is one: it is read once more."""
        log.warning("X's own count is not held against %d accounts. %s", len(group), reason)
        for reading in group:
            reading.proof_reason = reason
            if not reading.arrived:
                self._read_again(reading)

    def _compare(self, reading: Reading, counted: int) -> None:
        """Read a short account once more; what does not match after that lands as it is, and is told."""
        if counted > reading.arrived:
            self._read_again(reading)
        if reading.outcome in ("limit", "unavailable"):
            return
        if counted == reading.arrived:
            reading.proof, reading.proof_reason = "matched", None
            return
        reading.proof = "short" if counted > reading.arrived else "surplus"
        told = f"X counts {counted} posts, {reading.arrived} arrived"
        reading.proof_reason = ". ".join(filter(None, [told, reading.proof_reason]))
        log.warning("%s: %s", reading.username, reading.proof_reason)

    def _counted(self, ids: list[str]) -> Count:
        """X's own count of the accounts' posts, asked for once: by others, or by this purchase."""
        if stored := self.stored.get(tuple(ids)):
            return stored
        asked = author_query(ids)
        had = (answer for answer in self.counts if answer.params["query"] == asked)
        answer = next(had, None) or self._ask("count", partial(self.buyer.count, ids))
        return count_of(answer)

    def _read_again(self, reading: Reading) -> None:
        """Read an account once more, through the search, as far as the limit; the archive brings the same."""
        try:
            while not (self.buyer.old or reading.second.outcome):
                self._ask("search", partial(self.buyer.page, reading, SEARCHED))
        except NO_PROOF as error:
            reading.second.reason = _in_words(error)
        if reading.outcome == "limit":
            reading.proof, reading.proof_reason = "limited", None
        elif reading.second.reason:
            told = f"It could not be read once more: {reading.second.reason}"
            reading.proof_reason = " ".join(filter(None, [reading.proof_reason, told]))
            log.warning("%s: %s", reading.username, told)

    def _ask(self, what: str, ask: Callable[[], Asked]) -> Asked:
        """Ask X, some times where it fails for the moment; what failed for all is not asked for again."""
        if what in self._closed:
            raise self._closed[what]
        try:
            for pause in PAUSES:
                try:
                    return ask()
                except PASSING as error:
                    log.info("Tried again in %d seconds: %s", pause, error)
                    self.buyer.pause(pause)
            return ask()
        except FOR_ALL as error:
            self._closed[what] = error
            raise


def _in_words(error: PipelineError) -> str:
    return f"{error} That was done {len(PAUSES)} times." if isinstance(error, PASSING) else str(error)


def _arrived(group: list[Reading]) -> int:
    return sum(reading.arrived for reading in group)


def _hours(group: list[Reading]) -> Counter[str]:
    return sum((reading.hours for reading in group), Counter())
