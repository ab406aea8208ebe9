"""Every request that X bills: its worst case is reserved, then it is sent, staged and settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from threading import Event

from include.twitter.answer import Answer
from include.twitter.budget import Budget
from include.twitter.day import Day
from include.twitter.errors import Outage, UnexpectedAnswer
from include.twitter.proof import query
from include.twitter.purchase import COUNTS, LOOKUPS, REFUSED, Purchase
from include.twitter.walk import Walk
from include.twitter.x_api import X


class Stopped(Exception):
    """Another reader failed, so this one buys no more."""


class Buyer:
    """Buys for one purchase within one budget; several readers may use it at once.

    Of an `old` day only X's full archive counts and finds anything.
    """

    def __init__(self, x: X, purchase: Purchase, budget: Budget, day: Day, *, old: bool) -> None:
        self._x = x
        self._purchase = purchase
        self._budget = budget
        self._day = day
        self._old = old
        self.stopped = Event()

    def users(self, handles: list[str]) -> Answer:
        """Look up at most 100 handles."""
        held = self._held("users", len(handles), len(handles))

        def looked_up(answer: Answer) -> str:
            if not answer.posts and "errors" not in answer.body:
                raise Outage(f"X was asked for users and sent none, but {answer.content[:200]!r}")
            return LOOKUPS

        return self._billed("users", held, partial(self._x.users, handles), looked_up)

    def count(self, handles: Iterable[str]) -> int | None:
        """X's own count of the handles' posts, asked for once a purchase; None where X sent none."""
        wanted = query(handles)
        for answer in self._purchase.answers(COUNTS):
            if answer.params["query"] == wanted:
                return _total(answer)
        held = self._held("counts", 1, 1)
        ask = partial(self._x.count, handles, self._day, archive=self._old)
        return _total(self._billed("counts", held, ask, lambda _: COUNTS))

    def timeline(self, folder: str, walk: Walk, user_id: str) -> None:
        """Take the walk one page further through the account's timeline."""
        self._step(
            folder, walk, lambda size: self._x.timeline(user_id, self._day, size=size, token=walk.token)
        )

    def search(self, folder: str, walk: Walk, handle: str) -> None:
        """Take the walk one page further through what a search finds of the account."""
        self._step(
            folder,
            walk,
            lambda size: self._x.search(handle, self._day, size=size, token=walk.token, archive=self._old),
        )

    def _step(self, folder: str, walk: Walk, ask: Callable[[int], Answer]) -> None:
        held = self._held("posts", walk.page_size, walk.smallest)

        def taken(answer: Answer) -> str:
            walk.take(answer)
            return folder

        self._billed("posts", held, lambda: ask(held), taken, refused=f"{REFUSED}{folder}")

    def _held(self, kind: str, wanted: int, smallest: int) -> int:
        held = self._budget.hold(kind, wanted, smallest)
        if self.stopped.is_set():
            self._budget.settle(kind, held, 0)
            raise Stopped
        return held

    def _billed(
        self,
        kind: str,
        held: int,
        ask: Callable[[], Answer],
        place: Callable[[Answer], str],
        refused: str = "",
    ) -> Answer:
        """Send a request; its answer is staged where `place` says, or in `refused` if it cannot be used."""
        billed = 0
        try:
            answer = ask()
            billed = 1 if kind == "counts" else len(answer.posts)
            try:
                folder = place(answer)
            except UnexpectedAnswer:
                self._purchase.stage(refused, answer)
                raise
            self._purchase.stage(folder, answer)
            return answer
        finally:
            self._budget.settle(kind, held, billed)


def _total(answer: Answer) -> int | None:
    meta = answer.body.get("meta") or {}
    return meta.get("total_tweet_count", meta.get("total_post_count"))
