"""Bad days to order: what goes wrong with which request.

A fault is a JSON object. Which requests it is for:

    match   regular expression searched in "METHOD path?query" (default: every request)
    skip    let so many matching requests pass first (default 0)
    times   then strike so many of them (default 1)

What it does, one or more of:

    status, body, headers   answer this instead; a string body is sent as HTML, anything else as JSON
    delay                   wait so many seconds first
    reset                   close the connection without an answer
    truncate                announce the whole length, send half
    empty_page              no posts, and a token that leads here again, another one each time
    same_page               the posts, and such a token
    short_page n            n posts, and a token to a next page that goes on below them
    repeat_token            `next_token` is the token just used
    empty_token             `next_token` is an empty text where there is no next page
    ignore [names]          answer as if these parameters had not been sent
    repeat_posts n          the last n posts of the page before come again, first
    drop_fields [names]     posts without these fields
    drop_posts n            the first n posts are missing, for good
    add_errors [members]    these stand in `errors`
    rename_vocabulary       answer in the vocabulary of spec 2.167, whatever was asked
    count_off_by n          counts are off by n
    gone state              the account of a timeline is `unknown`, `suspended` or `protected` by now

Of several faults that match a request the first in the list strikes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local.x_api.errors import gone
from local.x_api.pages import Body, older_than, page, to_post_vocabulary, token_below


@dataclass
class Used:
    """What the request was, for the faults that answer with an earlier page or token."""

    token: str | None
    posts_before: list[Body]
    id: str
    """Of the account whose timeline was asked for."""


def _with_posts(body: Body, posts: list[Body], next_token: str | None = None) -> Body:
    return page(posts, next_token or body.get("meta", {}).get("next_token"))


def _here_again(posts: list[Body], used: Used) -> str:
    """A token that leads to these posts, and is not the one just used if there is room for another."""
    lowest = int(posts[0]["id"]) + 1
    return older_than(max(token_below(used.token) - 1 if used.token else lowest + 1000, lowest))


def _empty_page(body: Body, _: Any, used: Used) -> Body:
    posts = body.get("data", [])
    return _with_posts(body, [], _here_again(posts, used)) if posts else body


def _same_page(body: Body, _: Any, used: Used) -> Body:
    posts = body.get("data", [])
    return _with_posts(body, posts, _here_again(posts, used)) if posts else body


def _empty_token(body: Body, _: Any, used: Used) -> Body:
    return body | {"meta": {"next_token": ""} | body["meta"]}


def _add_errors(body: Body, members: list[Any], used: Used) -> Body:
    return body | {"errors": [*body.get("errors", []), *members]}


def _short_page(body: Body, count: int, used: Used) -> Body:
    posts = body.get("data", [])
    if len(posts) <= count:
        return body
    return _with_posts(body, posts[:count], older_than(int(posts[count]["id"]) + 1))


def _repeat_token(body: Body, _: Any, used: Used) -> Body:
    return body | {"meta": body["meta"] | {"next_token": used.token}} if used.token else body


def _repeat_posts(body: Body, count: int, used: Used) -> Body:
    return _with_posts(body, used.posts_before[-count:] + body.get("data", []))


def _drop_fields(body: Body, names: list[str], used: Used) -> Body:
    return _with_posts(body, [{k: v for k, v in p.items() if k not in names} for p in body.get("data", [])])


def _drop_posts(body: Body, count: int, used: Used) -> Body:
    return _with_posts(body, body.get("data", [])[count:])


def _rename_vocabulary(body: Body, _: Any, used: Used) -> Body:
    return to_post_vocabulary(body)


def _count_off_by(body: Body, count: int, used: Used) -> Body:
    *days, last = body["data"]
    last = last | {"tweet_count": last["tweet_count"] + count}
    return {"data": [*days, last], "meta": {"total_tweet_count": body["meta"]["total_tweet_count"] + count}}


def _gone(body: Body, state: str, used: Used) -> Body:
    return {"errors": [gone(state, "id", used.id)]} if used.id else body


CHANGES: dict[str, Callable[[Body, Any, Used], Body]] = {
    "empty_page": _empty_page,
    "same_page": _same_page,
    "short_page": _short_page,
    "repeat_token": _repeat_token,
    "empty_token": _empty_token,
    "repeat_posts": _repeat_posts,
    "drop_fields": _drop_fields,
    "drop_posts": _drop_posts,
    "add_errors": _add_errors,
    "rename_vocabulary": _rename_vocabulary,
    "count_off_by": _count_off_by,
    "gone": _gone,
}
_SETTINGS = {"match", "skip", "times", "status", "body", "headers", "delay", "reset", "truncate", "ignore"}


@dataclass
class Fault:
    """One order, with what is left of it."""

    order: dict[str, Any]
    skip: int
    times: int

    @classmethod
    def read(cls, order: Any) -> "Fault":
        """Raises ValueError for an order with keys that do nothing: a misspelt fault would strike nobody."""
        if unknown := set(order) - _SETTINGS - set(CHANGES):
            raise ValueError(f"unknown keys: {sorted(unknown)}")
        re.compile(order.get("match", ""))
        return cls(order, int(order.get("skip", 0)), int(order.get("times", 1)))

    @property
    def left(self) -> dict[str, Any]:
        return self.order | {"skip": self.skip, "times": self.times}

    def changed(self, body: Body, used: Used) -> Body:
        """The true answer, bent as ordered. Errors and users stay as they are."""
        counts = "total_tweet_count" in body.get("meta", {})
        for name, change in CHANGES.items() if "meta" in body else ():
            if name in self.order and (name == "rename_vocabulary" or counts == (name == "count_off_by")):
                body = change(body, self.order[name], used)
        return body


@dataclass
class Faults:
    """The orders still open."""

    waiting: list[Fault] = field(default_factory=list)

    def striking(self, line: str) -> Fault | None:
        """The fault that strikes this request, counted down; None on a good day."""
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
