"""`python -m local up` and `python -m local run [DAY]`: the pipeline on this machine."""

import argparse
import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from include.twitter import layout
from include.twitter.csv_rows import csv_rows
from include.twitter.day import Day
from include.twitter.errors import BadDay
from include.twitter.pricing import format_usd
from include.twitter.records import Receipt, decoded, latest_in_words
from include.twitter.safe_text import safe_lines, safe_text
from local import aws
from local.airflow import DAG, AirflowRefused, AirflowUnreachable, Stage
from local.environment import UI_USER, near, past_proxies
from local.progress import Progress
from local.running import Changing, LocalStackError, Neighbour, Running
from local.stack import AlreadyRunning, Stack

STAGES = ("extract", "transform", "load")
ENDED = ("success", "failed")
SAMPLE_COLUMNS = ("created_at", "username", "likes", "text")
SAMPLE_ROWS = 3
READ_PARQUET = 'pd.read_parquet({path!r}, dtype_backend="numpy_nullable")'
"""As on docs/read.md: likes are numbers."""
MONEY = {False: "pretend money: X is a stand-in here", True: "billed by X"}
MOST_NAMED = 10
"""Accounts that the summary names: the receipt has all."""

CHANGING_SECONDS = 60
"""How long `make run` waits for another one's stack to start or stop."""

out = Console(highlight=False)


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    os.environ |= past_proxies(os.environ)  # boto3 in this process
    try:
        return given.command(given)
    except (LocalStackError, AirflowRefused, AirflowUnreachable, BadDay) as error:
        _say(str(error), "red")
        return 1
    except (BotoCoreError, ClientError) as error:
        _say(_aws_failure(error), "red")
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
    run_.add_argument("day", nargs="?", help="YYYY-MM-DD; the latest settled UTC day")
    run_.add_argument("--timeout", type=float, default=900, metavar="SECONDS", help="of the whole run")
    run_.set_defaults(command=run)
    return parser


def up(given: argparse.Namespace) -> int:
    """Everything runs until Ctrl-C. Nothing is bought until somebody starts a day."""
    with _running(given.port) as stack:
        out.print(_welcome(stack))
        try:
            stack.wait(lambda text: _say(text, "yellow"))
        except KeyboardInterrupt:
            out.print("stopping …")
    return 0


def run(given: argparse.Namespace) -> int:
    """Lands one day, on the stack that `make up` keeps or on one of its own.

    A second time clears that day's run and goes through it again.
    """
    deadline = time.monotonic() + given.timeout
    now = datetime.now(UTC)
    day = Day.named(given.day) if given.day else Day.latest_settled(now)
    day.require_collectable(now)
    if not given.day and (note := unsettled_note(now)):
        _say(note)
    with _at_hand() as stack:
        run_id = stack.airflow.run_day(str(day), restart=isinstance(stack, Stack))
        progress = Progress(out, f"twitter, {day}", partial(stack.airflow.why_it_waits, run_id))
        try:
            state = follow(stack, run_id, progress, deadline)
        except KeyboardInterrupt:
            _show_unfinished("interrupted", stack, run_id, progress, day)
            raise
        if state == "success":
            try:
                _show_landed(stack, run_id, day)
            except (BotoCoreError, ClientError) as error:
                _say(f"{day} has landed, but cannot be shown here. {_aws_failure(error)}", "red")
            return 0
        if state == "failed":
            _show_failure(stack, run_id, progress.stages)
        else:
            _show_unfinished(f"not ended within {given.timeout:.0f} s", stack, run_id, progress, day)
        return 1


