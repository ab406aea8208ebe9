"""X's own counts of posts: decoding a response, and the cache in the bucket that all runs share.

The key of a cached count contains its query and its window of days: a plan stores a count of many days, and a
day reads the counts whose windows contain it. The payer also keeps each response in its own folder, where
its ledger entry accounts for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from include.twitter.day import Day
from include.twitter.errors import UnexpectedResponse
from include.twitter.layout import count_key, counts_prefix, parse_count_key
from include.twitter.object_store import ObjectStore, response_in
from include.twitter.response import ALIASES, Response
from include.twitter.sources import author_query

MAX_COUNT_AGE = timedelta(days=7)
"""An older count may include posts that were deleted since."""
DAYS_A_COUNT = 31
"""Days in one response of the archive's counts, by the hour."""


@dataclass(frozen=True)
class Count:
    """The number of posts that X counts, in all and by hour."""

    total: int
    hours: Counter[str]
    """By `2026-11-18T09`; an hour that X counted without a post has 0."""
    received_at: datetime | None = None

    def of_day(self, day: Day) -> Count:
        """Return the part of a longer count that belongs to the day."""
        hours = Counter({hour: n for hour, n in self.hours.items() if hour.startswith(str(day))})
        return Count(hours.total(), hours, self.received_at)


def count_of(response: Response) -> Count:
    """Decode a response; UnexpectedResponse if it is no count."""
    total = _number(response.body.get("meta"), "total_tweet_count")
    hours = {
        hour["start"][:13]: _number(hour, "tweet_count")
        for hour in response.posts
        if isinstance(hour, dict) and isinstance(hour.get("start"), str)
    }
    if total is None or None in hours.values() or len(hours) != len(response.posts):
        raise UnexpectedResponse(f"X sent no count of posts, but {response.content[:200]!r}")
    return Count(total, Counter(hours), response.received_at)


def _number(value: Any, name: str) -> int | None:
    number = value.get(name, value.get(ALIASES[name])) if isinstance(value, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def store_count(store: ObjectStore, first: Day, last: Day, response: Response) -> str:
    """Store X's count of a window, replacing an older one; return its key."""
    query, token = response.params["query"], response.request_token or ""
    store.write(key := count_key(query, first, last, token), response.to_bytes())
    return key


def stored_count(
    store: ObjectStore, query: str, first: Day, last: Day, token: str | None, now: datetime
) -> Response | None:
    """Return the cached count of exactly this query and window, or of its part after `token`."""
    key = count_key(query, first, last, token or "")
    data = store.read(key)
    response = response_in(data, store.url(key)) if data else None
    return response if response and _is_fresh(response, last.end, now) else None


def counts_of_day(
    store: ObjectStore, day: Day, since: datetime, now: datetime
) -> dict[tuple[str, ...], Count]:
    """Return the cached counts of accounts' posts of a day, by the ids that were counted together.

    Left out are counts of threads and searches, those from before `since`, and those that lack an hour.
    """
    prefixes = dict.fromkeys(counts_prefix(day.plus(-back)) for back in range(DAYS_A_COUNT))
    windows = store.parsed((key for prefix in prefixes for key in store.keys(prefix)), parse_count_key)
    keys = [key for key, (first, last) in windows.items() if first.date <= day.date <= last.date]
    parts: dict[tuple[str, ...], list[Count]] = defaultdict(list)
    for response in store.responses(keys):
        ids = response.author_ids
        is_of_posts = ids and response.params["query"] == author_query(ids)
        if is_of_posts and _is_fresh(response, max(since, day.end), now):
            parts[ids].append(count_of(response).of_day(day))
    counts = {ids: _merged(counts) for ids, counts in parts.items()}
    return {ids: count for ids, count in counts.items() if len(count.hours) == 24}


def _merged(counts: list[Count]) -> Count:
    """Join counts of one query: of an hour that several contain, the highest number."""
    names = {hour for count in counts for hour in count.hours}
    hours = Counter({hour: max(count.hours[hour] for count in counts) for hour in names})
    return Count(hours.total(), hours, max(count.received_at for count in counts if count.received_at))


def _is_fresh(response: Response, since: datetime, now: datetime) -> bool:
    return response.received_at >= max(since, now - MAX_COUNT_AGE)
