"""When posts count as gone: X says so in two responses that S3 stored on two UTC days, and nothing less."""

import gzip
import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from deploy import evidence
from deploy.forget import ObjectContent, Version
from include.twitter.response import Response
from tests.include.factories import post

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (datetime(2026, 11, day, 8, tzinfo=UTC) for day in (16, 17, 18, 19))
RUNS = {MONDAY: "aaaaaaaaaaa1", TUESDAY: "aaaaaaaaaaa2", WEDNESDAY: "aaaaaaaaaaa3", THURSDAY: "aaaaaaaaaaa4"}
NOT_FOUND, FORBIDDEN = ("Not Found Error", "resource-not-found"), ("Forbidden", "resource-not-found")
PROTECTED = ("Authorization Error", "not-authorized-for-resource")
WITHHELD, NEW = ("Resource Unavailable", "resource-unavailable"), ("Something New", "never-heard-of")
P = "1990000000000000007"


class Bucket:
    """What S3 would list, each object stored at a moment of the test's choice."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, datetime]] = {}

    def put(self, key: str, data: bytes, stored_at: datetime) -> None:
        self.objects[key] = (data, stored_at)

    def versions(self, prefix: str) -> list[Version]:
        return [
            Version(key, "1", True, False, at)
            for key, (_, at) in self.objects.items()
            if key.startswith(prefix)
        ]

    def read(self, key: str, version: str | None = None) -> ObjectContent | None:
        return ObjectContent(self.objects[key][0], "tag", "text")

    # What the pipeline stores

    def lookup(
        self,
        at: datetime,
        errors: dict[str, tuple[str, str]] | None = None,
        shown: tuple[dict, ...] = (),
        requested: tuple[str, ...] = (P,),
        stored_at: datetime | None = None,
        path: str = "/2/tweets",
        status: int = 200,
    ) -> None:
        """A look-up of posts by id, as it is stored at some age."""
        problems = [
            {"value": id_, "resource_id": id_, "title": title, "type": f"https://api.x.com/2/problems/{kind}"}
            for id_, (title, kind) in (errors or {}).items()
        ]
        body = {"data": [*shown]} | ({"errors": problems} if problems else {})
        response = Response(path, {"ids": ",".join(requested)}, at, json.dumps(body).encode(), status=status)
        self.put(f"twitter_raw/dt=2026-11-15/age={at.day}/0001.json.gz", response.to_bytes(), stored_at or at)

    def check(
        self, at: datetime, *named: str, reason: str = "deleted", action: str = "delete", stored: bool = True
    ) -> None:
        """A job of X's batch compliance and its response."""
        folder = f"twitter_compliance/run={RUNS[at]}/"
        job = {"id": "7", "number": 1, "made_at": at.isoformat(), "days": {"2026-11-15": 9}}
        if stored:
            self.put(f"{folder}job=1.json", json.dumps(job).encode(), at)
        lines = [json.dumps({"id": id_, "action": action, "reason": reason}) + "\n" for id_ in named]
        self.put(f"{folder}result=1.txt.gz", gzip.compress("".join(lines).encode()), at + timedelta(hours=1))

    def claim(self, *posts: str) -> None:
        """What `mark` derives from the response, or whoever can write its key."""
        of = {
            "username": "acme_press",
            "state": "gone",
            "reason": "X says: delete",
            "seen_at": "2026-11-18T08:00:00Z",
        }
        gone = [{"tweet_id": id_} | of for id_ in posts]
        checked = {
            "day": "2026-11-15",
            "requested_at": "2026-11-18T08:00:00Z",
            "job": "7",
            "posts": 9,
            "gone": gone,
        }
        self.put("twitter_compliance/dt=2026-11-15/gone.json", json.dumps(checked).encode(), WEDNESDAY)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def gone(bucket: Bucket) -> set[str]:
    return evidence.load_evidence(bucket).gone


@pytest.mark.parametrize("error", [NOT_FOUND, FORBIDDEN, PROTECTED])
def test_two_lookups_of_two_days_that_say_so_are_enough(bucket, error):
    bucket.lookup(MONDAY, {P: error})
    bucket.lookup(TUESDAY, {P: error})
    assert gone(bucket) == {P}


def test_two_checks_are_enough_and_so_are_a_check_and_a_lookup(bucket):
    bucket.check(MONDAY, P)
    assert (gone(bucket), evidence.load_evidence(bucket).waiting) == (set(), {P})
    bucket.lookup(TUESDAY, {P: NOT_FOUND})
    assert gone(bucket) == {P}
    bucket.check(WEDNESDAY, P, "8")
    assert (gone(bucket), evidence.load_evidence(bucket).waiting) == ({P}, {"8"})


