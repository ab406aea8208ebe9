"""The Markdown that a person reads before the plan is approved; X's words are escaped in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from include.twitter.extract.money import Caps
from include.twitter.pricing import dollars
from include.twitter_features.backfill_plan.plan import Plan, PlannedDay

HEAD = [
    "| month (UTC) | days to fill | posts X counts | posts to buy | cost |",
    "|---|--:|--:|--:|--:|",
]


def subject(plan: Plan) -> str:
    """The question in one line."""
    posts = sum(day.posts for day in plan.days)
    days = plural(len(plan.incomplete_days), "day")
    return f"Buy up to {plural(posts, 'post')} of {days} for at most ${plan.cost_usd:.3f}?"


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def body(plan: Plan, caps: Caps, left_usd: float) -> str:
    """What is missing, what it costs, and which cap would stop it; `left_usd` is left of the month's cap."""
    incomplete, accounts = plan.incomplete_days, plural(len(plan.accounts), "account")
    counted, posts = sum(day.counted for day in incomplete), sum(day.posts for day in incomplete)
    likely = "" if plan.likely_usd is None else f", most likely ${plan.likely_usd:.3f}"
    return "\n".join(
        [
            f"**{plan.days[0].day} to {plan.days[-1].day}, {accounts}.** Complete already: "
            f"{len(plan.days) - len(incomplete)} of {plural(len(plan.days), 'day')}. Of the others X counts "
            f"{plural(counted, 'post')}; up to {posts} would be bought, for at most "
            f"**${plan.cost_usd:.3f}** with look-ups and counts{likely}. "
            f"To find that out has cost ${plan.own_cost_usd:.3f}.",
            *_caps(plan, caps, left_usd),
            *(f"\nNot bought: {escaped(name)}, {escaped(why)}" for name, why in plan.unavailable.items()),
            "",
            *table(plan.days),
        ]
    )


def table(days: Sequence[PlannedDay]) -> list[str]:
    """A row for each month."""
    rows = []
    for month, group in groupby(days, key=lambda day: day.day[:7]):
        of_month = list(group)
        to_fill, counted = sum(bool(day.accounts) for day in of_month), sum(day.counted for day in of_month)
        posts, cost = sum(day.posts for day in of_month), sum(day.cost_usd for day in of_month)
        rows.append(f"| {month} | {to_fill} | {counted} | {posts} | ${cost:.3f} |")
    return [*HEAD, *rows]


def _caps(plan: Plan, caps: Caps, left_usd: float) -> list[str]:
    """What is left of the month's cap, and in bold: which cap could end the purchases early."""
    (run, run_cap), (month, month_cap) = caps.run, caps.month
    lines = []
    if month_cap:
        left = f"Of `{month}`, ${dollars(month_cap):.3f}, are ${left_usd:.3f} left"
        too_little = plan.cost_usd > left_usd
        lines.append(f"\n**{left}: raise it before you say yes**" if too_little else f"\n{left}.")
    over = [
        day.day for day in plan.days if run_cap and round(1000 * (day.cost_usd + day.spent_usd)) > run_cap
    ]
    if over:
        days = plural(len(over), "day")
        lines.append(
            f"\n**{days} could cost more than `{run}`, first {over[0]}: raise it before you say yes**"
        )
    return lines


def escaped(text: str) -> str:
    """Return foreign words with everything escaped that Markdown has a use for."""
    return re.sub(r"([\\`*_{}\[\]<>()#+.!|~&-])", r"\\\1", " ".join(text.split()))
