"""A day on the real scheduler: backfilled, retried, cleared and triggered, as people do it in the UI."""

import csv
import io
import json
from datetime import UTC, datetime, time, timedelta

import pyarrow.parquet
import pytest

from include.twitter import layout
from include.twitter.day import Day
from local.stack import VARIABLES
from local.x_api import posts
from tests import demo
from tests.drivers import eventually
from tests.e2e.conftest import TODAY, day_ago

pytestmark = pytest.mark.live

FIRST, SECOND, THIRD = day_ago(4), day_ago(3), day_ago(2)


def rows_of(bucket, day: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(bucket.read(layout.csv(Day.parse(day))).decode(), newline="")))


def test_a_backfill_of_three_dates_lands_the_same_three_days(landed, bucket):
    assert sorted(landed) == [FIRST, SECOND, THIRD]
    for day in landed:
        rows = rows_of(bucket, day)
        assert {row["created_at"][:10] for row in rows} == {day}
        assert {row["username"] for row in rows} <= {"acme_press", "orbital_news", "quiet_garden"}
        assert bucket.json(layout.receipt(Day.parse(day)))["totals"]["published"] == len(rows)


def test_each_landed_day_is_one_event_of_both_assets(landed, airflow, bucket):
    for day, run in landed.items():
        entries = airflow.call("GET", "/assets/events", params={"source_run_id": run})["asset_events"]
        events = {event["name"]: event for event in entries}
        assert len(entries) == len(events) == 2
        assert events["twitter_days"]["partition_key"] == day
        extra, receipt = events["twitter_days"]["extra"], bucket.json(layout.receipt(Day.parse(day)))
        assert events["twitter_refined_tweets"]["extra"] == extra
        assert (extra["day"], extra["bucket"]) == (day, bucket.name)
        assert (extra["rows"], extra["cost_usd"]) == (receipt["totals"]["published"], receipt["cost_usd"])
        assert extra["keys"] == {name: item["key"] for name, item in receipt["objects"].items()} | {
            "receipt": layout.receipt(Day.parse(day))
        }


def test_the_log_of_extract_begins_with_its_day_and_ends_with_its_cost(landed, airflow):
    lines = [
        event["event"] for event in airflow.log(landed[SECOND], "extract") if event.get("level") == "info"
    ]
    first = next(n for n, line in enumerate(lines) if f"Day {SECOND} (UTC)" in line)
    assert any(line.startswith("Bought") for line in lines[first:])


def test_every_setting_is_a_variable_with_its_meaning(airflow):
    variables = airflow.call("GET", "/variables", params={"limit": 100})["variables"]
    shown = {variable["key"]: variable["description"] for variable in variables}
    settings = json.loads(VARIABLES.read_text())
    assert settings.keys() <= shown.keys()
    assert all(shown[name] == setting["description"] for name, setting in settings.items())


def test_a_day_holds_all_that_the_demo_accounts_show(landed, bucket):
    for day in map(Day.parse, landed):
        rows = pyarrow.parquet.read_table(io.BytesIO(bucket.read(layout.parquet(day)))).to_pylist()
        assert demo.missing(rows) == []
        accounts = {line["username"]: line for line in bucket.json(layout.receipt(day))["accounts"]}
        assert all(line["published"] in demo.PUBLISHED[handle] for handle, line in accounts.items())
        assert accounts["acme_press"]["duplicates"] >= 1


def test_clearing_transform_and_then_load_publishes_the_same_bytes_without_a_call_to_x(
    landed, airflow, bucket, x
):
    run, day = landed[SECOND], Day.parse(SECOND)
    before = {
        key: bucket.stored(key)
        for key in (layout.csv(day), layout.parquet(day), layout.rejected(day), layout.receipt(day))
    }
    version = bucket.version(layout.csv(day))
    for task in ("transform", "load"):
        airflow.clear(run, task)
        assert airflow.wait(run) == "success"
    assert {key: bucket.stored(key) for key in before} == before
    assert bucket.version(layout.csv(day)) != version
    assert x.requests() == []


def test_a_date_that_is_bought_again_is_replaced_by_equal_rows_captured_later(landed, airflow, bucket, x):
    before = rows_of(bucket, FIRST)
    run = airflow.trigger(day=FIRST, buy_again=True)
    assert airflow.wait(run) == "success"
    assert "/buy=2/" in airflow.xcom(run, "extract")["manifest"]
    after = rows_of(bucket, FIRST)
    assert {row["captured_at"] for row in after}.isdisjoint({row["captured_at"] for row in before})
    assert [{**row, "captured_at": ""} for row in after] == [{**row, "captured_at": ""} for row in before]
    assert [request for request in x.requests() if request["path"].endswith("/tweets")]


