"""Erased posts and accounts: no retry, clear or backfill publishes them again.

A tombstone replaces an erased post. It keeps the ids, the time and the kind of the post, which cursors and
sums need, and the time and reason of the erasure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from include.twitter.day import Day
from include.twitter.records import Erasure, ErasureLog, Tombstone, decoded
from include.twitter.response import decode_json, decode_json_leniently

MARK = "forgotten"
"""The field of a post or user that holds its tombstone."""
VERSIONS = ("edit_history_tweet_ids", "edit_history_post_ids")
REFERENCES = ("referenced_tweets", "referenced_posts")
UNREQUESTED = ("retweeted", "replied_to")
KEPT_FIELDS = ("id", "author_id", "created_at", "in_reply_to_user_id", *VERSIONS)
KEPT_USER_FIELDS = ("id", "username", "protected")


class Tombstones:
    """All erasures, by post and by account."""

    def __init__(self, erasures: Iterable[Erasure] = ()) -> None:
        self.erasures = list(erasures)
        self.accounts: dict[str, Tombstone] = {}
        self.posts: dict[str, Tombstone] = {}
        for erasure in self.erasures:
            if erasure.account:
                self.accounts.setdefault(erasure.account, Tombstone(erasure.account, erasure.at, erasure.why))
            for id_ in erasure.posts:
                self.posts.setdefault(id_, Tombstone(erasure.account or id_, erasure.at, erasure.why))

    @classmethod
    def of(cls, data: bytes | None) -> Tombstones:
        """Decode the list of erasures; empty if the object does not exist."""
        return cls(decoded(data, ErasureLog).erasures if data else ())

    def affect(self, day: Day, since: int) -> bool:
        """Whether an erasure after the first `since` affects the day."""
        return any(str(day) in erasure.days for erasure in self.erasures[since:])

    def of_ids(self, ids: Iterable[str], author: Any) -> Tombstone | None:
        """The tombstone of a post by the ids of all its versions and its author; None if it is not erased."""
        if isinstance(author, str) and author in self.accounts:
            return self.accounts[author]
        return next((self.posts[id_] for id_ in ids if id_ in self.posts), None)

    def of_post(self, post: Any) -> Tombstone | None:
        """The tombstone of a post as X sent it, or the one that replaced it."""
        if not isinstance(post, dict) or (not self.erasures and MARK not in post):
            return None
        if MARK in post:
            with suppress(msgspec.ValidationError):  # a field of X that has the same name is no tombstone
                return msgspec.convert(post[MARK], Tombstone)
        return self.of_ids(ids_of(post), post.get("author_id"))

    def of_user(self, user: Any) -> Tombstone | None:
        """The tombstone of a user as X sent it."""
        id_ = user.get("id") if isinstance(user, dict) else None
        return self.accounts.get(id_) if isinstance(id_, str) else None

    def redact(self, content: bytes, kind: str) -> bytes:
        """Replace the erased posts and users in the body of a response by tombstones.

        `kind` is the billed kind of the response. Everything else keeps its bytes.
        """
        if not self.erasures:
            return content
        body = _json_fields(content)
        is_changed = self._redact_list(body, "data", kind == "users")
        includes = _json_fields_of(body.get("includes"))
        are_changed = [self._redact_list(includes, name, name == "users") for name in [*includes]]
        if any(are_changed):
            body["includes"], is_changed = msgspec.Raw(msgspec.json.encode(includes)), True
        return msgspec.json.encode(body) if is_changed else content

    def _redact_list(self, fields: dict[str, msgspec.Raw], name: str, are_users: bool) -> bool:
        """Redact one list of a response; returns whether it changed."""
        find, redact = (self.of_user, _redacted_user) if are_users else (self.of_post, redacted_post)
        items: list[Any] = list(_json_items(fields.get(name)))
        is_changed = False
        for number, item in enumerate(items):
            value = decode_json(item)
            is_redacted = isinstance(value, dict) and MARK in value
            if not is_redacted and (tombstone := find(value)):
                items[number], is_changed = redact(value, tombstone), True
        if is_changed:
            fields[name] = msgspec.Raw(msgspec.json.encode(items))
        return is_changed


NO_TOMBSTONES = Tombstones()


def ids_of(post: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the post, its versions, and the post that it retweets: all have the same text."""
    ids = [post.get("id")]
    for name in VERSIONS:
        ids += post[name] if isinstance(post.get(name), list) else []
    ids += [reference.get("id") for reference in _references_of(post) if reference.get("type") == "retweeted"]
    yield from (id_ for id_ in ids if isinstance(id_, str))


def redacted_post(post: Mapping[str, Any], tombstone: Tombstone, **more: Any) -> dict[str, Any]:
    """The kept fields of an erased post with its tombstone, and `more` fields."""
    fields = {name: post[name] for name in KEPT_FIELDS if name in post}
    for name in REFERENCES:
        kinds = [reference.get("type") for reference in _references_of(post, name)]
        if unrequested := [{"type": kind} for kind in kinds if kind in UNREQUESTED]:
            fields[name] = unrequested
    return {**fields, MARK: msgspec.to_builtins(tombstone), **more}


def _redacted_user(user: Mapping[str, Any], tombstone: Tombstone) -> dict[str, Any]:
    fields = {name: user[name] for name in KEPT_USER_FIELDS if name in user}
    return {**fields, MARK: msgspec.to_builtins(tombstone)}


def _references_of(post: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    references: list[Any] = []
    for name in names or REFERENCES:
        value = post.get(name)
        references += value if isinstance(value, list) else []
    return [reference for reference in references if isinstance(reference, dict)]


# JSON, one level at a time


def _json_fields(content: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):  # a lone surrogate, or other JSON that msgspec rejects
        return {name: _escaped(value) for name, value in decode_json_leniently(content).items()}


def _json_fields_of(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    return _json_fields(bytes(raw)) if raw and bytes(raw).lstrip().startswith(b"{") else {}


def _json_items(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    if not raw or not bytes(raw).lstrip().startswith(b"["):
        return []
    try:
        return msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (ValueError, RecursionError):
        return list(map(_escaped, decode_json_leniently(raw)))


def _escaped(value: Any) -> msgspec.Raw:
    """The value as ASCII JSON: lone surrogates are escaped as X sent them."""
    return msgspec.Raw(json.dumps(value).encode())