def test_xs_silence_is_no_finding_however_often(bucket):
    for day in RUNS:
        bucket.lookup(day, shown=(post(),), requested=(P, post()["id"]))
    assert (gone(bucket), evidence.load_evidence(bucket).waiting) == (set(), set())


@pytest.mark.parametrize("error", [WITHHELD, NEW, ("", "")])
def test_an_error_that_does_not_say_gone_is_no_finding(bucket, error):
    for day in (MONDAY, TUESDAY):
        bucket.lookup(day, {P: error})
    assert gone(bucket) == set()


def test_what_says_that_another_post_is_gone_proves_nothing_of_this_one(bucket):
    for day in (MONDAY, TUESDAY):
        bucket.lookup(day, {"8": NOT_FOUND}, requested=(P,))
    assert gone(bucket) == set()


@pytest.mark.parametrize("action", ["", "update", "undelete"])
def test_a_check_that_names_a_post_with_another_action_is_no_finding(bucket, action):
    for day in (MONDAY, TUESDAY):
        bucket.check(day, P, action=action)
    assert gone(bucket) == set()


def test_two_responses_that_s3_stored_on_one_day_are_one_finding_whatever_they_say(bucket):
    """Who writes both at once can write any date into them."""
    bucket.lookup(MONDAY, {P: NOT_FOUND}, stored_at=THURSDAY)
    bucket.lookup(TUESDAY, {P: NOT_FOUND}, stored_at=THURSDAY + timedelta(hours=15))
    assert (gone(bucket), evidence.load_evidence(bucket).waiting) == (set(), {P})
    bucket.check(THURSDAY, P)
    assert gone(bucket) == set()


def test_one_days_responses_that_were_stored_again_later_are_one_finding(bucket):
    """`make forget` stores a response again when it cuts another post out of it."""
    bucket.check(MONDAY, P)
    bucket.lookup(MONDAY + timedelta(hours=14), {P: NOT_FOUND}, stored_at=THURSDAY)
    assert gone(bucket) == set()


def test_a_day_is_one_of_utc_in_whatever_zone_a_response_gives_it(bucket):
    bucket.lookup(TUESDAY, {P: NOT_FOUND}, stored_at=WEDNESDAY)
    key, (data, stored_at) = bucket.objects.popitem()
    changed = gzip.decompress(data).replace(b"2026-11-17T08:00:00Z", b"2026-11-16T23:00:00-09:00")
    bucket.put(key.replace("age=17", "age=1"), gzip.compress(changed), stored_at)
    bucket.lookup(TUESDAY, {P: NOT_FOUND})
    assert (gone(bucket), evidence.load_evidence(bucket).waiting) == (set(), {P})


def test_a_response_that_was_received_after_s3_stored_it_does_not_count_and_is_named(bucket):
    bucket.lookup(MONDAY, {P: NOT_FOUND})
    bucket.lookup(TUESDAY, {P: NOT_FOUND}, stored_at=TUESDAY - timedelta(minutes=16))
    loaded = evidence.load_evidence(bucket)
    assert loaded.gone == set()
    (line,) = loaded.ignored
    assert line.startswith("twitter_raw/dt=2026-11-15/age=17/0001.json.gz says it was received at")


@pytest.mark.parametrize("back", ["lookup", "check", "edited", "withheld"])
def test_a_post_that_x_shows_again_needs_two_new_findings_to_be_gone(bucket, back):
    bucket.lookup(MONDAY, {P: NOT_FOUND})
    bucket.check(TUESDAY, P)
    shown = post() | {"id": P}
    if back == "check":
        bucket.check(WEDNESDAY, "8")
    elif back == "withheld":
        bucket.lookup(WEDNESDAY, {P: WITHHELD})
    else:
        more = {"edit_history_tweet_ids": [P, "1990000000000000009"]} if back == "edited" else {}
        bucket.lookup(WEDNESDAY, shown=(shown | more,))
    assert gone(bucket) == set()
    bucket.check(THURSDAY, P, "8")
    assert P not in gone(bucket)  # one finding since it was shown
    assert P in evidence.load_evidence(bucket).waiting


