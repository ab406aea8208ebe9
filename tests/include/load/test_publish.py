"""The copies to what readers see, and what is told about them."""

import pytest

from include.twitter.load.publish import essentials, publish, warn_of_gaps
from include.twitter.run import Run
from tests.include.invented import DAY, RECEIVED, MemoryLake, a_receipt, account_receipt


@pytest.fixture
def lake():
    return MemoryLake()


def test_posts_that_broke_the_contract_are_told_with_where_they_are(lake, caplog):
    receipt = a_receipt(account_receipt("NASA", 2))
    receipt.objects.clear()
    receipt.totals.rejected = 2
    publish(lake, DAY, DAY.staging("c0ffee123456"), receipt)
    assert caplog.messages[-1] == f"2 posts broke the contract: s3://acme-twitter-lake/{DAY.rejected}"


def test_days_of_the_last_week_that_are_not_landed_are_told_from_the_first_landed_day_on(lake, caplog):
    for day in ("2026-11-14", "2026-11-16", "2026-11-18"):
        lake.write(f"twitter_receipts/dt={day}/receipt.json", b"{}")
    warn_of_gaps(lake, Run(DAY, "c0ffee123456", now=lambda: RECEIVED))
    assert caplog.messages == [
        "Not landed among the last 7 days: 2026-11-15, 2026-11-17. Trigger `twitter_plan` to fill them."
    ]


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
