"""The index of days, kept by `load` on the real S3 protocol with the role's own rights."""

import json

import pytest

from include.twitter import days, lake

pytestmark = pytest.mark.live

INDEX = "twitter_days/month=2026-11/index.json"


def test_load_keeps_the_index_of_its_month(pipeline, bucket):
    staged = pipeline.transform(pipeline.extract("posts_5_fine, suspended_one"))
    with pytest.raises(Exception, match="published without 1 of 2 accounts"):
        pipeline.load(staged)
    line = bucket.json(INDEX)["days"]["2026-11-20"]
    assert [(a["username"], a["outcome"], a["published"]) for a in line["accounts"]] == [
        ("posts_5_fine", "complete", 5),
        ("suspended_one", "unavailable", 0),
    ]
    landed, ledger = days.read(lake.deployed(), {"2026-11"})
    assert list(landed) == ["2026-11-20"]
    assert sum(entry.spent_mills for entry in ledger.values()) == bucket.ledger_mills()
    assert list(line["ledger"].values()) == bucket.ledger()


def test_a_day_lands_also_where_its_index_cannot_be_written(pipeline, bucket, caplog):
    staged = pipeline.transform(pipeline.extract("posts_5_fine"))
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket.name}/twitter_days/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denial]})
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=policy)
    try:
        assert pipeline.load(staged)["rows"] == 5
    finally:
        bucket.client.delete_bucket_policy(Bucket=bucket.name)
    assert "The index of 2026-11 is not kept, so Days reads its receipts." in caplog.messages
    assert bucket.keys("twitter_days/") == []
    assert list(days.read(lake.deployed(), {"2026-11"}).landed) == ["2026-11-20"]


def test_the_beginning_of_a_large_object_is_read_alone(deployment, bucket):
    key = "staging/twitter/large.csv"
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"ab" * 1000)
    here = lake.deployed()
    assert here.beginning(key, 5) == b"ababa"
    assert here.beginning(key, 9999) == b"ab" * 1000
    assert here.beginning("staging/twitter/none.csv", 5) is None
