"""Airflow's database needs no backup: lost, it takes the history of runs with it and nothing else."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx
import pytest
from sqlalchemy import create_engine, text

from include.twitter import layout
from include.twitter.day import Day
from local import x_api
from local.environment import PROJECT
from local.stack import Stack
from tests.drivers import Airflow
from tests.e2e.conftest import TODAY

pytestmark = [pytest.mark.live, pytest.mark.slow]

DAY = str(TODAY - timedelta(days=100))
"""Of a month in which no other test lands a day: its page can be compared."""
HANDLES = "acme_press, quiet_garden"
CLEAN = PROJECT / "deploy" / "host" / "airflow-clean.service"


class SecondAirflow(NamedTuple):
    stack: Stack
    airflow: Airflow


@pytest.fixture(scope="module")
def second(stack, tmp_path_factory) -> Iterator[SecondAirflow]:
    """Another Airflow over the same bucket and the same X, whose database is empty."""
    state = tmp_path_factory.mktemp("second")
    keys = {
        "consumer_key": x_api.CONSUMER_KEY,
        "consumer_secret": x_api.CONSUMER_SECRET,
        "access_token": x_api.ACCESS_TOKEN,
        "access_token_secret": x_api.ACCESS_TOKEN_SECRET,
    }
    to_x = {"conn_type": "http", "host": "http://127.0.0.1", "port": stack.x_port, "extra": keys}
    settings = state / "second.env"
    settings.write_text(
        "TWITTER_AWS=real\n"  # that is, what the environment leads to
        f"AIRFLOW_CONN_TWITTER_DEFAULT='{json.dumps(to_x)}'\n"
        f"AIRFLOW_VAR_TWITTER_BUCKET={stack.bucket}\n"
        f"AIRFLOW_VAR_TWITTER_HANDLES='{HANDLES}'\n"
        "AIRFLOW_VAR_TWITTER_RUN_BUDGET_USD=0\n"
        "AIRFLOW_VAR_TWITTER_MONTH_BUDGET_USD=0\n"
    )
    to_aws = {name: value for name, value in stack.environment.items() if name.startswith("AWS_")}
    with (
        Stack(
            state=state, port=None, env_file=settings, caller=os.environ | to_aws, with_triggerer=False
        ) as running,
        closing(Airflow(running.url, running.password)) as client,
    ):
        yield SecondAirflow(running, client)


def page(stack: Stack, path: str) -> str:
    """What a page of Days shows, without links to runs and without the sections about them."""
    url, login = f"{stack.url}/twitter_days{path}", stack.airflow.login
    text = httpx.get(url, auth=login, timeout=30, trust_env=False).raise_for_status().text
    about_runs = r'(?s)<section aria-labelledby="(runs|clears)">.*?</section>|<a [^>]*/runs/[^>]*>.*?</a>'
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(about_runs, "", text)).split())


def test_a_landed_day_is_complete_and_free_on_an_airflow_that_knows_nothing_of_it(
    stack, airflow, bucket, x, variables, second
) -> None:
    variables(twitter_handles=HANDLES)
    assert airflow.wait(airflow.trigger(day=DAY)) == "success"
    day = Day.parse(DAY)
    objects = {
        key: bucket.stored(key)
        for key in (layout.csv(day), layout.parquet(day), layout.rejected(day), layout.receipt(day))
    }
    pages, ledger = (f"/month/{DAY[:7]}", f"/day/{DAY}"), bucket.ledger_mills()
    shown = [page(stack, path) for path in pages]
    x.forget()

    assert second.airflow.runs() == []
    assert [page(second.stack, path) for path in pages] == shown
    assert second.airflow.wait(second.airflow.trigger(day=DAY)) == "success"
    assert x.requests() == []
    assert {key: bucket.stored(key) for key in objects} == objects
    assert bucket.ledger_mills() == ledger


def test_the_weekly_clean_keeps_400_days_of_runs_and_the_newest_scheduled_one(second) -> None:
    ages = {"begun long ago": 401, "begun a year ago": 399, "scheduled": 402, "newest scheduled": 401}
    second.airflow.call("PATCH", "/dags/twitter", json={"is_paused": True})  # its runs stay queued
    runs = {name: second.airflow.trigger(day=DAY) for name in ages}
    engine = create_engine(second.stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    change = text(
        "UPDATE dag_run SET start_date = :at, run_type = :kind, state = 'success' WHERE run_id = :run"
    )
    with engine.begin() as sql:
        for name, days in ages.items():
            kind = "scheduled" if "scheduled" in name else "manual"
            sql.execute(change, {"at": ago(days), "kind": kind, "run": runs[name]})

    command = re.search(r"(?m)^ExecStart=/bin/sh -c '(.*)'$", CLEAN.read_text())[1]
    command = command.replace("/opt/twitter/current/.venv/bin/airflow", f"{sys.executable} -m airflow")
    command = command.replace("$$", "$").replace("%%", "%")
    environment = os.environ | second.stack.environment
    subprocess.run(["sh", "-c", command], env=environment, check=True, capture_output=True, timeout=120)

    with engine.connect() as sql:
        run_ids = {*sql.scalars(text("SELECT run_id FROM dag_run WHERE dag_id = 'twitter'"))}
    engine.dispose()
    remaining = {name for name, run in runs.items() if run in run_ids}
    assert remaining == {"begun a year ago", "newest scheduled"}  # the schedule goes on from that one


def ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
