"""What a purchase asks X for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from threading import Event

from include.twitter.answer import Answer, problems
from include.twitter.day import Day
from include.twitter.errors import BadRequest, Busy, Outage, PipelineError, UnexpectedAnswer
from include.twitter.extract.money import Budget
from include.twitter.extract.paid_requests import PaidRequests
from include.twitter.extract.purchase import COUNTS, LOOKUPS, Purchase
from include.twitter.extract.walk import REREADS, Reading, Walk
from include.twitter.extract.x import POSTS_A_LOOKUP, X

log = logging.getLogger(__name__)


class Stopped(PipelineError):
    """Another reader failed, so this one buys no more."""


@dataclass
class Buyer:
    """Buys for one purchase; several readers may use it at once.

    Of an `old` day only X's full archive counts and finds anything.
    """

    x: X
    purchase: Purchase
    budget: Budget
    day: Day
    old: bool
    own_handle: str = ""
    stopped: Event = field(default_factory=Event)

    def ask(
        self,
        folder: str,
        kind: str,
        wanted: int,
        smallest: int,
        send: Callable[[int], Answer],
        problem: Callable[[Answer], PipelineError | None] = lambda _: None,
    ) -> tuple[str, Answer]:
        """The response to a new request, stored in a folder of the purchase: see PaidRequests.ask."""
        requests = PaidRequests(self.budget, self.purchase, self._require_lease)
        return requests.ask(folder, kind, wanted, smallest, send, problem)

    def users(self, handles: list[str]) -> Answer:
        """Look up at most 100 handles."""

        def problem(answer: Answer) -> None:
            if not (answer.posts or problems(answer.body)):
                raise Outage(f"X was asked for users and sent none, but {answer.content[:200]!r}")

        number = len(handles)
        _, answer = self.ask(LOOKUPS, "users", number, number, lambda _: self.x.users(handles), problem)
        if answer.failure:
            raise Outage(f"X could not look up all users: {answer.failure}")
        return answer

    def count(self, ids: Iterable[str]) -> Answer:
        """X's own count of the accounts' posts."""
        kind = "archive_counts" if self.old else "counts"
        return self.ask(COUNTS, kind, 1, 1, lambda _: self.x.count(ids, self.day, archive=self.old))[1]

    def page(self, reading: Reading, kind: str = "") -> None:
        """Take one of an account's walks one page further; without a kind, that through its timeline."""
        walk, id_ = reading.of(kind), str(reading.id)
        searched = bool(kind) or self.old
        own = not searched and self._is_own(reading)
        ask: Callable[..., Answer] = partial(self.x.timeline, id_, self.day, own=own)
        if searched:
            ask = partial(self.x.search, id_, self.day, archive=self.old, threads=walk.of_threads)
        page = self._page("own_posts" if own else "posts", walk, kind + id_, ask, walk.problem)
        if page:
            reading.take(*page, kind)

    def _is_own(self, reading: Reading) -> bool:
        """Whether X charges an own post's price: the account owns the access token.

        X's tokens begin with the owner's id. Where one does not, a handle that another account took over is
        not one's own, so that no amount is booked too low.
        """
        if not (self.x.is_user and self.own_handle):
            return False
        if self.x.owner_id:
            return reading.id == self.x.owner_id
        return reading.handle.lower() == self.own_handle and not reading.was_another

    def read_again(self, reading: Reading) -> None:
        """Read posts once more of which X could not fill a field, while X charges nothing for it.

        Nothing else depends on it: what fails is logged, and the posts stay as they came.
        """
        today = Day.of(self.purchase.now())
        ids = [id_ for id_, at in sorted(reading.unfilled.items()) if Day.of(at) == today]
        for some in (ids[at : at + POSTS_A_LOOKUP] for at in range(0, len(ids), POSTS_A_LOOKUP)):
            try:
                self._read_some_again(reading, some)
            except Busy:  # another run has the lease now
                raise
            except PipelineError as error:
                reading.read_again |= {*ids}  # this try of the task asks once
                log.warning(
                    "%s: X could not fill fields of %d posts, and they are not read again. %s",
                    reading.username,
                    len(some),
                    error,
                )
                return

    def _read_some_again(self, reading: Reading, ids: list[str]) -> None:
        def problem(answer: Answer) -> UnexpectedAnswer | None:
            if answer.failure or not (answer.posts or problems(answer.body)):
                raise Outage(f"X could not send the posts: {answer.failure or repr(answer.content[:200])}")
            posts = [post for post in answer.posts if isinstance(post, dict)]
            if all(post.get("id") in ids and post.get("author_id") in (None, reading.id) for post in posts):
                return None
            return UnexpectedAnswer(f"X was asked for {len(ids)} posts by their ids and sent others.")

        send = partial(self.x.posts, ids, free=True, whole=True)
        folder = f"{REREADS}{reading.id}"
        reading.take_again(*self.ask(folder, "rereads", len(ids), len(ids), lambda _: send(), problem))
        log.info(
            "%s: %d posts, of which X could not fill a field, were read again", reading.username, len(ids)
        )

    def _page(
        self,
        price: str,
        walk: Walk,
        folder: str,
        ask: Callable[..., Answer],
        problem_of: Callable[[Answer], UnexpectedAnswer | None],
    ) -> tuple[str, Answer] | None:
        """Ask for the next page of a walk, and stage it; None where it has to be asked for in another way."""
        was_sent = False

        def send(size: int) -> Answer:
            nonlocal was_sent
            answer = ask(size=size, **walk.where)
            was_sent = True
            return answer

        try:
            return self.ask(folder, price, walk.page_size, walk.smallest, send, problem_of)
        except BadRequest:
            if was_sent or not walk.leave_token():
                raise
        except Outage:
            if was_sent or not walk.ask_for_less():
                raise
        return None

    def pause(self, seconds: float) -> None:
        """Wait, unless another reader fails meanwhile."""
        self.stopped.wait(seconds)

    def _require_lease(self) -> None:
        if self.stopped.is_set():
            raise Stopped
        self.purchase.keep_turn()
