"""Landed posts, read again by the live Airflow, and what the page Days says of them."""

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


def ran(airflow: Airflow, day: str) -> str:
    """The state in which the run for a day ends, of which the evening has passed."""
    airflow.call("PATCH", DAG, params={"update_mask": "is_paused"}, json={"is_paused": False})
    body = {"logical_date": None, "conf": {"day": day}}
    run = airflow.call("POST", f"{DAG}/dagRuns", json=body)["dag_run_id"]
    return eventually(lambda: airflow.call("GET", f"{DAG}/dagRuns/{run}")["state"], ENDED.__contains__)


def rows(bucket, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(bucket.read(key).decode())))


def test_the_posts_of_two_days_are_read_again_and_what_is_gone_is_on_its_day(
    landed, airflow, bucket, variables, x, days
):
    younger, older = Snapshot(Day.parse(day_ago(2)), 1), Snapshot(Day.parse(day_ago(3)), 2)
    gone, *_ = (row["tweet_id"] for row in rows(bucket, layout.csv(older.day)))
    variables(twitter_engagement_days="1, 2")
    x.posts(**{gone: "deleted"})

    assert ran(airflow, str(younger.day)) == "success"

    for snapshot in (younger, older):
        there, again = rows(bucket, layout.csv(snapshot.day)), rows(bucket, snapshot.csv)
        assert [row["tweet_id"] for row in again] == [row["tweet_id"] for row in there]
        receipt = bucket.json(snapshot.receipt)
        given = len(again) - len(receipt["lost"])
        assert round(receipt["cost_usd"] + receipt["would_have_cost_usd"], 3) == round(0.005 * given, 3)
    shown = words(days.get(f"/day/{older.day}").text)
    assert "Gone at age 2: 1" in shown
    assert f"{gone} : gone, at " in shown
    assert f"Not Found Error: Could not find tweet with ids: [{gone}]." in shown
    assert "Snapshots" not in words(days.get(f"/day/{day_ago(4)}").text)
    assert "Gone at age" not in words(days.get(f"/day/{younger.day}").text)
    assert "Ledger and receipt agree." in shown
