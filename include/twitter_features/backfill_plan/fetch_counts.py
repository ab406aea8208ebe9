"""The paid requests of a plan: look-ups of its accounts, and X's counts of their posts."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from more_itertools import chunked

from include.twitter.answer import Answer
from include.twitter.day import Day, short_hash
from include.twitter.errors import Outage
from include.twitter.extract.accounts import PROTECTED, Accounts, reasons, users_of
from include.twitter.extract.counted import count_of, of_day
from include.twitter.extract.money import Caps, Money, Stored
from include.twitter.extract.proof import groups
from include.twitter.extract.x import (
    DAYS_A_COUNT,
    HANDLES_A_LOOKUP,
    LONGEST_ARCHIVE_QUERY,
    X,
    query,
    thread_query,
)
from include.twitter.lake import Lake, answer_in
from include.twitter.retry import no_try_for_progress
from include.twitter.settings import XAccess
from include.twitter_features.backfill_plan.plan import PlanRequest, is_response_key, plan_prefix

log = logging.getLogger(__name__)

MAX_ACCOUNTS = 100


@dataclass(frozen=True)
class Window:
    """Accounts that lack the same days, at most 31 from the first to the last: one request counts them."""

    ids: tuple[str, ...]
    days: tuple[Day, ...]
    of_threads: bool = False
    """Whether an account's replies to itself are counted, not its other posts."""

    @property
    def query(self) -> str:
        return thread_query(*self.ids) if self.of_threads else query(self.ids)


@dataclass(frozen=True)
class CountResult:
    """X's count of a window, by hour."""

    window: Window
    hours: Counter[str]

    def posts(self, day: Day) -> int:
        return of_day(self.hours, day).total


@dataclass
class ResolvedAccounts:
    """The ids of the accounts that X shows, and why it does not show the others, by handle."""

    ids: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)


def windows(lacking: Mapping[str, Sequence[Day]], *, threads: bool = False) -> list[Window]:
    """Return the fewest requests that count each account, by its id, on the days that it lacks."""
    alike: dict[tuple[Day, ...], list[str]] = defaultdict(list)
    for id_, days in lacking.items():
        alike[tuple(days)].append(id_)
    result = []
    for days, all_ids in alike.items():
        for _, span in groupby(
            days, key=lambda day, first=days[0]: (day.date - first.date).days // DAYS_A_COUNT
        ):
            within = tuple(span)
            result += [
                Window(tuple(ids), within) for ids in groups(all_ids, MAX_ACCOUNTS, LONGEST_ARCHIVE_QUERY)
            ]
            result += [Window((id_,), within, of_threads=True) for id_ in all_ids if threads]
    return result


@dataclass
class PlanRequests:
    """Each request is sent once: its response is stored under the plan, and booked under the caps."""

    store: Lake
    prefix: str
    x: X
    money: Money
    made_progress: bool = False

    def look_up(self, handles: Sequence[str], known: Accounts) -> ResolvedAccounts:
        """Look up which accounts the handles are, and which of them X does not show."""
        resolved = ResolvedAccounts()
        for part in chunked(handles, HANDLES_A_LOOKUP):
            response = self._fetch(f"users {part}", "users", len(part), partial(self._users, part))
            resolved.unavailable |= reasons(response, part)
            users = users_of(response)
            for handle in part:
                if user := users.get(handle.lower()):
                    former, id_ = known.last_id_of(handle), user["id"]
                    if user.get("protected"):
                        resolved.unavailable[handle] = PROTECTED
                    elif former in (None, id_) or known.accepts(handle, id_):
                        resolved.ids[handle] = id_
                    else:
                        resolved.unavailable[handle] = (
                            f"the handle has become another account: {id_}, and it was {former}"
                        )
            known.learn(response, but=[handle.lower() for handle in resolved.unavailable])
        for handle, why in resolved.unavailable.items():
            log.warning("%s is not planned. %s", handle, why)
        return resolved

    def _users(self, handles: list[str]) -> Answer:
        response = self.x.users(handles)
        if response.failure:
            raise Outage(f"X could not look up all users: {response.failure}")
        return response

    def count(self, window: Window) -> CountResult:
        """Count the posts of a window, in as many parts as X makes of it."""
        first, last = window.days[0], window.days[-1]
        hours, token = Counter[str](), None
        while True:
            send = partial(self.x.count_days, window.query, first, last, token)
            what = f"counts {window.query} {first} {last} {token}"
            response = self._fetch(what, "archive_counts", 1, send)
            hours |= count_of(response).hours
            if not (token := response.next_token):
                return CountResult(window, hours)

    def _fetch(self, what: str, kind: str, units: int, send: Callable[[], Answer]) -> Answer:
        """Return the stored response, else send the request, which `what` names."""
        key = f"{self.prefix}{short_hash(what)}.json.gz"
        if data := self.store.read(key):
            return answer_in(data, self.store.url(key))
        with self.money.hold(kind, units, units) as bill:
            response = bill(send())
            if kind == "archive_counts":
                count_of(response)  # what is no count is not kept as one
            self.store.swap(key, response.to_bytes(), None)
        self.made_progress = True
        return response


@contextmanager
def plan_requests(store: Lake, request: PlanRequest, caps: Caps, access: XAccess) -> Iterator[PlanRequests]:
    """Connect to X; what is spent is booked in a ledger entry of the plan's own."""
    prefix = plan_prefix(request.id)
    stored = stored_responses(store, request.id)
    subject, entry = (str(request.days[0]), 0), f"plan-{request.id}"
    with (
        Money(store, subject, caps, stored, request.now, entry=entry) as money,
        X(access, request.now, are_known=bool(stored.bought)) as x,
    ):
        requests = PlanRequests(store, prefix, x, money)
        with no_try_for_progress(lambda: requests.made_progress, request.now):
            yield requests


def stored_responses(store: Lake, plan_id: str) -> Stored:
    """Return what X has billed for the plan's stored responses, of all tries."""
    stored = Stored()
    for response in store.answers(store.parsed(store.keys(plan_prefix(plan_id)), is_response_key)):
        stored.add(response)
    return stored
