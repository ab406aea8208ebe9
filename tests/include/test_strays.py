"""Objects of other programs and damaged records: skipped, or reported with the remedy."""

import logging

import pytest

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.errors import DamagedObject, NewerFormat
from include.twitter.extract.budget import Budget, Caps, Stored, entries, spent_of_month
from include.twitter.extract.purchase import Purchase
from include.twitter.landed import landed_days, missing_days
from include.twitter.layout import ledger_key, parse_receipt
from include.twitter.records import CollectionSpec, LedgerEntry, Receipt, encoded
from tests.include.factories import DAY, RECEIVED, MemoryStore, a_receipt, account_receipt
from tests.include.test_layout import KEYS, strays

NOW = RECEIVED.replace(month=12, day=1)
CAPS = Caps(("run", 0), ("month", 10_000))


@pytest.fixture
def store():
    return MemoryStore()


def entry(mills):
    return LedgerEntry(day=str(DAY), buy=2, month="2026-12", reserved_mills=mills, spent_mills=mills)


def budget(store, day="2026-12-01"):
    return Budget(store, (day, 1), CAPS, Stored(), lambda: NOW)


def purchase(store):
    run = Run(DAY, "c0ffee123456", lambda: NOW)
    return Purchase(store, run, CollectionSpec(("NASA",), 0), may_leave=False)


def test_objects_of_others_are_reported_once_and_some_are_named(store, caplog):
    keys = [layout.receipt(DAY), *(f"twitter_receipts/{number}\x1b[2J" for number in range(1_000))]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert store.parsed(keys, parse_receipt) == {layout.receipt(DAY): DAY}
    [message] = caplog.messages
    assert message.startswith("1000 objects")
    assert (len(message) < 1_000, "\x1b" in message) == (True, False)


def test_objects_of_others_stop_no_stage(store):
    store.write(layout.receipt(DAY), encoded(a_receipt(account_receipt("NASA", 3))))
    store.write(ledger_key("2026-12", f"{DAY}-2"), encoded(entry(1525)))
    for key in KEYS:
        for stray in strays(key):
            store.write(stray, b"")
    assert spent_of_month(store, NOW) == 1525
    with budget(store) as opened, opened.reserve("posts", 10, smallest=5) as reservation:
        assert reservation.size == 10
    with purchase(store).hold_lease():
        pass
    assert purchase(store).has_unrecorded_pages is False
    assert (missing_days(store, DAY, 31), landed_days(store)) == ([], [DAY])


# Damaged records

DAMAGES = [
    b"", b"{", b"\x00\xff", b"[]", b"{}", b"<Error/>", encoded(entry(5))[:-9], b'{"day": 5}',
    b'{"x": ' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("data", DAMAGES)
def test_a_damaged_record_is_reported_with_the_commands_that_restore_it(store, data):
    key = "twitter receipts/a b; rm *.json"
    store.write(key, data)
    with pytest.raises(DamagedObject) as raised:
        store.record(key, Receipt)
    message = str(raised.value)
    assert message.startswith(f"s3://acme-twitter-lake/{key} is not a Receipt")
    assert f"list-object-versions --bucket acme-twitter-lake --prefix '{key}'`" in message
    assert len(message) < 1_000


def test_a_record_of_a_newer_format_is_refused(store):
    data = encoded(entry(5))
    assert data.startswith(b'{\n  "format": 1,')
    store.write("ledger.json", data.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(NewerFormat, match=r"s3://acme-twitter-lake/ledger\.json has format 2"):
        store.record("ledger.json", LedgerEntry)


@pytest.mark.parametrize(
    "read",
    [
        lambda store: spent_of_month(store, NOW),
        lambda store: entries(store, "2026-12"),
        lambda store: budget(store, str(DAY)),
        lambda store: budget(store).reserve("posts", 5, 5).__enter__(),
    ],
)
def test_no_cap_is_checked_without_a_damaged_entry(store, read):
    key = ledger_key("2026-12", f"{DAY}-1")
    store.write(key, b"{")
    with pytest.raises(DamagedObject, match=key):
        read(store)
    assert store.read(key) == b"{"


def test_a_damaged_manifest_is_not_a_missing_one(store):
    store.write(layout.manifest(DAY, 1), b"")
    with pytest.raises(DamagedObject, match=layout.manifest(DAY, 1)):
        purchase(store)
