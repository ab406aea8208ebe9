"""Above the boxes: what a backfill would bring and cost, for a person to approve, and whether it kept to it.

`survey` looks at what is there, `asking` says what X is asked for, `counting` asks it; `price` tells what a
day would cost, `told` puts it in words. What is approved is bought by runs of `twitter`, one a day.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from msgspec.structs import replace

from include.twitter import lake, roster, settings
from include.twitter.day import PLANS, Day, Revisit, plan_key
from include.twitter.errors import BadDay, Incomplete, NothingStaged
from include.twitter.extract import TIMELINE_DAYS
from include.twitter.extract.accounts import Accounts
from include.twitter.extract.money import Caps, spent_of_month
from include.twitter.extract.x import owner_id
from include.twitter.lake import Lake
from include.twitter.plan import told
from include.twitter.plan.asking import Shown, count, look_up, tell_own_price
from include.twitter.plan.counting import Counting, booked, counting
from include.twitter.plan.price import priced
from include.twitter.plan.survey import Survey, bought_usd, survey, unlanded
from include.twitter.plan.told import many
from include.twitter.pricing import cost, dollars, prices
from include.twitter.records import Asked, Bought, Plan, encoded, total
from include.twitter.run import Range, skip
from include.twitter.settings import XAccess

__all__ = ["compare", "quote", "runs"]

log = logging.getLogger(__name__)

TOLERATED = 5
"""Per cent by which what was bought may differ from the quote, before that is a warning."""


def quote(range_: Range) -> dict[str, Any]:
    """Plan the days, and hand on the plan's id with what is shown for approval.

    A run has one plan, also where the task is cleared: Airflow 3.3.2 would show the table of the first again.
    """
    caps, here = Caps(*settings.budgets().items()), lake.deployed()
    if not here.read(plan_key(range_.id)):
        here.swap(plan_key(range_.id), encoded(_made(here, range_, caps)), None)
    plan = plan_of(here, range_.id)
    for line in told.table(plan.days):
        log.info(line)
    log.info("Planned %s for $%.3f: %s", here.url(plan_key(plan.id)), plan.cost_usd, told.subject(plan))
    if not told.started(plan):
        skip("X shows none of the accounts that are missing: nothing can be bought")
    left = dollars(caps.month[1] - spent_of_month(here, range_.now()))
    return {
        "plan": plan.id,
        "subject": told.subject(plan),
        "body": told.body(plan, _caps(plan, caps, left), _later(range_, plan), _month_cap(plan, caps, left)),
    }


def plan_of(lake: Lake, id_: str) -> Plan:
    """The plan of this id, as it was shown for approval."""
    key = plan_key(id_)
    if not (plan := lake.record(key, Plan)):
        raise NothingStaged(f"{lake.url(key)} is gone: trigger `twitter_plan` again.")
    return plan


def _made(here: Lake, range_: Range, caps: Caps) -> Plan:
    """The plan of the days, from what is there and what X counts."""
    accounts = roster.read(here)
    everybody = accounts.asked()
    asked = replace(everybody, handles=accounts.among(range_.accounts))
    access, accepted = settings.x_access(), settings.confirmed_account_ids()
    own = accounts.own_handle() if access.user else ""
    _require_settled(range_, Day.latest_settled(range_.now(), settings.settling()))
    identities = roster.Identities.read(here, accepted)
    found = survey(here, range_, everybody, asked.handles, identities)
    _require_missing(found)
    tell_own_price(found.possible, asked, own)
    lake.require_conditional_writes(here)
    with counting(here, range_, caps, access) as asking:
        shown = look_up(asking, Accounts(here, accepted), [*found.possible])
        own = _own(own, shown, access, accepted)
        if any(identities.ids.get(handle.lower()) != id_ for handle, id_ in shown.ids.items()):
            # A renamed account may be in the days already, under the handle that it had.
            identities.ids |= {handle.lower(): id_ for handle, id_ in shown.ids.items()}
            found = survey(here, range_, everybody, asked.handles, identities)
            _require_missing(found)
        count(asking, shown, found.lacking, asked, own)
    return _planned(here, range_, asked, found, shown, asking, own)


def _require_missing(found: Survey) -> None:
    if not any(day.unlanded for day in found.days):
        skip(f"All {len(found.days)} days have landed with all accounts: nothing is missing")


def _own(own: str, shown: Shown, access: XAccess, accepted: Collection[tuple[str, str]]) -> str:
    """The handle of the account that owns the access token, in lower case, as `extract` finds it."""
    ids = {handle.lower(): id_ for handle, id_ in shown.ids.items()}
    if own and (owner := owner_id(access)):
        return next((handle for handle, id_ in ids.items() if id_ == owner), "")
    return "" if (own, ids.get(own)) in accepted else own


def _require_settled(range_: Range, latest: Day) -> None:
    first, last = range_.days[0], range_.days[-1]
    first.require_collectable(range_.now())
    if last.date > latest.date:
        raise BadDay(f"{last} may still change: the latest day to plan is {latest}. Trigger again with that.")


def _planned(
    here: Lake, range_: Range, asked: Asked, found: Survey, shown: Shown, asking: Counting, own: str
) -> Plan:
    stored = booked(here, f"{PLANS}{range_.id}/")
    days = []
    for each in found.days:
        old = each.day.start < range_.now() - TIMELINE_DAYS
        listed = prices(range_.now())
        tallies = asking.of(each.day)
        day = priced(each, shown.ids, tallies, asked, found.habits, old=old, own=own, prices=listed)
        day.landed = len(asked.handles) - len(each.unlanded)
        days.append(day)
    return Plan(
        id=range_.id,
        made_at=range_.now(),
        asked=asked,
        days=days,
        unavailable=shown.gone,
        users=asking.users,
        counts=asking.counts,
        bought=total(stored.bought.values()),
        own_cost_usd=dollars(stored.total_mills),
        cost_usd=round(sum(day.cost_usd for day in days), 3),
    )


def _caps(plan: Plan, caps: Caps, left: float) -> list[str]:
    """Which cap would end the purchases before they are whole; `left` is what is left of the month's."""
    said = []
    (run, run_cap), (month, month_cap) = caps.run, caps.month
    over = [day.day for day in plan.days if run_cap and round(1000 * (day.cost_usd + day.had_usd)) > run_cap]
    if over:
        said.append(
            f"{many(len(over), 'day')} would cost more than `{run}` lets a day cost, first {over[0]}: "
            "raise it before you say yes"
        )
    if month_cap and plan.cost_usd > left:
        said.append(
            f"Of `{month}` ${left:.3f} are left: raise it before you say yes, or the rest stays unbought"
        )
    return said


