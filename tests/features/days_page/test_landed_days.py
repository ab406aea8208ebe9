"""Receipts and ledger entries are read once for each version, and only those of the months asked for."""

import pytest
from cachetools import LRUCache
from msgspec.structs import replace

from include.twitter.day import Day
from include.twitter.records import LedgerEntry, encoded
from include.twitter_features.days_page import landed_days
from tests.include.invented import MemoryLake, a_receipt, account_receipt


class RecordingStore(MemoryLake):
    """Remembers which prefixes were listed and which objects were read."""

    def __init__(self) -> None:
        super().__init__()
        self.listed, self.read_keys = [], []

    def tags(self, prefix):
        self.listed.append(prefix)
        return super().tags(prefix)

    def look_each(self, keys):
        self.read_keys += keys
        return super().look_each(keys)

    def land(self, day: str, rows: int = 3) -> None:
        self.write(
            Day.parse(day).receipt, encoded(replace(a_receipt(account_receipt("NASA", rows)), day=day))
        )

    def spend(self, day: str, month: str, mills: int = 1525) -> None:
        entry = LedgerEntry(day=day, buy=2, month=month, reserved_mills=mills, spent_mills=mills)
        self.write(f"twitter_ledger/month={month}/{day}-2.json", encoded(entry))

    def published(self, *months: str) -> dict[str, int]:
        """The rows of each day of these months; only what is read for it is remembered."""
        self.listed, self.read_keys = [], []
        return {day: of.totals.published for day, of in landed_days.read(self, months).landed.items()}


@pytest.fixture
def store() -> RecordingStore:
    """Two landed days and what they cost; one was billed in December."""
    store = RecordingStore()
    for day, month in (("2026-11-18", "2026-11"), ("2026-11-30", "2026-12")):
        store.land(day)
        store.spend(day, month)
    return store


@pytest.fixture(autouse=True)
def cache(monkeypatch) -> LRUCache:
    """An empty cache, as large as the real one."""
    cache = LRUCache(landed_days.MAX_CACHED, landed_days._cache.getsizeof)
    monkeypatch.setattr(landed_days, "_cache", cache)
    return cache


def test_an_object_is_read_again_only_if_it_has_changed(store):
    assert store.published("2026-11") == {"2026-11-18": 3, "2026-11-30": 3}
    assert len(store.read_keys) == 4
    store.land("2026-11-18", rows=9)
    store.spend("2026-11-30", "2026-12", mills=2000)
    assert store.published("2026-11") == {"2026-11-18": 9, "2026-11-30": 3}
    assert store.read_keys == [
        "twitter_ledger/month=2026-12/2026-11-30-2.json",
        "twitter_receipts/dt=2026-11-18/receipt.json",
    ]
    entries = landed_days.read(store, {"2026-11"}).ledger
    assert sorted(entry.spent_mills for entry in entries) == [1525, 2000]


def test_a_day_whose_receipt_is_gone_has_not_landed(store):
    store.published("2026-11")
    del store.objects["twitter_receipts/dt=2026-11-18/receipt.json"]
    assert store.published("2026-11") == {"2026-11-30": 3}


def test_a_month_has_its_days_and_those_that_were_bought_in_it_and_lists_no_other(store):
    store.land("2026-12-01")
    store.land("2024-05-05")
    store.spend("2024-05-05", "2024-05")
    assert store.published("2026-12") == {"2026-11-30": 3, "2026-12-01": 3}
    assert store.listed == ["twitter_ledger/", "twitter_receipts/dt=2026-1"]
    assert store.published("2024-05") == {"2024-05-05": 3}
    assert store.listed[1] == "twitter_receipts/dt=2024-05"
    assert len(store.read_keys) == 2


def test_the_cache_is_bounded_by_accounts(store, monkeypatch):
    cache = LRUCache(8, landed_days._cache.getsizeof)
    monkeypatch.setattr(landed_days, "_cache", cache)
    for _ in range(2):
        assert store.published("2026-11") == {"2026-11-18": 3, "2026-11-30": 3}
        assert cache.currsize <= 8
    assert store.read_keys


def test_an_empty_bucket_has_no_days():
    assert landed_days.read(MemoryLake(), {"2026-11"}) == ({}, [], {})
