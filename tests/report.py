"""What a run of the tests reports at its end, and which skips CI accepts."""

import os
import time
from collections.abc import Generator
from typing import Any

import pytest

ACCEPTED_IN_CI = {
    "no docker compose here": "Debian's docker-compose is not on every CI machine; the file changes rarely",
}
"""How the reason of a skip begins that CI accepts, and why. Any other skip there is a failure."""

STARTED = time.monotonic()


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _fail_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skip(report)
    return report


def _fail_skip(report: Any) -> None:
    """Make a failure of a skip that CI does not accept."""
    if not (report.skipped and in_ci()):
        return
    file, line, message = report.longrepr
    reason = message.removeprefix("Skipped: ")
    if not reason.startswith(tuple(ACCEPTED_IN_CI)):
        report.outcome = "failed"
        report.longrepr = f"{file}:{line}: skipped, which is a failure in CI: {reason}"


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End with one line: what became of the tests, and what they cost."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(config, "workerinput") or config.option.collectonly:
        return
    passed, failed, errors, skipped = (
        len(terminal.stats.get(outcome, ())) for outcome in ("passed", "failed", "error", "skipped")
    )
    spent = os.times()
    cpu = spent.user + spent.system + spent.children_user + spent.children_system  # the workers are children
    terminal.write_line(
        f"{passed} passed, {failed + errors} failed, {skipped} skipped: "
        f"{time.monotonic() - STARTED:.0f} s, {cpu:.0f} s of CPU"
    )
