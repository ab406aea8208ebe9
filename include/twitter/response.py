"""One response of X: its bytes as received, their stored form, and their fields in both of X's vocabularies.

Since August 2026 X calls tweets posts; a response uses the vocabulary of its request.
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

MAX_BYTES = 64 << 20
"""Of one response after decompression.

X's largest page has 500 posts. If each is an article of 100,000 characters, that makes 50 MB; a page of short
posts has about 2 MB. A page that is larger is requested again with fewer posts.
"""
MAX_STORED_BYTES = MAX_BYTES + (1 << 20)
"""Of a stored response after decompression: its request and its body."""
ABOUT_THE_ACCOUNT = {"id", "username", "usernames"}
"""The `parameter` of an error object about the account, rather than about a post that is referred to."""
NOT_FOUND, SUSPENDED = "resource-not-found", "Forbidden"
"""The error type of both missing and suspended accounts, and the title of the suspended ones."""
UNAVAILABLE_TYPES = {
    NOT_FOUND,
    "not-authorized-for-resource",
    "resource-unavailable",
    "disallowed-resource",
}
"""Error types of something that nobody, or not this app, can see."""
UNFILLED_TYPES = {"field-hydration-failure", "field-unauthorized", "not-authorized-for-field"}
"""Error types of a field that X left out."""
FAILED_TYPES = {"internal-error", "about:blank"}
"""Error types of a part of X that failed."""
NOT_OF_POSTS = {"user", "media", "place", "poll", "list", "space", "topic"}
"""The `resource_type` of an error object about a field that is no field of a post."""
ALIASES = {
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
    "edit_history_tweet_ids": "edit_history_post_ids",
    "tweet_count": "post_count",
    "total_tweet_count": "total_post_count",
    "retweet_count": "repost_count",
}
"""X's names that the pipeline requests, and their names in X's vocabulary of August 2026."""
OLDER_NAMES = {newer: older for older, newer in ALIASES.items()}
MAX_DEPTH = 100
"""Levels of JSON that are read; X's posts have about ten. A deeper value counts as null."""
MAX_DIGITS = 400
"""Of a number; a longer one counts as null. Python rejects 4,300, and fewer cost time."""
JSON_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
BODY_MARK = b',"body":'
"""It precedes the body in a stored response."""
FROM = re.compile(r"\bfrom:(\d+)\b")


class _Request(msgspec.Struct, kw_only=True):
    method: str = "GET"
    path: str
    params: dict[str, Any]
    sent_at: datetime


class _Envelope(msgspec.Struct, kw_only=True):
    """The stored form of a response."""

    request: _Request
    billed: dict[str, int]
    id: str | msgspec.UnsetType = msgspec.UNSET
    writer: str | msgspec.UnsetType = msgspec.UNSET
    status: int
    received_at: datetime
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Page(msgspec.Struct):
    data: list[msgspec.Raw] | None = None


_ENVELOPE_DECODER = msgspec.json.Decoder(_Envelope)
_PAGE_DECODER = msgspec.json.Decoder(_Page)


