"""The tasks of `twitter_plan`: quote, name the runs, wait until they have ended, compare."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.sdk import get_current_context
from more_itertools import chunked

from include.twitter import accounts, object_store, settings
from include.twitter.airflow_context import poll, skip
from include.twitter.day import Day
from include.twitter.errors import BadDay, Incomplete
from include.twitter.extract.budget import Caps, spent_of_month
from include.twitter.identities import Identities
from include.twitter.object_store import ObjectStore
from include.twitter.pricing import cost, dollars
from include.twitter.records import BilledUnits, encoded
from include.twitter_features.backfill_plan import approval_text
from include.twitter_features.backfill_plan.approval_text import plural
from include.twitter_features.backfill_plan.fetch_counts import count_requests, windows
from include.twitter_features.backfill_plan.inventory import (
    DayInventory,
    estimate,
    landed_handles,
    spent_usd,
    take_inventory,
)
from include.twitter_features.backfill_plan.plan import Plan, PlanRequest, load_plan, plan_key

log = logging.getLogger(__name__)

RUNS_A_REQUEST = 100
"""Run ids of one request to Airflow's API server: they are part of its URL."""
RUNS_POLL_INTERVAL = timedelta(seconds=30)


def quote(request: PlanRequest) -> dict[str, Any]:
    """Make the plan, and return its id with the text for approval.

    A run keeps its plan when the task is cleared: Airflow 3.3.2 would show the text of the first one anyway.
    """
    caps, store = Caps(*settings.budgets().items()), object_store.from_settings()
    if not store.read(plan_key(request.id)):
        store.put_if_match(plan_key(request.id), encoded(_make_plan(store, request, caps)), None)
    plan = load_plan(store, request.id)
    subject = approval_text.subject(plan)
    for run in plan.runs:
        log.info("%s: %d accounts, %d posts, $%.3f", run.day, len(run.accounts), run.posts, run.cost_usd)
    log.info("Planned %s: %s", store.url(plan_key(plan.id)), subject)
    if not plan.runs:
        skip("X shows none of the accounts that are missing: nothing can be bought")
    remaining_usd = dollars(caps.month[1] - spent_of_month(store, request.now()))
    return {"plan": plan.id, "subject": subject, "body": approval_text.body(plan, caps, remaining_usd)}


def _make_plan(store: ObjectStore, request: PlanRequest, caps: Caps) -> Plan:
    roster, access = accounts.read(store), settings.x_access()
    spec, handles = roster.collection_spec(), roster.select(request.accounts)
    identities = Identities.read(store, settings.confirmed_account_ids())
    first, last, now = request.days[0], request.days[-1], request.now
    first.require_collectable(now())
    latest = Day.latest_settled(now(), settings.settling())
    if last.date > latest.date:
        raise BadDay(f"{last} may still change: the latest day to plan is {latest}. Trigger again with that.")

    def inventory() -> list[DayInventory]:
        days = take_inventory(store, request, spec, handles, identities)
        if not any(day.not_landed for day in days):
            skip(f"All {len(days)} days have landed with all accounts: nothing is missing")
        return days

    days = inventory()
    object_store.require_conditional_writes(store)
    with count_requests(store, request, caps, access) as x:
        missing = [handle for handle in handles if any(handle in day.missing for day in days)]
        ids, unavailable = x.look_up(missing, identities, store.tombstones().accounts)
        current_ids = {handle.lower(): id_ for handle, id_ in ids.items()}
        if current_ids.items() - identities.ids.items():
            # A renamed account may be in the days already, under its former handle.
            identities.ids |= current_ids
            days = inventory()
        lacking = {id_: [day.day for day in days if handle in day.missing] for handle, id_ in ids.items()}
        limited = {id_ for handle, id_ in ids.items() if spec.limit_of(handle)}
        counts = x.count(windows(lacking, limited, threads=spec.threads))
    runs = [run for day in days if (run := estimate(day, ids, counts, spec, now()))]
    runs_usd = sum(run.cost_usd for run in runs)
    look_ups = BilledUnits(users=sum(map(bool, lacking.values())))
    return Plan(
        id=request.id,
        made_at=now(),
        first=str(first),
        last=str(last),
        complete_days=sum(not day.not_landed for day in days),
        accounts=handles,
        runs=runs,
        unavailable=unavailable,
        own_cost_usd=dollars(x.stored.total_mills),
        cost_usd=round(runs_usd + dollars(cost(look_ups, now())), 3),
        likely_usd=round(runs_usd, 3) if all(run.is_exact for run in runs) else None,
    )


def runs(plan_id: str) -> list[dict[str, Any]]:
    """Return the runs to start: the name contains the day, the conf the accounts."""
    return [
        {
            "trigger_run_id": f"manual__{run.day}__plan_{plan_id}",
            "conf": {"day": run.day, "accounts": ", ".join(run.accounts)},
        }
        for run in load_plan(object_store.from_settings(), plan_id).runs
    ]


def wait_for_runs(plan_id: str) -> None:
    """Release the worker slot until the runs of the plan have ended."""
    names, ti = [run["trigger_run_id"] for run in runs(plan_id)], get_current_context()["ti"]
    count = partial(ti.get_dr_count, "twitter", states=["queued", "running"])
    if open_runs := sum(count(run_ids=part) for part in chunked(names, RUNS_A_REQUEST)):
        poll(RUNS_POLL_INTERVAL, f"{open_runs} of {len(names)} runs have not ended")


def compare(plan_id: str) -> dict[str, Any]:
    """Compare the approved price with what was bought; Incomplete if days have not landed completely."""
    store = object_store.from_settings()
    plan, identities = load_plan(store, plan_id), Identities.read(store, settings.confirmed_account_ids())
    collected = {handle.lower() for handle in accounts.read(store).handles}
    bought, late = 0.0, list[str]()
    for run in plan.runs:
        day = Day.parse(run.day)
        bought += spent_usd(store, day) - run.spent_usd
        handles = {handle for handle in run.accounts if handle.lower() in collected}
        if handles - landed_handles(store, day, handles, identities):
            late.append(run.day)
    summary = f"Of the approved ${plan.cost_usd:.3f}, ${bought:.3f} was spent"
    if late:
        raise Incomplete(
            f"{len(late)} of {plural(len(plan.runs), 'day')} have not landed completely: {', '.join(late)}. "
            f"{summary}. Clear the failed tasks of their runs, then clear `compare`."
        )
    log.log(logging.WARNING if bought > plan.cost_usd else logging.INFO, summary)
    return {"approved_usd": plan.cost_usd, "bought_usd": round(bought, 3), "days": len(plan.runs)}
