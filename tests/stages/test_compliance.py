"""X's batch compliance over the wire: jobs at the stand-in, its storage and the bucket."""

from __future__ import annotations

import io
import logging
import traceback
from datetime import timedelta

import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.errors import ComplianceJobFailed, NoAccess, Outage, UnexpectedResponse
from include.twitter.layout import job_key, short_hash
from include.twitter.records import ComplianceJob, encoded
from include.twitter_features.compliance import job, tasks
from include.twitter_features.compliance.job import JOB_POLL_INTERVAL, ComplianceRun
from local.x_api import posts
from tests.stages.conftest import NOW

pytestmark = pytest.mark.live

DAYS = ["2026-11-19", "2026-11-20"]
JOBS = "/2/compliance/jobs"
MAX_POLLS = 9


class Compliance:
    """Two landed days, and runs of `twitter_compliance`."""

    def __init__(self, pipeline, x, bucket) -> None:
        self.pipeline, self.x, self.bucket, self.now = pipeline, x, bucket, NOW
        self.ids = {day: self.land(day) for day in DAYS}

    def land(self, day: str) -> list[str]:
        """Write as much of a landed day as a check reads; returns the ids of its five posts."""
        first = posts.id_at(Day.parse(day).start)
        table = pyarrow.table({"tweet_id": [str(first + n) for n in range(5)], "username": ["posts_5_a"] * 5})
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file)
        self.bucket.client.put_object(
            Bucket=self.bucket.name, Key=layout.parquet(Day.parse(day)), Body=file.getvalue()
        )
        self.bucket.write(layout.receipt(Day.parse(day)), {})
        return table["tweet_id"].to_pylist()

    def later(self, by: timedelta) -> None:
        self.now += by
        self.x.clock(self.now)

    def run(self, name: str = "first") -> ComplianceRun:
        return ComplianceRun(short_hash(f"{self.pipeline.name} {name}"), lambda: self.now)

    def uploaded(self, name: str = "first") -> dict:
        return tasks.upload(self.run(name))

    def finish(self, uploaded: dict, name: str = "first") -> dict:
        """Run the two later tasks; returns their result, with the number of reschedules as `polls`."""
        for polls in range(MAX_POLLS):
            try:
                result = tasks.wait_for_result(self.run(name), uploaded)
            except AirflowRescheduleException as waits:
                assert waits.reschedule_date == self.now + JOB_POLL_INTERVAL
                self.later(JOB_POLL_INTERVAL)
            else:
                return tasks.publish_deletions(self.run(name), result) | {"polls": polls}
        pytest.fail("X never ends")

    def whole(self, name: str = "first") -> dict:
        return self.finish(self.uploaded(name), name)

    def gone(self, day: str = DAYS[0]) -> dict[str, tuple[str, str]]:
        posts = self.bucket.json(layout.checked(Day.parse(day)))["gone"]
        return {post["tweet_id"]: (post["state"], post["reason"]) for post in posts}

    def created(self) -> int:
        """The number of jobs that X has created."""
        posted = [request for request in self.x.requests() if request["method"] == "POST"]
        return sum(request["path"] == JOBS and request["status"] != 503 for request in posted)


@pytest.fixture
def check(pipeline, x, bucket) -> Compliance:
    pipeline.put(tweet_limit=0, run_budget_usd=0, month_budget_usd=0)
    return Compliance(pipeline, x, bucket)


def test_deleted_posts_are_published_by_day_and_a_clear_requests_nothing(check, bucket, x, caplog):
    first, second, third, *_ = check.ids[DAYS[0]]
    other = check.ids[DAYS[1]][0]
    x.posts(**{first: "deleted", second: "protected", third: "withheld", other: "suspended"})
    x.put("jobs", {"polls": 2})

    with caplog.at_level(logging.DEBUG):
        assert check.whole() == {"days": 2, "gone": 3, "polls": 2}

    gone = {first: ("gone", "X says: delete, deleted"), second: ("protected", "X says: delete, protected")}
    assert check.gone() == gone
    assert check.gone(DAYS[1]) == {other: ("suspended", "X says: delete, suspended")}
    report = bucket.json(layout.checked(Day.parse(DAYS[0])))
    assert (report["posts"], report["requested_at"]) == (5, "2026-11-22T12:00:00Z")
    assert bucket.ledger_mills() == 0
    requests = x.requests()
    assert not [request for request in requests if "/2/tweets" in request["path"]]
    assert {request["auth"] for request in requests if "/storage/" in request["path"]} == {"none"}
    stored = {key: bucket.read(key) for key in bucket.keys("twitter_compliance/")}
    (result,) = [data for key, data in stored.items() if "result=" in key]
    assert result.startswith(b'{"id":"' + first.encode()), "as X sent it"
    for text in (caplog.text, str(stored)):
        assert "signature" not in text, "the address of the storage is signed"
    x.forget()
    assert check.whole()["gone"] == 3
    assert x.requests() == []
    assert check.gone() == gone


def test_a_newer_run_replaces_a_report_and_an_older_one_that_is_cleared_late_does_not(check, x):
    x.posts(**{check.ids[DAYS[0]][0]: "protected"})
    uploaded = check.uploaded()
    check.finish(uploaded)
    x.posts()
    check.later(timedelta(days=1))
    check.whole("second")
    assert check.gone() == {}
    check.finish(uploaded)
    assert check.gone() == {}


