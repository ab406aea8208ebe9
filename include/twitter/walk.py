"""How far the reading of one account's day has come, told by X's answers alone.

The state is a function of the answers taken, so that a walk goes on from staged pages as if it had never
been interrupted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.twitter.answer import Answer
from include.twitter.day import Day
from include.twitter.errors import Outage, UnexpectedAnswer
from include.twitter.post import Malformed, Post, parsed

MUST_HAVE = ("id", "text", "created_at", "public_metrics")
"""X ignores a field name that it does not know, answers 200, and bills: only looking shows it."""


@dataclass
class Walk:
    """A walk through the timeline pages of an account, from the newest post of the day to the oldest."""

    day: Day
    limit: int
    """The latest N posts are wanted; 0 is all."""
    smallest: int = 5
    largest: int = 100
    """How many posts X lets a page ask for."""
    pages: int = 0
    returned: int = 0
    asked: int = 0
    token: str | None = None
    outcome: str | None = None
    """None while there is more to read, then `complete`, `limit` or `unavailable`."""
    reason: str | None = None
    _tokens: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    """Of the posts that are the day's."""
    _wanted: set[str] = field(default_factory=set)

    def take(self, answer: Answer) -> None:
        """Go one page further."""
        if reason := answer.unavailable:
            self.outcome, self.reason = "unavailable", reason
            return
        if answer.is_nothing:
            raise Outage(f"X sent neither posts nor a count of them, but {answer.content[:200]!r}")
        posts = answer.posts
        if self.returned == 0:
            require_fields(posts)
        self.pages += 1
        self.returned += len(posts)
        self.asked += int(answer.params["max_results"])
        own = [post for raw in posts if (post := _own(raw, self.day))]
        self.ids |= {post.id for post in own}
        self._wanted |= {post.original_id for post in own}
        self.token = answer.next_token
        if self.limit and len(self._wanted) >= self.limit:
            self.outcome = "limit"
        elif self.token is None or self.token in self._tokens:
            # A short or an empty page is no end; a token seen before would lead in a circle.
            self.outcome = "complete"
        else:
            self._tokens.add(self.token)

    @property
    def page_size(self) -> int:
        """How many posts to ask for: what is still wanted, by the share of them that X has returned so far.

        X cuts a page first and drops retweets and replies from it after, and bills only what it returns.
        """
        if not self.limit:
            return self.largest
        wanted = self.limit - len(self._wanted)
        share = max(self.returned / self.asked, 0.01) if self.asked else 1
        return min(max(math.ceil(wanted / share), self.smallest), self.largest)


def require_fields(posts: list[Any]) -> None:
    """Refuse a page without the fields that everything else needs, before more of it is bought."""
    if not posts:
        return
    missing = [
        name for name in MUST_HAVE if not any(isinstance(post, dict) and name in post for post in posts)
    ]
    if missing:
        raise UnexpectedAnswer(
            f"X sent {len(posts)} posts without {', '.join(missing)}. It may have renamed the field or the "
            "parameter `tweet.fields`; nothing more is bought. See x_api.POST_FIELDS."
        )


def _own(raw: Any, day: Day) -> Post | None:
    """The post, if it is one of the day."""
    try:
        post = parsed(raw)
        inside = day.start <= datetime.fromisoformat(post.created_at) < day.end
    except (Malformed, TypeError, ValueError):  # it cannot be published; `refine` says why
        return None
    return post if inside else None
