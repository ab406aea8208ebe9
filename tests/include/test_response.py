"""Responses of X: stored, read again, and understood."""

import gzip
import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from include.twitter import response as response_module
from include.twitter.response import MAX_DEPTH, Response, decode_json, is_unrequested, reason_of
from tests.include.factories import RECEIVED, SUSPENDED, about, make_response, post
from tests.include.recorded import recorded_errors, recorded_pages

TIMELINE = "/2/users/42/tweets"
DEEP = b"[" * 200_000 + b"]" * 200_000


def stored(content, params=None):
    """The response with this body after it was stored and read again."""
    return Response.from_bytes(Response(TIMELINE, params or {}, RECEIVED, content).to_bytes())


# Stored form


@pytest.mark.parametrize(
    "content",
    [
        # Spacing, order of keys, escapes and digits that a decoder does not reproduce.
        b'{ "meta":{"result_count":1},\n "data":[{"id":"1","text":"caf\\u00e9 \xc3\xa9","n":1.50e1}]}',
        b'{ "data":[],\n "body":1.50e1, "meta":{"result_count":0}} ',
        b'{"data":[{"id":"1","text":"half \\ud83d"}]}',
        b'{"data":[{"id":"1"},{"id":"2","new":' + DEEP + b'}],"meta":{"next_token":"t"}}',
    ],
    ids=["odd", "body in the body", "half an emoji", "deep"],
)
def test_a_stored_response_has_the_bytes_of_x(content):
    params = {"query": 'of ","body":" and }'}
    staged = Response(TIMELINE, params, RECEIVED, content).to_bytes()
    assert content in gzip.decompress(staged)
    read = Response.from_bytes(staged)
    assert (read.content, read.params) == (content, params)


def test_a_stored_response_has_the_request_the_charge_the_status_and_the_time():
    sent_at = datetime(2026, 11, 19, 2, 30, 5, 999, tzinfo=timezone(timedelta(hours=1)))
    response = replace(make_response(post(1), post(2), token="t1", kind="own_posts"), sent_at=sent_at)
    envelope = json.loads(gzip.decompress(response.to_bytes()))
    assert list(envelope) == ["request", "billed", "status", "received_at", "body"]
    assert envelope["request"] == {
        "method": "GET",
        "path": TIMELINE,
        "params": {"max_results": "100"},
        "sent_at": "2026-11-19T01:30:05Z",
    }
    assert (envelope["billed"], envelope["status"]) == ({"own_posts": 2}, 200)
    assert envelope["received_at"] == "2026-11-19T01:30:07Z"
    read = Response.from_bytes(response.to_bytes())
    assert (read.posts, read.next_token, read.kind) == ([post(1), post(2)], "t1", "own_posts")
    assert (read.path, read.params, read.status) == (TIMELINE, {"max_results": "100"}, 200)
    assert (read.sent_at, read.received_at) == (sent_at.replace(microsecond=0), RECEIVED)


def test_equal_responses_are_stored_as_equal_bytes():
    staged = make_response(post()).to_bytes()
    assert make_response(post()).to_bytes() == staged
    assert staged[4:8] == bytes(4)  # gzip would put the time of writing there


def test_recorded_pages_are_read_as_received():
    pages = recorded_pages()
    assert len(pages) == 28
    for page in pages:
        assert stored(json.dumps(page["body"], ensure_ascii=False).encode()).body == page["body"]


ENVELOPE = {
    "request": {"path": "/", "params": {}, "sent_at": "2026-11-18T00:00:00Z"},
    "billed": {"posts": 1},
    "status": 200,
    "received_at": "2026-11-18T00:00:00Z",
    "body": {},
}


def packed(envelope):
    return gzip.compress(json.dumps(envelope, separators=(",", ":")).encode())


@pytest.mark.parametrize("name", ENVELOPE)
def test_a_damaged_envelope_is_a_value_error_or_still_a_response(name):
    assert Response.from_bytes(packed(ENVELOPE)).content == b"{}"
    for value in (None, 5, [], {}, "text"):
        with suppress(ValueError):
            Response.from_bytes(packed(ENVELOPE | {name: value}))
    with pytest.raises(ValueError, match=name):
        Response.from_bytes(packed({key: value for key, value in ENVELOPE.items() if key != name}))


def test_an_incomplete_gzip_file_or_other_text_is_a_value_error():
    whole = make_response(post()).to_bytes()
    for data in (b"{}", whole[:2], whole[:-9], whole[:-1] + b"?", whole[:20] + b"?" + whole[21:]):
        with pytest.raises(ValueError, match="not a complete gzip file"):
            Response.from_bytes(data)
    for text in (b"", b"{}", b'{,"body":{}}', b'[1,{"a":1,"body":{}}]'):
        with pytest.raises(ValueError):
            Response.from_bytes(gzip.compress(text))


def test_a_stored_response_is_decompressed_up_to_its_limit(monkeypatch):
    monkeypatch.setattr(response_module, "MAX_STORED_BYTES", 1000)
    bomb = gzip.compress(bytes(50_000_000), 1)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 1,000 bytes"):
            Response.from_bytes(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# JSON that Python cannot hold


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b'"\\ud83d"', "\ufffd"),
        (b'"\\ude00 end"', "\ufffd end"),
        (b'"\\ud83d\\ud83d\\ude00"', "\ufffd😀"),
        (b'"\\ud83dA \xf0\x9f\x98\x80 caf\xc3\xa9"', "\ufffdA 😀 café"),
        (b'"\xff"', "\ufffd"),
        (b"9" * 5_000, None),
        (b"-" + b"9" * 5_000, None),
        (b"9" * 30, int("9" * 30)),
        (b'"' + b"[{" * 200_000 + b'","deep":' + DEEP, "[{" * 200_000),
        (b'"\\"]}[{","deep":' + DEEP, '"]}[{'),
    ],
    ids=range(10),
)
def test_a_value_that_python_cannot_hold_affects_only_itself(value, read):
    decoded = decode_json(b'{"new":' + value + b',"id":"1"}')
    assert (decoded["new"], decoded["id"]) == (read, "1")


