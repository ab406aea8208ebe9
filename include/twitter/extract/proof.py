"""X's own count held against what arrived.

A count costs as much as a post, so handles are counted together, and one by one only where a group does not
match. X says that counts and results can differ a little.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from include.twitter.answer import Answer
from include.twitter.errors import BadKeys, BadRequest, NoAccess, OverBudget
from include.twitter.extract.buyer import Buyer
from include.twitter.extract.walk import Reading
from include.twitter.extract.x import HANDLES_A_COUNT, LONGEST_QUERY, query

log = logging.getLogger(__name__)

NO_PROOF = (BadKeys, BadRequest, NoAccess, OverBudget)
"""What may keep X's count away: then the day lands unchecked."""


@dataclass
class Proving:
    """The counting of accounts that were read; `counts` are X's answers that the purchase has already."""

    buyer: Buyer
    counts: list[Answer]

    def jobs(self, readings: Iterable[Reading]) -> list[Callable[[], None]]:
        """What is to be done, group by group: an account that stopped at the limit is not counted."""
        complete = {}
        for reading in readings:
            if reading.outcome == "limit":
                reading.proof = "limited"
            else:
                complete[reading.username] = reading
        return [
            partial(self._check, [complete[handle] for handle in handles]) for handles in groups(complete)
        ]

    def _check(self, group: list[Reading]) -> None:
        """Count a group together, and one by one where it does not match."""
        try:
            counted = self._counted([reading.username for reading in group])
        except NO_PROOF as error:
            log.warning("X's own count is not held against %d accounts. %s", len(group), error)
            return
        if counted is None:
            log.warning("X was asked for the count of %d accounts and sent none", len(group))
            return
        if len(group) == 1:
            group[0].counted = counted
        if counted <= sum(reading.arrived for reading in group):
            for reading in group:
                reading.proof = "matched"
        elif len(group) > 1:
            for reading in group:
                self._check([reading])
        else:
            self._read_again(group[0], counted)

    def _counted(self, handles: list[str]) -> int | None:
        """X's own count of the handles' posts, asked for once; None where X sent none."""
        asked = query(handles)
        had = (answer for answer in self.counts if answer.params["query"] == asked)
        answer = next(had, None) or self.buyer.count(handles)
        meta = answer.body.get("meta") or {}
        return meta.get("total_tweet_count", meta.get("total_post_count"))

    def _read_again(self, reading: Reading, counted: int) -> None:
        """Read a short account once more, through the search; what is short after that lands as it is."""
        try:
            while not self.buyer.old and not reading.again.outcome:
                self.buyer.page(reading, again=True)
        except NO_PROOF as error:
            log.warning("%s cannot be read once more. %s", reading.username, error)
        if reading.outcome == "limit":
            reading.proof = "limited"
        elif counted <= reading.arrived:
            reading.proof = "matched"
        else:
            reading.proof = "short"
            log.warning("%s: X counts %d posts, %d arrived", reading.username, counted, reading.arrived)


def groups(handles: Iterable[str]) -> Iterator[list[str]]:
    """The handles in as few counts as X's limits allow."""
    group: list[str] = []
    for handle in handles:
        if group and (len(group) == HANDLES_A_COUNT or len(query([*group, handle])) > LONGEST_QUERY):
            yield group
            group = []
        group.append(handle)
    if group:
        yield group
