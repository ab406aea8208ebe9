"""What each page shows: a month, a year, a day."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from include.twitter import days, roster, settings, usage
from include.twitter.csv_rows import csv_rows
from include.twitter.day import ENGAGEMENT_RECEIPTS, Day
from include.twitter.errors import PipelineError
from include.twitter.lake import Lake
from include.twitter.page import bill, price, runs, states
from include.twitter.page.span import Row, Span
from include.twitter.page.states import State
from include.twitter.pricing import prices
from include.twitter.records import AccountReceipt, Checked, EngagementReceipt, Manifest, Receipt, decoded

FIRST_ROWS, FIRST_BYTES = 5, (1 << 16, 1 << 20, 1 << 24)
"""Of a day's table, and how many bytes of it are read for them: it may be large. More are read where a row,
which may hold an article, does not end in the first ones."""
CELL_SHOWN = 1_000
"""Characters of a cell."""


def _last_of_month(first: Day) -> Day:
    return first.plus(calendar.monthrange(first.date.year, first.date.month)[1] - 1)


def month(first: Day, now: datetime) -> dict[str, Any]:
    last = _last_of_month(first)
    span = Span.look(first, last, now)
    name = f"{first.date:%Y-%m}"
    month_bill = bill.of_month(name, span.landed, span.ledger)
    pace = usage.pace_in_words(month_bill.spent, span.cap or 0, now) if name == f"{now:%Y-%m}" else ""
    rows = list(reversed([row for row in span.rows if row.day.date <= now.date()] or span.rows))
    return {
        "title": f"{first.date:%B %Y}",
        "before": f"{first.plus(-1).date:%Y-%m}",
        "after": f"{last.plus(1).date:%Y-%m}",
        "year": first.date.year,
        "span": span,
        "rows": rows,
        "told": _summary(rows),
        "bill": [*bill.in_words(month_bill, span.cap), pace],
        "meter": _meter(span.lake, name),
        "differing": [bill.difference_in_words(*found) for found in month_bill.differing],
        "incomplete": _incomplete(rows),
        "red": [row for row in rows if row.state.word == "red"],
        "legend": states,
    }


def _meter(lake: Lake, month: str) -> list[str]:
    """X's own count of the month beside the ledger, as it was compared last."""
    told = days.usage(lake, month)
    return [usage.in_words(told), usage.cap_in_words(told)] if told else []


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
    buys = [entry.buy for entry in span.ledger if entry.day == str(day) and entry.is_of_purchase]
    manifest = _record(span.lake, f"{day.raw}buy={max(buys)}/manifest.json", Manifest) if buys else None
    failed = [(run, runs.failed_tasks(run)) for run in row.runs if run.state == "failed"]
    return {
        "title": f"{day.date:%A}, {day.date.day} {day.date:%B %Y}",
        "row": row,
        "uncertain": bill.uncertain_of(str(day), span.ledger),
        "span": span,
        "receipt": receipt,
        "engagement": _engagement(span.lake, day) if row.line else [],
        "checked": _record(span.lake, day.checked, Checked) if row.line else None,
        "worst_first": sorted(receipt.accounts, key=_badness, reverse=True) if receipt else [],
        "failed": dict(failed),
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


def _engagement(lake: Lake, day: Day) -> list[EngagementReceipt]:
    """What became of the day's posts, the youngest age first."""
    found = lake.look_each(lake.keys(f"{ENGAGEMENT_RECEIPTS}dt={day}/"))
    receipts = [decoded(receipt.data, EngagementReceipt) for receipt in found if receipt]
    return sorted(receipts, key=attrgetter("age"))


def _badness(account: AccountReceipt) -> tuple[bool, bool]:
    return account.outcome == "unavailable", account.proof in ("short", "surplus")


def _record(lake: Lake, key: str, kind: type[Any]) -> Any:
    data = lake.read(key)
    return decoded(data, kind) if data else None


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
