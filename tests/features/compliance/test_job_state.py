"""The states of a compliance job."""

from datetime import UTC, datetime, timedelta

import pytest

from include.twitter.layout import job_key
from include.twitter.records import ComplianceJob, encoded
from include.twitter_features.compliance.job import (
    PATIENCE,
    RESULT_KEPT,
    ComplianceRun,
    job_state,
    latest_job,
)
from tests.include.invented import MemoryStore
from tests.include.test_strays import strays

MADE = datetime(2026, 11, 22, tzinfo=UTC)
NEW, LATE, OLD = timedelta(), PATIENCE + timedelta(seconds=1), RESULT_KEPT + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("has_ids", "status", "age", "state"),
    [
        (False, "created", NEW, "CREATED"),
        (False, "in_progress", NEW, "CREATED"),  # killed between the upload and its record
        (False, "complete", NEW, "CREATED"),
        (True, "created", NEW, "CHECKING"),
        (True, "in_progress", PATIENCE, "CHECKING"),
        (True, "complete", NEW, "COMPLETE"),
        (True, "complete", RESULT_KEPT, "COMPLETE"),
        (True, "complete", OLD, "LOST"),
        (False, "complete", OLD, "LOST"),
        *(
            (has_ids, status, NEW, "LOST")
            for has_ids in (True, False)
            for status in ("failed", "expired", None)
        ),
        (True, None, OLD, "LOST"),
        *(
            (has_ids, status, LATE, "OVERDUE")
            for has_ids in (True, False)
            for status in ("created", "in_progress")
        ),
    ],
)
def test_the_state_of_a_job_follows_from_its_record_its_status_and_its_age(has_ids, status, age, state):
    days = {"2026-11-18": 5} if has_ids else None
    job = ComplianceJob(id="7", number=1, made_at=MADE, days=days)
    assert job_state(job, status, age).name == state


def test_objects_of_others_among_the_jobs_are_skipped():
    store, run = MemoryStore(), ComplianceRun("c0ffee123456", lambda: MADE)
    for stray in strays(job_key(run.id, 2)):
        store.write(stray, b"")
    assert latest_job(store, run) is None
    for number in (2, 10):
        job = ComplianceJob(id=f"of {number}", number=number, made_at=MADE)
        store.write(job_key(run.id, number), encoded(job))
    assert latest_job(store, run).number == 10
