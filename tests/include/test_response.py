"""An answer of X, kept and read."""

import gzip
import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.twitter import response as answer_module
from include.twitter.response import DEEPEST, Response, decoded, is_unrequested, reason_of
from tests.include.invented import RECEIVED, SUSPENDED, about, answer, post
from tests.include.recorded import recorded_errors, recorded_pages


def test_the_staged_object_holds_the_bytes_of_the_answer_as_they_came():
    # Odd spacing, order of keys, escapes and digits that a decoder would not give back.
    content = b'{ "meta":{"result_count":1},\n "data":[{"id":"1","text":"caf\\u00e9 \xc3\xa9","n":1.50e1}]}'
    staged = Response("/2/users/42/tweets", {"max_results": "100"}, RECEIVED, content).to_bytes()
    assert content in gzip.decompress(staged)


def test_the_staged_object_tells_the_request_the_bill_the_status_and_the_time():
    sent_at = datetime(2026, 11, 19, 2, 30, 5, tzinfo=timezone(timedelta(hours=1)))
    staged = replace(answer(post(1), post(2), token="t1", kind="own_posts"), sent_at=sent_at).to_bytes()
    envelope = json.loads(gzip.decompress(staged))
    assert list(envelope) == ["request", "billed", "status", "received_at", "body"]
    assert envelope["request"] == {
        "method": "GET",
        "path": "/2/users/42/tweets",
        "params": {"max_results": "100"},
        "sent_at": "2026-11-19T01:30:05Z",
    }
    assert envelope["billed"] == {"own_posts": 2}
    assert envelope["status"] == 200
    assert envelope["received_at"] == "2026-11-19T01:30:07Z"


def test_what_is_staged_reads_as_what_came():
    came = answer(post(1), post(2), token="t1")
    read = Response.from_bytes(came.to_bytes())
    assert read.body == came.body
    assert (read.posts, read.next_token) == ([post(1), post(2)], "t1")
    assert (read.path, read.params, read.status) == ("/2/users/42/tweets", {"max_results": "100"}, 200)
    assert read.received_at == datetime(2026, 11, 19, 1, 30, 7, tzinfo=UTC)


def test_the_same_answer_is_staged_as_the_same_bytes():
    staged = answer(post()).to_bytes()
    assert answer(post()).to_bytes() == staged
    assert staged[4:8] == bytes(4)  # gzip would put the time of writing there


def test_half_an_emoji_is_kept_as_the_escape_that_came_and_read_as_a_replacement():
    content = b'{"data":[{"id":"1","text":"half \\ud83d"}]}'
    came = Response("/2/users/42/tweets", {}, RECEIVED, content)
    assert came.posts[0]["text"] == "half \ufffd"
    staged = came.to_bytes()
    assert content in gzip.decompress(staged)
    assert Response.from_bytes(staged).posts == [{"id": "1", "text": "half \ufffd"}]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (b"\\ud83d", "\ufffd"),
        (b"\\ude00 end", "\ufffd end"),
        (b"\\ud83d\\ud83d\\ude00", "\ufffd😀"),
        (b"\\ud83dA \xf0\x9f\x98\x80 caf\xc3\xa9", "\ufffdA 😀 café"),
    ],
)
def test_only_the_half_of_an_emoji_is_replaced(sent, read):
    assert decoded(b'{"text":"' + sent + b'"}') == {"text": read}


@pytest.mark.parametrize("text", ["caf\u00e9", "half \ud83d", "one\u2028two"])
def test_each_post_as_it_was_sent_reads_as_the_post(text):
    came = Response.from_bytes(answer(post(1, text=text), None, post(2, huge=2**70)).to_bytes())
    assert [decoded(each) for each in came.sent] == came.posts
    assert len(came.posts) == 3


def test_the_bytes_of_an_answer_come_back_from_the_staged_object():
    content = b'{ "data":[],\n "body":1.50e1, "meta":{"result_count":0}} '
    asked = {"query": 'of ","body":" and }'}
    read = Response.from_bytes(Response("/2", asked, RECEIVED, content).to_bytes())
    assert (read.content, read.params) == (content, asked)


DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (b"9" * 5_000, None),
        (b"9" * 30, int("9" * 30)),
        (b"-" + b"9" * 5_000, None),
        (b'"\xff"', "\ufffd"),
        (b'"' + b"[{" * 200_000 + b'"', "[{" * 200_000),
        (b'"\\"]}[{"', '"]}[{'),
    ],
    ids=["long-number", "large-number", "negative", "no-utf-8", "brackets-in-text", "quote-in-text"],
)
def test_what_json_allows_and_nobody_can_hold_costs_itself_alone(value, read):
    assert decoded(b'{"new":' + value + b',"deep":' + DEEP + b',"id":"1"}') | {"deep": None} == {
        "new": read,
        "deep": None,
        "id": "1",
    }


