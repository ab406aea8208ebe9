"""What a plan asks X for: who the accounts are, then what they post, as many of them at once as it can."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from include.twitter.day import Day
from include.twitter.extract.accounts import PROTECTED, Accounts, reasons, users_of
from include.twitter.plan.counting import Counting, Window, windows
from include.twitter.plan.told import many
from include.twitter.pricing import NEWEST, dollars, in_words
from include.twitter.records import Asked

log = logging.getLogger(__name__)

Lacking = Mapping[str, tuple[Day, ...]]
"""The days of which something of an account is to be bought, by its handle."""


def tell_own_price(lacking: Lacking, asked: Asked, own: str = "") -> None:
    """What the plan itself costs at most, before X is asked for anything."""
    longest = [{f"{n:019}": days for n, days in enumerate(part.values())} for part in _parts(lacking, own)]
    together = [window for part in longest for window in windows(part)]
    alone = sum(len(window.ids) for window in together if len(window.ids) > 1)
    first, then = len(together), alone if asked.lowest(lacking) else 0
    if asked.threads:
        first, then = 2 * sum(len(window.ids) for window in together), 0
    users = len(lacking) * NEWEST["users"]
    least, most = (users + number * NEWEST["archive_counts"] for number in (first, first + then))
    log.info(
        "The plan itself costs $%.3f to $%.3f: %s to look up and %s at %s, and up to %d more of single "
        "accounts, where a group has more posts than the limit",
        dollars(least),
        dollars(most),
        many(len(lacking), "account"),
        many(first, "count"),
        in_words("archive_counts"),
        then,
    )


@dataclass
class Shown:
    """The ids of the accounts that X shows, and why it does not show the others, by handle."""

    ids: dict[str, str] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)


def count(asking: Counting, shown: Shown, lacking: Lacking, asked: Asked, own: str = "") -> None:
    """Count the accounts that X shows on the days that they lack.

    The `own` account, in lower case, is counted alone: X has another price for its posts.
    """
    for part in _parts(lacking, own):
        by_id = {shown.ids[handle]: days for handle, days in part.items() if handle in shown.ids}
        _count(asking, windows(by_id), asked, {id_: handle for handle, id_ in shown.ids.items()})


def _parts(lacking: Lacking, own: str) -> list[Lacking]:
    """What is counted together, and what is one's own."""
    return [
        {handle: days for handle, days in lacking.items() if (handle.lower() == own) == is_own}
        for is_own in (False, True)
    ]


def look_up(asking: Counting, known: Accounts, handles: list[str]) -> Shown:
    """Which accounts the handles are, and which of them X does not show."""
    shown = Shown()
    for some, answer in asking.look_up(handles):
        shown.gone |= reasons(answer, some)
        users = users_of(answer)
        for handle in some:
            if user := users.get(handle.lower()):
                if why := _unreadable(user, handle, known):
                    shown.gone[handle] = why
                else:
                    shown.ids[handle] = user["id"]
        known.learn(answer, but=[handle.lower() for handle in shown.gone])
    for handle, why in shown.gone.items():
        log.warning("%s is not planned. %s", handle, why)
    return shown


def _unreadable(user: dict[str, Any], handle: str, known: Accounts) -> str | None:
    """Why `extract` would not read the account, if it would not."""
    if user.get("protected"):
        return PROTECTED
    former, id_ = known.last_id_of(handle), user["id"]
    if former in (None, id_) or known.accepts(handle, id_):
        return None
    return f"the handle has become another account: {id_}, and it was {former}"


def _count(asking: Counting, all_windows: list[Window], asked: Asked, names: Mapping[str, str]) -> None:
    """Count groups first, and one by one those that may have somebody over the limit."""
    for window in all_windows:
        if asked.threads:
            for single in window.singles:
                asking.count(single)
                asking.count(single, threads=True)
            continue
        asking.count(window)
        if len(window.ids) > 1 and asking.over(window, asked.lowest(names[id_] for id_ in window.ids)):
            for single in window.singles:
                asking.count(single)
