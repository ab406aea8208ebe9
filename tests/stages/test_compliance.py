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
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.twitter import compliance
from include.twitter.airflow_context import Check
from include.twitter.compliance.jobs import BETWEEN_LOOKS
from include.twitter.day import Day, short_hash
from include.twitter.errors import NoAccess, NotChecked, NothingStaged, Outage, UnexpectedAnswer
from local.x_api import posts
from tests.stages.conftest import NOW

pytestmark = pytest.mark.live

DAYS = ["2026-11-19", "2026-11-20"]
JOBS = "/2/compliance/jobs"
LIMIT = 9
"""Looks, of which a job takes fewer."""


class Checks:
    """Two landed days, and the runs that have their posts checked."""

    def __init__(self, pipeline, x, bucket) -> None:
        self.pipeline, self.x, self.bucket, self.now = pipeline, x, bucket, NOW
        self.ids = {day: self.put(day) for day in DAYS}

    def put(self, day: str) -> list[str]:
        """Ids of five posts, in as much of a landed day as a check looks at."""
        first = posts.id_at(Day.parse(day).start)
        table = pyarrow.table({"tweet_id": [str(first + n) for n in range(5)], "username": ["posts_5_a"] * 5})
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file)
        self.bucket.client.put_object(
            Bucket=self.bucket.name, Key=Day.parse(day).parquet, Body=file.getvalue()
        )
        self.bucket.write(Day.parse(day).receipt, {})
        return table["tweet_id"].to_pylist()

    def land(self, day: str) -> list[str]:
        """Ids of the posts of a day that has landed as days do."""
        how = {"day": day, "name": day}
        staged = self.pipeline.transform(self.pipeline.extract("posts_3_a, posts_2_b", **how), **how)
        self.pipeline.load(staged, **how)
        return [row["tweet_id"] for row in self.bucket.rows(Day.parse(day).csv)]

    def later(self, by: timedelta) -> None:
        self.now += by
        self.x.clock(self.now)

    def run(self, name: str = "first") -> Check:
        return Check(short_hash(f"{self.pipeline.name} {name}"), lambda: self.now)

    def fetched(self, run: Check, asked: dict) -> tuple[dict, int]:
        """What `fetch` hands on, and how often it came back to look."""
        for looks in range(LIMIT):
            try:
                return compliance.fetch(run, asked), looks
            except AirflowRescheduleException as waits:
                assert waits.reschedule_date == self.now + BETWEEN_LOOKS
                self.later(BETWEEN_LOOKS)
        pytest.fail("X never ends")

    def whole(self, name: str = "first") -> dict:
        run = self.run(name)
        return compliance.mark(run, self.fetched(run, compliance.ask(run))[0])

    def gone(self, day: str) -> dict[str, tuple[str, str]]:
        found = self.bucket.json(Day.parse(day).checked)["gone"]
        return {post["tweet_id"]: (post["state"], post["reason"]) for post in found}

    def made(self) -> int:
        return self.asked().count(f"POST {JOBS}")

    def asked(self) -> list[str]:
        return [f"{each['method']} {each['path']}" for each in self.x.requests()]


@pytest.fixture
def checks(pipeline, x, bucket) -> Checks:
    pipeline.put(tweet_limit=0, run_budget_usd=0, month_budget_usd=0)
    return Checks(pipeline, x, bucket)


def test_what_is_gone_is_marked_on_its_day_and_nothing_is_billed(checks, bucket, x):
    bucket.delete("twitter_receipts/")
    checks.ids = {day: checks.land(day) for day in DAYS}
    x.forget()
    first, second, third, *_ = checks.ids[DAYS[0]]
    other = checks.ids[DAYS[1]][0]
    x.posts(**{first: "deleted", second: "protected", third: "withheld", other: "suspended"})
    x.put("jobs", {"polls": 2})
    spent = bucket.ledger_mills()

    run = checks.run()
    fetched, looks = checks.fetched(run, compliance.ask(run))
    assert compliance.mark(run, fetched) == {"days": 2, "gone": 3}

    assert looks == 2
    assert checks.gone(DAYS[0]) == {
        first: ("gone", "X says: delete, deleted"),
        second: ("protected", "X says: delete, protected"),
    }
    assert checks.gone(DAYS[1]) == {other: ("suspended", "X says: delete, suspended")}
    told = bucket.json(Day.parse(DAYS[0]).checked)
    assert (told["posts"], told["asked_at"]) == (len(checks.ids[DAYS[0]]), "2026-11-22T12:00:00Z")
    assert bucket.ledger_mills() == spent
    assert not [each for each in checks.asked() if "/2/tweets" in each]


