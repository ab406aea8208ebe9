"""The compliance job of a run: its states, and the steps that lead to a result.

A run has one job at a time, recorded in S3 before and after its ids are uploaded. A killed task finds the
job there, or by its name in X's list, and continues.
"""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, cast

import pyarrow
import pyarrow.parquet
from airflow.sdk import get_current_context

from include.twitter import layout
from include.twitter.airflow_context import now, poll, skip
from include.twitter.day import Day
from include.twitter.errors import ComplianceJobFailed, JobGone, NoAccess, Outage
from include.twitter.landed import landed_days
from include.twitter.layout import compliance_of, job_key, parse_job_key, result_key, short_hash
from include.twitter.object_store import ObjectStore
from include.twitter.records import ComplianceJob, encoded
from include.twitter.x.client import X
from include.twitter_features.compliance.responses import JobStatus, XJob, parse_job
from include.twitter_features.compliance.storage import download, upload_file

log = logging.getLogger(__name__)

JOB_POLL_INTERVAL = timedelta(minutes=5)
PATIENCE = timedelta(days=2)
"""How long X may take for a job."""
RESULT_KEPT = timedelta(days=7)
"""How long X offers a result, from the creation of its job on."""
MAX_JOBS = 3
"""Jobs of a run."""
OPEN = ("created", "in_progress")
"""The states at X of a job that X still works on."""
MAX_BYTES_A_POST, MIN_BYTES_LIMIT = 512, 1 << 20
"""Limits on the size of X's result."""


@dataclass(frozen=True)
class ComplianceRun:
    """A run of `twitter_compliance`: it covers all landed days."""

    id: str
    now: Callable[[], datetime] = now


def compliance_run_from_context() -> ComplianceRun:
    """Return the run of the current task, and log it."""
    run_id = get_current_context()["dag_run"].run_id
    log.info("compliance run=%s (%s)", short_hash(run_id), run_id)
    return ComplianceRun(short_hash(run_id))


class JobState(Enum):
    """The state of a job that was created."""

    CREATED = "X waits for the ids"
    CHECKING = "X checks the posts"
    COMPLETE = "X offers the result"
    LOST = "there is no result and there will be none"
    OVERDUE = "X has not finished in time"


def job_state(job: ComplianceJob, status: JobStatus | None, age: timedelta) -> JobState:
    """Return the state of a job, by its status at X (None: X no longer has it) and its age."""
    is_open = status in OPEN
    if is_open and age > PATIENCE:
        return JobState.OVERDUE
    if not is_open and (status != "complete" or age > RESULT_KEPT):
        return JobState.LOST
    if job.days is None:
        return JobState.CREATED
    return JobState.CHECKING if is_open else JobState.COMPLETE


