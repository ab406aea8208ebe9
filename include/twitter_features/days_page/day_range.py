"""A range of days with their records in the bucket, the current settings and Airflow's runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import TypeVar

from more_itertools import map_reduce
from msgspec.structs import replace

from include.twitter import accounts, layout, settings
from include.twitter.accounts import ConfiguredAccounts
from include.twitter.day import Day
from include.twitter.errors import PipelineError
from include.twitter.identities import Identities
from include.twitter.object_store import ObjectStore
from include.twitter.records import LedgerEntry, latest_in_words
from include.twitter_features.days_page import airflow_db, landed_days, month_spend, status
from include.twitter_features.days_page.airflow_db import DayRun
from include.twitter_features.days_page.landed_days import LandedAccount, LandedDay
from include.twitter_features.days_page.month_spend import Difference
from include.twitter_features.days_page.status import Status

Value = TypeVar("Value")
MAX_DAMAGED = 5
"""Damaged records that are reported one by one."""


@lru_cache(maxsize=1)
def store_of(bucket: str, aws_conn_id: str | None) -> ObjectStore:
    """Return a cached store: a new AWS client takes a third of a second."""
    return ObjectStore(bucket, aws_conn_id)


class Notices(list[str]):
    """Errors of records and settings that could not be read, shown at the top of the page."""

    def or_none(self, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except PipelineError as error:
            if str(error) not in self:
                self.append(str(error))
            return None


@dataclass(frozen=True)
class CurrentSettings:
    """The settings that every page needs; one that cannot be read becomes a notice."""

    roster: ConfiguredAccounts
    """Empty if it cannot be read."""
    collected: frozenset[str]
    """The handles of the roster in lower case."""
    month_cap: int | None
    """In mills; 0 is no cap, None unknown."""
    latest_settled: Day
    identities: Identities

    @classmethod
    def read(cls, store: ObjectStore, now: datetime, notices: Notices) -> CurrentSettings:
        roster = notices.or_none(lambda: accounts.read(store)) or ConfiguredAccounts(())
        budgets = notices.or_none(settings.budgets) or {}
        settling = notices.or_none(settings.settling) or settings.SETTLING
        accepted = notices.or_none(settings.confirmed_account_ids) or ()
        return cls(
            roster,
            frozenset(map(str.lower, roster.handles)),
            budgets.get(settings.month_budget.name),
            Day.latest_settled(now, settling),
            notices.or_none(lambda: Identities.read(store, accepted)) or Identities({}, accepted),
        )

    def with_current_handles(self, landed: LandedDay) -> LandedDay:
        """Return a day with the current handles of its accounts, so that a renamed account is shown once.

        An account whose handle belongs to another account now is shown with its id.
        """
        entries = self.identities.index(landed.accounts)
        names = {id(account): handle for handle in self.roster.handles if (account := entries.of(handle))}
        for account in landed.accounts:
            if account.has_posts and account.username.lower() in self.collected:
                names.setdefault(id(account), f"{account.username} ({account.id})")
        renamed = [(account, names.get(id(account), account.username)) for account in landed.accounts]
        shown = [a if a.username == name else replace(a, username=name) for a, name in renamed]
        return replace(landed, accounts=shown)


@dataclass(frozen=True)
class DayRow:
    day: Day
    landed: LandedDay | None
    runs: list[DayRun]
    """The newest first."""
    status: Status
    is_settled: bool
    spent: int
    """Mills, by the ledger."""
    differs: bool
    """Whether the receipt has another cost."""

    @property
    def rerun(self) -> Status | None:
        """The newest run of a landed day, if it has failed or is running."""
        return status.OF_RUN.get(self.runs[0].state) if self.landed and self.runs else None

    @property
    def accounts(self) -> list[LandedAccount]:
        return self.landed.accounts if self.landed else []

    @property
    def limited(self) -> list[LandedAccount]:
        """The accounts whose latest posts alone have landed."""
        return [account for account in self.accounts if account.outcome == "limit"]


@dataclass(frozen=True)
class DayRange:
    store: ObjectStore
    settings: CurrentSettings
    rows: list[DayRow]
    landed: dict[str, LandedDay]
    """By the day; also days of other months, whose posts were bought in the months of the range."""
    ledger: list[LedgerEntry]
    differences: list[Difference]
    notices: Notices

    @classmethod
    def load(cls, first: Day, last: Day, now: datetime) -> DayRange:
        store, notices = store_of(settings.bucket(), settings.aws_connection()), Notices()
        current = CurrentSettings.read(store, now, notices)
        days = [first.plus(number) for number in range((last.date - first.date).days + 1)]
        landed, ledger, damaged = landed_days.load_days(store, {str(day)[:7] for day in days})
        notices += [*damaged.values()][:MAX_DAMAGED]
        if (more := len(damaged) - MAX_DAMAGED) > 0:
            notices.append(f"{more} more records cannot be read: sums and lists do not include them.")
        landed = {day: current.with_current_handles(of_day) for day, of_day in landed.items()}
        runs_by_day, spent = airflow_db.runs_by_day(first, last), Counter[str]()
        for entry in ledger:
            spent[entry.day] += entry.spent_mills * entry.is_of_purchase
        differences = month_spend.differences(landed, ledger)
        differing = {difference.day for difference in differences}

        def row(day: Day) -> DayRow:
            name, is_settled = str(day), day.date <= current.latest_settled.date
            of_day, runs = landed.get(name), runs_by_day.get(name, [])
            state = runs[0].state if runs else None
            shown = status.of_day(of_day, state, is_settled=is_settled, collected=current.collected)
            if layout.receipt(day) in damaged:
                shown = Status.DAMAGED
            return DayRow(day, of_day, runs, shown, is_settled, spent[name], name in differing)

        return cls(store, current, [*map(row, days)], landed, ledger, differences, notices)

    @property
    def handles(self) -> list[str]:
        """The collected accounts, then others that have landed."""
        landed = {a.username.lower(): a.username for row in self.rows for a in row.accounts}
        others = sorted(landed.keys() - self.settings.collected)
        return [*self.settings.roster.handles, *(landed[name] for name in others)]

    def accounts(self, row: DayRow, handles: Iterable[str]) -> list[tuple[Status, LandedAccount | None]]:
        """The status of accounts on a day, with their entries in the receipt."""
        entries = {account.username.lower(): account for account in row.accounts}
        shown: list[tuple[Status, LandedAccount | None]] = []
        for name in map(str.lower, handles):
            if entry := entries.get(name):
                shown.append((status.of_account(entry), entry))
            elif row.landed or name not in self.settings.collected:
                shown.append((Status.NOT_COLLECTED, None))
            else:
                shown.append((row.status, None))
        return shown

    @property
    def summary(self) -> str:
        """`26 landed, 1 incomplete, 3 not landed`, of the settled days."""
        return status.status_counts(row.status for row in self.rows if row.is_settled)

    @property
    def failed(self) -> list[DayRow]:
        """The days whose newest run has failed, landed or not, the newest first."""
        return [row for row in reversed(self.rows) if row.runs and row.runs[0].state == "failed"]

    @property
    def incomplete(self) -> dict[str, list[Day]]:
        """The days that lack rows of an account, by its handle."""
        cells = ((a.username, row.day) for row in self.rows for a in row.accounts if a.is_incomplete)
        return map_reduce(cells, itemgetter(0), itemgetter(1))

    @property
    def limited(self) -> dict[str, list[str]]:
        """`latest 100 of about 323` for each limited day of an account, by its handle, the newest first."""
        cells = ((a.username, latest_in_words(a)) for row in reversed(self.rows) for a in row.limited)
        return map_reduce(cells, itemgetter(0), itemgetter(1))
