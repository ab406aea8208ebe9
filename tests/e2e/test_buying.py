"""Buying on the real scheduler: killed in the middle, held up by X, and short of accounts."""

import gzip
import json
import os
import signal
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from include.twitter.day import Day
from include.twitter.x_api import READERS
from local import x_api
from local.stack import MARK
from tests.e2e.conftest import day_ago, eventually

pytestmark = [pytest.mark.live, pytest.mark.slow]


def running_task(stack) -> psutil.Process:
    """The process that runs a task's code; its parent is the supervisor."""

    def found() -> psutil.Process | None:
        for process in psutil.process_iter():
            try:
                above = " ".join(process.parent().cmdline()) if process.parent() else ""
                ours = process.environ().get(MARK) == str(stack.state)
            except psutil.Error:
                continue
            if ours and above.startswith("airflow worker -- LocalExecutor"):
                return process
        return None

    return eventually(found, lambda process: process is not None, 60)


def test_a_purchase_killed_twice_buys_no_page_twice(airflow, stack, bucket, x, variables):
    variables(twitter_handles="posts_1990_kill", twitter_tweet_limit="0")
    x.slow(ms=400)
    run = airflow.trigger(day=day_ago(5))
    eventually(lambda: len(x.pages()), lambda pages: pages >= 3, 90)
    os.kill(running_task(stack).pid, signal.SIGKILL)
    airflow.wait_for_task(run, "extract", "up_for_retry")
    served = len(x.pages())
    eventually(lambda: len(x.pages()), lambda pages: pages >= served + 3, 120)
    child = running_task(stack)
    for process in (child.parent(), child):  # the supervisor first: nobody is left to tell
        os.kill(process.pid, signal.SIGKILL)
    x.slow(ms=0)
    assert airflow.wait(run, seconds=240) == "success"

    asked = [page["query"].get("pagination_token") for page in x.pages()]
    assert len(asked) - len(set(asked)) <= READERS
    raw = [key for key in bucket.keys(f"twitter_raw/dt={day_ago(5)}/") if "/posts_1990_kill/" in key]
    staged = [json.loads(gzip.decompress(bucket.read(key)))["request"]["params"] for key in raw]
    tokens = [request.get("pagination_token") for request in staged]
    assert len(tokens) == len(set(tokens)) >= 20
    assert set(tokens) == set(asked)
    totals = bucket.json(Day.parse(day_ago(5)).receipt)["totals"]
    assert totals["published"] + totals["duplicates"] == 1990


def test_a_rate_window_is_waited_out_without_a_slot(airflow, x, variables):
    variables(twitter_handles="posts_4_window")
    reset = int(time.time()) + 20
    body = {"title": "Too Many Requests", "type": "about:blank", "status": 429, "detail": "Too Many Requests"}
    headers = {"x-rate-limit-limit": 1, "x-rate-limit-remaining": 0, "x-rate-limit-reset": reset}
    x.order({"match": "GET /2/users/.*/tweets", "status": 429, "body": body, "headers": headers})
    run = airflow.trigger(day=day_ago(5))
    airflow.wait_for_task(run, "extract", "up_for_retry")
    assert airflow.call("GET", "/pools/default_pool")["occupied_slots"] == 0
    assert airflow.wait(run) == "success"
    again = [datetime.fromisoformat(page["time"]).timestamp() for page in x.pages()][1]
    assert 0 <= again - reset <= 15


def test_of_100_accounts_95_land_and_five_are_named_until_they_are_mended(airflow, bucket, x, variables):
    gone = ["suspended_1", "suspended_2", "suspended_3", "protected_1", "unknown_1"]
    fine = [f"posts_53_{n}" for n in range(95)]
    variables(twitter_handles=", ".join([*fine, *gone]))
    run = airflow.trigger(day=day_ago(5))
    assert airflow.wait(run) == "failed"
    assert airflow.states(run) == {"extract": "success", "transform": "success", "load": "failed"}
    log = airflow.log_text(run, "load")
    assert f"{day_ago(5)} is published without 5 of 100 accounts" in log
    assert all(f"{handle}: " in log for handle in gone)
    totals = bucket.json(Day.parse(day_ago(5)).receipt)["totals"]
    assert totals["published"] + totals["duplicates"] == 95 * 53 > 5000
    assert totals["proof"] == {"matched": 95, "unchecked": 5}

    x.forget()
    airflow.clear(run, "extract")
    airflow.wait_for_task(run, "extract", "success")
    assert airflow.wait(run) == "failed"  # load still is
    asked = {handle for request in x.requests() for handle in request["handles"]}
    assert asked == set(gone)

    x.forget()
    variables(twitter_handles=", ".join(fine))
    airflow.clear(run, "load")
    assert airflow.wait(run) == "success"
    assert x.requests() == []
    assert "Waived" in airflow.log_text(run, "load")
    handed_on = [airflow.xcom(run, task) for task in ("extract", "transform", "load")]
    assert sum(len(json.dumps(value)) for value in handed_on) < 4096


def test_three_backfilled_days_stay_below_the_cap_of_the_month(airflow, bucket, x, variables):
    bucket.delete("twitter_ledger/")  # if a month ends meanwhile, the next one is empty too
    # One day of 60 posts fits, a second one does not.
    variables(twitter_handles="posts_60_cap", twitter_month_budget_usd="0.50")
    runs = airflow.backfill(day_ago(5), day_ago(3))
    states = [airflow.wait(run) for run in runs.values()]
    spent: Counter[str] = Counter()
    for entry in entries(bucket):
        spent[entry["month"]] += entry["spent_mills"]
    assert 1 <= states.count("success") <= len(spent)
    assert max(spent.values()) <= 500
    stopped = next(run for run, state in zip(runs.values(), states, strict=True) if state == "failed")
    assert "Raise twitter_month_budget_usd and clear `extract`" in airflow.log_text(stopped, "extract")


def entries(bucket) -> list[dict]:
    return [bucket.json(key) for key in bucket.keys("twitter_ledger/")]


def test_no_log_xcom_or_object_holds_a_secret(airflow, stack, bucket, x, variables):
    variables(twitter_handles="acme_press")
    run = airflow.trigger(day=day_ago(5))
    assert airflow.wait(run) == "success"
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
    said = {
        str(file): file.read_bytes()
        for folder in (stack.logs, stack.state / "airflow" / "logs", stack.state / "x_api")
        for file in Path(folder).rglob("*")
        if file.is_file()
    }
    assert any(b'"level":"debug"' in text or b"DEBUG" in text for text in said.values())
    said |= {task: json.dumps(airflow.xcom(run, task)).encode() for task in ("extract", "transform", "load")}
    for key in bucket.keys(""):
        data = bucket.read(key)
        said[key] = gzip.decompress(data) if key.endswith(".gz") else data
    leaks = {name for name, text in said.items() for secret in secrets if secret in text}
    assert leaks == set()


def test_every_account_of_every_receipt_balances(bucket):
    receipts = [bucket.json(key) for key in bucket.keys("") if key.endswith("/receipt.json")]
    assert receipts
    for receipt in receipts:
        for account in receipt["accounts"]:
            kept = ("published", "rejected", "duplicates", "outside", "over_limit")
            assert account["fetched"] == sum(account[name] for name in kept), (receipt["day"], account)