@contextmanager
def _at_hand() -> Iterator[Running]:
    """The stack of this checkout that runs already, or one that is started and stopped."""
    with ExitStack() as closing:
        retry = Retrying(
            retry=retry_if_exception_type(Changing),
            stop=stop_after_delay(CHANGING_SECONDS),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        yield retry(_own_or_running, closing)


def _own_or_running(closing: ExitStack) -> Running:
    try:
        stack = closing.enter_context(_running(None, with_triggerer=False))
    except AlreadyRunning as found:
        with out.status("waiting for the stack that another command has started …"):
            neighbour = closing.enter_context(Neighbour(found.address))
        out.print(f"on the stack that runs already: {found.address.url}", style="dim")
        return neighbour
    closing.callback(_wait_for_guests, stack)
    return stack


def _wait_for_guests(stack: Stack) -> None:
    """Keeps the stack until other commands that use it have ended."""
    if stack.lock_guests_out():
        return
    _say("another `make run` uses this stack: it stops when that one ends. Ctrl-C stops both.", "yellow")
    with suppress(LocalStackError):
        while not stack.lock_guests_out():
            stack.check()
            time.sleep(0.5)


@contextmanager
def _running(port: int | None, with_triggerer: bool = True) -> Iterator[Stack]:
    stack = Stack(port=port, with_triggerer=with_triggerer)
    begun = time.monotonic()
    try:
        _start(stack)
        out.print(f"started in {time.monotonic() - begun:.0f} s", style="dim")
        yield stack
    finally:
        stack.stop()


def _start(stack: Stack) -> None:
    try:
        with out.status("starting AWS, X and Airflow on this machine …"):
            stack.start()
    except KeyboardInterrupt:
        out.print("interrupted while AWS, X and Airflow were starting", style="red")
        raise


def _welcome(stack: Stack) -> Panel:
    lines = [
        f"[bold]{stack.url}/dags/twitter[/]   the Airflow UI",
        f"user [bold]{UI_USER}[/], password [bold]{escape(stack.password)}[/]",
        "",
        "Land a day      press Trigger there and type the day",
        "Land a range    Trigger twitter_plan: it shows the price, then waits",
        "See the days    Days in the menu: what has landed, and what it cost",
        "Run it again    click extract, transform or load, then Clear",
        "Change it       Admin, Variables: twitter_handles, twitter_tweet_limit",
    ]
    if not stack.env_file.real_aws:
        lines.append(f"Find the files  {escape(near(aws.object_on_disk(stack.state, stack.bucket, '')))}")
    lines += [
        f"Use a shell     . {escape(near(stack.state / 'env'))}",
        "",
        "[dim]Ctrl-C stops everything.[/]",
    ]
    return Panel("\n".join(lines), title="twitter-to-s3", expand=False, padding=(1, 2))


def unsettled_note(now: datetime) -> str | None:
    """Which day is the latest settled one, if yesterday is not: its authors can still edit posts."""
    yesterday, latest = Day.of(now).plus(-1), Day.latest_settled(now)
    if latest == yesterday:
        return None
    return (
        f"It is {now:%H:%M} UTC: {yesterday} settles at {yesterday.settled_at():%H:%M} UTC. "
        f"The latest settled day is {latest}."
    )


def _aws_failure(error: BotoCoreError | ClientError) -> str:
    reason = " ".join(str(error).split()).rstrip(".")
    return (
        f"A request to AWS failed: {type(error).__name__}: {reason}. If the machine is overloaded, try again."
    )


def follow(stack: Running, run_id: str, progress: Progress, deadline: float) -> str:
    """Shows the stages until the run has ended, or `deadline` has come. Returns the run's last state."""
    state = "queued"
    with progress:
        while state not in ENDED and time.monotonic() < deadline:
            stack.check()
            with suppress(AirflowUnreachable):  # the machine is busy: what has died fails the check
                now, stages = stack.airflow.run_state(run_id), stack.airflow.stages(run_id)
                stages.sort(key=lambda one: STAGES.index(one.name) if one.name in STAGES else len(STAGES))
                progress.show(stages)
                state = now
            time.sleep(0.5)
    return state


def _show_failure(stack: Running, run_id: str, stages: list[Stage]) -> None:
    for stage in [stage for stage in stages if stage.state == "failed"][:1]:
        _say(f"{stage.name} failed: {stack.airflow.error_of(run_id, stage)}", "red")


def _show_unfinished(how: str, stack: Running, run_id: str, progress: Progress, day: Day) -> None:
    _say(f"{how}: {progress.pending}", "red")
    if stack.stays:
        _say(f"it goes on without you: {_page(stack, run_id)}")
    else:
        _say(f"stopping everything … `make run DAY={day}` goes on from there")


def _page(stack: Running, run_id: str) -> str:
    return f"{stack.url}/dags/{DAG}/runs/{run_id}"


def _say(text: str, style: str = "") -> None:
    """A terminal breaks it between words; in a pipe a line stays one.

    The text may quote a log, a receipt or a server's response.
    """
    out.print(Text(safe_lines(text), style), soft_wrap=not out.is_terminal)


def _show_landed(stack: Running, run_id: str, day: Day) -> None:
    s3, bucket = stack.s3(), stack.bucket
    out.print()
    for key in (layout.csv(day), layout.parquet(day), layout.rejected(day), layout.receipt(day)):
        if (size := _size(s3, bucket, key)) is not None:
            out.print(f"s3://{bucket}/{key}  [dim]{size:,} bytes[/]", soft_wrap=True)
    out.print(_sample(s3.get_object(Bucket=bucket, Key=layout.csv(day))["Body"].read().decode()))
    if _size(s3, bucket, layout.receipt(day)) is not None:
        receipt = decoded(s3.get_object(Bucket=bucket, Key=layout.receipt(day))["Body"].read(), Receipt)
        _say(summary(receipt, real_x=stack.env_file.real_x))
    out.print(Text("\n".join(["", *next_steps(stack, run_id, day)])), soft_wrap=True)


def next_steps(stack: Running, run_id: str, day: Day) -> tuple[str, str, str]:
    """Where the table is, how to read it, and what to do next: each line can be copied as it is."""
    path = f"s3://{stack.bucket}/{layout.parquet(day)}"
    if not stack.env_file.real_aws:
        path = str(aws.object_on_disk(stack.state, stack.bucket, layout.parquet(day)))
    look = "make up    # the same Airflow with its UI, until Ctrl-C"
    return path, READ_PARQUET.format(path=path), _page(stack, run_id) if stack.stays else look


def _size(s3: Any, bucket: str, key: str) -> int | None:
    try:
        return s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "403"):
            return None
        raise


