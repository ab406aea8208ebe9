"""What `make run` shows while a run gets on, on a terminal and in a pipe."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from local.airflow import Stage
from local.progress import Progress

OUTAGE = "Outage: X answered 503 to GET /2/users/by: Service Unavailable."
LIMIT = "RateLimited: X answered 429 to GET /2/users/by: Too Many Requests."


def stage(state: str, attempt: int = 1, name: str = "extract") -> Stage:
    return Stage(name, state, attempt, started=None, seconds=1.5)


def shown(*states: Stage, why: Callable[[Stage], str | None], terminal: bool = False) -> tuple[str, str]:
    """What is printed of one stage's states, and what is pending after the last."""
    out = Console(file=io.StringIO(), force_terminal=terminal, width=50, color_system=None)
    with Progress(out, "twitter, 2026-11-18", why) as progress:
        for state in states:
            progress.show([state])
    return out.file.getvalue(), progress.pending


def test_a_pipe_gets_a_line_for_each_change_and_the_reason_once_until_it_changes() -> None:
    reasons = {1: OUTAGE, 2: OUTAGE, 3: LIMIT, 4: OUTAGE}
    states = [stage(state, n) for n in reasons for state in ("running", "up_for_retry", "up_for_retry")]
    text, _ = shown(*states, why=lambda stage: reasons[stage.attempt])
    assert text.splitlines() == [
        "twitter, 2026-11-18",
        "extract    running",
        "extract    up for retry              1.5 s",
        f"extract waits: {OUTAGE}",
        "extract    running (try 2)",
        "extract    up for retry (try 2)      1.5 s",
        "extract    running (try 3)",
        "extract    up for retry (try 3)      1.5 s",
        f"extract waits: {LIMIT}",
        "extract    running (try 4)",
        "extract    up for retry (try 4)      1.5 s",
        f"extract waits: {OUTAGE}",
    ]


def test_a_terminal_keeps_the_reason_once_above_the_table() -> None:
    states = [stage("up_for_retry", n) for n in (1, 1, 2, 2)] + [stage("success", 3)]
    text, _ = shown(*states, why=lambda stage: OUTAGE, terminal=True)
    assert text.count("extract waits: Outage: X answered 503") == 1
    last_table = text[text.rindex("twitter, 2026-11-18") :]
    assert "success (try 3)" in last_table
    assert "Outage" not in last_table


def test_a_log_that_comes_after_its_state_is_read_until_it_has_the_reason_and_then_no_more() -> None:
    reasons = iter([None, None, OUTAGE])
    text, _ = shown(*[stage("up_for_retry")] * 5, why=lambda stage: next(reasons))
    assert text.count(OUTAGE) == 1


def test_a_stage_that_does_not_wait_needs_no_reason() -> None:
    states = [stage(state) for state in ("waiting", "scheduled", "queued", "running", "success", "failed")]
    text, _ = shown(*states, why=lambda stage: pytest.fail(f"{stage} does not wait"))
    assert "waits" not in text


@pytest.mark.parametrize(
    ("state", "pending"),
    [
        (stage("up_for_retry", 2), f"extract is up for retry (try 2): {OUTAGE}"),
        (stage("running"), "extract is running"),
        (stage("success"), "no stage is running"),
    ],
)
def test_what_is_pending_is_the_first_stage_that_is_not_through(state: Stage, pending: str) -> None:
    assert shown(state, why=lambda stage: OUTAGE)[1] == pending
