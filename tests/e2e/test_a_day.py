"""A day on the real scheduler: backfilled, retried, cleared and triggered, as people do it in the UI."""

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet
import pytest

from include.twitter import contract
from include.twitter.contract import LINE_BREAKS
from include.twitter.day import Day
from tests.e2e.conftest import day_ago

pytestmark = pytest.mark.live

FIRST, SECOND, THIRD = day_ago(4), day_ago(3), day_ago(2)


@pytest.fixture(scope="module")
def landed(airflow):
    """Three days, backfilled at once with the handles that the stack is seeded with."""
    runs = airflow.backfill(FIRST, THIRD)
    assert [airflow.wait(run) for run in runs.values()] == ["success"] * 3
    return runs


def rows_of(bucket, day: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(bucket.read(Day.parse(day).csv).decode(), newline="")))


def test_a_backfill_of_three_dates_lands_the_same_three_days(landed, bucket):
    assert sorted(landed) == [FIRST, SECOND, THIRD]
    for day in landed:
        rows = rows_of(bucket, day)
        assert {row["created_at"][:10] for row in rows} == {day}
        assert {row["username"] for row in rows} <= {"acme_press", "orbital_news", "quiet_garden"}
        assert bucket.json(Day.parse(day).receipt)["totals"]["published"] == len(rows)


def test_every_published_key_is_there_and_as_the_receipt_says(landed, bucket):
    import hashlib

    for day in map(Day.parse, landed):
        objects = bucket.json(day.receipt)["objects"]
        assert {o["key"] for o in objects.values()} == {day.csv, day.parquet, day.rejected}
        for item in objects.values():
            data = bucket.read(item["key"])
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (item["sha256"], item["bytes"])


def test_csv_pandas_duckdb_and_pyarrow_read_the_same_rows(landed, bucket, tmp_path):
    day = Day.parse(THIRD)
    path, parquet = tmp_path / "refined_tweets.csv", tmp_path / "refined_tweets.parquet"
    path.write_bytes(bucket.read(day.csv))
    parquet.write_bytes(bucket.read(day.parquet))
    with path.open(newline="", encoding="utf-8") as file:
        by_csv = list(csv.reader(file))
    assert by_csv[0] == contract.NAMES
    assert len(path.read_bytes().split(b"\n")) == len(by_csv) + 1  # one record a line
    read_as_published = eval(contract.READ_CSV)  # noqa: S307 - the README's own line
    assert read_as_published.to_numpy().tolist() == by_csv[1:]
    by_duckdb = duckdb.sql(f"select * from read_csv('{path}', all_varchar=true, nullstr='\x01')").fetchall()
    assert [list(row) for row in by_duckdb] == by_csv[1:]
    typed = pyarrow.parquet.read_table(parquet)
    assert typed.schema.equals(contract.PARQUET_SCHEMA)
    assert [as_csv(row) for row in typed.to_pylist()] == by_csv[1:]


def as_csv(row: dict) -> list[str]:
    """A Parquet row as the CSV writes it."""
    return [
        ""
        if value is None
        else LINE_BREAKS.sub(" ", value)
        if name == "text"
        else value.strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(value, datetime)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if isinstance(value, list)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
        for name, value in row.items()
    ]


def test_rows_are_sorted_and_long_posts_are_whole(landed, bucket):
    rows = rows_of(bucket, THIRD)
    assert [(r["username"], r["created_at"], r["tweet_id"]) for r in rows] == sorted(
        (r["username"], r["created_at"], r["tweet_id"]) for r in rows
    )
    long = [row for row in rows if len(row["text"]) > 280]
    assert long
    assert not [row for row in long if "/i/web/status/" in row["text"] or "…" in row["text"][-2:]]


def test_clearing_transform_and_then_load_publishes_the_same_bytes_without_a_call_to_x(
    landed, airflow, bucket, x
):
    run, day = landed[SECOND], Day.parse(SECOND)
    before = {key: bucket.read(key) for key in (day.csv, day.parquet, day.rejected, day.receipt)}
    for task in ("transform", "load"):
        airflow.clear(run, task)
        assert airflow.wait(run) == "success"
    assert {key: bucket.read(key) for key in before} == before
    assert x.requests() == []


def test_clearing_load_alone_reads_no_raw_and_calls_no_x(landed, airflow, bucket, x):
    run, day = landed[FIRST], Day.parse(FIRST)
    published = bucket.client.head_object(Bucket=bucket.name, Key=day.csv)
    raw = {key: bucket.read(key) for key in bucket.keys(f"twitter_raw/dt={day}/")}
    bucket.delete(f"twitter_raw/dt={day}/")
    try:
        airflow.clear(run, "load")
        assert airflow.wait(run) == "success"
    finally:
        for key, data in raw.items():
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=data)
    again = bucket.client.head_object(Bucket=bucket.name, Key=day.csv)
    assert again["ETag"] == published["ETag"]
    assert again["VersionId"] != published["VersionId"]
    assert x.requests() == []


