"""Raw answers → the refined rows of an account, and of several in a batch."""

import gzip
import json
import re
from datetime import timedelta

import pandas as pd
import pytest

from include.twitter.response import Response
from include.twitter.transform import contract, refine
from include.twitter.transform.files import Partition
from tests.include.factories import (
    DAY,
    METRICS,
    RECEIVED,
    account,
    answer,
    in_post_words,
    link,
    post,
)
from tests.include.recorded import recorded_pages


def refined(*posts, answers=None, limit=0, day=DAY, author_id="42"):
    pages = answers if answers is not None else [answer(*posts)]
    return account(pages, username="ObservatoryHill", author_id=author_id, day=day, limit=limit)


def row(**changes):
    """The one row of one post."""
    rows = refined(post(**changes)).rows
    assert len(rows) == 1
    return rows.iloc[0]


def ids(came):
    return [id_[-2:] for id_ in came.rows["tweet_id"]]


def test_a_post_becomes_a_row():
    assert row().to_dict() == {
        "tweet_id": "1990000000000000001",
        "created_at": pd.Timestamp("2026-11-18T09:01:00Z"),
        "username": "ObservatoryHill",
        "text": "Clear skies tonight",
        "likes": 1,
        "retweets": 2,
        "replies": 3,
        "quotes": 4,
        "bookmarks": 5,
        "impressions": 6,
        "lang": "en",
        "is_quote": False,
        "hashtags": [],
        "mentions": [],
        "cashtags": [],
        "urls": [],
        "url": "https://x.com/ObservatoryHill/status/1990000000000000001",
        "author_id": "42",
        "conversation_id": "1990000000000000001",
        "original_tweet_id": "1990000000000000001",
        "is_edited": False,
        "possibly_sensitive": False,
        "captured_at": pd.Timestamp("2026-11-19T01:30:07Z"),
    }


# Text


def test_a_long_post_without_entities_of_its_own_has_those_of_the_cut_form_that_stand_in_it():
    own = "https://x.com/i/web/status/1990000000000000001"
    came = refined(
        post(
            text="#Open https://t.co/aaa … https://t.co/own",
            entities={
                "hashtags": [{"start": 0, "end": 5, "tag": "Open"}, {"start": 0, "end": 4, "tag": "cut"}],
                "urls": [
                    {"start": 6, "end": 22, "url": "https://t.co/aaa", "expanded_url": "https://a.example"},
                    {"start": 25, "end": 41, "url": "https://t.co/own", "expanded_url": own},
                ],
            },
            note_tweet={"text": "#Open https://t.co/aaa and more"},
        )
    )
    assert came.rows[["text", "hashtags", "urls"]].values.tolist() == [
        ["#Open https://a.example and more", ["Open"], ["https://a.example"]]
    ]
    assert came.warnings == []


@pytest.mark.parametrize(
    ("expanded", "unwound", "status", "kept"),
    [
        ("https://bit.ly/3yW1m4H", "https://sky.example/a", 200, "https://sky.example/a"),
        ("http://www.OW.LY/x", "https://sky.example/a", 200, "https://sky.example/a"),
        ("https://bit.ly/3yW1m4H", "https://sky.example/forbidden", 403, "https://bit.ly/3yW1m4H"),
        ("https://bit.ly/3yW1m4H", "https://sky.example/a", None, "https://bit.ly/3yW1m4H"),
        ("http://wa.me/001555000000", "https://api.whatsapp.com/", None, "http://wa.me/001555000000"),
        ("http://m.me/Dome", "https://www.messenger.com/login.php?next=x", 200, "http://m.me/Dome"),
        ("https://sky.example/a", "https://consent.example/?continue=x", 200, "https://sky.example/a"),
        ("https://bit.ly.example/a", "https://sky.example/a", 200, "https://bit.ly.example/a"),
    ],
)
def test_an_unwound_link_is_kept_only_where_a_shortener_was_found_to_lead_there(
    expanded, unwound, status, kept
):
    text = "https://t.co/aaa"
    entity = link(text, text, expanded_url=expanded, unwound_url=unwound, status=status)
    came = row(text=text, entities={"urls": [entity]})
    assert (came["text"], came["urls"]) == (kept, [kept])


