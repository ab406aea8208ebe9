"""What `twitter_plan` has found out of one day before it was bought: who the accounts are, and X's counts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.twitter.extract.counted import Counted


@dataclass(frozen=True)
class Planned:
    """Nothing, where the run was started by no plan."""

    accounts: tuple[str, ...] = ()
    """Handles that the day still lacks."""
    users: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """As X's look-up told them, by lower-case handle."""
    counts: Mapping[tuple[str, ...], Counted] = field(default_factory=dict)
    """Of the day, by the ids of the accounts that were counted together."""

    def knows(self, handle: str) -> bool:
        """Whether the account was looked up for the plan."""
        return handle.lower() in self.users

    def counted(self, ids: Collection[str]) -> Counted | None:
        """X's count of just these accounts, where the plan has asked for it."""
        return self.counts.get(tuple(ids))

    def groups(self, ids: Collection[str]) -> Iterator[list[str]]:
        """Those of the accounts that the plan has counted, one by one where it can, else together."""
        left = {*ids}
        for group in sorted(self.counts, key=len):
            if left.issuperset(group):
                left -= {*group}
                yield [*group]

    def few(self, limits: Mapping[str, int]) -> set[str]:
        """The accounts of which X counts no more posts than their limits, which are by id; 0 is none."""
        lowest = {ids: min(filter(None, map(limits.get, ids)), default=0) for ids in self.counts}
        return {
            id_
            for ids, count in self.counts.items()
            if not lowest[ids] or count.total <= lowest[ids]
            for id_ in ids
        }
