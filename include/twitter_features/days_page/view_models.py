"""The values that the template of each page shows: a month, a year, a day."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from more_itertools import chunked

from include.twitter import layout, settings
from include.twitter.csv_rows import csv_rows
from include.twitter.day import Day
from include.twitter.layout import ENGAGEMENT_RECEIPTS, X_USAGE, Snapshot
from include.twitter.object_store import ObjectStore
from include.twitter.pricing import format_usd, prices
from include.twitter.records import Checked, Manifest, Receipt, SnapshotReceipt, Usage
from include.twitter_features.days_page import airflow_db, clear_price, month_spend, status
from include.twitter_features.days_page.clear_price import PriceInputs
from include.twitter_features.days_page.day_range import CurrentSettings, DayRange

FIRST_ROWS = 5
FIRST_BYTES = 1 << 20
ACCOUNTS_PER_PAGE = 100
"""A month of 20,000 accounts would be a page of 66 MB."""


class Choice(NamedTuple):
    """The accounts to show."""

    page: int = 1
    find: str = ""
    """A part of the handle."""


class AccountsPage(NamedTuple):
    """The accounts of one page: if they do not fit on one page, those with problems come first."""

    shown: list[Any]
    page: int
    pages: int
    matches: int
    total: int
    find: str

    @classmethod
    def choose(cls, accounts: list[tuple[int, str, Any]], choice: Choice) -> AccountsPage:
        """Select the values of the chosen page from accounts as (severity, handle, value)."""
        matches = [account for account in accounts if choice.find.lower() in account[1].lower()]
        if len(matches) > ACCOUNTS_PER_PAGE:
            matches.sort(key=itemgetter(0), reverse=True)
        pages = [*chunked(matches, ACCOUNTS_PER_PAGE)] or [[]]
        page = min(max(choice.page, 1), len(pages))
        shown = [value for _, _, value in pages[page - 1]]
        return cls(shown, page, len(pages), len(matches), len(accounts), choice.find)


def _choose_handles(days: DayRange, choice: Choice) -> AccountsPage:
    worst: Counter[str] = Counter()
    for account in (account for row in days.rows for account in row.accounts):
        name = account.username.lower()
        worst[name] = max(worst[name], status.severity(account))
    return AccountsPage.choose([(worst[handle.lower()], handle, handle) for handle in days.handles], choice)


def month_view(first: Day, now: datetime, choice: Choice) -> dict[str, Any]:
    last = first.plus(calendar.monthrange(first.date.year, first.date.month)[1] - 1)
    days, name = DayRange.load(first, last, now), f"{first.date:%Y-%m}"
    usage_keys = days.store.parsed(days.store.keys(f"{X_USAGE}month={name}/"), layout.parse_usage)
    return {
        "title": f"{first.date:%B %Y}",
        "unit": "month",
        "before": f"{first.plus(-1).date:%Y-%m}",
        "after": f"{last.plus(1).date:%Y-%m}",
        "days": days,
        "rows": [row for row in reversed(days.rows) if row.day.date <= now.date()] or days.rows[::-1],
        "accounts": _choose_handles(days, choice),
        "spend": month_spend.of_month(name, days.landed, days.ledger),
        "usage": _load_record(days, max(usage_keys), Usage) if usage_keys else None,
    }


def year_view(first: Day, now: datetime, choice: Choice) -> dict[str, Any]:
    days = DayRange.load(first, Day(first.date.replace(month=12, day=31)), now)
    begun = [row for row in days.rows if f"{row.day.date:%Y-%m}" <= f"{now:%Y-%m}"] or days.rows[:31]
    months = [(name, [*rows]) for name, rows in groupby(begun, lambda row: f"{row.day.date:%Y-%m}")][::-1]
    accounts = _choose_handles(days, choice)
    cells = [[days.accounts(row, accounts.shown) for row in rows] for _, rows in months]
    return {
        "title": str(first.date.year),
        "unit": "year",
        "before": first.date.year - 1,
        "after": first.date.year + 1,
        "days": days,
        "months": months,
        "billed": [sum(e.spent_mills for e in days.ledger if e.month == name) for name, _ in months],
        "accounts": accounts,
        "strips": {
            handle: [[of_day[number][0] for of_day in of_month] for of_month in cells]
            for number, handle in enumerate(accounts.shown)
        },
    }


def day_view(day: Day, now: datetime, choice: Choice) -> dict[str, Any]:
    days = DayRange.load(day, day, now)
    [row] = days.rows
    receipt = _load_record(days, layout.receipt(day), Receipt) if row.landed else None
    entries = [entry for entry in days.ledger if entry.day == str(day) and entry.is_of_purchase]
    newest = max((entry.buy for entry in entries), default=0)
    manifest = _load_record(days, layout.manifest(day, newest), Manifest) if newest else None
    by_severity = sorted(receipt.accounts, key=status.severity, reverse=True) if receipt else []
    return {
        "title": f"{day.date:%A}, {day.date.day} {day.date:%B %Y}",
        "row": row,
        "days": days,
        "uncertain": sum(entry.uncertain_mills for entry in entries),
        "receipt": receipt,
        "engagement": _snapshots(days, day) if row.landed else [],
        "checked": _load_record(days, layout.checked(day), Checked) if row.landed else None,
        "accounts": AccountsPage.choose([(status.severity(a), a.username, a) for a in by_severity], choice),
        "failed": {run: airflow_db.failed_tasks(run) for run in row.runs if run.state == "failed"},
        "triggers": {
            "plain": airflow_db.trigger(day, row.runs),
            "buy_again": airflow_db.trigger(day, row.runs, buy_again=True),
        },
        "prices": days.notices.or_none(lambda: _clear_prices(days.settings, manifest, receipt, now)),
        "first_rows": _first_rows(days.store, day) if row.landed else [],
        "differences": [difference for difference in days.differences if difference.day == str(day)],
    }


def _snapshots(days: DayRange, day: Day) -> list[SnapshotReceipt]:
    """The receipts of the day's snapshots, the youngest age first."""
    keys = days.store.parsed(days.store.keys(f"{ENGAGEMENT_RECEIPTS}dt={day}/"), Snapshot.of_receipt)
    records = (_load_record(days, key, SnapshotReceipt) for key in keys)
    return sorted(filter(None, records), key=attrgetter("age"))


