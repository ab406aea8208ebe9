"""What is there of each day that a plan is for, as `extract` itself would see it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from include.twitter.day import Day
from include.twitter.extract.purchase import Purchase
from include.twitter.lake import SIDE_BY_SIDE, Lake
from include.twitter.records import AccountRead, Asked, Manifest, Receipt, decoded
from include.twitter.run import Range, Run


@dataclass(frozen=True)
class Found:
    """One day: which of the accounts are to be bought or landed, and what is there of them."""

    day: Day
    missing: tuple[str, ...]
    """Of which something is to be bought."""
    unlanded: tuple[str, ...]
    """Those, and accounts that were bought and have not landed."""
    lines: dict[str, AccountRead]
    """What was bought of the accounts so far, by lower-case handle."""
    had_usd: float


def survey(lake: Lake, range_: Range, asked: Asked, accounts: Collection[str]) -> list[Found]:
    """Every day of the range; several are looked at at once."""
    landed = set(lake.keys("twitter_receipts/"))

    def found(day: Day) -> Found:
        purchase = Purchase(lake, Run(day, range_.id, range_.now), asked, may_leave=False, only=accounts)
        missing = tuple(purchase.missing)
        there = _landed(lake, day) if day.receipt in landed else set()
        lines = {name: line for handle in accounts if (line := purchase.line(name := handle.lower()))}
        unlanded = tuple(name for name in accounts if name in missing or name.lower() not in there)
        return Found(day, missing, unlanded, lines, bought_usd(lake, day))

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(found, range_.days))


def bought_usd(lake: Lake, day: Day) -> float:
    """What all purchases of a day have cost."""
    keys = [key for key in lake.keys(f"{day.raw}buy=") if key.endswith("/manifest.json")]
    return sum(decoded(found.data, Manifest).cost_usd for found in lake.look_each(keys) if found)


def _landed(lake: Lake, day: Day) -> set[str]:
    """The accounts that have landed, in lower case."""
    data = lake.read(day.receipt)
    accounts = decoded(data, Receipt).accounts if data else []
    return {account.username.lower() for account in accounts if account.outcome != "unavailable"}


def unlanded(lake: Lake, days: Iterable[tuple[Day, Collection[str]]]) -> list[Day]:
    """The days that have not landed with all of these accounts."""
    return [day for day, names in days if not {name.lower() for name in names} <= _landed(lake, day)]