def test_what_is_nested_without_end_is_cut_at_a_depth_that_every_reader_follows():
    assert json.dumps(decoded(DEEP)) == "[" * DEEPEST + "null" + "]" * DEEPEST
    many = decoded(b'{"a":' + DEEP + b',"b":{"c":' + DEEP + b'},"d":1}')
    assert (many.keys(), many["d"]) == ({"a", "b", "d"}, 1)


def test_a_page_with_a_post_that_is_nested_without_end_has_its_posts():
    content = b'{"data":[{"id":"1"},{"id":"2","new":' + DEEP + b'}],"meta":{"next_token":"t"}}'
    came = Response.from_bytes(Response("/2/users/42/tweets", {}, RECEIVED, content).to_bytes())
    assert ([each["id"] for each in came.posts], came.next_token, len(came.sent)) == (["1", "2"], "t", 2)
    assert came.content == content


@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b'{"data":', b"\xff\xfe\x00", DEEP[:200_000], b"[" + DEEP]
)
def test_what_is_no_json_is_a_value_error(content):
    with pytest.raises(ValueError):
        decoded(content)


def test_an_empty_answer_has_no_posts_no_token_and_no_complaint():
    empty = Response("/2/users/42/tweets", {}, RECEIVED, b'{"meta":{"result_count":0}}')
    assert (empty.posts, empty.next_token, empty.unavailable) == ([], None, None)


PROBLEMS = "https://api.x.com/2/problems"
OLD_PROBLEMS = "https://api.twitter.com/2/problems"
NOT_FOUND, NO_ACCESS = f"{PROBLEMS}/resource-not-found", f"{PROBLEMS}/not-authorized-for-resource"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SUSPENDED, "Forbidden: User has been suspended: [42]."),
        (about("42", "Not Found Error", "No user: [42]."), "Not Found Error: No user: [42]."),
        (about("42", "Authorization Error", "No.", type=NO_ACCESS), "Authorization Error: No."),
        ({"title": "Gone", "detail": "It is.", "type": NOT_FOUND}, "Gone: It is."),
        ({"title": "Gone", "type": f"{OLD_PROBLEMS}/not-authorized-for-resource"}, "Gone"),
        ({"title": "Gone", "type": f"{PROBLEMS}/resource-unavailable", "resource_type": "user"}, "Gone"),
        # about a post, or something that a post refers to
        ({"title": "Gone", "type": f"{PROBLEMS}/resource-unavailable", "resource_type": "post"}, None),
        *(
            (about("7", "Not Found Error", "No.", parameter=parameter), None)
            for parameter in (
                "referenced_tweets.id", "referenced_posts.id", "pinned_tweet_id", "in_reply_to_user_id",
                "entities.mentions.username", "attachments.media_keys",
            )
        ),
        # X's own failures, also where they name an account
        *(
            (about("42", "Failure", "Try again.", type=f"{PROBLEMS}/{kind}"), None)
            for kind in (
                "internal-error", "field-hydration-failure", "field-unauthorized", "not-authorized-for-field",
            )
        ),
        # of no known type or form
        ({}, None),
        ({"title": "Service Unavailable", "detail": "Try again."}, None),
        ({"title": "Gone", "type": "about:blank"}, None),
        ({"title": "Gone", "type": f"{NOT_FOUND}/else"}, None),
        ({"type": None}, None),
        ({"type": 5, "parameter": ["id"]}, None),
        ({"parameter": {}}, None),
    ],
)  # fmt: skip
def test_which_errors_make_an_account_unavailable(error, reason):
    page = answer(errors=[error])
    assert page.unavailable == reason
    assert page.id_not_found == (
        reason is not None and error["type"].endswith("not-found") and error != SUSPENDED
    )
    with_posts = answer(post(), errors=[error])
    assert (with_posts.unavailable, with_posts.id_not_found) == (None, False)


def test_the_fields_that_x_could_not_fill_are_named():
    error = {"type": f"{PROBLEMS}/field-hydration-failure", "field": "entities.urls"}
    assert answer(errors=[error]).unfilled == {"entities"}


@pytest.mark.parametrize(
    ("content", "is_nothing"),
    [
        (b"{}", True),
        (b'{"errors":[{"title":"Service Unavailable"}]}', True),
        (b'{"data":[]}', True),
        (b'{"meta":{"result_count":0}}', False),
        (b'{"data":[{"id":"1"}]}', False),
    ],
)
def test_a_response_with_neither_data_nor_meta_is_nothing(content, is_nothing):
    assert Response("/2/users/42/tweets", {}, RECEIVED, content).is_nothing is is_nothing


