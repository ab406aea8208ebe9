"""30 days backfilled on a local stack, with a scheduled run, and one that somebody triggers in the middle.

    python -m benchmarks.backfill

Of days older than a week X answers one request a second, and each of them takes a search and a count at
least: what remains of a day's time is this pipeline's, Airflow's and this machine's.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

from rich.console import Console
from rich.table import Table

from local.airflow import Airflow
from local.stack import Stack

DAYS, LONGEST = 30, 600
GOAL = 20.0
"""Days a minute."""
PASSED = 30.0
"""Seconds in which a run of its own is through, a backfill or not."""
SETTINGS = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
    "AIRFLOW_VAR_TWITTER_TWEET_LIMIT": "0",  # so that one search serves all accounts of a day
}


def landed(airflow: Airflow) -> dict[str, dict[str, Any]]:
    """The runs that are through, by id."""
    runs = airflow.runs()
    if red := [run["dag_run_id"] for run in runs if run["state"] == "failed"]:
        sys.exit(f"red: {', '.join(red)}")
    return {run["dag_run_id"]: run for run in runs if run["state"] == "success"}


def backfilled(stack: Stack) -> tuple[float, dict[str, float]]:
    """The seconds of the backfill, and those of each run of its own."""
    airflow, now = stack.airflow, datetime.now(UTC)
    first, last, other = (f"{now - timedelta(days=ago):%Y-%m-%d}" for ago in (DAYS + 2, 3, 2))
    airflow.backfill(first, last)
    airflow.unpause()  # makes the scheduled run
    begun, triggered, runs = monotonic(), "", {}
    while monotonic() < begun + LONGEST:
        runs = landed(airflow)
        if not triggered and len(runs) > DAYS / 2:
            triggered = airflow.run_day(other)
        own = {name: run for name, run in runs.items() if run["run_type"] != "backfill"}
        if len(runs) - len(own) == DAYS and triggered in own:
            return monotonic() - begun, {name: _seconds(run) for name, run in own.items()}
        sleep(0.5)
    sys.exit(f"{len(runs)} runs in {LONGEST} s")


def _seconds(run: dict[str, Any]) -> float:
    begun, ended = (datetime.fromisoformat(run[name]) for name in ("queued_at", "end_date"))
    return (ended - begun).total_seconds()


def main() -> int:
    with TemporaryDirectory() as folder:
        state = Path(folder)
        settings = state / "settings.env"
        settings.write_text("".join(f"{name}={value}\n" for name, value in SETTINGS.items()))
        with Stack(state=state, port=None, env_file=settings) as stack:
            seconds, own = backfilled(stack)
            requests = [json.loads(line) for line in (state / "x_api" / "requests.jsonl").open()]
            deadlocks = (state / "logs" / "postgres.log").read_text().count("deadlock detected")
    table = Table("what", "seen", "goal")
    rate = DAYS / seconds * 60
    table.add_row(f"{DAYS} days", f"{seconds:.0f} s, {rate:.1f} days a minute", f"{GOAL:.0f} a minute")
    table.add_row("of it at X's pace", f"{sum(r['path'].endswith('/all') for r in requests)} s", "")
    for name, took in own.items():
        table.add_row(f"{name}, from queued to landed", f"{took:.0f} s", f"{PASSED:.0f} s")
    table.add_row("deadlocks in the database", str(deadlocks), "0")
    Console(width=110).print(table)
    return int(rate < GOAL or max(own.values()) > PASSED or deadlocks > 0)


if __name__ == "__main__":
    sys.exit(main())
