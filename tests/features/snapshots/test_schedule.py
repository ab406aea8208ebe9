"""Which snapshots a run makes: of each age one day, then what was missed."""

import pytest

from include.twitter.day import Day
from include.twitter.layout import Snapshot
from include.twitter_features.snapshots.tasks import MAX_DAYS_LATE, snapshots_due


def at(day: str, age: int = 1) -> Snapshot:
    return Snapshot(Day.parse(day), age)


DAY = Day.parse("2026-11-18")
DUE = at("2026-11-18")


def test_each_age_has_one_day_that_is_due_on_the_evening_after_the_run():
    snapshots = snapshots_due(DAY, [1, 7, 30], [])
    assert snapshots == [DUE, at("2026-11-12", 7), at("2026-10-20", 30)]
    assert {f"{snapshot.due_at:%Y-%m-%d %H:%M}" for snapshot in snapshots} == {"2026-11-19 22:30"}


@pytest.mark.parametrize(
    ("ages", "done", "expected"),
    [
        ([1], ["2026-11-13", "2026-11-16"], [DUE, at("2026-11-14"), at("2026-11-15"), at("2026-11-17")]),
        ([1], ["2026-11-18"], [DUE]),
        ([1, 7], ["2026-11-17"], [DUE, at("2026-11-12", 7)]),
        ([1], ["2026-01-01"], [DUE, *(Snapshot(DAY.plus(-back), 1) for back in range(MAX_DAYS_LATE, 0, -1))]),
    ],
    ids=["the oldest first", "made again", "a new age has missed none", "missed long ago"],
)
def test_missed_snapshots_come_after_those_that_are_due(ages, done, expected):
    assert snapshots_due(DAY, ages, [at(day) for day in done]) == expected
