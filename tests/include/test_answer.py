"""An answer of X, kept and read."""

import gzip
import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from include.twitter import answer as answer_module
from include.twitter.answer import DEEPEST, Answer, decoded, is_unasked, reason_of
from tests.include.invented import RECEIVED, SUSPENDED, about, answer, post
from tests.include.recorded import recorded_errors, recorded_pages


def test_the_staged_object_holds_the_bytes_of_the_answer_as_they_came():
    # Odd spacing, order of keys, escapes and digits that a decoder would not give back.
    content = b'{ "meta":{"result_count":1},\n "data":[{"id":"1","text":"caf\\u00e9 \xc3\xa9","n":1.50e1}]}'
    staged = Answer("/2/users/42/tweets", {"max_results": "100"}, RECEIVED, content).to_bytes()
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
    read = Answer.from_bytes(came.to_bytes())
    assert read.body == came.body
    assert (read.posts, read.next_token) == ([post(1), post(2)], "t1")
    assert (read.path, read.params, read.status) == ("/2/users/42/tweets", {"max_results": "100"}, 200)
    assert read.received_at == datetime(2026, 11, 19, 1, 30, 7, tzinfo=UTC)


def test_what_is_staged_is_billed_as_it_was_when_it_came():
    sent_at = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    counted = replace(answer({"tweet_count": 7}, {"tweet_count": 0}, kind="archive_counts"), sent_at=sent_at)
    read = Answer.from_bytes(counted.to_bytes())
    assert (read.kind, read.billed, read.sent_at) == ("archive_counts", 1, sent_at)


def test_the_same_answer_is_staged_as_the_same_bytes():
    staged = answer(post()).to_bytes()
    assert answer(post()).to_bytes() == staged
    assert staged[4:8] == bytes(4)  # gzip would put the time of writing there


def test_half_an_emoji_is_kept_as_the_escape_that_came_and_read_as_a_replacement():
    content = b'{"data":[{"id":"1","text":"half \\ud83d"}]}'
    came = Answer("/2/users/42/tweets", {}, RECEIVED, content)
    assert came.posts[0]["text"] == "half \ufffd"
    staged = came.to_bytes()
    assert content in gzip.decompress(staged)
    assert Answer.from_bytes(staged).posts == [{"id": "1", "text": "half \ufffd"}]


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


def test_a_line_separator_inside_a_text_is_no_end_of_a_line():
    assert Answer.from_bytes(answer(post(text="one\u2028two\nthree")).to_bytes()).posts[0]["text"] == (
        "one\u2028two\nthree"
    )


@pytest.mark.parametrize("text", ["caf\u00e9", "half \ud83d", "one\u2028two"])
def test_each_post_as_it_was_sent_reads_as_the_post(text):
    came = Answer.from_bytes(answer(post(1, text=text), None, post(2, huge=2**70)).to_bytes())
    assert [decoded(each) for each in came.sent] == came.posts
    assert len(came.posts) == 3


def test_an_answer_without_posts_has_sent_none():
    assert [answer().sent, Answer("/2", {}, RECEIVED, b'{"data":null}').sent] == [[], []]


def test_the_bytes_of_an_answer_come_back_from_the_staged_object():
    content = b'{ "data":[],\n "body":1.50e1, "meta":{"result_count":0}} '
    asked = {"query": 'of ","body":" and }'}
    read = Answer.from_bytes(Answer("/2", asked, RECEIVED, content).to_bytes())
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
    came = Answer.from_bytes(Answer("/2/users/42/tweets", {}, RECEIVED, content).to_bytes())
    assert ([each["id"] for each in came.posts], came.next_token, len(came.sent)) == (["1", "2"], "t", 2)
    assert came.content == content


def test_data_that_is_no_list_has_no_posts():
    assert Answer("/2", {}, RECEIVED, b'{"data":{"id":"1"}}').posts == []


@pytest.mark.parametrize(
    "content", [b"", b"<html></html>", b'{"data":', b"\xff\xfe\x00", DEEP[:200_000], b"[" + DEEP]
)
def test_what_is_no_json_is_a_value_error(content):
    with pytest.raises(ValueError):
        decoded(content)