OWN = "status/1990000000000000001"
QUOTE = "https://twitter.com/other/status/5"


@pytest.mark.parametrize("picture", [
    {"expanded_url": f"https://twitter.com/acme/{OWN}/photo/1"},
    {"expanded_url": f"https://x.com/acme/{OWN}/video/1"},
    {"expanded_url": f"http://www.x.com/i/web/{OWN}/photo/4"},
    {"expanded_url": "https://x.com/acme/status/1989999999999999999/photo/1"},
    {"expanded_url": "https://x.com/other/status/7/video/1", "media_key": "7_1"},
])  # fmt: skip
@pytest.mark.parametrize(
    ("text", "read", "urls"),
    [
        ("Words https://t.co/pic https://t.co/quo", f"Words {QUOTE}", [QUOTE]),
        ("Words https://t.co/quo https://t.co/pic", f"Words {QUOTE}", [QUOTE]),
        ("Words\n\nhttps://t.co/pic\nhttps://t.co/quo &lt;3 ", f"Words\n{QUOTE} <3 ", [QUOTE]),
        ("https://t.co/pic was yesterday", "was yesterday", []),
        ("https://t.co/pic \n", "", []),
    ],
)
def test_a_picture_is_known_by_its_key_or_its_link_and_taken_out_wherever_it_stands(
    picture, text, read, urls
):
    quote = [link(text, "https://t.co/quo", expanded_url=QUOTE)] if "quo" in text else []
    came = refined(
        post(
            text=text,
            entities={"urls": [*quote, link(text, "https://t.co/pic", **picture)]},
            edit_history_tweet_ids=["1989999999999999999", "1990000000000000001"],
        )
    )
    assert came.rows[["text", "urls"]].values.tolist() == [[read, urls]]
    assert came.warnings == []


LOST = "its links are not all whole: X does not say where one stands, or where it leads"


def at(start, url="https://t.co/aaa", expanded="https://a.example"):
    return {"start": start, "end": start + 16, "url": url, "expanded_url": expanded}


TWICE, BOTH = "https://t.co/aaa, https://t.co/aaa", "https://t.co/bbb https://t.co/aaa"
LONGER = "https://t.co/aaa/b https://t.co/aaa9"


@pytest.mark.parametrize(
    ("text", "links", "read"),
    [
        ("Odd https://t.co/aaa", [at(0)], "Odd https://a.example"),
        ("👩\u200d🚀 https://t.co/aaa", [at(6)], "👩\u200d🚀 https://a.example"),
        ("Odd https://t.co/aaa", [at(4, url=None)], "Odd https://a.example"),
        (TWICE, [at(0), at(0)], "https://a.example, https://a.example"),
        (TWICE, [at(18)], "https://a.example, https://a.example"),
        (
            BOTH,
            [at(0), at(17, "https://t.co/bbb", "https://b.example")],
            "https://b.example https://a.example",
        ),
        (
            LONGER,
            [at(9), at(1, "https://t.co/aaa9", "https://c.example")],
            "https://a.example/b https://c.example",
        ),
    ],
)
def test_a_link_whose_place_x_miscounts_is_found_by_its_own_text(text, links, read):
    came = refined(post(text=text, entities={"urls": links}))
    (one,) = came.rows.to_dict("records")
    assert one["text"] == read
    assert one["urls"] == re.findall(r"https://\w\.example", read)
    assert came.warnings == []


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("Nowhere", [at(0)]),
        ("Nowhere", [{"start": 0, "end": 7, "expanded_url": "https://a.example"}]),
        ("Of whom https://t.co/ccc", []),
        ("Of whom https://t.co/ccc and https://t.co/aaa", [at(29)]),
        ("Where to https://t.co/aaa", [at(9, expanded=None)]),
        ("Longer https://t.co/aaab", [at(0)]),
        ("To itself https://t.co/aaa", [at(10, expanded="https://t.co/aaa")]),
    ],
)
def test_a_link_that_cannot_be_placed_or_leads_nowhere_raises_the_alarm(text, links):
    came = refined(post(text=text, entities={"urls": links}))
    (one,) = came.rows.to_dict("records")
    assert one["text"] == text.replace("and https://t.co/aaa", "and https://a.example")
    assert came.warnings == [f"1990000000000000001: {LOST}"]


