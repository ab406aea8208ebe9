"""The runs of days, from Airflow's own database: only Airflow's API server can reach it."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from itertools import count
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy import or_, select

from include.twitter.airflow_compat import DagRun, TaskInstance, create_session
from include.twitter.day import Day

DAG = "twitter"
NAMED_BY_DATE = ("scheduled", "backfill")
"""Types of runs whose logical date is their day; others have it in their conf."""


class DayRun(NamedTuple):
    id: str
    state: str
    queued_at: datetime
    """A run that is cleared is queued again, so it is newer than one that was started after it."""
    is_plain: bool = True
    """Whether the conf has nothing but a day: a clear then does the same as a new run of the day."""

    @property
    def path(self) -> str:
        """Airflow's page of the run."""
        return f"/dags/{DAG}/runs/{quote(self.id, safe='')}"


def runs_by_day(first: Day, last: Day) -> dict[str, list[DayRun]]:
    """Return the runs of these days, the newest of a day first."""
    of_date = DagRun.run_type.in_(NAMED_BY_DATE) & DagRun.logical_date.between(first.start, last.start)
    by_hand = DagRun.run_type.not_in(NAMED_BY_DATE) & (DagRun.run_after >= first.start)
    columns = ("run_id", "state", "run_type", "logical_date", "conf", "queued_at", "run_after")
    query = select(*(getattr(DagRun, name) for name in columns))
    runs: dict[str, list[DayRun]] = defaultdict(list)
    with create_session() as session:
        for row in session.execute(query.where(DagRun.dag_id == DAG, or_(of_date, by_hand))):
            conf = row.conf if isinstance(row.conf, dict) else {}
            is_plain = not any(value for name, value in conf.items() if name != "day")
            day = str(conf.get("day") or "")
            if row.run_type in NAMED_BY_DATE:
                day = f"{row.logical_date.astimezone(UTC):%Y-%m-%d}"
            if str(first) <= day <= str(last):
                queued_at = row.queued_at or row.run_after
                runs[day].append(DayRun(row.run_id, str(row.state), queued_at, is_plain))
    return {day: sorted(of_day, key=attrgetter("queued_at"), reverse=True) for day, of_day in runs.items()}


class Trigger(NamedTuple):
    """The run that the page's form starts, or clears if it exists."""

    run: str
    clears: bool = False
    is_active: bool = False


def trigger(day: Day, runs: list[DayRun], *, buy_again: bool = False) -> Trigger:
    """Name a run by its day. An existing one is cleared if that does the same; else a number is added."""
    by_id = {run.id: run for run in runs}
    name = f"manual__{day}" + ("__buy_again" if buy_again else "")
    existing = by_id.get(name)
    if not existing:
        return Trigger(name)
    if existing.is_plain and not buy_again:
        return Trigger(name, clears=True, is_active=existing.state in ("queued", "running"))
    return Trigger(next(free for number in count(2) if (free := f"{name}_{number}") not in by_id))


def failed_tasks(run: DayRun) -> list[str]:
    """Return the failed tasks of a run, in the order in which they ended."""
    query = select(TaskInstance.task_id).where(
        TaskInstance.dag_id == DAG, TaskInstance.run_id == run.id, TaskInstance.state == "failed"
    )
    with create_session() as session:
        return list(session.scalars(query.order_by(TaskInstance.end_date)))
