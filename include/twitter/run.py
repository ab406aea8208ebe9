"""Which day a task works on: the only reader of the task context and of the clock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.twitter.day import Day, short_hash
from include.twitter.errors import BadDay, NothingStaged

log = logging.getLogger(__name__)

MOST_DAYS = 366
"""Of one plan: a run is started for each."""
RUNS_AT_ONCE = 100
"""Run ids of one question to Airflow's API server: they stand in its URL."""
BETWEEN_LOOKS = timedelta(seconds=30)

Returned = TypeVar("Returned")


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
    accounts: str = ""
    """The only ones to be bought, as they were typed; none named is all."""
    plan: str = ""
    """The plan that has started it, if one has."""


def current() -> Run:
    """The run of the task that calls, named in the first line of its log."""
    context = get_current_context()
    run = Run(
        day=day_of(context),
        id=short_hash(context["dag_run"].run_id),
        buy_again=bool(context["params"].get("buy_again")),
        accounts=context["params"].get("accounts") or "",
        plan=(context["dag_run"].conf or {}).get("plan") or "",  # no Param: a form would show it
    )
    log.info(
        "Day %s (UTC), run=%s (%s), try %d",
        run.day,
        run.id,
        context["dag_run"].run_id,
        context["ti"].try_number,
    )
    return run


@dataclass(frozen=True)
class Range:
    """What a run of `twitter_plan` has to know: the days that were asked for, in order."""

    days: list[Day]
    id: str
    accounts: str = ""
    """The only ones to be planned, as they were typed; none named is all."""
    now: Callable[[], datetime] = now


def planned() -> Range:
    """The days and accounts of the run of `twitter_plan` whose task calls."""
    context = get_current_context()
    params, run_id = context["params"], context["dag_run"].run_id
    days = days_from(params["first"], params["last"])
    log.info("Days %s to %s (UTC), plan=%s (%s)", days[0], days[-1], short_hash(run_id), run_id)
    return Range(days, short_hash(run_id), params.get("accounts") or "")


@dataclass(frozen=True)
class Check:
    """What the tasks of `twitter_compliance` have to know of their run: it is for all landed days."""

    id: str
    now: Callable[[], datetime] = now


def checking() -> Check:
    """The run of `twitter_compliance` whose task calls."""
    run_id = get_current_context()["dag_run"].run_id
    log.info("check=%s (%s)", short_hash(run_id), run_id)
    return Check(short_hash(run_id))


def days_from(first: str, last: str) -> list[Day]:
    """The days from the first to the last, both included; BadDay where there are none, or too many."""
    start, end = Day.named(first), Day.named(last)
    number = (end.date - start.date).days + 1
    if not 1 <= number <= MOST_DAYS:
        raise BadDay(
            f"{start} to {end} are {max(number, 0)} days, and a plan is for 1 to {MOST_DAYS}: "
            "Trigger again, for example with first=2026-10-01 and last=2026-10-31."
        )
    return [start.plus(each) for each in range(number)]


def day_of(context: Mapping[str, Any]) -> Day:
    """The UTC day that a run collects: its data interval, or the `day` that it was triggered with.

    Raises BadDay where the run could be read as another day than its user meant.
    """
    dag_run = context["dag_run"]
    kind = getattr(dag_run.run_type, "value", dag_run.run_type)
    asked = context["params"].get("day")
    if kind not in ("scheduled", "backfill"):  # by hand, or by another DAG: `operator_triggered`
        return _triggered(asked, dag_run.run_after)
    if asked:
        raise BadDay(
            f"day={asked} is refused on a {kind} run, which already names its day. "
            "Leave `day` out, or use Trigger with it."
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
    """What the task before returned; NothingStaged if it was marked success by hand and returned nothing."""
    if not value:
        raise NothingStaged(
            f"`{task}` returned nothing: was it marked success by hand? Clear it: nothing is paid for twice."
        )
    return value


def skip(why: str) -> NoReturn:
    """End the task, and all below it, without a fault."""
    raise AirflowSkipException(why)


def wait_until_ended(dag_id: str, run_ids: list[str]) -> None:
    """Hand the worker slot back until none of the runs is still to end."""
    ti = get_current_context()["ti"]
    some = [run_ids[start : start + RUNS_AT_ONCE] for start in range(0, len(run_ids), RUNS_AT_ONCE)]
    if left := sum(ti.get_dr_count(dag_id, run_ids=ids, states=["queued", "running"]) for ids in some):
        log.info("%d of %d runs have not ended", left, len(run_ids))
        raise AirflowRescheduleException(now() + BETWEEN_LOOKS)


def _triggered(asked: str | None, at: datetime) -> Day:
    """The day that a run was triggered with: the form sends none where what was typed is no date."""
    if not asked:
        raise BadDay(
            "A triggered run says which day it is for, and this one came without: Trigger again with `day` "
            f'(as JSON: {{"day": "{Day.of(at).plus(-1)}"}}). A logical date names no day.'
        )
    return Day.named(asked)


def wait_until_settled(day: Day, settling: timedelta, at: datetime) -> None:
    """Hand the worker slot back until the day can no longer change."""
    wait_until(day.settled_at(settling), at, f"{day} has ended but may still change")


def wait_until(then: datetime, at: datetime, why: str) -> None:
    """Hand the worker slot back until then, if that is still to come."""
    if at < then:
        reschedule(then, why)


def reschedule(then: datetime, why: str) -> NoReturn:
    """Hand the worker slot back until then."""
    log.info("%s: the task comes back at %s UTC", why, f"{then:%Y-%m-%d %H:%M}")
    raise AirflowRescheduleException(then)
