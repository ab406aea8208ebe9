"""The copies to what readers see, and what is event about them."""

import json

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.load.publish import asset_event, warn_of_gaps
from include.twitter.records import PublishedObject
from tests.include.factories import DAY, RECEIVED, MemoryStore, a_receipt, account_receipt


def test_days_of_the_last_week_that_are_not_landed_are_logged_from_the_first_landed_day_on(caplog):
    store = MemoryStore()
    for day in ("2026-11-14", "2026-11-16", "2026-11-18"):
        store.write(f"twitter_receipts/dt={day}/receipt.json", b"{}")
    warn_of_gaps(store, Run(DAY, "c0ffee123456", now=lambda: RECEIVED))
    assert caplog.messages == [
        "Not landed among the last 7 days: 2026-11-15, 2026-11-17. Trigger `twitter_plan` to fill them."
    ]


def test_the_asset_event_carries_day_keys_rows_cost_and_proof():
    receipt = a_receipt(
        account_receipt("NASA", 200),
        account_receipt("esa", 90, proof="short"),
        account_receipt("JAXA_en", 9, proof="surplus"),
        account_receipt("isro", 100, proof="limited"),
        account_receipt("gone", 0, outcome="unavailable", proof="unchecked"),
    )
    assert asset_event(receipt, "acme-twitter-lake") == {
        "day": "2026-11-18",
        "bucket": "acme-twitter-lake",
        "keys": {
            "csv": "twitter/dt=2026-11-18/refined_tweets.csv",
            "receipt": "twitter_receipts/dt=2026-11-18/receipt.json",
        },
        "sha256": {"csv": "ab"},
        "rows": 399,
        "cost_usd": 1.525,
        "accounts": 5,
        "proof": {"limited": 1, "matched": 1, "short": 1, "surplus": 1, "unchecked": 1},
        "differing": ["esa", "JAXA_en"],
        "unavailable": ["gone"],
    }


def test_the_asset_event_of_a_thousand_accounts_stays_below_4_kb():
    doubted = {"outcome": "unavailable", "proof": "short"}
    accounts = [account_receipt(f"longest_name{number:03}", 100, **doubted) for number in range(1000)]
    receipt = a_receipt(*accounts)
    for name, key in layout.tables(DAY).items():
        receipt.objects[name] = PublishedObject(key=key, bytes=10**9, sha256="a" * 64, etag='"cd"')
    event = asset_event(receipt, "b" * 63)
    assert event["proof"] == {"short": 1000}
    assert len(json.dumps(event)) < 4096
