"""X's own counts of posts: how a response is read, and the cache in the bucket that all runs share.

A count of a query and a window of days is stored under a key made of both. Whoever pays for a count of more
than one day stores it here (`store_count`); whoever needs a day inside the window finds it (`counts_of_day`).
The payer also keeps the response in its own folder, where its ledger entry accounts for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from include.twitter.day import Day
from include.twitter.errors import UnexpectedAnswer
from include.twitter.layout import count_key, counts_prefix, parse_count_key
from include.twitter.object_store import ObjectStore, response_in
from include.twitter.response import ALIASES, Response
from include.twitter.sources import author_query

MAX_AGE = timedelta(days=7)
"""Older counts are not used: posts that were deleted since are in them."""
DAYS_A_COUNT = 31
"""Days that one response of the archive's counts holds, by the hour too."""


@dataclass(frozen=True)
class Count:
    """How many posts X counts, in all and by hour, as `2026-11-18T09`."""

    total: int
    hours: Counter[str]
    """Hours without a post are in it as 0 where X has counted them."""

    def covers(self, day: Day) -> bool:
        """Whether X has counted each hour of the day."""
        return all(f"{day}T{hour:02}" in self.hours for hour in range(24))

    def of_day(self, day: Day) -> Count:
        """The part of a longer count that is the day's."""
        hours = Counter({hour: n for hour, n in self.hours.items() if hour.startswith(str(day))})
        return Count(hours.total(), hours)


def count_of(response: Response) -> Count:
    """What one response counts; UnexpectedAnswer where it is no count."""
    total = _number(response.body.get("meta"), "total_tweet_count")
    hours = {hour["start"][:13]: _number(hour, "tweet_count") for hour in response.posts if _is_hour(hour)}
    if total is None or None in hours.values() or len(hours) != len(response.posts):
        raise UnexpectedAnswer(f"X was asked for a count and sent none, but {response.content[:200]!r}")
    return Count(total, Counter(hours))


def _is_hour(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("start"), str)


def _number(value: Any, name: str) -> int | None:
    if not isinstance(value, dict):
        return None
    number = value.get(name, value.get(ALIASES[name]))
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def store_count(store: ObjectStore, first: Day, last: Day, response: Response) -> str:
    """Store X's count of a window, in the place of an older one; returns its key."""
    query, token = response.params["query"], response.request_token or ""
    store.write(key := count_key(query, first, last, token), response.to_bytes())
    return key


def stored_count(
    store: ObjectStore, query: str, first: Day, last: Day, token: str | None, now: datetime
) -> Response | None:
    """X's count of exactly this query and window, or of its part behind `token`; None where there is none."""
    key = count_key(query, first, last, token or "")
    data = store.read(key)
    response = response_in(data, store.url(key)) if data else None
    return response if response and _is_fresh(response, last.end, now) else None


def counts_of_day(
    store: ObjectStore, day: Day, since: datetime, now: datetime
) -> dict[tuple[str, ...], Count]:
    """The stored counts of accounts' posts of a day, by the ids that were counted together; neither those of
    threads nor those of before `since`."""
    keys = [key for prefix in _prefixes(day) for key in store.keys(prefix)]
    windows = store.parsed(keys, parse_count_key)
    inside = [key for key, (first, last) in windows.items() if first.date <= day.date <= last.date]
    parts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for response in store.responses(inside):
        authors = response.author_ids
        is_of_posts = authors and response.params["query"] == author_query(authors)
        if is_of_posts and _is_fresh(response, max(since, day.end), now):
            hours = parts[authors]
            for hour, number in count_of(response).hours.items():
                hours[hour] = max(hours[hour], number)
    counts = {authors: Count(hours.total(), hours) for authors, hours in parts.items()}
    return {authors: count.of_day(day) for authors, count in counts.items() if count.covers(day)}


def _prefixes(day: Day) -> list[str]:
    """Of the windows that may hold the day."""
    return [*dict.fromkeys(counts_prefix(day.plus(-back)) for back in range(DAYS_A_COUNT))]


def _is_fresh(response: Response, since: datetime, now: datetime) -> bool:
    return response.received_at >= max(since, now - MAX_AGE)
