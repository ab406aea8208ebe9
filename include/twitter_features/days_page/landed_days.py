"""Receipts and ledger entries of many days: an object is read and decoded again only if its ETag differs.

Listing keys with their ETags takes one request per 1,000 keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os.path import commonprefix
from threading import Lock
from typing import Any, NamedTuple

import msgspec
from cachetools import LRUCache
from msgspec import Struct

from include.twitter import layout
from include.twitter.errors import DamagedObject
from include.twitter.layout import LEDGER, RECEIPTS, parse_ledger_key
from include.twitter.object_store import ObjectStore
from include.twitter.records import LedgerEntry, Outcome, Proof, Receipt, Totals

MAX_CACHED = 700_000
"""Accounts of a day, some 250 bytes each: a month of 20,000 accounts fits, or 19 years of 100."""


class LandedAccount(Struct, frozen=True, gc=False):  # there may be very many; none refers to another object
    """The part of an AccountReceipt that is shown for many days."""

    username: str
    id: str | None
    outcome: Outcome
    proof: Proof
    published: int
    rejected: int
    estimated_total: int | None
    is_incomplete: bool
    has_posts: bool


class LandedDay(Struct, frozen=True):
    """The part of a Receipt that is shown for many days."""

    buy: int
    cost_usd: float
    totals: Totals
    accounts: list[LandedAccount]


class LandedDays(NamedTuple):
    landed: dict[str, LandedDay]
    """By the day, `YYYY-MM-DD`."""
    ledger: list[LedgerEntry]
    """All entries of the purchases of these days."""
    damaged: dict[str, str]
    """Error messages of the records that cannot be read, by key."""


_cache: LRUCache[tuple[str, str], Any] = LRUCache(
    MAX_CACHED, getsizeof=lambda record: len(record.accounts) + 1 if isinstance(record, LandedDay) else 5
)
"""By URL and ETag."""
_cache_lock = Lock()


def load_days(store: ObjectStore, months: Collection[str]) -> LandedDays:
    """Load the days of these months, `YYYY-MM`, and all other days whose posts were bought in them."""
    damaged: dict[str, str] = {}
    etags = store.etags(LEDGER)
    entries = store.parsed(etags, parse_ledger_key)
    subjects = {of.subject for of in entries.values() if of.month in months or of.subject[:7] in months}
    selected = {key: etags[key] for key, of in entries.items() if of.subject in subjects}
    ledger = _load_records(store, selected, LedgerEntry, LedgerEntry, damaged)

    listed = {*months} | {subject[:7] for subject in subjects if not subject.startswith("plan-")}
    etags = store.etags(f"{RECEIPTS}dt={commonprefix([*listed])}")  # noqa: RUF071 - of characters, as S3's
    days = {key: str(day) for key, day in store.parsed(etags, layout.parse_receipt).items()}
    selected = {key: etags[key] for key, day in days.items() if day[:7] in months or day in subjects}
    landed = _load_records(store, selected, Receipt, LandedDay, damaged)
    return LandedDays({days[key]: day for key, day in landed.items()}, [*ledger.values()], damaged)


def _load_records(
    store: ObjectStore, etags: Mapping[str, str], stored: type[Any], shown: type[Any], damaged: dict[str, str]
) -> dict[str, Any]:
    """The records at these keys, from the cache if the ETag is the listed one; without the damaged ones."""
    with _cache_lock:
        records = {key: _cache.get((store.url(key), etag)) for key, etag in etags.items()}
    missing = [key for key, record in records.items() if record is None]
    for key, item in zip(missing, store.get_many(missing), strict=True):
        if item is None:
            continue  # deleted since it was listed
        try:
            record = msgspec.convert(store.decoded(key, item.data, stored), shown, from_attributes=True)
        except DamagedObject as error:
            damaged[key] = str(error)
            continue
        records[key] = record
        with _cache_lock:
            _cache[store.url(key), item.etag] = record
    return {key: record for key, record in records.items() if record is not None}
