"""The columns made of attachments, references and plain fields of X, of good posts and of hostile ones."""

import pytest

from tests.include.factories import link, make_response, post
from tests.include.transform.promised import ADDED
from tests.include.transform.refined import refined, row

OTHER = "1980000000000000007"


def cell(name, **changes):
    """The cell of a post's row, and what was dropped of the post."""
    batch = refined(post(1, **changes))
    (only,) = batch.records
    value = only[name]
    return value if isinstance(value, (list, str, bool)) else None, dict(batch.dropped_fields)


# Media and polls


@pytest.mark.parametrize(
    ("attachments", "media", "has_poll"),
    [
        (None, [], False),
        ({}, [], False),
        ({"media_keys": None, "poll_ids": None}, [], False),
        ({"media_keys": {}, "poll_ids": {}}, [], False),  # as some tools write an empty list
        ({"media_keys": ["3_1"]}, ["photo"], False),
        ({"media_keys": ["7_1"]}, ["video"], False),
        ({"media_keys": ["13_1"]}, ["video"], False),
        ({"media_keys": ["16_1"]}, ["animated_gif"], False),
        ({"media_keys": ["7_2", "3_1", "3_1"]}, ["video", "photo", "photo"], False),
        ({"media_keys": [f"3_{number}" for number in range(100)]}, ["photo"] * 100, False),
        ({"poll_ids": ["1"]}, [], True),
        ({"media_source_tweet_id": ["1"]}, [], False),
    ],
)
def test_attachments_are_media_and_polls(attachments, media, has_poll):
    assert cell("media", attachments=attachments) == (media, {})
    assert cell("has_poll", attachments=attachments) == (has_poll, {})


NO_MEDIA = [
    *(5, True, "3_1", {"0": "3_1"}, [None], [3], [["3_1"]], [{}], ["3_1", 7]),
    *(["99_1"], ["3_1", "99_1"], [""], ["_"], ["photo"], ["33_1"], [" 3_1"], ["\u0663_1"]),
    ["3_1"] * 99 + ["4_1"],
]


@pytest.mark.parametrize("keys", NO_MEDIA)
def test_media_of_which_one_is_not_known_are_an_empty_cell_and_counted(keys):
    assert cell("media", attachments={"media_keys": keys}) == (
        None,
        {"attachments.media_keys: is not known": 1},
    )


@pytest.mark.parametrize("polls", [5, True, "1", {"0": "1"}])
def test_polls_that_cannot_be_read_are_an_empty_cell_and_counted(polls):
    assert cell("has_poll", attachments={"poll_ids": polls}) == (
        None,
        {"attachments.poll_ids: is not known": 1},
    )


@pytest.mark.parametrize("attachments", [5, False, "x", []])
def test_attachments_that_are_no_object_are_two_empty_cells(attachments):
    reason = {"attachments: expected object | null": 1}
    assert cell("media", attachments=attachments) == (None, reason)
    assert cell("has_poll", attachments=attachments) == (None, reason)


# References


def quote(expanded, id_=OTHER, **changes):
    text = "Agreed https://t.co/quote"
    links = {"urls": [link(text, "https://t.co/quote", expanded_url=expanded)]}
    return {"text": text, "entities": links, "referenced_tweets": [{"type": "quoted", "id": id_}], **changes}


@pytest.mark.parametrize(
    ("expanded", "username"),
    [
        (f"https://twitter.com/rowan_sky/status/{OTHER}", "rowan_sky"),
        (f"https://x.com/Rowan_Sky/status/{OTHER}/", "Rowan_Sky"),
        (f"https://mobile.twitter.com/rowan_sky/status/{OTHER}?s=19", "rowan_sky"),
        (f"https://x.com/rowan_sky/status/{OTHER}#m", "rowan_sky"),
        (f"https://x.com/i/web/status/{OTHER}", None),
        (f"https://x.com/i/status/{OTHER}", None),
        ("https://x.com/rowan_sky/status/1980000000000000008", None),
        (f"https://x.com/rowan_sky/status/{OTHER}9", None),
        (f"https://evil.example/x.com/rowan_sky/status/{OTHER}", None),
        (f"https://notx.com/rowan_sky/status/{OTHER}", None),
        (f"https://x.com/ro\u0432an/status/{OTHER}", None),
        (None, None),
    ],
)
def test_the_quoted_handle_is_that_of_the_link_to_the_quoted_post(expanded, username):
    sent = quote(expanded)
    assert cell("quoted_tweet_id", **sent) == (OTHER, {})
    assert cell("quoted_username", **sent) == (username, {})


