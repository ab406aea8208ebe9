"""Where the simulation touches the pipeline: the only file with names from inside of it.

The pipeline is imported with our `Lock`, `Event`, `ThreadPoolExecutor` and `uuid4` instead of the standard
library's. Below it S3Hook returns our client, a connection to X is our socket, Airflow's secrets backends are
the Variables of the simulated Airflow, and every sleep takes place on the virtual clock.
"""

from __future__ import annotations

import concurrent.futures
import gc
import importlib
import io
import json
import logging
import os
import pkgutil
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import airflow.sdk
import airflow.sdk.execution_time.supervisor
import airflow.sdk.log
import tenacity.nap
import urllib3.util.connection
import urllib3.util.retry
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import Connection, RetryPolicy
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException
from botocore.exceptions import BotoCoreError, ClientError

from simulation import scheduler
from simulation.scheduler import Killed, Scheduler, current
from simulation.store import begun, ended
from simulation.world import Lost, Refusal, World

PIPELINE = "include.twitter"
FEATURES = "include.twitter_features"
COMMAND = "deploy.forget"
BUCKET = "acme-twitter-lake"
OURS: dict[ModuleType, tuple[str, ...]] = {
    threading: ("Lock", "RLock", "Event", "Condition"),
    concurrent.futures: ("ThreadPoolExecutor", "Future", "wait"),
}
"""What the scheduler has in the place of the standard library's."""


class _Time:
    """The module `time` on the virtual clock."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        Scheduler.active.sleep(seconds)

    def time(self) -> float:
        return Scheduler.active.now

    def monotonic(self) -> float:
        return Scheduler.active.now


class _Backend:
    """Airflow's secrets backend: the Variables of the process that asks."""

    def get_variable(self, name: str) -> str | None:
        return current().process.settings.get(name)

    def get_connection(self, name: str) -> Connection | None:
        extra = current().process.settings.get("x") if name == "twitter_default" else None
        return _connection(name, extra) if extra else None


@cache
def _connection(name: str, extra: str) -> Connection:
    return Connection(conn_id=name, conn_type="http", host="http://127.0.0.1:9", extra=extra)


def _uuid4() -> uuid.UUID:
    return uuid.UUID(int=random.getrandbits(128), version=4)


@contextmanager
def _in_the_place_of() -> Iterator[None]:
    """Ours in the place of the standard library's, while the pipeline is imported."""
    places = [(module, name, getattr(scheduler, name)) for module, names in OURS.items() for name in names]
    places.append((uuid, "uuid4", _uuid4))
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    for module, name, ours in places:
        setattr(module, name, ours)
    try:
        yield
    finally:
        for module, name, theirs in before:
            setattr(module, name, theirs)


def _modules() -> list[ModuleType]:
    packages = [importlib.import_module(name) for name in (PIPELINE, FEATURES)]
    packages_of = [pkgutil.walk_packages(package.__path__, f"{package.__name__}.") for package in packages]
    names = [module.name for modules in packages_of for module in modules]
    return [*packages, *map(importlib.import_module, names)]


def install() -> None:
    """Import the pipeline onto the virtual clock; once in a process, which then is of no other use."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    _modules()  # what they import of others is imported with the real threads
    for name in [name for name in sys.modules if name.startswith(PIPELINE)]:
        del sys.modules[name]
    sys.modules.pop("include", None)
    for name in [name for name in sys.modules if name.split(".")[0] == "deploy"]:
        del sys.modules[name]
    airflow.sdk.log.mask_secret = lambda *_: None
    supervisor = airflow.sdk.execution_time.supervisor
    supervisor.ensure_secrets_backend_loaded = lambda *_, **__: [_Backend()]  # type: ignore[assignment]
    with _in_the_place_of():
        modules = _modules()
        command = importlib.import_module(COMMAND)
    command._show = lambda *_: None  # type: ignore[attr-defined]
    clock = _Time()
    names = {name: _named(name) for name in MODULES}  # one that was renamed or moved fails here
    for module in modules:
        for name, value in [*vars(module).items()]:
            if value is time:
                setattr(module, name, clock)
            elif value is names["now"]:
                setattr(module, name, lambda: Scheduler.active.clock())
            elif isinstance(value, threading.local):
                scheduler.LOCALS.append(value)
    tenacity.nap.time = clock  # type: ignore[assignment]
    urllib3.util.retry.time = clock  # type: ignore[assignment]
    urllib3.util.connection.create_connection = _connect  # type: ignore[assignment]
    S3Hook.get_conn = lambda self: current().process.store  # type: ignore[method-assign]
    airflow.sdk.Variable.keys = staticmethod(lambda *_, **__: [])  # type: ignore[assignment]
    gc.freeze = lambda: None  # what a stage freezes for its process would keep all seeds in memory
    logging.disable(logging.CRITICAL)


# The pipeline's own names


MODULES = {
    "ComplianceRun": f"{FEATURES}.compliance.job",
    "Day": f"{PIPELINE}.day",
    "DEFAULT_ARGS": f"{PIPELINE}.retry",
    "PRICE_LISTS": f"{PIPELINE}.pricing",
    "PipelineError": f"{PIPELINE}.errors",
    "PlanRequest": f"{FEATURES}.backfill_plan.plan",
    "Run": f"{PIPELINE}.airflow_context",
    "days_between": f"{FEATURES}.backfill_plan.plan",
    "now": f"{PIPELINE}.airflow_context",
    "short_hash": f"{PIPELINE}.layout",
}
"""By name of the pipeline the module that defines it."""
TASKS = {
    "twitter": (f"{PIPELINE}.{{}}", "{}"),
    "engagement": (f"{FEATURES}.snapshots.tasks", "{}_snapshots"),
    "compliance": (f"{FEATURES}.compliance.tasks", "{}"),
    "plan": (f"{FEATURES}.backfill_plan.tasks", "{}"),
}
"""By DAG the module and the name of the function that a task calls; `{}` is the task's id."""


