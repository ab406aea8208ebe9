"""The local stack, started once for all tests that need it, and a hand on its Airflow."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psutil
import pytest
from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from local import aws
from local.stack import MARK, Stack

ENDED = {"success", "failed"}
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


def eventually(look, enough, seconds: float) -> Any:
    """What `look` sees once it is `enough`."""
    waiting = retry(
        retry=retry_if_not_result(enough),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.3),
        retry_error_callback=lambda last: pytest.fail(f"not within {seconds} s; last seen: {last.outcome}"),
    )
    return waiting(look)()


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


class Airflow:
    """What a person does in the UI, over the REST API that the UI uses."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v2", trust_env=False, timeout=30)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._http.request(method, path, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def trigger(
        self,
        day: str | None = None,
        logical_date: str | None = None,
        dag_run_id: str | None = None,
        **more: Any,
    ) -> str:
        conf = ({"day": day} if day else {}) | more
        asked = {"logical_date": logical_date, "conf": conf, "dag_run_id": dag_run_id}
        return self.call("POST", "/dags/twitter/dagRuns", json=asked)["dag_run_id"]

    def backfill(self, first: str, last: str, **more: Any) -> dict[str, str]:
        """Start a backfill; returns the run of each day."""
        asked = {"dag_id": "twitter", "from_date": f"{first}T00:00:00Z", "to_date": f"{last}T00:00:00Z"}
        asked |= {"reprocess_behavior": "completed", **more}
        # A backfill is told to have ended when the scheduler comes by, each half minute.
        post = eventually(
            lambda: self._http.post("/backfills", json=asked),
            lambda answer: answer.status_code != 409,
            60,
        )
        assert post.is_success, post.text
        return {
            run["logical_date"][:10]: run["dag_run_id"]
            for run in self.call("GET", "/dags/twitter/dagRuns", params={"limit": 1000})["dag_runs"]
            if run["run_type"] == "backfill" and first <= run["logical_date"][:10] <= last
        }

    def clear(self, run: str, *tasks: str) -> None:
        asked = {"dry_run": False, "only_failed": False, "dag_run_id": run, "task_ids": list(tasks)}
        self.call("POST", "/dags/twitter/clearTaskInstances", json=asked)

    def clear_run(self, run: str) -> None:
        self.call("POST", f"/dags/twitter/dagRuns/{run}/clear", json={"dry_run": False})

    def run(self, run: str) -> dict[str, Any]:
        return self.call("GET", f"/dags/twitter/dagRuns/{run}")

    def states(self, run: str) -> dict[str, str]:
        found = self.call("GET", f"/dags/twitter/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in found}

    def wait(self, run: str, until=lambda state: state in ENDED, seconds: float = 150) -> str:
        """The run's state once it has ended."""
        return eventually(lambda: self.run(run)["state"], until, seconds)

    def wait_for_task(self, run: str, task: str, state: str, seconds: float = 90) -> None:
        eventually(lambda: self.states(run)[task], lambda found: found == state, seconds)

    def log(self, run: str, task: str) -> list[dict[str, Any]]:
        """The log of a task's last try, an event a line."""
        try_number = self.call("GET", f"/dags/twitter/dagRuns/{run}/taskInstances/{task}")["try_number"]
        path = f"/dags/twitter/dagRuns/{run}/taskInstances/{task}/logs/{try_number}"
        return self.call("GET", path, headers={"Accept": "application/json"})["content"]

    def log_text(self, run: str, task: str) -> str:
        return "\n".join(json.dumps(event, ensure_ascii=False) for event in self.log(run, task))

    def xcom(self, run: str, task: str) -> Any:
        path = f"/dags/twitter/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        return self.call("GET", path)["value"]

    def set_variable(self, name: str, value: str | None) -> None:
        exists = self._http.get(f"/variables/{name}").is_success
        if value is None:
            if exists:
                self.call("DELETE", f"/variables/{name}")
        elif exists:
            self.call("PATCH", f"/variables/{name}", json={"key": name, "value": value})
        else:
            self.call("POST", "/variables", json={"key": name, "value": value})


@pytest.fixture(scope="session")
def airflow(stack) -> Iterator[Airflow]:
    """The live Airflow, with no cap on what all the tests together buy."""
    with closing(Airflow(stack.url)) as client:
        client.set_variable("twitter_run_budget_usd", "0")
        client.set_variable("twitter_month_budget_usd", "0")
        yield client


@pytest.fixture(scope="session")
def landed(airflow) -> dict[str, str]:
    """Three days, backfilled at once with the handles that the stack is seeded with: the run of each."""
    runs = airflow.backfill(day_ago(4), day_ago(2))
    assert [airflow.wait(run) for run in runs.values()] == ["success"] * 3
    return runs


@pytest.fixture
def variables(airflow):
    """Sets Variables for one test: `variables(twitter_handles="a, b")`; None deletes one."""
    before: dict[str, str | None] = {}

    def put(**values: str | None) -> None:
        for name, value in values.items():
            found = airflow._http.get(f"/variables/{name}")
            before.setdefault(name, found.json()["value"] if found.is_success else None)
            airflow.set_variable(name, value)

    yield put
    for name, value in before.items():
        airflow.set_variable(name, value)


class X:
    """The control endpoint of the stand-in for X."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/_control", trust_env=False)

    def close(self) -> None:
        self._http.close()

    def requests(self) -> list[dict[str, Any]]:
        return self._http.get("/requests").raise_for_status().json()

    def forget(self) -> None:
        self._http.delete("/requests").raise_for_status()

    def order(self, *faults: dict[str, Any]) -> None:
        self._http.put("/faults", json=list(faults)).raise_for_status()

    def slow(self, ms: int) -> None:
        self._http.put("/latency", json={"ms": ms}).raise_for_status()

    def posts(self, states: dict[str, str]) -> None:
        """The posts that are no longer as they were, by id."""
        self._http.put("/posts", json=states).raise_for_status()

    def behave(self) -> None:
        self.slow(0)
        self.posts({})
        self._http.delete("/faults").raise_for_status()

    def pages(self) -> list[dict[str, Any]]:
        """The timeline pages that were asked for."""
        return [request for request in self.requests() if request["path"].endswith("/tweets")]


@pytest.fixture
def x(stack) -> Iterator[X]:
    """The stand-in for X, with an empty request log and no fault ordered."""
    with closing(X(stack.x_port)) as control:
        control.forget()
        yield control
        control.behave()


class Bucket:
    """The embedded bucket as its owner sees it."""

    def __init__(self, stack: Stack) -> None:
        self.name = stack.bucket
        self.client = stack.root.client("s3", stack.aws)

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def json(self, key: str) -> Any:
        return json.loads(self.read(key))

    def keys(self, prefix: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def version(self, key: str) -> str:
        return self.client.head_object(Bucket=self.name, Key=key)["VersionId"]


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
    for key in bucket.keys(""):
        if f"dt={day}/" in key:
            bucket.client.delete_object(Bucket=bucket.name, Key=key)
    return day
