"""What an answer tells of each post: X's words for what is gone are recorded, but for suspended authors."""

import json

import pytest

from include.twitter.answer import Answer
from include.twitter.engagement.seen import SILENCE, seen
from include.twitter.safe_text import UNSAFE
from tests.include.invented import METRICS, POST_WORDS, RECEIVED, post

PROBLEMS = "https://api.twitter.com/2/problems/"
COUNTS = (1, 2, 3, 4, 5, 6)


def told(*posts, errors=(), asked=()):
    ids = [*(each["id"] for each in posts), *asked]
    body = {"data": [*posts]} | ({"errors": [*errors]} if errors else {})
    found = seen(Answer("/2/tweets", {"ids": ",".join(ids)}, RECEIVED, json.dumps(body).encode()))
    return {each.tweet_id: each for each in found}


def one(given):
    (found,) = told(given).values()
    return found.state, found.reason, found.counts


def error(id_, title, kind, detail):
    about = {"value": id_, "resource_id": id_, "resource_type": "tweet", "parameter": "ids"}
    return about | {"title": title, "type": PROBLEMS + kind, "detail": detail}


def test_a_post_that_is_there_has_its_counts_in_the_order_of_the_table():
    assert one(post(public_metrics=METRICS)) == ("there", "", COUNTS)
    (found,) = told(post()).values()
    assert found.captured_at == RECEIVED


def test_counts_are_read_in_both_of_xs_vocabularies():
    renamed = {name: count for name, count in METRICS.items() if name != "retweet_count"}
    assert one(post(public_metrics=renamed | {"repost_count": 2}))[2] == COUNTS


@pytest.mark.parametrize("odd", [None, "many", -1, 1.5, 2**63])
def test_a_count_that_is_none_is_missing_and_not_0(odd):
    assert one(post(public_metrics=METRICS | {"like_count": odd}))[2] == (None, 2, 3, 4, 5, 6)


def test_a_post_that_cannot_be_read_is_there_without_counts():
    assert one(post(created_at=None)) == ("there", "", (None,) * 6)


@pytest.mark.parametrize("word", ["edit_history_tweet_ids", POST_WORDS["edit_history_tweet_ids"]])
def test_a_post_with_a_later_version_is_edited_and_the_last_version_is_not(word):
    first, last = post(1, edit_history_tweet_ids=None), post(2, edit_history_tweet_ids=None)
    history = {word: [first["id"], last["id"]]}
    assert one(first | history)[:2] == ("edited", f"{last['id']} is a later version")
    assert one(last | history)[:2] == ("there", "")


def test_a_later_version_may_have_one_digit_more():
    assert one(post(id="999", edit_history_tweet_ids=["999", "1000"]))[0] == "edited"


def test_a_post_that_is_withheld_says_where_and_keeps_its_counts():
    withheld = {"copyright": False, "country_codes": ["DE", "FR"]}
    assert one(post(withheld=withheld)) == ("withheld", "withheld in DE, FR", COUNTS)
    assert one(post(withheld={"copyright": True}))[:2] == ("withheld", "withheld")


@pytest.mark.parametrize(
    ("title", "kind", "detail", "state"),
    [
        ("Not Found Error", "resource-not-found", "Could not find tweet with ids: [7].", "gone"),
        ("Forbidden", "resource-not-found", "User has been suspended: [7].", "suspended"),
        (
            "Authorization Error",
            "not-authorized-for-resource",
            "Sorry, you are not authorized to see the Tweet with ids: [7].",
            "protected",
        ),
        ("Resource Unavailable", "resource-unavailable", "It is withheld.", "withheld"),
        ("Disallowed Resource", "disallowed-resource", "It is withheld.", "withheld"),
        ("Something New", "never-heard-of", "It is away.", "unanswered"),
        ("Usage Capped", "usage-capped", "Not this month.", "unanswered"),
        ("Nothing", "", "", "unanswered"),
    ],
)
def test_a_post_that_is_not_given_has_xs_reason_and_no_counts(title, kind, detail, state):
    there, gone = post(), error("7", title, kind, detail)
    found = told(there, errors=[gone], asked=["7"])["7"]
    said = f"{title}: {detail}" if detail else title
    assert (found.state, found.reason, found.counts) == (state, said, (None,) * 6)


def test_a_post_of_which_x_says_nothing_is_unanswered_and_not_gone():
    found = told(post(), asked=["7"])["7"]
    assert (found.state, found.reason) == ("unanswered", SILENCE)


def test_an_error_about_another_post_leaves_this_one_unanswered():
    away = error("8", "Not Found Error", "resource-not-found", "Could not find tweet with ids: [8].")
    found = told(errors=[away], asked=["7", "8"])
    assert {id_: each.state for id_, each in found.items()} == {"7": "unanswered", "8": "gone"}


def test_every_post_that_was_asked_for_is_seen_in_its_order():
    given = [post(number) for number in (3, 1, 2)]
    assert [*told(*given, asked=["7"])] == [*(each["id"] for each in given), "7"]


def test_what_x_writes_into_a_reason_is_short_and_safe():
    evil = "\x1b[2J\n" + "A" * 1000
    given = [post(1, withheld={"country_codes": [evil]}), post(2, edit_history_tweet_ids=["2", evil])]
    refused = error("7", evil, "resource-not-found", evil)
    for found in told(*given, errors=[refused], asked=["7"]).values():
        assert "[U+001B][2J" in found.reason
        assert len(found.reason) < 700
        assert not UNSAFE.search(found.reason)


def test_a_zero_that_x_never_measured_is_no_count():
    old = post(created_at="2020-01-01T00:00:00.000Z", public_metrics=dict.fromkeys(METRICS, 0))
    assert one(old)[2] == (0, 0, 0, 0, None, None)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"edit_history_tweet_ids": 5}, "there"),
        ({"edit_history_tweet_ids": {"a": 1}}, "there"),
        ({"withheld": {"country_codes": 5}}, "withheld"),
        ({"withheld": "odd"}, "withheld"),
    ],
)
def test_a_field_of_an_odd_form_costs_itself_alone(changes, state):
    assert one(post(**changes))[0] == state
