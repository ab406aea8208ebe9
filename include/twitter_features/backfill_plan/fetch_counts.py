"""The paid requests of a plan: look-ups of its accounts, and X's counts of their posts.

Both are stored where all runs find them: who buys the days later pays for neither.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from more_itertools import chunked

from include.twitter.answer import Answer
from include.twitter.day import Day, short_hash
from include.twitter.errors import Outage
from include.twitter.extract.accounts import PROTECTED, Accounts, reasons, users_of
from include.twitter.extract.counts import DAYS_A_COUNT, Count, count_of, store_count, stored_count
from include.twitter.extract.money import Caps, Money, Stored
from include.twitter.extract.x import HANDLES_A_LOOKUP, X
from include.twitter.lake import Lake, answer_in
from include.twitter.pricing import in_words
from include.twitter.retry import no_try_for_progress
from include.twitter.settings import XAccess
from include.twitter.sources import LONGEST_ARCHIVE_QUERY, author_query, batches, self_reply_query
from include.twitter_features.backfill_plan.plan import PlanRequest, is_response_key, plan_prefix

log = logging.getLogger(__name__)

ACCOUNTS_A_WINDOW = 100


@dataclass(frozen=True)
class Window:
    """Accounts that lack the same days, at most 31 from the first to the last: one request counts them."""

    ids: tuple[str, ...]
    days: tuple[Day, ...]
    of_threads: bool = False
    """Whether an account's replies to itself are counted, not its other posts."""

    @property
    def query(self) -> str:
        return self_reply_query(*self.ids) if self.of_threads else author_query(self.ids)


def windows(lacking: Mapping[str, Sequence[Day]], *, threads: bool = False) -> list[Window]:
    """Return the fewest requests that count each account, by its id, on the days that it lacks."""
    alike: dict[tuple[Day, ...], list[str]] = defaultdict(list)
    for id_, days in lacking.items():
        alike[tuple(days)].append(id_)
    result = []
    for days, ids in alike.items():

        def place(day: Day, first: Day = days[0]) -> int:
            return (day.date - first.date).days // DAYS_A_COUNT

        for _, span in groupby(days, key=place):
            window_days = tuple(span)
            together = batches(ids, ACCOUNTS_A_WINDOW, LONGEST_ARCHIVE_QUERY)
            result += [Window(tuple(batch), window_days) for batch in together]
            result += [Window((id_,), window_days, of_threads=True) for id_ in ids if threads]
    return result


@dataclass
class PlanRequests:
    """Each request is sent once: its response is stored under the plan, and booked under the caps."""

    store: Lake
    request: PlanRequest
    x: X
    money: Money
    made_progress: bool = False

    def look_up(self, handles: Sequence[str], known: Accounts) -> tuple[dict[str, str], dict[str, str]]:
        """Return the ids of the accounts that X shows, and why it does not show the others, by handle."""
        now, ids, unavailable = self.request.now(), dict[str, str](), dict[str, str]()
        for handle in handles:
            if id_ := known.id_of(handle, now, for_archive=True):
                ids[handle] = id_
        unknown = [handle for handle in handles if handle not in ids]
        log.info("%d accounts are looked up, at %s each", len(unknown), in_words("users"))
        for part in chunked(unknown, HANDLES_A_LOOKUP):
            response = self._fetch(f"users {part}", "users", len(part), partial(self._users, part))
            unavailable |= reasons(response, part)
            users = users_of(response)
            for handle in (handle for handle in part if handle.lower() in users):
                former, id_ = known.last_id_of(handle), users[handle.lower()]["id"]
                if former in (None, id_) or known.accepts(handle, id_):
                    ids[handle] = id_
                else:
                    unavailable[handle] = f"the handle has become another account: {id_}, and it was {former}"
            known.learn(response, but=[handle.lower() for handle in unavailable])
        unavailable |= {handle: PROTECTED for handle in ids if known.is_protected(handle)}
        for handle, why in unavailable.items():
            log.warning("%s is not planned. %s", handle, why)
        return {handle: id_ for handle, id_ in ids.items() if handle not in unavailable}, unavailable

    def _users(self, handles: list[str]) -> Answer:
        response = self.x.users(handles)
        if response.failure:
            raise Outage(f"X could not look up all users: {response.failure}")
        return response

    def count(self, requested: Sequence[Window]) -> dict[Window, Count]:
        """Count the posts of all windows."""
        log.info("%d counts are requested, at %s each", len(requested), in_words("archive_counts"))
        return {window: self._count(window) for window in requested}

    def _count(self, window: Window) -> Count:
        """Count the posts of a window, in as many parts as X makes of it."""
        first, last, query = window.days[0], window.days[-1], window.query
        hours, token = Counter[str](), None
        while True:
            response = stored_count(self.store, query, first, last, token, self.request.now())
            if not response:
                send = partial(self.x.count_days, query, first, last, token)
                response = self._fetch(f"counts {query} {first} {last} {token}", "archive_counts", 1, send)
                store_count(self.store, first, last, response)
            hours |= count_of(response).hours
            if not (token := response.next_token):
                return Count(hours.total(), hours)

    def _fetch(self, what: str, kind: str, units: int, send: Callable[[], Answer]) -> Answer:
        """Return the stored response, else send the request, which `what` names."""
        key = f"{plan_prefix(self.request.id)}{short_hash(what)}.json.gz"
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
    stored = stored_responses(store, request.id)
    subject, entry = (str(request.days[0]), 0), f"plan-{request.id}"
    with (
        Money(store, subject, caps, stored, request.now, entry=entry) as money,
        X(access, request.now, are_known=bool(stored.bought)) as x,
    ):
        requests = PlanRequests(store, request, x, money)
        with no_try_for_progress(lambda: requests.made_progress, request.now):
            yield requests


def stored_responses(store: Lake, plan_id: str) -> Stored:
    """Return what X has billed for the plan's stored responses, of all tries."""
    stored = Stored()
    for response in store.answers(store.parsed(store.keys(plan_prefix(plan_id)), is_response_key)):
        stored.add(response)
    return stored
