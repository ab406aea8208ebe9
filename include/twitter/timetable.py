"""The schedule: one run a UTC day, named by its day."""

from __future__ import annotations

from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import DateTime, duration


class Days(CronDataIntervalTimetable):
    """Each UTC day from midnight to midnight: `scheduled__2026-11-24` is the run for 24 November.

    Airflow names runs by the moment from which they may begin, which would be the midnight after the day. It
    is a second earlier here, so that run lists and the ids of backfills name the day too. The plugin
    `twitter_timetable` makes it known to Airflow.
    """

    def __init__(self) -> None:
        super().__init__("0 0 * * *", timezone="UTC")

    @property
    def summary(self) -> str:
        return "each UTC day"

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Days:
        return cls()

    def next_dagrun_info(self, *, restriction: TimeRestriction, **asked: Any) -> DagRunInfo | None:
        earliest, latest = map(_midnight, restriction[:2])
        found = super().next_dagrun_info(
            restriction=TimeRestriction(earliest, latest, restriction.catchup), **asked
        )
        if found is None or found.data_interval is None:
            return None
        return DagRunInfo(
            run_after=found.data_interval.end - duration(seconds=1), data_interval=found.data_interval
        )

    def generate_run_id(
        self, *, run_type: Any, run_after: Any, data_interval: DataInterval | None, **more: Any
    ) -> str:
        if run_type == "scheduled" and data_interval:
            return f"scheduled__{data_interval.start:%Y-%m-%d}"
        return super().generate_run_id(
            run_type=run_type, run_after=run_after, data_interval=data_interval, **more
        )


def _midnight(at: DateTime | None) -> DateTime | None:
    """The midnight UTC that is meant: the backfill form sends that of the zone which the UI is set to."""
    return at and at.in_timezone("UTC").add(hours=12).start_of("day")
