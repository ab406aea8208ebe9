"""The consumers of docs/how-to/trigger_other_dags.md beside the pipeline: which events start them."""

from calendar import monthrange
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from include.twitter import layout
from include.twitter.day import Day
from local.airflow import AirflowRefused
from local.stack import Stack
from tests.drivers import ENDED, Airflow, Bucket, eventually
from tests.e2e.conftest import TODAY

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
DAGS = [ROOT / "dags" / "twitter_dag.py", ROOT / "docs" / "examples" / "consumers.py"]
TASKS = {"tweets_landed": "summarise", "tweets_of_a_day": "summarise", "tweets_of_a_month": "add_up"}
"""The task of each consumer."""
DAY = Day(TODAY - timedelta(days=400))
"""Far from the day that the schedule begins with."""
MONTH = str(DAY)[:7]
DAYS = [f"{MONTH}-{number + 1:02}" for number in range(monthrange(DAY.date.year, DAY.date.month)[1])]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A stack of its own: on that of the other tests nothing starts by itself, so no consumer does."""
    state = tmp_path_factory.mktemp("stack")
    settings = state / "tests.env"
    settings.write_text(
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=True\n"
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE=True\n"
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.1\n"
    )
    folder = state / "dags"
    folder.mkdir()
    for file in DAGS:
        (folder / file.name).symlink_to(file)
    with Stack(state=state, port=None, env_file=settings, dags=folder) as running:
        yield running


@pytest.fixture(scope="module")
def airflow(stack):
    with closing(Airflow(stack.url, stack.password)) as client:
        eventually(lambda: dags(client), lambda names: names == {"twitter", *TASKS})
        yield client


def dags(airflow) -> set[str]:
    return {dag["dag_id"] for dag in airflow.call("GET", "/dags")["dags"]}


def fail_scheduled_run(airflow) -> None:
    """Mark the run failed with which the schedule begins, so that it tells of no other day."""
    scheduled = {"run_type": "scheduled"}
    entries = eventually(
        lambda: airflow.call("GET", "/dags/twitter/dagRuns", params=scheduled)["dag_runs"], bool, 30
    )
    airflow.call("PATCH", f"/dags/twitter/dagRuns/{entries[0]['dag_run_id']}", json={"state": "failed"})


def emit(airflow, day: str) -> None:
    """The event of a day of 2 posts, as `load` would emit it."""
    (asset,) = airflow.call("GET", "/assets", params={"name_pattern": "twitter_days"})["assets"]
    extra = {"day": day, "rows": 2, "cost_usd": 0.01}
    event = {"asset_id": asset["id"], "partition_key": day, "extra": extra}
    airflow.call("POST", "/assets/events", json=event)


def events(airflow, run: str) -> list[tuple[str, str | None, dict]]:
    """The asset events of a run of the pipeline: asset, partition and extra."""

    def fetch_events() -> dict | None:
        try:
            return airflow.call("GET", "/assets/events", params={"source_run_id": run})
        except AirflowRefused:  # 500 of Airflow 3.3.2, while a run that an event has made waits for its start
            return None

    entries = eventually(fetch_events)["asset_events"]
    return sorted((event["name"], event["partition_key"], event["extra"]) for event in entries)


def runs(airflow, consumer: str) -> list[dict]:
    entries = airflow.call("GET", f"/dags/{consumer}/dagRuns", params={"limit": 100})["dag_runs"]
    return [run for run in entries if run["partition_key"] in (None, MONTH, str(DAY))]


def results(airflow, consumer: str, number: int = 1) -> list[dict]:
    """What each run of a consumer has returned, once there are so many, and ended."""
    ended = eventually(
        lambda: runs(airflow, consumer),
        lambda entries: len(entries) >= number and {run["state"] for run in entries} <= ENDED,
    )
    assert {run["state"] for run in ended} == {"success"}
    path = f"/dags/{consumer}/dagRuns/{{}}/taskInstances/{TASKS[consumer]}/xcomEntries/return_value"
    return [airflow.call("GET", path.format(run["dag_run_id"]))["value"] for run in ended]


def waiting(airflow, consumer: str) -> list[tuple[int, int]]:
    """How many days of the next run have an event, and how many it waits for."""
    params = {"dag_id": consumer, "has_created_dag_run_id": False}
    entries = airflow.call("GET", "../../ui/partitioned_dag_runs", params=params)["partitioned_dag_runs"]
    return [
        (run["total_received"], run["total_required"]) for run in entries if run["partition_key"] == MONTH
    ]


@pytest.fixture(scope="module")
def red(airflow) -> str:
    """A run of the one day of its month that is missing; it is published without one of two accounts."""
    airflow.unpause("tweets_landed")  # a DAG that is paused hears of no event
    airflow.unpause("tweets_of_a_month")
    for day in DAYS:
        if day != str(DAY):
            emit(airflow, day)
    airflow.set_variable("twitter_handles", "posts_5_fine, suspended_one")
    airflow.unpause("tweets_of_a_day")
    airflow.unpause("twitter")
    fail_scheduled_run(airflow)
    run = airflow.trigger(day=str(DAY))
    assert airflow.wait(run) == "failed"
    return run


def test_a_published_day_that_is_not_complete_triggers_no_consumer(red, airflow, stack):
    assert airflow.states(red)["load"] == "failed"
    assert Bucket(stack).json(layout.receipt(DAY))["totals"]["published"] == 5
    assert events(airflow, red) == []
    assert waiting(airflow, "tweets_of_a_month") == [(len(DAYS) - 1, len(DAYS))]


@pytest.fixture(scope="module")
def green(red, airflow) -> str:
    """The same run, complete."""
    airflow.set_variable("twitter_handles", "posts_5_fine")
    airflow.clear(red, "load")
    assert airflow.wait(red) == "success"
    return red


def test_a_complete_day_triggers_each_kind_of_consumer_once(green, airflow, stack):
    (_, partition, extra), landed = events(airflow, green)
    assert (partition, landed) == (str(DAY), ("twitter_refined_tweets", None, extra))
    receipt = Bucket(stack).json(layout.receipt(DAY))
    assert extra["bucket"] == stack.bucket
    assert extra["keys"] == {
        "csv": layout.csv(DAY),
        "parquet": layout.parquet(DAY),
        "rejected": layout.rejected(DAY),
        "receipt": layout.receipt(DAY),
    }
    assert (extra["day"], extra["rows"], extra["cost_usd"]) == (str(DAY), 5, receipt["cost_usd"])
    assert (extra["proof"], extra["unavailable"]) == ({"matched": 1, "unchecked": 1}, ["suspended_one"])


def test_every_kind_of_consumer_runs_once_for_a_complete_day_and_the_month_that_it_completes(
    green, airflow, stack
):
    cost = Bucket(stack).json(layout.receipt(DAY))["cost_usd"]
    (summary,) = results(airflow, "tweets_of_a_day")
    assert (summary["posts"], summary["cost_usd"]) == (5, cost)
    assert results(airflow, "tweets_landed") == [{str(DAY): summary}]
    others = len(DAYS) - 1
    assert results(airflow, "tweets_of_a_month") == [
        {"days": len(DAYS), "posts": 5 + 2 * others, "cost_usd": round(cost + 0.01 * others, 3)}
    ]


def test_a_day_that_lands_again_is_one_more_event_and_the_month_waits_for_all_its_days_again(green, airflow):
    (before,) = results(airflow, "tweets_of_a_day")
    airflow.clear(green, "load")
    assert airflow.wait(green) == "success"
    assert results(airflow, "tweets_of_a_day", 2) == [before, before]
    assert results(airflow, "tweets_landed", 2) == [{str(DAY): before}] * 2
    assert waiting(airflow, "tweets_of_a_month") == [(1, len(DAYS))]
    assert len(runs(airflow, "tweets_of_a_month")) == 1
