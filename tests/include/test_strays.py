"""Objects of others among those of the pipeline, and records that are damaged: skipped, or named."""

import logging

import pytest

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.errors import DamagedObject, NewerFormat
from include.twitter.extract.budget import Budget, Caps, Stored, entries, spent_of_month
from include.twitter.extract.purchase import Purchase
from include.twitter.landed import landed_days, missing_days
from include.twitter.layout import Snapshot, job_key, ledger_key, parse_receipt
from include.twitter.records import CollectionSpec, ComplianceJob, LedgerEntry, Receipt, encoded
from tests.include.factories import DAY, RECEIVED, MemoryStore, a_receipt, account_receipt
from tests.include.test_layout import KEYS, strays

PLAN = "c0ffee123456"
SNAPSHOT = Snapshot(DAY, 7)


def test_other_objects_are_reported_once_and_some_of_them_are_named(caplog):
    lake = MemoryStore()
    keys = [layout.receipt(DAY), *(f"twitter_receipts/{number}\x1b[2J" for number in range(1_000))]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert lake.parsed(keys, parse_receipt) == {layout.receipt(DAY): DAY}
    [message] = caplog.messages
    assert message.startswith("1000 objects")
    assert (len(message) < 1_000, "\x1b" in message) == (True, False)


@pytest.fixture
def littered():
    """A lake with a landed day, its purchase in December, and objects of others everywhere."""
    lake = MemoryStore()
    lake.write(layout.receipt(DAY), encoded(a_receipt(account_receipt("NASA", 3))))
    lake.write(ledger_key("2026-12", f"{DAY}-2"), encoded(entry(1525)))
    lake.write(job_key(PLAN, 1), encoded(ComplianceJob(id="7", number=1, made_at=RECEIVED)))
    for key in KEYS:
        for stray in strays(key):
            lake.write(stray, b"")
    return lake


def entry(mills, day=DAY, **more):
    return LedgerEntry(day=str(day), buy=2, month="2026-12", reserved_mills=mills, spent_mills=mills, **more)


NOW = RECEIVED.replace(month=12, day=1)


def purchase(lake):
    run = Run(DAY, PLAN, lambda: NOW)
    return Purchase(lake, run, CollectionSpec(("NASA",), 0), may_leave=False)


def test_what_others_left_stops_nobody(littered):
    assert spent_of_month(littered, NOW) == 1525
    caps = Caps(("run", 0), ("month", 10_000))
    with (
        Budget(littered, ("2026-12-01", 1), caps, Stored(), lambda: NOW) as budget,
        budget.reserve("posts", 10, smallest=5) as reservation,
    ):
        assert reservation.size == 10
    assert purchase(littered).manifest.buy == 1
    with purchase(littered).hold_lease():
        pass
    assert purchase(littered).has_unrecorded_pages is False
    assert missing_days(littered, DAY, 31) == []
    assert landed_days(littered) == [DAY]


# Damaged records

DAMAGES = [
    b"", b"{", b"\x00\xff", b"[]", b"{}", b"<Error/>", encoded(entry(5))[:-9], b'{"day": 5}',
    b'{"x": ' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("data", DAMAGES)
def test_a_damaged_record_is_named_with_what_restores_it(data):
    lake = MemoryStore()
    lake.write(layout.receipt(DAY), data)
    with pytest.raises(DamagedObject) as raised:
        lake.record(layout.receipt(DAY), Receipt)
    said = str(raised.value)
    assert said.startswith(f"s3://acme-twitter-lake/{layout.receipt(DAY)} is not a Receipt")
    assert f"list-object-versions --bucket acme-twitter-lake --prefix {layout.receipt(DAY)}`" in said
    assert len(said) < 1_000


def test_a_command_of_a_remedy_quotes_the_key():
    lake = MemoryStore()
    lake.write("a b; rm *.json", b"")
    with pytest.raises(DamagedObject, match=r"--key 'a b; rm \*\.json'"):
        lake.record("a b; rm *.json", Receipt)


def test_a_record_of_a_newer_format_is_refused_and_one_of_this_format_says_so():
    lake = MemoryStore()
    data = encoded(entry(5))
    assert data.startswith(b'{\n  "format": 1,')
    lake.write("ledger.json", data.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(NewerFormat, match=r"s3://acme-twitter-lake/ledger\.json has format 2"):
        lake.record("ledger.json", LedgerEntry)


@pytest.mark.parametrize("data", DAMAGES)
def test_no_cap_is_checked_without_an_entry_that_cannot_be_read(data):
    lake = MemoryStore()
    key = ledger_key("2026-12", f"{DAY}-1")
    lake.write(key, data)
    lake.write(ledger_key("2026-12", f"{DAY}-2"), encoded(entry(1525)))
    caps = Caps(("run", 0), ("month", 10_000))
    for asks in (
        lambda: spent_of_month(lake, NOW),
        lambda: entries(lake, "2026-12"),
        lambda: Budget(lake, (str(DAY), 1), caps, Stored(), lambda: NOW),
        lambda: (
            Budget(lake, ("2026-12-01", 1), caps, Stored(), lambda: NOW).reserve("posts", 5, 5).__enter__()
        ),
    ):
        with pytest.raises(DamagedObject, match=key):
            asks()
    assert lake.read(key) == data


def test_a_damaged_manifest_is_no_missing_one():
    lake = MemoryStore()
    lake.write(layout.manifest(DAY, 1), b"")
    with pytest.raises(DamagedObject, match=layout.manifest(DAY, 1)):
        purchase(lake)
