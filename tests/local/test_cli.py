"""What `make run` bears on its way, and names at its end."""

import io
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from rich.console import Console

from include.twitter.day import Day
from local import cli
from local.airflow import AirflowRefused, AirflowUnreachable, Stage
from local.cli import _sample, follow, next_steps, summary, unsettled_note, welcome
from local.environment import PROJECT, EnvFile
from local.progress import Progress
from local.running import LocalStackError
from local.stack import Stack
from tests.include.factories import a_receipt, account_receipt

REAL = "TWITTER_AWS=real\nAIRFLOW_VAR_TWITTER_BUCKET=acme-lake\n"
DAY = Day.parse("2026-11-18")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """The stack of this checkout, without a settings file; it does not run."""
    stack = Stack(state=PROJECT / ".local", env_file=tmp_path / "absent", caller={}, with_airflow=False)
    stack.url = "http://127.0.0.1:8080"
    return stack


def commands(text: str) -> list[str]:
    """The commands of the last lines; each has a comment."""
    return [line.partition("  #")[0].rstrip() for line in text.splitlines() if "  # " in line]


def test_a_run_ends_with_three_commands_for_the_files_the_ui_and_another_day(stack, tmp_path) -> None:
    text = next_steps(stack, "manual__2026-11-18", DAY)
    assert commands(text) == [
        "ls .local/s3/000000000000/twitter-local/*/dt=2026-11-18",
        "make up",
        "make run DAY=2026-11-17",
    ]
    (tmp_path / "env").write_text(REAL)
    stack.env_file = EnvFile.read(tmp_path / "env")
    stack.stays = True
    files, page, _ = commands(next_steps(stack, "manual__2026-11-18", DAY))
    assert files == "aws s3 ls s3://acme-lake/twitter/dt=2026-11-18/"
    assert page == "http://127.0.0.1:8080/dags/twitter/runs/manual__2026-11-18"


def test_the_welcome_and_the_last_lines_of_a_run_fit_a_terminal_of_80_columns(stack, monkeypatch) -> None:
    monkeypatch.setattr(Stack, "password", "k3J-xyzABCDEFGH1")
    text = welcome(stack).plain
    assert commands(text) == ["make run", "ls .local/s3/000000000000/twitter-local", ". .local/env"]
    lines = [*text.splitlines(), *next_steps(stack, "manual__2026-11-18", DAY).splitlines()]
    assert max(map(len, lines)) <= 80


def test_the_summary_says_what_landed_for_how_much_and_what_is_not_whole() -> None:
    limited = {"outcome": "limit", "proof": "limited", "first_created_at": "2026-11-18T16:34:00Z"}
    gone = {"outcome": "unavailable", "proof": "unchecked", "reason": "User has been suspended: [gone]."}
    receipt = a_receipt(
        account_receipt("acme_press", 7),
        account_receipt("orbital_news", 100, **limited),
        account_receipt("gone", 0, **gone),
    )
    assert summary(receipt, real_x=False).splitlines() == [
        "107 posts of 2 accounts for $1.525 (pretend money: X is a stand-in here).",
        "orbital_news: latest 100 of about 323.",
        "gone: incomplete, User has been suspended: [gone].",
        "Compared with X's own counts, by account: 1 matched, 1 limited, 1 unchecked.",
    ]


class FakeStack:
    """A stack whose run is in each of these states, one after the other, or raises one."""

    bucket, stays = "b", False

    def __init__(self, *states: str | BaseException, stages: str = "success") -> None:
        self.airflow = self
        self._states = iter(states)
        self._stages = stages

    def check(self) -> None:
        """No component has ended."""

    def run_day(self, day: str, restart: bool) -> str:
        return f"manual__{day}"

    def run_state(self, run: str) -> str:
        state = next(self._states)
        if isinstance(state, BaseException):
            raise state
        return state

    def stages(self, run: str) -> list[Stage]:
        return [Stage(name, self._stages, 1, None, 1.5) for name in ("load", "extract")]

    def why_it_waits(self, run: str, stage: Stage) -> str:
        return "Outage: X answered 503."