# What kind of post it is


@pytest.mark.parametrize(
    ("references", "is_quote"),
    [
        (None, False),
        ([{"type": "quoted", "id": "7"}], True),
        ([{"type": "mentioned", "id": "7"}], False),
        ([{"type": "mentioned", "id": "7"}, {"type": "quoted", "id": "8"}], True),
    ],
)
def test_a_quote_is_told_by_its_references_only(references, is_quote):
    assert row(referenced_tweets=references)["is_quote"] == is_quote


def test_an_edited_post_is_one_row_with_its_latest_version():
    versions = ["1990000000000000001", "1990000000000000002"]
    came = refined(
        post(2, text="mended", edit_history_tweet_ids=versions),
        post(1, text="typo", edit_history_tweet_ids=versions),
    )
    assert came.rows[["tweet_id", "text", "original_tweet_id", "is_edited"]].values.tolist() == [
        ["1990000000000000002", "mended", "1990000000000000001", True]
    ]
    assert came.counts["duplicates"] == 1


def test_the_first_version_of_a_post_that_was_edited_on_the_next_day_is_marked_and_so_is_the_later_one():
    # X names every version, also to those who read the first one (seen on the wire, October 2022).
    versions = ["1990000000000000001", "1990000000000000099"]
    edited_later = post(99, created_at="2026-11-19T00:04:00.000Z", edit_history_tweet_ids=versions)
    came = refined(edited_later, post(1, edit_history_tweet_ids=versions))
    assert came.rows[["tweet_id", "original_tweet_id", "is_edited"]].values.tolist() == [
        ["1990000000000000001", "1990000000000000001", True]
    ]
    assert came.counts["outside"] == 1
    (batch,) = refine.refine_accounts(
        [refine.AccountPages("ObservatoryHill", "42", [answer(edited_later)])], day=DAY.plus(1), limit=0
    )
    assert batch.rows[["tweet_id", "original_tweet_id", "is_edited"]].values.tolist() == [
        ["1990000000000000099", "1990000000000000001", True]
    ]


def test_a_post_that_comes_twice_is_one_row_as_it_was_read_last():
    later = RECEIVED + timedelta(minutes=5)
    came = refined(
        answers=[
            answer(post(public_metrics=METRICS | {"like_count": 1})),
            answer(post(public_metrics=METRICS | {"like_count": 9}), received_at=later),
        ]
    )
    assert came.rows[["likes", "captured_at"]].values.tolist() == [[9, pd.Timestamp("2026-11-19T01:35:07Z")]]
    assert (came.counts["fetched"], came.counts["published"], came.counts["duplicates"]) == (2, 1, 1)


# What is no row


NEEDED = ("id", "text", "created_at", "author_id")
KINDS = {"int": 5, "float": 1.5, "bool": True, "array": [], "object": {}}
NO_TIMES = ["", "yesterday", "now", "2026", "2026-11-18", "2026-11-18T09:00:00", "2026-11-18T25:00:00.000Z"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *(({name: None}, f"{name}: is missing") for name in NEEDED),
        *(({name: KINDS[kind]}, f"{name}: expected str, got {kind}") for name in NEEDED for kind in KINDS),
        ({"id": "", "edit_history_tweet_ids": []}, "tweet_id: is no id"),
        ({"id": "abc"}, "tweet_id: is no id"),
        *(({"created_at": text}, "created_at: is no time") for text in NO_TIMES),
        ({"author_id": "43"}, "author_id: is another author's, not the account's own"),
    ],
)
def test_a_post_that_breaks_the_contract_is_rejected_with_the_reason(changes, reason):
    broken = post(2, **changes)
    came = refined(post(1), broken, post(3))
    assert ids(came) == ["01", "03"]
    assert came.rejected == [{"username": "ObservatoryHill", "reason": reason, "post": broken}]


@pytest.mark.parametrize(("thing", "kind"), [(None, "null"), (5, "int"), ("text", "str"), ([], "array")])
def test_what_is_no_post_at_all_is_rejected(thing, kind):
    came = refined(post(1), thing)
    assert came.rejected == [
        {"username": "ObservatoryHill", "reason": f"post: expected object, got {kind}", "post": thing}
    ]


