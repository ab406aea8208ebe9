"""Posts of which a field is not as it has to be: each lands without it, and the dropped field is counted.

The fields that every post needs are in test_refine.py and test_properties.py; here is every other one.
"""

from collections import Counter

import pandas as pd

from include.twitter.transform import receipt
from include.twitter.transform.decode import METRIC_FIELDS, READ_FIELDS
from include.twitter.transform.post import Entities, Link
from tests.include.factories import account_read, post
from tests.include.transform.refined import refined

TEXTS = {"int": 5, "float": 1.5, "bool": True, "array": [], "object": {}}
NO_TRUTH = {"int": 1, "float": 1.5, "str": "true", "array": [], "object": {}}
NO_OBJECT = {"int": 5, "float": 1.5, "bool": True, "str": "x", "array": []}
NO_LIST = {"int": 5, "float": 1.5, "bool": True, "str": "x"}
NO_NUMBER = {"float": 1.5, "bool": True, "str": "5", "array": [], "object": {}}
COUNTS = sorted(METRIC_FIELDS - {"repost_count"})
LISTS = ["hashtags", "mentions", "cashtags", "urls"]
LINK = {"start": 0, "end": 5, "url": "Clear"}


def bad_values(field, values, expected, around=lambda value: value):
    """Changes of a post, one for each wrong value, with the reason for which it is dropped."""
    name = field.split(".")[0]
    return [
        ({name: around(value)}, f"{field}: expected {expected}, got {kind}") for kind, value in values.items()
    ]


def one(changes, reason):
    return [(changes, reason)]


MUTILATIONS = [
    *bad_values("conversation_id", TEXTS, "str | null"),
    *bad_values("lang", TEXTS, "str | null"),
    *bad_values("possibly_sensitive", NO_TRUTH, "bool | null"),
    *bad_values("community_id", TEXTS, "str | null"),
    *bad_values("source", TEXTS, "str | null"),
    *bad_values("paid_partnership", NO_TRUTH, "bool | null"),
    *bad_values("public_metrics", NO_OBJECT, "object"),
    *bad_values("entities", NO_OBJECT, "object | null"),
    *bad_values("note_tweet", NO_OBJECT, "object | null"),
    *bad_values("article", NO_OBJECT, "object | null"),
    *bad_values("article.title", TEXTS, "str | null", lambda value: {"title": value}),
    *bad_values("article.plain_text", TEXTS, "str | null", lambda value: {"plain_text": value}),
    *bad_values("referenced_tweets", NO_LIST, "array | null"),
    *bad_values("edit_history_tweet_ids", NO_LIST, "array | null"),
    *one({"edit_history_tweet_ids": [None]}, "edit_history_tweet_ids[]: expected str, got null"),
    *one({"edit_history_post_ids": [5]}, "edit_history_tweet_ids[]: expected str, got int"),
    *one({"edit_history_tweet_ids": ["x"]}, "original_tweet_id: is no id"),
    *one({"edit_history_tweet_ids": [""]}, "original_tweet_id: is no id"),
    *one({"referenced_tweets": [None]}, "referenced_tweets[]: expected object, got null"),
    *one({"referenced_tweets": [{}]}, "referenced_tweets[].type: is missing"),
    *one({"referenced_posts": [{"type": 5}]}, "referenced_tweets[].type: expected str, got int"),
    *one({"lang": ""}, "lang: is no language"),
    *one({"lang": "en\n"}, "lang: is no language"),
    *one({"lang": "zh_TW"}, "lang: is no language"),
    *one({"conversation_id": ""}, "conversation_id: is no id"),
    *one({"conversation_id": "12345678901234567890"}, "conversation_id: is no id"),
]
for name in COUNTS:
    MUTILATIONS += bad_values(
        f"public_metrics.{name}", NO_NUMBER, "int | null", lambda value, name=name: {name: value}
    )
    for number, bound in (
        (2**63, "<= 9223372036854775807"),
        (2**64, "<= 9223372036854775807"),
        (2**70, "<= 9223372036854775807"),
        (-1, ">= 0"),
        (-(2**63) - 1, ">= 0"),
    ):
        MUTILATIONS += one({"public_metrics": {name: number}}, f"public_metrics.{name}: expected int {bound}")
for name in LISTS:
    MUTILATIONS += bad_values(
        f"entities.{name}", NO_LIST, "array | null", lambda value, name=name: {name: value}
    )
    MUTILATIONS += one({"entities": {name: [None]}}, f"entities.{name}[]: expected object, got null")
for name, key in (("hashtags", "tag"), ("mentions", "username"), ("cashtags", "tag")):
    MUTILATIONS += one({"entities": {name: [{}]}}, f"entities.{name}[].{key}: is missing")
    MUTILATIONS += bad_values(
        f"entities.{name}[].{key}",
        TEXTS | {"null": None},
        "str",
        lambda value, name=name, key=key: {name: [{key: value}]},
    )
    empty = {"entities": {name: [{key: ""}]}}
    MUTILATIONS += one(empty, f"entities.{name}[].{key}: expected str of length >= 1")
