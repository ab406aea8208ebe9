"""The jobs that a run makes at X, one after the other: S3 is the cursor, then X's own list."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from tempfile import TemporaryFile
from typing import IO, NoReturn

import pyarrow
import pyarrow.parquet

from include.twitter.airflow_context import Check, poll, skip
from include.twitter.compliance import said
from include.twitter.compliance.said import ENDED, OPEN, Job
from include.twitter.day import RECEIPTS, Day, compliance_of, job_key, parse_job_key
from include.twitter.errors import JobGone, NoAccess, NotChecked, NothingStaged, Outage
from include.twitter.extract.signed import upload
from include.twitter.extract.x import X
from include.twitter.lake import Lake
from include.twitter.records import ComplianceJob, encoded

log = logging.getLogger(__name__)

BETWEEN_LOOKS = timedelta(minutes=5)
PATIENCE = timedelta(days=2)
"""Longer no job is waited for."""
OFFERED = timedelta(days=7)
"""So long X keeps an answer, from the making of its job on."""
MOST = 3
"""Jobs of a run."""
NOT_FOUND = "not found"
"""What a job is called of which X knows nothing any more."""


class Jobs:
    """Those of one run."""

    def __init__(self, lake: Lake, x: X, check: Check) -> None:
        self._lake, self._x, self._check = lake, x, check

    def hand_over(self, number: int) -> None:
        """Make the run's job of this number and upload all landed ids, as far as that was not done."""
        job = latest(self._lake, self._check)
        if job and (job.number > number or (job.number == number and job.days is not None)):
            log.info("Job %s has its ids", job.id)
            return
        with TemporaryFile() as ids:  # X waits a quarter of an hour for them: they are there before the job
            days = _write_ids(self._lake, ids)
            if not any(days.values()):
                skip("No landed day has a post")
            job = job if job and job.number == number else self._made(number)
            told = self._told(job)
            if not told:
                self.replace(job, NOT_FOUND)
                return
            if told.status == "created":
                upload(told.upload_url, ids)
        job.days = days
        self._keep(job)
        log.info("Job %s checks %d posts of %d days", job.id, sum(days.values()), len(days))

    def _made(self, number: int) -> ComplianceJob:
        """A job of its own name: the one that a killed try has made, else a new one."""
        name = f"twitter {self._check.id} {number}"
        listed = [said.job(each) for each in self._x.jobs()]
        found = next((each for each in listed if each.name == name), None)
        if not found:
            self._wait_for_others(listed)
            found = said.job(self._x.make_job(name))
        job = ComplianceJob(id=found.id, number=number, made_at=self._check.now())
        self._keep(job)
        return job

    def _wait_for_others(self, listed: list[Job]) -> None:
        """X checks one at a time."""
        if others := [each.id for each in listed if each.status in OPEN]:
            self.wait(f"X works on job {others[0]} of the same app, on one at a time")

    def answered(self) -> tuple[ComplianceJob, Job]:
        """The job once X has its answer, waited for without a worker; one that ends without is made anew."""
        job = latest(self._lake, self._check)
        if not job:
            raise NothingStaged("No job was made: was `ask` marked success by hand? Clear it.")
        told, age = self._told(job), self._check.now() - job.made_at
        if told and told.status in OPEN and age > PATIENCE:
            raise NotChecked(f"X has not ended job {job.id} in {PATIENCE.days} days. Trigger another run.")
        if not told or told.status in ENDED or age > OFFERED:
            self.replace(job, told.status if told else NOT_FOUND)
            self.wait("X checks the posts")
        if told.status in OPEN:
            self.wait("X checks the posts")
        return job, told

    def _told(self, job: ComplianceJob) -> Job | None:
        """What X tells of a job; None where X no longer has it."""
        try:
            return said.job(self._x.job(job.id))
        except JobGone as error:
            log.warning("%s", error)
            return None

    def replace(self, job: ComplianceJob, status: str) -> None:
        """Make another job in the place of one that has no answer and will have none."""
        if job.number >= MOST:
            raise NotChecked(
                f"X has ended {MOST} jobs without an answer, the last, {job.id}, as {status}. "
                "Trigger another run when X is well again."
            )
        log.warning("Job %s is of no use any more (%s): another one is made", job.id, status)
        try:
            self.hand_over(job.number + 1)
        except NoAccess as error:  # X opened it to these keys before: it may have an outage
            raise Outage(f"{error} X opened it before: it is tried again.") from error

    def wait(self, why: str) -> NoReturn:
        poll(BETWEEN_LOOKS, why, self._check.now)

    def _keep(self, job: ComplianceJob) -> None:
        self._lake.write(job_key(self._check.id, job.number), encoded(job))


def latest(lake: Lake, check: Check) -> ComplianceJob | None:
    """The run's job, the newest of several."""
    numbers = lake.parsed(lake.keys(f"{compliance_of(check.id)}job="), parse_job_key).values()
    return lake.record(job_key(check.id, max(numbers)), ComplianceJob) if numbers else None


def landed(lake: Lake) -> list[Day]:
    return [*lake.parsed(lake.keys(RECEIPTS), Day.of_receipt).values()]


def tables(lake: Lake, days: list[Day], *columns: str) -> Iterator[tuple[Day, pyarrow.Table]]:
    """Some columns of the days' tables, one day after the other."""
    for day, found in zip(days, lake.look_each(day.parquet for day in days), strict=True):
        if found:
            with lake.parsing(day.parquet, "the day's Parquet table"):
                table = pyarrow.parquet.read_table(pyarrow.BufferReader(found.data), columns=[*columns])
            yield day, table


def _write_ids(lake: Lake, file: IO[bytes]) -> dict[str, int]:
    """Write each landed id on a line; how many there are of each day."""
    days = {}
    for day, table in tables(lake, landed(lake), "tweet_id"):
        days[str(day)] = table.num_rows
        file.writelines(f"{id_}\n".encode() for id_ in table["tweet_id"].to_pylist())
    return days
