"""A month over two workers that share nothing, while Redis is away for a while and one worker is lost."""

import csv
import io
import json
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from benchmarks.deployment import StandIns
from benchmarks.month import bill, explained
from include.twitter import layout
from include.twitter.day import Day
from local.x_api import posts
from rehearsals.wide import servers
from rehearsals.wide.machines import WORKERS, Wide, wide
from rehearsals.wide.servers import Postgres, Redis
from tests.deploy.test_wide import SETTINGS
from tests.drivers import MILLS, Airflow, eventually
from tests.e2e.conftest import TODAY

pytestmark = pytest.mark.timeout(1500)

HANDLES = ("acme_press", "posts_60_wide", "posts_5_wide")
DAYS = [TODAY - timedelta(days=ago) for ago in range(31, 1, -1)]
WITHOUT_REDIS, WITHOUT_A_WORKER = 6, 15
"""After how many landed days Redis goes away, and a worker."""
AWAY = 10
"""Seconds without Redis."""
SLOTS = int(SETTINGS["AIRFLOW__CELERY__WORKER_CONCURRENCY"] or 0)
BACK = 120
"""Seconds within which a lost worker's task runs again: heartbeat timeout, the look-out, `retry_delay`."""


@dataclass
class Month:
    """The month, and what was seen of it."""

    stack: Wide
    x: StandIns
    postgres: Postgres
    airflow: Airflow
    seconds: dict[str, float] = field(default_factory=dict)
    lost: str = ""
    lost_run: str = ""
    lost_logs: set[tuple[str, str]] = field(default_factory=set)
    """The runs and tasks that had succeeded on the lost worker, but whose logs it had not uploaded yet."""
    unanswered: int = 0
    """Requests that X had not answered when the worker was lost."""
    in_the_database: set[str] = field(default_factory=set)
    """The workers that had a connection to it at any moment."""

    def landed(self) -> int:
        return len(self.x.keys("twitter_receipts/"))

    def runs(self) -> dict[str, str]:
        return {run["dag_run_id"]: run["state"] for run in self.airflow.runs()}

    def extract(self, run: str) -> dict[str, Any]:
        return self.airflow.call("GET", f"/dags/twitter/dagRuns/{run}/taskInstances/extract")

    def buyer(self) -> tuple[str, str] | None:
        """The worker that waits for an answer of X, and its run."""
        for run in self.runs():
            if self.extract(run)["state"] == "running" and self.x.ask("open"):
                at = f"run_id={run}/task_id=extract"
                return next(((worker, run) for worker in WORKERS if at in self.stack.log_of(worker)), None)
        return None

    def is_taken_up(self) -> bool:
        attempt = self.extract(self.lost_run)
        return attempt["try_number"] > 1 and attempt["state"] in ("running", "success")

    def until(self, enough: Callable[[], Any], seconds: float) -> None:
        """Waits, restarts what has ended, and looks who connects to the database."""

        def look() -> Any:
            self.stack.check()
            self.in_the_database |= {w for w in WORKERS if self.postgres.port in self.stack.peers(w)}
            return enough()

        eventually(look, bool, seconds)

    def not_uploaded(self, worker: str) -> set[tuple[str, str]]:
        """The runs and tasks that have succeeded on a worker, and of which no log is in the bucket."""
        begun = set(re.findall(r"run_id=([^/]+)/task_id=(\w+)/", self.stack.log_of(worker)))
        return {(run, task) for run, task in begun - logged(self.x) if self.state(run, task) == "success"}

    def state(self, run: str, task: str) -> str:
        return self.airflow.call("GET", f"/dags/twitter/dagRuns/{run}/taskInstances/{task}")["state"]

    def began(self, worker: str) -> int:
        """The tasks that a worker has begun."""
        return self.stack.log_of(worker).count("Executing workload in Celery")


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Month]:
    if absent := servers.missing():
        pytest.fail(f"PostgreSQL and Redis are needed, and not both are here: {absent}", pytrace=False)
    state = tmp_path_factory.mktemp("wide") / "state"
    for folder in ("logs", "redis"):
        (state / folder).mkdir(parents=True)
    with ExitStack() as closes:
        postgres = closes.enter_context(servers.postgres(state / "logs"))
        redis = Redis(state / "redis", state / "logs")
        redis.start()
        closes.callback(redis.stop)
        stack = closes.enter_context(wide(state, postgres, redis))
        airflow = closes.enter_context(closing(Airflow(stack.url, stack.password)))
        x = closes.enter_context(closing(StandIns(stack)))
        airflow.set_variable("twitter_handles", ", ".join(HANDLES))
        airflow.set_variable("twitter_tweet_limit", "0")
        x.latency(300)
        month = Month(stack, x, postgres, airflow)
        pass_through(month, redis)
        with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
            sys.stdout.write(report(month))
        yield month


