"""What X charges, and the caps that no request may cross.

Amounts are whole mills, thousandths of a US dollar, so that sums are exact. Prices are those of X's developer
console since 2026-02-06 (pay per use); failed and empty answers are free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Condition

from include.twitter.errors import OverBudget

PRICES = {"posts": 5, "users": 10, "counts": 5}
"""Mills for a post returned, a user returned, and a count request, whatever it counts."""


def cost(bought: Mapping[str, int]) -> int:
    """What X charges for these reads, in mills."""
    return sum(PRICES[kind] * number for kind, number in bought.items())


def dollars(mills: int) -> float:
    return mills / 1000


@dataclass(frozen=True)
class Cap:
    """A limit in mills, what counts against it already, and the setting that raises it; 0 is no cap."""

    setting: str
    limit: int
    spent: int


class Budget:
    """What may still be spent, drawn on by several readers at once."""

    def __init__(self, *caps: Cap) -> None:
        self._caps = [cap for cap in caps if cap.limit]
        self._spent = 0
        self._held = 0
        self._changed = Condition()

    @property
    def room(self) -> int | None:
        """Mills that are neither spent nor held; None is without end."""
        rooms = [cap.limit - cap.spent for cap in self._caps]
        return min(rooms) - self._spent - self._held if rooms else None

    def hold(self, kind: str, wanted: int, smallest: int) -> int:
        """Reserve the worst case of a request; returns how many things it may ask for, `wanted` at the most.

        What does not fit waits for the requests in flight, then asks for less, down to `smallest`, then is
        refused: OverBudget.
        """
        price = PRICES[kind]
        with self._changed:
            while True:
                room = self.room
                granted = wanted if room is None else min(wanted, max(room, 0) // price)
                if granted == wanted or (granted >= smallest and not self._held):
                    self._held += price * granted
                    return granted
                if not self._held:
                    raise OverBudget(self._refusal(f"{smallest} {kind}", price * smallest))
                self._changed.wait()

    def settle(self, kind: str, held: int, billed: int) -> None:
        """Give back a reservation, less what X billed."""
        with self._changed:
            self._held -= PRICES[kind] * held
            self._spent += PRICES[kind] * billed
            self._changed.notify_all()

    def _refusal(self, planned: str, price: int) -> str:
        cap = min(self._caps, key=lambda cap: cap.limit - cap.spent)
        return (
            f"${dollars(cap.spent + self._spent):.3f} of ${dollars(cap.limit):.2f} are spent (Variable "
            f"{cap.setting}); the next request is for at least {planned}, up to ${dollars(price):.3f}. "
            f"Raise {cap.setting} and clear `extract`: it goes on where it stopped."
        )
