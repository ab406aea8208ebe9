"""What a day would bring and cost, as exact as X's counts let it be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from include.twitter.plan.counting import Tally
from include.twitter.plan.survey import Found, Habits
from include.twitter.pricing import NEWEST, dollars
from include.twitter.records import Asked, PlannedDay
from include.twitter.sources import Endpoint

UNKNOWN = 5
"""Posts beyond the limit while no habit is known: none are bought for it, or the smallest page, of 10."""


@dataclass(frozen=True)
class Part:
    """Accounts that X has counted together, or one alone."""

    handles: tuple[str, ...]
    counted: int
    wanted: int
    """Posts to be bought, without what is there."""
    over_limit: int
    """Of the counted: beyond the limit, and not to be bought."""
    had: int
    """Of the counted: bought before."""
    is_small: bool
    """Whether none of them is over the limit: then an old day is read for many at once."""


def priced(
    found: Found,
    ids: Mapping[str, str],
    tallies: Iterable[Tally],
    asked: Asked,
    habits: Habits,
    *,
    old: bool,
    own: str = "",
    prices: Mapping[str, int] = NEWEST,
) -> PlannedDay:
    """One day of a plan; `ids` are those of the accounts that X shows, `own` is one's own, in lower case."""
    endpoint = Endpoint.FULL_ARCHIVE_SEARCH if old else Endpoint.TIMELINE
    smallest, largest = endpoint.smallest_page, endpoint.largest_page
    names = {ids[handle]: handle for handle in found.missing if handle in ids}
    parts = [_part(tally, names, found, asked, habits, smallest) for tally in _once(tallies, names)]
    posts = sum(part.wanted for part in parts)
    return PlannedDay(
        day=str(found.day),
        landed=0,
        accounts=tuple(handle for handle in found.unlanded if handle in ids or handle not in found.missing),
        counted=sum(part.counted for part in parts),
        posts=posts,
        over_limit=sum(part.over_limit for part in parts),
        had=sum(part.had for part in parts),
        alone=_alone(parts),
        requests=_requests(parts, largest),
        cost_usd=dollars(sum(part.wanted * prices[_kind(part, "" if old else own)] for part in parts)),
        had_usd=found.had_usd,
    )


def _kind(part: Part, own: str) -> str:
    """What X bills its posts as: those on one's own timeline cost less."""
    return "own_posts" if tuple(map(str.lower, part.handles)) == (own,) else "posts"


def _once(tallies: Iterable[Tally], names: Mapping[str, str]) -> list[Tally]:
    """Each account of the day once: alone where it was counted alone, else with its group."""
    left, chosen = {*names}, []
    for tally in sorted(tallies, key=lambda tally: len(tally.ids)):
        if left.issuperset(tally.ids) or (tally.of_threads and names.keys() >= {*tally.ids}):
            left -= set() if tally.of_threads else {*tally.ids}
            chosen.append(tally)
    return chosen


def _part(
    tally: Tally, names: Mapping[str, str], found: Found, asked: Asked, habits: Habits, smallest: int
) -> Part:
    handles, total = tuple(names[id_] for id_ in tally.ids), tally.count.total
    limit = asked.lowest(handles)
    lines = [line for handle in handles if (line := found.lines.get(handle.lower()))]
    had = 0 if tally.of_threads else sum(line.posts for line in lines)
    is_small = not limit or total <= limit
    whole = total if is_small else min(total, _up_to(limit, habits.share(handles[0]), smallest))
    had = min(had, whole)
    return Part(handles, total, whole - had, total - whole, had, is_small)


def _up_to(limit: int, repeated: float | None, smallest: int) -> int:
    """How many posts a walk buys for the latest N: what is a version of another it makes up for."""
    if repeated is None:
        return max(limit, smallest) + UNKNOWN
    more = round(limit * repeated)
    return max(limit, smallest) + (max(more, smallest) if more else 0)


def _alone(parts: list[Part]) -> dict[str, int]:
    alone: dict[str, int] = {}
    for part in parts:
        if len(part.handles) == 1:
            alone[part.handles[0]] = alone.get(part.handles[0], 0) + part.wanted
    return alone


def _requests(parts: list[Part], largest: int) -> int:
    """How many pages X is asked for: none of accounts without a post."""
    return sum(max(ceil(part.wanted / largest), len(part.handles)) for part in parts if part.counted)
