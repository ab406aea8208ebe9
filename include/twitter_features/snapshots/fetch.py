"""Fetches the posts of a snapshot: a post with a stored response is not requested again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pyarrow
import pyarrow.parquet

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.errors import Outage, UnexpectedResponse
from include.twitter.extract.budget import Budget, Caps, Stored
from include.twitter.extract.paid_requests import NamedResponses, PaidRequests
from include.twitter.layout import Snapshot
from include.twitter.lease import Lease
from include.twitter.object_store import ObjectStore
from include.twitter.pricing import cost, dollars
from include.twitter.records import BilledUnits, total
from include.twitter.response import Response, problems
from include.twitter.x.client import POSTS_A_LOOKUP, X
from include.twitter_features.snapshots.post_status import PostStatus, post_statuses

log = logging.getLogger(__name__)


def table_rows(store: ObjectStore, key: str, *columns: str) -> list[dict[str, Any]]:
    """Return columns of a Parquet table, row by row."""
    data = pyarrow.BufferReader(store.required(key))
    with store.parsing(key, "a Parquet table with its columns"):
        return pyarrow.parquet.read_table(data, columns=[*columns]).to_pylist()


class SnapshotFetch:
    """The landed posts of a snapshot, the stored responses, and requests for the posts without one."""

    def __init__(self, store: ObjectStore, snapshot: Snapshot) -> None:
        self._store, self.snapshot, self.stored = store, snapshot, Stored()
        self.responses = NamedResponses(store, snapshot.raw)
        rows = table_rows(store, layout.parquet(snapshot.day), "tweet_id", "username", "captured_at")
        erased = store.tombstones().posts
        self.usernames = {row["tweet_id"]: row["username"] for row in rows if row["tweet_id"] not in erased}
        """By id, in the order of the day's table; without erased posts."""
        self.statuses: dict[str, PostStatus] = {}
        """By id, for all posts with a stored response."""
        self._charged = {(Day.of(row["captured_at"]), row["tweet_id"]) for row in rows}
        """The UTC days on which X has returned a post: X charges a post once a day."""
        self._pages: list[str] = []
        # Responses of other ages too: a post that X has charged today is free at every age.
        keys = [*store.parsed(store.keys(f"{layout.raw(snapshot.day)}age="), Snapshot.is_page)]
        for key, response in zip(keys, store.responses(keys), strict=True):
            self._add(key, response)

    def _add(self, key: str, response: Response) -> None:
        day = Day.of(response.sent_at or response.received_at)
        self._charged |= {(day, post["id"]) for post in response.posts}
        if key.startswith(self.snapshot.raw):
            self._pages.append(key)
            self.statuses |= {status.tweet_id: status for status in post_statuses(response)}
            if response.id not in self.stored.ids:
                self.stored.add(response)

    @property
    def _missing(self) -> list[str]:
        """The landed posts without a stored response."""
        return [id_ for id_ in self.usernames if id_ not in self.statuses]

    def fetch(self, x: X, caps: Caps, clock: Callable[[], datetime], lease: Lease) -> int:
        """Request all missing posts, first those that are free; returns the mills that are uncertain."""
        snapshot, now = self.snapshot, clock()
        if missing := self._missing:
            price = cost(BilledUnits(posts=len(missing) - len(self._free(missing, now))), now)
            log.info("%s: %d posts, for at most $%.3f", snapshot, len(missing), dollars(price))
            if hours := (now - snapshot.due_at) // timedelta(hours=1):
                due = f"{snapshot.due_at:%Y-%m-%d %H:%M}"
                log.warning("%s was due at %s UTC: it is fetched %d hours late", snapshot, due, hours)
        entry = (str(snapshot.day), 0)
        # Also if nothing is missing: a killed task has left its ledger entry unsettled.
        with Budget(self._store, entry, caps, self.stored, clock, snapshot.ledger, snapshot.age) as budget:
            requests = PaidRequests(budget, self.responses, lease.require)
            while missing := self._missing:
                self._request(x, requests, missing, clock())
        bought, spent = total(self.stored.bought.values()), dollars(self.stored.total_mills)
        log.info("%s: %d posts were bought for $%.3f", snapshot, bought.posts, spent)
        if bought.rereads:
            message = "%s: %d posts were free, since X had charged them on the same UTC day"
            log.info(message, snapshot, bought.rereads)
        return budget.uncertain_mills

    def _request(self, x: X, requests: PaidRequests, missing: list[str], now: datetime) -> None:
        free = self._free(missing, now)
        ids = (free or missing)[:POSTS_A_LOOKUP]
        page = requests.ask(
            name=layout.next_page("", self._pages).removesuffix(".json.gz"),
            kind="rereads" if free else "posts",
            units=len(ids),
            smallest=1,
            send=lambda size: x.posts(ids[:size], free=bool(free)),
            problem=_require_metrics,
        )
        self._add(*page)

    def _free(self, ids: list[str], now: datetime) -> list[str]:
        return [id_ for id_ in ids if (Day.of(now), id_) in self._charged]


def _require_metrics(response: Response) -> None:
    """Raise for a response that is empty or incomplete: it is not stored."""
    ids = response.params["ids"].split(",")
    if response.failure or not (response.posts or problems(response.body)):
        raise Outage(f"X could not look up all posts: {response.failure or repr(response.content[:200])}")
    posts = [post if isinstance(post, dict) else {} for post in response.posts]
    if strange := [post.get("id") for post in posts if post.get("id") not in ids]:
        raise UnexpectedResponse(f"{len(ids)} posts were requested by id, and X sent others: {strange[:3]}.")
    if posts and not any(post.get("public_metrics") for post in posts):
        raise UnexpectedResponse(
            f"X sent {len(posts)} posts, none with `public_metrics`. A snapshot without counts is useless: "
            "find out why before you clear this task."
        )
