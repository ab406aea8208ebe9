"""Holds X's own count of the posts that were read against the ledger, and says how long the caps last."""

from __future__ import annotations

import logging
from datetime import datetime

from include.twitter import lake, run, settings, usage
from include.twitter.day import LEDGER, USAGE, Day
from include.twitter.errors import MeterDiffers, NoAccess
from include.twitter.extract.money import entries, spent_of_month
from include.twitter.extract.x import X
from include.twitter.lake import Lake
from include.twitter.records import Usage, encoded
from include.twitter.settings import XAccess
from include.twitter.usage import Counted
from include.twitter.watch import wait_until_due

log = logging.getLogger(__name__)

MOST_DAYS = 90
"""That X tells of."""


def meter() -> None:
    """Wait for the deadline of the run's day; MeterDiffers where X has counted other posts by then."""
    day, _ = wait_until_due()
    compare(lake.deployed(), settings.x_access(), settings.budgets(), day, run.now())


def compare(here: Lake, access: XAccess, budgets: dict[str, int], day: Day, at: datetime) -> None:
    """Ask X, write down what it says beside the ledger, and tell; what cannot be asked is no failure."""
    name, cap = settings.month_budget.name, budgets[settings.month_budget.name]
    if pace := usage.pace_in_words(spent_of_month(here, at), cap, at):
        log.info("%s (%s)", pace, name)
    if not (found := _asked(access, day, at)):
        return
    ledger = entries(here, f"{day.date:%Y-%m}")
    told = usage.compared(found, day, ledger, latest(here, str(day)[:7], before=day), at)
    is_news = usage.is_news(told)
    if is_news:
        told.told = told.apart
    here.write(day.usage, encoded(told))
    for said in filter(None, (usage.in_words(told), usage.cap_in_words(told))):
        log.info(said)
    if is_news:
        raise MeterDiffers(
            f"{usage.in_words(told)} Look in X's developer console which apps of the project have read, and "
            f"whether {here.url(LEDGER)} lacks entries. What is told here is not told again this month, "
            "unless they part further."
        )


def latest(here: Lake, month: str, before: Day | None = None) -> Usage | None:
    """The newest comparison of a month; `before`: of a day before that one."""
    keys = here.parsed(here.keys(f"{USAGE}month={month}/"), Day.of_usage)
    earlier = [key for key in keys if not before or key < before.usage]
    return here.record(earlier[-1], Usage) if earlier else None


def _asked(access: XAccess, day: Day, at: datetime) -> Counted | None:
    number = max((at.date() - day.date.replace(day=1)).days, usage.WEEK) + 2
    if number > MOST_DAYS:
        log.warning("X tells of the last %d days alone: %s is not compared", MOST_DAYS, str(day)[:7])
        return None
    try:
        with X(access, lambda: at, are_known=True) as x:
            found = usage.counted(x.usage(number))
    except NoAccess as error:
        log.warning("%s So the ledger is all that is known.", error)
        return None
    if not found:
        log.warning("X's meter tells no days, or not as X describes them: nothing is compared")
    return found