@pytest.mark.parametrize("errors", [["odd", None, 5, []], "odd", {"a": 1}, 5, None])
def test_what_is_no_error_object_among_the_errors_says_nothing(errors):
    odd = answer(errors=errors)
    assert (odd.unavailable, odd.failure, odd.unfilled) == (None, None, set())


def test_an_account_with_posts_is_available_whatever_else_x_complains_of():
    assert answer(post(), errors=[SUSPENDED]).unavailable is None


def test_an_error_is_told_in_one_line():
    assert reason_of(SUSPENDED) == "Forbidden: User has been suspended: [42]."
    assert reason_of({}) == "X gives no reason"
    assert reason_of({"message": "User withheld in all countries"}) == "User withheld in all countries"


def test_recorded_pages_are_read_back_as_they_came():
    pages = recorded_pages()
    for page in pages:
        content = json.dumps(page["body"], ensure_ascii=False).encode()
        read = Response.from_bytes(Response("/2", {}, RECEIVED, content).to_bytes())
        assert read.body == page["body"]
    assert len(pages) == 28


def test_of_the_recorded_errors_only_those_about_a_user_who_was_asked_for_make_it_unavailable():
    told_of = {
        (error["title"], error["parameter"])
        for error in recorded_errors()
        if error.get("title") and answer(errors=[error]).unavailable
    }
    assert told_of == {
        ("Not Found Error", "id"),
        ("Forbidden", "id"),
        ("Not Found Error", "usernames"),
    }


RETWEETED, REPLIED, QUOTED = ({"type": kind, "id": "7"} for kind in ("retweeted", "replied_to", "quoted"))


@pytest.mark.parametrize(
    ("sent", "unrequested"),
    [
        (post(referenced_tweets=[RETWEETED]), True),
        (post(referenced_posts=[QUOTED, REPLIED]), True),
        (post(referenced_tweets=[REPLIED], in_reply_to_user_id="42"), True),
        (post(referenced_tweets=[QUOTED]), False),
        (post(text="RT @esa: by hand", in_reply_to_user_id="7"), False),
        (post(referenced_tweets=[None, "retweeted", {"type": None}]), False),
        (post(referenced_tweets={}), False),
        (post(referenced_tweets=5), False),
        (None, False),
    ],
)
def test_a_retweet_or_a_reply_is_told_by_its_references(sent, unrequested):
    assert is_unrequested(sent) == unrequested


ENVELOPE = {
    "request": {"path": "/", "params": {}, "sent_at": "2026-11-18T00:00:00Z"},
    "billed": {"posts": 1},
    "status": 200,
    "received_at": "2026-11-18T00:00:00Z",
    "body": {},
}


def packed(envelope):
    return gzip.compress(json.dumps(envelope, separators=(",", ":")).encode())


def test_an_invented_envelope_is_a_stored_answer():
    assert Response.from_bytes(packed(ENVELOPE)).content == b"{}"


@pytest.mark.parametrize("name", ENVELOPE)
@pytest.mark.parametrize("value", [None, 5, [], {}, "text"])
def test_a_stored_answer_whose_request_is_damaged_is_a_value_error_or_one_still(name, value):
    with suppress(ValueError):
        Response.from_bytes(packed(ENVELOPE | {name: value}))
    with pytest.raises(ValueError, match=name if name not in ("body", "received_at") else None):
        Response.from_bytes(packed({key: each for key, each in ENVELOPE.items() if key != name}))


def test_a_stored_answer_that_is_no_whole_gzip_file_is_a_value_error():
    whole = answer(post()).to_bytes()
    for data in (b"{}", whole[:2], whole[:-9], whole[:-1] + b"?", whole[:20] + b"?" + whole[21:]):
        with pytest.raises(ValueError, match="no whole gzip file"):
            Response.from_bytes(data)
    for text in (b"", b"{}", b'{,"body":{}}', b'[1,{"a":1,"body":{}}]'):
        with pytest.raises(ValueError):
            Response.from_bytes(gzip.compress(text))


def test_a_stored_answer_is_decompressed_only_up_to_its_limit(monkeypatch):
    monkeypatch.setattr(answer_module, "STORED_BYTES", 1000)
    bomb = gzip.compress(bytes(50_000_000), 1)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 1,000 bytes"):
            Response.from_bytes(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_reason_of_x_is_one_short_and_safe_line():
    reason = reason_of({"title": "\x1b[2JGone\n", "detail": "A" * 20_000_000})
    assert reason.startswith("[U+001B][2JGone[U+000A]: AAA")
    assert len(reason) < 1000
