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
    require_landed(object_store.from_settings(), *wait_until_deadline())


def require_landed(store: ObjectStore, day: Day, deadline: datetime) -> None:
    """Raise NotLanded if `day`, or one of the 30 days before it, has not landed."""
    if late := missing_days(store, day, DAYS_WATCHED):
        raise NotLanded(
            f"Not landed by {deadline:%Y-%m-%d %H:%M} UTC: {', '.join(map(str, late))}. "
            f"To fill them, Trigger `twitter_plan` from {late[0]} to {late[-1]}: it shows the price first. "
            "Or Trigger `twitter` with the day. Then clear this task."
        )
    log.info("%s and the %d days before it have landed", day, DAYS_WATCHED - 1)
