"""Buying on the real scheduler: killed in the middle, and without a secret in sight."""

import json
import os
import signal
from pathlib import Path

import pytest

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.x.client import READERS
from local import x_api
from local.x_api import posts
from tests.drivers import eventually
from tests.e2e.conftest import running_task

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_purchase_whose_supervisor_and_task_are_killed_buys_no_page_twice(
    airflow, stack, bucket, x, variables, empty_day
):
    buy_and_kill(airflow, stack, bucket, x, variables, empty_day, with_supervisor=True)


def buy_and_kill(airflow, stack, bucket, x, variables, empty_day, *, with_supervisor: bool) -> None:
    variables(twitter_handles="posts_1990_kill", twitter_tweet_limit="0")
    x.latency(400)
    run = airflow.trigger(day=empty_day)
    eventually(lambda: len(x.pages()), lambda pages: pages >= 3)
    process_of_task = running_task(stack)
    # The supervisor first: nobody is left to tell.
    for process in [process_of_task.parent(), process_of_task] if with_supervisor else [process_of_task]:
        os.kill(process.pid, signal.SIGKILL)
    x.latency(0)
    assert airflow.wait(run) == "success"

    requested = [where(page["query"]) for page in x.pages()]
    assert len(requested) - len(set(requested)) <= READERS
    raw = [
        key
        for key in bucket.keys(f"twitter_raw/dt={empty_day}/")
        if f"/{posts.user_id('posts_1990_kill')}/" in key
    ]
    staged = [json.loads(bucket.read(key))["request"]["params"] for key in raw]
    pages = [where(request) for request in staged]
    assert len(pages) == len(set(pages)) >= 20
    assert set(pages) <= set(requested)
    totals = bucket.json(layout.receipt(Day.parse(empty_day)))["totals"]
    assert totals["published"] + totals["duplicates"] == 1990


def where(query: dict[str, str]) -> str:
    """What leads to a page: a token, or the post that a later try goes on below."""
    return query.get("pagination_token") or query.get("until_id") or "the first"


def test_no_log_xcom_or_object_holds_a_secret(landed, airflow, stack, bucket):
    secrets = [
        secret.encode()
        for secret in (
            x_api.CONSUMER_KEY,
            x_api.CONSUMER_SECRET,
            x_api.ACCESS_TOKEN,
            x_api.ACCESS_TOKEN_SECRET,
            x_api.BEARER_TOKEN,
        )
    ]
    texts = {
        str(file): file.read_bytes()
        for folder in (stack.logs, stack.state / "airflow" / "logs", stack.state / "x_api")
        for file in Path(folder).rglob("*")
        if file.is_file()
    }
    assert any(b'"level":"debug"' in text or b"DEBUG" in text for text in texts.values())
    run, *_ = landed.values()
    texts |= {task: json.dumps(airflow.xcom(run, task)).encode() for task in ("extract", "transform", "load")}
    for key in bucket.keys(""):
        texts[key] = bucket.read(key)
    leaks = {name for name, text in texts.items() for secret in secrets if secret in text}
    assert leaks == set()
