"""The status of each post in a response; the errors are recorded ones of X, except for suspended authors."""

import json

import pytest

from include.twitter.response import Response
from include.twitter.safe_text import UNSAFE
from include.twitter_features.snapshots.post_status import post_statuses
from tests.include.factories import METRICS, POST_WORDS, RECEIVED, post

PROBLEMS = "https://api.twitter.com/2/problems/"
COUNTS = (1, 2, 3, 4, 5, 6)
NONE = (None,) * 6


def statuses(*posts, errors=(), missing=()):
    """The statuses by a response to a request of these posts and the missing ones."""
    ids = [*(sent["id"] for sent in posts), *missing]
    body = {"data": [*posts]} | ({"errors": [*errors]} if errors else {})
    response = Response("/2/tweets", {"ids": ",".join(ids)}, RECEIVED, json.dumps(body).encode())
    return {status.tweet_id: status for status in post_statuses(response)}


def status_of(given):
    (status,) = statuses(given).values()
    return status.state, status.reason, status.counts


def error(id_, title, kind, detail):
    about = {"value": id_, "resource_id": id_, "resource_type": "tweet", "parameter": "ids"}
    return about | {"title": title, "type": PROBLEMS + kind, "detail": detail}


UNMEASURED = {"created_at": "2020-01-01T00:00:00.000Z", "public_metrics": dict.fromkeys(METRICS, 0)}


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"public_metrics": METRICS}, COUNTS),
        ({"public_metrics": METRICS | {"like_count": "many"}}, (None, *COUNTS[1:])),
        (UNMEASURED, (0, 0, 0, 0, None, None)),
    ],
)
def test_a_post_that_x_shows_has_its_counts_and_unmeasured_ones_are_missing(changes, counts):
    assert status_of(post(**changes)) == ("there", "", counts)


@pytest.mark.parametrize("word", ["edit_history_tweet_ids", POST_WORDS["edit_history_tweet_ids"]])
def test_a_post_with_a_later_version_is_edited_and_the_last_version_is_not(word):
    first, last = post(id="999", edit_history_tweet_ids=None), post(id="1000", edit_history_tweet_ids=None)
    history = {word: ["999", "1000"]}
    assert status_of(first | history)[:2] == ("edited", "1000 is a later version")
    assert status_of(last | history)[:2] == ("there", "")


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"withheld": {"country_codes": ["DE", "FR"]}}, "withheld", "withheld in DE, FR"),
        ({"withheld": {"copyright": True}}, "withheld", "withheld"),
        ({"withheld": {"country_codes": 5}}, "withheld", "withheld"),
        ({"withheld": "odd"}, "withheld", "withheld"),
        ({"edit_history_tweet_ids": 5}, "there", ""),
        ({"edit_history_tweet_ids": {"a": 1}}, "there", ""),
    ],
)
def test_a_post_that_x_sends_keeps_its_counts_whatever_its_state(changes, state, reason):
    assert status_of(post(**changes)) == (state, reason, COUNTS)


@pytest.mark.parametrize(
    ("title", "kind", "detail", "state"),
    [
        ("Not Found Error", "resource-not-found", "Could not find tweet with ids: [7].", "gone"),
        ("Forbidden", "resource-not-found", "User has been suspended: [7].", "suspended"),
        ("Authorization Error", "not-authorized-for-resource", "You are not authorized.", "protected"),
        ("Resource Unavailable", "resource-unavailable", "It is withheld.", "withheld"),
        ("Disallowed Resource", "disallowed-resource", "It is withheld.", "withheld"),
        ("Something New", "never-heard-of", "It is away.", "unanswered"),
        ("Usage Capped", "usage-capped", "Not this month.", "unanswered"),
    ],
)
def test_a_post_that_x_does_not_send_has_the_reason_of_x_and_no_counts(title, kind, detail, state):
    status = statuses(post(), errors=[error("7", title, kind, detail)], missing=["7"])["7"]
    assert (status.state, status.reason, status.counts) == (state, f"{title}: {detail}", NONE)


def test_every_requested_post_has_a_status_and_one_without_an_error_is_unanswered_and_not_gone():
    gone = error("8", "Not Found Error", "resource-not-found", "Could not find tweet with ids: [8].")
    posts = [post(number) for number in (3, 1, 2)]
    by_id = statuses(*posts, errors=[gone], missing=["7", "8"])
    assert [*by_id] == [*(sent["id"] for sent in posts), "7", "8"]
    assert [status.state for status in by_id.values()] == ["there"] * 3 + ["unanswered", "gone"]
    assert by_id["7"].reason == "X sent neither the post nor an error"


def test_a_reason_with_words_of_x_is_short_and_safe():
    evil = "\x1b[2J\n" + "A" * 1000
    posts = [post(1, withheld={"country_codes": [evil]}), post(2, edit_history_tweet_ids=["2", evil])]
    refused = error("7", evil, "resource-not-found", evil)
    for status in statuses(*posts, errors=[refused], missing=["7"]).values():
        assert "[U+001B][2J" in status.reason
        assert len(status.reason) < 700
        assert not UNSAFE.search(status.reason)
