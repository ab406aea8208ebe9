"""X's own count of the posts that were read, compared with the ledger.

X counts the posts that a project and each of its apps read on a UTC day, each post once a day. The ledger has
months. So X's count has to lie between two ledger totals: the one before the day's last purchases (lower
bound), and the one at the time of the request, with lost and uncertain posts (upper bound).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec

from include.twitter.day import Day
from include.twitter.records import LedgerEntry, Usage, total
from include.twitter.response import decode_json

TOLERATED_SHARE = 0.02
"""The share of a bound by which X's count may exceed it."""
TOLERATED_POSTS = 20
"""Posts by which X's count may exceed a bound of any size: a page that is read again has as many."""


class _Day(msgspec.Struct):
    date: str
    usage: int = 0


class _Daily(msgspec.Struct):
    usage: list[_Day] = []

    def posts(self, day: Day) -> int:
        """Posts from the first of the day's month to the day."""
        return sum(entry.usage for entry in self.usage if str(day)[:7] <= entry.date[:10] <= str(day))


class XUsage(msgspec.Struct):
    """X's response; X sends its numbers as numbers or as strings."""

    daily_project_usage: _Daily
    daily_client_app_usage: list[_Daily] = []
    project_cap: int | None = None
    project_usage: int | None = None


class _Body(msgspec.Struct):
    data: XUsage


def parse_x_usage(content: bytes) -> XUsage | None:
    """Return X's counts; None if the response has none in the documented form."""
    try:
        return msgspec.convert(decode_json(content), _Body, strict=False).data
    except ValueError:
        return None


def compare_usage(
    x_usage: XUsage, day: Day, ledger: Collection[LedgerEntry], previous: Usage | None, at: datetime
) -> Usage:
    """Compare the month up to the end of the day; `previous` is the month's comparison before this one."""
    # X does not document whether it counts own posts: only the upper bound has them.
    confirmed = sum(entry.bought.posts for entry in ledger)
    not_stored = [
        item for entry in ledger for item in (*entry.lost_responses.values(), *entry.uncertain.values())
    ]
    bought = total([entry.bought for entry in ledger] + [item.bought for item in not_stored])
    upper = bought.posts + bought.own_posts
    lower = previous.confirmed if previous and previous.requested_at <= day.end else 0
    if (at.year, at.month) > (day.date.year, day.date.month):
        lower = confirmed
    # Other apps of the project may read too: it is enough that one count agrees.
    counts = [daily.posts(day) for daily in (x_usage.daily_project_usage, *x_usage.daily_client_app_usage)]
    discrepancies = [(max(count - upper, 0) + min(count - lower, 0), count) for count in counts]
    discrepancy, counted = min(discrepancies, key=lambda pair: abs(pair[0]))
    usage = Usage(
        day=str(day),
        requested_at=at,
        counted=counted,
        lower_bound=lower,
        upper_bound=upper,
        confirmed=confirmed,
        discrepancy=discrepancy,
        alerted=previous.alerted if previous else 0,
        summary="",
    )
    usage.summary = _summary(usage, x_usage)
    return usage


def exceeds_tolerance(usage: Usage, known: int = 0) -> bool:
    """Whether the discrepancy differs from the `known` one by more than is tolerated."""
    bound = usage.upper_bound if usage.discrepancy > 0 else usage.lower_bound
    return abs(usage.discrepancy - known) > max(TOLERATED_POSTS, TOLERATED_SHARE * bound)


def is_new(usage: Usage) -> bool:
    """Whether it exceeds the tolerance, and has grown since the month's last alert."""
    return exceeds_tolerance(usage) and exceeds_tolerance(usage, usage.alerted)


def _summary(usage: Usage, x_usage: XUsage) -> str:
    verdict = "they agree"
    if exceeds_tolerance(usage):
        verdict = f"X counts {abs(usage.discrepancy):,} {'more' if usage.discrepancy > 0 else 'fewer'}"
    message = (
        f"X has counted {usage.counted:,} posts from {usage.day[:7]}-01 to {usage.day}, the ledger explains "
        f"{usage.lower_bound:,} to {usage.upper_bound:,}: {verdict}."
    )
    if x_usage.project_cap is None or x_usage.project_usage is None:
        return message
    return f"{message} {x_usage.project_usage:,} posts of X's own cap of {x_usage.project_cap:,} are used."
