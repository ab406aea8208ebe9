"""Faults to order: what goes wrong with which request.

A fault is a JSON object. It selects requests by:

    match   regular expression searched in "METHOD path?query" (default: every request)
    skip    the number of matching requests that pass first (default 0)
    times   the number of requests that it then affects (default 1)

Its effects, one or more:

    status, body, headers   this response instead; a string body is sent as HTML, anything else as JSON
    reset                   the connection is closed without a response
    truncate                the whole length is announced, half of it sent
    empty_page              no posts, and a token for the same page, a new one each time
    same_page               the posts, and such a token
    short_page n            n posts, and a token for the page below them
    repeat_token            `next_token` is the token just used
    repeat_posts n          the last n posts of the page before are repeated first
    drop_fields [names]     posts without these fields
    drop_posts n            the first n posts are missing
    add_errors [members]    `errors` contains these
    rename_vocabulary       the vocabulary of spec 2.167, whatever was requested
    count_off_by n          counts are off by n
    gone state              the account of a timeline is now `unknown`, `suspended` or `protected`

If several faults match a request, the first in the list applies.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local.x_api.errors import gone
from local.x_api.pages import Body, older_than, page, to_post_vocabulary, token_below


@dataclass
class Context:
    """The request, for faults that use an earlier page or token."""

    token: str | None
    posts_before: list[Body]
    id: str
    """The id of the account of a timeline."""


def _with_posts(body: Body, posts: list[Body], next_token: str | None = None) -> Body:
    return page(posts, next_token or body.get("meta", {}).get("next_token"))


def _same_page_token(posts: list[Body], context: Context) -> str:
    """A token for these posts, if possible another than the one just used."""
    lowest = int(posts[0]["id"]) + 1
    return older_than(max(token_below(context.token) - 1 if context.token else lowest + 1000, lowest))


def _empty_page(body: Body, _: Any, context: Context) -> Body:
    posts = body.get("data", [])
    return _with_posts(body, [], _same_page_token(posts, context)) if posts else body


def _same_page(body: Body, _: Any, context: Context) -> Body:
    posts = body.get("data", [])
    return _with_posts(body, posts, _same_page_token(posts, context)) if posts else body


def _add_errors(body: Body, members: list[Any], context: Context) -> Body:
    return body | {"errors": [*body.get("errors", []), *members]}


def _short_page(body: Body, count: int, context: Context) -> Body:
    posts = body.get("data", [])
    if len(posts) <= count:
        return body
    return _with_posts(body, posts[:count], older_than(int(posts[count]["id"]) + 1))


def _repeat_token(body: Body, _: Any, context: Context) -> Body:
    return body | {"meta": body["meta"] | {"next_token": context.token}} if context.token else body


def _repeat_posts(body: Body, count: int, context: Context) -> Body:
    return _with_posts(body, context.posts_before[-count:] + body.get("data", []))


def _drop_fields(body: Body, names: list[str], context: Context) -> Body:
    return _with_posts(body, [{k: v for k, v in p.items() if k not in names} for p in body.get("data", [])])


def _drop_posts(body: Body, count: int, context: Context) -> Body:
    return _with_posts(body, body.get("data", [])[count:])


def _rename_vocabulary(body: Body, _: Any, context: Context) -> Body:
    return to_post_vocabulary(body)


def _count_off_by(body: Body, count: int, context: Context) -> Body:
    *days, last = body["data"]
    last = last | {"tweet_count": last["tweet_count"] + count}
    return {"data": [*days, last], "meta": {"total_tweet_count": body["meta"]["total_tweet_count"] + count}}


def _gone(body: Body, state: str, context: Context) -> Body:
    return {"errors": [gone(state, "id", context.id)]} if context.id else body


CHANGES: dict[str, Callable[[Body, Any, Context], Body]] = {
    "empty_page": _empty_page,
    "same_page": _same_page,
    "short_page": _short_page,
    "repeat_token": _repeat_token,
    "repeat_posts": _repeat_posts,
    "drop_fields": _drop_fields,
    "drop_posts": _drop_posts,
    "add_errors": _add_errors,
    "rename_vocabulary": _rename_vocabulary,
    "count_off_by": _count_off_by,
    "gone": _gone,
}
_SETTINGS = {"match", "skip", "times", "status", "body", "headers", "reset", "truncate"}


@dataclass
class Fault:
    """An ordered fault, with the requests that it still affects."""

    order: dict[str, Any]
    skip: int
    times: int

    @classmethod
    def read(cls, order: Any) -> "Fault":
        """Read an order; ValueError for a key without effect, such as a misspelt one."""
        if unknown := set(order) - _SETTINGS - set(CHANGES):
            raise ValueError(f"unknown keys: {sorted(unknown)}")
        re.compile(order.get("match", ""))
        return cls(order, int(order.get("skip", 0)), int(order.get("times", 1)))

    @property
    def remaining(self) -> dict[str, Any]:
        return self.order | {"skip": self.skip, "times": self.times}

    def changed(self, body: Body, context: Context) -> Body:
        """X's response, changed as ordered. Errors and users are not changed."""
        counts = "total_tweet_count" in body.get("meta", {})
        for name, change in CHANGES.items() if "meta" in body else ():
            if name in self.order and (name == "rename_vocabulary" or counts == (name == "count_off_by")):
                body = change(body, self.order[name], context)
        return body


@dataclass
class Faults:
    """The ordered faults that still affect a request."""

    waiting: list[Fault] = field(default_factory=list)

    def striking(self, line: str) -> Fault | None:
        """The fault of this request, counted down; None if it has none."""
        for fault in self.waiting:
            if not re.search(fault.order.get("match", ""), line):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if not fault.times:
                self.waiting.remove(fault)
            return fault
        return None
