"""What each page shows, put together from bucket, settings and Airflow's runs."""

from __future__ import annotations

import calendar
import csv
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from include.twitter import days, settings
from include.twitter.day import Day
from include.twitter.errors import PipelineError
from include.twitter.lake import Lake
from include.twitter.page import bill, price, runs, states
from include.twitter.page.runs import DayRun
from include.twitter.page.states import Asking, State
from include.twitter.records import (
    AccountLine,
    AccountReceipt,
    Asked,
    DayLine,
    LedgerEntry,
    Manifest,
    Receipt,
    decoded,
)

T = TypeVar("T")

FIRST_ROWS, FIRST_BYTES = 5, 1 << 16
"""Of a day's table, and so many bytes of it are read for them: it may be large."""


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
        return f"{self.state.word}, {self.line.published} rows" if self.line else self.state.word


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

    @cached_property
    def state(self) -> State:
        return states.of_day(self.line, self.asking)

    @property
    def run(self) -> DayRun | None:
        return self.runs[0] if self.runs else None

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
            self.append(str(error))
            return None


@dataclass(frozen=True)
class Wanted:
    """What the settings say; one that cannot be read is told, and the page goes on without it."""

    handles: tuple[str, ...]
    cap: int | None
    """Of the month, in mills."""
    settled: Day
    """The newest day that is over for good."""
    notices: list[str]

    @classmethod
    def read(cls, now: datetime) -> Wanted:
        notices = Notices()
        handles = notices.or_none(settings.handles) or ()
        budgets = notices.or_none(settings.budgets) or {}
        settled = Day.latest_settled(now, notices.or_none(settings.settling) or settings.SETTLING)
        return cls(handles, budgets.get(settings.MONTH_BUDGET.name), settled, notices)

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
    notices: list[str]

    @classmethod
    def look(cls, first: Day, last: Day, now: datetime) -> Span:
        here, wanted, span = lake(), Wanted.read(now), _between(first, last)
        landed, entries = days.read(here, {str(day)[:7] for day in span})
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


def _last_of_month(first: Day) -> Day:
    return first.plus(calendar.monthrange(first.date.year, first.date.month)[1] - 1)


def month(first: Day, now: datetime) -> dict[str, Any]:
    last = _last_of_month(first)
    span = Span.look(first, last, now)
    name = f"{first.date:%Y-%m}"
    month_bill = bill.of_month(name, span.landed, span.ledger)
    rows = list(reversed([row for row in span.rows if row.day.date <= now.date()] or span.rows))
    return {
        "title": f"{first.date:%B %Y}",
        "before": f"{first.plus(-1).date:%Y-%m}",
        "after": f"{last.plus(1).date:%Y-%m}",
        "year": first.date.year,
        "span": span,
        "rows": rows,
        "told": _summary(rows),
        "bill": bill.in_words(month_bill, span.cap),
        "differing": [bill.difference_in_words(*found) for found in month_bill.differing],
        "incomplete": _incomplete(rows),
        "red": [row for row in rows if row.state.word == "red"],
        "legend": states,
    }


def _summary(rows: list[Row]) -> str:
    """`26 landed, 1 incomplete, 3 not landed`, of the days that are over."""
    count = {state: sum(row.state == state for row in rows) for state in states.DAY.values()}
    return ", ".join(f"{number} {state.word}" for state, number in count.items() if number)


def _incomplete(rows: list[Row]) -> dict[str, list[Day]]:
    """The days that miss an account, by the account."""
    found: dict[str, list[Day]] = {}
    for row in reversed(rows):
        for handle in row.missing:
            found.setdefault(handle, []).append(row.day)
    return found


def year(first: Day, now: datetime) -> dict[str, Any]:
    last = Day(first.date.replace(month=12, day=31))
    span = Span.look(first, last, now)
    begun = [number for number in range(12, 0, -1) if date(first.date.year, number, 1) <= now.date()]
    months = [[row for row in span.rows if row.day.date.month == number] for number in begun or [1]]
    found = [[row.states(span.handles) for row in rows] for rows in months]
    names = [f"{rows[0].day.date:%Y-%m}" for rows in months]
    bills = [bill.of_month(name, span.landed, span.ledger) for name in names]
    return {
        "title": str(first.date.year),
        "before": first.date.year - 1,
        "after": first.date.year + 1,
        "span": span,
        "months": list(zip(names, months, strict=True)),
        "bills": bills,
        "billed": sum(each.spent for each in bills),
        "differing": sorted({bill.difference_in_words(*found) for each in bills for found in each.differing}),
        "accounts": [
            (handle, [_strip([of_day[number] for of_day in of_month]) for of_month in found])
            for number, handle in enumerate(span.handles)
        ],
        "told": _summary([row for row in span.rows if row.asking.is_over]),
        "legend": states,
    }


def _strip(found: list[State]) -> tuple[str, list[states.Stretch]]:
    return states.in_words(found), states.stretches(found)


def day(day: Day, now: datetime) -> dict[str, Any]:
    span = Span.look(day, day, now)
    [row] = span.rows
    receipt = _record(span.lake, day.receipt, Receipt) if row.line else None
    buys = [entry.buy for entry in span.ledger if entry.day == str(day)]
    manifest = _record(span.lake, f"{day.raw}buy={max(buys)}/manifest.json", Manifest) if buys else None
    failed = [(run, runs.failed_tasks(run)) for run in row.runs if run.state == "failed"]
    return {
        "title": f"{day.date:%A}, {day.date.day} {day.date:%B %Y}",
        "row": row,
        "span": span,
        "receipt": receipt,
        "worst_first": sorted(receipt.accounts, key=_badness, reverse=True) if receipt else [],
        "failed": dict(failed),
        "prices": _prices(manifest, receipt, span),
        "first_rows": _first_rows(span.lake, day) if row.line else [],
        "differing": [
            bill.difference_in_words(*found)
            for found in bill.differing(span.landed, span.ledger)
            if found[0] == str(day)
        ],
        "now": now,
        "legend": states,
    }


def _badness(account: AccountReceipt) -> tuple[bool, bool]:
    return account.outcome == "unavailable", account.proof in ("short", "surplus")


def _record(lake: Lake, key: str, kind: type[Any]) -> Any:
    data = lake.read(key)
    return decoded(data, kind) if data else None


def _prices(manifest: Manifest | None, receipt: Receipt | None, span: Span) -> dict[str, str] | None:
    """What each clear costs; None where the settings that decide about it cannot be read."""

    def wished() -> price.Wish:
        asked = Asked(settings.handles(), settings.tweet_limit(), settings.threads())
        return price.Wish(asked, settings.own_handle(), settings.budgets()[settings.RUN_BUDGET.name])

    try:
        wish = wished()
    except PipelineError as error:
        if str(error) not in span.notices:
            span.notices.append(str(error))
        return None
    spent = round(receipt.cost_usd * 1000) if receipt else 0
    return {
        "extract": price.of_extract(manifest, wish),
        "buy_again": price.of_buying_again(spent, wish),
    }


def _first_rows(lake: Lake, day: Day) -> list[Mapping[str, str]]:
    """The first rows of the day's table, from its first bytes: one record is one line."""
    data = lake.beginning(day.csv, FIRST_BYTES) or b""
    lines = data.decode(errors="ignore").split("\n")
    whole = lines[:-1]  # the last one is cut, or empty
    return list(csv.DictReader(whole[: FIRST_ROWS + 1]))
