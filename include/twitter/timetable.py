"""The schedule: one run a UTC day, named by its day."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import datetime as utc_datetime
from pendulum import duration

log = logging.getLogger(__name__)

WESTERNMOST = timedelta(hours=-10)
"""Honolulu's offset from UTC. A bound further west counts as one of the zone a whole day east of it."""
BACKFILL_HINT = (
    "Leave it empty for a backfill, whose From and To are UTC days (do not change the times). "
    "In UTC-12, UTC-11 and UTC+14 set the UI to UTC first, or the backfill collects the neighbouring days."
)
"""The form shows it below `day`: these zones look like those a whole day east or west."""
LAST_MINUTE = 14
"""Of each quarter of an hour: a day of any zone ends in it, because offsets are whole quarters."""
LARGEST_CLOCK_CHANGE = timedelta(hours=2)
"""Antarctica/Troll; elsewhere it is an hour or half of one."""


class UtcDayTimetable(CronDataIntervalTimetable):
    """Each UTC day from midnight to midnight: `scheduled__2026-11-24` is the run for 24 November.

    Airflow names runs by their earliest start, which would be the midnight after the day. Here that is a
    second earlier, so that run lists and the ids of backfills show the day. The plugin `twitter_timetable`
    registers the class.
    """

    def __init__(self) -> None:
        super().__init__("0 0 * * *", timezone="UTC")

    @property
    def summary(self) -> str:
        return "each UTC day"

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> UtcDayTimetable:
        return cls()

    def next_dagrun_info(self, *, restriction: TimeRestriction, **options: Any) -> DagRunInfo | None:
        if restriction.earliest and restriction.latest:  # a backfill
            try:
                first, last = days_of_backfill(restriction.earliest, restriction.latest)
            except ValueError as error:
                log.warning("The backfill creates no run: %s", error)
                return None
            restriction = TimeRestriction(_midnight(first), _midnight(last), restriction.catchup)
        info = super().next_dagrun_info(restriction=restriction, **options)
        if info is None or info.data_interval is None:
            return None
        return DagRunInfo(
            run_after=info.data_interval.end - duration(seconds=1), data_interval=info.data_interval
        )

    def generate_run_id(
        self, *, run_type: Any, run_after: Any, data_interval: DataInterval | None, **more: Any
    ) -> str:
        if run_type == "scheduled" and data_interval:
            return f"scheduled__{data_interval.start:%Y-%m-%d}"
        return super().generate_run_id(
            run_type=run_type, run_after=run_after, data_interval=data_interval, **more
        )


def days_of_backfill(earliest: datetime, latest: datetime) -> tuple[date, date]:
    """The first and the last UTC day of a backfill, from the bounds that Airflow passes.

    The UI's form takes dates in the UI's time zone and sends moments in UTC, without the zone: `From` is the
    midnight at which the first day begins there, `To` the last millisecond of the last day, or 23:59:00 if
    its field was filled before. The API and the CLI pass midnights. The result is the date that starts, or
    ends, at the bound in some zone.

    A bound with an offset of its own has one date. For a bound in UTC two dates are possible where zones are
    a whole day apart: then a zone from UTC-10 (Honolulu) to UTC+13:45 (Chatham) is assumed. People in UTC-12,
    UTC-11 and UTC+14 have to set the UI to UTC, as the form says. A bound that is neither the start nor the
    end of a day, or two bounds of different zones, could mean other days: ValueError.
    """
    first, offset = _date_and_offset(earliest)
    last, other = _date_and_offset(latest)
    if abs(offset - other) > LARGEST_CLOCK_CHANGE:
        raise ValueError(
            f"From {earliest.isoformat()} and To {latest.isoformat()} are not midnights of one time zone. "
            "Choose dates and do not change the times, for example 2026-11-18T00:00:00Z"
        )
    return first, last


def _date_and_offset(bound: datetime) -> tuple[date, timedelta]:
    """The date of a bound of a backfill, and the offset from UTC of the zone with that date."""
    if own := bound.utcoffset():
        return date(bound.year, bound.month, bound.day), own
    moment = bound.astimezone(UTC)
    is_end = moment.minute % 15 == LAST_MINUTE
    midnight = moment.replace(second=0, microsecond=0) + timedelta(minutes=1) if is_end else moment
    if midnight.minute % 15 or midnight.second or midnight.microsecond:
        raise ValueError(
            f"{bound.isoformat()} is neither midnight nor the end of a day in any time zone. "
            "Choose dates and do not change the times, for example 2026-11-18T00:00:00Z"
        )
    start = datetime(midnight.year, midnight.month, midnight.day, tzinfo=UTC)
    offset = start - midnight
    if offset < WESTERNMOST:
        start, offset = start + timedelta(days=1), offset + timedelta(days=1)
    return (start - timedelta(days=1) if is_end else start).date(), offset


def _midnight(day: date) -> Any:
    return utc_datetime(day.year, day.month, day.day)
