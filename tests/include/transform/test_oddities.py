"""Posts that are odd in the ways in which X's own have been seen to be, invented: data/oddities.json.

They have the form of real posts, some in the words of August 2026 (`note_post`, `repost_count`), some as
tools save them that answers may have gone through. Every value that is expected is written there by hand.
"""

import json
from pathlib import Path

import pandas as pd
import pytest

from include.twitter.response import Response
from include.twitter.transform import refine
from include.twitter.transform.contract import MOMENTS
from tests.include.factories import DAY, RECEIVED, answer, link, post
from tests.include.transform.test_contract import (
    CSV_READERS,
    PARQUET_READERS,
    written,
)

ODDITIES = json.loads((Path(__file__).parents[2] / "data" / "oddities.json").read_text(encoding="utf-8"))
CASES = [
    pytest.param(case, id=f"{category}: {case['about']}")
    for category, cases in ODDITIES.items()
    for case in cases
]
PUBLISHED = [case for cases in ODDITIES.values() for case in cases if "row" in case]
ABOUT_THE_ACCOUNT = {
    "username": "ObservatoryHill",
    "author_id": "42",
    "captured_at": pd.Timestamp("2026-11-19T01:30:07Z"),
}


def refined(*posts):
    """The one batch of one account."""
    source = refine.AccountPages("ObservatoryHill", "42", [Response.from_bytes(answer(*posts).to_bytes())])
    (batch,) = refine.refine_accounts([source], day=DAY, limit=0)
    return batch


def as_written(row):
    """A row's values as the data has them; an empty one is None."""
    return {
        name: value if isinstance(value, list) else None if pd.isna(value) else value
        for name, value in row.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_an_odd_post_becomes_the_row_that_is_written_beside_it(case):
    batch = refined(case["post"])
    (post_counts,) = batch.counts_by_account
    expected = []
    if "row" in case:
        url = f"https://x.com/ObservatoryHill/status/{case['row']['tweet_id']}"
        created_at = pd.Timestamp(case["row"]["created_at"])
        expected = [case["row"] | ABOUT_THE_ACCOUNT | {"url": url, "created_at": created_at}]
    assert [as_written(row) for row in batch.rows.to_dict("records")] == expected
    assert [item["reason"] for item in batch.rejected] == [case[key] for key in ("rejected",) if key in case]
    assert dict(post_counts.reasons) == ({case["rejected"]: 1} if "rejected" in case else {})
    assert post_counts.warnings == case.get("warnings", [])
    assert dict(post_counts.drift) == case.get("drift", {})
    assert {name: number for name, number in post_counts.counts.items() if number} == {
        "fetched": 1,
        "published" if "row" in case else "unrequested" if "unrequested" in case else "rejected": 1,
    }


# What readers get of them


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The files of a day on which all of them were posted."""
    posts = [case["post"] for cases in ODDITIES.values() for case in cases]
    return written(tmp_path_factory.mktemp("odd"), [("ObservatoryHill", posts)])


def in_csv(case):
    """The cells of a row, with its lists decoded."""

    def cell(value):
        match value:
            case None:
                return ""
            case bool():
                return "true" if value else "false"
            case int():
                return str(value)
        return value

    text = {"text": case.get("csv_text", case["row"]["text"])}
    return {name: cell(value) for name, value in (case["row"] | text).items()}


def decoded(row, names):
    lists = ("hashtags", "mentions", "cashtags", "urls")
    return {name: json.loads(row[name]) if name in lists else row[name] for name in names}


@pytest.mark.parametrize("reader", CSV_READERS)
def test_every_reader_of_the_csv_gets_the_odd_posts_as_they_are_to_be_read(day, reader):
    expected = [in_csv(case) for case in sorted(PUBLISHED, key=lambda case: case["row"]["tweet_id"])]
    assert [decoded(row, expected[0]) for row in reader(day.csv)] == expected


@pytest.mark.parametrize("reader", PARQUET_READERS)
def test_every_reader_of_parquet_gets_the_odd_posts_as_they_were_written(day, reader):
    rows = [row | {"created_at": row["created_at"].strftime(MOMENTS)} for row in reader(day.parquet)]
    expected = [case["row"] for case in sorted(PUBLISHED, key=lambda case: case["row"]["tweet_id"])]
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected


# Links and long posts


def only(**changes):
    (row,) = refined(post(**changes)).rows.to_dict("records")
    return row


@pytest.mark.parametrize(
    ("before", "read"),
    [
        ("𝔘𝔫𝔦 ", "𝔘𝔫𝔦 "),
        ("👩\u200d🚀🇩🇪👍🏽 ", "👩\u200d🚀🇩🇪👍🏽 "),
        ("e\u0301 ", "e\u0301 "),
        ("&amp;&lt;&gt;&amp;amp; ", "&<>&amp; "),
        ("👍&amp;👍&lt;👍&amp;gt; ", "👍&👍<👍&gt; "),
        ("\u2066@a\u2069\u202e ", "\u2066@a\u2069\u202e "),
        ("\n\u2028\r\n ", "\n\u2028\r\n "),
        ("half \ud83d ", "half \ufffd "),
    ],
)
def test_offsets_hold_whatever_stands_before_the_link(before, read):
    text = f"{before}https://t.co/abc &amp; https://t.co/def after"
    entities = [
        link(text, "https://t.co/abc", expanded_url="https://a.example"),
        link(text, "https://t.co/def", expanded_url="https://b.example/?x&amp;y"),
    ]
    for changes in (
        {"text": text, "entities": {"urls": entities}},
        {"text": "cut…", "note_tweet": {"text": text, "entities": {"urls": entities}}},
        {"text": "cut…", "note_post": {"text": text, "entities": {"urls": entities}}},
    ):
        row = only(**changes)
        assert row["text"] == f"{read}https://a.example & https://b.example/?x&amp;y after"
        assert row["urls"] == ["https://a.example", "https://b.example/?x&amp;y"]


# What is counted beside the rows


def cut(number=1, **changes):
    """A long post whose whole text X did not send."""
    text = "Cut… https://t.co/own"
    own = f"https://x.com/i/web/status/19900000000000000{number:02}"
    return (
        post(number, text=text, entities={"urls": [link(text, "https://t.co/own", expanded_url=own)]})
        | changes
    )


def warnings(*posts, limit=0):
    source = refine.AccountPages("ObservatoryHill", "42", [answer(*posts, received_at=RECEIVED)])
    (batch,) = refine.refine_accounts([source], day=DAY, limit=limit)
    (post_counts,) = batch.counts_by_account
    return post_counts.warnings


ALARM = "1990000000000000001: a long post, cut: its whole text did not arrive"


def test_a_cut_post_that_is_published_raises_an_alarm():
    assert warnings(cut(1), post(2)) == [ALARM]


def test_a_cut_post_that_came_whole_when_it_was_read_again_raises_no_alarm():
    assert warnings(cut(1), cut(1, note_tweet={"text": "whole"})) == []


@pytest.mark.parametrize(
    "posts",
    [
        [cut(1, created_at="2026-11-19T00:00:00.000Z")],
        [cut(1, author_id="43")],
        [cut(1), post(2)],
    ],
    ids=["outside the day", "rejected", "over the limit"],
)
def test_a_cut_post_that_is_not_published_raises_no_alarm(posts):
    assert warnings(*posts, limit=1) == []
