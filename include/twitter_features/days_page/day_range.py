"""A range of days with their records in the bucket, the current settings and Airflow's runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from msgspec.structs import replace

from include.twitter import accounts, layout, settings
from include.twitter.day import Day
from include.twitter.errors import PipelineError
from include.twitter.identities import Identities
from include.twitter.object_store import ObjectStore
from include.twitter.records import LedgerEntry, latest_in_words
from include.twitter_features.days_page import airflow_db, landed_days, month_spend, status
from include.twitter_features.days_page.airflow_db import DayRun
from include.twitter_features.days_page.landed_days import LandedAccount, LandedDay
from include.twitter_features.days_page.status import Status

Value = TypeVar("Value")
MAX_DAMAGED = 5
"""Damaged records that are reported one by one."""


@lru_cache(maxsize=1)
def _store(bucket: str, aws_conn_id: str | None) -> ObjectStore:
    return ObjectStore(bucket, aws_conn_id)


def current_store() -> ObjectStore:
    """Return the cached store: a new AWS client takes a third of a second."""
    return _store(settings.bucket(), settings.aws_connection())


def drop_store() -> None:
    """Make a new client next time: the connection may have been corrected."""
    _store.cache_clear()


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

    handles: tuple[str, ...]
    wanted: frozenset[str]
    """The handles in lower case."""
    month_cap: int | None
    """In mills; 0 is no cap, None unknown."""
    latest_settled: Day
    identities: Identities

    @classmethod
    def read(cls, store: ObjectStore, now: datetime, notices: Notices) -> CurrentSettings:
        roster = notices.or_none(lambda: accounts.read(store))
        handles = roster.handles if roster else ()
        budgets = notices.or_none(settings.budgets) or {}
        settling = notices.or_none(settings.settling) or settings.SETTLING
        accepted = notices.or_none(settings.confirmed_account_ids) or ()
        return cls(
            handles,
            frozenset(map(str.lower, handles)),
            budgets.get(settings.month_budget.name),
            Day.latest_settled(now, settling),
            notices.or_none(lambda: Identities.read(store, accepted)) or Identities({}, accepted),
        )

    def with_current_handles(self, landed: LandedDay) -> LandedDay:
        """Return a day with the current handles of its accounts, so that a renamed account is shown once.

        An account whose handle belongs to another account now is shown with its id.
        """
        entries = self.identities.index(landed.accounts)
        names = {id(account): handle for handle in self.handles if (account := entries.of(handle))}
        for account in landed.accounts:
            if account.has_posts and account.username.lower() in self.wanted:
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
        shown = status.RUNS.get(self.runs[0].state) if self.landed and self.runs else None
        return status.RERUNS[shown] if shown else None

    @property
    def incomplete(self) -> list[LandedAccount]:
        return [account for account in self.landed.accounts if account.is_incomplete] if self.landed else []

    @property
    def limited(self) -> list[LandedAccount]:
        """The accounts whose latest posts alone have landed."""
        return [a for a in self.landed.accounts if a.outcome == "limit"] if self.landed else []


@dataclass(frozen=True)
class DayRange:
    store: ObjectStore
    settings: CurrentSettings
    rows: list[DayRow]
    landed: dict[str, LandedDay]
    """By the day; also days of other months, whose posts were bought in the months of the range."""
    ledger: list[LedgerEntry]
    notices: Notices

    @classmethod
    def load(cls, first: Day, last: Day, now: datetime) -> DayRange:
        store, notices = current_store(), Notices()
        current = CurrentSettings.read(store, now, notices)
        days = [first.plus(number) for number in range((last.date - first.date).days + 1)]
        landed, ledger, damaged = landed_days.load_days(store, {str(day)[:7] for day in days})
        notices += [*damaged.values()][:MAX_DAMAGED]
        if (more := len(damaged) - MAX_DAMAGED) > 0:
            notices.append(f"{more} more records cannot be read: sums and lists do not include them.")
        landed = {day: current.with_current_handles(of_day) for day, of_day in landed.items()}
        runs = airflow_db.runs_by_day(first, last)
        spent = month_spend.by_day(ledger)
        differing = {difference.day for difference in month_spend.differences(landed, ledger)}

        def row(day: Day, name: str) -> DayRow:
            is_settled, of_day = day.date <= current.latest_settled.date, runs.get(name, [])
            shown = status.of_day(
                landed.get(name),
                of_day[0].state if of_day else None,
                is_settled=is_settled,
                wanted=current.wanted,
            )
            if layout.receipt(day) in damaged:
                shown = status.DAMAGED
            return DayRow(day, landed.get(name), of_day, shown, is_settled, spent[name], name in differing)

        return cls(store, current, [row(day, str(day)) for day in days], landed, ledger, notices)

    @property
    def handles(self) -> list[str]:
        """The collected accounts, then others that have landed."""
        landed = {a.username.lower(): a.username for r in self.rows if r.landed for a in r.landed.accounts}
        others = sorted(landed.keys() - self.settings.wanted)
        return [*self.settings.handles, *(landed[name] for name in others)]

    def accounts(self, row: DayRow, handles: Iterable[str]) -> list[tuple[Status, LandedAccount | None]]:
        """The status of accounts on a day, with their entries in the receipt."""
        entries = {a.username.lower(): a for a in row.landed.accounts} if row.landed else {}
        shown: list[tuple[Status, LandedAccount | None]] = []
        for name in map(str.lower, handles):
            if entry := entries.get(name):
                shown.append((status.of_account(entry), entry))
            elif row.landed or name not in self.settings.wanted:
                shown.append((status.NOT_COLLECTED, None))
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
        days: dict[str, list[Day]] = {}
        for row in self.rows:
            for account in row.incomplete:
                days.setdefault(account.username, []).append(row.day)
        return days

    @property
    def limited(self) -> dict[str, list[str]]:
        """`latest 100 of about 323` for each limited day of an account, by its handle, the newest first."""
        extents: dict[str, list[str]] = {}
        for row in reversed(self.rows):
            for account in row.limited:
                extents.setdefault(account.username, []).append(latest_in_words(account))
        return extents
