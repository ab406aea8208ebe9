"""X's own count held against what arrived.

A count costs as much as a post, so accounts are counted together, and one by one only where a group's count
is not exactly what arrived. X says that counts and results can differ a little. Whatever becomes of the
proof, what was paid for lands.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from msgspec import Struct, ValidationError, convert

from include.twitter.answer import Answer
from include.twitter.errors import (
    BadKeys,
    BadRequest,
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
from include.twitter.extract.walk import SEARCHED, Reading
from include.twitter.extract.x import HANDLES_A_COUNT, LONGEST_QUERY, query

log = logging.getLogger(__name__)

PASSING = (Outage, RateLimited)
PAUSES = (1, 5, 25)
"""Seconds after which a failure that passes by itself is tried again: half a minute in all."""
FOR_ALL = (BadKeys, KeysInDoubt, NoAccess, NoCredits, OverBudget, *PASSING)
"""What keeps X's count, or the search, away from every account alike."""
NO_PROOF = (*FOR_ALL, BadRequest, UnexpectedAnswer)
"""What may keep them away: then the day lands without."""

Asked = TypeVar("Asked")


@dataclass
class Proving:
    """The counting of accounts that were read; `counts` are X's answers that the purchase has already."""

    buyer: Buyer
    counts: list[Answer]
    _closed: dict[str, PipelineError] = field(default_factory=dict)
    """What is not asked for any more, and why."""

    def jobs(self, readings: Iterable[Reading]) -> list[Callable[[], None]]:
        """What is to be done, group by group: an account that stopped at the limit is not counted."""
        complete = {}
        for reading in readings:
            if reading.outcome == "limit":
                reading.proof = "limited"
            else:
                complete[str(reading.id)] = reading
        return [partial(self._check, [complete[id_] for id_ in ids]) for ids in groups(complete)]

    def _check(self, group: list[Reading]) -> None:
        """Count a group together, and one by one where it does not match in each hour of the day."""
        try:
            total, hours = self._counted([str(reading.id) for reading in group])
        except NO_PROOF as error:
            self._leave_unchecked(group, _in_words(error))
            return
        if len(group) == 1:
            group[0].counted = total
            self._compare(group[0], total)
        elif total == sum(reading.arrived for reading in group) and hours == _hours(group):
            for reading in group:
                reading.proof = "matched"
        else:
            for reading in group:
                self._check([reading])

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
        if reading.outcome == "limit":
            return
        if counted == reading.arrived:
            reading.proof, reading.proof_reason = "matched", None
            return
        reading.proof = "short" if counted > reading.arrived else "surplus"
        told = f"X counts {counted} posts, {reading.arrived} arrived"
        reading.proof_reason = ". ".join(filter(None, [told, reading.proof_reason]))
        log.warning("%s: %s", reading.username, reading.proof_reason)

    def _counted(self, ids: list[str]) -> tuple[int, Counter[str]]:
        """X's own count of the accounts' posts, asked for once: of the day, and of its hours."""
        asked = query(ids)
        had = (answer for answer in self.counts if answer.params["query"] == asked)
        answer = next(had, None) or self._ask("count", partial(self.buyer.count, ids))
        try:
            count = convert(answer.body, _Count)
        except ValidationError:
            count = _Count()
        total = count.meta.total_tweet_count
        if total is None and (total := count.meta.total_post_count) is None:
            raise UnexpectedAnswer(f"X was asked for a count and sent none, but {answer.content[:200]!r}")
        return total, +Counter({hour.start[:13]: hour.tweet_count or hour.post_count for hour in count.data})

    def _read_again(self, reading: Reading) -> None:
        """Read an account once more, through the search, as far as the limit."""
        try:
            while not self.buyer.old and not reading.second.outcome:
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


def _hours(group: list[Reading]) -> Counter[str]:
    return sum((reading.hours for reading in group), Counter())


class _Hour(Struct):
    start: str
    tweet_count: int = 0
    post_count: int = 0


class _Total(Struct, frozen=True):
    total_tweet_count: int | None = None
    total_post_count: int | None = None


class _Count(Struct):
    """X's answer, in both of its vocabularies."""

    meta: _Total = _Total()
    data: list[_Hour] = []


def groups(ids: Iterable[str]) -> Iterator[list[str]]:
    """The accounts in as few counts as X's limits allow."""
    group: list[str] = []
    for id_ in ids:
        if group and (len(group) == HANDLES_A_COUNT or len(query([*group, id_])) > LONGEST_QUERY):
            yield group
            group = []
        group.append(id_)
    if group:
        yield group