# The day


@pytest.mark.parametrize(
    ("created_at", "inside"),
    [
        ("2026-11-17T23:59:59.000Z", False),
        ("2026-11-18T00:00:00.000Z", True),
        ("2026-11-18T23:59:59.000Z", True),
        ("2026-11-18T23:59:59.999Z", True),
        ("2026-11-19T00:00:00.000Z", False),
        ("2026-11-19T00:30:00+01:00", True),
        ("9999-12-31T23:59:59.000Z", False),
        ("0001-01-01T00:00:00.000Z", False),
    ],
)
def test_only_posts_of_the_day_are_published(created_at, inside):
    came = refined(post(created_at=created_at))
    assert (came.counts["published"], came.counts["outside"]) == ((1, 0) if inside else (0, 1))


def test_fetched_is_published_and_rejected_and_duplicates_and_outside_and_over_the_limit():
    came = refined(
        post(1),
        post(1),
        post(2, text=None),
        post(3, created_at="2026-11-19T00:00:00.000Z"),
        post(4, author_id="43"),
        post(5, created_at="yesterday"),
        post(6),
        post(7),
        None,
        limit=2,
    )
    assert dict(came.counts) == {
        "fetched": 9,
        "published": 2,
        "rejected": 4,
        "duplicates": 1,
        "outside": 1,
        "over_limit": 1,
    }
    # A rejected post takes no place of a good one.
    assert ids(came) == ["06", "07"]


def test_a_rejected_post_that_came_twice_is_one_rejected_and_one_duplicate():
    malformed, late = post(1, text=None), post(2, created_at="yesterday")
    came = refined(malformed, late, post(3), malformed, late, post(3))
    assert [item["post"] for item in came.rejected] == [malformed, late]
    assert came.post_counts.reasons == {"text: is missing": 1, "created_at: is no time": 1}
    assert {name: number for name, number in came.counts.items() if number} == {
        "fetched": 6,
        "published": 1,
        "rejected": 2,
        "duplicates": 3,
    }


def test_rejects_without_an_id_are_each_one_of_their_own():
    came = refined(None, None, post(1, id=None), post(2, id=None), {"id": 5}, {"id": 5})
    assert (came.counts["rejected"], came.counts["duplicates"]) == (6, 0)


def test_a_bad_version_of_an_edit_takes_no_good_one_with_it():
    bad = post(2, edit_history_tweet_ids=[post(1)["id"], post(2)["id"]], author_id="43")
    came = refined(post(1), bad)
    assert ids(came) == ["01"]
    assert [r["reason"] for r in came.rejected] == ["author_id: is another author's, not the account's own"]


def test_an_account_without_an_id_publishes_nothing():
    (rejected,) = refined(post(1), author_id=None).rejected
    assert rejected["reason"] == "author_id: is another author's, not the account's own"


# What is not asked for


@pytest.mark.parametrize("words", [dict, in_post_words])
def test_retweets_and_replies_that_came_all_the_same_are_counted_and_not_published(words):
    retweeted, replied = ([{"type": kind, "id": "7"}] for kind in ("retweeted", "replied_to"))
    came = refined(
        *map(
            words,
            [
                post(6, referenced_tweets=replied, in_reply_to_user_id="77"),
                post(5, referenced_tweets=replied, in_reply_to_user_id="42"),
                post(4, text="RT @esa: look", referenced_tweets=retweeted, author_id="43"),
                post(3, referenced_tweets=[*replied, {"type": "quoted", "id": "8"}]),
                post(2, in_reply_to_user_id="77"),
                post(1, text="RT @esa: by hand"),
            ],
        ),
        limit=2,
    )
    assert ids(came) == ["01", "02"]
    assert {name: number for name, number in came.counts.items() if number} == {
        "fetched": 6,
        "published": 2,
        "unrequested": 4,
    }
    assert came.rejected == []


# What X itself sent


def of_the_day(tweet):
    """The same post by the account and on the day of these tests, where it has an author and a time."""
    own = {"author_id": "42"} if "author_id" in tweet else {}
    moved = {"created_at": f"2026-11-18{tweet['created_at'][10:]}"} if "created_at" in tweet else {}
    return tweet | own | moved