def test_a_result_belongs_to_its_job_although_there_is_a_newer_one(check, bucket):
    uploaded = check.uploaded()
    result = tasks.wait_for_result(check.run(), uploaded)
    newer = ComplianceJob(id="of-another-airflow", number=2, made_at=NOW + timedelta(hours=1))
    bucket.client.put_object(Bucket=bucket.name, Key=job_key(check.run().id, 2), Body=encoded(newer))
    assert tasks.publish_deletions(check.run(), result)["days"] == 2
    report = bucket.json(layout.checked(Day.parse(DAYS[0])))
    assert report["job"] != newer.id
    assert report["requested_at"] == "2026-11-22T12:00:00Z"


def test_a_day_that_landed_after_the_upload_has_no_report(check, bucket):
    uploaded = check.uploaded()
    check.land("2026-11-18")
    check.finish(uploaded)
    assert layout.checked(Day.parse("2026-11-18")) not in bucket.keys("twitter_compliance/")


@pytest.mark.parametrize("where", [f"POST {JOBS}", "PUT /storage/", f"GET {JOBS}/", f"GET {JOBS}\\?"])
@pytest.mark.parametrize("fault", [{"reset": True}, {"status": 503}])
def test_a_try_that_fails_anywhere_is_continued_and_creates_no_second_job(check, x, where, fault):
    """After a reset X has processed the request, after a 503 it has not."""
    x.order({"match": where} | fault)
    with pytest.raises(Outage) as raised:
        check.uploaded()
    assert "signature" not in "".join(traceback.format_exception(raised.value))
    assert check.whole()["days"] == 2
    assert check.created() == 1


@pytest.mark.parametrize("fault", [{"status": 403}, {"truncate": True}])
def test_a_result_that_does_not_arrive_whole_is_downloaded_again(check, x, bucket, fault):
    x.posts(**{check.ids[DAYS[0]][0]: "deleted"})
    uploaded = check.uploaded()
    x.order({"match": "GET /storage/"} | fault)
    with pytest.raises(Outage, match=r"X's storage") as raised:
        check.finish(uploaded)
    assert "signature" not in "".join(traceback.format_exception(raised.value))
    assert not [key for key in bucket.keys("twitter_compliance/") if "result=" in key]
    assert check.finish(uploaded)["gone"] == 1


@pytest.mark.parametrize(
    ("jobs", "order", "reason"),
    [
        ({"polls": 1, "ends": ["failed"]}, None, "(failed)"),
        ({}, {"match": f"GET {JOBS}/", "status": 404, "body": ""}, "(not found)"),
        ({}, {"match": "GET /storage/", "status": 404}, "(its result is gone)"),
    ],
)
def test_a_lost_job_is_replaced_and_the_reason_is_logged(check, x, caplog, jobs, order, reason):
    x.put("jobs", jobs)
    uploaded = check.uploaded()
    if order:
        x.order(order)
    with caplog.at_level("WARNING"):
        assert check.finish(uploaded)["days"] == 2
    assert check.created() == 2
    assert len([line for line in caplog.messages if reason in line and "another job is created" in line]) == 1


def test_an_outage_that_answers_404_to_everything_ends_no_check(check, x):
    uploaded = check.uploaded()
    x.order({"match": f"GET {JOBS}/", "status": 404}, {"match": f"GET {JOBS}\\?", "status": 404})
    with pytest.raises(Outage, match="404 to GET /2/compliance/jobs"):
        check.finish(uploaded)
    assert check.finish(uploaded)["days"] == 2
    assert check.created() == 1


def test_a_third_lost_job_fails_the_task(check, x):
    x.put("jobs", {"ends": ["failed"] * 9})
    for _ in range(2):
        with pytest.raises(ComplianceJobFailed, match=r"X has ended 3 jobs .* as failed"):
            check.whole()
        assert check.created() == 3


def test_another_job_of_the_app_delays_the_task_without_a_worker_slot(check, x):
    x.put("jobs", {"polls": 1})
    uploaded = check.uploaded("other")
    with pytest.raises(AirflowRescheduleException):
        check.uploaded()
    assert check.created() == 1
    check.finish(uploaded, "other")
    assert check.whole()["days"] == 2


def test_keys_without_access_are_reported(check, x):
    x.order({"match": JOBS, "status": 404, "body": {"title": "Forbidden", "detail": "Not for you."}})
    with pytest.raises(NoAccess, match=rf"404 to GET {JOBS}: Forbidden; Not for you\."):
        check.uploaded()


def test_a_signed_address_is_masked_in_logs(check, x):
    address = "https://storage.example/submission/7?signature=as-good-as-a-password"
    job = {"id": "7", "status": "in_progress", "download_url": address}
    x.order({"match": f"POST {JOBS}", "status": 200, "body": {"data": job}},
            {"match": f"GET {JOBS}/", "status": 200, "body": {"data": job}})  # fmt: skip
    check.uploaded()
    assert redact(f"PUT {address}") == "PUT ***"
    assert "as-good" not in str(redact("/submission/7?signature=as-good-as-a-password"))


@pytest.mark.parametrize(
    ("body", "message"), [("x" * 9999, "more than 5120 bytes"), ("<html>", "Line 1 of X's result")]
)
def test_a_malformed_result_publishes_nothing(check, x, bucket, monkeypatch, body, message):
    monkeypatch.setattr(job, "MIN_BYTES_LIMIT", 0)
    uploaded = check.uploaded()
    x.order({"match": "GET /storage/", "status": 200, "body": body})
    with pytest.raises(UnexpectedResponse, match=message):
        check.finish(uploaded)
    assert not bucket.keys("twitter_compliance/dt=")
