"""The task `watch`: compares the receipts in the bucket with the calendar."""

from __future__ import annotations

import logging
from datetime import datetime

from include.twitter import object_store
from include.twitter.day import Day
from include.twitter.errors import NotLanded
from include.twitter.landed import missing_days, wait_until_deadline
from include.twitter.object_store import ObjectStore

log = logging.getLogger(__name__)

DAYS_WATCHED = 31


def watch() -> None:
    """Wait for the deadline of the run's day, then raise NotLanded if a day is late."""
    day, deadline = wait_until_deadline()
    require_landed(object_store.from_settings(), day, deadline)


def require_landed(store: ObjectStore, day: Day, deadline: datetime) -> None:
    """Raise NotLanded if `day`, or one of the month before it, has not landed."""
    late = missing_days(store, day, DAYS_WATCHED)
    if not late:
        log.info("%s and the %d days before it have landed", day, DAYS_WATCHED - 1)
        return
    raise NotLanded(
        f"Not landed by {deadline:%Y-%m-%d %H:%M} UTC: {', '.join(map(str, late))}. "
        f"To fill them, Trigger `twitter_plan` from {late[0]} to {late[-1]}, which shows the price first, "
        "or Trigger `twitter` with the day. Then clear this task."
    )
