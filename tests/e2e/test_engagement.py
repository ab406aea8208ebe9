"""Snapshots by the live Airflow, and the page Days with them."""

import csv
import io

import pytest

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.layout import Snapshot
from tests.drivers import ENDED, Airflow, eventually
from tests.e2e.conftest import day_ago, words

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

DAG = "/dags/twitter_engagement"


def run(airflow: Airflow, day: str) -> str:
    """Trigger a run for a day whose snapshots are due; returns its final state."""
    airflow.call("PATCH", DAG, params={"update_mask": "is_paused"}, json={"is_paused": False})
    request = {"logical_date": None, "conf": {"day": day}}
    id_ = airflow.call("POST", f"{DAG}/dagRuns", json=request)["dag_run_id"]
    return eventually(lambda: airflow.call("GET", f"{DAG}/dagRuns/{id_}")["state"], ENDED.__contains__, 240)


def rows(bucket, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(bucket.read(key).decode())))


def test_two_snapshots_are_published_and_lost_posts_are_on_the_page_of_their_day(
    landed, airflow, bucket, variables, x, days
):
    younger, older = Snapshot(Day.parse(day_ago(2)), 1), Snapshot(Day.parse(day_ago(3)), 2)
    gone, *_ = (row["tweet_id"] for row in rows(bucket, layout.csv(older.day)))
    variables(twitter_engagement_days="1, 2")
    x.posts(**{gone: "deleted"})

    assert run(airflow, str(younger.day)) == "success"

    for snapshot in (younger, older):
        landed_rows, captured = rows(bucket, layout.csv(snapshot.day)), rows(bucket, snapshot.csv)
        assert [row["tweet_id"] for row in captured] == [row["tweet_id"] for row in landed_rows]
        receipt = bucket.json(snapshot.receipt)
        shown = len(captured) - len(receipt["lost"])
        assert round(receipt["cost_usd"] + receipt["would_have_cost_usd"], 3) == round(0.005 * shown, 3)
    page = words(days.get(f"/day/{older.day}").text)
    assert "Gone at age 2: 1" in page
    assert f"{gone} : gone, at " in page
    assert f"Not Found Error: Could not find tweet with ids: [{gone}]." in page
    assert "Snapshots" not in words(days.get(f"/day/{day_ago(4)}").text)
    assert "Gone at age" not in words(days.get(f"/day/{younger.day}").text)
    assert "Ledger and receipt agree." in page
