"""The tombstone of an erased post, and a response and a table without the post."""

import json
from datetime import UTC, datetime

import pytest

from include.twitter.day import Day
from include.twitter.records import Erasure, ErasureLog, Tombstone, encoded
from include.twitter.response import decode_json
from include.twitter.tombstones import Tombstones
from tests.include.factories import make_response, post
from tests.include.transform.refined import refined

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
MARK = {"id": "1990000000000000002", "at": "2026-11-22T12:00:00Z", "why": "requested"}


def forgotten(*numbers, account=None, days=(), why="requested"):
    ids = [post(number)["id"] for number in numbers]
    return Tombstones([Erasure(at=AT, why=why, posts=ids, account=account, days=[*days])])


def redacted_page(*posts, of=None, **more):
    page = make_response(*posts, **more)
    return json.loads((of or forgotten(2)).redact(page.content, page.kind))


def test_the_tombstone_of_a_post_has_ids_time_and_why_and_nothing_else():
    gone = post(2, text="Taken back", lang="en", edit_history_tweet_ids=["1990000000000000002"])
    assert redacted_page(post(1), gone)["data"] == [
        post(1),
        {
            "id": "1990000000000000002",
            "author_id": "42",
            "created_at": gone["created_at"],
            "edit_history_tweet_ids": ["1990000000000000002"],
            "forgotten": MARK,
        },
    ]


def test_a_page_without_a_forgotten_post_stays_the_same_bytes():
    page = make_response(post(1), post(3))
    assert forgotten(2).redact(page.content, "posts") is page.content


def test_what_is_beside_a_forgotten_post_stays_as_x_sent_it_byte_for_byte():
    sent = b'{"data": [ {"id":"1990000000000000001",  "text":"\\u00e9 a"}, {"id":"1990000000000000002"}]}'
    assert b'{"id":"1990000000000000001",  "text":"\\u00e9 a"}' in forgotten(2).redact(sent, "posts")


def test_half_an_emoji_beside_it_keeps_no_page_from_forgetting():
    data = redacted_page(post(1, text="half \ud83d"), post(2))["data"]
    assert data[0] == post(1, text="half \ud83d")
    assert data[1]["forgotten"] == MARK


@pytest.mark.parametrize("field", ["edit_history_tweet_ids", "edit_history_post_ids"])
def test_all_versions_of_an_edited_post_go_with_one(field):
    data = redacted_page(post(3, **{field: [post(2)["id"], post(3)["id"]]}))["data"]
    assert data[0]["forgotten"] == MARK


def test_a_retweet_of_it_goes_and_a_quote_of_it_stays():
    by = {"id": post(2)["id"]}
    retweet, quote = (post(7, referenced_tweets=[by | {"type": kind}]) for kind in ("retweeted", "quoted"))
    data = redacted_page(retweet, quote)["data"]
    assert data[0]["referenced_tweets"] == [{"type": "retweeted"}]
    assert "text" not in data[0]
    assert data[1] == quote


def test_an_included_post_goes_too():
    assert "text" not in redacted_page(post(1), includes={"tweets": [post(2)]})["includes"]["tweets"][0]


def test_of_a_forgotten_account_every_post_goes_and_its_profile():
    of = forgotten(account="42", why="account")
    assert ["text" in item for item in redacted_page(post(1), post(2, author_id="7"), of=of)["data"]] == [
        False,
        True,
    ]
    users = [
        {"id": "42", "name": "N. A. S. A.", "username": "NASA"},
        {"id": "7", "name": "E", "username": "esa"},
    ]
    redacted = redacted_page(*users, of=of, kind="users")["data"]
    mark = {"id": "42", "at": "2026-11-22T12:00:00Z", "why": "account"}
    assert redacted == [{"id": "42", "username": "NASA", "forgotten": mark}, users[1]]


def test_a_tombstone_is_not_replaced_by_another():
    once = forgotten(2).redact(make_response(post(2)).content, "posts")
    assert forgotten(2).redact(once, "posts") is once


