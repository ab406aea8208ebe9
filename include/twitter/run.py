"""Which day a task works on: the only reader of the task context and of the clock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.day import Day, short_hash
from include.twitter.errors import BadDay

log = logging.getLogger(__name__)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Run:
    """What a stage has to know of the DAG run that it works for."""

    day: Day
    id: str
    """A key-safe name, the same for every try of every stage of the run."""
    now: Callable[[], datetime] = now
    buy_again: bool = False
    """Whether the day is to be bought afresh, once."""


def current() -> Run:
    """The run of the task that calls, named in the first line of its log."""
    context = get_current_context()
    run = Run(
        day=day_of(context),
        id=short_hash(context["dag_run"].run_id),
        buy_again=bool(context["params"].get("buy_again")),
    )
    log.info(
        "Day %s (UTC), run=%s (%s), try %d",
        run.day,
        run.id,
        context["dag_run"].run_id,
        context["ti"].try_number,
    )
    return run


def day_of(context: Mapping[str, Any]) -> Day:
    """The UTC day that a run collects: its `day` param, else its data interval, else the day before it.

    Raises BadDay where the run could be read as another day than its user meant.
    """
    dag_run = context["dag_run"]
    kind = getattr(dag_run.run_type, "value", dag_run.run_type)
    manual = kind not in ("scheduled", "backfill")  # by hand, or by another DAG: `operator_triggered`
    if asked := context["params"].get("day"):
        if not manual:
            raise BadDay(
                f"day={asked} is refused on a {kind} run, which already names its day. "
                "Leave `day` out, or use Trigger with it."
            )
        return _parsed(asked)
    logical_date = dag_run.logical_date
    if manual and logical_date and logical_date.astimezone(UTC).time() == time.min:
        before = Day.of(logical_date).plus(-1)
        raise BadDay(
            f"A manual run with the logical date {Day.of(logical_date)} 00:00 UTC would collect {before} "
            f"and take the place of its scheduled run. Trigger again with `day`, for example "
            f'{{"day": "{Day.of(logical_date)}"}}, and leave the logical date empty.'
        )
    if start := context.get("data_interval_start"):
        day, end = Day.of(start), context["data_interval_end"]
        if (start, end) != (day.start, day.end):
            raise BadDay(
                f"The data interval {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} is not one UTC day. "
                "Use Trigger with `day`, or Backfill for a range of days."
            )
        return day
    return Day.of(dag_run.run_after).plus(-1)


def _parsed(text: str) -> Day:
    try:
        return Day.parse(text)
    except ValueError as error:
        raise BadDay(f"day={text!r} is no date. Example: 2026-11-18") from error


def require_ended(day: Day, at: datetime) -> None:
    """Refuse a day that has not ended: what it will hold cannot be known yet."""
    if at < day.end:
        raise BadDay(
            f"{day} has not ended: it is {at:%Y-%m-%d %H:%M} UTC. "
            f"The latest day to collect is {Day.of(at).plus(-1)}."
        )


def wait_until_settled(day: Day, settling: timedelta, at: datetime) -> None:
    """Hand the worker slot back until the day can no longer change."""
    if at < (settled_at := day.settled_at(settling)):
        log.info(
            "%s has ended but may still change: the task comes back at %s UTC",
            day,
            f"{settled_at:%Y-%m-%d %H:%M}",
        )
        raise AirflowRescheduleException(settled_at)
