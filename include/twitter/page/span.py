"""The days from one to another, and what bucket, settings and Airflow's runs say of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TypeVar

from msgspec.structs import replace

from include.twitter import days, roster, settings
from include.twitter.day import Day
from include.twitter.errors import PipelineError
from include.twitter.lake import Lake
from include.twitter.page import bill, runs, states
from include.twitter.page.runs import DayRun
from include.twitter.page.states import Asking, State
from include.twitter.records import AccountLine, DayLine, LedgerEntry, latest_in_words
from include.twitter.roster import Identities

T = TypeVar("T")
MOST_NOTICES = 5
"""So many damaged records are named one by one."""


@lru_cache(maxsize=1)
def _lake(bucket: str, aws_conn_id: str | None) -> Lake:
    """The lake, kept: a new client of AWS costs a third of a second."""
    return Lake(bucket, aws_conn_id)


def lake() -> Lake:
    return _lake(settings.bucket(), settings.aws_connection())


def forget_lake() -> None:
    """Make the next one anew: the connection may have been mended."""
    _lake.cache_clear()


@dataclass(frozen=True)
class Cell:
    """An account on a day."""

    state: State
    line: AccountLine | None

    @property
    def words(self) -> str:
        if self.line is None:
            return self.state.word
        if self.line.outcome == "limit":
            return f"{self.state.word}, {latest_in_words(self.line)}"
        return f"{self.state.word}, {self.line.published} rows"


@dataclass(frozen=True)
class Row:
    """A day among others."""

    day: Day
    line: DayLine | None
    runs: list[DayRun]
    asking: Asking
    spent: int
    """Mills, by the ledger."""
    differs: bool
    """Whether its receipt tells another price."""
    is_damaged: bool = False
    """Whether its receipt cannot be read."""

    @cached_property
    def state(self) -> State:
        return states.DAY["unreadable"] if self.is_damaged else states.of_day(self.line, self.asking)

    @property
    def run(self) -> DayRun | None:
        return self.runs[0] if self.runs else None

    @property
    def rerun(self) -> State | None:
        """The newest run of a landed day, if it has failed or goes on."""
        return states.of_rerun(self.line, self.asking.run)

    @property
    def limited(self) -> list[AccountLine]:
        """The accounts of which only the latest posts have landed."""
        return states.limited_of(self.line) if self.line else []

    def cells(self, handles: Iterable[str]) -> list[Cell]:
        lines = states.by_handle(self.line)
        return [
            Cell(state, lines.get(handle.lower()))
            for handle, state in zip(handles, self.states(handles), strict=True)
        ]

    def states(self, handles: Iterable[str]) -> list[State]:
        """The accounts' states alone: of a year that is all there is room for."""
        lines, wanted = states.by_handle(self.line), self.asking.wanted
        return [
            states.of_account(lines.get(handle), self.state, self.line, handle in wanted)
            for handle in map(str.lower, handles)
        ]

    @property
    def missing(self) -> list[str]:
        """The accounts that X did not show, or not to the end."""
        return [line.username for line in states.missing_of(self.line)] if self.line else []


class Notices(list[str]):
    """What could not be read, told above what could."""

    def or_none(self, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except PipelineError as error:
            if str(error) not in self:
                self.append(str(error))
            return None

    def add_damaged(self, damaged: Collection[str]) -> None:
        """Name some of the records that could not be read: sums and lists are without them."""
        self += list(damaged)[:MOST_NOTICES]
        if (more := len(damaged) - MOST_NOTICES) > 0:
            self.append(f"{more} more records in the bucket cannot be read: sums and lists are without them.")


@dataclass(frozen=True)
class Wanted:
    """What the settings say; one that cannot be read is told, and the page goes on without it."""

    handles: tuple[str, ...]
    cap: int | None
    """Of the month, in mills."""
    settled: Day
    """The newest day that is over for good."""
    notices: Notices
    identities: Identities

    @classmethod
    def read(cls, here: Lake, now: datetime) -> Wanted:
        notices = Notices()
        accounts = notices.or_none(lambda: roster.read(here))
        handles = accounts.handles if accounts else ()
        budgets = notices.or_none(settings.budgets) or {}
        settled = Day.latest_settled(now, notices.or_none(settings.settling) or settings.SETTLING)
        accepted = notices.or_none(settings.confirmed_account_ids) or ()
        identities = notices.or_none(lambda: Identities.read(here, accepted)) or Identities({}, accepted)
        return cls(handles, budgets.get(settings.month_budget.name), settled, notices, identities)

    def by_handle(self, line: DayLine) -> DayLine:
        """A landed day with the handles that its accounts have now: a renamed one is shown as one account.

        One that had a handle which means another account now is told apart by its id.
        """
        found = self.identities.find(line.accounts)
        names = {id(account): handle for handle in self.handles if (account := found.of(handle))}
        named = [(account, names.get(id(account)) or self._name(account)) for account in line.accounts]
        accounts = [
            account if account.username == name else replace(account, username=name)
            for account, name in named
        ]
        return replace(line, accounts=accounts)

    def _name(self, account: AccountLine) -> str:
        is_taken = account.has_posts and account.username.lower() in self._lower
        return f"{account.username} ({account.id})" if is_taken else account.username

    def asking(self, day: Day, of_day: list[DayRun]) -> Asking:
        newest = of_day[0].state if of_day else None
        return Asking(newest, day.date <= self.settled.date, self._lower)

    @cached_property
    def _lower(self) -> frozenset[str]:
        return frozenset(map(str.lower, self.handles))


@dataclass(frozen=True)
class Span:
    """The days from one to another, and all that is known of them."""

    lake: Lake
    landed: Mapping[str, DayLine]
    ledger: Collection[LedgerEntry]
    rows: list[Row]
    handles: list[str]
    """Those of twitter_handles, then those that landed days have beside."""
    cap: int | None
    notices: Notices

    @classmethod
    def look(cls, first: Day, last: Day, now: datetime) -> Span:
        here, span = lake(), _between(first, last)
        wanted = Wanted.read(here, now)
        damaged: dict[str, str] = {}
        landed, entries = days.read(here, {str(day)[:7] for day in span}, damaged)
        wanted.notices.add_damaged(damaged.values())
        landed = {day: wanted.by_handle(line) for day, line in landed.items()}
        ledger = entries.values()
        of_days = runs.by_day(first, last)
        spent, differing = bill.by_day(ledger), {day for day, *_ in bill.differing(landed, ledger)}
        rows = [
            Row(
                day=day,
                line=landed.get(str(day)),
                runs=of_days.get(str(day), []),
                asking=wanted.asking(day, of_days.get(str(day), [])),
                spent=spent.get(str(day), 0),
                differs=str(day) in differing,
                is_damaged=day.receipt in damaged,
            )
            for day in span
        ]
        return cls(here, landed, ledger, rows, _handles(wanted.handles, rows), wanted.cap, wanted.notices)

    @property
    def has_landed(self) -> bool:
        return any(row.line for row in self.rows)


def _handles(wanted: Iterable[str], rows: list[Row]) -> list[str]:
    named = {handle.lower(): handle for handle in wanted}
    landed = {a.username.lower(): a.username for row in rows if row.line for a in row.line.accounts}
    return [*named.values(), *(landed[name] for name in sorted(landed.keys() - named.keys()))]


def _between(first: Day, last: Day) -> list[Day]:
    return [first.plus(number) for number in range((last.date - first.date).days + 1)]
