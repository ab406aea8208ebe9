"""What is there of each day that a plan is for, as `extract` itself would see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from include.twitter import settings
from include.twitter.day import RECEIPTS, Day, parse_purchase_key
from include.twitter.extract.purchase import Purchase
from include.twitter.lake import SIDE_BY_SIDE, Lake
from include.twitter.records import AccountRead, AccountReceipt, Asked, Manifest, Receipt
from include.twitter.roster import Identities
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
    unsure: tuple[str, ...] = ()
    """Of the missing: those that may be there under another handle, as a look-up may find."""


@dataclass
class Habits:
    """How many of an account's posts came as more than one version: each is bought, and one is a row."""

    fetched: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)

    def learn(self, accounts: Iterable[AccountReceipt], names: Mapping[str, str] | None = None) -> None:
        """Count them in; `names` are the handles that accounts have now, by id."""
        for account in accounts:
            handle = (names or {}).get(account.id or "", account.username)
            for name in (handle.lower(), ""):
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
        unsure = {(found.day, handle) for found in self.days for handle in found.unsure}
        lacking = {
            name: tuple(day for day in days if (day, name) not in unsure)
            for name, days in self.possible.items()
        }
        return {name: days for name, days in lacking.items() if days}

    @property
    def possible(self) -> dict[str, tuple[Day, ...]]:
        """The same with the days that may have the account under another handle."""
        handles = dict.fromkeys(handle for found in self.days for handle in found.missing)
        return {name: tuple(each.day for each in self.days if name in each.missing) for name in handles}


def survey(
    lake: Lake,
    range_: Range,
    asked: Asked,
    accounts: Collection[str],
    identities: Identities | None = None,
) -> Survey:
    """What is there and what is not; several days are looked at at once."""
    known = identities or Identities.read(lake)
    names = {known.ids[name]: name for name in map(str.lower, asked.handles) if name in known.ids}
    receipts = [*lake.parsed(lake.keys(RECEIPTS), Day.of_receipt)]
    inside = {day.receipt: day for day in range_.days}
    keys = [key for key in receipts if key in inside or key in receipts[-RECENT:]]
    habits, landed = Habits(), {}
    for key, its in zip(keys, lake.look_each(keys), strict=True):
        said = lake.decoded(key, its.data, Receipt).accounts if its else []
        habits.learn(said, names)
        landed[key] = _landed_of(said, accounts, known)

    def found(day: Day) -> Found:
        purchase = Purchase(
            lake, Run(day, range_.id, range_.now), asked, may_leave=False, only=accounts, identities=known
        )
        missing, there = tuple(purchase.missing), landed.get(day.receipt, set())
        lines = {name: line for handle in accounts if (line := purchase.line(name := handle.lower()))}
        unlanded = tuple(name for name in accounts if name in missing or name not in there)
        unsure = tuple(name for name in purchase.unsure if name in missing)
        return Found(day, missing, unlanded, lines, bought_usd(lake, day), unsure)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return Survey(list(pool.map(found, range_.days)), habits)


def bought_usd(lake: Lake, day: Day) -> float:
    """What all purchases of a day have cost."""
    listed = lake.parsed(lake.keys(f"{day.raw}buy="), parse_purchase_key)
    keys = [key for key, its in listed.items() if its.is_manifest]
    found = zip(keys, lake.look_each(keys), strict=True)
    return sum(lake.decoded(key, its.data, Manifest).cost_usd for key, its in found if its)


def unlanded(lake: Lake, days: Iterable[tuple[Day, Collection[str]]]) -> list[Day]:
    """The days that have not landed with all of these accounts."""
    known = Identities.read(lake, settings.confirmed_account_ids())
    return [day for day, names in days if not {*names} <= _landed(lake, day, names, known)]


def _landed(lake: Lake, day: Day, handles: Iterable[str], known: Identities) -> set[str]:
    receipt = lake.record(day.receipt, Receipt)
    return _landed_of(receipt.accounts, handles, known) if receipt else set()


def _landed_of(accounts: Iterable[AccountReceipt], handles: Iterable[str], known: Identities) -> set[str]:
    """Which of the handles have landed: X has shown their accounts."""
    lines = known.find(accounts)
    found = ((handle, lines.of(handle)) for handle in handles)
    return {handle for handle, line in found if line and line.outcome != "unavailable"}