def test_an_empty_answer_has_no_posts_no_token_and_no_complaint():
    empty = Answer("/2/users/42/tweets", {}, RECEIVED, b'{"meta":{"result_count":0}}')
    assert (empty.posts, empty.next_token, empty.unavailable) == ([], None, None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SUSPENDED, "Forbidden: User has been suspended: [42]."),
        (
            about("42", "Not Found Error", "Could not find user with id: [42]."),
            "Not Found Error: Could not find user with id: [42].",
        ),
        (
            about(
                "42",
                "Authorization Error",
                "Sorry, you are not authorized to see the user with id: [42].",
                section="data",
                type="https://api.x.com/2/problems/not-authorized-for-resource",
            ),
            "Authorization Error: Sorry, you are not authorized to see the user with id: [42].",
        ),
    ],
    ids=["suspended", "unknown", "protected"],
)
def test_an_account_is_unavailable_in_the_words_of_x(error, reason):
    assert answer(errors=[error]).unavailable == reason


@pytest.mark.parametrize(
    "parameter",
    [
        "referenced_tweets.id",
        "referenced_posts.id",
        "pinned_tweet_id",
        "in_reply_to_user_id",
        "entities.mentions.username",
        "attachments.media_keys",
    ],
)
def test_an_error_about_something_that_a_post_refers_to_is_none_of_the_account(parameter):
    error = about("7", "Not Found Error", f"Could not find it with {parameter}: [7].", parameter=parameter)
    assert answer(errors=[error]).unavailable is None
    assert answer(post(), errors=[error]).unavailable is None


@pytest.mark.parametrize("host", ["api.twitter.com", "api.x.com"])
@pytest.mark.parametrize("kind", ["resource-not-found", "not-authorized-for-resource"])
def test_an_error_that_names_no_parameter_is_about_the_account_if_its_type_is_one_of_two(host, kind):
    error = {"title": "Gone", "detail": "It is.", "type": f"https://{host}/2/problems/{kind}"}
    assert answer(errors=[error]).unavailable == "Gone: It is."


@pytest.mark.parametrize(
    "error",
    [
        {},
        {"title": "Service Unavailable", "detail": "Try again."},
        {"title": "Gone", "type": "about:blank"},
        {"title": "Gone", "type": "https://api.x.com/2/problems/operational-disconnect"},
        {"title": "Gone", "type": "https://api.x.com/2/problems/resource-not-found/else"},
    ],
    ids=["empty", "untyped", "blank", "another type", "only inside the type"],
)
def test_an_error_that_names_no_parameter_and_is_of_another_type_is_none_of_the_account(error):
    assert answer(errors=[error]).unavailable is None


@pytest.mark.parametrize(
    "kind", ["internal-error", "field-hydration-failure", "field-unauthorized", "not-authorized-for-field"]
)
def test_a_failure_of_x_is_no_missing_account_although_it_names_one(kind):
    error = about("42", "Failure", "Try again.", type=f"https://api.x.com/2/problems/{kind}")
    assert answer(errors=[error]).unavailable is None


def test_a_post_that_cannot_be_seen_is_no_missing_account():
    error = {"title": "Gone", "type": "https://api.x.com/2/problems/resource-unavailable"}
    assert answer(errors=[error | {"resource_type": "post"}]).unavailable is None
    assert answer(errors=[error | {"resource_type": "user"}]).unavailable == "Gone"


@pytest.mark.parametrize("errors", [["odd", None, 5, []], "odd", {"a": 1}, 5, None])
def test_what_is_no_error_object_among_the_errors_says_nothing(errors):
    odd = answer(errors=errors)
    assert (odd.unavailable, odd.failure, odd.unfilled) == (None, None, set())


@pytest.mark.parametrize("odd", [{"type": None}, {"type": 5, "parameter": ["id"]}, {"parameter": {}}])
def test_an_error_object_of_an_odd_form_says_nothing(odd):
    assert answer(errors=[odd]).unavailable is None


def test_the_fields_that_x_could_not_fill_are_named():
    error = {"type": "https://api.x.com/2/problems/field-hydration-failure", "field": "entities.urls"}
    assert answer(errors=[error]).unfilled == {"entities"}


