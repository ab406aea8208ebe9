"""Which days have landed, which are missing, and the deadline of a day."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import get_current_context

from include.twitter import settings
from include.twitter.airflow_context import wait_until
from include.twitter.day import Day
from include.twitter.layout import RECEIPTS, parse_receipt
from include.twitter.object_store import ObjectStore


def landed_days(store: ObjectStore) -> list[Day]:
    """Return the days with a receipt, the oldest first."""
    return [*store.parsed(store.keys(RECEIPTS), parse_receipt).values()]


def missing_days(store: ObjectStore, latest: Day, days: int) -> list[Day]:
    """Return the missing days among the `days` days up to `latest`, from the first landed day on."""
    landed = landed_days(store)
    first = min((day.date for day in landed), default=latest.date)
    recent = [latest.plus(-back) for back in reversed(range(days))]
    return [day for day in recent if day.date >= first and day not in landed]


def wait_until_deadline() -> tuple[Day, datetime]:
    """Wait for the deadline of the day that the current run checks; return both."""
    context = get_current_context()
    start = context.get("data_interval_start")  # a triggered run has none: it checks the day before
    day = Day.of(start) if start else Day.of(context["dag_run"].run_after).plus(-1)
    deadline = day.end + settings.deadline()
    wait_until(deadline, f"{day} is not due yet")
    return day, deadline
