"""How long many accounts take: `extract` of 100 of one page each, X answering after 200 ms; then 500 of them
with S3 answering after 25 ms, interrupted before the counts, gone on with, and refined.

    python -m benchmarks.accounts

The goal is 6 s for 100 accounts, look-ups and counts included, in a month of 29 other purchases: eight
readers need 100 × 0.2 s / 8 = 2.5 s for the pages, 0.2 s for the look-up, 0.2 s for the bearer token, and two
rounds of group counts. Staged pages are read 16 at a time: 500 of them need 500 × 0.025 s / 16 = 0.8 s, one
after the other 12.5 s.
"""

import sys
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.deployment import StandIns, deployed, put, slow_s3

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EARLIER = {"day": "2026-11-01", "buy": 1, "month": "2026-11", "reserved_mills": 3000, "spent_mills": 3000}
"""The ledger entry of another day: there are 29 of them, and each reservation adds them up."""
GOALS = {100: 6.0, 500: 8.0}
"""Seconds, by the number of accounts."""


def new_requests(x: StandIns) -> str:
    """X's requests by path since they were last asked for."""
    paths = ("by" if r["path"].endswith("/by") else r["path"].split("/")[-1] for r in x.requests())
    x.forget()
    counted = Counter({"tweets": "timeline"}.get(path, path) for path in paths)
    return ", ".join(f"{number} {path}" for path, number in sorted(counted.items()))


def run(name: str) -> Any:
    from include.twitter.airflow_context import Run
    from include.twitter.day import Day

    return Run(Day.parse("2026-11-20"), name, lambda: NOW)


def main() -> int:
    table = Table("stage", "accounts", "X", "S3", "seconds", "goal", "requests at X")
    missed = []

    def timed(stage: str, accounts: int, x_ms: int, s3_ms: int, work: Any, *args: Any) -> Any:
        x.latency(x_ms)
        x.forget()
        began = monotonic()
        done = work(*args)
        seconds, goal = monotonic() - began, GOALS[accounts]
        missed.extend([stage] if seconds >= goal else [])
        table.add_row(
            stage,
            str(accounts),
            f"{x_ms} ms",
            f"{s3_ms} ms",
            f"{seconds:.2f}",
            f"{goal:.0f}",
            new_requests(x),
        )
        return done

    with deployed() as x:
        from airflow.sdk.exceptions import AirflowRescheduleException

        from include.twitter.extract import extract
        from include.twitter.transform import transform

        x.clock(NOW)
        put(run_budget_usd=0, month_budget_usd=1000)
        for number in range(29):
            x.write(f"twitter_ledger/month=2026-11/earlier-{number}.json", EARLIER)
        put(handles=",".join(f"posts_30_n{number}" for number in range(100)))
        extract(run("warm"))
        for label, latency in (("ids looked up", 200), ("ids remembered", 200), ("no latency", 0)):
            x.delete("twitter_raw/")
            if label == "ids looked up":
                x.delete("twitter_accounts/")
            timed(f"extract, {label}", 100, latency, 0, extract, run("hundred"))
        x.delete("twitter_raw/")
        put(handles=",".join(f"posts_30_n{number}" for number in range(500)))
        x.order({"match": "/counts/", "status": 503})
        with suppress(AirflowRescheduleException):
            extract(run("many"))
        with slow_s3(0.025):
            bought = timed("extract, gone on with", 500, 0, 25, extract, run("many"))
            timed("transform", 500, 0, 25, transform, run("many"), bought)
    Console(width=120).print(table)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
