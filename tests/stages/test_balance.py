"""fetched = published + rejected + duplicates + outside + over the limit, for all that the tests have bought.

It runs last: see `conftest`.
"""

import pytest

pytestmark = pytest.mark.live

PARTS = ("published", "rejected", "duplicates", "outside", "over_limit")


def test_every_account_of_every_receipt_balances(pipeline, bucket):
    pipeline.put(tweet_limit=50)
    pipeline.transform(pipeline.extract("posts_120_last, posts_5_last"))
    receipts = [bucket.json(key) for key in bucket.keys("") if key.endswith("receipt.json")]

    accounts = [account for receipt in receipts for account in receipt["accounts"]]

    assert len(accounts) >= 2
    assert max(account["fetched"] for account in accounts) > 50
    unbalanced = [a for a in accounts if a["fetched"] != sum(a[part] for part in PARTS)]
    assert unbalanced == []
    for receipt in receipts:
        totals = {part: sum(a[part] for a in receipt["accounts"]) for part in PARTS}
        assert totals == {part: receipt["totals"][part] for part in PARTS}