def _sample(text: str) -> Table:
    """The first row of each of a few accounts."""
    rows = list(csv_rows(io.StringIO(text)))
    firsts = list({row["username"]: row for row in reversed(rows)}.values())[::-1][:SAMPLE_ROWS]
    table = Table(caption=f"{len(firsts)} of {len(rows)} rows", caption_justify="left")
    for column in SAMPLE_COLUMNS:
        table.add_column(column, no_wrap=column != "text")
    for row in firsts:
        cells = (row.get(column) or "" for column in SAMPLE_COLUMNS)
        table.add_row(*(Text(safe_text(cell), no_wrap=True, overflow="ellipsis") for cell in cells))
    return table


def summary(receipt: Receipt, *, real_x: bool) -> str:
    """What has landed, for how much, and of which accounts that is not the whole day."""
    totals = receipt.totals
    of_accounts = sum(a.published > 0 or a.outcome != "unavailable" for a in receipt.accounts)
    posts, accounts = _many(totals.published, "post"), _many(of_accounts, "account")
    lines = [f"{posts} of {accounts} for {format_usd(round(receipt.cost_usd * 1000))} ({MONEY[real_x]})."]
    if totals.rejected:
        lines.append(f"{_many(totals.rejected, 'post')} rejected: see the rejected file.")
    named = [
        *(f"{a.username}: {latest_in_words(a)}." for a in receipt.accounts if a.outcome == "limit"),
        *(f"{a.username}: incomplete, {(a.reason or 'not read').rstrip('.')}." for a in receipt.missing),
    ]
    lines += named[:MOST_NAMED]
    if len(named) > MOST_NAMED:
        lines.append(f"{len(named) - MOST_NAMED} more accounts are limited or incomplete: see the receipt.")
    proof = ", ".join(f"{number} {word}" for word, number in totals.proof.items())
    return "\n".join([*lines, f"X's own count: {proof}."])


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
