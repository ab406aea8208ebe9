"""The bucket's owner: erases posts by `make forget`, and runs it again until it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from simulation import edges
from simulation.scheduler import Killed, Process
from simulation.store import Client

if TYPE_CHECKING:
    from simulation.airflow import Simulation

OWNER = "owner/"
"""How the names of its processes begin."""
MOST_TRIES = 60


@dataclass(eq=False)
class Erasure:
    """What somebody wants erased, until the command has said that it is."""

    name: str
    posts: frozenset[str] = frozenset()
    account: str | None = None
    is_gone: bool = False
    """Whether it is what X's responses prove gone."""
    named: set[str] = field(default_factory=set)
    """The ids that may go: of the posts that were named, with all of their versions."""
    required: set[str] = field(default_factory=set)
    """Those of them that have to."""
    process: Process | None = None
    tries: int = 0
    gave_number: bool = False
    ended_at: datetime | None = None


class Owner:
    """Erases, and remembers what it wanted erased."""

    def __init__(self, simulation: Simulation) -> None:
        self._s = simulation
        self.begun: list[Erasure] = []
        self.on_try: list[Callable[[Erasure], None]] = []
        self.on_end: list[Callable[[Erasure], None]] = []

    @property
    def is_write_conflict(self) -> bool:
        return any(each.process is not None for each in self.begun)

    def may_be_gone(self, id_: str) -> bool:
        """Whether somebody wanted the post erased, whether or not it has been yet."""
        return any(self.is_of(each, id_) for each in self.begun)

    def erased(self, before: datetime | None = None) -> set[str]:
        """The ids of all posts of which the command has said by then that they are nowhere."""
        ended = [each for each in self.begun if each.ended_at and (not before or each.ended_at <= before)]
        accounts = {each.account for each in ended if each.account}
        sent = (post for served in self._s.world.served for post in served.posts) if accounts else ()
        own = {post["id"] for post in sent if post.get("author_id") in accounts}  # some come as another's
        return own.union(*(each.required for each in ended))

    def is_of(self, erasure: Erasure, id_: str) -> bool:
        """Whether this erasure is meant to take the post."""
        post = self._s.world.by_id.get(int(id_))
        return id_ in erasure.named or bool(post and post.author.id == erasure.account)

    def erases_what_is_gone(self) -> None:
        """Every other day, where checks are made."""
        for number in range(3, self._s.days + 2, 2):
            at = self._s.first + timedelta(days=number, hours=15)
            self._s.scheduler.sleep(max((at - self._s.clock()).total_seconds(), 0))
            self.erase(f"gone {number}", is_gone=True)

    def erase(
        self, name: str, *, posts: set[str] | None = None, account: str | None = None, is_gone: bool = False
    ) -> None:
        """Run the command until it ends well, or until it is not confirmed."""
        versions = self.versions(posts or set())
        erasure = Erasure(name, frozenset(posts or ()), account, is_gone, versions, {*versions})
        self.begun.append(erasure)
        while erasure.tries < MOST_TRIES:
            erasure.tries += 1
            error = self._try(erasure, continues=erasure.tries % 4 == 3)
            if error is None and erasure.tries % 4 != 3:
                erasure.ended_at = self._s.clock()
                for see in self.on_end:
                    see(erasure)
                return
            if error and "nothing was changed" in str(error):
                return
            if error and not isinstance(error, Killed) and not edges.is_of_the_command(error):
                self._s.breach("named_errors", f"{name}: {type(error).__name__}: {error}")
            if "Clear `transform`" in str(error):
                self._clear_what_is_half_published()
            minutes = 5 + 180 * self._s.draw.number(f"{name} {erasure.tries} waits")
            self._s.scheduler.sleep(minutes * 60)
        erasure.process = None
        self._s.breach("advice", f"{name} was run {erasure.tries} times, and ends with: {error}")

    def versions(self, ids: set[str]) -> set[str]:
        """The ids with those of all versions of the same posts."""
        known = self._s.world.by_id
        return {
            str(each) for id_ in ids for each in (known[int(id_)].history if int(id_) in known else [id_])
        }

    def _try(self, erasure: Erasure, *, continues: bool) -> BaseException | None:
        s = self._s
        name = f"{OWNER}{erasure.name}/{erasure.tries}"
        process = Process(name, {}, "erasure", "erase", only_writes=True)
        process.faults = not s.faults.calm and s.draw.happens(f"{name} storm", s.storm)
        if process.faults and s.draw.happens(f"{name} kill", 0.5):
            process.kill_at = 1 + int(40 * s.draw.number(f"{name} kill at") ** 1.5)
            process.kill_after = s.draw.happens(f"{name} kill after", 0.5)
        process.store = Client(s.bucket, s.faults, s.latency)
        erasure.process, erasure.gave_number = process, False
        for see in self.on_try:
            see(erasure)
        is_first = erasure.tries == 1
        declines = is_first and s.draw.happens(f"{name} declines", 0.1)
        gives_number = not is_first or s.draw.happens(f"{name} gives the number", 0.7)

        def number(_: int) -> bool:
            erasure.gave_number = gives_number
            return gives_number

        posts, account, is_gone = erasure.posts, erasure.account, erasure.is_gone
        if continues:  # without arguments it continues what was begun
            posts, account, is_gone = frozenset(), None, False
        at = s.clock().replace(microsecond=0)
        work = partial(edges.erase, posts, account, is_gone, at, lambda: not declines, number)
        task = s.scheduler.spawn(work, process)
        task.join()
        erasure.process = None
        changed = s.bucket.deleted.get(name, 0) + sum(
            version.by == name for versions in s.bucket.versions.values() for version in versions
        )
        if (declines or (task.error and "nothing was changed" in str(task.error))) and changed:
            s.breach("nothing_is_erased_without_a_yes", f"{name}: {changed} versions were written or deleted")
        return task.error

    def _clear_what_is_half_published(self) -> None:
        """Clear `transform` of the last run of each day, as the message says."""
        last = {run.day: run for each in self._s.deployments for run in each.runs if run.dag == "twitter"}
        for run in last.values():
            if "extract" in run.results:
                self._s.clear(run, "transform")
