"""Shows the states of a run's stages, and why one waits, on a terminal and in a pipe."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from include.twitter.safe_text import safe_lines
from local.airflow import COMES_BACK, Stage

COLOURS = {"success": "green", "failed": "red", "upstream_failed": "red", "running": "bold"}
NOT_YET = ("waiting", "scheduled", "queued")


class Progress:
    """Shows stages: a table that is redrawn on a terminal, else a line for each change of state.

    Either way a line says why a stage waits, and another when the reason changes. `why` is called until it
    returns a reason: a log may come after the state that it explains.
    """

    def __init__(self, out: Console, title: str, why: Callable[[Stage], str | None]) -> None:
        self.stages: list[Stage] = []
        self._out = out
        self._title = title
        self._why = why
        self._live = Live(console=out, auto_refresh=False) if out.is_terminal else None
        self._states: dict[str, tuple[str, int]] = {}
        self._reasons: dict[Stage, str] = {}
        self._printed: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        else:
            self._out.print(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, stages: list[Stage]) -> None:
        self.stages = stages
        if self._live:
            self._live.update(self._table(), refresh=True)
        else:
            self._print_changes()
        for stage in stages:
            if stage.state in COMES_BACK:
                self._print_reason(stage)

    @property
    def pending(self) -> str:
        """The first stage that has not succeeded, and why it waits, if it does."""
        for stage in self.stages:
            if stage.state != "success":
                reason = self._reasons.get(stage)
                return f"{stage.name} is {_state(stage)}" + (f": {reason}" if reason else "")
        return "no stage is running"

    def _print_reason(self, stage: Stage) -> None:
        reason = self._reasons.get(stage) or self._why(stage)
        if not reason:
            return
        self._reasons[stage] = reason
        if self._printed.get(stage.name) != reason:
            self._printed[stage.name] = reason
            self._out.print(
                Text(f"{stage.name} waits: {safe_lines(reason)}", "bold"),
                soft_wrap=not self._out.is_terminal,
            )

    def _table(self) -> Table:
        table = Table(title=self._title, title_justify="left", box=None, show_header=False)
        for stage in self.stages:
            table.add_row(stage.name, Text(_state(stage), COLOURS.get(stage.state, "dim")), _seconds(stage))
        return table

    def _print_changes(self) -> None:
        for stage in self.stages:
            state = (stage.state, stage.attempt)
            if self._states.get(stage.name) != state and stage.state not in NOT_YET:
                self._states[stage.name] = state
                self._out.print(f"{stage.name:<10} {_state(stage):<25} {_seconds(stage)}".rstrip())


def _state(stage: Stage) -> str:
    state = stage.state.replace("_", " ")
    return f"{state} (try {stage.attempt})" if stage.attempt > 1 else state


def _seconds(stage: Stage) -> str:
    if stage.state == "running" and stage.started:
        return f"{(datetime.now(UTC) - stage.started).total_seconds():.0f} s"
    return f"{stage.seconds:.1f} s" if stage.seconds and stage.state != "running" else ""
