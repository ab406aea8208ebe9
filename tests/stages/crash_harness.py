"""Run a stage in its own process and kill, stop or hold it at a counted write, read or call."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException
from botocore.client import BaseClient

from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.errors import LeaseExpired, LeaseHeld, OverBudget, WriteConflict
from include.twitter.extract import extract
from include.twitter_features.snapshots import tasks as snapshots


@dataclass(frozen=True)
class Moment:
    """When something happens to a process: at its `number`th write, read or call."""

    event: str
    """killed; stopped; or met: it waits for its parent's word."""
    at: str
    """before or after a write to S3; before a read; or at the call of a function since the first write."""
    number: int


def evening(run: Run) -> None:
    """The three stages of `twitter_engagement`."""
    snapshots.load_snapshots(run, snapshots.transform_snapshots(run, snapshots.extract_snapshots(run)))


@dataclass
class Child:
    """The job of the process; its parent sends when to begin, and receives how it ended."""

    day: str
    run: str
    now: datetime
    environment: dict[str, str]
    moment: Moment
    clock: Any
    """A number that all share: seconds since `now`."""
    parent: Connection
    job: Callable[[Run], Any] = extract
    writes: Any = field(default_factory=lambda: count(1))
    reads: Any = field(default_factory=lambda: count(1))
    calls: Any = field(default_factory=lambda: count(1))

    def work(self) -> None:
        os.environ.clear()  # the fork server's is that of the first test
        os.environ.update(self.environment)
        self._count()
        self.parent.send("ready")
        self.parent.recv()
        try:
            self.job(Run(Day.parse(self.day), self.run, self._now))
            ended = "done"
        except (*LEASE_ERRORS, OverBudget) as error:
            ended = _kind(error)
        except AirflowRescheduleException as error:  # something was bought first
            ended = _kind(error.__cause__)
        sys.setprofile(None)
        self.parent.send((ended, next(self.writes) - 1, next(self.calls) - 1))

    def _now(self) -> datetime:
        return self.now + timedelta(seconds=self.clock.value)

    def _count(self) -> None:
        """Count what passes."""
        send = BaseClient._make_api_call

        def sent(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
            if operation != "PutObject":
                self._pass("read", next(self.reads))
                return send(client, operation, params)
            number = next(self.writes)
            if number == 1 and self.moment.at == "call":
                threading.setprofile(called)
                sys.setprofile(called)
            self._pass("before", number)
            try:
                return send(client, operation, params)
            finally:  # after one that S3 refused, too
                self._pass("after", number)

        def called(_frame: Any, event: str, _arg: Any) -> None:
            if event == "call":
                self._pass("call", next(self.calls))

        BaseClient._make_api_call = sent

    def _pass(self, at: str, number: int) -> None:
        if (at, number) != (self.moment.at, self.moment.number):
            return
        if self.moment.event == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        self.parent.send(self.moment.event)
        if self.moment.event == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.moment.event == "met":
            self.parent.recv()


LEASE_ERRORS = (LeaseHeld, LeaseExpired, WriteConflict)


def _kind(error: BaseException | None) -> str:
    return "held" if isinstance(error, LEASE_ERRORS) else type(error).__name__