def test_what_the_pipeline_derived_counts_for_nothing_and_is_named_where_no_response_says_it(bucket):
    bucket.claim(P, "8")
    bucket.put(
        "twitter_engagement/dt=2026-11-15/age=1/engagement.csv",
        f"tweet_id,state\n{P},gone\n".encode(),
        MONDAY,
    )
    loaded = evidence.load_evidence(bucket)
    assert (loaded.gone, loaded.waiting) == (set(), set())
    of_check, of_table = loaded.ignored
    assert of_check.startswith("twitter_compliance/dt=2026-11-15/gone.json calls 2 posts gone")
    assert of_table.startswith("twitter_engagement/dt=2026-11-15/age=1/engagement.csv calls 1 posts gone")
    bucket.check(MONDAY, P, "8")
    assert evidence.load_evidence(bucket).ignored == []


@pytest.mark.parametrize(
    "data",
    [
        b"", b"not gzip", gzip.compress(b"{}"), gzip.compress(b'{"id":7}\n'), gzip.compress(b"<html>"),
        gzip.compress(b'{"request":{"path":"/2/tweets","params":{}},"billed":{"posts":1},"status":200,"body":{}}'),
    ],
    ids=["empty", "no gzip", "no envelope", "an id", "no JSON", "no response"],
)  # fmt: skip
def test_what_is_no_response_of_x_does_not_count_and_stops_nothing(bucket, data):
    bucket.check(MONDAY, P)
    bucket.put(f"twitter_compliance/run={RUNS[MONDAY]}/result=1.txt.gz", data, MONDAY)
    bucket.put("twitter_raw/dt=2026-11-15/age=1/0001.json.gz", data, TUESDAY)
    bucket.put("twitter_compliance/dt=2026-11-15/gone.json", data, TUESDAY)
    loaded = evidence.load_evidence(bucket)
    assert loaded.gone == set()
    assert any("age=1/0001.json.gz is no response of X" in line for line in loaded.ignored)


@pytest.mark.parametrize("how", [{"path": "/2/users/by"}, {"status": 500}])
def test_a_response_to_another_request_does_not_count(bucket, how):
    bucket.lookup(MONDAY, {P: NOT_FOUND}, **how)
    bucket.check(TUESDAY, P)
    assert gone(bucket) == set()


def test_a_job_that_is_nested_without_end_stops_nothing(bucket):
    bucket.check(MONDAY, P)
    bucket.put(f"twitter_compliance/run={RUNS[MONDAY]}/job=1.json", b'{"x": ' + b"[" * 100_000, MONDAY)
    (line,) = evidence.load_evidence(bucket).ignored
    assert "result=1.txt.gz is no response of X" in line


def test_a_check_that_is_one_line_without_end_is_not_held_in_memory(bucket):
    bucket.check(MONDAY, P)
    bomb = gzip.compress(b" " * (64 << 20))
    bucket.put(f"twitter_compliance/run={RUNS[MONDAY]}/result=1.txt.gz", bomb + gzip.compress(b"x"), MONDAY)
    tracemalloc.start()
    try:
        (line,) = evidence.load_evidence(bucket).ignored
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert "result=1.txt.gz is no response of X" in line


def test_a_check_without_its_job_does_not_count(bucket):
    bucket.lookup(MONDAY, {P: NOT_FOUND})
    bucket.check(TUESDAY, P, stored=False)
    assert gone(bucket) == set()


@pytest.mark.parametrize(
    "key",
    [
        "twitter_raw/dt=2026-11-15/age=1/\x1b[2J.json.gz",
        "twitter_raw/dt=2026-11-15/buy=1/acme/0001.json.gz",
        "twitter_raw/dt=2026-11-15/age=1/more/0001.json.gz",
        "twitter_compliance/run=../result=1.txt.gz",
    ],
)
def test_a_response_where_the_pipeline_stores_none_does_not_count(bucket, key):
    bucket.lookup(TUESDAY, {P: NOT_FOUND})
    bucket.put(key, *bucket.objects.pop("twitter_raw/dt=2026-11-15/age=17/0001.json.gz"))
    bucket.check(MONDAY, P)
    loaded = evidence.load_evidence(bucket)
    assert loaded.gone == set()
    assert not any("\x1b" in line for line in loaded.ignored)


def test_a_response_of_a_removed_feature_may_show_every_post(bucket, monkeypatch):
    """Otherwise a post would go by older responses although X has shown it since."""
    bucket.check(MONDAY, P)
    bucket.check(TUESDAY, P)
    bucket.lookup(WEDNESDAY, shown=(post(7),))
    installed = evidence.feature_module
    monkeypatch.setattr(evidence, "feature_module", lambda name: "snapshots" not in name and installed(name))
    loaded = evidence.load_evidence(bucket)
    assert (loaded.gone, loaded.waiting) == (set(), set())
    assert "age=18/0001.json.gz, are of a removed feature" in loaded.ignored[0]
