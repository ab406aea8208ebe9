"""One answer of X, as it is staged between the boxes: its bytes as they came, in both of X's vocabularies.

Since August 2026 X speaks of posts where it spoke of tweets; it answers in the words of the request.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

ABOUT_THE_ACCOUNT = {"id", "username", "usernames"}
"""What an error object's `parameter` names when it is about the account, not about a post referred to."""
UNAVAILABLE = {"resource-not-found", "not-authorized-for-resource"}
"""Last segments of an error object's `type` that are about the account where no parameter is named."""


@dataclass(frozen=True)
class Answer:
    """An answer with status 200: the request, when it was received, and its bytes as they came."""

    path: str
    params: Mapping[str, Any]
    received_at: datetime
    content: bytes
    status: int = 200
    kind: str = "posts"
    """What X bills it as: a field of `records.Bought`."""
    sent_at: datetime | None = None
    """When it was asked for: the month that it is billed in."""

    @cached_property
    def body(self) -> dict[str, Any]:
        return decoded(self.content)

    @property
    def posts(self) -> list[Any]:
        return self.body.get("data") or []

    @property
    def billed(self) -> int:
        """How many things X bills it for: a count is one, whatever it counts."""
        return 1 if self.kind in ("counts", "archive_counts") else len(self.posts)

    @property
    def sent(self) -> list[msgspec.Raw]:
        """Each post as the JSON that came, for who reads them one at a time, and keeps few.

        A page of dicts, with all that is in them, gives the garbage collector as much work as the decoder.
        """
        try:
            return _PAGES.decode(self.content).data or []
        except ValueError:  # half an emoji: `decoded` mends it
            return [msgspec.Raw(json.dumps(post).encode()) for post in self.posts]

    @property
    def next_token(self) -> str | None:
        return (self.body.get("meta") or {}).get("next_token")

    @property
    def asked_token(self) -> str | None:
        """The token that it was asked for with."""
        return self.params.get("pagination_token") or self.params.get("next_token")

    @property
    def unavailable(self) -> str | None:
        """Why the account cannot be read, in X's words, or None: X says so with status 200 and no data."""
        if self.posts:
            return None
        return next((reason_of(error) for error in self.errors_about_accounts()), None)

    def errors_about_accounts(self) -> Iterator[Mapping[str, Any]]:
        for error in self.body.get("errors") or []:
            kind = str(error.get("type", "")).rsplit("/", 1)[-1]
            if error.get("parameter", kind) in ABOUT_THE_ACCOUNT | UNAVAILABLE:
                yield error

    @property
    def is_nothing(self) -> bool:
        """Whether X sent neither data nor the count of it: a part of X failed behind a status 200."""
        return not self.posts and "meta" not in self.body

    def to_bytes(self, writer: str = "") -> bytes:
        """The object that is staged: gzipped JSON that holds the answer's own bytes under `body`.

        `writer` tells two answers apart that are equal to the second.
        """
        envelope = {
            "request": {
                "method": "GET",
                "path": self.path,
                "params": self.params,
                "sent_at": _written(self.sent_at or self.received_at),
            },
            "billed": {self.kind: self.billed},
            **({"writer": writer} if writer else {}),
            "status": self.status,
            "received_at": _written(self.received_at),
            "body": msgspec.Raw(self.content),
        }
        return gzip.compress(msgspec.json.encode(envelope), compresslevel=6, mtime=0)

    @classmethod
    def from_bytes(cls, data: bytes) -> Answer:
        """What `to_bytes` made: the body stands last in it, and is cut out as it came.

        No text before it can hold the mark: its quotes would be escaped.
        """
        head, _, body = gzip.decompress(data).partition(b',"body":')
        envelope = msgspec.json.decode(head + b"}")
        request = envelope["request"]
        return cls(
            path=request["path"],
            params=request["params"],
            sent_at=datetime.fromisoformat(request["sent_at"]),
            kind=next(iter(envelope["billed"])),
            received_at=datetime.fromisoformat(envelope["received_at"]),
            content=body[:-1],
            status=envelope["status"],
        )


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _Page(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


_PAGES = msgspec.json.Decoder(_Page)


def is_unasked(post: Any) -> bool:
    """Whether it is a retweet or a reply, also to oneself: X is asked for neither, and may send them.

    Its references alone tell: some that X took for replies have none, and some begin with `RT @`.
    """
    if not isinstance(post, dict):
        return False
    references = post.get("referenced_tweets") or post.get("referenced_posts")
    return isinstance(references, list) and any(
        isinstance(each, dict) and each.get("type") in ("retweeted", "replied_to") for each in references
    )


def reason_of(error: Mapping[str, Any]) -> str:
    """An error object of X in one line."""
    words = [error.get("title"), error.get("detail") or error.get("message")]
    return ": ".join(str(word) for word in words if word) or "X gives no reason"


def decoded(content: bytes | msgspec.Raw) -> Any:
    """Decode JSON; a ValueError says that it is none.

    Half an emoji, written as an escape of its own, is legal JSON but no text: it becomes U+FFFD.
    """
    try:
        return msgspec.json.decode(content)
    except ValueError:
        text = json.dumps(json.loads(bytes(content)), ensure_ascii=False)
        return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
