"""The Markdown text that a person approves; words from X are escaped in it."""

from __future__ import annotations

import re
from itertools import groupby

from include.twitter.extract.budget import Caps
from include.twitter.pricing import dollars
from include.twitter_features.backfill_plan.plan import Plan, PlannedRun

HEADER = "| month (UTC) | days to fill | posts X counts | posts to buy | cost |\n|---|--:|--:|--:|--:|"


def subject(plan: Plan) -> str:
    """The question in one line."""
    (_, posts, _), days = _totals(plan.runs), plural(len(plan.runs), "day")
    return f"Buy up to {plural(posts, 'post')} of {days} for at most ${plan.cost_usd:.3f}?"


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def body(plan: Plan, caps: Caps, left_usd: float) -> str:
    """What is missing, what it costs, and which cap would stop it; `left_usd` remains of the month's cap."""
    counted, posts, _ = _totals(plan.runs)
    days = plural(plan.complete_days + len(plan.runs), "day")
    likely = "" if plan.likely_usd is None else f", most likely ${plan.likely_usd:.3f}"
    months = ((month, [*runs]) for month, runs in groupby(plan.runs, key=lambda run: run.day[:7]))
    return "\n".join(
        [
            f"**{plan.first} to {plan.last}, {plural(len(plan.accounts), 'account')}.** Complete already: "
            f"{plan.complete_days} of {days}. Of the others X counts {plural(counted, 'post')}; up to "
            f"{posts} would be bought, for at most **${plan.cost_usd:.3f}** with look-ups and counts{likely}."
            f" The plan itself has cost ${plan.own_cost_usd:.3f}.",
            *_caps(plan, caps, left_usd),
            *(f"\nNot bought: {escaped(name)}, {escaped(why)}" for name, why in plan.unavailable.items()),
            f"\n{HEADER}",
            *(
                "| {} | {} | {} | {} | ${:.3f} |".format(month, len(runs), *_totals(runs))
                for month, runs in months
            ),
        ]
    )


def _totals(runs: list[PlannedRun]) -> tuple[int, int, float]:
    """The posts that X counts, the posts to buy, and their price in dollars."""
    return sum(run.counted for run in runs), sum(run.posts for run in runs), sum(run.cost_usd for run in runs)


def _caps(plan: Plan, caps: Caps, left_usd: float) -> list[str]:
    """The remainder of the month's cap, and in bold the caps that could stop the purchases."""
    (run_name, run_cap), (month_name, month_cap) = caps.run, caps.month
    lines = []
    if month_cap:
        remainder = f"${left_usd:.3f} of `{month_name}`, ${dollars(month_cap):.3f}, remain"
        is_short = plan.cost_usd > left_usd
        lines.append(f"\n**{remainder}: raise it before you approve**" if is_short else f"\n{remainder}.")
    over = [run.day for run in plan.runs if round(1000 * (run.cost_usd + run.spent_usd)) > run_cap]
    if run_cap and over:
        days = f"{plural(len(over), 'day')} could cost more than `{run_name}`, first {over[0]}"
        lines.append(f"\n**{days}: raise it before you approve**")
    return lines


def escaped(text: str) -> str:
    """Escape every character that has a meaning in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+.!|~&-])", r"\\\1", " ".join(text.split()))
