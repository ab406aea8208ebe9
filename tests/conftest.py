"""Airflow finds an empty home of its own, whatever the shell says; and which tests begin, and where."""

import os
from tempfile import TemporaryDirectory

import pytest

_home = TemporaryDirectory(prefix="airflow-home-")
for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_"))]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = _home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

STACKS = ("stack", "stand_ins")
"""Fixtures that start what all the tests of a worker share."""
FIRST = (*STACKS, "live", "slow")
"""Fixtures and marks of the tests that begin first, the longest before the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, the tests of a stack stay together, and so do those of a file."""
    items.sort(key=_rank)
    for item in items:
        stack = next((name for name in STACKS if name in item.fixturenames), None)
        item.add_marker(pytest.mark.xdist_group(stack or str(item.path)))


def _rank(item: pytest.Item) -> int:
    names = {*item.fixturenames, *(mark.name for mark in item.iter_markers())}
    return next((rank for rank, name in enumerate(FIRST) if name in names), len(FIRST))
