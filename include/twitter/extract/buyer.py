"""Every request that X bills: its worst case is held, then it is sent, booked and staged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.twitter.answer import Answer
from include.twitter.errors import PipelineError
from include.twitter.extract.money import Money
from include.twitter.extract.purchase import REFUSED, Purchase


@dataclass
class PaidRequests:
    """Asks X for what costs money, for one purchase; several readers may use it at once."""

    money: Money
    purchase: Purchase
    before_sending: Callable[[], object] = lambda: None
    """Raises if nothing may be sent any more: the lease was lost, or another reader failed."""

    def ask(
        self,
        name: str,
        kind: str,
        wanted: int,
        smallest: int,
        send: Callable[[int], Answer],
        problem: Callable[[Answer], PipelineError | None] = lambda _: None,
    ) -> tuple[str, Answer]:
        with self.money.hold(kind, wanted, smallest) as bill:
            self.before_sending()
            response = bill(send(bill.size))
            error = problem(response)
            key = self.purchase.stage(f"{REFUSED}{name}" if error else name, response)
        if error:
            raise error
        return key, response
