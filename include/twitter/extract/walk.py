"""How far the reading of one account's day has come, told by X's answers alone.

The state is a function of the answers taken, so that a walk goes on from staged pages as if it had never
been interrupted.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.twitter.answer import Answer, either_name, is_reply_to_self, is_unasked
from include.twitter.day import Day
from include.twitter.errors import OtherAuthors, Outage, UnexpectedAnswer
from include.twitter.records import AccountRead, Outcome, Proof

log = logging.getLogger(__name__)

MUST_HAVE = ("id", "text", "created_at", "public_metrics")
"""X ignores a field name that it does not know, answers 200, and bills: only looking shows it."""

POST_ID = re.compile("[0-9]{1,19}")
EMPTY_PAGES = 100
"""So many in a row without a post end a walk: a timeline of 800 posts has 8 that could be."""
REPEATED_PAGES = 10
"""So many in a row with posts that had all come before: X bills them."""
DEAD_TOKENS = 10
"""So many that X refused in a row, with empty pages alone between them: then it is not the tokens."""
SMALLEST_ARCHIVE_PAGE = 100
"""X's archive has answered 503 to 500 posts a page, and served 100."""
PAGES_TO_TRUST = 5
"""After so many that came, twice as much is asked for again."""

# Prefixes of the folders of an account's pages; those of its timeline have none.
SEARCHED = "search-"
"""What a search found of an account whose timeline came short of X's own count."""
THREADS = "thread-"
"""An account's replies to itself."""
REREADS = "reread-"
"""Posts that were read once more by their ids, since X could not fill a field of them."""


