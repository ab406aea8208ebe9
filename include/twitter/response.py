"""One answer of X, as it is staged between the boxes: its bytes as they came, in both of X's vocabularies.

Since August 2026 X speaks of posts where it spoke of tweets; it answers in the words of the request.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from include.twitter.safe_text import safe_text

MOST_BYTES = 64 << 20
"""Of one response after decompression.

X's largest page has 500 posts. Each may be an article of 100,000 characters, which makes 50 MB; a page of
short posts has some 2 MB. A page that is larger is asked for again with fewer posts.
"""
STORED_BYTES = MOST_BYTES + (1 << 20)
"""Of a staged answer after decompression: its request and its body."""
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
NOT_OF_POSTS = {"user", "media", "place", "poll", "list", "space", "topic"}
"""What an error object's `resource_type` is where the field that was left out is no field of a post."""
ALIASES = {
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
    "edit_history_tweet_ids": "edit_history_post_ids",
    "tweet_count": "post_count",
    "total_tweet_count": "total_post_count",
    "retweet_count": "repost_count",
}
"""Names of X that the pipeline asks for, and what they are called in X's vocabulary of August 2026."""
OLDER_NAMES = {newer: older for older, newer in ALIASES.items()}
DEEPEST = 100
"""Levels of JSON that are read; X's posts have some ten. Below it a value counts as null."""
MOST_DIGITS = 400
"""Of a number; one that is longer counts as null. Python refuses 4,300, at a cost for fewer."""
JSON_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
BODY = b',"body":'
"""What stands before the body of a staged answer."""
FROM = re.compile(r"\bfrom:(\d+)\b")


@dataclass(frozen=True)
class Response:
    """An answer with status 200: the request, when it was received, and its bytes as they came."""

    path: str
    params: Mapping[str, Any]
    received_at: datetime
    content: bytes
    status: int = 200
    kind: str = "posts"
    """What X bills it as: a field of `records.BilledUnits`."""
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
        sent = self.body.get("data")
        return sent if isinstance(sent, list) else []

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
        except (ValueError, RecursionError):  # half an emoji, or endless brackets: `decoded` mends it
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
    def id_not_found(self) -> bool:
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
        return {name.split(".")[0] for name, _ in self._unfilled}

    @cached_property
    def _unfilled(self) -> list[tuple[str, str]]:
        """The fields of posts that X could not fill, as X names them, each with the post's id if X names one.

        A response without the word `errors` is not decoded for it.
        """
        if b'"errors"' not in self.content:
            return []
        return [
            (str(error.get("field", "")), str(error.get("resource_id") or error.get("value") or ""))
            for error in problems(self.body)
            if kind_of(error) in UNFILLED and str(error.get("resource_type")) not in NOT_OF_POSTS
        ]

    @cached_property
    def _ids(self) -> set[str]:
        return {str(post.get("id")) for post in self.posts if isinstance(post, dict)}

    def unfilled_of(self, post: Any) -> set[str]:
        """The fields of this post that X reports as not filled, in the older names: `entities.hashtags`.

        An error that names no post of the response is about each post that lacks the field.
        """
        if not self._unfilled or not isinstance(post, dict):
            return set()
        return {
            _in_older_names(name)
            for name, id_ in self._unfilled
            if (id_ == post.get("id") or id_ not in self._ids) and _lacks(post, name)
        }

    @property
    def has_unfilled(self) -> bool:
        """Whether X reports that it left out fields of posts."""
        return bool(self._unfilled)

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
    def from_bytes(cls, data: bytes) -> Response:
        """What `to_bytes` made: the body stands last in it, and is cut out as it came.

        No text before it can hold the mark: its quotes would be escaped. A ValueError says what is wrong with
        data that `to_bytes` did not make.
        """
        whole = unzipped(data, STORED_BYTES)
        if (at := whole.find(BODY)) < 0:
            raise ValueError("it has no body of an answer")
        try:
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
        except (KeyError, TypeError, AttributeError, StopIteration) as error:
            raise ValueError(f"its request is incomplete: {type(error).__name__} {error}") from error


def unzipped(data: bytes, most: int) -> bytes:
    """What gzip has compressed, if it is whole and has at most so many bytes; else a ValueError."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            whole = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"it is no whole gzip file: {error}") from error
    if len(whole) > most:
        raise ValueError(f"it has more than {most:,} bytes when it is decompressed")
    return whole


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _Page(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


_PAGES = msgspec.json.Decoder(_Page)


def either_name(values: Mapping[str, Any], name: str) -> Any:
    """A field of X in whichever vocabulary it came."""
    return values.get(name) or values.get(ALIASES[name])


def author_of(post: Mapping[str, Any], default: str | None = None) -> str | None:
    """The id of the account that wrote a post, as far as X says who did."""
    return post.get("author_id") or default


def _references(post: Any) -> list[Any]:
    """In which ways a post refers to others."""
    named = isinstance(post, dict) and either_name(post, "referenced_tweets")
    return [each.get("type") for each in named if isinstance(each, dict)] if isinstance(named, list) else []


def is_unrequested(post: Any, unfilled: Collection[str] = ()) -> bool:
    """Whether it is a retweet or a reply, also to oneself: X is asked for neither, and may send them.

    Its references alone tell: some that X took for replies have none, and some begin with `RT @`. Where X
    reports these as `unfilled`, a post that names whom it replies to counts as a reply.
    """
    kinds = _references(post)
    presumed = "referenced_tweets" in unfilled and bool(post.get("in_reply_to_user_id"))
    return "retweeted" in kinds or "replied_to" in kinds or presumed


def _in_older_names(path: str) -> str:
    first, dot, rest = path.partition(".")
    return OLDER_NAMES.get(first, first) + dot + rest


def _lacks(post: Mapping[str, Any], path: str) -> bool:
    """Whether a field is absent or empty, under each of its names; False and 0 are values."""
    first, _, rest = path.partition(".")
    older = _in_older_names(first)
    names = {first, older, *(newer for newer, name in OLDER_NAMES.items() if name == older)}
    for value in map(post.get, names):
        if isinstance(value, dict) and rest and not _lacks(value, rest):
            return False
        if value not in (None, "", [], {}) and not rest:
            return False
    return True


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
    """An error object of X in one line, which logs, records and pages may show."""
    words = [error.get("title"), error.get("detail") or error.get("message")]
    return ": ".join(safe_text(word) for word in words if word) or "X gives no reason"


def decoded(content: bytes | msgspec.Raw) -> Any:
    """Decode JSON; a ValueError says that it is none.

    What is legal JSON and cannot be held costs itself alone: half an emoji, written as an escape of its own,
    and bytes that are no UTF-8 become U+FFFD; what is nested without end, and endless numbers, become null.
    """
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        text = json.dumps(leniently_decoded(content), ensure_ascii=False)
        return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def leniently_decoded(content: bytes | msgspec.Raw) -> Any:
    """The same, with half emojis as they came."""
    text = _cut_below(bytes(content)).decode("utf-8-sig", "replace")
    return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= MOST_DIGITS else None


def _cut_below(content: bytes) -> bytes:
    """The JSON with null in the place of what is nested deeper than any reader can follow."""
    pieces: list[bytes] = []
    depth = kept = 0
    for token in JSON_TOKENS.finditer(content):
        if token[0] in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                pieces += content[kept : token.start()], b"null"
                kept = len(content)
        elif token[0] in b"]}":
            if depth == DEEPEST + 1:
                kept = token.end()
            depth -= 1
    return b"".join([*pieces, content[kept:]])
