"""Receipts and ledger entries are read once for each version, and only those of the requested months."""

import pytest
from cachetools import LRUCache
from msgspec.structs import replace

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.records import LedgerEntry, encoded
from include.twitter_features.days_page import landed_days
from tests.include.factories import MemoryStore, a_receipt, account_receipt

RECEIPT = "twitter_receipts/dt=2026-11-18/receipt.json"
ENTRY = "twitter_ledger/month=2026-12/2026-11-30-2.json"


class Store(MemoryStore):
    """Two landed days, one of them billed in December; records the listed prefixes and the read keys."""

    def __init__(self) -> None:
        super().__init__()
        self.listed, self.read_keys = [], []
        self.land("2026-11-18", "2026-11")
        self.land("2026-11-30", "2026-12")

    def etags(self, prefix):
        self.listed.append(prefix)
        return super().etags(prefix)

    def get_many(self, keys):
        self.read_keys += keys
        return super().get_many(keys)

    def land(self, day: str, month: str, rows: int = 3, mills: int = 1525) -> None:
        receipt = replace(a_receipt(account_receipt("NASA", rows)), day=day)
        self.write(layout.receipt(Day.parse(day)), encoded(receipt))
        entry = LedgerEntry(day=day, buy=2, month=month, reserved_mills=mills, spent_mills=mills)
        self.write(f"twitter_ledger/month={month}/{day}-2.json", encoded(entry))

    def published(self, *months: str) -> dict[str, int]:
        """Load these months; returns the rows of each day."""
        self.listed, self.read_keys = [], []
        return {day: of.totals.published for day, of in landed_days.load_days(self, months).landed.items()}


@pytest.fixture(autouse=True)
def cache(monkeypatch) -> LRUCache:
    """An empty cache for a few accounts."""
    cache = LRUCache(40, landed_days._cache.getsizeof)
    monkeypatch.setattr(landed_days, "_cache", cache)
    return cache


def test_an_object_is_read_again_only_if_it_has_changed():
    store = Store()
    assert store.published("2026-11") == {"2026-11-18": 3, "2026-11-30": 3}
    assert len(store.read_keys) == 4
    assert (store.published("2026-11"), store.read_keys) == ({"2026-11-18": 3, "2026-11-30": 3}, [])
    store.land("2026-11-18", "2026-11", rows=9)
    store.land("2026-11-30", "2026-12", mills=2000)
    assert store.published("2026-11") == {"2026-11-18": 9, "2026-11-30": 3}
    assert store.read_keys == [ENTRY, RECEIPT]
    ledger = landed_days.load_days(store, {"2026-11"}).ledger
    assert sorted(entry.spent_mills for entry in ledger) == [1525, 2000]
    del store.objects[RECEIPT]
    assert store.published("2026-11") == {"2026-11-30": 3}


def test_a_month_has_its_days_and_those_that_were_bought_in_it_and_lists_no_other():
    store = Store()
    store.land("2024-05-05", "2024-05")
    assert store.published("2026-12") == {"2026-11-30": 3}
    assert store.listed == ["twitter_ledger/", "twitter_receipts/dt=2026-1"]
    assert store.published("2024-05") == {"2024-05-05": 3}
    assert store.listed[1] == "twitter_receipts/dt=2024-05"
    assert len(store.read_keys) == 2


def test_the_cache_is_bounded_by_accounts(cache):
    store = Store()
    for month in range(1, 11):
        store.land(f"2025-{month:02}-01", f"2025-{month:02}")
    for _ in range(2):
        assert len(store.published(*(f"2025-{month:02}" for month in range(1, 11)))) == 10
        assert cache.currsize <= 40
    assert store.read_keys
