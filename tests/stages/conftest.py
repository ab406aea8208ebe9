"""The three stages in this process, without Airflow: on stand-ins for AWS and X, their clock stopped."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
import httpx
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from include.twitter.day import Day, short_hash
from include.twitter.extract import extract
from include.twitter.load import load
from include.twitter.run import Run
from include.twitter.transform import transform
from local import x_api
from local.stack import Stack

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECENT, ARCHIVED = "2026-11-20", "2026-10-20"
MILLS = {"posts": 5, "users": 10, "counts": 5, "archive_counts": 10}
TOKEN = "/oauth2/token"
KEPT = ("published", "rejected", "duplicates", "outside", "over_limit", "unasked", "forgotten")


@pytest.fixture(scope="session", autouse=True)
def quick_clients_of_aws() -> Iterator[None]:
    """Each stage makes a client: boto reads all its models for it, Airflow the source of each caller."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AwsBaseHook, "_get_caller", lambda *_: "Unknown")
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("stand-ins")
    with Stack(state=state, port=None, env_file=state / "absent.env", with_airflow=False) as running:
        yield running


class X:
    """The control endpoint of the stand-in for X."""

    def __init__(self, port: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/_control", trust_env=False)

    def close(self) -> None:
        self._http.close()

    def requests(self) -> list[dict[str, Any]]:
        return self._http.get("/requests").raise_for_status().json()

    def asked(self) -> list[str]:
        """The kinds of the requests so far, in order of their arrival."""
        return [kind(request) for request in self.requests()]

    def served_mills(self) -> int:
        """What X would bill for all that it has served."""
        served: Counter[str] = Counter()
        for request in self.requests():
            if request["status"] == 200:
                served["counts"] += request["path"].endswith("/counts/recent")
                served["archive_counts"] += request["path"].endswith("/counts/all")
                served["posts"] += request["posts"]
                served["users"] += request["users"]
        return sum(MILLS[name] * number for name, number in served.items())

    def answered(self) -> None:
        """Wait for the answers to requests of a process that was killed: one may not even have been read."""
        quiet = 0
        for _ in range(10_000):
            quiet = 0 if self._http.get("/open").raise_for_status().json() else quiet + 1
            if quiet == 5:
                return
        pytest.fail("X is still answering")

    def forget(self) -> None:
        self._http.delete("/requests").raise_for_status()

    def order(self, *faults: dict[str, Any]) -> None:
        self._http.put("/faults", json=list(faults)).raise_for_status()

    def ordered(self) -> list[dict[str, Any]]:
        return self._http.get("/faults").raise_for_status().json()

    def latency(self, ms: int) -> None:
        self._http.put("/latency", json={"ms": ms}).raise_for_status()

    def owners(self, **accounts: str) -> None:
        """Handles that have become another account's; none where none is named."""
        self._http.put("/owners", json=accounts).raise_for_status()

    def clock(self, now: datetime) -> None:
        self.control("clock", {"now": now.isoformat()})

    def control(self, name: str, order: dict[str, Any]) -> None:
        self._http.put(f"/{name}", json=order).raise_for_status()

    def posts(self, **states: str) -> None:
        """The posts that are no longer as they were, by id; none where none is named."""
        self._http.put("/posts", json=states).raise_for_status()

    def no_jobs(self) -> None:
        self._http.delete("/jobs").raise_for_status()

    def bill(self) -> dict[str, int]:
        """How many posts X charges, by the UTC day: each once in it, however often it is read."""
        return self._http.get("/bill").raise_for_status().json()

    def no_limit(self) -> None:
        self._http.delete("/rate_limit").raise_for_status()


def kind(request: dict[str, Any]) -> str:
    """users, timeline, search, count or token."""
    path = request["path"]
    kinds = {"/users/by": "users", "/users/": "timeline", "/search/": "search", "/counts/": "count"}
    if path == "/2/tweets":
        return "posts"
    return next((name for part, name in kinds.items() if part in path), "token")


def said(request: dict[str, Any]) -> str:
    """A request as one line, the same for every try of it."""
    return f"{request['path']}?{json.dumps(request['query'], sort_keys=True)}"


@pytest.fixture
def x(stand_ins) -> Iterator[X]:
    """The stand-in for X at noon of 2026-11-22, its log empty, no fault ordered."""
    with closing(X(stand_ins.x_port)) as control:
        control.clock(NOW)
        control.forget()
        control.order()
        control._http.delete("/bill").raise_for_status()
        yield control
        control.order()
        control.owners()
        control.posts()
        control.no_jobs()
        control.latency(0)
        control.no_limit()


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, stack: Stack) -> None:
        self.name = stack.bucket
        self.client = stack.root.client("s3", stack.aws)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """An object's bytes, unpacked where they are gzip."""
        data = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return gzip.decompress(data) if key.endswith(".gz") else data

    def json(self, key: str) -> Any:
        return json.loads(self.read(key))

    def rows(self, key: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self.read(key).decode().split("\n")))

    def write(self, key: str, value: Any) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=json.dumps(value).encode())

    def delete(self, prefix: str) -> None:
        for key in self.keys(prefix):
            self.client.delete_object(Bucket=self.name, Key=key)

    def ledger(self) -> list[dict[str, Any]]:
        return [self.json(key) for key in self.keys("twitter_ledger/")]

    def ledger_mills(self) -> int:
        return sum(entry["spent_mills"] for entry in self.ledger())


