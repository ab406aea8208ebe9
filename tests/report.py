"""The summary line of a test run, and the rule that a skip fails in CI."""

import os
import time
from collections.abc import Generator
from typing import Any

import pytest

ACCEPTED_IN_CI = {
    "no docker compose here": "docker-compose is not on every CI machine; the compose file changes rarely",
}
"""Prefixes of the skip reasons that CI accepts, each with its justification. Any other skip fails there."""

STARTED = time.monotonic()


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _fail_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skip_in_ci(report)
    return report


def _fail_skip_in_ci(report: Any) -> None:
    """Turn a skip that CI does not accept into a failure."""
    if not (report.skipped and in_ci()):
        return
    file, line, message = report.longrepr
    reason = message.removeprefix("Skipped: ")
    if not reason.startswith(tuple(ACCEPTED_IN_CI)):
        report.outcome = "failed"
        report.longrepr = f"{file}:{line}: skipped, which is a failure in CI: {reason}"


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End with one line: how many tests passed, failed and were skipped, wall time and CPU time."""
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