def pass_through(month: Month, redis: Redis) -> None:
    """Backfills the month; Redis goes away and comes back, then a worker goes and does not."""
    begun = time.monotonic()
    assert len(month.airflow.backfilled(str(DAYS[0]), str(DAYS[-1]), max_active_runs=8)) == len(DAYS)
    month.until(lambda: month.landed() >= WITHOUT_REDIS, 300)

    redis.stop()
    gone = time.monotonic()
    month.until(lambda: time.monotonic() > gone + AWAY, 2 * AWAY)
    redis.start()
    back, before = time.monotonic(), month.landed()
    month.until(lambda: month.landed() > before, 300)
    month.seconds["redis"] = time.monotonic() - back

    month.until(lambda: month.landed() >= WITHOUT_A_WORKER, 600)
    month.lost, month.lost_run = eventually(month.buyer)
    month.unanswered = month.x.ask("open")
    month.stack.lose(month.lost)
    lost = time.monotonic()
    month.lost_logs = month.not_uploaded(month.lost)
    month.until(month.is_taken_up, 2 * BACK)
    month.seconds["worker"] = time.monotonic() - lost

    month.until(lambda: set(month.runs().values()) <= {"success", "failed"}, 600)
    month.seconds["all"] = time.monotonic() - begun


def logged(x: StandIns) -> set[tuple[str, str]]:
    """The runs and tasks of which a log is in the bucket."""
    return set(re.findall(r"run_id=(.*?)/task_id=(\w+)/", "\n".join(x.keys("airflow_logs/"))))


def report(month: Month) -> str:
    each = ", ".join(f"{worker} {month.began(worker)}" for worker in WORKERS)
    rate = 60 * len(DAYS) / month.seconds["all"]
    return (
        f"\n{len(DAYS)} days in {month.seconds['all']:.0f} s, {rate:.1f} a minute. Tasks begun: {each}. "
        f"After {AWAY} s without Redis the next day landed in {month.seconds['redis']:.0f} s; restarted: "
        f"{', '.join(month.stack.ended) or 'nothing'}. {month.lost} was lost, and its task ran again after "
        f"{month.seconds['worker']:.0f} s; logs lost with it: {len(month.lost_logs)}.\n"
    )


def test_every_day_has_landed_once_with_the_posts_that_x_has(month: Month) -> None:
    assert Counter(month.runs().values()) == {"success": len(DAYS)}
    assert month.landed() == len(DAYS)
    for day in map(Day, DAYS):
        rows = list(csv.DictReader(io.StringIO(month.x.read(layout.csv(day)).decode(), newline="")))
        assert sorted(row["tweet_id"] for row in rows) == sorted(x_has(day.date)), day
        assert month.x.json(layout.receipt(day))["totals"]["published"] == len(rows)


def x_has(day: date) -> list[str]:
    """The ids of the accounts' own posts, of each the last version."""
    slots = [slot for handle in HANDLES for slot in posts.slots(handle, day)]
    return [str(slot.id) for slot in slots if slot.kind == "own" and slot.id == slot.history[-1]]


def test_nothing_was_bought_twice_and_the_ledger_is_xs_own_bill(month: Month) -> None:
    _, rest = explained(month.x)
    in_flight = sum(number * mills for reason, number, mills in rest if "in flight" in reason)
    billed = sum(number * MILLS[kind] for _, kind, number in bill(month.x))
    spent = sum(month.x.json(key)["spent_mills"] for key in month.x.keys("twitter_ledger/"))
    assert spent == billed - in_flight
    pages = Counter(request for request, kind, number in bill(month.x) if kind == "posts" and number)
    assert sum(times - 1 for times in pages.values()) <= month.unanswered


def test_both_workers_did_much_of_it(month: Month) -> None:
    each = [month.began(worker) for worker in WORKERS]
    assert min(each) >= WITHOUT_A_WORKER
    assert sum(each) > 3 * len(DAYS)


def test_what_a_lost_worker_did_is_done_again_by_itself_and_soon(month: Month) -> None:
    assert month.seconds["worker"] < BACK


def test_a_worker_has_no_way_into_the_database_and_none_of_airflows_keys(month: Month) -> None:
    keys = json.loads((month.stack.state / "airflow_keys.json").read_text()).values()
    for worker in WORKERS:
        report = " ".join(month.stack.report(worker).values())
        assert not any(secret in report for secret in (month.postgres.password, *keys))
        # Where no database is configured, Airflow opens one of its own, and makes no table in it.
        with closing(sqlite3.connect(month.stack.home(worker) / "airflow" / "airflow.db")) as own:
            assert own.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert month.in_the_database == set()
    refused = month.postgres.query("SELECT 1", None)
    assert "no password supplied" in refused.stderr
    assert month.postgres.query("SELECT 1", month.postgres.password).stdout == "1\n"


def test_nothing_of_a_run_stays_on_a_workers_disk_and_its_logs_are_in_the_bucket(month: Month) -> None:
    # Airflow uploads a log when the process of the task has ended, so after the state of the task is known. A
    # machine that is lost in between takes the log with it: at most one for each of its slots.
    assert len(month.lost_logs) <= SLOTS
    each = {
        (run, task) for run in month.runs() for task in ("extract", "transform", "load")
    } - month.lost_logs
    eventually(lambda: each - logged(month.x), lambda missing: not missing)
    stayed = next(worker for worker in WORKERS if worker != month.lost)
    files = {file.name for file in month.stack.home(stayed).rglob("*") if file.is_file()}
    assert all(name == "airflow.cfg" or name.startswith("airflow.db") for name in files), files
