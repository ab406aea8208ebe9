"""`python -m local up` and `python -m local run [DAY]`: the pipeline on this machine.

Its colours are readable on a dark and on a light terminal. rich drops them in a pipe, and with NO_COLOR.
"""

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
from rich.box import SIMPLE_HEAD
from rich.console import Console
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
MONEY = {False: "pretend money: X is a stand-in here", True: "billed by X"}
MAX_NAMED = 10
"""Accounts that the summary names: the receipt has all."""

CHANGING_SECONDS = 60
"""How long `make run` waits for another command's stack to start or stop."""
NOTICE = "bold"

out = Console(highlight=False)


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    os.environ |= past_proxies(os.environ)  # boto3 in this process
    try:
        return args.command(args)
    except (LocalStackError, AirflowRefused, AirflowUnreachable, BadDay) as error:
        _print(str(error), "red")
        return 1
    except (BotoCoreError, ClientError) as error:
        _print(_aws_failure(error), "red")
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
    run_.add_argument("day", nargs="?", help="YYYY-MM-DD; default: the latest settled UTC day")
    run_.add_argument("--timeout", type=float, default=900, metavar="SECONDS", help="of the whole run")
    run_.set_defaults(command=run)
    return parser


def up(args: argparse.Namespace) -> int:
    """Keep everything running until Ctrl-C. Nothing is bought until somebody starts a day."""
    with _new_stack(args.port) as stack:
        out.print(welcome(stack), soft_wrap=True)
        try:
            stack.wait(lambda report: _print(report, NOTICE))
        except KeyboardInterrupt:
            out.print("stopping …")
    return 0


def run(args: argparse.Namespace) -> int:
    """Land one day, on the stack that `make up` keeps or on one of its own.

    A second time clears that day's run, so that it goes through again.
    """
    deadline = time.monotonic() + args.timeout
    now = datetime.now(UTC)
    day = Day.named(args.day) if args.day else Day.latest_settled(now)
    day.require_collectable(now)
    if not args.day and (note := unsettled_note(now)):
        _print(note)
    with _any_stack() as stack:
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
                _print(f"{day} has landed, but cannot be shown here. {_aws_failure(error)}", "red")
            return 0
        if state == "failed":
            _show_failure(stack, run_id, progress.stages, day)
        else:
            _show_unfinished(f"not ended within {args.timeout:.0f} s", stack, run_id, progress, day)
        return 1


@contextmanager
def _any_stack() -> Iterator[Running]:
    """The stack of this checkout that another command runs, or one that is started and stopped."""
    with ExitStack() as closing:
        retry = Retrying(
            retry=retry_if_exception_type(Changing),
            stop=stop_after_delay(CHANGING_SECONDS),
            wait=wait_fixed(0.5),
            reraise=True,
        )
        yield retry(_new_or_running_stack, closing)


def _new_or_running_stack(closing: ExitStack) -> Running:
    try:
        stack = closing.enter_context(_new_stack(None, with_triggerer=False))
    except AlreadyRunning as error:
        with out.status("waiting for the stack that another command has started …"):
            neighbour = closing.enter_context(Neighbour(error.address))
        out.print(f"on the stack that runs already: {error.address.url}", style="dim")
        return neighbour
    closing.callback(_wait_for_guests, stack)
    return stack


def _wait_for_guests(stack: Stack) -> None:
    """Keep the stack until the other commands that use it have ended."""
    if stack.lock_guests_out():
        return
    _print("another `make run` uses this stack: it stops when that one ends. Ctrl-C stops both.", NOTICE)
    with suppress(LocalStackError):
        while not stack.lock_guests_out():
            stack.check()
            time.sleep(0.5)


@contextmanager
def _new_stack(port: int | None, with_triggerer: bool = True) -> Iterator[Stack]:
    stack = Stack(port=port, with_triggerer=with_triggerer)
    begun = time.monotonic()
    try:
        try:
            with out.status("starting AWS, X and Airflow on this machine …"):
                stack.start()
        except KeyboardInterrupt:
            _print("interrupted while AWS, X and Airflow were starting", "red")
            raise
        out.print(f"started in {time.monotonic() - begun:.0f} s", style="dim")
        yield stack
    finally:
        stack.stop()


def welcome(stack: Running) -> Text:
    """What `make up` shows: where the UI is, what to do there, and three commands for another terminal."""
    files = f"aws s3 ls s3://{stack.bucket}/"
    if not stack.env_file.real_aws:
        files = f"ls {near(aws.object_on_disk(stack.state, stack.bucket, ''))}"
    text = (
        "\n"
        f"Airflow UI      {stack.url}/dags/{DAG}\n"
        f"Sign in         user {UI_USER}, password {stack.password}\n"
        "\n"
        "Land a day      press Trigger there and type the day\n"
        "Land a range    trigger twitter_plan: it shows the price, then waits for you\n"
        "See the days    Days in the menu: what has landed, and what it cost\n"
        "Run it again    click extract, transform or load, then Clear\n"
        "Change it       Admin, Variables: twitter_handles, … (a line of .env wins)\n"
        "\n"
        "In another terminal:\n\n"
        + _steps(
            ("make run", "land the latest settled day here"),
            (files, "what has landed"),
            (f". {near(stack.state / 'env')}", "use this AWS and Airflow in a shell"),
        )
        + "\n\nCtrl-C stops everything. What has landed stays."
    )
    return Text(safe_lines(text))


