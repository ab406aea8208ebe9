"""Many days at once, as the operator's page shows them, with a small index a month that `load` keeps.

Receipts and ledger are what is true. The index saves reading them one by one: a line of it is believed
while the receipt has the etag that the line names, an entry of the ledger while it has its own. So whoever
reads asks for the lists of both, which hold the etags, and then reads only what the index does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from include.twitter.day import LEDGER, USAGE, Day
from include.twitter.lake import Lake, Object
from include.twitter.records import AccountLine, DayLine, DaysIndex, LedgerEntry, Receipt, Usage, decoded

log = logging.getLogger(__name__)

RECEIPTS = "twitter_receipts/dt="


class Days(NamedTuple):
    """What is known of some days."""

    landed: dict[str, DayLine]
    """By the day, `YYYY-MM-DD`."""
    ledger: dict[str, LedgerEntry]
    """All entries of these days' purchases, by their etags."""


def read(lake: Lake, months: Collection[str]) -> Days:
    """The days of these months, `YYYY-MM`, and all other days whose posts were bought in them."""
    with ThreadPoolExecutor(1) as beside:
        listing = beside.submit(_receipts, lake, "")
        ledger = lake.tags(LEDGER)
        receipts = listing.result()
    shown = {day for day in receipts if day[:7] in months}
    shown |= {_day(key) for key in ledger if _month(key) in months or _day(key)[:7] in months}
    found = lake.look_each(map(index_key, sorted({day[:7] for day in shown})))
    known = {day: line for each in found for day, line in _index(each and each.data).days.items()}
    return _read(lake, shown, receipts, ledger, known)


def keep(lake: Lake, day: Day) -> None:
    """Bring the index of the day's month up to date; of two who do so at once, neither loses the other's."""
    month = str(day)[:7]
    try:
        lake.change(index_key(month), lambda data: msgspec.json.encode(_renewed(lake, month, _index(data))))
    except Exception:  # whatever it is, the day has landed, and is shown without the index too
        log.warning("The index of %s is not kept, so Days reads its receipts.", month, exc_info=True)


def usage(lake: Lake, month: str, before: Day | None = None) -> Usage | None:
    """X's meter beside the ledger as it was compared last in a month, of a day `before` one or of any."""
    keys = [key for key in lake.keys(f"{USAGE}month={month}/") if not before or key < before.usage]
    data = lake.read(keys[-1]) if keys else None
    return decoded(data, Usage) if data else None


def index_key(month: str) -> str:
    return f"twitter_days/month={month}/index.json"


def _renewed(lake: Lake, month: str, index: DaysIndex) -> DaysIndex:
    receipts = _receipts(lake, month)
    lines, ledger = _read(lake, receipts.keys(), receipts, lake.tags(LEDGER), index.days)
    of_day: dict[str, dict[str, LedgerEntry]] = {day: {} for day in lines}
    for tag, entry in ledger.items():
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
    ledger: Mapping[str, str],
    known: Mapping[str, DayLine],
) -> Days:
    """Lines and entries of these days: the known ones whose etags are still those, and the others read."""
    tags = {day: tag for day, tag in receipts.items() if day in days}
    lines = {day: known[day] for day, tag in tags.items() if day in known and known[day].etag == tag}
    others = sorted(tags.keys() - lines.keys())
    found = zip(others, lake.look_each(Day.parse(day).receipt for day in others), strict=True)
    lines |= {day: _line(receipt) for day, receipt in found if receipt}
    of_days = {tag: key for key, tag in ledger.items() if _day(key) in days}
    entries = {tag: entry for line in known.values() for tag, entry in line.ledger.items() if tag in of_days}
    others = [key for tag, key in of_days.items() if tag not in entries]
    entries |= {entry.tag: decoded(entry.data, LedgerEntry) for entry in lake.look_each(others) if entry}
    return Days(lines, entries)


def _line(found: Object) -> DayLine:
    receipt = decoded(found.data, Receipt)
    return DayLine(
        etag=found.tag,
        buy=receipt.buy,
        cost_usd=receipt.cost_usd,
        published=receipt.totals.published,
        rejected=receipt.totals.rejected,
        accounts=[
            AccountLine(a.username, a.outcome, a.proof, a.published, a.id, a.estimated_total)
            for a in receipt.accounts
        ],
        ledger={},
    )


def _receipts(lake: Lake, begin: str) -> dict[str, str]:
    """The etags of the receipts of the days that begin so, by day."""
    return {key[len(RECEIPTS) :][:10]: tag for key, tag in lake.tags(RECEIPTS + begin).items()}


# A key of the ledger is twitter_ledger/month=YYYY-MM/YYYY-MM-DD-K.json.


def _month(key: str) -> str:
    return key.split("/")[1].removeprefix("month=")


def _day(key: str) -> str:
    return key.split("/")[2][:10]
