"""What was stored in format 1 can still be read: tests/kept_bucket.py has written it."""

import csv
import io
import json

import pyarrow.parquet
import pytest

from include.twitter import layout
from include.twitter.identities import known_accounts
from include.twitter.records import LedgerEntry, Manifest, Receipt
from include.twitter.response import Response
from tests.include.factories import DAY
from tests.include.transform.promised import PROMISED
from tests.kept_bucket import checked_in, deployment, land

UNREACHABLE = "http://127.0.0.1:1"
UNVERSIONED = {"twitter_accounts/accounts.json"}


@pytest.fixture
def store():
    return checked_in()


def test_every_record_names_its_format(store):
    records = [key for key in store.objects if key.endswith(".json") and key not in UNVERSIONED]
    assert len(records) >= 4
    assert {json.loads(store.read(key))["format"] for key in records} == {1}


def test_the_records_of_a_landed_day_are_read(store):
    manifest, receipt = (
        store.record(layout.manifest(DAY, 1), Manifest),
        store.record(layout.receipt(DAY), Receipt),
    )
    [ledger] = [store.record(key, LedgerEntry) for key in store.keys("twitter_ledger/")]
    assert [(account.username, account.id) for account in manifest.accounts] == [
        ("ObservatoryHill", "42"),
        ("rowan_sky", "77"),
    ]
    assert (receipt.totals.fetched, receipt.totals.published, receipt.totals.rejected) == (10, 8, 1)
    assert ledger.spent_mills == round(receipt.cost_usd * 1000) == sum(manifest.mills.values())
    accounts = known_accounts(store.read("twitter_accounts/accounts.json"))
    assert {handle: account.id for handle, account in accounts.items()} == {
        "observatoryhill": "42",
        "rowan_sky": "77",
    }


def test_the_stored_responses_and_tables_are_read(store):
    pages = [key for key in store.keys(layout.raw(DAY)) if key.endswith(".json.gz")]
    responses = [Response.from_bytes(store.read(key)) for key in pages]
    assert sum(len(response.posts) for response in responses if response.kind == "posts") == 10
    rows = list(csv.DictReader(io.StringIO(store.read(layout.csv(DAY)).decode(), newline="")))
    table = pyarrow.parquet.read_table(io.BytesIO(store.read(layout.parquet(DAY))), partitioning=None)
    assert [row["tweet_id"] for row in rows] == table["tweet_id"].to_pylist()
    assert {layout.parse_receipt(key) for key in store.keys("twitter_receipts/")} == {DAY}


def test_a_clear_of_all_stages_requests_nothing_and_publishes_the_same_table_with_the_columns_of_today(store):
    landed = store.read(layout.csv(DAY)).splitlines()
    with deployment(store, UNREACHABLE, "ObservatoryHill, rowan_sky"):
        assert land("scheduled__2026-11-18")["rows"] == 8
    table = store.read(layout.csv(DAY)).splitlines()
    assert [line[: len(before)] for line, before in zip(table, landed, strict=True)] == landed
    assert table[0].decode().split(",") == [*PROMISED]
    assert [
        row["quoted_tweet_id"]
        for row in csv.DictReader(map(bytes.decode, table))
        if row["is_quote"] == "true"
    ] == ["1990000000000000001"]