def test_clearing_a_complete_extract_alone_buys_again_and_publishes_nothing(landed, airflow, bucket, x):
    run, day = landed[THIRD], Day.parse(THIRD)
    version = bucket.client.head_object(Bucket=bucket.name, Key=day.csv)["VersionId"]
    airflow.clear(run, "extract")
    assert airflow.wait(run) == "success"
    assert [request["path"].split("/")[-1] for request in x.requests()].count("tweets") >= 3
    assert airflow.xcom(run, "extract")["manifest"].split("/")[-2] == "buy=2"
    assert bucket.client.head_object(Bucket=bucket.name, Key=day.csv)["VersionId"] == version


def test_clearing_a_date_whole_replaces_it_by_equal_rows_captured_later(landed, airflow, bucket, x):
    before = rows_of(bucket, FIRST)
    airflow.clear_run(landed[FIRST])
    assert airflow.wait(landed[FIRST]) == "success"
    after = rows_of(bucket, FIRST)
    assert {row["captured_at"] for row in after}.isdisjoint({row["captured_at"] for row in before})
    assert [{**row, "captured_at": ""} for row in after] == [{**row, "captured_at": ""} for row in before]
    assert [request for request in x.requests() if request["path"].endswith("/tweets")]


def test_a_failed_extract_is_cleared_alone_and_goes_on_where_it_stopped(airflow, bucket, x, variables):
    variables(twitter_handles="posts_250_walk", twitter_tweet_limit="0")
    refusal = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
    x.order({"match": "GET /2/users/.*/tweets", "skip": 2, "status": 401, "body": refusal})
    run = airflow.trigger(day=day_ago(5))
    assert airflow.wait(run) == "failed"
    assert airflow.states(run) == {
        "extract": "failed",
        "transform": "upstream_failed",
        "load": "upstream_failed",
    }
    assert "Put valid keys into Connection twitter_default" in airflow.log_text(run, "extract")
    x.behave()
    x.forget()
    airflow.clear(run, "extract")
    airflow.wait_for_task(run, "extract", "success")
    assert airflow.wait(run) == "failed"  # the stages after it still are
    airflow.clear(run, "transform", "load")
    assert airflow.wait(run) == "success"
    pages = [request for request in x.requests() if request["path"].endswith("/tweets")]
    staged = [key for key in bucket.keys(f"twitter_raw/dt={day_ago(5)}/") if "/posts_250_walk/" in key]
    assert len(pages) == len(staged) - 2  # the two of the first try
    totals = bucket.json(Day.parse(day_ago(5)).receipt)["totals"]
    assert totals["published"] + totals["duplicates"] == 250


def test_a_trigger_with_a_day_lands_that_day(airflow, bucket, x, variables):
    variables(twitter_handles='["@posts_7_day", "POSTS_7_DAY"]')
    run = airflow.trigger(day=day_ago(6), logical_date=f"{day_ago(1)}T09:00:00Z")
    assert airflow.wait(run) == "success"
    rows = rows_of(bucket, day_ago(6))
    totals = bucket.json(Day.parse(day_ago(6)).receipt)["totals"]
    assert totals["published"] + totals["duplicates"] == 7
    assert {row["username"] for row in rows} == {"posts_7_day"}
    assert f"Day {day_ago(6)} (UTC)" in our_lines(airflow, run, "load")[0]


def our_lines(airflow, run, task) -> list[str]:
    return [e["event"] for e in airflow.log(run, task) if e.get("logger", "").startswith("include.twitter")]


def test_a_trigger_without_a_logical_date_lands_yesterday(airflow, bucket, x, variables):
    variables(twitter_handles="posts_3_now", twitter_settle_minutes="1")
    run = airflow.trigger()
    yesterday = datetime.fromisoformat(airflow.run(run)["run_after"]).date() - timedelta(days=1)
    assert airflow.wait(run) == "success"
    assert {row["created_at"][:10] for row in rows_of(bucket, str(yesterday))} == {str(yesterday)}


def test_a_suspended_account_leaves_the_day_landed_and_red_until_it_is_taken_out(
    airflow, bucket, x, variables
):
    variables(twitter_handles="posts_5_fine, suspended_one")
    run = airflow.trigger(day=day_ago(6))
    assert airflow.wait(run) == "failed"
    assert airflow.states(run) == {"extract": "success", "transform": "success", "load": "failed"}
    assert "suspended_one: Forbidden: User has been suspended" in airflow.log_text(run, "load")
    assert len(rows_of(bucket, day_ago(6))) == 5
    x.forget()
    variables(twitter_handles="posts_5_fine")
    airflow.clear(run, "load")
    assert airflow.wait(run) == "success"
    assert x.requests() == []