def test_an_answer_with_neither_data_nor_meta_is_nothing():
    def nothing(content):
        return Answer("/2/users/42/tweets", {}, RECEIVED, content).is_nothing

    assert nothing(b"{}")
    assert nothing(b'{"errors":[{"title":"Service Unavailable"}]}')
    assert nothing(b'{"data":[]}')
    assert not nothing(b'{"meta":{"result_count":0}}')
    assert not nothing(b'{"data":[{"id":"1"}]}')


def test_an_account_with_posts_is_available_whatever_else_x_complains_of():
    assert answer(post(), errors=[SUSPENDED]).unavailable is None


def test_an_error_is_told_in_one_line():
    assert reason_of(SUSPENDED) == "Forbidden: User has been suspended: [42]."
    assert reason_of({}) == "X gives no reason"


def test_an_error_that_has_only_a_message_is_told_in_it():
    assert "User withheld in all countries" in reason_of({"message": "User withheld in all countries"})


def test_recorded_pages_are_read_back_as_they_came():
    pages = recorded_pages()
    for page in pages:
        content = json.dumps(page["body"], ensure_ascii=False).encode()
        read = Answer.from_bytes(Answer("/2", {}, RECEIVED, content).to_bytes())
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


@pytest.mark.parametrize(
    ("title", "kind", "id_not_found"),
    [
        ("Not Found Error", "resource-not-found", True),
        ("Forbidden", "resource-not-found", False),
        ("Authorization Error", "not-authorized-for-resource", False),
    ],
)
def test_only_an_account_that_x_does_not_find_by_its_id_is_lost(title, kind, id_not_found):
    error = about("42", title, "No.", type=f"https://api.x.com/2/problems/{kind}")
    assert answer(errors=[error]).id_not_found is id_not_found


def test_a_page_with_posts_is_of_no_lost_account():
    assert not answer(post(1), errors=[about("42", "Not Found Error", "No.")]).id_not_found


RETWEETED, REPLIED, QUOTED = ({"type": kind, "id": "7"} for kind in ("retweeted", "replied_to", "quoted"))


@pytest.mark.parametrize(
    ("sent", "unasked"),
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
def test_a_retweet_or_a_reply_is_told_by_its_references(sent, unasked):
    assert is_unasked(sent) == unasked


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
    assert Answer.from_bytes(packed(ENVELOPE)).content == b"{}"


@pytest.mark.parametrize("name", ENVELOPE)
@pytest.mark.parametrize("value", [None, 5, [], {}, "text"])
def test_a_stored_answer_whose_request_is_damaged_is_a_value_error_or_one_still(name, value):
    with suppress(ValueError):
        Answer.from_bytes(packed(ENVELOPE | {name: value}))
    with pytest.raises(ValueError, match=name if name not in ("body", "received_at") else None):
        Answer.from_bytes(packed({key: each for key, each in ENVELOPE.items() if key != name}))


def test_a_stored_answer_that_is_no_whole_gzip_file_is_a_value_error():
    whole = answer(post()).to_bytes()
    for data in (b"{}", whole[:2], whole[:-9], whole[:-1] + b"?", whole[:20] + b"?" + whole[21:]):
        with pytest.raises(ValueError, match="no whole gzip file"):
            Answer.from_bytes(data)
    for text in (b"", b"{}", b'{,"body":{}}', b'[1,{"a":1,"body":{}}]'):
        with pytest.raises(ValueError):
            Answer.from_bytes(gzip.compress(text))


def test_a_stored_answer_is_decompressed_only_up_to_its_limit(monkeypatch):
    monkeypatch.setattr(answer_module, "STORED_BYTES", 1000)
    bomb = gzip.compress(bytes(50_000_000), 1)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 1,000 bytes"):
            Answer.from_bytes(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_reason_of_x_is_one_short_and_safe_line():
    reason = reason_of({"title": "\x1b[2JGone\n", "detail": "A" * 20_000_000})
    assert reason.startswith("[U+001B][2JGone[U+000A]: AAA")
    assert len(reason) < 1000