def _steps(*steps: tuple[str, str]) -> str:
    """Commands that can be pasted as they are, each with a comment."""
    width = max(len(command) for command, _ in steps)
    return "\n".join(f"{command:<{width}}  # {comment}" for command, comment in steps)


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
    """Show the stages until the run has ended or `deadline` has passed. Returns the run's last state."""
    state = "queued"
    with progress:
        while state not in ENDED and time.monotonic() < deadline:
            stack.check()
            with suppress(AirflowUnreachable):  # the machine is busy; a dead component fails the check
                state_now, stages = stack.airflow.run_state(run_id), stack.airflow.stages(run_id)
                stages.sort(
                    key=lambda stage: STAGES.index(stage.name) if stage.name in STAGES else len(STAGES)
                )
                progress.show(stages)
                state = state_now
            time.sleep(0.5)
    return state


def _show_failure(stack: Running, run_id: str, stages: list[Stage], day: Day) -> None:
    for stage in [stage for stage in stages if stage.state == "failed"][:1]:
        _print(f"{stage.name} failed: {stack.airflow.error_of(run_id, stage)}", "red")
    _print(
        f"its log: {_page(stack, run_id)}"
        if stack.stays
        else f"`make up` shows its log; `make run DAY={day}` tries again"
    )


def _show_unfinished(reason: str, stack: Running, run_id: str, progress: Progress, day: Day) -> None:
    _print(f"{reason}: {progress.pending}", "red")
    if stack.stays:
        _print(f"it goes on without you: {_page(stack, run_id)}")
    else:
        _print(f"stopping everything … `make run DAY={day}` goes on from there")


def _page(stack: Running, run_id: str) -> str:
    return f"{stack.url}/dags/{DAG}/runs/{run_id}"


def _print(text: str, style: str = "") -> None:
    """Print text that may quote a log, a receipt or a server's response.

    A terminal breaks it between words; in a pipe a line stays one.
    """
    out.print(Text(safe_lines(text), style), soft_wrap=not out.is_terminal)


def _show_landed(stack: Running, run_id: str, day: Day) -> None:
    s3, bucket = stack.s3(), stack.bucket
    out.print()
    for key in (layout.csv(day), layout.parquet(day), layout.rejected(day), layout.receipt(day)):
        if (size := _size(s3, bucket, key)) is not None:
            out.print(f"{-(-size // 1000):>3,} KB  s3://{bucket}/{key}", soft_wrap=True)
    out.print()
    out.print(_sample(s3.get_object(Bucket=bucket, Key=layout.csv(day))["Body"].read().decode()))
    if _size(s3, bucket, layout.receipt(day)) is not None:
        receipt = decoded(s3.get_object(Bucket=bucket, Key=layout.receipt(day))["Body"].read(), Receipt)
        _print(summary(receipt, real_x=stack.env_file.real_x))
    out.print(Text(f"\n{next_steps(stack, run_id, day)}"), soft_wrap=True)


def next_steps(stack: Running, run_id: str, day: Day) -> str:
    """Where the files are and what to do next: three lines that a shell takes as they are."""
    files = f"aws s3 ls s3://{stack.bucket}/{layout.csv(day).rpartition('/')[0]}/"
    if not stack.env_file.real_aws:
        files = f"ls {near(aws.object_on_disk(stack.state, stack.bucket, '*'))}/dt={day}"
    ui = ("make up", "the Airflow UI")
    if stack.stays:
        ui = (_page(stack, run_id), "this run in the UI")
    return _steps((files, "the files of the day"), ui, (f"make run DAY={day.plus(-1)}", "the day before"))


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
    title = f"{len(firsts)} of {len(rows)} rows"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="dim")
    for column in SAMPLE_COLUMNS:
        table.add_column(column, no_wrap=column != "text", justify="right" if column == "likes" else "left")
    for row in firsts:
        cells = (row.get(column) or "" for column in SAMPLE_COLUMNS)
        table.add_row(*(Text(safe_text(cell), no_wrap=True, overflow="ellipsis") for cell in cells))
    return table


def summary(receipt: Receipt, *, real_x: bool) -> str:
    """What has landed, for how much, and which accounts have not landed whole."""
    totals = receipt.totals
    landed = sum(a.published > 0 or a.outcome != "unavailable" for a in receipt.accounts)
    posts, accounts = _count(totals.published, "post"), _count(landed, "account")
    lines = [f"{posts} of {accounts} for {format_usd(round(receipt.cost_usd * 1000))} ({MONEY[real_x]})."]
    if totals.rejected:
        lines.append(f"{_count(totals.rejected, 'post')} rejected: see the rejected file.")
    named = [
        *(f"{a.username}: {latest_in_words(a)}." for a in receipt.accounts if a.outcome == "limit"),
        *(f"{a.username}: incomplete, {(a.reason or 'not read').rstrip('.')}." for a in receipt.missing),
    ]
    lines += named[:MAX_NAMED]
    if len(named) > MAX_NAMED:
        lines.append(f"{len(named) - MAX_NAMED} more accounts are limited or incomplete: see the receipt.")
    proof = ", ".join(f"{number} {word}" for word, number in totals.proof.items())
    return "\n".join([*lines, f"Compared with X's own counts, by account: {proof}."])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
