"""A plan as people read it before they say yes: Markdown, in which X's words are nothing but words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from math import ceil

from include.twitter.day import Day
from include.twitter.extract import TIMELINE_DAYS
from include.twitter.pricing import NEWEST, dollars
from include.twitter.records import Plan, PlannedDay

DAY, MONTH = 10, 7
"""Characters of a date that tell them."""
MOST_ACCOUNTS = 20
"""Of which the table tells one by one."""
MOST_ROWS = 31
"""With more days the table has a row a month; all days are in the log and in the plan."""
ARCHIVE_REQUESTS, WINDOW_MINUTES = 300, 15
"""X's archive answers so many requests in so many minutes, one a second."""
SECONDS_A_DAY = 5
"""Of Airflow and the stages, for the run of a day."""
HEAD = [
    "| {} | accounts landed | accounts to buy | posts X counts | posts to buy | requests | cost |",
    "|---|--:|--:|--:|--:|--:|--:|",
]


def subject(plan: Plan) -> str:
    """The question in one line."""
    days = started(plan)
    posts = sum(day.posts for day in days)
    return f"Buy {many(posts, 'post')} of {many(len(days), 'day')} for ${plan.cost_usd:.3f}?"


def many(number: int, what: str) -> str:
    """So many things, in words."""
    return f"{number} {what}{'s' * (number != 1)}"


def body(plan: Plan, left: list[str], later: str = "", month_cap: str = "") -> str:
    """What is missing, what it costs, and what stands in the way: `left` is what the caps say.

    `later` is what the posts will cost once they have landed, `month_cap` what is left of that cap.
    """
    days = started(plan)
    posts, counted = sum(day.posts for day in days), sum(day.counted for day in days)
    rows = table(plan.days, MONTH if len(plan.days) > MOST_ROWS else DAY)
    return "\n".join(
        [
            f"**{plan.days[0].day} to {plan.days[-1].day}, {many(len(plan.asked.handles), 'account')}.** "
            f"Whole already: {len(plan.days) - len(days)} of {many(len(plan.days), 'day')}. Of the others X "
            f"counts {many(counted, 'post')}; {posts} would be bought for **${plan.cost_usd:.3f}**, in some "
            f"{many(sum(day.requests for day in days), 'request')}. To find that out has cost "
            f"${plan.own_cost_usd:.3f}.",
            "\n" + " ".join(filter(None, [_not_bought(plan), month_cap, f"It takes {duration(plan)}."])),
            *([f"\n{later}"] if later else []),
            *(f"\n**{line}**" for line in left),
            *(f"\nNot bought: {escaped(name)}, {escaped(why)}" for name, why in plan.unavailable.items()),
            "",
            *rows,
            *accounts(days),
        ]
    )


def _not_bought(plan: Plan) -> str:
    """Why fewer posts are bought than X counts."""
    over, had = sum(day.over_limit for day in started(plan)), sum(day.had for day in started(plan))
    limits = "their account's limit" if plan.asked.limits else f"the limit of {plan.asked.tweet_limit}"
    reasons = [
        *([f"{many(over, 'post')} over {limits} an account and day"] if over else []),
        *([f"{many(had, 'post')} that {'was' if had == 1 else 'were'} bought before"] if had else []),
    ]
    return f"Not bought of what X counts: {', '.join(reasons)}." if reasons else ""


def duration(plan: Plan) -> str:
    """About how long the purchase takes, in words: X's pace or Airflow's, whichever is slower."""
    days = started(plan)
    is_old = plan.made_at - TIMELINE_DAYS
    requests = sum(day.requests for day in days if Day.parse(day.day).start < is_old)
    full, rest = divmod(max(requests - 1, 0), ARCHIVE_REQUESTS)
    minutes = max(full * WINDOW_MINUTES + rest / 60, len(days) * SECONDS_A_DAY / 60)
    return f"some {many(ceil(minutes), 'minute')}" if minutes < 90 else f"some {round(minutes / 60)} hours"


def started(plan: Plan) -> list[PlannedDay]:
    """The days that a run is started for."""
    return [day for day in plan.days if day.accounts]


def table(days: Iterable[PlannedDay], length: int = DAY) -> list[str]:
    """A row for each day, or for each month: `length` is that of the date's part that a row is for."""
    rows = [_row(name, [*each]) for name, each in groupby(days, key=lambda day: day.day[:length])]
    return [HEAD[0].format("day (UTC)" if length == DAY else "month (UTC)"), HEAD[1], *rows]


def accounts(days: Iterable[PlannedDay]) -> list[str]:
    """What each account would bring, the dearest first, where X has counted it alone."""
    posts: Counter[str] = Counter()
    for day in days:
        posts.update(day.alone)
    if not posts:
        return []
    first, rest = posts.most_common(MOST_ACCOUNTS), posts.total()
    rows = [_bought(escaped(name), number) for name, number in first]
    rest -= sum(number for _, number in first)
    more = [_bought(f"{len(posts) - len(first)} others", rest)] if len(posts) > len(first) else []
    return ["", "| account | posts to buy | cost |", "|---|--:|--:|", *rows, *more]


def _bought(name: str, posts: int) -> str:
    return f"| {name} | {posts} | ${dollars(posts * NEWEST['posts']):.3f} |"


def _row(name: str, days: list[PlannedDay]) -> str:
    numbers = [
        sum(day.landed for day in days),
        sum(len(day.accounts) for day in days),
        sum(day.counted for day in days),
        sum(day.posts for day in days),
        sum(day.requests for day in days),
    ]
    return f"| {name} | {' | '.join(map(str, numbers))} | ${sum(day.cost_usd for day in days):.3f} |"


def escaped(text: str) -> str:
    """Foreign words, none of which Markdown takes for its own."""
    return re.sub(r"([\\`*_{}\[\]<>()#+.!|~&-])", r"\\\1", " ".join(text.split()))
