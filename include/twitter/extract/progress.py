"""The progress of one account of the day: its state, its cursors and its pages."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from include.twitter.day import Day
from include.twitter.extract.account_state import Event, State
from include.twitter.extract.cursor import Cursor
from include.twitter.records import AccountOutcome
from include.twitter.response import Response
from include.twitter.sources import Source, SourceSet

log = logging.getLogger(__name__)


@dataclass
class AccountProgress:
    """The state of an account on a day, the cursors of its sources, and the pages that belong to it."""

    handle: str
    """As in `twitter_handles`."""
    username: str
    """Its handle on the day."""
    day: Day
    limit: int
    sources: SourceSet
    state: State = State.UNRESOLVED
    reason: str | None = None
    """Why it is unavailable, or which bound has ended its reading."""
    proof_reason: str | None = None
    counted: int | None = None
    """X's own count, if the account was counted alone."""
    pages: list[str] = field(default_factory=list)
    """Keys of its responses."""
    reread: set[str] = field(default_factory=set)
    """Ids of posts that were requested a second time."""
    has_read_stored: bool = False
    """Whether its stored pages were read."""
    refusal: str | None = None
    """Why nothing more of it may be bought."""
    is_skipped: bool = False
    """Whether the handle is not read: an earlier handle names the same account, or nothing is missing."""

    def __post_init__(self) -> None:
        self.bind("", self.username)

    def bind(self, id_: str, username: str) -> None:
        """Start again with the account of this id, without the pages of another id."""

        def cursor(source: Source) -> Cursor:
            return Cursor(source.resolve(id_), self.day, self.limit)

        self.username, (posts, verification, self_replies) = username, self.sources
        self.posts = cursor(posts)
        self.verification = cursor(verification) if verification else None
        self.self_replies = cursor(self_replies) if self_replies else None
        self.pages, self.reread, self.has_read_stored = [], set(), False
        self.reason = self.refusal = None

    @property
    def id(self) -> str | None:
        return self.posts.source.author_id or None

    @property
    def label(self) -> str:
        """The label of its own posts: the id of an account."""
        return self.posts.source.label

    @property
    def cursors(self) -> list[Cursor]:
        return [cursor for cursor in (self.posts, self.verification, self.self_replies) if cursor]

    def apply(self, event: Event) -> None:
        self.state = self.state.after(event)

    def mark_unavailable(self, reason: str, event: Event = Event.GONE) -> None:
        log.warning("%s: %s", self.username, reason)
        self.apply(event)
        self.reason = reason

    @property
    def is_unavailable(self) -> bool:
        return self.state in (State.UNAVAILABLE, State.BLOCKED)

    @property
    def can_be_read(self) -> bool:
        return self.state in (State.READING, State.READ, State.LIMITED)

    def finish(self, cursor: Cursor) -> None:
        """Apply the end of a cursor to the account."""
        label = cursor.source.label.replace(str(self.id), self.username)
        end = cursor.reason or (cursor.ended and cursor.ended.name)
        log.info("%s: %s; posts %d, pages %d", label, end, cursor.returned, cursor.pages)
        if cursor.ended in (Event.GONE, Event.ID_UNKNOWN):
            self.mark_unavailable(cursor.reason or "", cursor.ended)
        elif cursor.ended:
            self.apply(cursor.ended)
            self.reason = self.reason or cursor.reason

    def advance(self, cursor: Cursor, key: str, response: Response) -> None:
        """Record a page of one of its sources, and advance its cursor."""
        self.pages.append(key)
        cursor.advance(response)

    def add_reread(self, key: str, response: Response) -> None:
        """Record posts that were requested a second time."""
        self.pages.append(key)
        self.posts.count(response)
        self.reread |= {*str(response.params["ids"]).split(",")}

    @property
    def unfilled(self) -> dict[str, datetime]:
        """The posts that lack fields and were not requested again: the time of the response, by id."""
        unfilled = {id_: at for cursor in self.cursors for id_, at in cursor.unfilled.items()}
        return {id_: at for id_, at in unfilled.items() if id_ not in self.reread}

    @property
    def _hours(self) -> dict[str, str]:
        """The hours of its own posts, without self-replies, by id."""
        return self.posts.hours | (self.verification.hours if self.verification else {})

    @property
    def arrived(self) -> int:
        return len(self._hours)

    @property
    def hours(self) -> Counter[str]:
        """How many of its own posts arrived, by hour."""
        return Counter(filter(None, self._hours.values()))

    def record(self) -> AccountOutcome:
        return AccountOutcome(
            username=self.username,
            id=self.id,
            outcome=self.state.outcome,
            reason=self.reason,
            proof=self.state.proof,
            proof_reason=self.proof_reason,
            counted=self.counted,
            posts=sum(cursor.returned for cursor in self.cursors),
            limit=self.limit,
            threads=not self.self_replies or self.self_replies.ended is not None,
            pages=self.pages,
        )
