"""How far the reading of a source has come: a pure function of X's responses so far.

Stored pages and new ones advance it alike, so an interrupted reading continues as if it had not stopped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.twitter.day import Day
from include.twitter.errors import OtherAuthors, Outage, UnexpectedAnswer
from include.twitter.extract.account_state import Event
from include.twitter.response import Response, author_of, field_by_either_name
from include.twitter.sources import Endpoint, Source

MUST_HAVE = ("id", "text", "created_at", "public_metrics")
"""X ignores a field name that it does not know, answers 200, and bills: only looking shows it."""
POST_ID = re.compile("[0-9]{1,19}")
MAX_EMPTY_PAGES = 100
"""So many in a row without a post end a reading: a timeline of 800 posts has 8 that could be."""
MAX_REPEATED_PAGES = 10
"""So many in a row with posts that had all come before: X bills them."""
MAX_DEAD_TOKENS = 10
"""So many that X refused in a row, with empty pages alone between them: then it is not the tokens."""
SMALLEST_ARCHIVE_PAGE = 100
"""X's archive has answered 503 to 500 posts a page, and served 100."""
PAGES_TO_RECOVER = 5
"""After so many successful pages the page size is doubled again."""


@dataclass
class Cursor:
    """The position in a source's posts of a day, from the newest to the oldest, and what has arrived."""

    source: Source
    day: Day
    limit: int
    """The latest N posts are wanted; 0 is all."""
    ended: Event | None = None
    """None while there is more to read."""
    reason: str | None = None
    """Why the account is gone, in X's words, or which bound has ended the reading."""
    pages: int = 0
    returned: int = 0
    requested: int = 0
    token: str | None = None
    """Of the next page."""
    hours: dict[str, str] = field(default_factory=dict)
    """The day's posts that the source owns, publishable or not, by id, with their hour: `2026-11-18T09`."""
    unfilled: dict[str, datetime] = field(default_factory=dict)
    """Posts that lack a field which X could not fill, and when X sent them."""
    _posts: set[str] = field(default_factory=set)
    """Those posts with all versions of an edited one as one."""
    _tokens: set[str] = field(default_factory=set)
    _oldest: int | None = None
    _stall: StallDetector = field(default_factory=lambda: StallDetector())
    _page_size_cap: int = 0
    """Since the archive has failed; 0 is as many as X serves."""
    _successes: int = 0
    _dead_tokens: int = 0
    _fell_back_at: tuple[int | None, int] = (-1, -1)
    """The oldest post, and the number of posts returned, when a token was dropped last."""

    def problem(self, response: Response) -> UnexpectedAnswer | None:
        """Why a response cannot be the next page, if it cannot; Outage where it is no response at all."""
        if not response.unavailable and response.has_no_content:
            raise Outage(f"X sent neither posts nor a count of them, but {response.content[:200]!r}")
        if not response.posts and response.failure:
            raise Outage(f"X sent no posts, since a part of it failed: {response.failure}")
        other_authors = _by_others(response, self.source.author_id)
        return other_authors or (None if self.returned else _without_fields(response))

    def advance(self, response: Response) -> None:
        """Go one page further."""
        if reason := response.unavailable:
            self.ended = Event.ID_UNKNOWN if response.id_not_found else Event.GONE
            self.reason = reason
            return
        if not response.request_token:
            self._tokens.clear()  # a new start: X may lead over the same pages again
        self.pages += 1
        self.requested += int(response.params["max_results"])
        self.count(response)
        posts = _objects(response)
        ids = [int(post["id"]) for post in posts if POST_ID.fullmatch(str(post.get("id")))]
        self._oldest = min([*ids, *([self._oldest] if self._oldest else [])], default=None)
        self._recover_page_size()
        self.token, stalled = response.next_token, self._stall.after(response, posts, self.day)
        if self.limit and len(self._posts) >= self.limit:
            self.ended = Event.LIMIT
        elif self.token is None or self.token in self._tokens:
            # A short or an empty page is no end; a token seen before would lead in a circle.
            self.ended = Event.END
        elif stalled:
            self.ended, self.reason = Event.END, f"its walk was ended: {stalled}"
        else:
            self._tokens.add(self.token)

    def count(self, response: Response) -> None:
        """Count what came, and keep which of it is the day's and the source's."""
        self.returned += len(response.posts)
        author_id = self.source.author_id
        for post in _objects(response):
            if not _is_of(post, self.day) or (author_id and author_of(post, author_id) != author_id):
                continue
            unfilled = response.unfilled_of(post)
            if unfilled and POST_ID.fullmatch(post["id"]):
                self.unfilled[post["id"]] = response.received_at
            if self.source.owns(post, unfilled):
                created_at = _created_at(post)
                self.hours[post["id"]] = f"{created_at.astimezone(UTC):%Y-%m-%dT%H}" if created_at else ""
                self._posts.add(_first_version(post))

    # The next request

    @property
    def request_params(self) -> dict[str, Any]:
        """What leads X to the next page: a token, or the oldest post that came."""
        return {"token": self.token} if self.token or not self._oldest else {"until_id": self._oldest}

    @property
    def page_size(self) -> int:
        """How many posts to ask for: what is still wanted, by the share of them that X has returned so far.

        X cuts a page first and drops retweets and replies from it after, and bills only what it returns.
        """
        largest = self._page_size_cap or self._endpoint.largest_page
        if not self.limit:
            return largest
        wanted = self.limit - len(self._posts)
        share = max(self.returned / self.requested, 0.01) if self.requested else 1
        return min(max(math.ceil(wanted / share), self.smallest_page), largest)

    @property
    def smallest_page(self) -> int:
        return self._endpoint.smallest_page

    @property
    def _endpoint(self) -> Endpoint:
        return self.source.page_request().endpoint

    def shrink_page_size(self) -> bool:
        """Halve the next pages, where they are large: the archive may fail to find so much in time."""
        if self.page_size <= SMALLEST_ARCHIVE_PAGE:
            return False
        self._page_size_cap, self._successes = max(self.page_size // 2, SMALLEST_ARCHIVE_PAGE), 0
        return True

    def _recover_page_size(self) -> None:
        self._successes += 1
        if self._page_size_cap and self._successes % PAGES_TO_RECOVER == 0:
            self._page_size_cap = min(self._page_size_cap * 2, self._endpoint.largest_page)

    def fall_back_to_until_id(self) -> bool:
        """Drop the token and go on below the oldest post that came: tokens expire, ids do not.

        False where there is no token to drop; or nothing older has come since that was done last, and posts
        did, or it was done often. Empty pages are free.
        """
        if not self.token:
            return False
        self.token = None
        (oldest, returned), self._fell_back_at = self._fell_back_at, (self._oldest, self.returned)
        is_older = self._oldest != oldest
        self._dead_tokens = 1 if is_older else self._dead_tokens + 1
        return is_older or (self.returned == returned and self._dead_tokens <= MAX_DEAD_TOKENS)


@dataclass
class StallDetector:
    """The pages in a row that brought nothing: X may lead on for ever, with a new token each time."""

    seen: set[str] = field(default_factory=set)
    """The ids of all posts that came."""
    empty: int = 0
    repeated: int = 0

    def after(self, response: Response, posts: list[dict[str, Any]], day: Day) -> str | None:
        """The bound that is reached with this page, if one is."""
        new = {str(post.get("id")) for post in posts} - self.seen
        self.seen |= new
        if response.posts:
            self.empty = 0
            self.repeated = 0 if new else self.repeated + 1
        else:
            self.empty += 1
        if self.empty >= MAX_EMPTY_PAGES:
            return f"{MAX_EMPTY_PAGES} pages in a row were empty, and posts may be missing"
        if self.repeated >= MAX_REPEATED_PAGES:
            return f"{MAX_REPEATED_PAGES} pages in a row brought nothing new, and posts may be missing"
        if _is_before(posts, day):  # X sends newer posts first
            return "a page lay before the day, whose start was asked for"
        return None


def _objects(response: Response) -> list[dict[str, Any]]:
    return [post for post in response.posts if isinstance(post, dict)]


def _by_others(response: Response, author_id: str | None) -> OtherAuthors | None:
    """Refuse a page without a post of the requested account."""
    authors = {str(post.get("author_id") or author_id) for post in _objects(response)}
    if not author_id or not authors or author_id in authors:
        return None
    return OtherAuthors(
        f"X was asked for the posts of {author_id} and sent those of {', '.join(sorted(authors))}: "
        "they are kept as they came, and not published"
    )


def _without_fields(response: Response) -> UnexpectedAnswer | None:
    """Refuse a page without the fields that everything else needs, before more of it is bought.

    A field that X says it could not fill costs that field alone.
    """
    posts = _objects(response)
    missing = {name for name in MUST_HAVE if not any(name in post for post in posts)} - response.unfilled
    if not response.posts or not missing:
        return None
    return UnexpectedAnswer(
        f"X sent {len(response.posts)} posts without {', '.join(sorted(missing))}. It may have renamed the "
        "field or the parameter `tweet.fields`; nothing more is bought. See POST_FIELDS in x/client.py."
    )


def _created_at(post: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(post["created_at"])
    except (KeyError, TypeError, ValueError):
        return None


def _is_of(post: Mapping[str, Any], day: Day) -> bool:
    """Whether it is one of the day's posts: the request names the window, so a post without a time is."""
    created_at = _created_at(post)
    inside = created_at is None or created_at.tzinfo is None or day.start <= created_at < day.end
    return isinstance(post.get("id"), str) and inside


def _is_before(posts: list[dict[str, Any]], day: Day) -> bool:
    """Whether the posts of a page all lie before the day."""
    times = [_created_at(post) for post in posts]
    return bool(times) and all(at is not None and at.tzinfo and at < day.start for at in times)


def _first_version(post: Mapping[str, Any]) -> str:
    versions = field_by_either_name(post, "edit_history_tweet_ids")
    first = versions[0] if isinstance(versions, list) and versions else None
    return first if isinstance(first, str) and first else post["id"]