@dataclass(frozen=True)
class Response:
    """A response with status 200: its request, the time of receipt, and its bytes as received."""

    path: str
    params: Mapping[str, Any]
    received_at: datetime
    content: bytes
    status: int = 200
    kind: str = "posts"
    """The price kind of X's charge: a field of `records.BilledUnits`."""
    sent_at: datetime | None = None
    """When the request was sent; X bills it in this month."""
    id: str = ""
    """Random; the ledger lists a billed response that could not be stored by it."""

    @cached_property
    def body(self) -> dict[str, Any]:
        return decode_json(self.content)

    @property
    def posts(self) -> list[Any]:
        sent = self.body.get("data")
        return sent if isinstance(sent, list) else []

    @property
    def billed(self) -> int:
        """The units that X charges: one for a count, else one for each post or user."""
        return 1 if self.kind in ("counts", "archive_counts") else len(self.posts)

    @cached_property
    def raw_posts(self) -> list[msgspec.Raw]:
        """The JSON of each post, for a reader that decodes posts one at a time and keeps few.

        A page of decoded posts costs the garbage collector as much time as the decoder.
        """
        try:
            return _PAGE_DECODER.decode(self.content).data or []
        except (ValueError, RecursionError):  # half an emoji, or endless brackets: `decode_json` repairs them
            return [msgspec.Raw(json.dumps(post).encode()) for post in self.posts]

    @property
    def next_token(self) -> str | None:
        """The token of the next page; an empty token would lead to the first page, so it counts as none."""
        meta = self.body.get("meta")
        return meta.get("next_token") or None if isinstance(meta, dict) else None

    @property
    def request_token(self) -> str | None:
        """The pagination token of the request."""
        return self.params.get("pagination_token") or self.params.get("next_token")

    @property
    def unavailable(self) -> str | None:
        """Why the account cannot be read, in X's words, or None; X reports it with status 200 and no data."""
        if self.posts:
            return None
        return next((reason_of(error) for error in self.errors_about_accounts()), None)

    @property
    def id_not_found(self) -> bool:
        """Whether X does not find the account's id; X finds a suspended account."""
        return not self.posts and any(
            kind_of(error) == NOT_FOUND and error.get("title") != SUSPENDED
            for error in self.errors_about_accounts()
        )

    def errors_about_accounts(self) -> Iterator[Mapping[str, Any]]:
        """The error objects that say why an account cannot be seen, judged by their type and parameter."""
        for error in problems(self.body):
            kind, parameter = kind_of(error), error.get("parameter")
            if kind in FAILED_TYPES | UNFILLED_TYPES:
                continue
            is_user = kind in UNAVAILABLE_TYPES and error.get("resource_type", "user") == "user"
            if str(parameter) in ABOUT_THE_ACCOUNT if parameter else is_user:
                yield error

    @property
    def author_ids(self) -> tuple[str, ...]:
        """The ids of the accounts in the query of the request."""
        return tuple(FROM.findall(str(self.params.get("query", ""))))

    @property
    def failure(self) -> str | None:
        """X's words for a part of it that failed behind a status 200, or None."""
        return next(
            (reason_of(error) for error in problems(self.body) if kind_of(error) in FAILED_TYPES), None
        )

    @property
    def unfilled(self) -> set[str]:
        """The fields of posts that X could not fill, or may not show."""
        return {name.split(".")[0] for name, _ in self._unfilled}

    @property
    def has_unfilled(self) -> bool:
        return bool(self._unfilled)

    @cached_property
    def _unfilled(self) -> list[tuple[str, str]]:
        """The unfilled fields of posts in X's names, each with the id of its post or an empty text.

        The body is decoded only if it contains the word `errors`.
        """
        if b'"errors"' not in self.content:
            return []
        return [
            (str(error.get("field", "")), str(error.get("resource_id") or error.get("value") or ""))
            for error in problems(self.body)
            if kind_of(error) in UNFILLED_TYPES and str(error.get("resource_type")) not in NOT_OF_POSTS
        ]

    @cached_property
    def _ids(self) -> set[str]:
        return {str(post.get("id")) for post in self.posts if isinstance(post, dict)}

    def unfilled_of(self, post: Any) -> set[str]:
        """The fields of this post that X reports as unfilled, in the older names: `entities.hashtags`.

        An error without the id of a post of the response is about each post that lacks the field.
        """
        if not self._unfilled or not isinstance(post, dict):
            return set()
        return {
            _in_older_names(name)
            for name, id_ in self._unfilled
            if (id_ == post.get("id") or id_ not in self._ids) and _lacks(post, name)
        }

    @property
    def has_no_content(self) -> bool:
        """Whether X sent neither data nor its number: a part of X failed behind a status 200."""
        return not self.posts and "meta" not in self.body

    def to_bytes(self, writer: str = "") -> bytes:
        """The object to store: gzipped JSON with the response's own bytes under `body`.

        `writer` distinguishes two responses that are equal to the second.
        """
        envelope = _Envelope(
            request=_Request(
                path=self.path,
                params=dict(self.params),
                sent_at=_to_second(self.sent_at or self.received_at),
            ),
            billed={self.kind: self.billed},
            id=self.id or msgspec.UNSET,
            writer=writer or msgspec.UNSET,
            status=self.status,
            received_at=_to_second(self.received_at),
            body=msgspec.Raw(self.content),
        )
        return gzip.compress(msgspec.json.encode(envelope), compresslevel=6, mtime=0)

    @classmethod
    def from_bytes(cls, data: bytes) -> Response:
        """Read an object that `to_bytes` made; ValueError for any other.

        The body is last, and is cut out as it was received. No text before it can contain the mark, since its
        quotes would be escaped.
        """
        head, mark, rest = unzipped(data, MAX_STORED_BYTES).partition(BODY_MARK)
        if not mark:
            raise ValueError("it has no body of a response")
        envelope = _ENVELOPE_DECODER.decode(head + b"}")
        (kind,) = envelope.billed
        return cls(
            path=envelope.request.path,
            params=envelope.request.params,
            sent_at=envelope.request.sent_at,
            kind=kind,
            received_at=envelope.received_at,
            content=rest[:-1],
            status=envelope.status,
            id=envelope.id or "",
        )


