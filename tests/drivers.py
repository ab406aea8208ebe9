"""Drivers of a running stack: the stand-in for X, the bucket as its owner, Airflow as a person in its UI."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest
from tenacity import retry, retry_if_not_result, stop_after_delay, wait_fixed

from local import airflow, x_api
from local.stack import Stack

ENDED = {"success", "failed"}
MILLS = {"posts": 5, "users": 10, "counts": 5, "archive_counts": 10}
"""What X bills: for each post and user, and for a count."""


PATIENCE = 300
"""Seconds after which a wait has failed: ten times what the slowest takes on an idle machine."""


def eventually(look, enough=bool, seconds: float = PATIENCE) -> Any:
    """Call `look` until its result is `enough`, and return it."""
    waiting = retry(
        retry=retry_if_not_result(enough),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(0.4),
        retry_error_callback=lambda last: pytest.fail(f"not within {seconds} s; last seen: {last.outcome}"),
    )
    return waiting(look)()


def connection_to_x(stack: Stack) -> dict[str, Any]:
    """Airflow's Connection to the stand-in, with the keys of a user."""
    token = {"access_token": x_api.ACCESS_TOKEN, "access_token_secret": x_api.ACCESS_TOKEN_SECRET}
    return {
        "conn_type": "http",
        "host": f"http://127.0.0.1:{stack.x_port}",
        "login": x_api.CONSUMER_KEY,
        "password": x_api.CONSUMER_SECRET,
        "extra": token,
    }


class X:
    """The controls of the stand-in for X."""

    def __init__(self, stack: Stack) -> None:
        url = f"http://127.0.0.1:{stack.x_port}/_control"
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def close(self) -> None:
        self._http.close()

    def get(self, name: str) -> Any:
        return self._http.get(f"/{name}").raise_for_status().json()

    def put(self, name: str, value: Any) -> None:
        self._http.put(f"/{name}", json=value).raise_for_status()

    def reset(self, *names: str) -> None:
        for name in names:
            self._http.delete(f"/{name}").raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        return self.get("requests")

    def request_kinds(self) -> list[str]:
        """The kinds of the requests so far, in order of their arrival."""
        return [kind(request) for request in self.requests()]

    def pages(self) -> list[dict[str, Any]]:
        """The timeline pages that were requested."""
        return [request for request in self.requests() if request["path"].endswith("/tweets")]

    def forget(self) -> None:
        self.reset("requests")

    def order(self, *faults: dict[str, Any]) -> None:
        self.put("faults", faults)

    def latency(self, ms: int) -> None:
        self.put("latency", {"ms": ms})

    def clock(self, now: datetime) -> None:
        self.put("clock", {"now": now.isoformat()})

    def owners(self, **accounts: str) -> None:
        """Handles that have become another account's; none where none is named."""
        self.put("owners", accounts)

    def posts(self, **states: str) -> None:
        """The posts that are no longer as they were, by id; none where none is named."""
        self.put("posts", states)

    def behave(self) -> None:
        """No fault, no delay, every account and post as it was."""
        self.order()
        self.latency(0)
        self.owners()
        self.posts()
        self.reset("jobs", "rate_limit")

    def wait_until_idle(self) -> None:
        """Wait until the requests of a killed process have responses: X may not have read the last one."""
        quiet = 0
        for _ in range(10_000):
            quiet = 0 if self.get("open") else quiet + 1
            if quiet == 5:
                return
        pytest.fail("X is still responding")

    def served(self) -> Counter[str]:
        """What X has served, as it bills it."""
        return sum(map(charges, self.requests()), Counter())

    def served_mills(self) -> int:
        return sum(MILLS[name] * number for name, number in self.served().items())

    def bill(self) -> dict[str, int]:
        """How many posts X charges, by the UTC day: each once in it, however often it is read."""
        return self.get("bill")


def kind(request: dict[str, Any]) -> str:
    """users, timeline, search, count, posts or token."""
    path = request["path"]
    kinds = {"/users/by": "users", "/users/": "timeline", "/search/": "search", "/counts/": "count"}
    if path == "/2/tweets":
        return "posts"
    return next((name for part, name in kinds.items() if part in path), "token")


def charges(request: dict[str, Any]) -> Counter[str]:
    """What X bills for a request: how many of what."""
    if request["status"] != 200:
        return Counter()
    path = request["path"]
    counts = {"counts": path.endswith("/counts/recent"), "archive_counts": path.endswith("/counts/all")}
    return +Counter(**counts, posts=request["posts"], users=request["users"])


