"""The states of a compliance job."""

from datetime import UTC, datetime, timedelta

import pytest

from include.twitter.layout import job_key
from include.twitter.records import ComplianceJob, encoded
from include.twitter_features.compliance import job
from include.twitter_features.compliance.job import ComplianceRun, job_state, latest_job
from tests.include.factories import MemoryStore
from tests.include.test_strays import strays

MADE = datetime(2026, 11, 22, tzinfo=UTC)
NEW, SECOND = timedelta(), timedelta(seconds=1)
LATE, OLD = job.PATIENCE + SECOND, job.RESULT_KEPT + SECOND
ANY = (True, False)


@pytest.mark.parametrize(
    ("with_ids", "statuses", "age", "state"),
    [
        (
            [False],
            ["created", "in_progress", "complete"],
            NEW,
            "CREATED",
        ),  # also if its upload is not recorded
        ([True], ["created", "in_progress"], job.PATIENCE, "CHECKING"),
        ([True], ["complete"], job.RESULT_KEPT, "COMPLETE"),
        (ANY, ["complete", "failed", "expired", None], OLD, "LOST"),
        (ANY, ["failed", "expired", None], NEW, "LOST"),
        (ANY, ["created", "in_progress"], LATE, "OVERDUE"),
    ],
)
def test_the_state_of_a_job_follows_from_its_record_its_status_and_its_age(with_ids, statuses, age, state):
    for days in ({"2026-11-18": 5} if has_ids else None for has_ids in with_ids):
        for status in statuses:
            record = ComplianceJob(id="7", number=1, made_at=MADE, days=days)
            assert job_state(record, status, age).name == state, (days, status)


def test_objects_of_others_among_the_jobs_are_skipped():
    store, run = MemoryStore(), ComplianceRun("c0ffee123456", lambda: MADE)
    for stray in strays(job_key(run.id, 2)):
        store.write(stray, b"")
    assert latest_job(store, run) is None
    for number in (2, 10):
        record = ComplianceJob(id=f"of {number}", number=number, made_at=MADE)
        store.write(job_key(run.id, number), encoded(record))
    assert latest_job(store, run).number == 10
