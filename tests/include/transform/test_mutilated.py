"""Posts of which a field is not as it has to be: each lands without it, and the oddity is counted.

The fields that every post needs are in test_refine.py and test_properties.py; here is every other one.
"""

from collections import Counter

import pandas as pd

from include.twitter.transform import receipt, refine
from include.twitter.transform.decode import METRIC_FIELDS, READ_FIELDS
from include.twitter.transform.post import Entities, Link
from tests.include.factories import DAY, account_read, answer, post

TEXTS = {"int": 5, "float": 1.5, "bool": True, "array": [], "object": {}}
NO_TRUTH = {"int": 1, "float": 1.5, "str": "true", "array": [], "object": {}}
NO_OBJECT = {"int": 5, "float": 1.5, "bool": True, "str": "x", "array": []}
NO_LIST = {"int": 5, "float": 1.5, "bool": True, "str": "x"}
NO_NUMBER = {"float": 1.5, "bool": True, "str": "5", "array": [], "object": {}}
COUNTS = sorted(METRIC_FIELDS - {"repost_count"})
LISTS = ["hashtags", "mentions", "cashtags", "urls"]
LINK = {"start": 0, "end": 5, "url": "Clear"}


def each(field, values, expected, around=lambda value: value):
    """A post with the wrong value of each kind, and what is said of it."""
    name = field.split(".")[0]
    return [
        ({name: around(value)}, f"{field}: expected {expected}, got {kind}") for kind, value in values.items()
    ]


def one(changes, reason):
    return [(changes, reason)]


