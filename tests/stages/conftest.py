"""The three stages in this process, without Airflow: on stand-ins for AWS and X, their clock stopped."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import closing
from copy import copy
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.extract import extract
from include.twitter.layout import PROBE, short_hash
from include.twitter.load import load
from include.twitter.records import StoreProbe, encoded
from include.twitter.transform import transform
from local import aws
from local.stack import Stack
from tests.drivers import Bucket, X, connection_to_x

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RECENT, ARCHIVED = "2026-11-20", "2026-10-20"
TOKEN = "/oauth2/token"
NUMBERS = itertools.count()
DECIDE_THE_CLIENT = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AIRFLOW_CONN_AWS_DEFAULT")
KEPT = ("published", "rejected", "duplicates", "outside", "over_limit", "unrequested", "erased")


@pytest.fixture(scope="module", autouse=True)
def no_time_is_lost() -> Iterator[None]:
    """The stages share an S3 client for each endpoint and credentials; the archive is not waited for.

    Only in these modules: a worker runs others after them.
    """
    create = AwsGenericHook.get_client_type
    clients: dict[tuple[str | None, ...], Any] = {}

    def shared(hook: AwsGenericHook[Any], *args: Any, **kwargs: Any) -> Any:
        where = tuple(map(os.environ.get, DECIDE_THE_CLIENT))
        if where not in clients:
            clients[where] = create(hook, *args, **kwargs)
        return clients[where]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AwsGenericHook, "get_client_type", shared)
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        patch.setattr("include.twitter.x.client.ARCHIVE_SECONDS", 0)
        yield


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("stand-ins")
    stack = Stack(state=state, port=None, env_file=state / "absent.env", with_airflow=False)
    settings = aws.ministack_environment
    in_memory = {"S3_PERSIST": "0", "PERSIST_STATE": "0"}  # no test restarts it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "ministack_environment", lambda *given: settings(*given) | in_memory)
        stack.start()
    with stack:
        _grant_the_buckets_of_tests(stack)
        yield stack


def _grant_the_buckets_of_tests(stack: Stack) -> None:
    """Move the role's rights from the stack's bucket to those of the tests, which are numbered."""
    iam = stack.root.client("iam", stack.aws)
    own = f"arn:aws:s3:::{aws.BUCKET}"
    for name in iam.list_role_policies(RoleName=aws.ROLE)["PolicyNames"]:
        policy = json.dumps(iam.get_role_policy(RoleName=aws.ROLE, PolicyName=name)["PolicyDocument"])
        policy = policy.replace(own, f"{own}-????")  # exactly four digits: `*` would match a part of a key
        iam.put_role_policy(RoleName=aws.ROLE, PolicyName=name, PolicyDocument=policy)


@pytest.fixture(scope="session")
def control(stand_ins) -> Iterator[X]:
    with closing(X(stand_ins)) as control:
        yield control


@pytest.fixture
def x(control) -> X:
    """The stand-in for X as it begins, at noon of 2026-11-22."""
    control.reset("everything")
    control.clock(NOW)
    return control


@pytest.fixture(scope="session")
def stacks_bucket(stand_ins) -> Bucket:
    return Bucket(stand_ins)


@pytest.fixture
def bucket(stand_ins, stacks_bucket) -> Bucket:
    """A new bucket, whose store was found to keep the conditions of writes."""
    new = copy(stacks_bucket)
    new.name = f"{aws.BUCKET}-{next(NUMBERS):04}"
    new.create()
    passed = StoreProbe(f"s3://{new.name}/", stand_ins.aws, keeps_conditions=True)
    new.store(PROBE, encoded(passed))
    return new


@pytest.fixture
def deployment(stand_ins, bucket, monkeypatch) -> dict[str, Any]:
    """A sound deployment in the environment; returns its connection to X."""
    for name in ("AWS_ENDPOINT_URL", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, stand_ins.environment[name])
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    connection = connection_to_x(stand_ins)
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_BUCKET", bucket.name)
    return connection


class Pipeline:
    """The stages of one DAG run, as its tasks call them; `put` sets Variables."""

    def __init__(self, name: str, bucket: Bucket, setenv) -> None:
        self.name, self.bucket, self._setenv = name, bucket, setenv
        self.staged: dict[tuple[str, str], str] = {}

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
    ) -> Run:
        return Run(Day.parse(day), short_hash(self.name + name), lambda: now, buy_again, accounts)

    def extract(self, handles: str | None = None, day: str = RECENT, **more: Any) -> dict[str, Any]:
        if handles:
            self.put(handles=handles)
        return extract(self.run(day, **more))

    def transform(self, bought: dict[str, Any], day: str = RECENT, **more: Any) -> dict[str, Any]:
        staged = transform(self.run(day, **more), bought)
        self.staged[day, self.run(day, **more).id] = staged["receipt"]
        return staged

    def load(self, staged: dict[str, Any], day: str = RECENT, **more: Any) -> dict[str, Any]:
        return load(self.run(day, **more), staged)

    def refine(self, bought: dict[str, Any], day: str = RECENT, **more: Any) -> dict[str, Any]:
        """What transform says of each account in its receipt, by handle: of every post, what became of it."""
        accounts = self.bucket.json(self.transform(bought, day, **more)["receipt"])["accounts"]
        for line in accounts:
            assert line["fetched"] == sum(line[part] for part in KEPT), line
        return {line["username"]: line for line in accounts}

    def rows(self, day: str = RECENT, **more: Any) -> list[dict[str, str]]:
        """The rows that transform has staged last."""
        receipt = self.staged[day, self.run(day, **more).id]
        return self.bucket.rows(receipt.replace("receipt.json", "refined_tweets.csv"))

    def accounts(self, bought: dict[str, Any]) -> dict[str, Any]:
        """The manifest's accounts by handle."""
        return {line["username"]: line for line in self.bucket.json(bought["manifest"])["accounts"]}

    def raw(self, day: str = RECENT, **more: Any) -> list[str]:
        """The keys of the answers staged for the run, below it."""
        root = layout.raw(self.run(day, **more).day)
        return [key.removeprefix(root) for key in self.bucket.keys(root) if key.endswith(".json.gz")]


@pytest.fixture
def pipeline(deployment, bucket, x, request, monkeypatch) -> Pipeline:
    """A DAG run of its own for each test."""
    return Pipeline(request.node.nodeid, bucket, monkeypatch.setenv)
