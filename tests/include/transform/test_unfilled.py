"""Fields that X reports as not filled behind a status 200: their values are unknown, never empty."""

import csv
import io

import pandas as pd
import pytest

from include.twitter.transform import contract
from include.twitter.transform.contract import csv_text
from tests.include.factories import in_post_words, link, make_response, post
from tests.include.transform.refined import refined

TAGGED = "Bright #Mars tonight, $ACME, with @rowan_sky: https://t.co/sky"
ENTITIES = {
    "hashtags": [{"tag": "Mars"}],
    "mentions": [{"username": "rowan_sky"}],
    "cashtags": [{"tag": "ACME"}],
    "urls": [link(TAGGED, "https://t.co/sky", expanded_url="https://sky.example")],
}
CUT = ("Ten nights of rain, then one clear hour over the dome; " * 6)[:270]
LISTS = ["hashtags", "mentions", "cashtags", "urls"]
ID = post(1)["id"]
REASON = "X reports that it could not fill it"


def unfilled(field, id_=ID, kind="field-hydration-failure", **more):
    """X's error object; `id_` None names no post."""
    named = {"resource_id": id_, "value": id_} if id_ else {}
    return {"type": f"https://api.x.com/2/problems/{kind}", "field": field, **named, **more}


def page(field, *others, words=dict, **changes):
    """A page with other posts and the post number 1, of which X could not fill a field."""
    return make_response(*others, words(post(1, **changes)), errors=[unfilled(field)])


@pytest.mark.parametrize(
    "kind", ["field-hydration-failure", "field-unauthorized", "not-authorized-for-field"]
)
def test_entities_that_x_could_not_fill_are_empty_cells_and_those_of_other_posts_are_lists(kind):
    sent = make_response(post(2), post(1, text=TAGGED), errors=[unfilled("entities", kind=kind)])
    batch = refined(responses=[sent])
    cells = list(csv.DictReader(io.StringIO(",".join(contract.COLUMN_NAMES) + "\n" + csv_text(batch.rows))))
    for rows, unknown, none in (
        (batch.records, None, []),
        (contract.arrow_table(batch.rows).to_pylist(), None, []),
        (cells, "", "[]"),
    ):
        assert [[row[name] for name in LISTS] for row in rows] == [[unknown] * 4, [none] * 4]
    (warning,) = batch.warnings
    assert warning.startswith(f"{ID}: ") and f"entities: {REASON}" in warning
    assert batch.dropped_fields == {f"entities: {REASON}": 1}


def test_one_kind_of_entities_that_x_could_not_fill_leaves_the_others_known():
    entities = {name: values for name, values in ENTITIES.items() if name != "hashtags"}
    batch = refined(responses=[page("entities.hashtags", text=TAGGED, entities=entities)])
    assert [batch.records[0][name] for name in LISTS] == [
        None, ["rowan_sky"], ["ACME"], ["https://sky.example"],
    ]  # fmt: skip
    assert len(batch.warnings) == 1


def test_an_error_that_names_no_post_is_about_those_that_lack_the_field():
    whole = post(2, text=TAGGED, entities=ENTITIES)
    batch = refined(
        responses=[make_response(whole, post(1, text=TAGGED), errors=[unfilled("entities", None)])]
    )
    assert [row["hashtags"] for row in batch.records] == [None, ["Mars"]]
    (warning,) = batch.warnings
    assert warning.startswith(f"{ID}: ") and f"entities: {REASON}" in warning


@pytest.mark.parametrize(
    ("sent", "hashtags"),
    [
        (page("entities", text=TAGGED, entities=ENTITIES), ["Mars"]),
        *(
            (make_response(post(1), errors=[unfilled("entities", None, resource_type=other)]), [])
            for other in ("user", "media")
        ),
    ],
    ids=["it arrived all the same", "of a user", "of media"],
)
def test_a_field_that_arrived_or_is_none_of_a_post_is_known(sent, hashtags):
    batch = refined(responses=[sent])
    assert (batch.records[0]["hashtags"], batch.warnings, batch.dropped_fields) == (hashtags, [], {})


