"""Airflow's database needs no backup: lost, it takes the history of runs with it and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from include.twitter.day import Day
from local.environment import PROJECT
from local.stack import Stack
from tests.e2e.conftest import day_ago
from tests.hands import Airflow, Bucket, X

pytestmark = [pytest.mark.live, pytest.mark.slow]

DAY = day_ago(3)
CLEAN = PROJECT / "deploy" / "host" / "airflow-clean.service"


@pytest.fixture(scope="module")
def state(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("lost")


def stack_of(state: Path) -> Stack:
    return Stack(state=state, port=None, env_file=state / "absent.env", with_triggerer=False)


def landed(stack: Stack) -> dict[str, bytes]:
    bucket, day = Bucket(stack), Day.parse(DAY)
    return {key: bucket.stored(key) for key in (day.csv, day.parquet, day.rejected, day.receipt)}


def page(stack: Stack, path: str) -> str:
    """What a page of Days shows, without links to runs and without the sections about them."""
    url, login = f"{stack.url}/twitter_days{path}", stack.airflow.login
    text = httpx.get(url, auth=login, timeout=30, trust_env=False).raise_for_status().text
    about_runs = r'(?s)<section aria-labelledby="(runs|clears)">.*?</section>|<a [^>]*/runs/[^>]*>.*?</a>'
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(about_runs, "", text)).split())


@pytest.fixture(scope="module")
def before(state: Path) -> Iterator[dict]:
    """A landed day: its objects, its pages, what X billed. Then the database is gone."""
    with (
        stack_of(state) as stack,
        closing(Airflow(stack.url, stack.password)) as airflow,
        closing(X(stack)) as x,
    ):
        assert airflow.wait(airflow.trigger(day=DAY)) == "success"
        seen = {
            "objects": landed(stack),
            "month": page(stack, f"/month/{DAY[:7]}"),
            "day": page(stack, f"/day/{DAY}"),
            "ledger": Bucket(stack).ledger_mills(),
        }
        assert x.served_mills() == seen["ledger"] > 0
    shutil.rmtree(state / "postgres")
    yield seen


def test_a_landed_day_is_complete_and_free_on_an_airflow_that_knows_nothing_of_it(state, before) -> None:
    with (
        stack_of(state) as stack,
        closing(Airflow(stack.url, stack.password)) as airflow,
        closing(X(stack)) as x,
    ):
        assert airflow.runs() == []
        assert page(stack, f"/month/{DAY[:7]}") == before["month"]
        assert page(stack, f"/day/{DAY}") == before["day"]
        run = airflow.trigger(day=DAY)
        assert airflow.wait(run) == "success"
        airflow.clear_run(run)
        assert airflow.wait(run) == "success"
        assert x.requests() == []
        assert landed(stack) == before["objects"]
        assert Bucket(stack).ledger_mills() == before["ledger"]


def test_the_weekly_clean_keeps_400_days_of_runs_and_the_newest_scheduled_one(state, before) -> None:
    with stack_of(state) as stack, closing(Airflow(stack.url, stack.password)) as airflow:
        older, newer = (airflow.trigger(day=DAY) for _ in range(2))
        assert [airflow.wait(run) for run in (older, newer)] == ["success"] * 2
        environment = os.environ | stack.environment
        engine = create_engine(stack.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])

        def change(statement: str, **values: object) -> None:
            with engine.begin() as sql:
                sql.execute(text(statement), values)

        def clean(**ages: int) -> set[str]:
            """The runs that are left, when these began so many days ago and all others long before."""
            change("UPDATE dag_run SET start_date = :at WHERE dag_id = 'twitter'", at=ago(500))
            for run, days in {older: ages.get("older"), newer: ages.get("newer")}.items():
                if days:
                    change("UPDATE dag_run SET start_date = :at WHERE run_id = :run", at=ago(days), run=run)
            command = re.search(r"(?m)^ExecStart=/bin/sh -c '(.*)'$", CLEAN.read_text())[1]
            command = command.replace(
                "/opt/twitter/current/.venv/bin/airflow", f"{sys.executable} -m airflow"
            )
            command = command.replace("$$", "$").replace("%%", "%")
            subprocess.run(
                ["sh", "-c", command], env=environment, check=True, capture_output=True, timeout=120
            )
            with engine.connect() as sql:
                return {*sql.scalars(text("SELECT run_id FROM dag_run WHERE dag_id = 'twitter'"))}

        assert clean(older=399, newer=398) == {older, newer}
        assert clean(older=401, newer=399) == {newer}
        change("UPDATE dag_run SET run_type = 'scheduled' WHERE run_id = :run", run=newer)
        assert clean(newer=401) == {newer}  # the schedule goes on from it
        engine.dispose()


def ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
