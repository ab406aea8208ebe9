"""The request for a plan, and the plan's record: the approved price and the runs that it starts."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from airflow.sdk import get_current_context
from msgspec import Struct

from include.twitter.airflow_context import now
from include.twitter.day import Day
from include.twitter.errors import BadDay, MissingInput
from include.twitter.layout import short_hash
from include.twitter.object_store import ObjectStore
from include.twitter.records import Moment

log = logging.getLogger(__name__)

MAX_PLAN_DAYS = 366
"""Days of one plan: a run is started for each."""
RESPONSE_KEY = re.compile(r"twitter_plans/[0-9a-f]{12}/[0-9a-f]{12}\.json\.gz")


@dataclass(frozen=True)
class PlanRequest:
    """The days and accounts that a plan is requested for."""

    days: list[Day]
    """In order, without gaps."""
    id: str
    accounts: str = ""
    """The only ones to plan, as typed; empty means all."""
    now: Callable[[], datetime] = now


def plan_request_from_context() -> PlanRequest:
    """Return the request of the current task's run, and log it."""
    context = get_current_context()
    params, run_id = context["params"], context["dag_run"].run_id
    days = days_between(params["first"], params["last"])
    log.info("Days %s to %s (UTC), plan=%s (%s)", days[0], days[-1], short_hash(run_id), run_id)
    return PlanRequest(days, short_hash(run_id), params.get("accounts") or "")


def days_between(first: str, last: str) -> list[Day]:
    """Return the days from the first to the last, both included; BadDay if there are none, or too many."""
    start, end = Day.named(first), Day.named(last)
    number = (end.date - start.date).days + 1
    if not 1 <= number <= MAX_PLAN_DAYS:
        raise BadDay(
            f"{start} to {end} are {max(number, 0)} days, and a plan is for 1 to {MAX_PLAN_DAYS}: "
            "Trigger again, for example with first=2026-10-01 and last=2026-10-31."
        )
    return [start.plus(offset) for offset in range(number)]


class PlannedRun(Struct, kw_only=True):
    """A run of `twitter` that a plan starts, and what it costs."""

    day: str
    """The UTC day, `YYYY-MM-DD`."""
    accounts: tuple[str, ...]
    """Those that the day lacks."""
    counted: int
    """X's own number of their posts."""
    posts: int
    """How many of them would be purchased at most."""
    is_exact: bool
    """Whether X's counts determine `posts`: of accounts counted together, none can be over its limit."""
    cost_usd: float
    """The highest price, with the requests that are needed if the counts do not determine it."""
    spent_usd: float
    """The price of what was purchased of the day before."""


class Plan(Struct, kw_only=True):
    """What a backfill would purchase and cost at most, as it was shown for approval."""

    id: str
    """It stands in the names of the runs that the plan starts."""
    made_at: Moment
    first: str
    """The days that were requested, `YYYY-MM-DD`."""
    last: str
    complete_days: int
    """How many of them lack nothing."""
    accounts: tuple[str, ...]
    """The handles that it is for."""
    runs: list[PlannedRun]
    """One for each of the other days."""
    unavailable: dict[str, str]
    """Accounts that X does not show, and why: they are not purchased."""
    own_cost_usd: float
    """The price of the plan itself: look-ups and counts."""
    cost_usd: float
    """What the runs cost at most, also if all accounts have to be looked up again."""
    likely_usd: float | None
    """What they cost without that; null if X's counts do not determine it."""


def plan_prefix(id_: str) -> str:
    """Where a plan and the responses to its requests are stored; `id_` is the hash of its run."""
    return f"twitter_plans/{id_}/"


def plan_key(id_: str) -> str:
    return f"{plan_prefix(id_)}plan.json"


def load_plan(store: ObjectStore, id_: str) -> Plan:
    """Return the plan as it was shown for approval."""
    if not (plan := store.record(plan_key(id_), Plan)):
        raise MissingInput(f"{store.url(plan_key(id_))} is gone: trigger `twitter_plan` again.")
    return plan