def test_the_answer_is_kept_as_it_came_and_a_clear_asks_for_nothing(checks, bucket, x):
    x.posts(**{checks.ids[DAYS[0]][0]: "deleted"})
    checks.whole()
    (answer,) = [key for key in bucket.keys("twitter_compliance/run=") if key.endswith("answer.txt.gz")]
    assert bucket.read(answer).startswith(b'{"id":"' + checks.ids[DAYS[0]][0].encode())
    x.forget()

    assert checks.whole() == {"days": 2, "gone": 1}

    assert checks.asked() == []
    assert checks.gone(DAYS[0]).keys() == {checks.ids[DAYS[0]][0]}


def test_a_post_that_comes_back_is_not_gone_any_more(checks, x):
    x.posts(**{checks.ids[DAYS[0]][0]: "protected"})
    checks.whole()
    x.posts()
    checks.later(timedelta(days=7))
    checks.whole("second")
    assert checks.gone(DAYS[0]) == {}


def test_an_older_run_that_is_cleared_late_takes_no_newer_ones_place(checks, x):
    run = checks.run()
    fetched, _ = checks.fetched(run, compliance.ask(run))
    checks.later(timedelta(days=1))
    x.posts(**{checks.ids[DAYS[0]][0]: "deleted"})
    checks.whole("second")
    compliance.mark(run, fetched)
    assert len(checks.gone(DAYS[0])) == 1


def test_a_day_that_lands_after_its_job_is_not_marked(checks, bucket):
    run = checks.run()
    asked = compliance.ask(run)
    checks.put("2026-11-18")
    compliance.mark(run, checks.fetched(run, asked)[0])
    assert Day.parse("2026-11-18").checked not in bucket.keys("twitter_compliance/")


def test_where_no_day_has_landed_it_is_skipped(pipeline, x):
    with pytest.raises(AirflowSkipException):
        compliance.ask(Check("0a", lambda: NOW))
    assert x.requests() == []


@pytest.mark.parametrize("where", [f"POST {JOBS}", "PUT /storage/", f"GET {JOBS}/", f"GET {JOBS}\\?"])
@pytest.mark.parametrize("what", [{"reset": True}, {"status": 503}])
def test_a_try_that_fails_anywhere_is_gone_on_with_and_makes_no_second_job(checks, x, where, what):
    """After a reset X has done what it was asked for, and after a 503 it has not."""
    x.order({"match": where} | what)
    with pytest.raises(Outage) as raised:
        compliance.ask(checks.run())
    assert "signature" not in "".join(traceback.format_exception(raised.value))
    assert checks.whole() == {"days": 2, "gone": 0}
    jobs = [each for each in x.requests() if (each["method"], each["path"]) == ("POST", JOBS)]
    assert len([each for each in jobs if each["status"] != 503]) == 1


@pytest.mark.parametrize("what", [{"reset": True}, {"status": 403}, {"truncate": True}])
def test_an_answer_that_does_not_arrive_whole_is_asked_for_again(checks, x, bucket, what):
    x.posts(**{checks.ids[DAYS[0]][0]: "deleted"})
    run = checks.run()
    asked = compliance.ask(run)
    x.order({"match": "GET /storage/"} | what)
    with pytest.raises(Outage, match=r"X's storage") as raised:
        checks.fetched(run, asked)
    assert "signature" not in "".join(traceback.format_exception(raised.value))
    assert not [key for key in bucket.keys("twitter_compliance/") if "answer" in key]
    assert compliance.mark(run, checks.fetched(run, asked)[0])["gone"] == 1


