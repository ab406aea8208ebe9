"""What a day would bring and cost, as exact as X's counts let it be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from include.twitter.extract.counted import Counted
from include.twitter.extract.group import ARCHIVE_PAGES
from include.twitter.extract.money import PRICES, dollars
from include.twitter.extract.proof import groups
from include.twitter.extract.x import LONGEST_ARCHIVE_QUERY, TIMELINE_PAGES, query, thread_query
from include.twitter.plan.survey import Found
from include.twitter.records import Asked, PlannedDay


@dataclass(frozen=True)
class Part:
    """Accounts that X counts together, or one alone: how many posts they have, and how many are wanted."""

    ids: tuple[str, ...]
    counted: int
    wanted: int
    is_small: bool
    """Whether none of them is over the limit: then an old day is read for many at once."""


def priced(
    found: Found, ids: Mapping[str, str], counts: Mapping[str, Counted], asked: Asked, *, old: bool
) -> PlannedDay:
    """One day of the plan; `ids` are those of the accounts that X shows, `counts` X's own, by their queries."""
    pages = ARCHIVE_PAGES if old else TIMELINE_PAGES
    names = {ids[handle]: handle for handle in found.missing if handle in ids}
    parts = _parts(names, counts, asked, pages[0])
    had = {name: line.posts for name, line in found.lines.items()}
    again = sum(name.lower() in found.lines for name in names.values()) if old else 0
    posts = sum(max(part.wanted - sum(had.get(names[i].lower(), 0) for i in part.ids), 0) for part in parts)
    return PlannedDay(
        day=str(found.day),
        landed=0,
        accounts=tuple(handle for handle in found.unlanded if handle in ids or handle not in found.missing),
        counted=sum(part.counted for part in parts),
        posts=posts,
        requests=_requests(parts, pages[1], old=old and not asked.threads) + bool(again),
        cost_usd=dollars(posts * PRICES["posts"] + again * PRICES["users"]),
        had_usd=found.had_usd,
    )


def _parts(
    names: Mapping[str, str], counts: Mapping[str, Counted], asked: Asked, smallest: int
) -> list[Part]:
    """The day's accounts as they were counted, one by one where they were: each once."""
    limit, parts, left = asked.tweet_limit, [], {*names}
    most = max(limit, smallest) if limit else 0
    for id_ in names:
        for asked_for in (query([id_]), thread_query(id_)):
            if count := counts.get(asked_for):
                left.discard(id_)
                wanted = min(count.total, most) if most else count.total
                parts.append(Part((id_,), count.total, wanted, not limit or count.total <= limit))
    for asked_for, count in counts.items():
        together = tuple(
            id_ for id_ in names if f"from:{id_}" in asked_for.replace("(", " ").replace(")", " ").split()
        )
        if together and left.issuperset(together) and asked_for == query(together):
            left -= {*together}
            parts.append(Part(together, count.total, count.total, True))
    return parts


def _requests(parts: list[Part], largest: int, *, old: bool) -> int:
    """How many pages X is asked for: an old day's small accounts share theirs."""
    small = [part for part in parts if old and part.is_small]
    ids = [id_ for part in small for id_ in part.ids]
    shared = max(
        ceil(sum(part.wanted for part in small) / largest),
        sum(1 for _ in groups(ids, len(ids), LONGEST_ARCHIVE_QUERY)),
    )
    alone = [part for part in parts if part not in small]
    return shared + sum(max(ceil(part.wanted / largest), len(part.ids)) for part in alone)
