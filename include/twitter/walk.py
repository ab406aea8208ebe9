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
from include.twitter.errors import UnexpectedAnswer
from include.twitter.post import Malformed, parsed

SMALLEST_PAGE, LARGEST_PAGE = 5, 100
MUST_HAVE = ("id", "text", "created_at", "public_metrics")
"""X ignores a field name that it does not know, answers 200, and bills: only looking shows it."""


@dataclass
class Walk:
    """A walk through the timeline pages of an account, from the newest post of the day to the oldest."""

    day: Day
    limit: int
    """The latest N posts are wanted; 0 is all."""
    pages: int = 0
    returned: int = 0
    asked: int = 0
    token: str | None = None
    outcome: str | None = None
    """None while there is more to read, then `complete`, `limit` or `unavailable`."""
    reason: str | None = None
    _tokens: set[str] = field(default_factory=set)
    _wanted: set[str] = field(default_factory=set)

    def take(self, answer: Answer) -> None:
        """Go one page further."""
        if reason := answer.unavailable:
            self.outcome, self.reason = "unavailable", reason
            return
        posts = answer.posts
        if self.returned == 0:
            require_fields(posts)
        self.pages += 1
        self.returned += len(posts)
        self.asked += int(answer.params["max_results"])
        self._wanted |= {wanted for post in posts if (wanted := _wanted(post, self.day))}
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
            return LARGEST_PAGE
        wanted = self.limit - len(self._wanted)
        share = max(self.returned / self.asked, 0.01) if self.asked else 1
        return min(max(math.ceil(wanted / share), SMALLEST_PAGE), LARGEST_PAGE)


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


def _wanted(raw: Any, day: Day) -> str | None:
    """The id under which a post of the day counts towards the limit: the versions of an edit are one."""
    try:
        post = parsed(raw)
        inside = day.start <= datetime.fromisoformat(post.created_at) < day.end
    except (Malformed, TypeError, ValueError):  # it cannot be published; `refine` says why
        return None
    return post.original_id if inside else None