def _month_cap(plan: Plan, caps: Caps, left: float) -> str:
    name, cap = caps.month
    if not cap:
        return f"`{name}` sets no cap."
    after = f", ${left - plan.cost_usd:.3f} once it is bought" if plan.cost_usd <= left else ""
    return f"`{name}` is ${dollars(cap):.3f}: ${left:.3f} are left now{after}."


def _later(range_: Range, plan: Plan) -> str:
    """What `twitter_engagement` will ask for these posts, at ages that lie ahead: age 1 is free."""
    due = [
        (age, day.posts)
        for day in told.started(plan)
        for age in settings.engagement_days()
        if age > 1 and Revisit(Day.parse(day.day), age).due_at > range_.now()
    ]
    price = dollars(cost(Bought(posts=sum(posts for _, posts in due)), range_.now()))
    ages = " and ".join(map(str, sorted({age for age, _ in due})))
    said = f"`twitter_engagement` will read them again at {ages} days, for up to ${price:.3f}."
    return said if price else ""


def runs(plan_id: str) -> list[dict[str, Any]]:
    """What starts the run of each day: its name says the day, its conf the plan."""
    plan = plan_of(lake.deployed(), plan_id)
    return [
        {
            "trigger_run_id": run_name(plan.id, day.day),
            "conf": {"day": day.day, "plan": plan.id},
        }
        for day in told.started(plan)
    ]


def run_name(plan_id: str, day: str) -> str:
    return f"manual__{day}__plan_{plan_id}"


def compare(plan_id: str) -> dict[str, Any]:
    """Hold the quote against what was bought; Incomplete where days have not landed whole."""
    here = lake.deployed()
    plan = plan_of(here, plan_id)
    days = told.started(plan)
    bought = sum(bought_usd(here, Day.parse(day.day)) - day.had_usd for day in days)
    percent = 100 * (bought - plan.cost_usd) / plan.cost_usd if plan.cost_usd else 100.0 * bool(bought)
    if left := unlanded(here, [(Day.parse(day.day), day.accounts) for day in days]):
        raise Incomplete(
            f"{len(left)} of {len(days)} days have not landed whole: {', '.join(map(str, left))}. Quoted "
            f"${plan.cost_usd:.3f}, bought ${bought:.3f}. Clear what failed in their runs, then clear "
            "`compare`."
        )
    said = log.warning if abs(percent) > TOLERATED else log.info
    said(
        "Quoted $%.3f for %s, bought $%.3f: %+.1f %%", plan.cost_usd, many(len(days), "day"), bought, percent
    )
    return {
        "quoted_usd": plan.cost_usd,
        "bought_usd": round(bought, 3),
        "percent": round(percent, 2),
        "days": len(days),
    }