def test_runs_that_name_no_day_to_collect_fail_at_once_and_call_no_x(airflow, x):
    today = datetime.now(UTC).date()
    runs = {
        f"{today} has not ended": airflow.trigger(day=str(today)),
        f"{today + timedelta(days=3)} has not ended": airflow.trigger(day=str(today + timedelta(days=3))),
        "would collect 2026-09-09 and take the place": airflow.trigger(logical_date="2026-09-10T00:00:00Z"),
        "day=2026-09-01 is refused on a backfill run": airflow.backfill(
            "2026-09-12", "2026-09-12", dag_run_conf={"day": "2026-09-01"}
        )["2026-09-12"],
    }
    for sentence, run in runs.items():
        assert airflow.wait(run) == "failed"
        assert sentence in airflow.log_text(run, "extract")
        assert airflow.call("GET", f"/dags/twitter/dagRuns/{run}/taskInstances/extract")["try_number"] == 1
    assert x.requests() == []


def test_a_bad_setting_fails_extract_at_once_with_one_message(airflow, x, variables):
    variables(twitter_handles="@bad handle!")
    run = airflow.trigger(day=day_ago(5))
    assert airflow.wait(run) == "failed"
    errors = [event for event in airflow.log(run, "extract") if event.get("level") == "error"]
    said = "Variable twitter_handles: 'bad handle!': a handle is 1 to 15 letters, digits or underscores."
    assert [detail["exc_value"] for event in errors for detail in event.get("error_detail", [])] == [
        f"{said} Example: NASA, esa"
    ]
    assert x.requests() == []


def test_an_unsettled_day_waits_without_a_slot_while_another_day_goes_through(
    stack, airflow, bucket, x, variables
):
    variables(twitter_handles="posts_2_wait", twitter_settle_minutes="1440")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    waiting = airflow.trigger(day=str(yesterday))
    airflow.wait_for_task(waiting, "extract", "up_for_reschedule")
    other = airflow.trigger(day=day_ago(5))
    assert airflow.wait(other) == "success"
    assert airflow.states(waiting)["extract"] == "up_for_reschedule"
    extract = next(stage for stage in stack.airflow.stages(waiting) if stage.name == "extract")
    comes_back = f"the task comes back at {yesterday + timedelta(days=2)} 00:00 UTC"
    why = f"{yesterday} has ended but may still change: {comes_back}"
    assert stack.airflow.why_it_waits(waiting, extract) == why
    pool = airflow.call("GET", "/pools/default_pool")
    assert pool["occupied_slots"] == 0
    assert not [r for r in x.requests() if str(yesterday) in r["query"]]
    airflow.call("PATCH", f"/dags/twitter/dagRuns/{waiting}", json={"state": "failed"})


def test_the_asset_event_tells_the_day_and_its_rows(landed, airflow):
    found = airflow.call("GET", "/assets/events", params={"limit": 100, "order_by": "-timestamp"})
    extras = [event["extra"] for event in found["asset_events"]]
    assert {extra["day"] for extra in extras} >= {FIRST, SECOND, THIRD}
    assert all(date.fromisoformat(extra["day"]) and extra["rows"] >= 0 for extra in extras)


def test_the_role_deletes_nothing_and_sees_no_other_bucket(landed, role_s3, bucket):
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError, match="AccessDenied"):
        role_s3.delete_object(Bucket=bucket.name, Key=Day.parse(FIRST).csv)
    with pytest.raises(ClientError, match="AccessDenied"):
        role_s3.put_object(Bucket=bucket.name, Key="elsewhere/file", Body=b"")


def test_pandas_reads_the_types_that_the_readme_promises(landed, bucket):
    rows = pd.read_parquet(io.BytesIO(bucket.read(Day.parse(THIRD).parquet)))
    assert str(rows["created_at"].dt.tz) == "UTC"
    assert rows["tweet_id"].str.fullmatch(r"\d+").all()


def test_the_readmes_lines_read_the_landed_csv(landed, bucket, tmp_path):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    path = tmp_path / "refined_tweets.csv"
    path.write_bytes(bucket.read(Day.parse(THIRD).csv))
    names = {"path": path}
    exec(block, names)  # noqa: S102 - the README's own lines
    assert list(names["tweets"].columns) == contract.NAMES
    assert contract.READ_CSV in block
    assert "NA" not in set(names["tweets"]["lang"])
