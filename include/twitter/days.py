"""Many days at once, as the operator's page shows them, with a small index a month that `load` keeps.

Receipts and ledger are what is true. The index saves reading them one by one: a line of it is believed
while the receipt has the etag that the line names, an entry of the ledger while it has its own. So whoever
reads asks for the lists of both, which hold the etags, and then reads only what the index does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from include.twitter.day import LEDGER, RECEIPTS, USAGE, Day, LedgerKey, parse_ledger_key
from include.twitter.errors import DamagedObject
from include.twitter.lake import Lake
from include.twitter.records import (
    AccountLine,
    DayLine,
    DaysIndex,
    LedgerEntry,
    Receipt,
    Record,
    Usage,
    decoded,
)

log = logging.getLogger(__name__)


class Days(NamedTuple):
    """What is known of some days."""

    landed: dict[str, DayLine]
    """By the day, `YYYY-MM-DD`."""
    ledger: dict[str, LedgerEntry]
    """All entries of these days' purchases, by their etags."""


def read(lake: Lake, months: Collection[str], damaged: dict[str, str] | None = None) -> Days:
    """The days of these months, `YYYY-MM`, and all other days whose posts were bought in them.

    A record that cannot be read is left out; `damaged` is given the problem by its key.
    """
    with ThreadPoolExecutor(1) as beside:
        listing = beside.submit(_receipts, lake, "")
        ledger = _ledger(lake)
        receipts = listing.result()
    shown = {day for day in receipts if day[:7] in months}
    shown |= {of.subject for _, _, of in ledger if of.month in months or of.subject[:7] in months}
    found = lake.look_each(map(index_key, sorted({day[:7] for day in shown})))
    known = {day: line for each in found for day, line in _index(each and each.data).days.items()}
    return _read(lake, shown, receipts, ledger, known, {} if damaged is None else damaged)


def keep(lake: Lake, day: Day) -> None:
    """Bring the index of the day's month up to date; of two who do so at once, neither loses the other's."""
    month = str(day)[:7]
    try:
        lake.change(index_key(month), lambda data: msgspec.json.encode(_renewed(lake, month, _index(data))))
    except Exception:  # whatever it is, the day has landed, and is shown without the index too
        log.warning("The index of %s is not kept, so Days reads its receipts.", month, exc_info=True)


def usage(lake: Lake, month: str, before: Day | None = None) -> Usage | None:
    """X's meter beside the ledger as it was compared last in a month, of a day `before` one or of any."""
    listed = lake.parsed(lake.keys(f"{USAGE}month={month}/"), Day.of_usage)
    keys = [key for key in listed if not before or key < before.usage]
    return lake.record(keys[-1], Usage) if keys else None


def index_key(month: str) -> str:
    return f"twitter_days/month={month}/index.json"


def _renewed(lake: Lake, month: str, index: DaysIndex) -> DaysIndex:
    receipts = _receipts(lake, month)
    damaged: dict[str, str] = {}
    lines, ledger = _read(lake, receipts.keys(), receipts, _ledger(lake), index.days, damaged)
    if damaged:
        log.warning(
            "%d records are left out of Days, the first: %s", len(damaged), next(iter(damaged.values()))
        )
    of_day: dict[str, dict[str, LedgerEntry]] = {day: {} for day in lines}
    for tag, entry in ledger.items():
        if entry.day in of_day:  # else it is a copy at another day's key
            of_day[entry.day][tag] = entry
    return DaysIndex(days={day: replace(line, ledger=of_day[day]) for day, line in sorted(lines.items())})


def _index(data: bytes | None) -> DaysIndex:
    """An index; an empty one where there is none that this version can read, without lines that lack ids."""
    try:
        index = decoded(data, DaysIndex) if data else DaysIndex()
    except msgspec.DecodeError:
        return DaysIndex()
    return DaysIndex(days={day: line for day, line in index.days.items() if _has_ids(line)})


def _has_ids(line: DayLine) -> bool:
    """Whether it was written by a version that kept the accounts' ids."""
    return all(account.id for account in line.accounts if account.has_posts)


def _read(
    lake: Lake,
    days: Collection[str],
    receipts: Mapping[str, str],
    ledger: Collection[tuple[str, str, LedgerKey]],
    known: Mapping[str, DayLine],
    damaged: dict[str, str],
) -> Days:
    """Lines and entries of these days: the known ones whose etags are still those, and the others read."""
    tags = {day: tag for day, tag in receipts.items() if day in days}
    lines = {day: known[day] for day, tag in tags.items() if day in known and known[day].etag == tag}
    others = sorted(tags.keys() - lines.keys())
    records = _records(lake, {Day.parse(day).receipt: day for day in others}, Receipt, damaged)
    lines |= {day: _line(receipt, tag) for day, tag, receipt in records}
    of_days = {tag: key for key, tag, of in ledger if of.subject in days}
    entries = {tag: entry for line in known.values() for tag, entry in line.ledger.items() if tag in of_days}
    unknown = {key: tag for tag, key in of_days.items() if tag not in entries}
    entries |= {tag: entry for _, tag, entry in _records(lake, unknown, LedgerEntry, damaged)}
    return Days(lines, entries)


def _records(
    lake: Lake, named: Mapping[str, str], kind: type[Record], damaged: dict[str, str]
) -> Iterator[tuple[str, str, Record]]:
    """Name, etag and content of the records at these keys; the damaged ones are left out."""
    for (key, name), found in zip(named.items(), lake.look_each(named), strict=True):
        try:
            if found:
                yield name, found.tag, lake.decoded(key, found.data, kind)
        except DamagedObject as error:
            damaged[key] = str(error)


def _line(receipt: Receipt, etag: str) -> DayLine:
    return DayLine(
        etag=etag,
        buy=receipt.buy,
        cost_usd=receipt.cost_usd,
        published=receipt.totals.published,
        rejected=receipt.totals.rejected,
        accounts=[
            AccountLine(a.username, a.outcome, a.proof, a.published, a.id, a.estimated_total, a.rejected)
            for a in receipt.accounts
        ],
        ledger={},
    )


def _receipts(lake: Lake, begin: str) -> dict[str, str]:
    """The etags of the receipts of the days that begin so, by day."""
    tags = lake.tags(f"{RECEIPTS}dt={begin}")
    return {str(day): tags[key] for key, day in lake.parsed(tags, Day.of_receipt).items()}


def _ledger(lake: Lake) -> list[tuple[str, str, LedgerKey]]:
    """Key and etag of each entry of the ledger, and what it is of."""
    tags = lake.tags(LEDGER)
    return [(key, tags[key], of) for key, of in lake.parsed(tags, parse_ledger_key).items()]
