"""What each page shows: a month, a year, a day."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar

from include.twitter import days, roster, settings
from include.twitter.csv_rows import csv_rows
from include.twitter.day import ENGAGEMENT_RECEIPTS, Day, Revisit
from include.twitter.errors import PipelineError
from include.twitter.lake import Lake
from include.twitter.page import bill, price, runs, states
from include.twitter.page.span import Row, Span
from include.twitter.page.states import State
from include.twitter.pricing import prices
from include.twitter.records import (
    AccountLine,
    AccountReceipt,
    Checked,
    EngagementReceipt,
    Manifest,
    Receipt,
    latest_in_words,
)

FIRST_ROWS, FIRST_BYTES = 5, (1 << 16, 1 << 20, 1 << 24)
"""Of a day's table, and how many bytes of it are read for them: it may be large. More are read where a row,
which may hold an article, does not end in the first ones."""
CELL_SHOWN = 1_000
"""Characters of a cell."""
ACCOUNTS_A_PAGE = 100
"""There may be 20,000: a month of them would be a page of 66 MB."""

Account = TypeVar("Account")


@dataclass(frozen=True)
class Choice:
    """Which of the accounts a reader wants to see."""

    page: int = 1
    find: str = ""
    """A part of the handle."""


@dataclass(frozen=True)
class Accounts(Generic[Account]):
    """The accounts of one page: if they do not fit on one page, those with problems come first."""

    shown: Sequence[Account]
    page: int
    pages: int
    found: int
    total: int
    find: str

    @classmethod
    def choose(
        cls,
        accounts: Sequence[Account],
        choice: Choice,
        *,
        name: Callable[[Account], str],
        severity: Callable[[Account], int],
    ) -> Accounts[Account]:
        found = [account for account in accounts if choice.find.lower() in name(account).lower()]
        if len(found) > ACCOUNTS_A_PAGE:
            found.sort(key=severity, reverse=True)
        pages = max(-(-len(found) // ACCOUNTS_A_PAGE), 1)
        page = min(max(choice.page, 1), pages)
        shown = found[(page - 1) * ACCOUNTS_A_PAGE : page * ACCOUNTS_A_PAGE]
        return cls(shown, page, pages, len(found), len(accounts), choice.find)

    @property
    def are_all(self) -> bool:
        return len(self.shown) == self.total


def _last_of_month(first: Day) -> Day:
    return first.plus(calendar.monthrange(first.date.year, first.date.month)[1] - 1)


def _of_span(span: Span, choice: Choice) -> Accounts[str]:
    worst: dict[str, int] = {}
    if len(span.handles) > ACCOUNTS_A_PAGE:
        for line in (row.line for row in span.rows if row.line):
            for account in line.accounts:
                if severity := states.severity(account):
                    name = account.username.lower()
                    worst[name] = max(severity, worst.get(name, 0))
    return Accounts.choose(
        span.handles, choice, name=str, severity=lambda handle: worst.get(handle.lower(), 0)
    )


def month(first: Day, now: datetime, choice: Choice = Choice()) -> dict[str, Any]:
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
        "accounts": _of_span(span, choice),
        "told": _summary(rows),
        "bill": bill.in_words(month_bill, span.cap),
        "meter": _meter(span, name),
        "differing": [bill.difference_in_words(*found) for found in month_bill.differing],
        "incomplete": _incomplete(rows),
        "limited": _limited(rows),
        "red": _red(rows),
        "legend": states,
    }


def _meter(span: Span, month: str) -> list[str]:
    """X's own count of the month beside the ledger, as it was compared last."""
    told = span.notices.or_none(lambda: days.usage(span.lake, month))
    return [told.summary] if told else []


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


def _limited(rows: list[Row]) -> dict[str, tuple[int, str]]:
    """On how many days only the latest posts of an account have landed, and how many of how many."""
    found: dict[str, list[AccountLine]] = {}
    for row in rows:
        for line in row.limited:
            found.setdefault(line.username, []).append(line)
    return {handle: (len(lines), _latest_in_words(lines)) for handle, lines in found.items()}


def _red(rows: list[Row]) -> list[Row]:
    """The days whose newest run has failed, landed or not."""
    return [row for row in rows if "red" in (row.state.word, row.rerun and row.rerun.word)]


def _latest_in_words(lines: list[AccountLine]) -> str:
    """`latest 100 of about 310 to 345`: of several days of an account."""
    if len(lines) == 1:
        return latest_in_words(lines[0])
    totals = [line.estimated_total for line in lines if line.estimated_total is not None]
    extent = f" of about {_from_to(totals)}" if totals else ", more may exist"
    return f"latest {_from_to(line.published for line in lines)}{extent} a day"