class JobRunner:
    """Takes the job of a run from one state to the next."""

    def __init__(self, store: ObjectStore, x: X, run: ComplianceRun) -> None:
        self._store, self._x, self._run = store, x, run

    def upload_ids(self) -> None:
        """Create a job and upload the ids of all landed posts, unless that was done."""
        while not (job := latest_job(self._store, self._run)) or job.days is None:
            self._advance(job)

    def fetch_result(self) -> int:
        """Store the result of a job unchanged, and return the job's number; wait without a worker slot."""
        while (number := stored_result(self._store, self._run)) is None:
            self._advance(latest_job(self._store, self._run))
        return number

    def _advance(self, job: ComplianceJob | None) -> None:
        """Take the step that the job's state requires."""
        if not job:
            self._submit(None, 1)
            return
        x_job = self._fetch(job)
        state = job_state(job, x_job.status if x_job else None, self._run.now() - job.made_at)
        match state:
            case JobState.COMPLETE if x_job:
                self._download(job, x_job.download_url)
            case JobState.CREATED:
                self._submit(job, job.number)
            case JobState.CHECKING:
                poll(JOB_POLL_INTERVAL, state.value, self._run.now)
            case JobState.LOST:
                self._replace(job, x_job.status if x_job else "not found")
            case JobState.OVERDUE:
                raise ComplianceJobFailed(
                    f"X has not ended job {job.id} in {PATIENCE.days} days. Trigger another run."
                )

    def _download(self, job: ComplianceJob, address: str) -> None:
        max_bytes = MAX_BYTES_A_POST * sum((job.days or {}).values()) + MIN_BYTES_LIMIT
        with NamedTemporaryFile() as file:
            try:
                with gzip.open(file.name, "wb") as zipped:
                    download(address, cast(IO[bytes], zipped), max_bytes)
            except JobGone:
                self._replace(job, "its result is gone")
            else:
                self._store.upload(result_key(self._run.id, job.number), Path(file.name))

    def _replace(self, job: ComplianceJob, reason: str) -> None:
        """Create another job in the place of one that is lost; ComplianceJobFailed if it was the last one."""
        if job.number >= MAX_JOBS:
            raise ComplianceJobFailed(
                f"X has ended {MAX_JOBS} jobs without a result, the last, {job.id}, as {reason}. "
                "Trigger another run when X has recovered."
            )
        log.warning("Job %s is lost (%s): another job is created", job.id, reason)
        try:
            self._submit(None, job.number + 1)
        except NoAccess as error:
            raise Outage(f"{error} X gave access before: the task is retried.") from error

    def _submit(self, job: ComplianceJob | None, number: int) -> None:
        """Create the job unless it was created, upload the ids of all landed posts, and record that."""
        with TemporaryFile() as ids:  # written first: X waits 15 minutes for them
            days = dict[str, int]()
            for day, table in read_tables(self._store, landed_days(self._store), "tweet_id"):
                days[str(day)] = table.num_rows
                ids.writelines(f"{id_}\n".encode() for id_ in table["tweet_id"].to_pylist())
            if not any(days.values()):
                skip("No landed day has a post")
            job = job or self._create(number)
            if not (x_job := self._fetch(job)):
                return
            if x_job.status == "created":
                upload_file(x_job.upload_url, ids)
        job.days = days
        self._record(job)
        log.info("Job %s checks %d posts of %d days", job.id, sum(days.values()), len(days))

    def _create(self, number: int) -> ComplianceJob:
        """Find the job of this name at X, which a killed task has created, or create it."""
        name, jobs = f"twitter {self._run.id} {number}", [parse_job(data) for data in self._x.jobs()]
        x_job = next((job for job in jobs if job.name == name), None)
        if not x_job:
            if others := [job.id for job in jobs if job.status in OPEN]:
                why = f"X runs job {others[0]} of the same app, one at a time"
                poll(JOB_POLL_INTERVAL, why, self._run.now)
            x_job = parse_job(self._x.make_job(name))
        job = ComplianceJob(id=x_job.id, number=number, made_at=self._run.now())
        self._record(job)
        return job

    def _fetch(self, job: ComplianceJob) -> XJob | None:
        """Fetch a job from X; None if X no longer has it."""
        try:
            return parse_job(self._x.job(job.id))
        except JobGone as error:
            log.warning("%s", error)
            return None

    def _record(self, job: ComplianceJob) -> None:
        self._store.write(job_key(self._run.id, job.number), encoded(job))


def stored_result(store: ObjectStore, run: ComplianceRun) -> int | None:
    """Return the number of the newest job if its result is stored."""
    job = latest_job(store, run)
    return job.number if job and store.etag(result_key(run.id, job.number)) else None


def latest_job(store: ObjectStore, run: ComplianceRun) -> ComplianceJob | None:
    """Return the newest job of the run."""
    numbers = store.parsed(store.keys(f"{compliance_of(run.id)}job="), parse_job_key).values()
    return store.record(job_key(run.id, max(numbers)), ComplianceJob) if numbers else None


def read_tables(store: ObjectStore, days: list[Day], *columns: str) -> Iterator[tuple[Day, pyarrow.Table]]:
    """Yield columns of the days' tables, one day after the other."""
    keys = [*map(layout.parquet, days)]
    for day, key, item in zip(days, keys, store.get_many(keys), strict=True):
        if item:
            with store.parsing(key, "the day's Parquet table"):
                table = pyarrow.parquet.read_table(pyarrow.BufferReader(item.data), columns=[*columns])
            yield day, table
