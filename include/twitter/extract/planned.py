"""What `twitter_plan` has found out of one day before it was bought: who the accounts are, and X's counts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.twitter.day import Day, plan_key
from include.twitter.errors import BadDay, NothingStaged
from include.twitter.extract.accounts import users_of
from include.twitter.extract.counted import Counted, of_day, of_queries
from include.twitter.lake import Lake
from include.twitter.records import Plan


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


def planned(lake: Lake, id_: str, day: Day) -> Planned:
    """What a plan has for the day."""
    plan = plan_of(lake, id_)
    its = next((each for each in plan.days if each.day == str(day)), None)
    if its is None:
        raise BadDay(f"The plan {id_} is not for {day}, but for {plan.days[0].day} to {plan.days[-1].day}.")
    users = {name: user for answer in lake.answers(plan.users) for name, user in users_of(answer).items()}
    keys = [count.key for count in plan.counts if count.first <= str(day) <= count.last and not count.threads]
    answers = list(lake.answers(keys))
    ids = {answer.params["query"]: answer.asked_ids for answer in answers}
    counts = {ids[asked]: of_day(hours, day) for asked, hours in of_queries(answers).items()}
    return Planned(its.accounts, users, counts)


def plan_of(lake: Lake, id_: str) -> Plan:
    """The plan of this id, as it was shown for approval."""
    key = plan_key(id_)
    if not (plan := lake.record(key, Plan)):
        raise NothingStaged(f"{lake.url(key)} is gone: trigger `twitter_plan` again.")
    return plan