def request_line(request: dict[str, Any]) -> str:
    """A request as one line, the same for every try of it."""
    return f"{request['path']}?{json.dumps(request['query'], sort_keys=True)}"


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, stack: Stack, name: str = "") -> None:
        self.name = name or stack.bucket
        self.client = stack.root.client("s3", stack.aws)

    def create(self) -> None:
        """Create it with versioning, as that of the template has it."""
        self.client.create_bucket(Bucket=self.name)
        self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def stored(self, key: str) -> bytes:
        """An object's bytes as they lie there."""
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def read(self, key: str) -> bytes:
        """What an object says: unpacked where it is gzip."""
        stored = self.stored(key)
        return gzip.decompress(stored) if key.endswith(".gz") else stored

    def json(self, key: str) -> Any:
        return json.loads(self.read(key))

    def rows(self, key: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self.read(key).decode().split("\n")))

    def version(self, key: str) -> str:
        return self.client.head_object(Bucket=self.name, Key=key)["VersionId"]

    def store(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def write(self, key: str, value: Any) -> None:
        self.store(key, json.dumps(value).encode())

    def delete(self, prefix: str) -> None:
        for key in self.keys(prefix):
            self.client.delete_object(Bucket=self.name, Key=key)

    def ledger(self) -> list[dict[str, Any]]:
        return [self.json(key) for key in self.keys("twitter_ledger/")]

    def ledger_mills(self) -> int:
        return sum(entry["spent_mills"] for entry in self.ledger())


class Airflow(airflow.Airflow):
    """What a person does in the UI, over the REST API that the UI uses.

    `check` raises if a component of the stack has ended, so that no test waits for it.
    """

    def __init__(self, url: str, password: str, check: Callable[[], None] = lambda: None) -> None:
        super().__init__(url, password)
        self._check = check

    def run_state(self, run: str) -> str:
        self._check()
        return super().run_state(run)

    def stages(self, run: str) -> list[airflow.Stage]:
        self._check()
        return super().stages(run)

    def trigger(
        self,
        day: str | None = None,
        logical_date: str | None = None,
        dag_run_id: str | None = None,
        **more: Any,
    ) -> str:
        conf = ({"day": day} if day else {}) | more
        body = {"logical_date": logical_date, "conf": conf, "dag_run_id": dag_run_id}
        return self.call("POST", "/dags/twitter/dagRuns", json=body)["dag_run_id"]

    def backfilled(self, first: str, last: str, **more: Any) -> dict[str, str]:
        """Start a backfill; returns the run of each day."""
        # The scheduler closes an earlier backfill, twice a minute.
        eventually(lambda: self._backfill_begins(first, last, **more))
        return {
            run["logical_date"][:10]: run["dag_run_id"]
            for run in self.runs()
            if run["run_type"] == "backfill" and first <= run["logical_date"][:10] <= last
        }

    def _backfill_begins(self, first: str, last: str, **more: Any) -> bool:
        try:
            self.backfill(first, last, **more)
        except airflow.AirflowHasIt:
            return False
        return True

    def clear(self, run: str, *tasks: str) -> None:
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run, "task_ids": list(tasks)}
        self.call("POST", "/dags/twitter/clearTaskInstances", json=body)

    def clear_run(self, run: str) -> None:
        self.call("POST", f"/dags/twitter/dagRuns/{run}/clear", json={"dry_run": False})

    def run(self, run: str) -> dict[str, Any]:
        return self.call("GET", f"/dags/twitter/dagRuns/{run}")

    def states(self, run: str) -> dict[str, str]:
        return {stage.name: stage.state for stage in self.stages(run)}

    def wait(self, run: str) -> str:
        """The run's state once it has ended."""
        return eventually(lambda: self.run_state(run), ENDED.__contains__)

    def wait_for_task(self, run: str, task: str, state: str) -> None:
        eventually(lambda: self.states(run)[task], lambda current: current == state)

    def log(self, run: str, task: str) -> list[dict[str, Any]]:
        """The log of a task's last try, an event a line."""
        return self.log_of(run, next(stage for stage in self.stages(run) if stage.name == task))

    def log_text(self, run: str, task: str) -> str:
        return "\n".join(json.dumps(event, ensure_ascii=False) for event in self.log(run, task))

    def xcom(self, run: str, task: str) -> Any:
        path = f"/dags/twitter/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        return self.call("GET", path)["value"]

    def set_variable(self, name: str, value: str | None) -> None:
        exists = self.variable(name) is not None
        if value is None:
            if exists:
                self.call("DELETE", f"/variables/{name}")
        elif exists:
            self.call("PATCH", f"/variables/{name}", json={"key": name, "value": value})
        else:
            self.call("POST", "/variables", json={"key": name, "value": value})
