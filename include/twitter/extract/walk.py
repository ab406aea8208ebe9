"""How far the reading of one account's day has come, told by X's answers alone.

The state is a function of the answers taken, so that a walk goes on from staged pages as if it had never
been interrupted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.twitter.answer import Answer, is_unasked
from include.twitter.day import Day
from include.twitter.errors import Outage, UnexpectedAnswer
from include.twitter.records import AccountRead, Outcome, Proof

log = logging.getLogger(__name__)

MUST_HAVE = ("id", "text", "created_at", "public_metrics")
"""X ignores a field name that it does not know, answers 200, and bills: only looking shows it."""


@dataclass
class Walk:
    """A walk through an account's posts, page by page, from the newest of the day to the oldest."""

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
    """Of the next page."""
    outcome: Outcome | None = None
    """None while there is more to read."""
    reason: str | None = None
    ids: set[str] = field(default_factory=set)
    """Of the posts that are the day's, whether or not they can be published."""
    _posts: set[str] = field(default_factory=set)
    """Those that were asked for, with all versions of an edited post as one."""
    _tokens: set[str] = field(default_factory=set)
    _oldest: int | None = None
    _left_at: int | None = -1

    def problem(self, answer: Answer) -> UnexpectedAnswer | None:
        """Why an answer cannot be the next page, if it cannot; Outage where it is no answer at all."""
        if not answer.unavailable and answer.is_nothing:
            raise Outage(f"X sent neither posts nor a count of them, but {answer.content[:200]!r}")
        return None if self.returned else _without_fields(answer.posts)

    def take(self, answer: Answer) -> None:
        """Go one page further."""
        if reason := answer.unavailable:
            self.outcome, self.reason = "unavailable", reason
            return
        posts = [post for post in answer.posts if isinstance(post, dict)]
        if not answer.asked_token:
            self._tokens.clear()  # begun anew: X may lead over the same pages again
        self.pages += 1
        self.returned += answer.billed
        self.asked += int(answer.params["max_results"])
        own = [post for post in posts if _is_of(post, self.day)]
        self.ids |= {post["id"] for post in own}
        self._posts |= {_first_version(post) for post in own if not is_unasked(post)}
        ids = [int(post["id"]) for post in posts if str(post.get("id", "")).isdecimal()]
        self._oldest = min([*ids, *([self._oldest] if self._oldest else [])], default=None)
        self.token = answer.next_token
        if self.limit and len(self._posts) >= self.limit:
            self.outcome = "limit"
        elif self.token is None or self.token in self._tokens or _ran_past(answer, self.day):
            # A short or an empty page is no end; a token seen before would lead in a circle.
            self.outcome = "complete"
        else:
            self._tokens.add(self.token)

    def leave_token(self) -> bool:
        """Go on below the oldest post that came, since a token dies and a post's id does not.

        False where there is no token to leave, or nothing older has come since that was done last.
        """
        left, self.token = self.token, None
        further, self._left_at = self._oldest != self._left_at, self._oldest
        return bool(left) and further

    @property
    def where(self) -> dict[str, Any]:
        """What leads X to the next page."""
        return {"token": self.token} if self.token or not self._oldest else {"below": self._oldest}

    @property
    def page_size(self) -> int:
        """How many posts to ask for: what is still wanted, by the share of them that X has returned so far.

        X cuts a page first and drops retweets and replies from it after, and bills only what it returns.
        """
        if not self.limit:
            return self.largest
        wanted = self.limit - len(self._posts)
        share = max(self.returned / self.asked, 0.01) if self.asked else 1
        return min(max(math.ceil(wanted / share), self.smallest), self.largest)


@dataclass
class Reading:
    """One account of the day, and how far it has come."""

    username: str
    walk: Walk
    second: Walk
    """The one second reading, of an account that came short of X's count."""
    id: str | None = None
    proof: Proof = "unchecked"
    counted: int | None = None
    """X's own count, where it was asked for alone."""
    pages: list[str] = field(default_factory=list)

    def take(self, key: str, answer: Answer, *, second: bool) -> None:
        """Go one page further; `key` is where the page is staged."""
        (self.second if second else self.walk).take(answer)
        self.pages.append(key)

    def resume(self, key: str, answer: Answer, *, second: bool) -> None:
        """Go over a page that was staged before; an account that was unavailable may be back."""
        self.pages.append(key)
        if second or not answer.unavailable:
            (self.second if second else self.walk).take(answer)

    @property
    def is_unavailable(self) -> bool:
        return self.walk.outcome == "unavailable"

    @property
    def arrived(self) -> int:
        """The day's posts that X has sent, each once."""
        return len(self.walk.ids | self.second.ids)

    @property
    def outcome(self) -> Outcome:
        ended = self.second.outcome if self.second.outcome == "limit" else self.walk.outcome
        return ended or "unavailable"

    def give_up(self, reason: str) -> None:
        """It cannot be read, and is not asked for again in this try."""
        log.warning("%s: %s", self.username, reason)
        self.walk.outcome, self.walk.reason = "unavailable", reason

    def record(self) -> AccountRead:
        return AccountRead(
            username=self.username,
            id=self.id,
            outcome=self.outcome,
            reason=self.walk.reason,
            proof=self.proof,
            counted=self.counted,
            posts=self.walk.returned + self.second.returned,
            limit=self.walk.limit,
            pages=self.pages,
        )


def _without_fields(posts: list[Any]) -> UnexpectedAnswer | None:
    """Refuse a page without the fields that everything else needs, before more of it is bought."""
    missing = [
        name for name in MUST_HAVE if not any(isinstance(post, dict) and name in post for post in posts)
    ]
    if not posts or not missing:
        return None
    return UnexpectedAnswer(
        f"X sent {len(posts)} posts without {', '.join(missing)}. It may have renamed the field or the "
        "parameter `tweet.fields`; nothing more is bought. See POST_FIELDS in extract/x.py."
    )


def _created_at(post: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(post["created_at"])
    except (KeyError, TypeError, ValueError):
        return None


def _is_of(post: Mapping[str, Any], day: Day) -> bool:
    """Whether it is one of the day's posts: the window is asked for, so one without a time is."""
    created_at = _created_at(post)
    inside = created_at is None or created_at.tzinfo is None or day.start <= created_at < day.end
    return isinstance(post.get("id"), str) and inside


def _ran_past(answer: Answer, day: Day) -> bool:
    """Whether the page lies before the day: X says that ids win over times, and might forget the start."""
    times = [_created_at(post) for post in answer.posts if "until_id" in answer.params]
    return bool(times) and all(at is not None and at.tzinfo and at < day.start for at in times)


def _first_version(post: Mapping[str, Any]) -> str:
    versions = post.get("edit_history_tweet_ids") or post.get("edit_history_post_ids")
    first = versions[0] if isinstance(versions, list) else None
    return first if isinstance(first, str) and first else post["id"]
