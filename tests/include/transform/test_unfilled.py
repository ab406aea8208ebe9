"""Fields that X reports as not filled behind a status 200: their values are unknown, never empty."""

import csv
import io

import pandas as pd
import pytest

from include.twitter.transform import contract, refine
from include.twitter.transform.contract import csv_text
from tests.include.factories import DAY, answer, in_post_words, link, post

TAGGED = "Bright #Mars tonight, $ACME, with @rowan_sky: https://t.co/sky"
ENTITIES = {
    "hashtags": [{"tag": "Mars"}],
    "mentions": [{"username": "rowan_sky"}],
    "cashtags": [{"tag": "ACME"}],
    "urls": [link(TAGGED, "https://t.co/sky", expanded_url="https://sky.example")],
}
CUT = ("Ten nights of rain, then one clear hour over the dome; " * 6)[:270]
LISTS = ["hashtags", "mentions", "cashtags", "urls"]


def unfilled(field, id_=None, kind="field-hydration-failure", **more):
    named = {"resource_id": id_, "value": id_} if id_ else {}
    return {
        "title": "Field Hydration Failure",
        "type": f"https://api.x.com/2/problems/{kind}",
        "field": field,
    } | {
        **named,
        **more,
    }


def refined(*answers, threads=False):
    source = refine.AccountPages("ObservatoryHill", "42", answers, threads)
    (batch,) = refine.refine_accounts([source], day=DAY, limit=0)
    (post_counts,) = batch.counts_by_account
    rows = {row["tweet_id"][-2:]: row for row in batch.rows.to_dict("records")}
    return rows, post_counts, batch


def id_of(number):
    return post(number)["id"]


def fates(post_counts):
    return {name: number for name, number in post_counts.counts.items() if number}


@pytest.mark.parametrize(
    "kind", ["field-hydration-failure", "field-unauthorized", "not-authorized-for-field"]
)
def test_entities_that_x_could_not_fill_are_empty_cells_and_those_of_other_posts_are_lists(kind):
    page = answer(post(2), post(1, text=TAGGED), errors=[unfilled("entities", id_of(1), kind)])
    rows, post_counts, batch = refined(page)
    assert [rows["01"][name] for name in LISTS] == [None] * 4
    assert [rows["02"][name] for name in LISTS] == [[]] * 4
    cells = list(csv.DictReader(io.StringIO(",".join(contract.COLUMN_NAMES) + "\n" + csv_text(batch.rows))))
    assert [cells[0][name] for name in LISTS] == [""] * 4
    assert [cells[1][name] for name in LISTS] == ["[]"] * 4
    table = contract.arrow_table(batch.rows).to_pylist()
    assert ([table[0][name] for name in LISTS], [table[1][name] for name in LISTS]) == ([None] * 4, [[]] * 4)
    (warning,) = post_counts.warnings
    assert warning.startswith(f"{id_of(1)}: ")
    assert "entities" in warning
    assert post_counts.dropped_fields == {"entities: X reports that it could not fill it": 1}


def test_one_kind_of_entities_that_x_could_not_fill_leaves_the_others_known():
    entities = {name: values for name, values in ENTITIES.items() if name != "hashtags"}
    rows, post_counts, _ = refined(
        answer(post(1, text=TAGGED, entities=entities), errors=[unfilled("entities.hashtags", id_of(1))])
    )
    assert [rows["01"][name] for name in LISTS] == [None, ["rowan_sky"], ["ACME"], ["https://sky.example"]]
    assert len(post_counts.warnings) == 1


def test_an_error_that_names_no_post_is_about_those_that_lack_the_field():
    rows, post_counts, _ = refined(
        answer(post(2, text=TAGGED, entities=ENTITIES), post(1, text=TAGGED), errors=[unfilled("entities")])
    )
    assert (rows["01"]["hashtags"], rows["02"]["hashtags"]) == (None, ["Mars"])
    assert [warning.partition(":")[0] for warning in post_counts.warnings] == [id_of(1)]


def test_a_field_that_arrived_all_the_same_is_known():
    page = answer(post(1, text=TAGGED, entities=ENTITIES), errors=[unfilled("entities", id_of(1))])
    rows, post_counts, _ = refined(page)
    assert (rows["01"]["hashtags"], post_counts.warnings, post_counts.dropped_fields) == (["Mars"], [], {})


@pytest.mark.parametrize("more", [{"resource_type": "user"}, {"resource_type": "media"}])
def test_a_field_of_something_else_is_no_field_of_a_post(more):
    rows, post_counts, _ = refined(answer(post(1), errors=[unfilled("entities", **more)]))
    assert (rows["01"]["hashtags"], post_counts.warnings, post_counts.dropped_fields) == ([], [], {})


@pytest.mark.parametrize("field", ["note_tweet", "note_post"])
def test_a_text_whose_note_x_could_not_fill_is_marked(field):
    entities = {"hashtags": [{"tag": "dome"}]}
    page = answer(post(1, text=CUT, entities=entities), errors=[unfilled(field, id_of(1))])
    rows, post_counts, _ = refined(page)
    assert rows["01"]["text"] == CUT
    assert (rows["01"]["hashtags"], rows["01"]["mentions"]) == (["dome"], None)
    assert post_counts.warnings == [f"{id_of(1)}: note_tweet: X reports that it could not fill it"]


