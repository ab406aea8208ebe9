"""What each clear of a day would cost now: nothing, or what is missing of the day and its price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from include.twitter.page.bill import dollars
from include.twitter.pricing import NEWEST
from include.twitter.records import AccountRead, Asked, Manifest
from include.twitter.roster import Identities

FREE = "free"


@dataclass(frozen=True)
class Wish:
    """What the settings want of a day now, and what bounds its price."""

    asked: Asked
    own_handle: str
    run_cap: int
    """In mills; 0 is no cap."""
    prices: Mapping[str, int] = field(default_factory=lambda: NEWEST)
    identities: Identities = field(default_factory=lambda: Identities({}))
    """Which account each handle is."""


def of_extract(manifest: Manifest | None, wish: Wish) -> str:
    """What a clear of `extract` would buy, and what that costs at most."""
    lines = wish.identities.find(manifest.accounts if manifest else ())
    missing = {
        handle: posts
        for handle in wish.asked.handles
        if (posts := _missing(handle, lines.of(handle), wish.asked)) is not None
    }
    if unsure := wish.identities.unsure(wish.asked.handles, manifest.accounts if manifest else ()):
        looked_up = dollars(wish.prices["users"] * len(unsure))
        names = _named(unsure)
        sure = {handle: posts for handle, posts in missing.items() if handle not in unsure}
        return (
            f"{looked_up} to look up {names}; if that is a renamed account of the day, "
            f"{_of_missing(sure, wish) if sure else 'no more'}; else {_of_missing(missing, wish)}"
        )
    if not missing:
        return "free: nothing is missing"
    return _of_missing(missing, wish)


def _of_missing(missing: dict[str, int], wish: Wish) -> str:
    named = _named([*missing])
    accounts = f"{len(missing)} account is" if len(missing) == 1 else f"{len(missing)} accounts are"
    return f"{accounts} missing ({named}): {_at_most(missing, wish)}"


def _named(handles: Sequence[str]) -> str:
    return ", ".join(handles[:5]) + (f" and {len(handles) - 5} more" if len(handles) > 5 else "")


def _missing(handle: str, line: AccountRead | None, asked: Asked) -> int | None:
    """The most posts that would be bought of an account, 0 for no bound; None where nothing is missing."""
    limit = asked.limit_of(handle)
    if asked.is_met_by(line, handle):
        return None
    if line is None or line.outcome == "unavailable" or asked.threads > line.threads:
        return limit
    return max(limit - line.limit, 0)


def _at_most(missing: dict[str, int], wish: Wish) -> str:
    cap = f"; the day's purchase may cost {dollars(wish.run_cap)} in all" if wish.run_cap else ""
    if not all(map(wish.asked.limit_of, missing)):
        return f"{dollars(wish.prices['posts'])} a post, as many as there are{cap}"
    mills = sum(
        wish.prices["own_posts" if handle.lower() == wish.own_handle else "posts"] * posts
        + wish.prices["users"]
        for handle, posts in missing.items()
    )
    return f"up to {max(missing.values())} posts each, some {dollars(mills)} at most{cap}"


def of_buying_again(spent: int, wish: Wish) -> str:
    """What a Trigger with `buy_again` would cost, by what the day's purchase has cost."""
    if spent:
        return f"about {dollars(spent)}, as before"
    return of_extract(None, wish)