@pytest.mark.parametrize("end", ["failed", "expired"])
def test_a_job_that_ends_without_an_answer_is_made_anew_and_said_in_one_sentence(checks, x, caplog, end):
    x.put("jobs", {"polls": 1, "ends": [end]})
    with caplog.at_level("WARNING"):
        assert checks.whole() == {"days": 2, "gone": 0}
    assert checks.made() == 2
    (line,) = [each for each in caplog.messages if "another one is made" in each]
    assert f"({end})" in line


GONE = {"title": "Not Found Error", "type": "https://api.x.com/2/problems/resource-not-found"}


@pytest.mark.parametrize("body", [GONE, ""], ids=["problem", "empty"])
def test_a_job_that_x_no_longer_has_is_made_again(checks, x, caplog, body):
    run = checks.run()
    asked = compliance.ask(run)
    x.order({"match": f"GET {JOBS}/", "status": 404, "body": body})
    with caplog.at_level("WARNING"):
        assert compliance.mark(run, checks.fetched(run, asked)[0]) == {"days": 2, "gone": 0}
    assert checks.made() == 2
    assert "404 to GET /2/compliance/jobs/" in caplog.text and "(not found)" in caplog.text


def test_a_job_that_is_gone_before_it_has_its_ids_is_made_again(checks, x):
    x.order({"match": "PUT /storage/", "status": 503})
    with pytest.raises(Outage):
        compliance.ask(checks.run())
    x.order({"match": f"GET {JOBS}/", "status": 404})
    with pytest.raises(AirflowRescheduleException):  # X's list still has the first one open
        compliance.ask(checks.run())
    assert checks.whole() == {"days": 2, "gone": 0}


@pytest.mark.parametrize("status", [404, 410])
def test_a_job_whose_answer_is_gone_is_made_again(checks, x, status):
    run = checks.run()
    asked = compliance.ask(run)
    x.order({"match": "GET /storage/", "status": status})
    assert compliance.mark(run, checks.fetched(run, asked)[0]) == {"days": 2, "gone": 0}
    assert checks.made() == 2


def test_an_outage_that_answers_404_to_everything_ends_no_check(checks, x):
    run = checks.run()
    asked = compliance.ask(run)
    x.order({"match": f"GET {JOBS}/", "status": 404}, {"match": f"GET {JOBS}\\?", "status": 404})
    with pytest.raises(Outage, match="404 to GET /2/compliance/jobs"):
        compliance.fetch(run, asked)
    assert compliance.mark(run, checks.fetched(run, asked)[0]) == {"days": 2, "gone": 0}
    assert checks.made() == 1


def test_ids_that_come_too_late_are_given_to_another_job(checks, x):
    x.order({"match": "PUT /storage/", "status": 503})
    with pytest.raises(Outage):
        compliance.ask(checks.run())
    checks.later(timedelta(hours=1))
    assert checks.whole() == {"days": 2, "gone": 0}
    assert checks.made() == 2


def test_after_three_jobs_without_an_answer_it_is_for_a_person(checks, x):
    x.put("jobs", {"ends": ["failed"] * 9})
    with pytest.raises(NotChecked, match=r"X has ended 3 jobs .* as failed"):
        checks.whole()
    assert checks.made() == 3
    with pytest.raises(NotChecked):
        checks.whole()
    assert checks.made() == 3


def test_a_job_that_takes_days_is_for_a_person(checks, x):
    x.put("jobs", {"polls": 99})
    run = checks.run()
    asked = compliance.ask(run)
    checks.later(timedelta(days=2, seconds=1))
    with pytest.raises(NotChecked, match="in 2 days"):
        compliance.fetch(run, asked)


def test_an_answer_that_x_no_longer_offers_is_asked_for_anew(checks, x):
    run = checks.run()
    asked = compliance.ask(run)
    checks.later(timedelta(days=8))
    assert compliance.mark(run, checks.fetched(run, asked)[0])["days"] == 2
    assert checks.made() == 2


def test_another_job_of_the_app_is_waited_for_without_a_worker(checks, x):
    x.put("jobs", {"polls": 1})
    compliance.ask(checks.run("other"))
    with pytest.raises(AirflowRescheduleException):
        compliance.ask(checks.run())
    assert checks.made() == 1
    checks.whole("other")
    assert checks.whole() == {"days": 2, "gone": 0}


