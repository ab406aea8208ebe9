"""The Markdown text that a person approves; words from X are escaped in it."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from more_itertools import map_reduce

from include.twitter.extract.budget import Caps
from include.twitter.pricing import dollars
from include.twitter_features.backfill_plan.plan import Plan


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def escaped(text: str) -> str:
    """Escape every character that has a meaning in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+.!|~&-])", r"\\\1", " ".join(text.split()))


ENVIRONMENT = Environment(  # noqa: S701 - Markdown: `escaped` is applied to words from X
    loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True
)
ENVIRONMENT.filters |= {"plural": plural, "escaped": escaped, "usd": "${:.3f}".format}


def subject(plan: Plan) -> str:
    """The question in one line."""
    posts, days = plural(sum(run.posts for run in plan.runs), "post"), plural(len(plan.runs), "day")
    return f"Buy up to {posts} of {days} for at most ${plan.cost_usd:.3f}?"


def body(plan: Plan, caps: Caps, remaining_usd: float) -> str:
    """The missing posts, their price, and the caps that could stop the runs.

    `remaining_usd` remains of the month's cap.
    """
    (run_cap_name, run_cap), (month_cap_name, month_cap) = caps.run, caps.month
    over_cap = [run.day for run in plan.runs if round(1000 * (run.cost_usd + run.spent_usd)) > run_cap]
    return ENVIRONMENT.get_template("approval.md.jinja").render(
        plan=plan,
        months=map_reduce(plan.runs, lambda run: run.day[:7]),
        days_over_cap=over_cap if run_cap else [],
        run_cap_name=run_cap_name,
        month_cap_name=month_cap_name,
        month_cap=dollars(month_cap),
        remaining_usd=remaining_usd,
    )
