"""Posts that are odd in the ways in which X's own have been seen to be, invented: data/oddities.json.

They have the form of real posts, some in the words of August 2026 (`note_post`, `repost_count`), some as
tools save them that answers may have gone through. Every value that is expected is written there by hand.
"""

import json
from pathlib import Path

import pandas as pd
import pytest

from include.twitter.response import Response
from tests.include.factories import link, make_response, post
from tests.include.transform.promised import added
from tests.include.transform.refined import refined, row

SPECIAL_CASES = json.loads((Path(__file__).parents[2] / "data" / "oddities.json").read_text(encoding="utf-8"))
CASES = [
    pytest.param(case, id=f"{category}: {case['about']}")
    for category, cases in SPECIAL_CASES.items()
    for case in cases
]
ABOUT_THE_ACCOUNT = {
    "username": "ObservatoryHill",
    "author_id": "42",
    "captured_at": pd.Timestamp("2026-11-19T01:30:07Z"),
}


def as_written(row):
    """A row's values as the data has them; an empty one is None."""
    return {
        name: value if isinstance(value, list) else None if pd.isna(value) else value
        for name, value in row.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_an_odd_post_becomes_the_row_that_is_written_beside_it(case):
    page = Response.from_bytes(make_response(case["post"]).to_bytes())
    batch = refined(responses=[page])
    expected = []
    if "row" in case:
        url = f"https://x.com/ObservatoryHill/status/{case['row']['tweet_id']}"
        created_at = pd.Timestamp(case["row"]["created_at"])
        expected = [added() | case["row"] | ABOUT_THE_ACCOUNT | {"url": url, "created_at": created_at}]
    assert [as_written(record) for record in batch.records] == expected
    assert batch.reasons == ({case["rejected"]: 1} if "rejected" in case else {})
    assert batch.warnings == case.get("warnings", [])
    assert batch.drift == case.get("drift", {})
    fate = "published" if "row" in case else "unrequested" if "unrequested" in case else "rejected"
    assert batch.fates == {"fetched": 1, fate: 1}


# Links and long posts


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
        only = row(**changes)
        assert only["text"] == f"{read}https://a.example & https://b.example/?x&amp;y after"
        assert only["urls"] == ["https://a.example", "https://b.example/?x&amp;y"]


# What is counted beside the rows


def cut(number=1, **changes):
    """A long post whose whole text X did not send."""
    text = "Cut… https://t.co/own"
    own = f"https://x.com/i/web/status/19900000000000000{number:02}"
    return (
        post(number, text=text, entities={"urls": [link(text, "https://t.co/own", expanded_url=own)]})
        | changes
    )


CUT_WARNING = "1990000000000000001: a long post, cut: its whole text did not arrive"


@pytest.mark.parametrize(
    ("posts", "warnings"),
    [
        ([cut(1)], [CUT_WARNING]),
        ([cut(1), cut(1, note_tweet={"text": "whole"})], []),
        ([cut(1, created_at="2026-11-19T00:00:00.000Z")], []),
        ([cut(1, author_id="43")], []),
        ([cut(1), post(2)], []),
    ],
    ids=["published", "read again, whole", "outside the day", "rejected", "over the limit"],
)
def test_a_cut_post_has_a_warning_if_it_is_published(posts, warnings):
    assert refined(*posts, limit=1).warnings == warnings
