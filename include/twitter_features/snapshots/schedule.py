"""Selects the snapshots of a run: the due ones, and earlier ones that were missed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from include.twitter.day import Day
from include.twitter.layout import Snapshot

MAX_DAYS_LATE = 14
"""A snapshot that was missed longer ago is made only by a run that is triggered for it."""


def snapshots_due(day: Day, ages: Iterable[int], done: Collection[Snapshot]) -> list[Snapshot]:
    """Return the snapshots of the run for `day`, on the evening after it: one per age, then missed ones.

    Catch-up starts at the first day that ever had a snapshot of this age. So a new age, or this DAG enabled
    on an existing bucket, never buys past weeks.
    """
    due = [Snapshot(day.plus(1 - age), age) for age in ages]
    return due + [missed for snapshot in due for missed in _missed(snapshot, done)]


def _missed(due: Snapshot, done: Collection[Snapshot]) -> list[Snapshot]:
    first = min((snapshot.day.date for snapshot in done if snapshot.age == due.age), default=due.day.date)
    earlier = [Snapshot(due.day.plus(-back), due.age) for back in range(MAX_DAYS_LATE, 0, -1)]
    return [snapshot for snapshot in earlier if snapshot not in done and snapshot.day.date >= first]
