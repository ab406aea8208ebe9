"""One account of the day, and how far it has come."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from include.twitter.day import Day
from include.twitter.extract.account_state import Event, State, after, outcome_of, proof_of
from include.twitter.extract.cursor import Cursor
from include.twitter.records import AccountOutcome
from include.twitter.response import Response
from include.twitter.sources import AccountPosts, SelfReplies, Verification

log = logging.getLogger(__name__)


@dataclass
class AccountProgress:
    """The state of an account on a day, the cursors of its sources, and the pages that belong to it."""

    handle: str
    """As `twitter_handles` names it now."""
    username: str
    """Its handle on the day."""
    day: Day
    limit: int
    old: bool = False
    state: State = State.UNRESOLVED
    reason: str | None = None
    """Why it is unavailable, or which bound has ended its reading."""
    proof_reason: str | None = None
    counted: int | None = None
    """X's own count, if the account was counted alone."""
    pages: list[str] = field(default_factory=list)
    """Keys of the responses that belong to it."""
    reread: set[str] = field(default_factory=set)
    """Ids of posts that were requested a second time."""
    is_begun: bool = False
    """Whether its stored pages were read."""
    refusal: str | None = None
    """Why nothing more may be bought of it."""
    is_skipped: bool = False
    """Whether nothing is to be read for the handle: another one reads the account, or all of it is there."""

    def __post_init__(self) -> None:
        self.bind("")

    @property
    def id(self) -> str | None:
        return self.posts.source.author_id or None

    def bind(self, id_: str, *, own: bool = False) -> None:
        """Read this account; what came of another one is none of its pages."""
        posts = AccountPosts(self.username, id_, self.old, own)
        self.posts = Cursor(posts, self.day, self.limit)
        self.verification = Cursor(Verification(self.username, id_, self.old), self.day, self.limit)
        self.self_replies = Cursor(SelfReplies(self.username, id_, self.old), self.day, self.limit)
        self.rereads = Cursor(posts, self.day, self.limit)
        """The posts that were read a second time by their ids: it only counts."""
        self.pages, self.reread, self.reason, self.refusal, self.is_begun = [], set(), None, None, False

    def apply(self, event: Event) -> None:
        self.state = after(self.state, event)

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
        """Take over how a cursor of its posts has ended."""
        name = cursor.source.label.replace(str(self.id), self.username)
        end = cursor.reason or (cursor.ended and cursor.ended.name)
        log.info("%s: %s; posts %d, pages %d", name, end, cursor.returned, cursor.pages)
        if cursor.ended in (Event.GONE, Event.ID_UNKNOWN):
            self.mark_unavailable(cursor.reason or "", cursor.ended)
        elif cursor.ended:
            self.apply(cursor.ended)
            self.reason = self.reason or cursor.reason

    def take_reread(self, key: str, response: Response) -> None:
        self.rereads.count(response)
        self.reread |= {*str(response.params["ids"]).split(",")}
        self.pages.append(key)

    @property
    def unfilled(self) -> dict[str, datetime]:
        """The posts that lack fields and were not read a second time, and when X sent them."""
        cursors = (self.posts, self.verification, self.rereads, self.self_replies)
        found = {id_: at for cursor in cursors for id_, at in cursor.unfilled.items()}
        return {id_: at for id_, at in found.items() if id_ not in self.reread}

    @property
    def _arrived(self) -> dict[str, str]:
        """Its own posts of the day with their hours, each once, without those of its threads."""
        return self.posts.hours | self.verification.hours | self.rereads.hours

    @property
    def arrived(self) -> int:
        return len(self._arrived)

    @property
    def hours(self) -> Counter[str]:
        """How many of them were posted in which hour."""
        return Counter(filter(None, self._arrived.values()))

    def record(self) -> AccountOutcome:
        cursors = (self.posts, self.verification, self.rereads, self.self_replies)
        return AccountOutcome(
            username=self.username,
            id=self.id,
            outcome=outcome_of(self.state),
            reason=self.reason,
            proof=proof_of(self.state),
            proof_reason=self.proof_reason,
            counted=self.counted,
            posts=sum(cursor.returned for cursor in cursors),
            limit=self.limit,
            threads=self.self_replies.ended is not None,
            pages=self.pages,
        )
