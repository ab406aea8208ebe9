"""X's responses about a job, and the lines of its result."""

import pytest

from include.twitter.errors import UnexpectedResponse
from include.twitter_features.compliance.responses import parse_deleted, parse_job

LINE = b'{"id":"%s","action":"delete","created_at":"2019-10-29T17:02:47.000Z","reason":"%s"}\n'
ACTION = b'{"id":"12","action":"%s","reason":"deleted"}'
DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (b"deleted", "gone"),
        (b"protected", "protected"),
        (b"suspended", "suspended"),
        (b"of tomorrow", "gone"),
    ],
)
def test_a_reported_post_has_the_state_of_its_reason(reason, state):
    assert parse_deleted([LINE % (b"12", reason)]) == {"12": (state, f"X says: delete, {reason.decode()}")}


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        (LINE % (b"12", b"scrub_geo"), []),
        (b"\n", []),
        (b'{"id":"12","action":"delete"}\n', ["12"]),
        (b'{"id":"12","action":"delete","reason":"deleted","new":' + DEEP + b"}", ["12"]),
        *((ACTION % action, []) for action in (b"", b"update", b"Delete?")),
    ],
)
def test_only_a_line_that_wants_the_post_deleted_names_one(line, ids):
    assert [*parse_deleted([line])] == ids


@pytest.mark.parametrize(
    "line", [b"[]", b"<html>", b'{"action":"delete"}', b'{"id":12,"action":""}', b"\xff"]
)
def test_a_line_that_names_no_post_is_refused_by_its_number(line):
    with pytest.raises(UnexpectedResponse, match="Line 2 "):
        parse_deleted([LINE % (b"12", b"deleted"), line])


def test_a_reason_is_one_short_and_safe_line():
    reason = parse_deleted([LINE % (b"12", b"\\u001b[2J" + b"A" * 1000)])["12"].reason
    assert reason.startswith("X says: delete, [U+001B][2JAAA")
    assert len(reason) <= 300


def test_a_job_may_have_unknown_fields():
    job = parse_job({"id": "7", "status": "created", "resumable": False, "upload_url": "https://a"})
    assert (job.id, job.status, job.name, job.upload_url) == ("7", "created", "", "https://a")


BAD_IDS = ("", "1\x1b[2J", "1\n", "9" * 65, "../../users/me", "1?x=2", 7)


@pytest.mark.parametrize(
    "data",
    [None, [], {}, {"id": "7", "status": "paused"}, *({"id": id_, "status": "created"} for id_ in BAD_IDS)],
)
def test_an_undocumented_job_is_refused_and_the_error_has_no_address(data):
    with pytest.raises(UnexpectedResponse) as raised:
        parse_job({**data, "upload_url": "https://s3cret"} if isinstance(data, dict) else data)
    assert "s3cret" not in str(raised.value)
