"""Publishing on the real scheduler: a rerun never destroys what was landed, and a day is of one run."""

import csv
import hashlib
import io
import re

import pytest

from include.twitter.day import Day

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_rerun_that_lost_an_account_publishes_nothing_until_the_day_is_accepted(
    airflow, bucket, x, variables, empty_day
):
    handles = ["posts_8_keep", "posts_9_keep", "posts_9_lost"]
    variables(twitter_handles=", ".join(handles))
    day = Day.parse(empty_day)
    run = airflow.trigger(day=str(day))
    assert airflow.wait(run) == "success"
    landed = {key: bucket.stored(key) for key in (day.csv, day.parquet, day.rejected, day.receipt)}

    nothing = {"status": 200, "body": {"meta": {"result_count": 0}}}
    user = next(a["id"] for a in bucket.json(day.receipt)["accounts"] if a["username"] == "posts_9_lost")
    x.order(
        {"match": f"GET /2/users/{user}/tweets", "times": 9, **nothing},
        {
            "match": "GET /2/tweets/counts",
            "status": 200,
            "times": 9,
            "body": {"meta": {"total_tweet_count": 0}},
        },
    )
    run = airflow.trigger(day=str(day), buy_again=True)
    assert airflow.wait(run) == "failed"
    assert airflow.states(run)["load"] == "failed"
    said = airflow.log_text(run, "load")
    assert "Nothing is published" in said
    assert re.search(r"posts_9_lost: \d rows are landed, this run has 0", said)
    assert {key: bucket.stored(key) for key in landed} == landed

    variables(twitter_accept_shrink=str(day))
    x.forget()
    airflow.clear(run, "load")
    assert airflow.wait(run) == "success"
    assert x.requests() == []
    rows = list(csv.DictReader(io.StringIO(bucket.read(day.csv).decode(), newline="")))
    assert {row["username"] for row in rows} == {"posts_8_keep", "posts_9_keep"}


def test_runs_of_one_day_at_once_leave_the_files_of_one_and_the_same_run(
    airflow, bucket, x, variables, empty_day
):
    variables(twitter_handles="posts_5_once")
    day = Day.parse(empty_day)
    runs = [airflow.trigger(day=str(day)) for _ in range(2)]
    assert {airflow.wait(run) for run in runs} == {"success"}
    published = bucket.json(day.receipt)
    for item in published["objects"].values():
        head = bucket.client.head_object(Bucket=bucket.name, Key=item["key"])
        assert head["ContentLength"] == item["bytes"]
        assert hashlib.sha256(bucket.stored(item["key"])).hexdigest() == item["sha256"]
    assert [key for key in bucket.keys(f"twitter_raw/dt={day}/") if key.endswith("manifest.json")] == [
        f"twitter_raw/dt={day}/buy=1/manifest.json"
    ]
