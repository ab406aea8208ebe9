"""The Airflow run of the current task, the clock, and waiting without a worker slot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.twitter.day import Day
from include.twitter.errors import BadDay, MissingInput
from include.twitter.layout import short_hash

log = logging.getLogger(__name__)

Returned = TypeVar("Returned")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Run:
    """A run of a DAG that works on one day."""

    day: Day
    id: str
    """A name for keys, the same in every try of every task of the run."""
    now: Callable[[], datetime] = now
    buy_again: bool = False
    """Whether to buy the whole day again, once."""
    accounts: str = ""
    """The only accounts to buy, as typed; empty means all."""


def run_from_context() -> Run:
    """Return the run of the current task, and log it as the task's first line."""
    context = get_current_context()
    params, run_id = context["params"], context["dag_run"].run_id
    run = Run(
        day=day_of(context),
        id=short_hash(run_id),
        buy_again=bool(params.get("buy_again")),
        accounts=params.get("accounts") or "",
    )
    log.info("Day %s (UTC), run=%s (%s), try %d", run.day, run.id, run_id, context["ti"].try_number)
    return run


def day_of(context: Mapping[str, Any]) -> Day:
    """Return the UTC day of a run: its data interval, or the `day` that it was triggered with.

    Raises BadDay if the run could mean another day than its user intended.
    """
    dag_run = context["dag_run"]
    run_type = getattr(dag_run.run_type, "value", dag_run.run_type)
    param = context["params"].get("day")
    if run_type not in ("scheduled", "backfill"):  # by hand, or by another DAG: `operator_triggered`
        if param:
            return Day.named(param)
        raise BadDay(
            "A triggered run needs a day: its logical date does not count. Trigger again with `day`, such as "
            f'{{"day": "{Day.of(dag_run.run_after).plus(-1)}"}}.'
        )
    if param:
        raise BadDay(
            f"day={param} cannot be combined with a {run_type} run, which has a day of its own. "
            "Remove `day`, or use Trigger."
        )
    start, end = context["data_interval_start"], context["data_interval_end"]
    day = Day.of(start)
    if (start, end) != (day.start, day.end):
        raise BadDay(
            f"The data interval {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} is not one UTC day. "
            "Use Trigger with `day`, or Backfill for a range of days."
        )
    return day


def require_xcom(value: Returned | None, task: str) -> Returned:
    """Return the result of the task before; MissingInput if it was marked as success by hand."""
    if not value:
        raise MissingInput(
            f"`{task}` returned nothing; it may have been marked as success by hand. Clear it: nothing is "
            "paid for twice."
        )
    return value


def skip(why: str) -> NoReturn:
    """End the task and everything downstream as skipped."""
    raise AirflowSkipException(why)


def wait_until(at: datetime, why: str, clock: Callable[[], datetime] | None = None) -> None:
    """Release the worker slot until `at`; return at once if that time has passed."""
    if (clock or now)() < at:
        _reschedule(at, why)


def poll(every: timedelta, why: str, clock: Callable[[], datetime] | None = None) -> NoReturn:
    """Release the worker slot, and run the task again after `every`."""
    _reschedule((clock or now)() + every, why)


def _reschedule(at: datetime, why: str) -> NoReturn:
    log.info("%s: the task continues at %s UTC", why, f"{at:%Y-%m-%d %H:%M}")
    raise AirflowRescheduleException(at)