def unzipped(data: bytes, most: int) -> bytes:
    """Decompress a complete gzip file of at most so many bytes; ValueError for any other data."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            whole = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"it is not a complete gzip file: {error}") from error
    if len(whole) > most:
        raise ValueError(f"it has more than {most:,} bytes when it is decompressed")
    return whole


def _to_second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def field_by_either_name(values: Mapping[str, Any], name: str) -> Any:
    """A field of X in either vocabulary."""
    return values.get(name) or values.get(ALIASES[name])


def author_of(post: Mapping[str, Any], default: str | None = None) -> str | None:
    """The id of the account that wrote a post; `default` if X does not say."""
    return post.get("author_id") or default


def _reference_types(post: Any) -> list[Any]:
    """How a post refers to others: `quoted`, `retweeted`, `replied_to`."""
    references = isinstance(post, dict) and field_by_either_name(post, "referenced_tweets")
    if not isinstance(references, list):
        return []
    return [reference.get("type") for reference in references if isinstance(reference, dict)]


def is_unrequested(post: Any, unfilled: Collection[str] = ()) -> bool:
    """Whether it is a retweet or a reply, also to oneself: requests exclude both, and X may send them.

    Only its references decide: some posts that X calls replies have none, and some begin with `RT @`. If X
    reports the references as `unfilled`, a post with `in_reply_to_user_id` counts as a reply.
    """
    types = _reference_types(post)
    presumed = "referenced_tweets" in unfilled and bool(post.get("in_reply_to_user_id"))
    return "retweeted" in types or "replied_to" in types or presumed


def _in_older_names(path: str) -> str:
    first, dot, rest = path.partition(".")
    return OLDER_NAMES.get(first, first) + dot + rest


def _lacks(post: Mapping[str, Any], path: str) -> bool:
    """Whether a field is absent or empty, under each of its names; False and 0 are values."""
    first, _, rest = path.partition(".")
    older = OLDER_NAMES.get(first, first)
    values = [post.get(name) for name in {older, ALIASES.get(older, older)}]
    if rest:
        return all(not isinstance(value, dict) or _lacks(value, rest) for value in values)
    return all(value in (None, "", [], {}) for value in values)


def is_reply_to_self(post: Mapping[str, Any]) -> bool:
    """Whether it continues a thread of its author; some such posts refer to no post."""
    is_to_author = post.get("in_reply_to_user_id") == post.get("author_id")
    return is_to_author and "retweeted" not in _reference_types(post)


def problems(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The error objects of a response; X has also sent texts and null among them."""
    errors = body.get("errors")
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def kind_of(error: Mapping[str, Any]) -> str:
    """The last segment of an error object's `type`, which may start with either of X's hosts."""
    return str(error.get("type") or "").rsplit("/", 1)[-1]


def reason_of(error: Mapping[str, Any]) -> str:
    """An error object of X in one line that logs, records and pages can show."""
    words = [error.get("title"), error.get("detail") or error.get("message")]
    return ": ".join(safe_text(word) for word in words if word) or "X gives no reason"


def decode_json(content: bytes | msgspec.Raw) -> Any:
    """Decode JSON; ValueError if it is malformed.

    Legal JSON that Python cannot hold affects only itself: half an emoji, written as an escape, and invalid
    UTF-8 become U+FFFD; values nested too deep and endless numbers become null.
    """
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        text = json.dumps(decode_json_leniently(content), ensure_ascii=False)
        return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def decode_json_leniently(content: bytes | msgspec.Raw) -> Any:
    """Decode JSON like `decode_json`, but keep half emojis as received."""
    text = _without_deep_values(bytes(content)).decode("utf-8-sig", "replace")
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) <= MAX_DIGITS else None)


def _without_deep_values(content: bytes) -> bytes:
    """The JSON with null in place of each value nested deeper than MAX_DEPTH."""
    pieces: list[bytes] = []
    depth = copied = 0
    for token in JSON_TOKENS.finditer(content):
        if token[0] in b"[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                pieces += content[copied : token.start()], b"null"
                copied = len(content)
        elif token[0] in b"]}":
            if depth == MAX_DEPTH + 1:
                copied = token.end()
            depth -= 1
    return b"".join([*pieces, content[copied:]])
