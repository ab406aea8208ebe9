"""The local stack, started once for all tests that need it, and a hand on its Airflow."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from local import aws
from local.stack import MARK, Stack
from tests.hands import Airflow, Bucket, X, eventually

TODAY = datetime.now(UTC).date()
"""The day on which the tests began: midnight may pass while they run."""


def day_ago(number: int) -> str:
    """A day that has settled, and that timelines and counts still show after midnight: 2 to 5 days ago.

    Tests that land a day of their own share the fifth: `empty_day`.
    """
    assert 2 <= number <= 5
    return str(TODAY - timedelta(days=number))


@pytest.fixture(scope="session")
def stack(tmp_path_factory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("stack")
    settings = state / "tests.env"
    settings.write_text(
        "AIRFLOW__LOGGING__LOGGING_LEVEL=DEBUG\n"  # what logs may give away, they give away at DEBUG
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME=0.1\n"  # the tests wait for it all the time
    )
    with Stack(state=state, port=None, env_file=settings) as running:
        yield running


def running_task(stack) -> psutil.Process:
    """The process that runs a task's code; its parent is the supervisor."""

    def found() -> psutil.Process | None:
        for process in psutil.process_iter():
            try:
                above = " ".join(process.parent().cmdline()) if process.parent() else ""
                ours = process.environ().get(MARK) == str(stack.state)
            except psutil.Error:
                continue
            if ours and above.startswith("airflow worker -- LocalExecutor"):
                return process
        return None

    return eventually(found, lambda process: process is not None, 60)


@pytest.fixture(scope="session")
def airflow(stack) -> Iterator[Airflow]:
    """The live Airflow, with no cap on what all the tests together buy."""
    with closing(Airflow(stack.url, stack.password)) as client:
        client.set_variable("twitter_run_budget_usd", "0")
        client.set_variable("twitter_month_budget_usd", "0")
        yield client


@pytest.fixture(scope="session")
def landed(airflow) -> dict[str, str]:
    """Three days, backfilled at once with the handles that the stack is seeded with: the run of each."""
    runs = airflow.backfilled(day_ago(4), day_ago(2))
    assert [airflow.wait(run) for run in runs.values()] == ["success"] * 3
    return runs


@pytest.fixture
def variables(airflow):
    """Sets Variables for one test: `variables(twitter_handles="a, b")`; None deletes one."""
    before: dict[str, str | None] = {}

    def put(**values: str | None) -> None:
        for name, value in values.items():
            before.setdefault(name, airflow.variable(name))
            airflow.set_variable(name, value)

    yield put
    for name, value in before.items():
        airflow.set_variable(name, value)


@pytest.fixture
def x(stack) -> Iterator[X]:
    """The stand-in for X, with an empty request log and no fault ordered."""
    with closing(X(stack)) as control:
        control.forget()
        yield control
        control.behave()


@pytest.fixture(scope="session")
def bucket(stack) -> Bucket:
    return Bucket(stack)


@pytest.fixture(scope="session")
def role_s3(stack):
    """An S3 client with the pipeline's own rights."""
    assert not stack.env_file.real_aws
    return aws.role_session(stack.metadata).client("s3", endpoint_url=stack.aws)


@pytest.fixture
def empty_day(bucket) -> str:
    """A day of which nothing has been bought or landed."""
    day = day_ago(5)
    everything = bucket.keys()
    for key in everything:
        if f"dt={day}/" in key:
            bucket.delete(key)
    return day
