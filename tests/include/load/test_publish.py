"""The copies to what readers see, and what is told about them."""

import pytest

from include.twitter.errors import NothingStaged
from include.twitter.load.publish import essentials, publish, warn_of_gaps
from include.twitter.records import PublishedObject, Receipt, decoded
from include.twitter.run import Run
from tests.include.invented import DAY, RECEIVED, MemoryLake, a_receipt, account_receipt

STAGING = DAY.staging("c0ffee123456")


@pytest.fixture
def lake():
    return MemoryLake()


def staged(lake):
    """A receipt, and the two files that it names."""
    receipt = a_receipt(account_receipt("NASA", 2))
    for name in ("csv", "parquet"):
        key = getattr(DAY, name)
        lake.write(f"{STAGING}{key.split('/')[-1]}", name.encode())
        tag = lake.look(lake.written[-1]).tag
        receipt.objects[name] = PublishedObject(key=key, bytes=len(name), sha256="ab", etag=tag)
    lake.written.clear()
    return receipt


def test_the_receipt_is_published_last(lake):
    publish(lake, DAY, STAGING, staged(lake))
    assert lake.written == [DAY.csv, DAY.parquet, DAY.receipt]
    assert lake.read(DAY.csv) == b"csv"
    assert decoded(lake.read(DAY.receipt), Receipt).totals.published == 2


def test_a_staged_object_that_was_overwritten_is_not_published_and_neither_is_the_receipt(lake):
    receipt = staged(lake)
    lake.objects[f"{STAGING}refined_tweets.parquet"] = b"of another try"
    with pytest.raises(NothingStaged):
        publish(lake, DAY, STAGING, receipt)
    assert lake.written == [DAY.csv]


def test_posts_that_broke_the_contract_are_told_with_where_they_are(lake, caplog):
    receipt = staged(lake)
    receipt.totals.rejected = 2
    publish(lake, DAY, STAGING, receipt)
    assert caplog.messages[-1] == f"2 posts broke the contract: s3://acme-twitter-lake/{DAY.rejected}"


def test_days_of_the_last_week_that_are_not_landed_are_told_from_the_first_landed_day_on(lake, caplog):
    for day in ("2026-11-14", "2026-11-16", "2026-11-18"):
        lake.write(f"twitter_receipts/dt={day}/receipt.json", b"{}")
    warn_of_gaps(lake, Run(DAY, "c0ffee123456", now=lambda: RECEIVED))
    assert caplog.messages == ["Not landed among the last 7 days: 2026-11-15, 2026-11-17. Backfill them."]


def test_the_asset_event_carries_the_essentials():
    gone = account_receipt("gone", 0, outcome="unavailable", proof="unchecked")
    assert essentials(a_receipt(account_receipt("NASA", 200), gone)) == {
        "day": "2026-11-18",
        "rows": 200,
        "accounts": 2,
        "unavailable": ["gone"],
        "cost_usd": 1.525,
        "proof": {"NASA": "matched", "gone": "unchecked"},
        "objects": {"csv": "twitter/dt=2026-11-18/refined_tweets.csv"},
    }