@pytest.mark.parametrize("odd", [None, 5, "text", [], {"id": 5}, {"id": ["2"], "author_id": {}}])
def test_what_is_no_post_is_no_hindrance(odd):
    data = redacted_page(odd, post(2))["data"]
    assert data[0] == odd
    assert data[1]["forgotten"] == MARK


def test_without_an_object_nothing_is_erased_and_an_object_is_decoded():
    assert Tombstones.of(None).erasures == []
    erasures = forgotten(2, days=["2026-11-18"]).erasures
    assert Tombstones.of(encoded(ErasureLog(erasures=erasures))).erasures == erasures


def test_a_day_is_affected_by_erasures_that_name_it_and_are_new():
    stones = forgotten(2, days=["2026-11-18"])
    assert stones.affect(Day.parse("2026-11-18"), since=0)
    assert not stones.affect(Day.parse("2026-11-18"), since=1)
    assert not stones.affect(Day.parse("2026-11-19"), since=0)


# In the table


def fates(*posts, limit=0):
    """The ids of the rows, and what became of all posts: before and after their page is redacted alike."""
    stones, page = forgotten(2), make_response(*posts)
    after = make_response(*json.loads(stones.redact(page.content, "posts"))["data"])
    batches = [
        refined(responses=[source], limit=limit, erased=known)
        for source, known in ((page, stones), (after, stones), (after, Tombstones()))
    ]
    one, *others = [(batch.ids, batch.fates, batch.erased) for batch in batches]
    assert not any(batch.drift for batch in batches)
    assert others == [one, one]
    return one[:2]


@pytest.mark.parametrize(
    ("posts", "limit", "ids", "counts"),
    [
        ([post(1), post(2), post(3)], 0, ["01", "03"], {"published": 2, "erased": 1}),
        # no other post takes its place
        ([post(1), post(2), post(3)], 2, ["03"], {"published": 1, "over_limit": 1, "erased": 1}),
        # one that would be no row anyway is counted as what it was
        ([post(1), post(2), post(2)], 0, ["01"], {"published": 1, "duplicates": 1, "erased": 1}),
        (
            [post(1), post(2, referenced_tweets=[{"type": "retweeted", "id": "9"}])],
            0,
            ["01"],
            {"published": 1, "unrequested": 1},
        ),
        (
            [post(1), post(2, created_at="2026-11-19T00:00:00.000Z")],
            0,
            ["01"],
            {"published": 1, "outside": 1},
        ),
        # a rejected one is rejected no more
        *(
            ([post(1), post(2, **broken)], 0, ["01"], {"published": 1, "erased": 1})
            for broken in ({"created_at": "soon"}, {"created_at": None}, {"author_id": "7"})
        ),
    ],
)
def test_an_erased_post_is_no_row_and_is_counted_if_it_would_be_published_or_rejected(
    posts, limit, ids, counts
):
    assert fates(*posts, limit=limit) == (ids, {"fetched": len(posts)} | counts)


def test_the_receipt_gets_one_tombstone_of_an_account():
    batch = refined(post(1), post(2), erased=forgotten(1, 2, account="42", why="account"))
    assert batch.erased == {Tombstone("42", AT, "account")}
    assert batch.rows.empty


DEEP = "[" * 10_000 + "]" * 10_000


def test_a_post_is_forgotten_beside_one_that_is_nested_without_end():
    page = make_response(post(1, new="deep"), post(2, text="Taken back")).content.replace(
        b'"deep"', DEEP.encode()
    )
    redacted = decode_json(forgotten(2).redact(page, "posts"))["data"]
    assert (redacted[0]["text"], redacted[1]["forgotten"]) == ("Clear skies tonight", MARK)
    assert b"Taken back" not in forgotten(2).redact(page, "posts")


@pytest.mark.parametrize("odd", [5, {}, {"id": 5}, "x"])
def test_a_field_of_x_that_has_the_name_of_the_mark_is_no_tombstone(odd):
    assert Tombstones().of_post(post(1, forgotten=odd)) is None
    assert forgotten(1).of_post(post(1, forgotten=odd)).id == post(1)["id"]
