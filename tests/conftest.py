"""Airflow finds an empty home of its own, whatever the shell says; and which tests begin, and where."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

_home = TemporaryDirectory(prefix="airflow-home-")
for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_"))]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = _home.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(Path(__file__).parents[1] / "plugins")

pytest_plugins = ["tests.report"]

ONE_WORKER = "tests/e2e/"
# What is imported and collected stays: searching it for garbage takes a quarter of the collection.
gc.disable()

# The same examples on every machine, however slow it is. No shrinking, which takes minutes.
settings.register_profile(
    "suite",
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("nightly", settings.get_profile("suite"), max_examples=200)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

FIRST = ("stack", "make_checkout", "stand_ins", "live", "slow")
"""Fixtures and marks of the tests that begin first, the longest before the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """What nobody closed is found while there is still a test to fail: a worker's end fails nothing."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    names = {*item.fixturenames, *(mark.name for mark in item.iter_markers())}
    return next((rank for rank, name in enumerate(FIRST) if name in names), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Workers share the tests file by file; those of the one live Airflow stay together."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return ONE_WORKER if nodeid.startswith(ONE_WORKER) else super()._split_scope(nodeid)

    return Scheduling(config, log)
