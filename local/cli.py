"""`python -m local up` and `python -m local run [DAY]`: the pipeline on this machine."""

import argparse
import csv
import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from include.twitter.day import Day
from local import aws
from local.airflow import AirflowRefused, Stage
from local.stack import LocalStackError, Stack

STAGES = ("extract", "transform", "load")
ENDED = ("success", "failed")
COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "cyan"}
SAMPLE_COLUMNS = ("created_at", "username", "likes", "text")
SAMPLE_ROWS = 3

out = Console(highlight=False)


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return given.command(given)
    except (LocalStackError, AirflowRefused) as error:
        out.print(Text(str(error), style="red"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(required=True)
    up_ = commands.add_parser("up", help="start everything and stay until Ctrl-C")
    up_.add_argument("--port", type=int, default=os.environ.get("PORT") or 8080, help="of the UI; env PORT")
    up_.set_defaults(command=up)
    run_ = commands.add_parser("run", help="start everything, land one day, show it, stop")
    run_.add_argument("day", type=Day.parse, nargs="?", help="YYYY-MM-DD; the latest settled UTC day")
    run_.add_argument("--timeout", type=float, default=900, metavar="SECONDS", help="of the whole run")
    run_.set_defaults(command=run)
    return parser


def up(given: argparse.Namespace) -> int:
    """Everything runs until Ctrl-C. Nothing is bought until somebody starts a day."""
    with _running(given.port) as stack:
        out.print(_welcome(stack))
        try:
            stack.wait()
        except KeyboardInterrupt:
            out.print("stopping …")
    return 0


def run(given: argparse.Namespace) -> int:
    """Lands one day, as a one-day backfill: a second time clears that day's run and goes through it again."""
    deadline = time.monotonic() + given.timeout
    day = given.day or Day.latest_settled(datetime.now(UTC))
    with _running(None) as stack:
        run_id = stack.airflow.run_day(day.start)
        state, stages = _follow(stack, run_id, f"twitter, {day}", deadline)
        if state == "success":
            _show_landed(stack, day)
            return 0
        _show_failure(stack, run_id, state, stages)
        return 1


@contextmanager
def _running(port: int | None) -> Iterator[Stack]:
    stack = Stack(port=port)
    begun = time.monotonic()
    with out.status("starting AWS, X and Airflow on this machine …"):
        stack.start()
    out.print(f"started in {time.monotonic() - begun:.0f} s", style="dim")
    with stack:
        yield stack


def _welcome(stack: Stack) -> Panel:
    lines = [
        f"[bold]{stack.url}/dags/twitter[/]   the Airflow UI, no password",
        "",
        "Land a day      press Trigger there: one day, or Backfill for a range",
        "Run it again    click extract, transform or load, then Clear",
        "Change it       Admin, Variables: twitter_handles, twitter_tweet_limit",
    ]
    if not stack.env_file.real_aws:
        lines.append(f"Find the files  {aws.object_on_disk(stack.state, stack.bucket, '')}")
    lines += [f"Use a shell     . {stack.state / 'env'}", "", "[dim]Ctrl-C stops everything.[/]"]
    return Panel("\n".join(lines), title="twitter-to-s3", expand=False, padding=(1, 2))


def _follow(stack: Stack, run_id: str, title: str, deadline: float) -> tuple[str, list[Stage]]:
    """Shows the stages until the run has ended, or `deadline` has come. Returns its last state and stages."""
    with _Progress(title) as show:
        while True:
            stack.check()
            state, stages = stack.airflow.run_state(run_id), stack.airflow.stages(run_id)
            stages.sort(key=lambda stage: STAGES.index(stage.name) if stage.name in STAGES else len(STAGES))
            show(stages)
            if state in ENDED or time.monotonic() > deadline:
                return state, stages
            time.sleep(0.5)


class _Progress:
    """Shows stages: one table that is redrawn on a terminal, else a line for each change of state."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._live = Live(console=out, auto_refresh=False) if out.is_terminal else None
        self._seen: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Callable[[list[Stage]], None]:
        if live := self._live:
            live.start()
            return lambda stages: live.update(self._table(stages), refresh=True)
        out.print(self._title)
        return self._print_changes

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def _table(self, stages: list[Stage]) -> Table:
        table = Table(title=self._title, title_justify="left", box=None, show_header=False)
        for stage in stages:
            table.add_row(stage.name, Text(_state(stage), COLOURS.get(stage.state, "dim")), _seconds(stage))
        return table

    def _print_changes(self, stages: list[Stage]) -> None:
        for stage in stages:
            now = (stage.state, stage.attempt)
            if self._seen.get(stage.name) != now and stage.state not in ("waiting", "scheduled", "queued"):
                self._seen[stage.name] = now
                out.print(f"{stage.name:<10} {_state(stage):<14} {_seconds(stage)}".rstrip())


def _state(stage: Stage) -> str:
    state = stage.state.replace("_", " ")
    return f"{state} (try {stage.attempt})" if stage.attempt > 1 else state


def _seconds(stage: Stage) -> str:
    if stage.state == "running" and stage.started:
        return f"{(datetime.now(UTC) - stage.started).total_seconds():.0f} s"
    return f"{stage.seconds:.1f} s" if stage.seconds and stage.state != "running" else ""


def _show_failure(stack: Stack, run_id: str, state: str, stages: list[Stage]) -> None:
    if state not in ENDED:
        out.print(f"the run has not ended in time: it is {state}", style="red")
    tried = [stage for stage in stages if stage.state in ("failed", "up_for_retry")]
    for stage in tried[:1]:
        out.print(Text(f"{stage.name} failed: {stack.airflow.error_of(run_id, stage)}", style="red"))


def _show_landed(stack: Stack, day: Day) -> None:
    s3, bucket = stack.s3(), stack.bucket
    out.print()
    for key in (day.csv, day.parquet, day.rejected, day.receipt):
        if (size := _size(s3, bucket, key)) is not None:
            out.print(f"s3://{bucket}/{key}  [dim]{size:,} bytes[/]", soft_wrap=True)
    if not stack.env_file.real_aws:
        out.print(f"[dim]on disk below {aws.object_on_disk(stack.state, bucket, '')}[/]", soft_wrap=True)
    out.print(_sample(s3.get_object(Bucket=bucket, Key=day.csv)["Body"].read().decode()))
    if _size(s3, bucket, day.receipt) is not None:
        out.print(_account(json.load(s3.get_object(Bucket=bucket, Key=day.receipt)["Body"])), soft_wrap=True)


def _size(s3: Any, bucket: str, key: str) -> int | None:
    try:
        return s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "403"):
            return None
        raise


def _sample(text: str) -> Table:
    """The first row of each of a few accounts."""
    rows = list(csv.DictReader(io.StringIO(text)))
    firsts = list({row["username"]: row for row in reversed(rows)}.values())[::-1][:SAMPLE_ROWS]
    table = Table(caption=f"{len(firsts)} of {len(rows)} rows", caption_justify="left")
    for column in SAMPLE_COLUMNS:
        table.add_column(column, no_wrap=column != "text")
    for row in firsts:
        cells = (row.get(column) or "" for column in SAMPLE_COLUMNS)
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells))
    return table


def _account(receipt: dict[str, Any]) -> str:
    """The receipt's counts, proof and cost on two lines."""
    totals = receipt["totals"]
    counts = [f"{value} {name.replace('_', ' ')}" for name, value in totals.items() if isinstance(value, int)]
    proof = [f"{number} {word}" for word, number in totals["proof"].items()]
    return f"{', '.join(counts)}\nproof: {', '.join(proof)}; cost {receipt['cost_usd']:.3f} USD"


if __name__ == "__main__":
    sys.exit(main())
