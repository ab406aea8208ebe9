"""A rerun never destroys what was landed."""

import pytest

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.errors import RowLossBlocked
from local.x_api import posts
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