@cache
def _named(name: str) -> Any:
    return getattr(importlib.import_module(MODULES[name]), name)


def stage(dag: str, name: str) -> Callable[..., Any]:
    """The function that a task of a DAG calls."""
    module, function = (pattern.format(name) for pattern in TASKS[dag])
    return getattr(importlib.import_module(module), function)


def run_of(day: str, id_: str, clock: Callable[[], datetime], buy_again: bool, accounts: str) -> Any:
    return _named("Run")(_named("Day").parse(day), _named("short_hash")(id_), clock, buy_again, accounts)


def range_of(first: str, last: str, id_: str, clock: Callable[[], datetime]) -> Any:
    """What a run of `twitter_plan` is for."""
    return _named("PlanRequest")(_named("days_between")(first, last), _named("short_hash")(id_), "", clock)


def check_of(id_: str, clock: Callable[[], datetime]) -> Any:
    """What a run of `twitter_compliance` is for."""
    return _named("ComplianceRun")(_named("short_hash")(id_), clock)


def erase(
    posts: Collection[str],
    account: str | None,
    is_gone: bool,
    at: datetime,
    confirm: Callable[[], bool],
    confirm_number: Callable[[int], bool],
) -> None:
    """What `make forget` does, between its arguments and its exit code."""
    forget = importlib.import_module(COMMAND)
    bucket = forget.VersionedBucket(current().process.store, BUCKET)
    gone = forget.posts_gone(bucket, lambda _: None) if is_gone else ()
    request = forget.ErasureRequest(posts, account, gone)
    forget.run(bucket, request, confirm=confirm, at=at, confirm_number=confirm_number)


def is_of_the_command(error: BaseException) -> bool:
    """Whether `make forget` ends with a message for it."""
    forget = importlib.import_module(COMMAND)
    return isinstance(error, (forget.CannotDo, forget.NotReadable, ClientError, BotoCoreError))


def delay_after(error: BaseException, tries: int) -> timedelta | None:
    """When Airflow tries a failed task again; None where it does not."""
    given = _named("DEFAULT_ARGS")
    if tries > given["retries"]:
        return None
    policy: RetryPolicy = given["retry_policy"]
    task = SimpleNamespace(retries=given["retries"], retry_delay=given["retry_delay"])
    decision = policy.evaluate(error, tries, given["retries"], {"task": task})  # type: ignore[arg-type]
    if decision.action.name == "FAIL":
        return None
    return decision.retry_delay or given["retry_delay"]


def is_understood(error: BaseException) -> bool:
    """Whether it is one of the errors that the pipeline names, with what to do."""
    return isinstance(error, _named("PipelineError"))


def rescheduled_to(error: BaseException) -> datetime | None:
    return error.reschedule_date if isinstance(error, AirflowRescheduleException) else None


def is_skip(error: BaseException) -> bool:
    """Whether a task has ended the run without a fault: there is nothing to do."""
    return isinstance(error, AirflowSkipException)


def set_prices(lists: Mapping[date, Mapping[str, int]]) -> None:
    """X's price lists, as the pipeline knows them."""
    known = _named("PRICE_LISTS")
    known.clear()
    known.update(lists)


# X, below the pipeline's HTTP client


def _connect(address: Any, timeout: Any = None, *_: Any, **__: Any) -> Any:
    process = current().process
    where = f"{process.name}!{process.requests}"
    if process.faults and process.x.faults.strikes("x.connect", where, 0.005):
        raise ConnectionRefusedError
    return _Socket(timeout)


class _Socket:
    """A connection to X for one request."""

    def __init__(self, timeout: Any) -> None:
        self._timeout, self._sent = timeout, bytearray()

    def sendall(self, data: Any) -> None:
        if not current().process.is_alive:
            raise Killed
        self._sent += data

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Response(self._sent))

    def settimeout(self, timeout: Any) -> None:
        self._timeout = timeout

    def gettimeout(self) -> Any:
        return self._timeout

    def close(self) -> None: ...

    def shutdown(self, *_: Any) -> None: ...

    def setsockopt(self, *_: Any) -> None: ...


class _Response(io.RawIOBase):
    """What X answers to a request, once it is read."""

    def __init__(self, request: bytearray) -> None:
        self._request = request
        self._bytes: io.BytesIO | None = None
        self._then: Lost | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._bytes is None:
            self._bytes = io.BytesIO(self._exchange())
        data = self._bytes.read(len(buffer))
        if not data and self._then:
            Scheduler.active.sleep(self._then.seconds)
            raise self._then.error
        buffer[: len(data)] = data
        return len(data)

    def _exchange(self) -> bytes:
        process, active = current().process, Scheduler.active
        world: World = process.x
        head, _, sent = bytes(self._request).partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        where = begun(process, world.faults)
        process.requests += 1
        latency = 0.05 + world.latency.number(where)
        active.sleep(latency / 2)
        if process.faults and world.faults.strikes("x.slow", where, 0.01):
            active.sleep(55 * world.latency.number(f"slow {where}"))
        try:
            status, more, body = world.respond(process, method, target, headers, sent)
        except Refusal as refusal:
            status, more, body = refusal.status, refusal.headers, refusal.body
        except Lost as lost:
            self._then = lost
            if not lost.sent:
                return b""
            return _http(200, {}, lost.sent, len(lost.sent) * 2)
        active.sleep(latency / 2)
        ended(process, world.faults)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return _http(status, more, data, len(data))


def _http(status: int, headers: Mapping[str, str], body: bytes, length: int) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "Connection: close", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
