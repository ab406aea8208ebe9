"""A rerun never destroys what was landed."""

import csv
import hashlib
import io

import pyarrow.parquet
import pytest

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.errors import RowLossBlocked
from include.twitter.transform import contract
from local.x_api import posts
from tests.include.transform.promised import ADDED, PROMISED
from tests.stages.conftest import RECENT

pytestmark = pytest.mark.live


def test_a_rerun_that_lost_an_account_publishes_nothing_until_the_day_is_accepted(pipeline, x, bucket):
    day = Day.parse(RECENT)
    pipeline.load(pipeline.transform(pipeline.extract("posts_8_keep, posts_9_keep, posts_9_lost")))
    landed = {
        key: bucket.stored(key)
        for key in (layout.csv(day), layout.parquet(day), layout.rejected(day), layout.receipt(day))
    }
    x.order(
        {
            "match": f"GET /2/users/{posts.user_id('posts_9_lost')}/tweets",
            "times": 9,
            "status": 200,
            "body": {"meta": {"result_count": 0}},
        },
        {
            "match": "GET /2/tweets/counts",
            "status": 200,
            "times": 9,
            "body": {"meta": {"total_tweet_count": 0}},
        },
    )
    again = {"name": "again", "buy_again": True}
    staged = pipeline.transform(pipeline.extract(**again), **again)
    with pytest.raises(RowLossBlocked, match=r"posts_9_lost: \d rows are landed, this run has 0"):
        pipeline.load(staged, **again)
    assert {key: bucket.stored(key) for key in landed} == landed

    pipeline.put(allow_row_loss=RECENT)
    x.forget()
    pipeline.load(staged, **again)
    assert x.requests() == []
    assert {row["username"] for row in bucket.rows(layout.csv(day))} == {"posts_8_keep", "posts_9_keep"}


def test_two_airflows_whose_runs_have_one_id_publish_each_its_own(pipeline, bucket):
    day = Day.parse(RECENT)
    pipeline.put(tweet_limit=0)
    all_of_it = pipeline.transform(pipeline.extract("posts_8_keep"))
    pipeline.put(tweet_limit=2)
    two = pipeline.transform(pipeline.extract())

    pipeline.load(all_of_it)
    assert len(bucket.rows(layout.csv(day))) == 7  # one is an edited version
    pipeline.put(allow_row_loss=RECENT)
    pipeline.load(two)
    assert len(bucket.rows(layout.csv(day))) == 2


def test_a_clear_of_transform_gives_a_day_of_fewer_columns_those_of_today_and_requests_nothing(
    pipeline, x, bucket
):
    day = Day.parse(RECENT)
    bought = pipeline.extract("acme_press, posts_50_a")
    pipeline.load(pipeline.transform(bought))
    today = {key: bucket.stored(key) for key in (layout.csv(day), layout.parquet(day))}
    table = pyarrow.parquet.read_table(io.BytesIO(bucket.read(layout.parquet(day))), partitioning=None)
    older = table.select([*PROMISED][: -len(ADDED)])
    parquet, text = io.BytesIO(), io.StringIO()
    lines = csv.DictWriter(text, older.column_names, extrasaction="ignore", lineterminator="\n")
    lines.writeheader()
    lines.writerows(bucket.rows(layout.csv(day)))
    pyarrow.parquet.write_table(older, parquet)
    bucket.store(layout.parquet(day), parquet.getvalue())
    bucket.store(layout.csv(day), text.getvalue().encode())
    receipt = bucket.json(layout.receipt(day))
    for kind, key in (("csv", layout.csv(day)), ("parquet", layout.parquet(day))):
        data = bucket.stored(key)
        receipt["objects"][kind] |= {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "etag": bucket.version(key),
        }
    receipt["versions"]["contract"] = "2"
    bucket.write(layout.receipt(day), receipt)

    x.forget()
    assert pipeline.load(pipeline.transform(bought))["rows"] == len(older)
    assert x.requests() == []
    assert {key: bucket.stored(key) for key in today} == today
    assert bucket.json(layout.receipt(day))["versions"]["contract"] == contract.VERSION
    rows = bucket.rows(layout.csv(day))
    assert {row["has_poll"] for row in rows} == {"true", "false"}
    assert {row["media"] for row in rows} > {"[]"}
    assert all(row["quoted_username"] for row in rows if row["is_quote"] == "true")
