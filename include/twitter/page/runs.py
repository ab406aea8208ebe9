"""The day's runs, asked of Airflow's own database: only in its API server, which has it."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import or_, select

from include.twitter.airflow_compat import DagRun, TaskInstance, create_session
from include.twitter.day import Day
from include.twitter.page.states import AT_IT

DAG = "twitter"
NAMED_BY_DATE = ("scheduled", "backfill")
"""Kinds of runs whose logical date is their day; the others carry it in their conf."""


class DayRun(NamedTuple):
    id: str
    state: str
    kind: str
    at: datetime
    """When it was queued last: a cleared one is newer than one that was begun after it."""
    is_plain: bool = True
    """Whether its conf has a day alone: then a clear does what a new run of the day would do."""

    @property
    def path(self) -> str:
        """Its page in Airflow."""
        return f"/dags/{DAG}/runs/{quote(self.id, safe='')}"


def by_day(first: Day, last: Day) -> dict[str, list[DayRun]]:
    """The runs of these days, the newest of each first."""
    found: dict[str, list[DayRun]] = defaultdict(list)
    columns = (DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.logical_date, DagRun.conf)
    of_date = DagRun.run_type.in_(NAMED_BY_DATE) & DagRun.logical_date.between(first.start, last.start)
    by_hand = DagRun.run_type.not_in(NAMED_BY_DATE) & (DagRun.run_after >= first.start)
    with create_session() as session:
        asked = select(*columns, DagRun.queued_at, DagRun.run_after)
        for run in session.execute(asked.where(DagRun.dag_id == DAG, or_(of_date, by_hand))):
            day = _day(run)
            if str(first) <= day <= str(last):
                at = run.queued_at or run.run_after
                found[day].append(
                    DayRun(run.run_id, str(run.state), str(run.run_type), at, _is_plain(run.conf))
                )
    return {day: sorted(runs, key=lambda run: run.at, reverse=True) for day, runs in found.items()}


def _day(run: Any) -> str:
    if run.run_type in NAMED_BY_DATE:
        return f"{run.logical_date.astimezone(UTC):%Y-%m-%d}"
    return str((run.conf or {}).get("day") or "") if isinstance(run.conf, dict) else ""


def _is_plain(conf: Any) -> bool:
    return not isinstance(conf, dict) or not any(value for name, value in conf.items() if name != "day")


class Trigger(NamedTuple):
    """What the page's form would start for a day."""

    run: str
    """Its name."""
    clears: bool = False
    """Whether that run exists, and is cleared."""
    is_under_way: bool = False


def trigger(day: Day, of_day: list[DayRun], *, buy_again: bool = False) -> Trigger:
    """A run named by its day. An existing one is cleared if that does the same; else a number is added."""
    runs = {run.id: run for run in of_day}
    name = f"manual__{day}" + ("__buy_again" if buy_again else "")
    found = runs.get(name)
    if found and found.is_plain and not buy_again:
        return Trigger(name, clears=True, is_under_way=found.state in AT_IT)
    number = 1
    while (free := name if number == 1 else f"{name}_{number}") in runs:
        number += 1
    return Trigger(free)


def failed_tasks(run: DayRun) -> list[str]:
    """The tasks of a run that have failed, in the order in which they ended."""
    asked = select(TaskInstance.task_id).where(
        TaskInstance.dag_id == DAG, TaskInstance.run_id == run.id, TaskInstance.state == "failed"
    )
    with create_session() as session:
        return list(session.scalars(asked.order_by(TaskInstance.end_date)))
