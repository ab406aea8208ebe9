"""What goes wrong, drawn by seed: a pure function of where it happens, so that one can be left out alone.

Each fault has a name such as `s3.lost_reply@A-scheduled-2027-01-03/extract/1#17`. A run notes the names of
those that struck. `off` names faults, or kinds of them, that do not strike: shrinking a failing seed adds to
it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Choice = TypeVar("Choice")


class Draw:
    """Numbers that follow from a seed and a name."""

    def __init__(self, *seed: object) -> None:
        self._seed = "/".join(map(str, seed))

    def number(self, name: str) -> float:
        """From 0 to 1."""
        digest = hashlib.blake2b(f"{self._seed}|{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def below(self, name: str, most: int) -> int:
        """A whole number from 0 to `most`, without it."""
        return int(self.number(name) * most)

    def pick(self, name: str, choices: Collection[Choice]) -> Choice:
        return [*choices][self.below(name, len(choices))]

    def happens(self, name: str, chance: float) -> bool:
        return self.number(name) < chance


@dataclass
class Faults:
    """Which faults strike, and which have."""

    draw: Draw
    off: frozenset[str] = frozenset()
    struck: list[str] = field(default_factory=list)
    weather: float = 1
    """How many times as often as usual X and S3 fail."""
    calm: bool = False
    """At the end nothing goes wrong any more, so that every run can become green."""

    def strikes(self, kind: str, where: str, chance: float) -> bool:
        """Whether a fault of this kind strikes here."""
        if self.calm or chance <= 0 or not self.draw.happens(f"{kind}@{where}", chance * self.weather):
            return False
        return self.take(kind, where)

    def take(self, kind: str, where: str) -> bool:
        """Note a fault, unless it is off."""
        if kind in self.off or kind.split(".")[0] in self.off or f"{kind}@{where}" in self.off:
            return False
        self.struck.append(f"{kind}@{where}")
        return True

    def one_of(self, chances: Mapping[str, float], where: str) -> str | None:
        """At most one of several kinds."""
        if self.calm:
            return None
        number = self.draw.number(f"one@{where}")
        for kind, chance in chances.items():
            if number < chance * self.weather:
                return kind if self.take(kind, where) else None
            number -= chance * self.weather
        return None

    @property
    def kinds(self) -> Counter[str]:
        return Counter(name.split("@")[0] for name in self.struck)