@dataclass
class Walk:
    """A walk through an account's posts, page by page, from the newest of the day to the oldest."""

    day: Day
    limit: int
    """The latest N posts are wanted; 0 is all."""
    smallest: int = 5
    largest: int = 100
    """How many posts X lets a page ask for."""
    of_threads: bool = False
    """Whether the account's replies to itself are wanted, else what is neither a retweet nor a reply."""
    pages: int = 0
    returned: int = 0
    asked: int = 0
    token: str | None = None
    """Of the next page."""
    outcome: Outcome | None = None
    """None while there is more to read."""
    reason: str | None = None
    """Why it is unavailable, or which bound has ended it."""
    is_lost: bool = False
    """Whether X no longer finds the account under the id that was asked for."""
    ids: set[str] = field(default_factory=set)
    """Of the account's own posts that are the day's, whether or not they can be published."""
    hours: dict[str, str] = field(default_factory=dict)
    """When those were posted, as `2026-11-18T09`."""
    unfilled: dict[str, datetime] = field(default_factory=dict)
    """Posts that lack a field which X could not fill, and when X sent them."""
    _posts: set[str] = field(default_factory=set)
    """Those that were asked for, with all versions of an edited post as one."""
    _tokens: set[str] = field(default_factory=set)
    _oldest: int | None = None
    _left_at: int | None = -1
    _left_after: int = -1
    """How many posts had come when a token was left last."""
    _left: int = 0
    """How many were left in a row with nothing older between them."""
    _vain: _InVain = field(default_factory=lambda: _InVain())
    _room: int = 0
    """How many posts a page asks for at most since the archive has failed; 0 is as many as X lets it."""
    _trusted: int = 0

    def problem(self, answer: Answer) -> UnexpectedAnswer | None:
        """Why an answer cannot be the next page, if it cannot; Outage where it is no answer at all."""
        if not answer.unavailable and answer.is_nothing:
            raise Outage(f"X sent neither posts nor a count of them, but {answer.content[:200]!r}")
        if not answer.posts and answer.failure:
            raise Outage(f"X sent no posts, since a part of it failed: {answer.failure}")
        return _by_others(answer) or (None if self.returned else _without_fields(answer))

    def take(self, answer: Answer) -> None:
        """Go one page further."""
        if reason := answer.unavailable:
            self.outcome, self.reason, self.is_lost = "unavailable", reason, answer.is_lost
            return
        posts = [post for post in answer.posts if isinstance(post, dict)]
        if not answer.asked_token:
            self._tokens.clear()  # begun anew: X may lead over the same pages again
        self.pages += 1
        self.asked += int(answer.params["max_results"])
        self.note(answer.posts, answer.asked_id, answer)
        ids = [int(post["id"]) for post in posts if POST_ID.fullmatch(str(post.get("id")))]
        self._oldest = min([*ids, *([self._oldest] if self._oldest else [])], default=None)
        self._grow()
        self.token, bound = answer.next_token, self._vain.after(answer, posts, self.day)
        if self.limit and len(self._posts) >= self.limit:
            self.outcome = "limit"
        elif self.token is None or self.token in self._tokens:
            # A short or an empty page is no end; a token seen before would lead in a circle.
            self.outcome = "complete"
        elif bound:
            self.outcome, self.reason = "complete", f"its walk was ended: {bound}"
        else:
            self._tokens.add(self.token)

    def note(self, posts: list[Any], id_: str | None, answer: Answer) -> None:
        """Count what came, and keep which of it is the day's and the account's."""
        self.returned += len(posts)
        sound = [post for post in posts if isinstance(post, dict) and _is_of(post, self.day)]
        own = [post for post in sound if self._is_wanted(post, id_, answer)]
        lacking = [
            post["id"]
            for post in sound
            if POST_ID.fullmatch(post["id"]) and _is_by(post, id_) and answer.unfilled_of(post)
        ]
        self.unfilled |= dict.fromkeys(lacking, answer.received_at)
        self.ids |= {post["id"] for post in own}
        self.hours |= {post["id"]: _hour(at) for post in own if (at := _created_at(post))}
        self._posts |= {_first_version(post) for post in own}

    def _is_wanted(self, post: Mapping[str, Any], id_: str | None, answer: Answer) -> bool:
        """Whether the account wrote it, and as what was asked for: X may ignore what is excluded."""
        if self.of_threads:
            return _is_by(post, id_) and is_reply_to_self(post)
        return _is_by(post, id_) and not is_unasked(post, answer.unfilled_of(post))

    def ask_for_less(self) -> bool:
        """Halve the next pages, where they are large: the archive may fail to find so much in time."""
        if self.page_size <= SMALLEST_ARCHIVE_PAGE:
            return False
        self._room, self._trusted = max(self.page_size // 2, SMALLEST_ARCHIVE_PAGE), 0
        return True

    def _grow(self) -> None:
        self._trusted += 1
        if self._room and self._trusted % PAGES_TO_TRUST == 0:
            self._room = min(self._room * 2, self.largest)

    def leave_token(self) -> bool:
        """Go on below the oldest post that came, since a token dies and a post's id does not.

        False where there is no token to leave; or nothing older has come since that was done last, and posts
        did, or it was done often. Empty pages are free.
        """
        if not self.token:
            return False
        self.token = None
        is_older, is_empty = self._oldest != self._left_at, self.returned == self._left_after
        self._left = 1 if is_older else self._left + 1
        self._left_at, self._left_after = self._oldest, self.returned
        return is_older or (is_empty and self._left <= DEAD_TOKENS)

    @property
    def where(self) -> dict[str, Any]:
        """What leads X to the next page."""
        return {"token": self.token} if self.token or not self._oldest else {"below": self._oldest}

    @property
    def page_size(self) -> int:
        """How many posts to ask for: what is still wanted, by the share of them that X has returned so far.

        X cuts a page first and drops retweets and replies from it after, and bills only what it returns.
        """
        most = self._room or self.largest
        if not self.limit:
            return most
        wanted = self.limit - len(self._posts)
        share = max(self.returned / self.asked, 0.01) if self.asked else 1
        return min(max(math.ceil(wanted / share), self.smallest), most)

    def anew(self) -> Walk:
        """The same walk, not begun."""
        return Walk(self.day, self.limit, self.smallest, self.largest, self.of_threads)


@dataclass
class _InVain:
    """The pages in a row that brought nothing: X may lead on for ever, with a new token each time."""

    seen: set[str] = field(default_factory=set)
    """The ids of all posts that came."""
    empty: int = 0
    repeated: int = 0

    def after(self, answer: Answer, posts: list[dict[str, Any]], day: Day) -> str | None:
        """To which bound the walk has come with this page, if to any."""
        new = {str(post.get("id")) for post in posts} - self.seen
        self.seen |= new
        if answer.posts:
            self.empty = 0
            self.repeated = 0 if new else self.repeated + 1
        else:
            self.empty += 1
        if self.empty >= EMPTY_PAGES:
            return f"{EMPTY_PAGES} pages in a row were empty, and posts may be missing"
        if self.repeated >= REPEATED_PAGES:
            return f"{REPEATED_PAGES} pages in a row brought nothing new, and posts may be missing"
        if _is_before(posts, day):  # X sends newer posts first
            return "a page lay before the day, whose start was asked for"
        return None


@dataclass
class Reading:
    """One account of the day, and how far it has come."""

    username: str
    walk: Walk
    second: Walk
    """The one second reading, of an account that came short of X's count."""
    thread: Walk
    """Through its replies to itself, where they are wanted."""
    id: str | None = None
    proof: Proof = "unchecked"
    proof_reason: str | None = None
    counted: int | None = None
    """X's own count, where it was asked for alone."""
    pages: list[str] = field(default_factory=list)
    again: Walk | None = None
    """What came of it when it was read once more by its ids: a walk that is never taken."""
    read_again: set[str] = field(default_factory=set)
    """Ids that were asked for so."""
    handle: str = ""
    """As `twitter_handles` names it now; `username` is its handle on the day."""
    was_another: bool = False
    """Whether the handle was another account before, and this one was accepted."""

    def __post_init__(self) -> None:
        self.handle = self.handle or self.username

    def of(self, kind: str) -> Walk:
        """Its walk whose pages are staged in this kind of folder."""
        return {"": self.walk, SEARCHED: self.second, THREADS: self.thread}[kind]

    def take(self, key: str, answer: Answer, kind: str = "") -> None:
        """Go one page further; `key` is where the page is staged."""
        walk = self.of(kind)
        walk.take(answer)
        self.pages.append(key)
        if walk.reason and walk.outcome == "complete":
            log.warning("%s: %s", self.username, walk.reason)

    def resume(self, key: str, answer: Answer, kind: str = "") -> None:
        """Go over a page that was staged before; an account that was unavailable may be back."""
        if answer.asked_id:
            self.belong_to(answer.asked_id)
        self.pages.append(key)
        if kind or not answer.unavailable:
            self.of(kind).take(answer)

    def take_again(self, key: str, answer: Answer) -> None:
        """Have what was read once more; `key` is where it is staged."""
        self.again = self.again or self.walk.anew()
        self.again.note(answer.posts, self.id, answer)
        self.read_again |= {*str(answer.params["ids"]).split(",")}
        self.pages.append(key)

    @property
    def unfilled(self) -> dict[str, datetime]:
        """The posts that lack fields and were not read once more, and when X sent them."""
        found = {id_: at for walk in (*self._walks, self.thread) for id_, at in walk.unfilled.items()}
        return {id_: at for id_, at in found.items() if id_ not in self.read_again}

    @property
    def _walks(self) -> list[Walk]:
        """All that have brought own posts of it, but for its threads."""
        return [self.walk, self.second, *(walk for walk in (self.again,) if walk)]

    @property
    def is_unavailable(self) -> bool:
        return self.walk.outcome == "unavailable"

    @property
    def arrived(self) -> int:
        """The day's posts that X has sent, each once."""
        return len(set().union(*(walk.ids for walk in self._walks)))

    @property
    def hours(self) -> Counter[str]:
        """How many of them were posted in which hour."""
        return Counter({id_: at for walk in self._walks for id_, at in walk.hours.items()}.values())

    @property
    def outcome(self) -> Outcome:
        if self.is_unavailable or "limit" not in (self.second.outcome, self.thread.outcome):
            return self.walk.outcome or "unavailable"
        return "limit"

    def belong_to(self, id_: str) -> None:
        """Be the reading of this account: what was bought of another one is none of its pages."""
        if self.id not in (None, id_):
            self.walk, self.second, self.thread = self.walk.anew(), self.second.anew(), self.thread.anew()
            self.pages, self.again, self.read_again = [], None, set()
        self.id = id_

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
            proof_reason=self.proof_reason,
            counted=self.counted,
            posts=sum(walk.returned for walk in (*self._walks, self.thread)),
            limit=self.walk.limit,
            threads=self.thread.outcome is not None,
            pages=[*self.pages],
        )