def test_a_handle_that_is_too_long_for_one_is_empty_and_counted():
    expanded = f"https://x.com/{'a' * 51}/status/{OTHER}"
    assert cell("quoted_username", **quote(expanded)) == (None, {"quoted_username: is no handle": 1})


def test_a_long_posts_quote_may_have_its_link_beside_the_note_or_in_it():
    sent = quote(f"https://x.com/rowan_sky/status/{OTHER}")
    inside = {"text": sent["text"], "entities": sent["entities"]}
    assert row(**sent | {"note_tweet": {"text": "A long one"}})["quoted_username"] == "rowan_sky"
    assert row(**sent | {"entities": None, "note_tweet": inside})["quoted_username"] == "rowan_sky"


@pytest.mark.parametrize("id_", [None, 5, True, [OTHER], {"id": OTHER}])
def test_a_quoted_id_that_is_no_text_is_empty(id_):
    sent = quote(f"https://x.com/rowan_sky/status/{OTHER}", id_)
    assert cell("quoted_tweet_id", **sent) == (None, {})
    assert cell("quoted_username", **sent) == (None, {})


@pytest.mark.parametrize("id_", ["x", "-1", "1\n", "\u0661", "1" * 20])
def test_a_quoted_id_that_is_no_id_is_empty_and_counted(id_):
    sent = {"referenced_tweets": [{"type": "quoted", "id": id_}]}
    assert cell("quoted_tweet_id", **sent) == (None, {"quoted_tweet_id: is no id": 1})


def test_a_self_reply_names_the_post_before_it():
    answered = {
        "referenced_tweets": [{"type": "replied_to", "id": OTHER}],
        "in_reply_to_user_id": "42",
        "conversation_id": "1980000000000000001",
    }
    (only,) = refined(post(1, **answered), threads=True).records
    assert only["in_reply_to_tweet_id"] == OTHER
    assert row()["in_reply_to_tweet_id"] is None


# X's plain fields


@pytest.mark.parametrize(
    ("name", "sent", "kept", "dropped"),
    [
        ("community_id", "1490000000000000001", "1490000000000000001", None),
        ("community_id", "", None, "community_id: is no id"),
        ("community_id", "9" * 20, None, "community_id: is no id"),
        ("community_id", 5, None, "community_id: expected str | null, got int"),
        ("paid_partnership", True, True, None),
        ("paid_partnership", False, False, None),
        ("paid_partnership", "true", None, "paid_partnership: expected bool | null, got str"),
        ("paid_partnership", 1, None, "paid_partnership: expected bool | null, got int"),
        ("source", "Starlight for Web", "Starlight for Web", None),
        ("source", "Sterne, 星 & Söhne®", "Sterne, 星 & Söhne®", None),
        ("source", "", None, "source: is no name of an app"),
        ("source", "two\nlines", None, "source: is no name of an app"),
        ("source", "two\u2028lines", None, "source: is no name of an app"),
        ("source", "NUL \0", None, "source: is no name of an app"),
        ("source", {"name": "x"}, None, "source: expected str | null, got object"),
    ],
)
def test_a_plain_field_is_as_x_sent_it_or_empty_and_counted(name, sent, kept, dropped):
    assert cell(name, **{name: sent}) == (kept, {dropped: 1} if dropped else {})


def test_what_x_could_not_fill_is_empty():
    kind = "https://api.x.com/2/problems/field-hydration-failure"
    fields = ("attachments", "referenced_tweets", "community_id", "paid_partnership", "source")
    errors = [{"type": kind, "resource_id": post(1)["id"], "field": field} for field in fields]
    batch = refined(responses=[make_response(post(1), errors=errors)])
    filled = batch.rows[ADDED].notna().to_numpy()
    assert not filled.any()