def test_endless_nesting_is_cut_at_a_depth_that_every_reader_handles():
    assert json.dumps(decode_json(DEEP)) == "[" * MAX_DEPTH + "null" + "]" * MAX_DEPTH


@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b'{"data":', b"\xff\xfe\x00", DEEP[:200_000], b"[" + DEEP]
)
def test_malformed_json_is_a_value_error(content):
    with pytest.raises(ValueError):
        decode_json(content)


@pytest.mark.parametrize("text", ["caf\u00e9", "half \ud83d", "one\u2028two"])
def test_each_raw_post_is_decoded_like_the_page(text):
    response = make_response(post(1, text=text), None, post(2, huge=2**70))
    assert [decode_json(raw) for raw in response.raw_posts] == response.posts
    assert len(response.posts) == 3


# X's error objects

PROBLEMS = "https://api.x.com/2/problems"
NOT_FOUND, NO_ACCESS = f"{PROBLEMS}/resource-not-found", f"{PROBLEMS}/not-authorized-for-resource"
ABOUT_A_POST = [
    "referenced_tweets.id", "pinned_tweet_id", "in_reply_to_user_id", "entities.mentions.username",
]  # fmt: skip
OWN_FAILURES = ["internal-error", "field-hydration-failure", "field-unauthorized", "not-authorized-for-field"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SUSPENDED, "Forbidden: User has been suspended: [42]."),
        (about("42", "Not Found Error", "No user: [42]."), "Not Found Error: No user: [42]."),
        (about("42", "Authorization Error", "No.", type=NO_ACCESS), "Authorization Error: No."),
        ({"title": "Gone", "detail": "It is.", "type": NOT_FOUND}, "Gone: It is."),
        ({"title": "Gone", "type": f"{PROBLEMS}/resource-unavailable", "resource_type": "user"}, "Gone"),
        ({"title": "Gone", "type": f"{PROBLEMS}/resource-unavailable", "resource_type": "post"}, None),
        *((about("7", "Not Found Error", "No.", parameter=name), None) for name in ABOUT_A_POST),
        *((about("42", "Failure", "No.", type=f"{PROBLEMS}/{kind}"), None) for kind in OWN_FAILURES),
        # of no known type or form
        ({}, None),
        ({"title": "Gone", "type": "about:blank"}, None),
        ({"title": "Gone", "type": f"{NOT_FOUND}/else"}, None),
        ({"type": 5, "parameter": ["id"]}, None),
    ],
)
def test_errors_about_the_account_make_it_unavailable(error, reason):
    page = make_response(errors=[error])
    is_not_found = reason is not None and error["type"].endswith("not-found") and error != SUSPENDED
    assert (page.unavailable, page.id_not_found) == (reason, is_not_found)
    with_posts = make_response(post(), errors=[error])
    assert (with_posts.unavailable, with_posts.id_not_found) == (None, False)


def test_recorded_errors_about_a_requested_user_make_it_unavailable():
    unavailable = {
        (error["title"], error["parameter"])
        for error in recorded_errors()
        if error.get("title") and make_response(errors=[error]).unavailable
    }
    assert unavailable == {("Not Found Error", "id"), ("Forbidden", "id"), ("Not Found Error", "usernames")}


def test_unfilled_fields_are_named():
    error = {"type": f"{PROBLEMS}/field-hydration-failure", "field": "entities.urls"}
    assert make_response(errors=[error]).unfilled == {"entities"}


@pytest.mark.parametrize("errors", [["odd", None, 5, []], "odd", {"a": 1}, None])
def test_odd_errors_are_ignored(errors):
    odd = make_response(errors=errors)
    assert (odd.unavailable, odd.failure, odd.unfilled) == (None, None, set())


@pytest.mark.parametrize(
    ("content", "has_no_content"),
    [
        (b'{"errors":[{"title":"Service Unavailable"}]}', True),
        (b'{"data":[]}', True),
        (b'{"meta":{"result_count":0}}', False),
        (b'{"data":[{"id":"1"}]}', False),
    ],
)
def test_a_response_with_neither_posts_nor_meta_has_no_content(content, has_no_content):
    assert Response(TIMELINE, {}, RECEIVED, content).has_no_content is has_no_content


def test_a_reason_is_one_short_and_safe_line():
    assert reason_of({}) == "X gives no reason"
    assert reason_of({"message": "User withheld"}) == "User withheld"
    reason = reason_of({"title": "\x1b[2JGone\n", "detail": "A" * 2_000_000})
    assert reason.startswith("[U+001B][2JGone[U+000A]: AAA")
    assert len(reason) < 1000


RETWEETED, REPLIED, QUOTED = ({"type": kind, "id": "7"} for kind in ("retweeted", "replied_to", "quoted"))


@pytest.mark.parametrize(
    ("sent", "unrequested"),
    [
        (post(referenced_tweets=[RETWEETED]), True),
        (post(referenced_posts=[QUOTED, REPLIED]), True),
        (post(referenced_tweets=[QUOTED]), False),
        (post(text="RT @esa: by hand", in_reply_to_user_id="7"), False),
        (post(referenced_tweets=[None, "retweeted", {"type": None}]), False),
        (post(referenced_tweets=5), False),
        (None, False),
    ],
)
def test_the_references_of_a_post_make_it_a_retweet_or_a_reply(sent, unrequested):
    assert is_unrequested(sent) == unrequested
