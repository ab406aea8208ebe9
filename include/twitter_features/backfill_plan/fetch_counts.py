"""The paid requests of a plan: look-ups of its accounts, and X's counts of their posts.

Both are stored where all runs read them: the purchase of the days pays for neither again.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import groupby

from more_itertools import chunked

from include.twitter.day import Day
from include.twitter.errors import Outage, UnexpectedResponse
from include.twitter.extract.budget import Budget, Caps, Stored
from include.twitter.extract.counts import DAYS_A_COUNT, Count, count_of, store_count, stored_count
from include.twitter.extract.paid_requests import NamedResponses, PaidRequests
from include.twitter.identities import PROTECTED_REASON, Identities, unavailable_reasons, users_of
from include.twitter.layout import short_hash
from include.twitter.object_store import ObjectStore
from include.twitter.pricing import price_text
from include.twitter.response import Response
from include.twitter.retry import reschedule_after_progress
from include.twitter.settings import XAccess
from include.twitter.sources import LONGEST_ARCHIVE_QUERY, author_query, id_batches, self_reply_query
from include.twitter.x.client import HANDLES_A_LOOKUP, X
from include.twitter_features.backfill_plan.plan import RESPONSE_KEY, PlanRequest, plan_prefix

log = logging.getLogger(__name__)


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


def windows(
    lacking: Mapping[str, Sequence[Day]], limited: Collection[str] = (), *, threads: bool = False
) -> list[Window]:
    """Return the fewest requests that count each account, by its id, on the days that it lacks.

    The `limited` accounts are counted separately: together with others they would have no upper bound.
    """
    ids_by_days: dict[tuple[bool, tuple[Day, ...]], list[str]] = defaultdict(list)
    for id_, days in lacking.items():
        for _, part in groupby(days, key=lambda day: (day.date - days[0].date).days // DAYS_A_COUNT):
            ids_by_days[id_ in limited, tuple(part)].append(id_)
    result = []
    for (_, span), ids in ids_by_days.items():
        result += [Window(tuple(ids), span) for ids in id_batches(ids, len(ids), LONGEST_ARCHIVE_QUERY)]
        result += [Window((id_,), span, of_threads=True) for id_ in ids if threads]
    return result


@dataclass
class CountRequests:
    """The requests of one plan: look-ups of accounts, and counts of their posts."""

    store: ObjectStore
    x: X
    paid: PaidRequests
    stored: Stored
    """Billed requests of the plan, from all tries."""
    clock: Callable[[], datetime]

    def look_up(
        self, handles: Sequence[str], known: Identities, erased: Collection[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the ids of the accounts that can be read, and why the others cannot, by handle."""
        known_ids = {handle: known.id_of(handle, self.clock(), for_archive=True) for handle in handles}
        ids = {handle: id_ for handle, id_ in known_ids.items() if id_}
        unavailable = dict[str, str]()
        unknown = [handle for handle in handles if handle not in ids]
        log.info("%d accounts are looked up, at %s each", len(unknown), price_text("users"))
        for part in chunked(unknown, HANDLES_A_LOOKUP):
            response = self._ask(f"users {part}", "users", len(part), partial(self.x.users, part))
            unavailable |= unavailable_reasons(response, part)
            users = users_of(response)
            for handle in (handle for handle in part if handle.lower() in users):
                former, id_ = known.last_id_of(handle), users[handle.lower()]["id"]
                if former in (None, id_) or known.accepts(handle, id_):
                    ids[handle] = id_
                else:
                    unavailable[handle] = f"the handle has become another account: {id_}, and it was {former}"
            known.learn(response, exclude=[handle.lower() for handle in unavailable])
        unavailable |= {handle: PROTECTED_REASON for handle in ids if known.is_protected(handle)}
        unavailable |= {handle: "the account was erased" for handle, id_ in ids.items() if id_ in erased}
        for handle, why in unavailable.items():
            log.warning("%s is not planned. %s", handle, why)
        return {handle: id_ for handle, id_ in ids.items() if handle not in unavailable}, unavailable

    def count(self, requested: Sequence[Window]) -> dict[Window, Count]:
        """Count the posts of all windows."""
        log.info("%d counts are requested, at %s each", len(requested), price_text("archive_counts"))
        return {window: self._count(window) for window in requested}

    def _count(self, window: Window) -> Count:
        """Count the posts of a window. X splits a count into parts if it likes."""
        first, last, query = window.days[0], window.days[-1], window.query
        hours, token = Counter[str](), None
        for _ in range(DAYS_A_COUNT):
            response = stored_count(self.store, query, first, last, token, self.clock())
            if not response:
                send = partial(self.x.count_days, query, first, last, token)
                response = self._ask(f"counts {query} {first} {last} {token}", "archive_counts", 1, send)
                store_count(self.store, first, last, response)
            hours |= count_of(response).hours
            if not (token := response.next_token):
                return Count(hours.total(), hours)
        raise UnexpectedResponse(
            f"X splits the count of {first} to {last} into more than {DAYS_A_COUNT} parts: {query[:100]}. "
            "Clear this task later."
        )

    def _ask(self, request: str, kind: str, units: int, send: Callable[[], Response]) -> Response:
        """Return the stored response to a request, or send it; both are named by a hash of its text."""
        name = short_hash(request)
        return self.paid.ask(name, kind, units, units, lambda _: send(), _require_storable)[1]


def _require_storable(response: Response) -> None:
    """Raise for a response that must not be stored."""
    if response.failure:
        raise Outage(f"X could not look up all users: {response.failure}")
    if response.kind == "archive_counts":
        count_of(response)  # raises if it is none


@contextmanager
def count_requests(
    store: ObjectStore, request: PlanRequest, caps: Caps, access: XAccess
) -> Iterator[CountRequests]:
    """Connect to X; the requests are booked in a ledger entry of the plan's own."""
    prefix, stored = plan_prefix(request.id), Stored()
    for earlier in store.responses(store.parsed(store.keys(prefix), RESPONSE_KEY.fullmatch)):
        stored.add(earlier)
    responses = NamedResponses(store, prefix)
    subject, entry = (str(request.days[0]), 0), f"plan-{request.id}"
    with (
        Budget(store, subject, caps, stored, request.now, entry=entry) as budget,
        X(access, request.now, are_known=bool(stored.bought)) as x,
        reschedule_after_progress(lambda: responses.made_progress, request.now),
    ):
        yield CountRequests(store, x, PaidRequests(budget, responses), stored, request.now)
