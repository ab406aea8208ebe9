"""What X says of a job, and of the posts that it names."""

import pytest

from include.twitter.compliance.said import gone, job
from include.twitter.errors import UnexpectedAnswer

LINE = b'{"id":"%s","action":"delete","created_at":"2019-10-29T17:02:47.000Z","reason":"%s"}\n'


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (b"deleted", "gone"),
        (b"deactivated", "gone"),
        (b"bounced", "gone"),
        (b"protected", "protected"),
        (b"suspended", "suspended"),
        (b"one of tomorrow", "gone"),
    ],
)
def test_a_post_that_x_names_is_gone_for_its_reason(reason, state):
    said = gone([LINE % (b"12", reason)])
    assert said == {"12": (state, f"X says: delete, {reason.decode()}")}


def test_a_post_that_has_lost_its_place_alone_is_not_gone():
    assert gone([LINE % (b"12", b"scrub_geo"), b'{"id":"13","action":"delete"}\n', b"\n"]) == {
        "13": ("gone", "X says: delete, without a reason")
    }


@pytest.mark.parametrize("action", [b"", b"update", b"undelete", b"Delete?"])
def test_a_line_with_another_action_makes_no_post_gone(action):
    assert gone([b'{"id":"12","action":"%s","reason":"deleted"}' % action]) == {}


@pytest.mark.parametrize(
    "line", [b"[]", b"<html>", b'{"action":"delete"}', b'{"id":12,"action":""}', b"\xff"]
)
def test_a_line_that_names_no_post_is_refused_by_its_number(line):
    with pytest.raises(UnexpectedAnswer, match="Line 2 of X's answer names no post"):
        gone([LINE % (b"12", b"deleted"), line])


def test_a_job_is_read_as_x_tells_it_with_what_it_has_besides():
    found = job(
        {"id": "7", "status": "created", "type": "tweets", "resumable": False, "upload_url": "https://a"}
    )
    assert (found.id, found.status, found.name, found.upload_url) == ("7", "created", "", "https://a")


@pytest.mark.parametrize(
    "told", [None, [], {}, {"id": 7, "status": "created"}, {"id": "7", "status": "paused"}]
)
def test_a_job_that_is_not_as_described_is_refused_without_its_addresses(told):
    with pytest.raises(UnexpectedAnswer) as raised:
        job({**told, "upload_url": "https://s3cret"} if isinstance(told, dict) else told)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("id_", ["", "1\x1b[2J", "1/../2", "1\n", "9" * 65])
def test_a_job_whose_id_is_none_is_refused(id_):
    with pytest.raises(UnexpectedAnswer):
        job({"id": id_, "status": "created"})


def test_what_x_says_of_a_post_is_one_short_and_safe_line():
    said = gone([LINE % (b"12", b"\\u001b[2J" + b"A" * 1000)])["12"].reason
    assert said.startswith("X says: delete, [U+001B][2JAAA")
    assert len(said) <= 300


DEEP = b"[" * 200_000 + b"]" * 200_000


def test_a_line_that_is_nested_without_end_is_read_and_names_its_post():
    line = b'{"id":"12","action":"delete","reason":"deleted","new":' + DEEP + b"}"
    assert list(gone([line])) == ["12"]


@pytest.mark.parametrize("id_", ["../../users/me", "1?x=2", "", "1/2"])
def test_what_is_no_id_of_a_job_enters_no_path(id_):
    with pytest.raises(UnexpectedAnswer):
        job({"id": id_, "status": "created"})
