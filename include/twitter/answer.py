"""One answer of X, as it is staged between the boxes: its bytes as they came, in both of X's vocabularies.

Since August 2026 X speaks of posts where it spoke of tweets; it answers in the words of the request.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

ABOUT_THE_ACCOUNT = {"id", "username", "usernames"}
"""What an error object's `parameter` names when it is about the account, not about a post referred to."""
NOT_FOUND, SUSPENDED = "resource-not-found", "Forbidden"
"""The last segment of an error object's `type`, and the title that tells the second one from the first."""
UNAVAILABLE = {
    NOT_FOUND,
    "not-authorized-for-resource",
    "resource-unavailable",
    "disallowed-resource",
}
"""What an error object's `type` ends with when something cannot be seen, by anybody or by us."""
UNFILLED = {"field-hydration-failure", "field-unauthorized", "not-authorized-for-field"}
"""The same when a field was left out."""
FAILED = {"internal-error", "about:blank"}
"""The same when a part of X failed."""
BODY = b',"body":'
"""What stands before the body of a staged answer."""
ASKED_ID = re.compile(r"/users/(\d+)/tweets|\?\(from:(\d+)\)")
FROM = re.compile(r"\bfrom:(\d+)\b")


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
    id: str = ""
    """Random: the ledger names a response by it that could not be staged."""

    @cached_property
    def body(self) -> dict[str, Any]:
        return decoded(self.content)

    @property
    def _meta(self) -> Mapping[str, Any]:
        meta = self.body.get("meta")
        return meta if isinstance(meta, dict) else {}

    @property
    def posts(self) -> list[Any]:
        return self.body.get("data") or []

    @property
    def billed(self) -> int:
        """How many things X bills it for: a count is one, whatever it counts."""
        return 1 if self.kind in ("counts", "archive_counts") else len(self.posts)

    @cached_property
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
        """Of the next page; an empty one leads to the first page again, so it is none."""
        return self._meta.get("next_token") or None

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

    @property
    def is_lost(self) -> bool:
        """Whether X does not find the account by its id; one that is suspended is found, and called so."""
        return not self.posts and any(
            kind_of(error) == NOT_FOUND and error.get("title") != SUSPENDED
            for error in self.errors_about_accounts()
        )

    def errors_about_accounts(self) -> Iterator[Mapping[str, Any]]:
        """Those that say why an account cannot be seen: by their type first, then by what they name."""
        for error in problems(self.body):
            kind, names = kind_of(error), error.get("parameter")
            if kind in FAILED | UNFILLED:
                continue
            of_a_user = kind in UNAVAILABLE and error.get("resource_type", "user") == "user"
            if str(names) in ABOUT_THE_ACCOUNT if names else of_a_user:
                yield error

    @property
    def asked_id(self) -> str | None:
        """The id of the account whose posts were asked for."""
        found = ASKED_ID.search(f"{self.path}?{self.params.get('query', '')}")
        return found and (found[1] or found[2])

    @property
    def asked_ids(self) -> tuple[str, ...]:
        """The ids of the accounts whose posts one query asked for."""
        return tuple(FROM.findall(str(self.params.get("query", ""))))

    @property
    def failure(self) -> str | None:
        """What X says of a part of it that failed behind a status 200, or None."""
        return next((reason_of(error) for error in problems(self.body) if kind_of(error) in FAILED), None)

    @property
    def unfilled(self) -> set[str]:
        """The fields that X says it could not fill, or may not show."""
        named = (str(error.get("field", "")) for error in problems(self.body) if kind_of(error) in UNFILLED)
        return {name.split(".")[0] for name in named}

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
            **({"id": self.id} if self.id else {}),
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
        whole = gzip.decompress(data)
        at = whole.index(BODY)
        envelope = msgspec.json.decode(whole[:at] + b"}")
        request = envelope["request"]
        return cls(
            path=request["path"],
            params=request["params"],
            sent_at=datetime.fromisoformat(request["sent_at"]),
            kind=next(iter(envelope["billed"])),
            received_at=datetime.fromisoformat(envelope["received_at"]),
            content=whole[at + len(BODY) : -1],
            status=envelope["status"],
            id=envelope.get("id", ""),
        )


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _Page(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


_PAGES = msgspec.json.Decoder(_Page)


def _references(post: Any) -> list[Any]:
    """In which ways a post refers to others."""
    named = isinstance(post, dict) and (post.get("referenced_tweets") or post.get("referenced_posts"))
    return [each.get("type") for each in named if isinstance(each, dict)] if isinstance(named, list) else []


def is_unasked(post: Any) -> bool:
    """Whether it is a retweet or a reply, also to oneself: X is asked for neither, and may send them.

    Its references alone tell: some that X took for replies have none, and some begin with `RT @`.
    """
    kinds = _references(post)
    return "retweeted" in kinds or "replied_to" in kinds


def is_reply_to_self(post: Mapping[str, Any]) -> bool:
    """Whether it goes on with a thread of its author's; some of those refer to no post."""
    return post.get("in_reply_to_user_id") == post.get("author_id") and "retweeted" not in _references(post)


def problems(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The error objects of an answer; X has also sent texts and null among them."""
    errors = body.get("errors")
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def kind_of(error: Mapping[str, Any]) -> str:
    """The last segment of its `type`: both of X's hosts stand before it."""
    return str(error.get("type") or "").rsplit("/", 1)[-1]


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
