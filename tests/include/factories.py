"""Factories of posts, responses, records and object stores in memory, as X, the stages and S3 make them."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.errors import MissingInput, WriteConflict
from include.twitter.object_store import ObjectStore, StoredObject
from include.twitter.records import (
    AccountOutcome,
    AccountReceipt,
    BilledUnits,
    CollectionSpec,
    Manifest,
    PublishedObject,
    Receipt,
)
from include.twitter.response import Response
from include.twitter.transform import receipt, refine

DAY = Day.parse("2026-11-18")
RECEIVED = datetime(2026, 11, 19, 1, 30, 7, tzinfo=UTC)

METRICS = {
    "retweet_count": 2,
    "reply_count": 3,
    "like_count": 1,
    "quote_count": 4,
    "bookmark_count": 5,
    "impression_count": 6,
}

POST_WORDS = {
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
    "edit_history_tweet_ids": "edit_history_post_ids",
}


def post(number: int = 1, **changes: Any) -> dict[str, Any]:
    """The day's post number 1 to 99, each a minute after the one before; a change to None leaves it out."""
    id_ = f"19900000000000000{number:02}"
    whole = {
        "id": id_,
        "text": "Clear skies tonight",
        "created_at": f"2026-11-18T{9 + number // 60:02}:{number % 60:02}:00.000Z",
        "author_id": "42",
        "conversation_id": id_,
        "edit_history_tweet_ids": [id_],
        "lang": "en",
        "possibly_sensitive": False,
        "public_metrics": METRICS,
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def in_post_words(tweet: dict[str, Any]) -> dict[str, Any]:
    """The same post in the vocabulary of August 2026."""
    renamed = {POST_WORDS.get(name, name): value for name, value in tweet.items()}
    if metrics := tweet.get("public_metrics"):
        renamed["public_metrics"] = {
            name.replace("retweet_", "repost_"): value for name, value in metrics.items()
        }
    return renamed


def link(text: str, url: str, **more: Any) -> dict[str, Any]:
    """A url entity with the offsets that X would send: code points of the escaped text."""
    start = text.index(url)
    return {"start": start, "end": start + len(url), "url": url} | more


def make_response(
    *posts: Any,
    token: str | None = None,
    size: int = 100,
    received_at: datetime = RECEIVED,
    path: str = "/2/users/42/tweets",
    kind: str = "posts",
    params: dict[str, str] | None = None,
    **body: Any,
) -> Response:
    """A page as X sends it; an empty one has no `data`. `params` are more parameters of its request."""
    whole: dict[str, Any] = {"data": list(posts)} if posts else {}
    whole["meta"] = {"result_count": len(posts)} | ({"next_token": token} if token else {})
    text = json.dumps(whole | body, ensure_ascii=False)
    try:
        content = text.encode()
    except UnicodeEncodeError:  # half an emoji comes as an escape
        content = json.dumps(whole | body).encode()
    return Response(path, {"max_results": str(size)} | (params or {}), received_at, content, kind=kind)


def about(handle_or_id: str, title: str, detail: str, **more: Any) -> dict[str, Any]:
    """An error object about an account, inside a 200."""
    return {
        "value": handle_or_id,
        "resource_id": handle_or_id,
        "resource_type": "user",
        "parameter": "id",
        "title": title,
        "detail": detail,
        "type": "https://api.twitter.com/2/problems/resource-not-found",
    } | more


SUSPENDED = about("42", "Forbidden", "User has been suspended: [42].")


class MemoryStore:
    """Objects by key, with the conditions of `ObjectStore`; test_object_store compares the two."""

    keys, etag, read, responses, update, tombstones = (
        ObjectStore.keys,
        ObjectStore.etag,
        ObjectStore.read,
        ObjectStore.responses,
        ObjectStore.update,
        ObjectStore.tombstones,
    )
    required, url = ObjectStore.required, ObjectStore.url
    parsed, record, decoded, parsing = (
        ObjectStore.parsed,
        ObjectStore.record,
        ObjectStore.decoded,
        ObjectStore.parsing,
    )
    bucket = "acme-twitter-lake"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.written: list[str] = []
        self.strays: set[str] = set()
        self._door = RLock()

    def etags(self, prefix: str) -> dict[str, str]:
        return {key: self.get(key).etag for key in list(self.objects) if key.startswith(prefix)}

    def get(self, key: str) -> StoredObject | None:
        data = self.objects.get(key)
        return None if data is None else StoredObject(data, hashlib.sha256(data).hexdigest())

    def get_many(self, keys: Iterable[str]) -> Iterator[StoredObject | None]:
        return map(self.get, keys)

    def beginning(self, key: str, size: int) -> bytes | None:
        data = self.read(key)
        return None if data is None else data[:size]

    def write(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.written.append(key)

    def put_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        with self._door:
            current = self.get(key)
            if (current and current.etag) != etag and (current and current.data) != data:
                raise WriteConflict(f"{self.url(key)} was written by another process in the meantime.")
            self.write(key, data)
            return self.get(key).etag

    def upload(self, key: str, file: Path) -> str:
        self.write(key, file.read_bytes())
        return self.get(key).etag

    def copy(self, source: str, target: str, etag: str, over: str | None = None) -> str:
        source_object, there = self.get(source), self.etag(target)
        if not source_object or source_object.etag != etag:
            raise MissingInput(f"{self.url(source)} is not what its receipt says.")
        if there not in (over, etag):
            raise WriteConflict(f"{self.url(target)} was written by another process in the meantime.")
        self.write(target, source_object.data)
        return etag


class OvertakenStore(MemoryStore):
    """A store with one faster process: `meanwhile` runs before the next conditional write."""

    meanwhile: Callable[[], object] | None = None

    def put_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return super().put_if_match(key, data, etag)


def account_read(username: str = "NASA", posts: int = 0, **changes: Any) -> AccountOutcome:
    """An account's line in the manifest, read to its end."""
    whole = {
        "id": "42",
        "outcome": "complete",
        "reason": None,
        "proof": "matched",
        "counted": None,
        "limit": 0,
        "pages": [],
    }
    return AccountOutcome(username=username, posts=posts, **whole | changes)


def account_receipt(username: str, published: int, **changes: Any) -> AccountReceipt:
    """An account's line in the receipt, with that many published posts and nothing else."""
    line = receipt.entry(account_read(username), refine.PostCounts(username, Counter()))
    return replace(line, **{"fetched": published, "published": published} | changes)


def a_receipt(*accounts: AccountReceipt) -> Receipt:
    """The receipt of the second purchase of the day."""
    manifest = Manifest(
        day="2026-11-18",
        buy=2,
        opened_by="c0ffee123456",
        opened_at=RECEIVED,
        closed_at=datetime(2026, 11, 19, 1, 31, tzinfo=UTC),
        spec=CollectionSpec(("NASA", "esa"), 100),
        bought={"2026-11": BilledUnits(posts=300, users=2), "2026-12": BilledUnits(counts=1)},
        cost_usd=1.525,
        uncertain_usd=0.25,
    )
    csv = PublishedObject(key=layout.csv(DAY), bytes=10, sha256="ab", etag='"cd"')
    return receipt.of(manifest, list(accounts), {"csv": csv})


def a_day() -> list[tuple[str, list[dict[str, Any]]]]:
    """Two accounts' posts of one day, by their handles: what CSV, people and spreadsheets find hard."""
    story = (
        'Log of the night &amp; what we saw:\n\n1. fog\r\n2. "nothing", they said\u20283. #Mars, at last ' * 4
    )
    story += "https://t.co/log"
    linked = "👩‍🚀 Tonight &lt;19:00&gt; #Moon &amp; #Mars with @rowan_sky: https://t.co/map https://t.co/pic"
    observatory = [
        post(
            5,
            text=linked,
            entities={
                "urls": [
                    link(linked, "https://t.co/map", expanded_url="https://observatory.example/map?a=1&b=2"),
                    link(
                        linked,
                        "https://t.co/pic",
                        expanded_url="https://x.com/ObservatoryHill/status/1990000000000000005/photo/1",
                        media_key="3_1",
                    ),
                ],
                "hashtags": [
                    {"start": 31, "end": 36, "tag": "Moon"},
                    {"start": 43, "end": 48, "tag": "Mars"},
                ],
                "mentions": [{"start": 54, "end": 64, "username": "rowan_sky", "id": "77"}],
            },
        ),
        post(
            4,
            text=story[:270] + "…",
            note_tweet={
                "text": story,
                "entities": {
                    "urls": [link(story, "https://t.co/log", expanded_url="https://observatory.example/log")],
                    "hashtags": [{"start": 85, "end": 90, "tag": "Mars"}],
                },
            },
        ),
        post(3, text="RT @rowan_sky: not a retweet", lang=None, public_metrics={"like_count": 0}),
        post(
            2,
            text="Agreed, all of it 🌒",
            referenced_tweets=[{"type": "quoted", "id": "1990000000000000001"}],
            edit_history_tweet_ids=["1980000000000000001", "1990000000000000002"],
            possibly_sensitive=True,
        ),
        post(1, text="NA", lang="und"),
    ]
    rowan = [
        post(23, author_id="77", text='=HYPERLINK("https://sky.example","click")', possibly_sensitive=None),
        post(22, author_id="77", text="مرحبا \u202eplanet\u202c, שלום", lang="ar", conversation_id=None),
        post(21, author_id="77", text="", public_metrics={}),
    ]
    return [("ObservatoryHill", observatory), ("rowan_sky", rowan)]


class One(SimpleNamespace):
    """A batch of one account: what a stage gets of it, and the account's post_counts in short."""


def account(responses: Any, *, username: str, author_id: str, day: Day, limit: int) -> One:
    """Refine one account's answers."""
    source = refine.AccountPages(username, author_id, responses)
    (batch,) = refine.refine_accounts([source], day=day, limit=limit)
    (post_counts,) = batch.counts_by_account
    return One(
        rows=batch.rows,
        rejected=batch.rejected,
        counts_by_account=batch.counts_by_account,
        post_counts=post_counts,
        counts=post_counts.counts,
        warnings=post_counts.warnings,
    )