def test_each_failed_stage_is_cleared_alone_and_goes_on_where_it_stopped(
    airflow, bucket, x, variables, empty_day
):
    variables(twitter_handles="posts_250_walk, suspended_one", twitter_tweet_limit="0")
    refusal = {"title": "CreditsDepleted", "type": "https://api.x.com/2/problems/credits"}
    x.order({"match": "GET /2/users/.*/tweets", "skip": 2, "status": 402, "body": refusal})
    run = airflow.trigger(day=empty_day)
    assert airflow.wait(run) == "failed"
    assert airflow.states(run) == {
        "extract": "failed",
        "transform": "upstream_failed",
        "load": "upstream_failed",
    }
    assert "Buy credits in X's developer console" in airflow.log_text(run, "extract")

    x.behave()
    x.forget()
    airflow.clear(run, "extract")
    airflow.wait_for_task(run, "extract", "success")
    assert airflow.wait(run) == "failed"  # the stages after it still are
    pages = [request for request in x.requests() if request["path"].endswith("/tweets")]
    staged = [
        key
        for key in bucket.keys(f"twitter_raw/dt={empty_day}/")
        if f"/{posts.user_id('posts_250_walk')}/" in key
    ]
    assert len(pages) == len(staged) - 2  # the two of the first try

    airflow.clear(run, "transform", "load")
    assert airflow.wait(run) == "failed"
    assert airflow.states(run) == {"extract": "success", "transform": "success", "load": "failed"}
    assert "suspended_one: Forbidden: User has been suspended" in airflow.log_text(run, "load")
    totals = bucket.json(layout.receipt(Day.parse(empty_day)))["totals"]
    assert totals["published"] + totals["duplicates"] == 250
    assert len(rows_of(bucket, empty_day)) == totals["published"]

    x.forget()
    variables(twitter_handles="posts_250_walk")
    airflow.clear(run, "load")
    assert airflow.wait(run) == "success"
    assert x.requests() == []


def test_runs_that_name_no_day_to_collect_fail_at_once_and_call_no_x(airflow, x):
    tomorrow = TODAY + timedelta(days=1)
    runs = {
        f"{tomorrow} has not ended": airflow.trigger(day=str(tomorrow)),
        "Trigger again with `day`": airflow.trigger(),
        "its logical date does not count": airflow.trigger(logical_date="2026-09-10T00:00:00Z"),
        "day=2026-09-01 cannot be combined with a backfill run": airflow.backfilled(
            "2026-09-12", "2026-09-12", dag_run_conf={"day": "2026-09-01"}
        )["2026-09-12"],
    }
    for sentence, run in runs.items():
        assert airflow.wait(run) == "failed"
        errors = [event["event"] for event in airflow.log(run, "extract") if event.get("level") == "error"]
        assert sentence in errors[-1] and "Airflow does not try again" in errors[-1]
        assert airflow.call("GET", f"/dags/twitter/dagRuns/{run}/taskInstances/extract")["try_number"] == 1
    assert x.requests() == []


def test_an_unsettled_day_and_a_rate_window_wait_without_a_slot_and_what_can_goes_on(
    stack, airflow, bucket, x, variables, empty_day
):
    variables(twitter_handles="posts_4_window", twitter_settle_minutes="1440")
    # It settles at the next midnight.
    eventually(lambda: datetime.now(UTC).time(), lambda now: now < time(23, 58))
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    waiting = airflow.trigger(day=str(yesterday))
    airflow.wait_for_task(waiting, "extract", "up_for_reschedule")

    reset = int(datetime.now(UTC).timestamp()) + 20  # later than extract begins on a slow machine
    body = {"title": "Too Many Requests", "type": "about:blank", "status": 429, "detail": "Too Many Requests"}
    headers = {"x-rate-limit-limit": 1, "x-rate-limit-remaining": 0, "x-rate-limit-reset": reset}
    x.order({"match": "GET /2/users/.*/tweets", "status": 429, "body": body, "headers": headers})
    other = airflow.trigger(day=empty_day)
    airflow.wait_for_task(other, "extract", "up_for_reschedule")  # the look-up was bought: no try is used
    assert airflow.call("GET", "/pools/default_pool")["occupied_slots"] == 0
    assert airflow.wait(other) == "success"
    again = [datetime.fromisoformat(page["time"]).timestamp() for page in x.pages()][1]
    assert again >= reset

    assert airflow.states(waiting)["extract"] == "up_for_reschedule"
    extract = next(stage for stage in stack.airflow.stages(waiting) if stage.name == "extract")
    comes_back = f"the task continues at {yesterday + timedelta(days=2)} 00:00 UTC"
    why = f"{yesterday} has ended but may still change: {comes_back}"
    assert stack.airflow.why_it_waits(waiting, extract) == why
    assert not [r for r in x.requests() if str(yesterday) in str(r["query"])]
    airflow.call("PATCH", f"/dags/twitter/dagRuns/{waiting}", json={"state": "failed"})