@pytest.mark.parametrize("status", [403, 404])
def test_keys_that_may_not_use_it_are_told_so(checks, x, status):
    x.order({"match": JOBS, "status": status, "body": {"title": "Forbidden", "detail": "Not for you."}})
    with pytest.raises(NoAccess, match=rf"{status} to GET {JOBS}: Forbidden; Not for you\."):
        compliance.ask(checks.run())


@pytest.mark.parametrize("address", ["http://storage.example/x?signature=s3cret", "file:///etc/passwd", ""])
def test_ids_are_sent_to_no_address_in_the_clear(checks, x, address):
    job = {"id": "7", "status": "created", "upload_url": address}
    x.order({"match": f"POST {JOBS}", "status": 200, "body": {"data": job}},
            {"match": f"GET {JOBS}/", "status": 200, "body": {"data": job}})  # fmt: skip
    with pytest.raises(UnexpectedAnswer, match="where https is expected") as raised:
        compliance.ask(checks.run())
    assert "s3cret" not in str(raised.value)


def test_a_signed_address_is_masked_wherever_it_is_logged_and_so_is_its_signature(checks, x):
    address = "https://storage.example/submission/7?signature=as-good-as-a-password"
    job = {"id": "7", "status": "in_progress", "download_url": address}
    x.order({"match": f"POST {JOBS}", "status": 200, "body": {"data": job}},
            {"match": f"GET {JOBS}/", "status": 200, "body": {"data": job}})  # fmt: skip
    compliance.ask(checks.run())
    assert redact(f"PUT {address}") == "PUT ***"
    assert "as-good" not in str(redact("/submission/7?signature=as-good-as-a-password"))


def test_no_redirect_is_followed(checks, x):
    away = {"status": 307, "headers": {"Location": "/2/users/by"}}
    x.order({"match": "PUT /storage/"} | away)
    with pytest.raises(Outage, match="answered 307 to PUT"):
        compliance.ask(checks.run())
    assert not [each for each in checks.asked() if "/users/by" in each]


def test_an_answer_that_is_longer_than_it_can_be_is_not_kept(checks, x, bucket, monkeypatch):
    monkeypatch.setattr(compliance, "AT_LEAST", 0)
    run = checks.run()
    asked = compliance.ask(run)
    x.order({"match": "GET /storage/", "status": 200, "body": "x" * 9999})
    with pytest.raises(UnexpectedAnswer, match="more than 5120 bytes"):
        checks.fetched(run, asked)
    assert not [key for key in bucket.keys("twitter_compliance/") if "answer" in key]


def test_what_is_no_answer_of_x_is_refused_and_marks_nothing(checks, x, bucket):
    run = checks.run()
    asked = compliance.ask(run)
    x.order({"match": "GET /storage/", "status": 200, "body": "<html>"})
    with pytest.raises(UnexpectedAnswer, match="Line 1 of X's answer names no post"):
        compliance.mark(run, checks.fetched(run, asked)[0])
    assert not bucket.keys("twitter_compliance/dt=")


def test_a_task_that_was_marked_success_by_hand_says_so(checks):
    with pytest.raises(NothingStaged, match="`ask` has handed nothing on"):
        compliance.fetch(checks.run(), None)
    with pytest.raises(NothingStaged, match="`fetch` has handed nothing on"):
        compliance.mark(checks.run(), None)
    with pytest.raises(NothingStaged, match="No job was made"):
        compliance.fetch(checks.run(), {"asked": "twitter_compliance/run=0a/"})


def test_no_signed_address_and_no_key_is_in_a_log_at_any_level_nor_in_the_bucket(checks, x, bucket, caplog):
    root, before = logging.getLogger(), logging.getLogger().level
    caplog.set_level(logging.DEBUG)
    try:
        checks.whole()
    finally:
        root.setLevel(before)
    assert "signature" not in caplog.text
    kept = b"".join(bucket.read(key) for key in bucket.keys("twitter_compliance/"))
    assert b"signature" not in kept and b"/storage/" not in kept
    assert {each["auth"] for each in x.requests() if "/storage/" in each["path"]} == {"none"}
