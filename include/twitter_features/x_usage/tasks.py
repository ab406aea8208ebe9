"""The task `meter`: requests X's own count of the month's posts and compares it with the ledger."""

from __future__ import annotations

import logging
from datetime import datetime

from include.twitter import layout, object_store, settings
from include.twitter.airflow_context import now
from include.twitter.day import Day
from include.twitter.errors import NoAccess, UsageMismatch
from include.twitter.extract.budget import entries
from include.twitter.landed import wait_until_deadline
from include.twitter.object_store import ObjectStore
from include.twitter.records import Usage, encoded
from include.twitter.settings import XAccess
from include.twitter.x.client import X
from include.twitter_features.x_usage.compare import XUsage, compare_usage, is_new, parse_x_usage

log = logging.getLogger(__name__)

MAX_USAGE_DAYS = 90
"""Days for which X has counts."""


def meter() -> None:
    """Wait for the deadline of the run's day; UsageMismatch if X's count differs from the ledger."""
    day, _ = wait_until_deadline()
    check_usage(object_store.from_settings(), settings.x_access(), day, now())


def check_usage(store: ObjectStore, access: XAccess, day: Day, at: datetime) -> None:
    """Compare X's count with the ledger and store the result; without a count nothing is compared."""
    if not (x_usage := _fetch(access, day, at)):
        return
    key, month = layout.usage(day), f"{day.date:%Y-%m}"
    keys = store.parsed(store.keys(f"{layout.X_USAGE}month={month}/"), layout.parse_usage)
    earlier = max((other for other in keys if other < key), default=None)
    previous = store.record(earlier, Usage) if earlier else None
    usage = compare_usage(x_usage, day, entries(store, month), previous, at)
    if is_alert := is_new(usage):
        usage.alerted = usage.discrepancy
    store.write(key, encoded(usage))
    log.info(usage.summary)
    if is_alert:
        raise UsageMismatch(
            f"{usage.summary} Look in X's developer console which apps of the project have read, and whether "
            f"{store.url(layout.LEDGER)} lacks entries. It is reported once a month, unless it grows."
        )


def _fetch(access: XAccess, day: Day, at: datetime) -> XUsage | None:
    days = (at.date() - day.date.replace(day=1)).days + 2
    if days > MAX_USAGE_DAYS:
        log.warning("X has counts of the last %d days only: %s is not compared", MAX_USAGE_DAYS, str(day)[:7])
        return None
    try:
        with X(access, lambda: at, are_known=True) as x:
            x_usage = parse_x_usage(x.usage(days))
    except NoAccess as error:
        log.warning("%s So the ledger is not compared with X.", error)
        return None
    if not x_usage:
        log.warning("X sent no counts in the documented form: nothing is compared")
    return x_usage