@pytest.mark.parametrize("field", ["note_tweet", "note_post"])
def test_a_text_whose_note_x_could_not_fill_is_marked(field):
    batch = refined(responses=[page(field, text=CUT, entities={"hashtags": [{"tag": "dome"}]})])
    (row,) = batch.records
    assert (row["text"], row["hashtags"], row["mentions"]) == (CUT, ["dome"], None)
    assert batch.warnings == [f"{ID}: note_tweet: {REASON}"]


@pytest.mark.parametrize("words", [dict, in_post_words])
@pytest.mark.parametrize(
    ("field", "changes", "columns"),
    [
        ("referenced_tweets", {}, ["is_quote"]),
        ("referenced_posts", {}, ["is_quote"]),
        ("edit_history_tweet_ids", {"edit_history_tweet_ids": None}, ["is_edited"]),
        ("public_metrics", {"public_metrics": None}, contract.METRICS),
    ],
)
def test_a_column_that_is_made_of_an_unfilled_field_is_unknown(field, changes, columns, words):
    batch = refined(responses=[page(field, words=words, **changes)])
    (row,) = batch.records
    assert all(pd.isna(row[name]) for name in columns)
    assert row["original_tweet_id"] == ID
    assert (len(batch.warnings), batch.dropped_fields.total()) == (1, 1)


@pytest.mark.parametrize("field", ["geo", ""])
def test_a_field_that_no_column_is_made_of_is_in_the_receipt_alone(field):
    batch = refined(responses=[page(field)])
    (row,) = batch.records
    assert (row["hashtags"], row["possibly_sensitive"], batch.warnings) == ([], False, [])
    assert batch.dropped_fields == {f"{field}: {REASON}": 1}


@pytest.mark.parametrize(
    ("to", "threads", "fate"),
    [
        ("77", False, "unrequested"),
        ("77", True, "unrequested"),
        ("42", False, "unrequested"),
        ("42", True, "published"),
    ],
)
def test_a_post_that_names_whom_it_replies_to_is_a_reply_without_its_references(to, threads, fate):
    batch = refined(responses=[page("referenced_tweets", in_reply_to_user_id=to)], threads=threads)
    assert batch.fates == {"fetched": 1, fate: 1}
    assert batch.dropped_fields == {f"referenced_tweets: {REASON}": 1}


# Copies of the same post


@pytest.mark.parametrize("order", [1, -1])
def test_a_copy_with_all_its_fields_replaces_one_that_lacks_some_whichever_came_first(order):
    whole = make_response(post(1, text=TAGGED, entities=ENTITIES), kind="rereads", path="/2/tweets")
    batch = refined(responses=[page("entities", text=TAGGED), whole][::order])
    assert batch.records[0]["hashtags"] == ["Mars"]
    assert batch.fates == {"fetched": 2, "published": 1, "duplicates": 1}
    assert (batch.warnings, batch.dropped_fields) == ([], {})


def test_of_two_copies_that_lack_fields_the_later_is_published_with_a_warning():
    batch = refined(responses=[page("entities", text="first"), page("entities", text="second")])
    assert batch.records[0]["text"] == "second"
    assert batch.fates == {"fetched": 2, "published": 1, "duplicates": 1}
    assert len(batch.warnings) == 1


@pytest.mark.parametrize(
    ("kind", "fate"),
    [("retweeted", "unrequested"), ("replied_to", "unrequested"), ("quoted", "published")],
)
def test_the_copy_with_references_shows_whether_the_post_was_requested(kind, fate):
    whole = make_response(post(1, in_reply_to_user_id="77", referenced_tweets=[{"type": kind, "id": "7"}]))
    batch = refined(responses=[page("referenced_tweets", in_reply_to_user_id="77"), whole])
    assert batch.fates == {"fetched": 2, fate: 1, "duplicates": 1}
    assert [row["is_quote"] for row in batch.records] == [True] * (fate == "published")


def test_a_copy_that_could_be_no_row_is_a_duplicate_of_one_that_is():
    batch = refined(responses=[page("text", text=None), make_response(post(1))])
    assert (batch.ids, batch.rejected) == (["01"], [])
    assert batch.fates == {"fetched": 2, "published": 1, "duplicates": 1}