def _by_others(answer: Answer) -> OtherAuthors | None:
    """Refuse a page of which the account that was asked for has written nothing."""
    asked = answer.asked_id
    authors = {str(post.get("author_id") or asked) for post in answer.posts if isinstance(post, dict)}
    if not asked or not authors or asked in authors:
        return None
    return OtherAuthors(
        f"X was asked for the posts of {asked} and sent those of {', '.join(sorted(authors))}: "
        "they are kept as they came, and not published"
    )


def _without_fields(answer: Answer) -> UnexpectedAnswer | None:
    """Refuse a page without the fields that everything else needs, before more of it is bought.

    A field that X says it could not fill costs that field alone.
    """
    posts = [post for post in answer.posts if isinstance(post, dict)]
    missing = {name for name in MUST_HAVE if not any(name in post for post in posts)} - answer.unfilled
    if not answer.posts or not missing:
        return None
    return UnexpectedAnswer(
        f"X sent {len(answer.posts)} posts without {', '.join(sorted(missing))}. It may have renamed the "
        "field or the parameter `tweet.fields`; nothing more is bought. See POST_FIELDS in extract/x.py."
    )


def _created_at(post: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(post["created_at"])
    except (KeyError, TypeError, ValueError):
        return None


def _hour(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H}"


def _is_of(post: Mapping[str, Any], day: Day) -> bool:
    """Whether it is one of the day's posts: the window is asked for, so one without a time is."""
    created_at = _created_at(post)
    inside = created_at is None or created_at.tzinfo is None or day.start <= created_at < day.end
    return isinstance(post.get("id"), str) and inside


def _is_before(posts: list[dict[str, Any]], day: Day) -> bool:
    """Whether the posts of a page all lie before the day."""
    times = [_created_at(post) for post in posts]
    return bool(times) and all(at is not None and at.tzinfo and at < day.start for at in times)


def _is_by(post: Mapping[str, Any], id_: str | None) -> bool:
    """Whether the account wrote it, as far as X says who did."""
    return not id_ or (post.get("author_id") or id_) == id_


def _first_version(post: Mapping[str, Any]) -> str:
    versions = either_name(post, "edit_history_tweet_ids")
    first = versions[0] if isinstance(versions, list) else None
    return first if isinstance(first, str) and first else post["id"]
