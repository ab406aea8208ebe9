"""Raw responses → the refined rows of an account, and of several in a batch."""

import gzip
import json
import re
from datetime import timedelta

import pandas as pd
import pytest

from include.twitter.response import Response
from include.twitter.transform import contract, refine
from tests.include.factories import DAY, METRICS, RECEIVED, in_post_words, link, make_response, post
from tests.include.recorded import recorded_pages
from tests.include.transform.promised import added
from tests.include.transform.refined import refined, row, written

FIRST, SECOND = post(1)["id"], post(2)["id"]


def test_a_post_becomes_a_row():
    assert (
        row()
        == {
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
        | added()
    )


# Text


@pytest.mark.parametrize(
    ("expanded", "unwound", "status", "published"),
    [
        ("https://bit.ly/3yW1m4H", "https://sky.example/a", 200, "https://sky.example/a"),
        ("http://www.OW.LY/x", "https://sky.example/a", 200, "https://sky.example/a"),
        ("https://bit.ly/3yW1m4H", "https://sky.example/forbidden", 403, "https://bit.ly/3yW1m4H"),
        ("https://bit.ly/3yW1m4H", "https://sky.example/a", None, "https://bit.ly/3yW1m4H"),
        ("http://wa.me/001555000000", "https://api.whatsapp.com/", None, "http://wa.me/001555000000"),
        ("http://m.me/Dome", "https://www.messenger.com/login.php?next=x", 200, "http://m.me/Dome"),
        ("https://sky.example/a", "https://consent.example/?continue=x", 200, "https://sky.example/a"),
        ("https://bit.ly.example/a", "https://sky.example/a", 200, "https://bit.ly.example/a"),
        *(
            ("https://bit.ly/abc", page, 200, "https://bit.ly/abc")
            for page in (
                "https://www.linkedin.com/authwall?trk=x",
                "https://www.instagram.com/accounts/login/?next=/p/X/",
                "https://www.facebook.com/login.php?next=x",
                "https://accounts.google.com/v3/whatever",
                "https://consent.youtube.com/m?continue=x",
                "https://myaccount.nytimes.com/auth/login?URI=x",
                "https://medium.com/m/signin",
            )
        ),
        *(
            ("https://bit.ly/abc", page, 200, page)
            for page in (
                "https://news.example/2026/how-to-login-safely",
                "https://news.example/story?from=/login",
                "https://author.example/blog/authority",
            )
        ),
    ],
)
def test_an_unwound_link_is_kept_only_where_a_shortener_was_found_to_lead_there(
    expanded, unwound, status, published
):
    text = "https://t.co/aaa"
    entity = link(text, text, expanded_url=expanded, unwound_url=unwound, status=status)
    only = row(text=text, entities={"urls": [entity]})
    assert (only["text"], only["urls"]) == (published, [published])


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
    entities = {"urls": [*quote, link(text, "https://t.co/pic", **picture)]}
    versions = ["1989999999999999999", FIRST]
    batch = refined(post(text=text, entities=entities, edit_history_tweet_ids=versions))
    assert batch.rows[["text", "urls"]].values.tolist() == [[read, urls]]
    assert batch.warnings == []


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
    batch = refined(post(text=text, entities={"urls": links}))
    (one,) = batch.rows.to_dict("records")
    assert one["text"] == read
    assert one["urls"] == re.findall(r"https://\w\.example", read)
    assert batch.warnings == []


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
def test_a_link_that_cannot_be_placed_or_leads_nowhere_has_a_warning(text, links):
    batch = refined(post(text=text, entities={"urls": links}))
    (one,) = batch.rows.to_dict("records")
    assert one["text"] == text.replace("and https://t.co/aaa", "and https://a.example")
    assert batch.warnings == [f"1990000000000000001: {LOST}"]


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
def test_a_post_is_a_quote_by_its_references_alone(references, is_quote):
    assert row(referenced_tweets=references)["is_quote"] == is_quote


VERSIONS = ["tweet_id", "text", "original_tweet_id", "is_edited"]


def test_an_edited_post_is_one_row_with_its_latest_version():
    versions = [FIRST, SECOND]
    batch = refined(
        post(2, text="mended", edit_history_tweet_ids=versions),
        post(1, text="typo", edit_history_tweet_ids=versions),
    )
    assert batch.rows[VERSIONS].values.tolist() == [[SECOND, "mended", FIRST, True]]
    assert batch.fates == {"fetched": 2, "published": 1, "duplicates": 1}


@pytest.mark.parametrize(("day", "number"), [(DAY, 1), (DAY.plus(1), 99)])
def test_a_post_that_was_edited_on_the_next_day_has_its_latest_version_on_each_day(day, number):
    # X names every version, also to those who read the first one (seen on the wire, October 2022).
    versions = [FIRST, post(99)["id"]]
    later = post(99, created_at="2026-11-19T00:04:00.000Z", edit_history_tweet_ids=versions)
    batch = refined(later, post(1, edit_history_tweet_ids=versions), day=day)
    assert batch.rows[VERSIONS].values.tolist() == [[post(number)["id"], "Clear skies tonight", FIRST, True]]
    assert batch.fates == {"fetched": 2, "published": 1, "outside": 1}


def test_a_copy_of_an_edited_post_without_its_versions_is_a_duplicate():
    batch = refined(post(2, edit_history_tweet_ids=None), post(2, edit_history_tweet_ids=[FIRST, SECOND]))
    assert batch.fates == {"fetched": 2, "published": 1, "duplicates": 1}


def test_a_post_that_comes_twice_is_one_row_as_it_was_read_last():
    later = RECEIVED + timedelta(minutes=5)
    batch = refined(
        responses=[
            make_response(post(public_metrics=METRICS | {"like_count": 1})),
            make_response(post(public_metrics=METRICS | {"like_count": 9}), received_at=later),
        ]
    )
    assert batch.rows[["likes", "captured_at"]].values.tolist() == [[9, pd.Timestamp("2026-11-19T01:35:07Z")]]
    assert batch.fates == {"fetched": 2, "published": 1, "duplicates": 1}


# Rejected posts


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
    batch = refined(post(1), broken, post(3))
    assert batch.ids == ["01", "03"]
    assert batch.rejected == [{"username": "ObservatoryHill", "reason": reason, "post": broken}]


@pytest.mark.parametrize(("thing", "kind"), [(None, "null"), (5, "int"), ("text", "str"), ([], "array")])
def test_what_is_no_post_at_all_is_rejected(thing, kind):
    batch = refined(post(1), thing)
    assert batch.rejected == [
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
    batch = refined(post(created_at=created_at))
    assert batch.fates == {"fetched": 1, "published" if inside else "outside": 1}


def test_fetched_is_published_and_rejected_and_duplicates_and_outside_and_over_the_limit():
    batch = refined(
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
    assert batch.fates == {
        "fetched": 9,
        "published": 2,
        "rejected": 4,
        "duplicates": 1,
        "outside": 1,
        "over_limit": 1,
    }
    # A rejected post takes no place of a good one.
    assert batch.ids == ["06", "07"]


def test_a_rejected_post_that_x_sent_twice_is_one_rejected_and_one_duplicate():
    malformed, late = post(1, text=None), post(2, created_at="yesterday")
    batch = refined(malformed, late, post(3), malformed, late, post(3))
    assert [item["post"] for item in batch.rejected] == [malformed, late]
    assert batch.reasons == {"text: is missing": 1, "created_at: is no time": 1}
    assert batch.fates == {"fetched": 6, "published": 1, "rejected": 2, "duplicates": 3}


def test_rejects_without_an_id_are_each_one_of_their_own():
    batch = refined(None, None, post(1, id=None), post(2, id=None), {"id": 5}, {"id": 5})
    assert batch.fates == {"fetched": 6, "rejected": 6}


def test_a_bad_version_of_an_edit_takes_no_good_one_with_it():
    bad = post(2, edit_history_tweet_ids=[FIRST, SECOND], author_id="43")
    batch = refined(post(1), bad)
    assert (batch.ids, batch.reasons) == (["01"], {refine.NOT_OWN: 1})


def test_an_account_without_an_id_publishes_nothing():
    assert refined(post(1), author_id=None).reasons == {refine.NOT_OWN: 1}


# Unrequested posts


@pytest.mark.parametrize("words", [dict, in_post_words])
def test_retweets_and_replies_that_x_sent_nevertheless_are_counted_and_not_published(words):
    retweeted, replied = ([{"type": kind, "id": "7"}] for kind in ("retweeted", "replied_to"))
    batch = refined(
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
    assert batch.ids == ["01", "02"]
    assert batch.fates == {"fetched": 6, "published": 2, "unrequested": 4}


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
    batch = refined(responses=[make_response(*map(of_the_day, posts)) for posts in timelines])
    assert batch.fates.keys() == {"fetched", "published", "unrequested"}
    assert batch.fates["fetched"] == 368
    contract.arrow_table(batch.rows).validate(full=True)


# Several accounts


def refine_accounts(*accounts, limit=0):
    """Batches of accounts by name, author, posts and perhaps a limit of its own."""
    sources = [
        refine.AccountPages(name, author, [make_response(*posts)], False, *own)
        for name, author, posts, *own in accounts
    ]
    return list(refine.refine_accounts(sources, day=DAY, limit=limit))


def test_the_accounts_of_a_batch_keep_their_order_and_the_limit_is_that_of_each():
    posts = [post(n) for n in (2, 3, 1)]
    others = [post(n, author_id="7") for n in (4, 5, 6)]
    (batch,) = refine_accounts(
        ("b", "42", posts), ("none", "1", []), ("a", "7", others), ("own", "7", others, 1),
        ("all", "7", others, 0), limit=2,
    )  # fmt: skip
    assert [(row.username, row.tweet_id[-2:]) for row in batch.rows.itertuples()] == [
        *(("b", "02"), ("b", "03"), ("a", "05"), ("a", "06"), ("own", "06")),
        *(("all", "04"), ("all", "05"), ("all", "06")),
    ]
    assert [(t.counts["published"], t.counts["over_limit"], t.first) for t in batch.counts_by_account] == [
        (2, 1, "2026-11-18T09:02:00Z"),
        (0, 0, None),
        (2, 1, "2026-11-18T09:05:00Z"),
        (1, 2, "2026-11-18T09:06:00Z"),
        (3, 0, "2026-11-18T09:04:00Z"),
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
    batch = refined(post(1, **new), post(2, views=2), post(3))
    assert batch.ids == ["01", "02", "03"]
    assert batch.drift == {"views": 2, "public_metrics.view_count": 1}


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
    batch = refined(
        post(2, text=text, entities={"urls": urls}, edit_history_tweet_ids=[f"{SELF}01", f"{SELF}02"])
    )
    ((text, urls),) = batch.rows[["text", "urls"]].values.tolist()
    assert (text, urls, batch.warnings) == ("hey :)", [], [])


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
    batch = refined(post(text=text, entities={"urls": urls}))
    assert batch.rows["urls"].tolist() == [[address]]
    assert batch.warnings == []


def test_a_link_within_another_one_is_left_out():
    text = "See https://t.co/abc"
    urls = [
        link(text, "https://t.co/abc", expanded_url="https://a.example"),
        link(text, "t.co/abc", expanded_url="https://b.example"),
    ]
    batch = refined(post(text=text, entities={"urls": urls}))
    assert batch.rows[["text", "urls"]].values.tolist() == [["See https://a.example", ["https://a.example"]]]
    assert len(batch.warnings) == 1


# What X sends and nobody can hold


DEEP = b"[" * 10_000 + b"]" * 10_000


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
    sent = make_response(post(1), post(2)).content
    spoilt = sent.replace(b'"id": "1990000000000000002"', b'"id": "1990000000000000002", ' + hostile)
    assert spoilt != sent
    page = Response("/2/users/42/tweets", {"max_results": "100"}, RECEIVED, spoilt)
    batch = refined(responses=[Response.from_bytes(page.to_bytes())])
    assert batch.ids == ["01", "02"]
    assert batch.rejected == []


def test_a_rejected_post_that_cannot_be_held_is_kept_without_that(tmp_path):
    sent = make_response(post(1), post(2)).content
    spoilt = sent.replace(b'"id": "1990000000000000002"', b'"id": 5, "new": ' + DEEP)
    batch = refined(responses=[Response("/2/users/42/tweets", {}, RECEIVED, spoilt)])
    assert batch.ids == ["01"]
    assert batch.reasons == {"id: expected str, got int": 1}
    (line,) = gzip.decompress(written(tmp_path, batch).rejected.read_bytes()).splitlines()
    assert json.loads(line)["post"]["text"] == "Clear skies tonight"