for name, values, expected in (
    ("start", NO_NUMBER | {"null": None}, "int"),
    ("end", NO_NUMBER | {"null": None}, "int"),
    ("url", TEXTS | {"null": None}, "str"),
    ("expanded_url", TEXTS, "str | null"),
    ("unwound_url", TEXTS, "str | null"),
    ("media_key", TEXTS, "str | null"),
    ("status", NO_NUMBER, "int | null"),
):
    MUTILATIONS += bad_values(
        f"entities.urls[].{name}",
        values,
        expected,
        lambda value, name=name: {"urls": [LINK | {name: value}]},
    )
for name in ("start", "end", "url"):
    without = {key: value for key, value in LINK.items() if key != name}
    MUTILATIONS += one({"entities": {"urls": [without]}}, f"entities.urls[].{name}: is missing")
MUTILATIONS += [
    *one({"note_tweet": {}}, "note_tweet.text: is missing"),
    *one({"note_tweet": {"text": ""}}, "note_tweet.text: expected str of length >= 1"),
    *bad_values(
        "note_tweet.text", TEXTS | {"null": None}, "str", lambda value: {"text": value, "entities": {}}
    ),
    *bad_values(
        "note_tweet.entities", NO_OBJECT, "object | null", lambda value: {"text": "whole", "entities": value}
    ),
    *one(
        {"note_tweet": {"text": "whole", "entities": {"urls": [LINK, {"end": 5, "url": "Clear"}]}}},
        "note_tweet.entities.urls[].start: is missing",
    ),
]
PLAIN = {
    "id": "1990000000000000002",
    "text": "Clear skies",
    "created_at": "2026-11-18T09:02:00.000Z",
    "author_id": "42",
}
"""What every post needs, and no more."""


def test_every_field_that_is_read_is_mutilated_once():
    dropped = {reason.split(":")[0] for _, reason in MUTILATIONS}
    checked = {"withheld", "attachments"}  # may be anything; test_attachments.py has the latter
    assert READ_FIELDS - PLAIN.keys() - checked <= dropped
    assert {f"entities.{name}" for name in Entities.__struct_fields__} <= dropped
    assert {f"entities.urls[].{name}" for name in Link.__struct_fields__} <= dropped


def test_null_in_any_field_that_may_be_empty_loses_nothing():
    nulls = dict.fromkeys(READ_FIELDS - PLAIN.keys())
    without, with_nulls = (refined(post(1), odd) for odd in (PLAIN, PLAIN | nulls))
    assert with_nulls.ids == ["01", "02"]
    assert (with_nulls.drift, with_nulls.dropped_fields) == ({}, {})
    pd.testing.assert_frame_equal(with_nulls.rows, without.rows)


def test_every_mutilated_post_of_a_day_lands_without_the_field_and_takes_no_other_with_it():
    posts = [{**PLAIN, "id": str(10**18 + n), **changes} for n, (changes, _) in enumerate(MUTILATIONS)]
    batch = refined(post(1), *posts, post(3))
    assert batch.fates == {"fetched": len(posts) + 2, "published": len(posts) + 2}
    (counts,) = batch.counts_by_account
    receipt.entry(account_read("ObservatoryHill", len(posts) + 2), counts)  # raises if they do not add up
    assert batch.dropped_fields == Counter(reason for _, reason in MUTILATIONS)
    landed = batch.rows.iloc[1:-1]
    bare = refined(PLAIN).rows
    for name in {*bare} - {"tweet_id", "original_tweet_id", "url", "text", "urls"}:
        assert set(landed[name].map(str)) == set(bare[name].map(str)), name
    assert landed["original_tweet_id"].tolist() == landed["tweet_id"].tolist()
    assert set(batch.rows["text"]) == {"Clear skies", "Clear skies tonight", "whole"}
    assert set(batch.rows["urls"].map(tuple)) == {(), ("Clear",)}


def test_several_dropped_fields_of_one_post_are_each_counted_and_its_sound_fields_stay():
    text = "Clear #skies @rowan https://t.co/sky"
    entities = {
        "hashtags": [{"tag": None}, {"tag": "skies"}, None],
        "mentions": [{"start": 0, "end": 5}, {"username": "rowan"}, {"start": 0, "end": 5}],
        "urls": [{"url": "https://t.co/sky", "expanded_url": "https://sky.example"}],
    }
    metrics = {"like_count": "7", "reply_count": 3}
    batch = refined(post(1, text=text, lang="", entities=entities, public_metrics=metrics))
    (row,) = batch.records
    assert (row["text"], row["urls"]) == ("Clear #skies @rowan https://sky.example", ["https://sky.example"])
    assert (row["hashtags"], row["mentions"]) == (["skies"], ["rowan"])
    assert (pd.isna(row["lang"]), pd.isna(row["likes"]), row["replies"]) == (True, True, 3)
    assert batch.warnings == []
    assert batch.dropped_fields == {
        "entities.hashtags[].tag: expected str, got null": 1,
        "entities.hashtags[]: expected object, got null": 1,
        "entities.mentions[].username: is missing": 2,
        "entities.urls[].start: is missing": 1,
        "entities.urls[].end: is missing": 1,
        "lang: is no language": 1,
        "public_metrics.like_count: expected int | null, got str": 1,
    }
