"""Which faults occur: pseudo-random, but determined by the seed and by the kind and place of the fault.

A fault has a name, `kind@where`, such as `s3.lost_reply@A-scheduled-2027-01-03/extract/1#17`: its place is
the run, the stage, the try and the number of the request, and has to be unique. `struck` lists the faults
that occurred. `off` names faults, or kinds of them, that do not occur: the search for the smallest failing
run (`--shrink`) adds to it.
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
        """From 0 to 1, without 1; the same for the same name."""
        digest = hashlib.blake2b(f"{self._seed}|{name}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) / 2**53  # more bits would round to 1

    def below(self, name: str, most: int) -> int:
        """A whole number from 0 to `most` - 1."""
        return int(self.number(name) * most)

    def pick(self, name: str, choices: Collection[Choice]) -> Choice:
        return [*choices][self.below(name, len(choices))]

    def happens(self, name: str, chance: float) -> bool:
        return self.number(name) < chance


@dataclass
class Faults:
    """Decides which faults occur, and records those that did."""

    draw: Draw
    off: frozenset[str] = frozenset()
    struck: list[str] = field(default_factory=list)
    weather: float = 1
    """A factor on every chance."""
    calm: bool = False
    """Whether no fault occurs any more: so at the end, where every run has to become green."""

    def strikes(self, kind: str, where: str, chance: float) -> bool:
        """Whether a fault of this kind occurs here; it is recorded."""
        if self.calm or chance <= 0 or not self.draw.happens(f"{kind}@{where}", chance * self.weather):
            return False
        return self.take(kind, where)

    def take(self, kind: str, where: str) -> bool:
        """Record a fault, unless it is off; returns whether it occurs."""
        if kind in self.off or kind.split(".")[0] in self.off or f"{kind}@{where}" in self.off:
            return False
        self.struck.append(f"{kind}@{where}")
        return True

    def one_of(self, chances: Mapping[str, float], where: str) -> str | None:
        """The kind that occurs here, at most one of several; it is recorded. Chances sum to 1 at most."""
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