def _from_to(numbers: Iterable[int]) -> str:
    least, *_, most = sorted([*(found := [*numbers]), *found[:1]])
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def year(first: Day, now: datetime, choice: Choice = Choice()) -> dict[str, Any]:
    last = Day(first.date.replace(month=12, day=31))
    span = Span.look(first, last, now)
    begun = [number for number in range(12, 0, -1) if date(first.date.year, number, 1) <= now.date()]
    months = [[row for row in span.rows if row.day.date.month == number] for number in begun or [1]]
    accounts = _of_span(span, choice)
    found = [[row.states(accounts.shown) for row in rows] for rows in months]
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
        "accounts": accounts,
        "strips": [
            (handle, [_strip([of_day[number] for of_day in of_month]) for of_month in found])
            for number, handle in enumerate(accounts.shown)
        ],
        "told": _summary([row for row in span.rows if row.asking.is_over]),
        "limited": _limited(span.rows),
        "red": _red(span.rows),
        "legend": states,
    }


def _strip(found: list[State]) -> tuple[str, list[states.Stretch]]:
    return states.in_words(found), states.stretches(found)


def day(day: Day, now: datetime, choice: Choice = Choice()) -> dict[str, Any]:
    span = Span.look(day, day, now)
    [row] = span.rows
    receipt = _record(span, day.receipt, Receipt) if row.line else None
    buys = [entry.buy for entry in span.ledger if entry.day == str(day) and entry.is_of_purchase]
    manifest = _record(span, day.manifest(max(buys)), Manifest) if buys else None
    failed = [(run, runs.failed_tasks(run)) for run in row.runs if run.state == "failed"]
    return {
        "title": f"{day.date:%A}, {day.date.day} {day.date:%B %Y}",
        "row": row,
        "uncertain": bill.uncertain_of(str(day), span.ledger),
        "span": span,
        "receipt": receipt,
        "engagement": _engagement(span, day) if row.line else [],
        "checked": _record(span, day.checked, Checked) if row.line else None,
        "accounts": Accounts.choose(
            sorted(receipt.accounts, key=states.severity, reverse=True) if receipt else [],
            choice,
            name=attrgetter("username"),
            severity=states.severity,
        ),
        "latest": latest_in_words,
        "counts": _counts,
        "why": _why,
        "failed": dict(failed),
        "triggers": {
            "plain": runs.trigger(day, row.runs),
            "buy_again": runs.trigger(day, row.runs, buy_again=True),
        },
        "prices": _prices(manifest, receipt, span, now),
        "first_rows": _first_rows(span.lake, day) if row.line else [],
        "differing": [
            bill.difference_in_words(*found)
            for found in bill.differing(span.landed, span.ledger)
            if found[0] == str(day)
        ],
        "now": now,
        "legend": states,
    }


def _counts(account: AccountReceipt) -> str:
    """X's own count of an account's posts, as far as there is one."""
    if account.counted is not None:
        return f"{account.counted:,}"
    if account.proof == "matched":
        return "equal, in a group"
    if account.estimated_total is not None:
        return f"not counted: about {account.estimated_total:,}"
    return "not counted"


def _why(account: AccountReceipt) -> str:
    if account.outcome != "limit" or account.reason or account.proof_reason:
        return account.reason or account.proof_reason or ""
    extent = latest_in_words(account)
    if account.counted is not None or account.estimated_total is None:
        return f"{extent}: the limit is reached"
    oldest = str(account.first_created_at)[11:16]
    return f"{extent}: the estimate extends the posts from {oldest} UTC to midnight to the whole day"


def _engagement(span: Span, day: Day) -> list[EngagementReceipt]:
    """What became of the day's posts, the youngest age first."""
    keys = span.lake.parsed(span.lake.keys(f"{ENGAGEMENT_RECEIPTS}dt={day}/"), Revisit.of_receipt)
    records = (_record(span, key, EngagementReceipt) for key in keys)
    return sorted(filter(None, records), key=attrgetter("age"))


def _record(span: Span, key: str, kind: type[Any]) -> Any:
    """A record; None where there is none, or where it cannot be read: then the page shows the rest."""
    return span.notices.or_none(lambda: span.lake.record(key, kind))


def _prices(
    manifest: Manifest | None, receipt: Receipt | None, span: Span, now: datetime
) -> dict[str, str] | None:
    """What each clear costs; None where the settings that decide about it cannot be read."""

    def wished() -> price.Wish:
        accounts = roster.read(span.lake)
        cap = settings.budgets()[settings.RUN_BUDGET.name]
        accepted, own = settings.accept_id(), accounts.own_handle()
        if any(handle == own for handle, _ in accepted):
            own = ""  # it may be a stranger's by now
        identities = roster.Identities.read(span.lake, accepted)
        return price.Wish(accounts.asked(), own, cap, prices(now), identities)

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
    whole: list[str] = []
    for size in FIRST_BYTES:
        data = lake.beginning(day.csv, size) or b""
        whole = data.decode(errors="ignore").split("\n")[:-1]  # the last one is cut, or empty
        if len(whole) > 1 or len(data) < size:
            break
    return [
        {name: cell if len(cell) <= CELL_SHOWN else f"{cell[:CELL_SHOWN]}…" for name, cell in row.items()}
        for row in csv_rows(whole[: FIRST_ROWS + 1])
    ]
