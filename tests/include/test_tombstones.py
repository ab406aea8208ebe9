"""What is left of a forgotten post, and what a page and a table are without it."""

import gzip
import json
from datetime import UTC, datetime

import pytest

from include.twitter.day import Day
from include.twitter.records import Erasure, ErasureLog, Tombstone, encoded
from include.twitter.response import decode_json
from include.twitter.tombstones import Tombstones
from include.twitter.transform import refine
from tests.include.factories import DAY, answer, post

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
MARK = {"id": "1990000000000000002", "at": "2026-11-22T12:00:00Z", "why": "requested"}


def forgotten(*numbers, account=None, days=(), why="requested"):
    ids = [post(number)["id"] for number in numbers]
    return Tombstones([Erasure(at=AT, why=why, posts=ids, account=account, days=[*days])])


def left(*posts, of=None, **more):
    page = answer(*posts, **more)
    return json.loads((of or forgotten(2)).redact(page.content, page.kind))


def test_the_tombstone_of_a_post_has_ids_time_and_why_and_nothing_else():
    gone = post(2, text="Taken back", lang="en", edit_history_tweet_ids=["1990000000000000002"])
    assert left(post(1), gone)["data"] == [
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
    page = answer(post(1), post(3))
    assert forgotten(2).redact(page.content, "posts") is page.content


def test_what_is_beside_a_forgotten_post_stays_as_x_sent_it_byte_for_byte():
    sent = b'{"data": [ {"id":"1990000000000000001",  "text":"\\u00e9 a"}, {"id":"1990000000000000002"}]}'
    assert b'{"id":"1990000000000000001",  "text":"\\u00e9 a"}' in forgotten(2).redact(sent, "posts")


def test_half_an_emoji_beside_it_keeps_no_page_from_forgetting():
    data = left(post(1, text="half \ud83d"), post(2))["data"]
    assert data[0] == post(1, text="half \ud83d")
    assert data[1]["forgotten"] == MARK


@pytest.mark.parametrize("field", ["edit_history_tweet_ids", "edit_history_post_ids"])
def test_all_versions_of_an_edited_post_go_with_one(field):
    data = left(post(3, **{field: [post(2)["id"], post(3)["id"]]}))["data"]
    assert data[0]["forgotten"] == MARK


def test_a_retweet_of_it_goes_and_a_quote_of_it_stays():
    by = {"id": post(2)["id"]}
    retweet, quote = (post(7, referenced_tweets=[by | {"type": kind}]) for kind in ("retweeted", "quoted"))
    data = left(retweet, quote)["data"]
    assert data[0]["referenced_tweets"] == [{"type": "retweeted"}]
    assert "text" not in data[0]
    assert data[1] == quote


def test_a_post_that_came_with_another_goes_too():
    assert "text" not in left(post(1), includes={"tweets": [post(2)]})["includes"]["tweets"][0]


def test_of_a_forgotten_account_every_post_goes_and_its_profile():
    of = forgotten(account="42", why="account")
    assert ["text" in each for each in left(post(1), post(2, author_id="7"), of=of)["data"]] == [False, True]
    users = [
        {"id": "42", "name": "N. A. S. A.", "username": "NASA"},
        {"id": "7", "name": "E", "username": "esa"},
    ]
    told = left(*users, of=of, kind="users")["data"]
    mark = {"id": "42", "at": "2026-11-22T12:00:00Z", "why": "account"}
    assert told == [{"id": "42", "username": "NASA", "forgotten": mark}, users[1]]


def test_a_tombstone_is_not_buried_again():
    once = forgotten(2).redact(answer(post(2)).content, "posts")
    assert forgotten(2).redact(once, "posts") is once


@pytest.mark.parametrize("odd", [None, 5, "text", [], {"id": 5}, {"id": ["2"], "author_id": {}}])
def test_what_is_no_post_is_no_hindrance(odd):
    data = left(odd, post(2))["data"]
    assert data[0] == odd
    assert data[1]["forgotten"] == MARK


def test_no_object_is_nothing_forgotten_and_one_is_read_back():
    assert Tombstones.of(None).erasures == []
    erasures = forgotten(2, days=["2026-11-18"]).erasures
    assert Tombstones.of(encoded(ErasureLog(erasures=erasures))).erasures == erasures


def test_a_day_is_concerned_by_acts_that_found_something_in_it_and_were_not_known():
    stones = forgotten(2, days=["2026-11-18"])
    assert stones.affect(Day.parse("2026-11-18"), since=0)
    assert not stones.affect(Day.parse("2026-11-18"), since=1)
    assert not stones.affect(Day.parse("2026-11-19"), since=0)


# In the table


def refined(*posts, of=None, limit=0, stones=None):
    """The ids of the rows, and what became of all posts; as they came, and as their pages are afterwards."""
    told = []
    stones = stones or forgotten(2)
    page = answer(*posts)
    after = answer(*json.loads(stones.redact(page.content, "posts"))["data"])
    for source, known in ((page, stones), (after, stones), (after, Tombstones())):
        (batch,) = refine.refine_accounts(
            [refine.AccountPages("NASA", "42", [source])], day=DAY, limit=limit, erased=known
        )
        counts = {name: number for name, number in batch.counts_by_account[0].counts.items() if number}
        ids = [int(id_[-2:]) for id_ in batch.rows["tweet_id"]]
        told.append((ids, len(batch.rejected), counts, batch.counts_by_account[0].erased))
    assert told[0] == told[1] == told[2]
    return told[0][:3]


def test_a_forgotten_post_is_no_row_and_is_counted():
    assert refined(post(1), post(2), post(3)) == ([1, 3], 0, {"fetched": 3, "published": 2, "erased": 1})


def test_no_other_post_takes_its_place_under_the_limit():
    assert refined(post(1), post(2), post(3), limit=2) == (
        [3], 0, {"fetched": 3, "published": 1, "over_limit": 1, "erased": 1},
    )  # fmt: skip


def test_one_that_would_be_no_row_anyway_is_counted_as_what_it_was():
    twice = [post(1), post(2), post(2)]
    assert refined(*twice) == ([1], 0, {"fetched": 3, "published": 1, "duplicates": 1, "erased": 1})
    retweet = post(2, referenced_tweets=[{"type": "retweeted", "id": "9"}])
    assert refined(post(1), retweet) == ([1], 0, {"fetched": 2, "published": 1, "unrequested": 1})
    late = post(2, created_at="2026-11-19T00:00:00.000Z")
    assert refined(post(1), late) == ([1], 0, {"fetched": 2, "published": 1, "outside": 1})


@pytest.mark.parametrize("broken", [{"created_at": "soon"}, {"created_at": None}, {"author_id": "7"}])
def test_one_that_broke_the_contract_is_rejected_no_more(broken):
    assert refined(post(1), post(2, **broken)) == ([1], 0, {"fetched": 2, "published": 1, "erased": 1})


def test_the_receipt_gets_one_tombstone_of_an_account():
    stones = forgotten(1, 2, account="42", why="account")
    (batch,) = refine.refine_accounts(
        [refine.AccountPages("NASA", "42", [answer(post(1), post(2))])], day=DAY, limit=0, erased=stones
    )
    assert batch.counts_by_account[0].erased == {Tombstone("42", AT, "account")}
    assert batch.rows.empty


def test_an_answer_that_is_kept_holds_the_tombstone():
    page = answer(post(2, text="Taken back"))
    kept = gzip.decompress(page.to_bytes())
    assert b"Taken back" in kept
    assert b"Taken back" not in forgotten(2).redact(page.content, "posts")


DEEP = "[" * 200_000 + "]" * 200_000


def test_a_post_is_forgotten_beside_one_that_is_nested_without_end():
    page = answer(post(1, new="deep"), post(2, text="Taken back")).content.replace(b'"deep"', DEEP.encode())
    kept = decode_json(forgotten(2).redact(page, "posts"))["data"]
    assert (kept[0]["text"], kept[1]["forgotten"]) == ("Clear skies tonight", MARK)
    assert b"Taken back" not in forgotten(2).redact(page, "posts")


@pytest.mark.parametrize("odd", [5, {}, {"id": 5}, "x"])
def test_a_field_of_x_that_has_the_name_of_the_mark_is_no_tombstone(odd):
    assert Tombstones().of_post(post(1, forgotten=odd)) is None
    assert forgotten(1).of_post(post(1, forgotten=odd)).id == post(1)["id"]
