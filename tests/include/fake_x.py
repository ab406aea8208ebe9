"""X on loopback for concurrent readers: a response depends on the request, not on the order."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from threading import Event, Lock
from typing import Any

from include.twitter.airflow_context import Run
from include.twitter.extract.budget import Budget, Caps
from include.twitter.extract.counts import Count
from include.twitter.extract.purchase import Purchase
from include.twitter.extract.reader import Collection
from include.twitter.identities import Identities
from include.twitter.records import AccountOutcome, CollectionSpec
from include.twitter.settings import XAccess
from include.twitter.sources import SourceSet, account_sources
from include.twitter.x.client import X
from tests.include.factories import DAY, RECEIVED, MemoryStore
from tests.include.http_recorder import HttpRecorder, RecordedRequest, listening

ROOT = "twitter_raw/dt=2026-11-18/buy=1/"
FORBIDDEN = (403, {"title": "Forbidden", "type": "about:blank", "detail": "Not for this app."})
MALFORMED = (400, {"title": "Invalid Request", "type": "about:blank", "detail": "Not a valid token."})
OUTAGE = (503, {"title": "Service Unavailable"})
LIMIT = 10.0
"""Seconds after which a test gives up waiting for another thread."""


class FakeX:
    """Sends every response once, in the order of `prepare`; a request without a response gets a 418.

    A request has a short name: `users NASA,esa`, `timeline 42`, `timeline 42 t1`, `search 42`,
    `search-all 42`, `count 11,22`, `count-all 42`, `posts 1,2`. A post of author 42, the default of `post`,
    becomes one of the requested account.
    """

    def __init__(self, recorder: HttpRecorder) -> None:
        self.recorder = recorder
        self.requests: list[str] = []
        self.sizes: dict[str, int] = {}
        """The requested page size, by the name of the request."""
        self._responses: dict[str, list[Any]] = defaultdict(list)
        self._lock = Lock()
        recorder.replies = self._reply

    def prepare(self, name: str, *responses: Any) -> None:
        """Prepare responses to a request: a body, a status and a body, or a function that returns one."""
        self._responses[name] += responses

    @property
    def unused(self) -> list[str]:
        """The requests whose responses were not all sent."""
        return sorted(name for name, responses in self._responses.items() if responses)

    def _reply(self, request: RecordedRequest) -> tuple[int, Any]:
        name = _name(request)
        with self._lock:
            self.requests.append(name)
            self.sizes[name] = int(request.query.get("max_results", 0))
            response = (self._responses[name] or [(418, {"title": f"Not prepared: {name}"})]).pop(0)
        if isinstance(response, Callable):
            response = response()
        status, body = response if isinstance(response, tuple) else (200, response)
        return status, body if name.startswith("posts ") else _signed(body, name.split()[1])


def _name(request: RecordedRequest) -> str:
    path, query = request.path.removeprefix("/2/"), request.query
    if path == "users/by":
        return f"users {query['usernames']}"
    if path == "tweets":
        return f"posts {query['ids']}"
    token = query.get("pagination_token") or query.get("next_token")
    if user := re.fullmatch(r"users/(\d+)/tweets", path):
        name = f"timeline {user[1]}"
    else:
        kind = "search" if "/search/" in path else "count"
        name = f"{kind}{'-all' if path.endswith('/all') else ''} "
        name += ",".join(re.findall(r"from:(\w+)", query["query"])) or query["query"].split()[0]
    return f"{name} {token}" if token else name


def _signed(body: Any, author_id: str) -> Any:
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        return body
    posts = [
        post | {"author_id": author_id} if isinstance(post, dict) and post.get("author_id") == "42" else post
        for post in body["data"]
    ]
    return body | {"data": posts}


@contextmanager
def open_fake_x() -> Iterator[FakeX]:
    with listening() as recorder:
        yield FakeX(recorder)


class Attempt:
    """One try of `extract` with access to its parts; only the settings differ."""

    def __init__(
        self,
        fake_x: FakeX,
        store: MemoryStore,
        *handles: str,
        limit: int = 0,
        old: bool = False,
        cap: int = 0,
        sources: Callable[[str], SourceSet] | None = None,
        cached: Mapping[tuple[str, ...], Count] | None = None,
        accepted: Iterable[tuple[str, str]] = (),
        stopped: Event | None = None,
        threads: bool = False,
    ) -> None:
        self._store, self._accepted = store, {*accepted}
        self._caps = Caps(("twitter_run_budget_usd", cap), ("twitter_month_budget_usd", 0))
        self._access = XAccess(host=fake_x.recorder.host, bearer_token="bearer-token-c2d4")
        self.now = RECEIVED
        run = Run(DAY, "c0ffee123456", lambda: self.now)
        identities = Identities.read(store, self._accepted)
        spec = CollectionSpec(handles, limit, threads)
        self.purchase = Purchase(store, run, spec, may_leave=False, identities=identities)
        sources = sources or partial(account_sources, old=old)
        self.collection = Collection(self.purchase, old, sources, cached or {}, stopped or Event())
        self.stopped = self.collection.stopped

    @contextmanager
    def buying(self) -> Iterator[tuple[X, Budget]]:
        """Hold the lease of the purchase, with the responses of earlier tries loaded."""
        purchase = self.purchase
        with purchase.hold_lease():
            self.collection.resume()
            with (
                Budget(self._store, purchase.name, self._caps, purchase.stored, lambda: self.now) as budget,
                X(self._access, lambda: self.now) as x,
            ):
                yield x, budget

    def collect(self) -> dict[str, AccountOutcome]:
        """Buy what is missing and close the purchase; returns the accounts of the manifest by handle."""
        with self.buying() as (x, budget):
            read = self.collection.collect(x, budget)
            self.purchase.close(read)
        return {line.username: line for line in self.purchase.manifest.accounts}


def users(**ids: str) -> dict[str, Any]:
    """The response to a look-up that finds every account."""
    return {"data": [{"id": id_, "username": name, "protected": False} for name, id_ in ids.items()]}


def page(*posts: Any, token: str | None = None) -> dict[str, Any]:
    meta = {"result_count": len(posts)} | ({"next_token": token} if token else {})
    return ({"data": list(posts)} if posts else {}) | {"meta": meta}


def total(number: int, hour: int | None = None) -> dict[str, Any]:
    """The response to a count by the hour, with all posts in one hour; without `hour`, by halves of the day.

    The factory's first 59 posts are of nine o'clock.
    """
    starts = [0, 12, 24] if hour is None else [*range(25)]
    moments = [f"2026-11-18T{start:02}:00:00.000Z" for start in starts[:-1]] + ["2026-11-19T00:00:00.000Z"]
    pieces = [
        {"start": start, "end": end, "tweet_count": number if at == (hour or 0) else 0}
        for at, (start, end) in enumerate(pairwise(moments))
    ]
    return {"data": pieces, "meta": {"total_tweet_count": number}}