MUTILATIONS = [
    *each("conversation_id", TEXTS, "str | null"),
    *each("lang", TEXTS, "str | null"),
    *each("possibly_sensitive", NO_TRUTH, "bool | null"),
    *each("public_metrics", NO_OBJECT, "object"),
    *each("entities", NO_OBJECT, "object | null"),
    *each("note_tweet", NO_OBJECT, "object | null"),
    *each("article", NO_OBJECT, "object | null"),
    *each("article.title", TEXTS, "str | null", lambda value: {"title": value}),
    *each("article.plain_text", TEXTS, "str | null", lambda value: {"plain_text": value}),
    *each("referenced_tweets", NO_LIST, "array | null"),
    *each("edit_history_tweet_ids", NO_LIST, "array | null"),
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
    MUTILATIONS += each(
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
    MUTILATIONS += each(f"entities.{name}", NO_LIST, "array | null", lambda value, name=name: {name: value})
    MUTILATIONS += one({"entities": {name: [None]}}, f"entities.{name}[]: expected object, got null")
for name, key in (("hashtags", "tag"), ("mentions", "username"), ("cashtags", "tag")):
    MUTILATIONS += one({"entities": {name: [{}]}}, f"entities.{name}[].{key}: is missing")
    MUTILATIONS += each(
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
    MUTILATIONS += each(
        f"entities.urls[].{name}",
        values,
        expected,
        lambda value, name=name: {"urls": [LINK | {name: value}]},
    )
for name in ("start", "end", "url"):
    without = {key: value for key, value in LINK.items() if key != name}
    MUTILATIONS += one({"entities": {"urls": [without]}}, f"entities.urls[].{name}: is missing")
for name in ("note_tweet",):
    MUTILATIONS += one({name: {}}, f"{name}.text: is missing")
    MUTILATIONS += one({name: {"text": ""}}, f"{name}.text: expected str of length >= 1")
    MUTILATIONS += each(
        f"{name}.text", TEXTS | {"null": None}, "str", lambda value: {"text": value, "entities": {}}
    )
    MUTILATIONS += each(
        f"{name}.entities", NO_OBJECT, "object | null", lambda value: {"text": "whole", "entities": value}
    )
    MUTILATIONS += one(
        {name: {"text": "whole", "entities": {"urls": [LINK, {"end": 5, "url": "Clear"}]}}},
        f"{name}.entities.urls[].start: is missing",
    )


def source(*posts, username="ObservatoryHill", author_id="42"):
    return refine.AccountPages(username, author_id, [answer(*posts)])


def balanced(post_counts):
    """The counts in the receipt's line, which is refused where they do not add up."""
    line = receipt.entry(account_read(post_counts.username, post_counts.counts["fetched"]), post_counts)
    return {name: getattr(line, name) for name in receipt.FATES if getattr(line, name)}


def batch_of(*sources, limit=0):
    (batch,) = refine.refine_accounts(sources, day=DAY, limit=limit)
    return batch


def ids(batch):
    return [id_[-2:] for id_ in batch.rows["tweet_id"]]


def test_every_field_that_is_read_is_mutilated_once():
    said = {reason.split(":")[0] for _, reason in MUTILATIONS}
    needed = {"id", "text", "created_at", "author_id"}  # in test_refine.py and test_properties.py
    looked_at = {"withheld"}  # may be anything
    assert READ_FIELDS - needed - looked_at <= said
    assert {f"entities.{name}" for name in Entities.__struct_fields__} <= said
    assert {f"entities.urls[].{name}" for name in Link.__struct_fields__} <= said


def test_null_in_any_field_that_may_be_empty_loses_nothing():
    needed = ("id", "text", "created_at", "author_id")
    bare = {name: post(2)[name] for name in needed}
    nulls = {name: None for name in READ_FIELDS if name not in needed}
    (without, with_nulls) = (batch_of(source(post(1), odd)) for odd in (bare, bare | nulls))
    assert ids(with_nulls) == ["01", "02"]
    assert with_nulls.counts_by_account[0].drift == {}
    pd.testing.assert_frame_equal(with_nulls.rows, without.rows)


PLAIN = {
    "id": "1990000000000000002",
    "text": "Clear skies",
    "created_at": "2026-11-18T09:02:00.000Z",
    "author_id": "42",
}
"""What every post needs, and no more."""


def test_every_mutilated_post_of_a_day_lands_without_the_field_and_takes_no_other_with_it():
    posts = [{**PLAIN, "id": str(10**18 + n), **changes} for n, (changes, _) in enumerate(MUTILATIONS)]
    batch = batch_of(source(post(1), *posts, post(3)))
    assert batch.rejected == []
    assert balanced(batch.counts_by_account[0]) == {"fetched": len(posts) + 2, "published": len(posts) + 2}
    assert batch.counts_by_account[0].dropped_fields == Counter(oddity for _, oddity in MUTILATIONS)
    landed = batch.rows.iloc[1:-1]
    bare = batch_of(source(PLAIN)).rows
    own = {"tweet_id", "original_tweet_id", "url", "text", "urls"}
    for name in set(bare) - own:
        assert set(landed[name].map(str)) == set(bare[name].map(str)), name
    assert landed["original_tweet_id"].tolist() == landed["tweet_id"].tolist()
    assert set(batch.rows["text"]) == {"Clear skies", "Clear skies tonight", "whole"}
    assert set(batch.rows["urls"].map(tuple)) == {(), ("Clear",)}


def test_several_oddities_of_one_post_are_each_counted_and_its_sound_fields_stay():
    text = "Clear #skies @rowan https://t.co/sky"
    entities = {
        "hashtags": [{"tag": None}, {"tag": "skies"}, None],
        "mentions": [{"start": 0, "end": 5}, {"username": "rowan"}, {"start": 0, "end": 5}],
        "urls": [{"url": "https://t.co/sky", "expanded_url": "https://sky.example"}],
    }
    metrics = {"like_count": "7", "reply_count": 3}
    batch = batch_of(source(post(1, text=text, lang="", entities=entities, public_metrics=metrics)))
    (row,) = batch.rows.to_dict("records")
    assert (row["text"], row["urls"]) == ("Clear #skies @rowan https://sky.example", ["https://sky.example"])
    assert (row["hashtags"], row["mentions"]) == (["skies"], ["rowan"])
    assert (pd.isna(row["lang"]), pd.isna(row["likes"]), row["replies"]) == (True, True, 3)
    assert batch.counts_by_account[0].warnings == []
    assert batch.counts_by_account[0].dropped_fields == {
        "entities.hashtags[].tag: expected str, got null": 1,
        "entities.hashtags[]: expected object, got null": 1,
        "entities.mentions[].username: is missing": 2,
        "entities.urls[].start: is missing": 1,
        "entities.urls[].end: is missing": 1,
        "lang: is no language": 1,
        "public_metrics.like_count: expected int | null, got str": 1,
    }
