"""What X charges, and from which day on: the only copy of X's price list.

Prices are those of X's developer console (pay per use), in mills: thousandths of a US dollar. Failed and
empty responses are free. When X changes a price, add a list with its first UTC day; never edit an older list.
A request costs the price of its own day, whenever it is summed up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # files of DAGs take their texts from here
    from include.twitter.records import BilledUnits

PRICE_LISTS: dict[date, Mapping[str, int]] = {
    date(2026, 4, 21): {
        "posts": 5,
        "own_posts": 1,
        "users": 10,
        "counts": 5,
        "archive_counts": 10,
        "rereads": 0,
    },
}
"""Mills for a post or a user returned, and for a count request, whatever it counts; by the first UTC day."""
NEWEST = PRICE_LISTS[max(PRICE_LISTS)]
"""For texts: they show a new list as soon as it is in the code."""


def prices(at: datetime) -> Mapping[str, int]:
    """The price list of a moment; of one before the first list, the first."""
    day = at.astimezone(UTC).date()
    return PRICE_LISTS[max((first for first in PRICE_LISTS if first <= day), default=min(PRICE_LISTS))]


def worst_case(at: datetime) -> Mapping[str, int]:
    """The price list without X's soft guarantee that a post is charged once in a UTC day."""
    listed = prices(at)
    return {**listed, "rereads": listed["posts"]}


def cost(bought: BilledUnits, at: datetime) -> int:
    """The price of items that are requested at this moment, in mills."""
    return sum(price * getattr(bought, kind) for kind, price in prices(at).items())


def dollars(mills: int) -> float:
    return mills / 1000


def format_usd(mills: int) -> str:
    """`$12.34`; with thousandths if there are any."""
    text = f"${mills / 1000:,.3f}"
    return text[:-1] if text.endswith("0") else text


def month_of(moment: datetime) -> str:
    """The UTC month that X bills."""
    return f"{moment:%Y-%m}"


def start_of(month: str) -> datetime:
    """The first moment of a month, `YYYY-MM`."""
    return datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)


def would_have_cost(bought: Mapping[str, BilledUnits]) -> int:
    """The price of free posts on another day, in mills, at the prices of each month's first day."""
    return sum(worst_case(start_of(month))["rereads"] * part.rereads for month, part in bought.items())


def price_text(kind: str) -> str:
    """The newest price of one item: `$0.005`."""
    return f"${dollars(NEWEST[kind]):.3f}"


def filled(text: str) -> str:
    """Replace each `{kind}` in a text by its newest price."""
    return text.format_map({kind: price_text(kind) for kind in NEWEST})