def _load_record(days: DayRange, key: str, kind: type[Any]) -> Any:
    """A record; None, with a notice, if it cannot be read."""
    return days.notices.or_none(lambda: days.store.record(key, kind))


def _clear_prices(
    current: CurrentSettings, manifest: Manifest | None, receipt: Receipt | None, now: datetime
) -> dict[str, str] | None:
    """What clearing `extract` and buying again would cost; None without the list of accounts."""
    roster, identities = current.roster, current.identities
    if not roster.handles:
        return None
    own, confirmed = roster.own_handle(), {handle for handle, _ in identities.accepted}
    if own in confirmed:
        own = ""  # the handle may belong to another account by now
    run_cap = settings.budgets()[settings.run_budget.name]
    inputs = PriceInputs(roster.collection_spec(), own, run_cap, prices(now), identities)
    spent = round(receipt.cost_usd * 1000) if receipt else 0
    return {
        "extract": clear_price.of_extract(manifest, inputs),
        "buy_again": f"about {format_usd(spent)}, as before"
        if spent
        else clear_price.of_extract(None, inputs),
    }


def _first_rows(store: ObjectStore, day: Day) -> list[Mapping[str, str]]:
    """The first rows of the day's table, from its first FIRST_BYTES bytes: a record is one line."""
    data = store.beginning(layout.csv(day), FIRST_BYTES) or b""
    lines = data.decode(errors="ignore").split("\n")[:-1]  # the last line is cut, or empty
    return [*csv_rows(lines[: FIRST_ROWS + 1])]
