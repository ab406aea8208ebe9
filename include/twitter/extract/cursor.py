"""The position in the posts of a source: a pure function of X's responses so far.

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
from include.twitter.errors import OtherAuthors, Outage, UnexpectedResponse
from include.twitter.extract.account_state import Event
from include.twitter.response import Response, author_of, field_by_either_name
from include.twitter.sources import Endpoint, Source

MUST_HAVE = ("id", "text", "created_at", "public_metrics")
"""X ignores the name of a field that it does not know, answers 200 and bills: only the posts show it."""
POST_ID = re.compile("[0-9]{1,19}")
MAX_EMPTY_PAGES = 100
"""In a row. A timeline of 800 posts may have 8."""
MAX_REPEATED_PAGES = 10
"""In a row, with no new post: X bills them."""
MAX_DEAD_TOKENS = 10
"""Rejected in a row, with only empty pages between them: then the tokens are not the cause."""
SMALLEST_ARCHIVE_PAGE = 100
"""X's archive has answered 503 to pages of 500 posts, and served pages of 100."""
PAGES_TO_RECOVER = 5
"""Successful pages after which the page size is doubled again."""


@dataclass
class Cursor:
    """The position in a source's posts of a day, newest first, and what has arrived of them."""

    source: Source
    day: Day
    limit: int
    """The latest N posts are collected; 0 is all."""
    ended: Event | None = None
    """None if there is more to read."""
    reason: str | None = None
    """Why the account is gone, in X's words, or which bound has ended the reading."""
    pages: int = 0
    returned: int = 0
    requested: int = 0
    token: str | None = None
    """Token of the next page."""
    hours: dict[str, str] = field(default_factory=dict)
    """The hour, as `2026-11-18T09`, of each post of the day that the source owns, by id."""
    unfilled: dict[str, datetime] = field(default_factory=dict)
    """The posts with a field that X could not fill: the time of the response, by id."""
    _posts: set[str] = field(default_factory=set)
    """Ids of the first versions of the posts in `hours`: the limit counts them."""
    _tokens: set[str] = field(default_factory=set)
    _oldest: int | None = None
    _stall: StallDetector = field(default_factory=lambda: StallDetector())
    _page_size_cap: int = 0
    """After failures of the archive; 0 is X's largest page."""
    _successes: int = 0
    _dead_tokens: int = 0
    _fell_back_at: tuple[int | None, int] = (-1, -1)
    """Oldest post and number of returned posts when a token was dropped last."""

    def problem(self, response: Response) -> UnexpectedResponse | None:
        """Return why a response cannot be used as the next page; raise Outage if it is no response at all."""
        failure = None if response.posts else response.failure
        if failure or (response.has_no_content and not response.unavailable):
            raise Outage(
                f"X sent neither posts nor a count of them, but {failure or response.content[:200]!r}"
            )
        posts, author_id = _objects(response), self.source.author_id
        authors = {str(author_of(post, author_id)) for post in posts}
        if author_id and authors and author_id not in authors:
            return OtherAuthors(
                f"The posts of {author_id} were requested, and X sent those of "
                f"{', '.join(sorted(authors))}: they are stored and not published. Look up which account "
                "has the handle now"
            )
        missing = {name for name in MUST_HAVE if not any(name in post for post in posts)} - response.unfilled
        if response.posts and missing and not self.returned:
            return UnexpectedResponse(
                f"X sent {len(response.posts)} posts without {', '.join(sorted(missing))}. It may have "
                "renamed the field or the parameter `tweet.fields`; nothing more is bought. See POST_FIELDS "
                "in x/client.py."
            )
        return None

    def advance(self, response: Response) -> None:
        """Move past the next page."""
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
        self._successes += 1
        if self._page_size_cap and self._successes % PAGES_TO_RECOVER == 0:
            self._page_size_cap = min(self._page_size_cap * 2, self._endpoint.largest_page)
        self.token, bound = response.next_token, self._stall.after(response, posts, self.day)
        if self.limit and len(self._posts) >= self.limit:
            self.ended = Event.LIMIT
        elif self.token is None or self.token in self._tokens:
            # A short or an empty page is no end; a token seen before would lead in a circle.
            self.ended = Event.END
        elif bound:
            self.ended, self.reason = Event.END, f"reading was stopped: {bound}"
        else:
            self._tokens.add(self.token)

    def count(self, response: Response) -> None:
        """Record which posts of a response belong to the day and the source."""
        self.returned += len(response.posts)
        author_id = self.source.author_id
        for post in _objects(response):
            created_at = _created_at(post)
            # The request names the window, so a post without a time is of the day.
            is_of_day = created_at is None or self.day.start <= created_at < self.day.end
            is_of_author = not author_id or author_of(post, author_id) == author_id
            if not (isinstance(post.get("id"), str) and is_of_day and is_of_author):
                continue
            unfilled = response.unfilled_of(post)
            if unfilled and POST_ID.fullmatch(post["id"]):
                self.unfilled[post["id"]] = response.received_at
            if self.source.owns(post, unfilled):
                self.hours[post["id"]] = f"{created_at.astimezone(UTC):%Y-%m-%dT%H}" if created_at else ""
                self._posts.add(_first_version(post))

    # The next request

    @property
    def request_params(self) -> dict[str, Any]:
        """The parameters of the next page: a token, or the id of the oldest post that arrived."""
        return {"token": self.token} if self.token or not self._oldest else {"until_id": self._oldest}

    @property
    def page_size(self) -> int:
        """The number of posts to request: those missing to the limit, over the share that X returned so far.

        X cuts a page to its size, then drops retweets and replies from it, and bills the rest.
        """
        largest = self._page_size_cap or self._endpoint.largest_page
        if not self.limit:
            return largest
        share = max(self.returned / self.requested, 0.01) if self.requested else 1
        return min(max(math.ceil((self.limit - len(self._posts)) / share), self.smallest_page), largest)

    @property
    def smallest_page(self) -> int:
        return self._endpoint.smallest_page

    @property
    def _endpoint(self) -> Endpoint:
        return self.source.page_request().endpoint

    def shrink_page_size(self) -> bool:
        """Halve the page size, since the archive may time out on large pages; False if it is small."""
        if self.page_size <= SMALLEST_ARCHIVE_PAGE:
            return False
        self._page_size_cap, self._successes = max(self.page_size // 2, SMALLEST_ARCHIVE_PAGE), 0
        return True

    def fall_back_to_until_id(self) -> bool:
        """Drop the token and continue below the oldest post: tokens expire, ids do not.

        False if there is no token to drop, or if dropping one again cannot help: no older post has arrived
        since the last time although X sent posts, or only empty pages arrived too often.
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
    """Ends a reading without progress: X may send a new token with every page, without end."""

    seen: set[str] = field(default_factory=set)
    """Ids of all posts that arrived."""
    empty: int = 0
    repeated: int = 0

    def after(self, response: Response, posts: list[dict[str, Any]], day: Day) -> str | None:
        """Return the reason to stop after this page, if there is one."""
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
        times = [_created_at(post) for post in posts]
        if times and all(at and at < day.start for at in times):  # X sends newer posts first
            return "a page has only posts from before the day"
        return None


def _objects(response: Response) -> list[dict[str, Any]]:
    return [post for post in response.posts if isinstance(post, dict)]


def _created_at(post: Mapping[str, Any]) -> datetime | None:
    """The time of a post; None if it is malformed or has no offset."""
    try:
        created_at = datetime.fromisoformat(post["created_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return created_at if created_at.tzinfo else None


def _first_version(post: Mapping[str, Any]) -> str:
    versions = field_by_either_name(post, "edit_history_tweet_ids")
    first = versions[0] if isinstance(versions, list) and versions else None
    return first if isinstance(first, str) and first else post["id"]