def test_recorded_timelines_are_refined_without_a_rejection():
    timelines = [
        page["body"]["data"]
        for page in recorded_pages()
        if isinstance(page["body"].get("data"), list) and "author_id" in page["body"]["data"][0]
    ]
    came = refined(answers=[answer(*map(of_the_day, posts)) for posts in timelines])
    assert came.rejected == []
    assert came.counts["fetched"] == 368
    assert came.counts["published"] + came.counts["duplicates"] + came.counts["unrequested"] == 368
    contract.arrow_table(came.rows).validate(full=True)


# Several accounts


def test_an_account_may_have_a_limit_of_its_own():
    sources = [
        refine.AccountPages(
            name, author, [answer(*(post(n, author_id=author) for n in (4, 3, 2, 1)))], limit=own
        )
        for name, author, own in (("a", "7", None), ("b", "8", 1), ("c", "9", 0))
    ]
    (batch,) = refine.refine_accounts(sources, day=DAY, limit=2)
    assert [post_counts.counts["published"] for post_counts in batch.counts_by_account] == [2, 1, 4]
    assert [post_counts.counts["over_limit"] for post_counts in batch.counts_by_account] == [2, 3, 0]
    assert list(batch.rows["username"]) == ["a"] * 2 + ["b"] + ["c"] * 4


def refine_accounts(*accounts, limit=0):
    sources = [refine.AccountPages(name, author, [answer(*posts)]) for name, author, posts in accounts]
    return list(refine.refine_accounts(sources, day=DAY, limit=limit))


def test_the_accounts_of_a_batch_keep_their_order_and_the_limit_is_that_of_each():
    own = [post(n, author_id="7") for n in (4, 5, 6)]
    (batch,) = refine_accounts(
        ("b", "42", [post(2), post(3), post(1)]), ("none", "1", []), ("a", "7", own), limit=2
    )
    assert batch.rows[["username", "tweet_id"]].values.tolist() == [
        ["b", "1990000000000000002"],
        ["b", "1990000000000000003"],
        ["a", "1990000000000000005"],
        ["a", "1990000000000000006"],
    ]
    assert [
        (t.username, t.counts["published"], t.counts["over_limit"], t.first) for t in batch.counts_by_account
    ] == [
        ("b", 2, 1, "2026-11-18T09:02:00Z"),
        ("none", 0, 0, None),
        ("a", 2, 1, "2026-11-18T09:05:00Z"),
    ]


@pytest.mark.parametrize(("first", "sizes"), [(4_999, [5_000]), (5_000, [5_000, 1])])
def test_a_batch_is_closed_after_the_account_that_fills_it(first, sizes):
    accounts = [("a", "42", [post(1)] * first), ("b", "7", [post(2, author_id="7")])]
    assert [
        sum(post_counts.counts["fetched"] for post_counts in batch.counts_by_account)
        for batch in refine_accounts(*accounts)
    ] == sizes


def test_fields_that_nobody_knows_are_counted_and_lose_nothing():
    new = {"views": 1, "public_metrics": METRICS | {"view_count": 1}}
    came = refined(post(1, **new), post(2, views=2), post(3))
    assert ids(came) == ["01", "02", "03"]
    assert dict(came.post_counts.drift) == {"views": 2, "public_metrics.view_count": 1}


# X's own links, and where links lead


SELF = "19900000000000000"


@pytest.mark.parametrize(
    "address",
    [
        f"https://twitter.com/i/web/status/{SELF}02",
        f"https://x.com/i/web/status/{SELF}02",
        f"http://mobile.twitter.com/i/web/status/{SELF}02/",
        f"https://x.com/ObservatoryHill/status/{SELF}02",
        f"https://x.com/i/web/status/{SELF}01",
    ],
)
def test_a_link_of_x_from_a_post_to_itself_is_taken_out(address):
    text = "hey :) https://t.co/own"
    urls = [link(text, "https://t.co/own", expanded_url=address)]
    came = refined(
        post(2, text=text, entities={"urls": urls}, edit_history_tweet_ids=[f"{SELF}01", f"{SELF}02"])
    )
    ((read, found),) = came.rows[["text", "urls"]].values.tolist()
    assert (read, found, came.warnings) == ("hey :)", [], [])