@pytest.fixture(scope="session")
def whole_bucket(stand_ins) -> Bucket:
    return Bucket(stand_ins)


@pytest.fixture
def bucket(whole_bucket) -> Bucket:
    """The bucket, where no account is remembered, nothing was spent and no day has landed."""
    kinds = ("", "_ledger", "_accounts", "_receipts", "_raw", "_days", "_plans", "_engagement_receipts")
    for kind in (*kinds, "_compliance"):
        whole_bucket.delete(f"twitter{kind}/")
    return whole_bucket


@pytest.fixture
def deployment(stand_ins, monkeypatch) -> dict[str, Any]:
    """A sound deployment in the environment; returns its connection to X."""
    for name in ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, stand_ins.environment[name])
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    connection = {
        "conn_type": "http",
        "host": f"http://127.0.0.1:{stand_ins.x_port}",
        "login": x_api.CONSUMER_KEY,
        "password": x_api.CONSUMER_SECRET,
        "extra": {"access_token": x_api.ACCESS_TOKEN, "access_token_secret": x_api.ACCESS_TOKEN_SECRET},
    }
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_BUCKET", stand_ins.bucket)
    return connection


class Pipeline:
    """The stages of one DAG run, as its tasks call them; `put` sets Variables."""

    def __init__(self, name: str, bucket: Bucket, setenv) -> None:
        self.name, self.bucket, self._setenv = name, bucket, setenv

    def put(self, **values: Any) -> None:
        for name, value in values.items():
            self._setenv(f"AIRFLOW_VAR_TWITTER_{name.upper()}", str(value))

    def run(
        self,
        day: str = RECENT,
        *,
        name: str = "",
        now: datetime = NOW,
        buy_again: bool = False,
        accounts: str = "",
        plan: str = "",
    ) -> Run:
        return Run(Day.parse(day), short_hash(self.name + name), lambda: now, buy_again, accounts, plan)

    def extract(self, handles: str | None = None, day: str = RECENT, **more: Any) -> dict[str, Any]:
        if handles:
            self.put(handles=handles)
        return extract(self.run(day, **more))

    def transform(self, bought: dict[str, Any], day: str = RECENT, **more: Any) -> dict[str, Any]:
        return transform(self.run(day, **more), bought)

    def load(self, staged: dict[str, Any], day: str = RECENT, **more: Any) -> dict[str, Any]:
        return load(self.run(day, **more), staged)

    def refine(self, bought: dict[str, Any], day: str = RECENT, **more: Any) -> dict[str, Any]:
        """What transform says of each account in its receipt, by handle: of every post, what became of it."""
        accounts = self.bucket.json(self.transform(bought, day, **more)["receipt"])["accounts"]
        for line in accounts:
            assert line["fetched"] == sum(line[part] for part in KEPT), line
        return {line["username"]: line for line in accounts}

    def rows(self, day: str = RECENT, **more: Any) -> list[dict[str, str]]:
        """The rows that transform has staged."""
        return self.bucket.rows(f"{self.run(day, **more).day.staging(self.run(**more).id)}refined_tweets.csv")

    def accounts(self, bought: dict[str, Any]) -> dict[str, Any]:
        """The manifest's accounts by handle."""
        return {line["username"]: line for line in self.bucket.json(bought["manifest"])["accounts"]}

    def raw(self, day: str = RECENT, **more: Any) -> list[str]:
        """The keys of the answers staged for the run, below it."""
        root = self.run(day, **more).day.raw
        return [key.removeprefix(root) for key in self.bucket.keys(root) if key.endswith(".json.gz")]


@pytest.fixture
def pipeline(deployment, bucket, x, request, monkeypatch) -> Pipeline:
    """A DAG run of its own for each test."""
    return Pipeline(request.node.nodeid, bucket, monkeypatch.setenv)