@pytest.mark.parametrize("field", ["referenced_tweets", "referenced_posts"])
def test_whether_a_post_quotes_is_unknown_without_its_references(field):
    for words in (dict, in_post_words):
        rows, post_counts, _ = refined(answer(words(post(1)), errors=[unfilled(field, id_of(1))]))
        assert pd.isna(rows["01"]["is_quote"])
        assert len(post_counts.warnings) == 1


@pytest.mark.parametrize(
    ("to", "threads", "fate"),
    [
        ("77", False, "unrequested"),
        ("77", True, "unrequested"),
        ("42", False, "unrequested"),
        ("42", True, "published"),
    ],
)
def test_a_post_that_names_whom_it_replies_to_is_no_post_of_its_own_without_its_references(to, threads, fate):
    page = answer(post(1, in_reply_to_user_id=to), errors=[unfilled("referenced_tweets", id_of(1))])
    _, post_counts, _ = refined(page, threads=threads)
    assert fates(post_counts) == {"fetched": 1, fate: 1}
    assert post_counts.dropped_fields == {"referenced_tweets: X reports that it could not fill it": 1}


def test_whether_a_post_was_edited_is_unknown_without_its_history():
    bare = post(1, edit_history_tweet_ids=None)
    rows, post_counts, _ = refined(answer(bare, errors=[unfilled("edit_history_tweet_ids", id_of(1))]))
    assert pd.isna(rows["01"]["is_edited"])
    assert rows["01"]["original_tweet_id"] == id_of(1)
    assert len(post_counts.warnings) == 1


def test_counts_that_x_could_not_fill_are_empty_and_told():
    page = answer(post(1, public_metrics=None), errors=[unfilled("public_metrics", id_of(1))])
    rows, post_counts, _ = refined(page)
    assert all(pd.isna(rows["01"][name]) for name in contract.METRICS)
    assert (len(post_counts.warnings), post_counts.dropped_fields) == (
        1,
        {"public_metrics: X reports that it could not fill it": 1},
    )


def test_a_field_that_no_column_is_made_of_is_told_in_the_receipt_alone():
    rows, post_counts, _ = refined(answer(post(1), errors=[unfilled("geo", id_of(1))]))
    assert (rows["01"]["hashtags"], post_counts.warnings) == ([], [])
    assert post_counts.dropped_fields == {"geo: X reports that it could not fill it": 1}


# Copies of the same post


def lacking(field="entities", **changes):
    return answer(post(1, **changes), errors=[unfilled(field, id_of(1))])


def test_a_copy_with_all_its_fields_takes_the_place_of_one_that_lacks_some_whichever_came_first():
    whole = answer(post(1, text=TAGGED, entities=ENTITIES), kind="rereads", path="/2/tweets")
    for copies in ([lacking(text=TAGGED), whole], [whole, lacking(text=TAGGED)]):
        rows, post_counts, _ = refined(*copies)
        assert rows["01"]["hashtags"] == ["Mars"]
        assert fates(post_counts) == {"fetched": 2, "published": 1, "duplicates": 1}
        assert (post_counts.warnings, post_counts.dropped_fields) == ([], {})


def test_of_two_copies_that_lack_fields_the_later_is_published_and_told():
    rows, post_counts, _ = refined(lacking(text="first"), lacking(text="second"))
    assert rows["01"]["text"] == "second"
    assert fates(post_counts) == {"fetched": 2, "published": 1, "duplicates": 1}
    assert len(post_counts.warnings) == 1


@pytest.mark.parametrize("kind", ["retweeted", "replied_to"])
def test_a_post_that_turns_out_to_be_a_retweet_or_a_reply_is_not_published(kind):
    whole = answer(post(1, referenced_tweets=[{"type": kind, "id": "7"}]))
    rows, post_counts, _ = refined(lacking("referenced_tweets"), whole)
    assert (rows, fates(post_counts)) == ({}, {"fetched": 2, "unrequested": 1, "duplicates": 1})


def test_a_presumed_reply_that_turns_out_to_be_none_is_published():
    rows, post_counts, _ = refined(
        lacking("referenced_tweets", in_reply_to_user_id="77"),
        answer(post(1, in_reply_to_user_id="77", referenced_tweets=[{"type": "quoted", "id": "7"}])),
    )
    assert rows["01"]["is_quote"] is True
    assert fates(post_counts) == {"fetched": 2, "published": 1, "duplicates": 1}


def test_a_copy_that_could_be_no_row_is_a_duplicate_of_one_that_is():
    rows, post_counts, batch = refined(lacking("text", text=None), answer(post(1)))
    assert (list(rows), batch.rejected) == (["01"], [])
    assert fates(post_counts) == {"fetched": 2, "published": 1, "duplicates": 1}
