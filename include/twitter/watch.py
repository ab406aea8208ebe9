"""Which days should have landed by now and have not: by their receipts, whether or not a run was made."""

from __future__ import annotations

import logging
from datetime import datetime

from airflow.sdk import get_current_context

from include.twitter import lake, settings
from include.twitter.airflow_context import wait_until
from include.twitter.day import RECEIPTS, Day
from include.twitter.errors import NotLanded
from include.twitter.lake import Lake

log = logging.getLogger(__name__)

DAYS_WATCHED = 31


def watch() -> None:
    """Wait for the deadline of the run's day; NotLanded where one is late."""
    day, due = wait_until_due()
    require_landed(lake.deployed(), day, due)


def wait_until_due() -> tuple[Day, datetime]:
    """Return the run's day and its deadline, once that has passed."""
    context = get_current_context()
    start = context.get("data_interval_start")  # none of a run by hand: it is for the day before
    day = Day.of(start) if start else Day.of(context["dag_run"].run_after).plus(-1)
    due = day.end + settings.deadline()
    wait_until(due, f"{day} is not due yet")
    return day, due


def require_landed(here: Lake, day: Day, due: datetime) -> None:
    """Raise NotLanded where `day`, or one of the month before it, is not landed."""
    late = not_landed(here, day, DAYS_WATCHED)
    if not late:
        log.info("%s is landed, and so are the %d days before it", day, DAYS_WATCHED - 1)
        return
    raise NotLanded(
        f"Not landed by {due:%Y-%m-%d %H:%M} UTC: {', '.join(map(str, late))}. "
        f"To fill them, Trigger `twitter_plan` from {late[0]} to {late[-1]}, which tells the price first, "
        "or Trigger `twitter` with the day. Then clear this task."
    )


def not_landed(here: Lake, latest: Day, days: int) -> list[Day]:
    """Those of the last `days` days, from the first landed one on, that have no receipt."""
    landed = [*here.parsed(here.keys(RECEIPTS), Day.of_receipt)]
    recent = [latest.plus(-back) for back in reversed(range(days))]
    since = landed[0] if landed else latest.receipt
    return [day for day in recent if day.receipt >= since and day.receipt not in landed]
