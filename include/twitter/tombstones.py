"""What its owner has had forgotten: no retry, clear or backfill lands it again.

Of a post its tombstone is left, in the place where it was: the ids, time and kind by which pages are walked
and posts are counted, and when and why it went. So every sum still holds, and nothing takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from include.twitter.day import Day
from include.twitter.records import Erasure, ErasureLog, Tombstone
from include.twitter.records import decoded as record
from include.twitter.response import decoded, leniently_decoded

MARK = "forgotten"
"""The field of a post, or of a user, that is a tombstone."""
VERSIONS = ("edit_history_tweet_ids", "edit_history_post_ids")
REFERENCES = ("referenced_tweets", "referenced_posts")
UNASKED = ("retweeted", "replied_to")
STAYS = ("id", "author_id", "created_at", "in_reply_to_user_id", *VERSIONS)
STAYS_OF_USER = ("id", "username", "protected")


class Tombstones:
    """All erasures of forgetting, for who asks about one post."""

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
        """Those that an object holds; none where there is no object."""
        return cls(record(data, ErasureLog).erasures if data else ())

    def concern(self, day: Day, since: int) -> bool:
        """Whether something of the day was forgotten by an erasure after the first so many."""
        return any(str(day) in erasure.days for erasure in self.erasures[since:])

    def of_ids(self, ids: Iterable[str], author: Any) -> Tombstone | None:
        """The tombstone of a post with these ids, all its versions', by this author; None where it stays."""
        if isinstance(author, str) and author in self.accounts:
            return self.accounts[author]
        return next((self.posts[id_] for id_ in ids if id_ in self.posts), None)

    def of_post(self, post: Any) -> Tombstone | None:
        """The tombstone of a post as X sent it, or the one that stands in its place."""
        if not isinstance(post, dict) or (not self.erasures and MARK not in post):
            return None
        if MARK in post:
            with suppress(msgspec.ValidationError):  # a field of X that has the same name is no tombstone
                return msgspec.convert(post[MARK], Tombstone)
        return self.of_ids(ids_of(post), post.get("author_id"))

    def of_user(self, user: Any) -> Tombstone | None:
        """The tombstone of an account as X's look-up told it."""
        id_ = user.get("id") if isinstance(user, dict) else None
        return self.accounts.get(id_) if isinstance(id_, str) else None

    def without(self, content: bytes, kind: str) -> bytes:
        """The body of an answer with tombstones in it; the same bytes where it has none of it.

        `kind` is what X bills it as. What is not forgotten stays as it came, byte for byte.
        """
        if not self.erasures:
            return content
        body = _parts(content)
        changed = self._changed(body, "data", kind == "users")
        includes = _object(body.get("includes"))
        were_changed = [self._changed(includes, name, name == "users") for name in [*includes]]
        if any(were_changed):
            body["includes"], changed = msgspec.Raw(msgspec.json.encode(includes)), True
        return msgspec.json.encode(body) if changed else content

    def _changed(self, parts: dict[str, msgspec.Raw], name: str, are_users: bool) -> bool:
        """Whether a list held something of it; then it holds tombstones."""
        of, bury = (self.of_user, _buried_user) if are_users else (self.of_post, buried)
        sent = _list(parts.get(name))
        if (left := _left(sent, of, bury)) is None:
            return False
        parts[name] = msgspec.Raw(msgspec.json.encode(left))
        return True


NOTHING = Tombstones()


def ids_of(post: Mapping[str, Any]) -> Iterator[str]:
    """Of the post, its versions, and the one that it is a retweet of: those have the same text."""
    named = [post.get("id")]
    for name in VERSIONS:
        named += post[name] if isinstance(post.get(name), list) else []
    named += [each.get("id") for each in _references(post) if each.get("type") == "retweeted"]
    yield from (id_ for id_ in named if isinstance(id_, str))


def buried(post: Mapping[str, Any], tombstone: Tombstone, **more: Any) -> dict[str, Any]:
    """What stays of a post; `more` stands in it too."""
    stays = {name: post[name] for name in STAYS if name in post}
    for name in REFERENCES:
        kinds = [each.get("type") for each in _references(post, name)]
        if unrequested := [{"type": kind} for kind in kinds if kind in UNASKED]:
            stays[name] = unrequested
    return {**stays, MARK: msgspec.to_builtins(tombstone), **more}


def _buried_user(user: Mapping[str, Any], tombstone: Tombstone) -> dict[str, Any]:
    stays = {name: user[name] for name in STAYS_OF_USER if name in user}
    return {**stays, MARK: msgspec.to_builtins(tombstone)}


def _left(
    sent: list[msgspec.Raw],
    of: Callable[[Any], Tombstone | None],
    bury: Callable[..., dict[str, Any]],
) -> list[Any] | None:
    """Each as it came, or its tombstone; None where there is nothing to bury."""
    values = [decoded(each) for each in sent]
    stones = [None if isinstance(value, dict) and MARK in value else of(value) for value in values]
    if not any(stones):
        return None
    return [
        bury(value, stone) if stone else each for each, value, stone in zip(sent, values, stones, strict=True)
    ]


def _references(post: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    lists = [post.get(name) for name in names or REFERENCES]
    return [each for named in lists if isinstance(named, list) for each in named if isinstance(each, dict)]


# JSON, one level at a time


def _parts(content: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):  # half an emoji, or what else msgspec does not take
        return {name: _escaped(value) for name, value in leniently_decoded(content).items()}


def _object(raw: msgspec.Raw | None) -> dict[str, msgspec.Raw]:
    return _parts(bytes(raw)) if raw and bytes(raw).lstrip().startswith(b"{") else {}


def _list(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    if not raw or not bytes(raw).lstrip().startswith(b"["):
        return []
    try:
        return msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (ValueError, RecursionError):
        return list(map(_escaped, leniently_decoded(raw)))


def _escaped(value: Any) -> msgspec.Raw:
    """In ASCII: what is no text is escaped again, as it came."""
    return msgspec.Raw(json.dumps(value).encode())
