"""Publishing on the real scheduler: a day is of one run."""

import hashlib

import pytest

from include.twitter import layout
from include.twitter.day import Day

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_runs_of_one_day_at_once_leave_the_files_of_one_and_the_same_run(
    airflow, bucket, x, variables, empty_day
):
    variables(twitter_handles="posts_5_once")
    day = Day.parse(empty_day)
    runs = [airflow.trigger(day=str(day)) for _ in range(2)]
    assert {airflow.wait(run) for run in runs} == {"success"}
    published = bucket.json(layout.receipt(day))
    for item in published["objects"].values():
        head = bucket.client.head_object(Bucket=bucket.name, Key=item["key"])
        assert head["ContentLength"] == item["bytes"]
        assert hashlib.sha256(bucket.stored(item["key"])).hexdigest() == item["sha256"]
    assert [key for key in bucket.keys(f"twitter_raw/dt={day}/") if key.endswith("manifest.json")] == [
        f"twitter_raw/dt={day}/buy=1/manifest.json"
    ]
