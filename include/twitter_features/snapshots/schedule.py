"""Which days are read again at which age: those of today, and what was missed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from include.twitter.day import Day, Revisit

DAYS_BACK = 14
"""What was missed longer ago than that is read only by a run that is triggered for it."""


def due(day: Day, ages: Iterable[int], done: Collection[Revisit]) -> list[Revisit]:
    """What the run for `day` reads on the evening after it: of each age one day, then what was missed.

    An age is missed from the first day on that was ever read at it: an age that is new in the Variable, and
    a lake that is older than this DAG, do not bring a purchase of the weeks before.
    """
    own = [Revisit(day.plus(1 - age), age) for age in ages]
    return own + [missed for each in own for missed in _missed(each, done)]


def _missed(own: Revisit, done: Collection[Revisit]) -> list[Revisit]:
    before = [Revisit(own.day.plus(-back), own.age) for back in range(DAYS_BACK, 0, -1)]
    first = min((each.day.date for each in done if each.age == own.age), default=own.day.date)
    return [each for each in before if each not in done and each.day.date >= first]