@pytest.fixture
def run(monkeypatch):
    """Run `make run` on a fake stack; returns its exit code."""
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli, "past_proxies", lambda _: {})

    def run(stack: FakeStack) -> int:
        monkeypatch.setattr(cli, "_any_stack", lambda: nullcontext(stack))
        return cli.main(["run", "2026-11-18"])

    return run


def test_a_request_to_a_busy_airflow_is_repeated() -> None:
    stack = FakeStack(AirflowUnreachable("timed out"), "running", "success")
    progress = Progress(Console(file=io.StringIO()), "twitter, 2026-11-18", lambda stage: None)
    assert follow(stack, "run", progress, time.monotonic() + 60) == "success"
    assert [stage.name for stage in progress.stages] == ["extract", "load"]


def test_ctrl_c_shows_what_the_run_waits_for_and_how_to_continue(run, capsys) -> None:
    assert run(FakeStack("running", KeyboardInterrupt(), stages="up_for_retry")) == 130
    *_, reason, step = capsys.readouterr().out.splitlines()
    assert reason == "interrupted: extract is up for retry: Outage: X answered 503."
    assert step == "stopping everything … `make run DAY=2026-11-18` goes on from there"


@pytest.mark.parametrize(
    ("hour", "minute", "latest"), [(0, 0, "2026-11-18"), (1, 29, "2026-11-18"), (1, 30, None), (23, 59, None)]
)
def test_before_a_day_has_settled_the_latest_settled_one_is_named(hour, minute, latest) -> None:
    note = unsettled_note(datetime(2026, 11, 20, hour, minute, tzinfo=UTC))
    settles = f"It is {hour:02}:{minute:02} UTC: 2026-11-19 settles at 01:30 UTC."
    assert note == (latest and f"{settles} The latest settled day is {latest}.")


AWS_ERRORS = [
    ReadTimeoutError(endpoint_url="http://127.0.0.1:1/"),
    ClientError({"Error": {"Code": "SlowDown", "Message": "Reduce your request rate"}}, "GetObject"),
]


@pytest.mark.parametrize("error", AWS_ERRORS, ids=["timeout", "refusal"])
def test_a_landed_day_that_cannot_be_shown_is_one_line_and_a_success(run, capsys, error) -> None:
    class Landed(FakeStack):
        def s3(self) -> None:
            raise error

    assert run(Landed("success")) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("2026-11-18 has landed, but cannot be shown here. A request to AWS failed: ")
    assert type(error).__name__ in last


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\x9bm"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        *((error, "A request to AWS failed: ") for error in AWS_ERRORS),
        *(
            (kind(f"The end of x-api.log: {HOSTILE}"), "The end of x-api.log: [U+001B][2J")
            for kind in (LocalStackError, AirflowRefused, AirflowUnreachable)
        ),
    ],
)
def test_an_error_is_one_line_that_does_nothing_to_a_terminal_and_a_failure(
    run, capsys, error, shown
) -> None:
    class Failing(FakeStack):
        def run_day(self, day: str, restart: bool) -> str:
            raise error

    assert run(Failing()) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(shown)
    assert not {*"\x1b\x07\u202e\x9b"} & {*line}


def test_a_reason_to_wait_does_nothing_to_a_terminal() -> None:
    shown = io.StringIO()
    progress = Progress(Console(file=shown, force_terminal=False), "twitter", lambda stage: HOSTILE)
    with progress:
        progress.show([Stage("extract", "up_for_retry", 1, None, None)])
    assert "extract waits: [U+001B][2J" in shown.getvalue()
    assert not {*"\x1b\x07\u202e\x9b"} & {*shown.getvalue()}


def test_a_cell_of_the_sample_does_nothing_to_a_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system=None)
    console.print(
        _sample('created_at,username,likes,text\n2026,NASA,1,"\x1b[2J\x1b]0;owned\x07\u202e\x9bm"\n')
    )
    assert "[U+001B][2J[U+001B]]0;owned[U+0007][U+202E][U+009B]m" in out.getvalue()
    assert not set("\x07\u202e\x9b") & set(out.getvalue())
