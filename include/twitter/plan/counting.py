"""X's look-up and counts for a plan: each is asked for once, kept as it came, and booked under the caps."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from include.twitter.answer import Answer
from include.twitter.day import PLANS, Day, is_plan_answer, short_hash
from include.twitter.errors import Outage
from include.twitter.extract.counts import DAYS_A_COUNT, Count, count_of
from include.twitter.extract.money import Budget, Caps, Stored
from include.twitter.extract.paid_requests import NamedResponses, PaidRequests
from include.twitter.extract.x import HANDLES_A_LOOKUP, X
from include.twitter.lake import Lake
from include.twitter.records import PlannedCount
from include.twitter.retry import no_try_for_progress
from include.twitter.run import Range
from include.twitter.settings import XAccess
from include.twitter.sources import LONGEST_ARCHIVE_QUERY, author_query, batches, self_reply_query

log = logging.getLogger(__name__)

MOST_IN_A_GROUP = 100


@dataclass(frozen=True)
class Window:
    """Accounts that lack the same days, at most 31 from the first to the last: one request counts them."""

    ids: tuple[str, ...]
    days: tuple[Day, ...]

    @property
    def singles(self) -> list[Window]:
        return [Window((id_,), self.days) for id_ in self.ids]


@dataclass(frozen=True)
class Tally:
    """What X counts of a day, of accounts together or of one alone."""

    ids: tuple[str, ...]
    count: Count
    of_threads: bool = False


def windows(lacking: Mapping[str, tuple[Day, ...]]) -> list[Window]:
    """The fewest requests that count each account, by its id, on the days that it lacks."""
    alike: dict[tuple[Day, ...], list[str]] = defaultdict(list)
    for id_, days in lacking.items():
        if days:
            alike[days].append(id_)
    return [
        Window(tuple(ids), span)
        for days, all_ids in alike.items()
        for ids in batches(all_ids, MOST_IN_A_GROUP, LONGEST_ARCHIVE_QUERY)
        for span in _spans(days)
    ]


def _spans(days: tuple[Day, ...]) -> Iterator[tuple[Day, ...]]:
    """The days in as few spans as X's answers hold."""
    span: list[Day] = []
    for day in days:
        if span and day.date - span[0].date >= timedelta(days=DAYS_A_COUNT):
            yield tuple(span)
            span = []
        span.append(day)
    if span:
        yield tuple(span)


@dataclass
class Counting:
    """What one run of `twitter_plan` asks X for."""

    x: X
    requests: PaidRequests
    users: list[str] = field(default_factory=list)
    """Keys of X's answers."""
    counts: list[PlannedCount] = field(default_factory=list)
    _hours: list[tuple[Window, bool, Counter[str]]] = field(default_factory=list)
    """What was counted: of which window, and whether of threads."""

    def look_up(self, handles: list[str]) -> Iterator[tuple[list[str], Answer]]:
        """X's answer for each hundred of the handles."""
        for start in range(0, len(handles), HANDLES_A_LOOKUP):
            some = handles[start : start + HANDLES_A_LOOKUP]
            key, answer = self._asked(f"users {some}", "users", len(some), partial(self._users, some))
            self.users.append(key)
            yield some, answer

    def _users(self, handles: list[str]) -> Answer:
        answer = self.x.users(handles)
        if answer.failure:
            raise Outage(f"X could not look up all users: {answer.failure}")
        return answer

    def count(self, window: Window, *, threads: bool = False) -> None:
        """X's count of a window, hour by hour."""
        asked = self_reply_query(window.ids[0]) if threads else author_query(window.ids)
        first, last = window.days[0], window.days[-1]
        token = None
        while True:
            ask = partial(self.x.count_days, asked, first, last, token)
            key, answer = self._asked(f"counts {asked} {first} {last} {token}", "archive_counts", 1, ask)
            self.counts.append(PlannedCount(key, str(first), str(last), threads))
            self._hours.append((window, threads, count_of(answer).hours))
            if not (token := answer.next_token):
                return

    def _asked(self, what: str, kind: str, most: int, ask: Callable[[], Answer]) -> tuple[str, Answer]:
        """What X answers, or has answered before: an earlier try paid for it."""
        problem = _require_count if kind == "archive_counts" else lambda _: None
        return self.requests.ask(short_hash(what), kind, most, most, lambda _: ask(), problem)

    def of(self, day: Day) -> list[Tally]:
        """What was counted of a day."""
        found: dict[tuple[tuple[str, ...], bool], Counter[str]] = defaultdict(Counter)
        for window, threads, hours in self._hours:
            if day in window.days:
                found[window.ids, threads] |= hours  # one that is long may come in several answers
        counts = {key: Count(hours.total(), hours).of_day(day) for key, hours in found.items()}
        return [Tally(ids, count, threads) for (ids, threads), count in counts.items()]

    def over(self, window: Window, limit: int) -> bool:
        """Whether some account of a group may have more posts than the limit on a day."""
        counts = (tally.count for day in window.days for tally in self.of(day) if tally.ids == window.ids)
        return bool(limit) and any(count.total > limit for count in counts)


def _require_count(answer: Answer) -> None:
    count_of(answer)  # raises if it is none: it is not stored as one


@contextmanager
def counting(lake: Lake, range_: Range, caps: Caps, access: XAccess) -> Iterator[Counting]:
    """A connection to X whose requests are booked as the plan's."""
    prefix = f"{PLANS}{range_.id}/"
    stored = booked(lake, prefix)
    name = str(range_.days[0]), 0
    with (
        Budget(lake, name, caps, stored, range_.now, entry=f"plan-{range_.id}") as budget,
        X(access, range_.now, are_known=bool(stored.bought)) as x,
    ):
        responses = NamedResponses(lake, prefix, stored)
        with no_try_for_progress(lambda: responses.made_progress, range_.now):
            yield Counting(x, PaidRequests(budget, responses))


def booked(lake: Lake, prefix: str) -> Stored:
    """What earlier tries of the plan have bought."""
    stored = Stored()
    listed = lake.parsed(lake.keys(prefix), is_plan_answer)
    for answer in lake.answers(key for key, is_answer in listed.items() if is_answer):
        stored.add(answer)
    return stored
