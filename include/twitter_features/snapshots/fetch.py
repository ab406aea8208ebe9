"""Fetches the posts of a snapshot: a post with a stored response is not requested again."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, KeysView, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import pyarrow
import pyarrow.parquet

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.errors import Outage, UnexpectedAnswer
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


class LandedPost(NamedTuple):
    """The columns of the day's table that a snapshot needs."""

    username: str
    captured_at: datetime
    """The time of its purchase."""


def landed_posts(store: ObjectStore, day: Day) -> dict[str, LandedPost]:
    """Return the posts of a landed day by id, in the order of its table, without the erased ones."""
    columns = ["tweet_id", "username", "captured_at"]
    key = layout.parquet(day)
    data = pyarrow.BufferReader(store.required(key))
    with store.parsing(key, "the day's Parquet table"):
        rows = pyarrow.parquet.read_table(data, columns=columns).to_pylist()
    erased = erased_ids(store)
    posts = {row["tweet_id"]: LandedPost(row["username"], row["captured_at"]) for row in rows}
    return {id_: post for id_, post in posts.items() if id_ not in erased}


def erased_ids(store: ObjectStore) -> KeysView[str]:
    """Return the ids of the posts that no snapshot may contain."""
    return store.tombstones().posts.keys()


class SnapshotFetch:
    """The stored responses of a snapshot, and requests for the posts that they do not name."""

    def __init__(self, store: ObjectStore, snapshot: Snapshot, posts: Mapping[str, LandedPost]) -> None:
        self._store, self.snapshot, self.posts = store, snapshot, posts
        self.statuses: dict[str, PostStatus] = {}
        """By id, for all posts with a stored response."""
        self._charged: dict[Day, set[str]] = defaultdict(set)
        """The posts that X has returned on a UTC day: it charges a post once in it."""
        self._pages: list[str] = []
        self.stored = Stored()
        self.responses = NamedResponses(store, snapshot.raw)
        for id_, post in posts.items():
            self._charged[Day.of(post.captured_at)].add(id_)
        # Responses of other ages too: a post that X has charged today is free at every age.
        keys = [*store.parsed(store.keys(f"{layout.raw(snapshot.day)}age="), Snapshot.is_page)]
        for key, response in zip(keys, store.responses(keys), strict=True):
            self._add(key, response)

    def _add(self, key: str, response: Response) -> None:
        sent_at = response.sent_at or response.received_at
        self._charged[Day.of(sent_at)] |= {post["id"] for post in response.posts}
        if key.startswith(self.snapshot.raw):
            self._pages.append(key)
            self.statuses |= {status.tweet_id: status for status in post_statuses(response)}
            if response.id not in self.stored.ids:
                self.stored.add(response)

    @property
    def _missing(self) -> list[str]:
        """The landed posts without a stored response."""
        return [id_ for id_ in self.posts if id_ not in self.statuses]

    def fetch(self, x: X, caps: Caps, clock: Callable[[], datetime], lease: Lease) -> int:
        """Request all missing posts, first those that are free; returns the mills that are uncertain."""
        snapshot, now, missing = self.snapshot, clock(), self._missing
        if missing:
            price = cost(BilledUnits(posts=len(missing) - len(self._free(missing, now))), now)
            log.info("%s: %d posts, for at most $%.3f", snapshot, len(missing), dollars(price))
        if missing and (hours := (now - snapshot.due_at) // timedelta(hours=1)):
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
            log.info(
                "%s: %d posts were free, since X had charged them on the same UTC day",
                snapshot,
                bought.rereads,
            )
        return budget.uncertain_mills

    def _request(self, x: X, requests: PaidRequests, missing: list[str], now: datetime) -> None:
        free = self._free(missing, now)
        ids = (free or missing)[:POSTS_A_LOOKUP]
        page = requests.ask(
            name=layout.next_page("", self._pages).removesuffix(".json.gz"),
            kind="rereads" if free else "posts",
            wanted=len(ids),
            smallest=1,
            send=lambda size: x.posts(ids[:size], free=bool(free)),
            problem=_require_metrics,
        )
        self._add(*page)

    def _free(self, ids: list[str], now: datetime) -> list[str]:
        charged = self._charged[Day.of(now)]
        return [id_ for id_ in ids if id_ in charged]


def _require_metrics(response: Response) -> None:
    """Raise for a response that is empty or incomplete: it is not stored."""
    ids = response.params["ids"].split(",")
    if response.failure or not (response.posts or problems(response.body)):
        raise Outage(f"X could not look up all posts: {response.failure or repr(response.content[:200])}")
    posts = [post if isinstance(post, dict) else {} for post in response.posts]
    if strange := [post.get("id") for post in posts if post.get("id") not in ids]:
        raise UnexpectedAnswer(f"{len(ids)} posts were requested by id, and X sent others: {strange[:3]}.")
    if posts and not any(post.get("public_metrics") for post in posts):
        raise UnexpectedAnswer(
            f"X sent {len(posts)} posts, none with `public_metrics`. A snapshot without counts is useless: "
            "find out why before you clear this task."
        )
