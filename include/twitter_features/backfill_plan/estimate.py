"""What a day can cost at most, by X's counts and the accounts' limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from include.twitter.extract.counts import Count
from include.twitter.extract.x import ARCHIVE_PAGES
from include.twitter.pricing import dollars, prices
from include.twitter.records import Asked
from include.twitter.sources import batches
from include.twitter_features.backfill_plan.fetch_counts import Window
from include.twitter_features.backfill_plan.inventory import DayInventory
from include.twitter_features.backfill_plan.plan import PlannedDay

SMALLEST_PAGE = ARCHIVE_PAGES[0]
"""A lower limit still buys so many posts."""


def estimate(
    day: DayInventory, ids: Mapping[str, str], counts: Mapping[Window, Count], spec: Asked, at: datetime
) -> PlannedDay:
    """Estimate one day; `ids` are those of the accounts that X shows, by handle.

    Of accounts that were counted together, each may have as many posts as its limit, and all no more than X
    counts. Where that leaves open which of them are over it, `extract` counts the others once more.
    """
    handles = {ids[handle]: handle for handle in day.missing if handle in ids}
    counted, posts, count_requests = 0, 0, 0
    for window, count in counts.items():
        if day.day not in window.days:
            continue
        total, limits = count.of_day(day.day).total, [spec.limit_of(handles[id_]) for id_ in window.ids]
        capped = sum(max(limit, SMALLEST_PAGE) for limit in limits) if all(limits) else total
        stored = sum(day.stored_posts.get(handles[id_], 0) for id_ in window.ids if not window.of_threads)
        counted += total
        posts += max(min(total, capped) - stored, 0)
        if len(limits) > 1 and total > min(filter(None, limits), default=total):
            count_requests += sum(1 for _ in batches(window.ids))
    listed = prices(at)
    return PlannedDay(
        day=str(day.day),
        accounts=tuple(handle for handle in day.not_landed if handle in ids or handle not in day.missing),
        counted=counted,
        posts=posts,
        is_exact=not count_requests,
        cost_usd=dollars(posts * listed["posts"] + count_requests * listed["archive_counts"]),
        spent_usd=day.spent_usd,
    )