@pytest.mark.parametrize(
    "place", [f"i/web/status/{SELF}07", f"rowan_sky/status/{SELF}07", f"i/lists/{SELF}02"]
)
def test_a_link_to_something_else_stays(place):
    text = "See https://t.co/abc"
    urls = [link(text, "https://t.co/abc", expanded_url=f"https://x.com/{place}")]
    assert row(text=text, entities={"urls": urls})["urls"] == [f"https://x.com/{place}"]


@pytest.mark.parametrize(
    "address", ["https://web.archive.org/web/2020/https://t.co/abc", "https://t.co/elsewhere"]
)
def test_a_link_that_leads_to_a_short_link_is_whole(address):
    text = "See https://t.co/abc"
    urls = [link(text, "https://t.co/abc", expanded_url=address)]
    came = refined(post(text=text, entities={"urls": urls}))
    assert came.rows["urls"].tolist() == [[address]]
    assert came.warnings == []


def test_a_link_within_another_one_is_left_out():
    text = "See https://t.co/abc"
    urls = [
        link(text, "https://t.co/abc", expanded_url="https://a.example"),
        link(text, "t.co/abc", expanded_url="https://b.example"),
    ]
    came = refined(post(text=text, entities={"urls": urls}))
    assert came.rows[["text", "urls"]].values.tolist() == [["See https://a.example", ["https://a.example"]]]
    assert len(came.warnings) == 1


@pytest.mark.parametrize(
    ("ended", "followed"),
    [
        ("https://www.linkedin.com/authwall?trk=x", False),
        ("https://www.instagram.com/accounts/login/?next=/p/X/", False),
        ("https://www.facebook.com/login.php?next=x", False),
        ("https://accounts.google.com/v3/whatever", False),
        ("https://consent.youtube.com/m?continue=x", False),
        ("https://myaccount.nytimes.com/auth/login?URI=x", False),
        ("https://medium.com/m/signin", False),
        ("https://news.example/2026/how-to-login-safely", True),
        ("https://news.example/story?from=/login", True),
        ("https://author.example/blog/authority", True),
    ],
)
def test_a_shortener_is_not_followed_to_a_sign_in_page(ended, followed):
    text = "See https://t.co/abc"
    urls = [link(text, "https://t.co/abc", expanded_url="https://bit.ly/abc", unwound_url=ended, status=200)]
    assert row(text=text, entities={"urls": urls})["urls"] == [ended if followed else "https://bit.ly/abc"]


# What X sends and nobody can hold


DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    "hostile",
    [
        b'"new":' + DEEP,
        b'"entities":' + DEEP,
        b'"geo":{"a":' + DEEP + b"}",
        b'"new":' + b"9" * 5_000,
        b'"new":1e999',
        b'"new":"\xff"',
    ],
    ids=["deep", "deep-entities", "deep-geo", "long-number", "large-number", "no-utf-8"],
)
def test_what_cannot_be_held_of_a_post_costs_that_alone(hostile):
    sent = answer(post(1), post(2)).content
    spoilt = sent.replace(b'"id": "1990000000000000002"', b'"id": "1990000000000000002", ' + hostile)
    assert spoilt != sent
    page = Response("/2/users/42/tweets", {"max_results": "100"}, RECEIVED, spoilt)
    came = refined(answers=[Response.from_bytes(page.to_bytes())])
    assert ids(came) == ["01", "02"]
    assert came.rejected == []


def test_a_rejected_post_that_cannot_be_held_is_kept_without_that(tmp_path):
    sent = answer(post(1), post(2)).content
    spoilt = sent.replace(b'"id": "1990000000000000002"', b'"id": 5, "new": ' + DEEP)
    came = refined(answers=[Response("/2/users/42/tweets", {}, RECEIVED, spoilt)])
    assert ids(came) == ["01"]
    assert [item["reason"] for item in came.rejected] == ["id: expected str, got int"]
    with Partition(tmp_path) as partition:
        partition.append(came)
    (line,) = gzip.decompress(partition.rejected.read_bytes()).splitlines()
    assert json.loads(line)["post"]["text"] == "Clear skies tonight"
