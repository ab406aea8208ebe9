"""What is there of each day that a plan is for, as `extract` itself would see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from include.twitter.day import Day
from include.twitter.extract.purchase import Purchase
from include.twitter.lake import SIDE_BY_SIDE, Lake
from include.twitter.records import AccountRead, AccountReceipt, Asked, Manifest, Receipt, decoded
from include.twitter.run import Range, Run

RECENT = 7
"""Landed days, the newest, that tell beside the range's own how often an account edits."""


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


@dataclass
class Habits:
    """How many of an account's posts came as more than one version: each is bought, and one is a row."""

    fetched: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)

    def learn(self, accounts: Iterable[AccountReceipt]) -> None:
        for account in accounts:
            for name in (account.username.lower(), ""):
                self.fetched[name] += account.fetched
                self.repeated[name] += account.duplicates

    def share(self, handle: str) -> float | None:
        """Of the account's posts, or of everybody's where it is new; None where nothing has landed."""
        name = handle.lower() if self.fetched[handle.lower()] else ""
        return self.repeated[name] / self.fetched[name] if self.fetched[name] else None


@dataclass
class Survey:
    """All days of a range."""

    days: list[Found]
    habits: Habits

    @property
    def lacking(self) -> dict[str, tuple[Day, ...]]:
        """The days of which something of an account is to be bought, by its handle."""
        handles = dict.fromkeys(handle for found in self.days for handle in found.missing)
        return {name: tuple(each.day for each in self.days if name in each.missing) for name in handles}


def survey(lake: Lake, range_: Range, asked: Asked, accounts: Collection[str]) -> Survey:
    """What is there and what is not; several days are looked at at once."""
    receipts = lake.keys("twitter_receipts/")
    inside = {day.receipt: day for day in range_.days}
    keys = [key for key in receipts if key in inside or key in receipts[-RECENT:]]
    habits, landed = Habits(), {}
    for key, its in zip(keys, lake.look_each(keys), strict=True):
        said = decoded(its.data, Receipt).accounts if its else []
        habits.learn(said)
        landed[key] = _readable(said)

    def found(day: Day) -> Found:
        purchase = Purchase(lake, Run(day, range_.id, range_.now), asked, may_leave=False, only=accounts)
        missing, there = tuple(purchase.missing), landed.get(day.receipt, set())
        lines = {name: line for handle in accounts if (line := purchase.line(name := handle.lower()))}
        unlanded = tuple(name for name in accounts if name in missing or name.lower() not in there)
        return Found(day, missing, unlanded, lines, bought_usd(lake, day))

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return Survey(list(pool.map(found, range_.days)), habits)


def bought_usd(lake: Lake, day: Day) -> float:
    """What all purchases of a day have cost."""
    keys = [key for key in lake.keys(f"{day.raw}buy=") if key.endswith("/manifest.json")]
    return sum(decoded(found.data, Manifest).cost_usd for found in lake.look_each(keys) if found)


def unlanded(lake: Lake, days: Iterable[tuple[Day, Collection[str]]]) -> list[Day]:
    """The days that have not landed with all of these accounts."""
    return [day for day, names in days if not {name.lower() for name in names} <= _landed(lake, day)]


def _landed(lake: Lake, day: Day) -> set[str]:
    data = lake.read(day.receipt)
    return _readable(decoded(data, Receipt).accounts) if data else set()


def _readable(accounts: Iterable[AccountReceipt]) -> set[str]:
    """Those that X has shown, in lower case."""
    return {account.username.lower() for account in accounts if account.outcome != "unavailable"}
