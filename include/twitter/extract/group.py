"""Accounts of an archived day that are read at once, since X's counts say that none is over the limit.

A page is shared by them: each account has the posts that it wrote, and names all pages as its own.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from include.twitter.answer import Answer
from include.twitter.day import Day, short_hash
from include.twitter.errors import OtherAuthors, UnexpectedAnswer
from include.twitter.extract.walk import Walk

log = logging.getLogger(__name__)

TOGETHER = "group-"
"""Prefix of the folder of a group's pages: the hyphen keeps it apart from every handle."""


@dataclass
class Group:
    """One walk through the day for several accounts, and what of it is each one's."""

    ids: tuple[str, ...]
    walk: Walk
    shares: dict[str, Walk]
    """Of each account, by id: walks that are never taken, with the posts that the pages brought."""
    pages: list[str] = field(default_factory=list)
    reading: tuple[str, ...] = ()
    """Those that are asked for: an account that left, or is not to be read any more, is not bought."""

    def __post_init__(self) -> None:
        self.reading = self.reading or self.ids

    @classmethod
    def of(cls, ids: Iterable[str], day: Day, smallest: int, largest: int) -> Group:
        """Accounts whose walk has not begun; X lets a page ask for so few and so many posts."""
        whole = Walk(day, 0, smallest, largest)
        return cls(tuple(ids), whole, {id_: whole.anew() for id_ in ids})

    @property
    def folder(self) -> str:
        return TOGETHER + short_hash(" ".join(self.ids))

    def problem(self, answer: Answer) -> UnexpectedAnswer | None:
        """Why an answer cannot be the next page: each of its posts has to be somebody's of the group."""
        if problem := self.walk.problem(answer):
            return problem
        strange = {_author(post) for post in answer.posts} - {*self.ids}
        if not strange:
            return None
        told = ", ".join(sorted(filter(None, strange))) or "nobody"
        return OtherAuthors(f"X was asked for the posts of {len(self.ids)} accounts and sent those of {told}")

    def take(self, key: str, answer: Answer) -> None:
        """Go one page further; `key` is where the page is staged."""
        self.walk.take(answer)
        self.pages.append(key)
        posts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for post in answer.posts:
            posts[_author(post)].append(post)
        for id_, written in posts.items():
            self.shares[id_].note(written, id_, answer)

    def give_up(self, reason: str) -> None:
        """Read no further together: its accounts are read one by one."""
        log.warning("%d accounts are read one by one. %s", len(self.ids), reason)
        self.walk.outcome, self.walk.reason = "unavailable", reason


def _author(post: Any) -> str:
    return str(post.get("author_id")) if isinstance(post, dict) else ""
