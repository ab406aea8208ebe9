"""Which snapshots a run makes: of each age one day, then what was missed."""

import pytest

from include.twitter.day import Day
from include.twitter.layout import Snapshot
from include.twitter_features.snapshots.tasks import MAX_DAYS_LATE, snapshots_due


def at(text: str, age: int) -> Snapshot:
    return Snapshot(Day.parse(text), age)


DAY = Day.parse("2026-11-18")
OWN = at("2026-11-18", 1)


def test_each_age_has_one_day_that_is_due_on_the_evening_after_the_run():
    snapshots = snapshots_due(DAY, [1, 7, 30], [])
    assert snapshots == [OWN, at("2026-11-12", 7), at("2026-10-20", 30)]
    assert {f"{snapshot.due_at:%Y-%m-%d %H:%M}" for snapshot in snapshots} == {"2026-11-19 22:30"}


@pytest.mark.parametrize(
    ("done", "missed"),
    [
        (["2026-11-13", "2026-11-16"], ["2026-11-14", "2026-11-15", "2026-11-17"]),
        (["2026-11-18"], []),
        ([], []),
    ],
    ids=["the oldest first", "its own is made again", "not before the first"],
)
def test_missed_snapshots_come_after_those_that_are_due(done, missed):
    expected = [OWN, *(at(day, 1) for day in missed)]
    assert snapshots_due(DAY, [1], [*(at(day, 1) for day in done)]) == expected


def test_a_new_age_has_missed_nothing():
    assert snapshots_due(DAY, [1, 7], [at("2026-11-17", 1)]) == [OWN, at("2026-11-12", 7)]


def test_what_was_missed_long_ago_is_left_out():
    snapshots = snapshots_due(DAY, [1], [at("2026-01-01", 1)])
    assert (len(snapshots), snapshots[1]) == (1 + MAX_DAYS_LATE, at("2026-11-04", 1))
