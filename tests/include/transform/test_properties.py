"""What holds for every post there can be: generated accounts, refined, written, and read by all readers."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.twitter.response import Response
from include.twitter.transform import refine
from include.twitter.transform.decode import FIELDS
from include.twitter.transform.receipt import FATES
from tests.include.factories import DAY, RECEIVED, in_post_words, make_response, post
from tests.include.transform.promised import PROMISED, added
from tests.include.transform.refined import refined, written
from tests.include.transform.test_contract import CSV_READERS, PARQUET_READERS

pytestmark = pytest.mark.slow

METRICS = {
    "likes": "like_count",
    "retweets": "retweet_count",
    "replies": "reply_count",
    "quotes": "quote_count",
    "bookmarks": "bookmark_count",
    "impressions": "impression_count",
}
LISTS = [column.name for column in PROMISED.values() if column.athena == "array<string>"]
TAGS = ["hashtags", "mentions", "cashtags", "urls"]
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


# What is generated

HARD = [
    *('"', '""', ',"', "\\", '\\"', "'", ",", ";", "\t", "|", " "),
    *("\n", "\r", "\r\n", "\n\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"),
    *("\0", "\x1a", "\x7f", "\ufeff", "\u200b", "\u202e", "\ufffd", "👩‍🚀", "𝔘", "e\u0301"),
    *("=1+1", "+1", "-1", "@a", "\t=1", "NA", "nan", "null", "None", "\\N", "007", "1e5", "true", "#"),
    *("&amp;", "&lt;", "&gt;", "&amp;lt;", "&", "<b>", "[]", '["a"]'),
]
texts = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(HARD), max_size=6
).map("".join)
ids = st.integers(1, 10**19 - 1).map(str)
pools = st.builds(
    lambda first, step: map(str, range(first, 10**19, step)), st.integers(1, 10**18), st.integers(1, 10**17)
)
"""Ids that nobody else has, of one to nineteen digits."""
counts = st.integers(0, 100) | st.integers(0, 2**63 - 1)
seconds = st.integers(0, 86_399)
some_seconds = st.one_of(seconds, seconds, seconds, st.integers(-3, -1), st.integers(86_400, 86_403))
"""Of the day, and now and then of the day before or after."""


@dataclass
class Case:
    """A post as X sends it, and what is to be read of it."""

    sent: dict[str, Any]
    second: int
    row: dict[str, Any]


@dataclass
class Walk:
    """The pages of one account."""

    username: str
    author_id: str
    pages: list[tuple[datetime, list[Case]]]

    @property
    def source(self) -> refine.AccountPages:
        responses = [make_response(*(case.sent for case in page), received_at=at) for at, page in self.pages]
        return refine.AccountPages(
            self.username, self.author_id, [Response.from_bytes(a.to_bytes()) for a in responses]
        )


def at_second(second: int) -> datetime:
    return DAY.start + timedelta(seconds=second)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A text with its entities, as X sends them and as they are to be read."""
    before, after = draw(texts), draw(texts)
    if not draw(st.booleans()):
        nothing: dict[str, Any] = draw(st.sampled_from([{}, {"entities": {}}]))
        return {"text": before} | nothing, {
            "text": unescape(before).replace("\0", "\ufffd"),
            **{name: [] for name in TAGS},
        }
    text = f"{before} https://t.co/link {after}"
    start = len(before) + 1
    expanded = f"https://sky.example/{draw(texts)}".replace("\0", "")
    tags = {name: draw(st.lists(texts, max_size=2)) for name in ("hashtags", "mentions", "cashtags")}
    link = {"start": start, "end": start + 17, "url": "https://t.co/link", "expanded_url": expanded}
    entities = {
        "urls": [link],
        "hashtags": [{"tag": tag} for tag in tags["hashtags"]],
        "mentions": [{"username": name} for name in tags["mentions"]],
        "cashtags": [{"tag": tag} for tag in tags["cashtags"]],
    }
    tags = {name: [tag for tag in some if tag] for name, some in tags.items()}  # one without a name is none
    read = f"{unescape(before + ' ')}{expanded}{unescape(' ' + after)}".replace("\0", "\ufffd")
    return {"text": text, "entities": entities}, {"text": read, "urls": [expanded], **tags}


@st.composite
def cases(draw: st.DrawFn, own: list[str], number: int, author_id: str) -> Case:
    """Version `number` of the post that has the ids `own`, one for each of its versions."""
    body, read = draw(bodies())
    metrics = draw(st.none() | st.dictionaries(st.sampled_from(sorted(METRICS)), counts))
    conversation = draw(st.none() | ids)
    lang = draw(st.sampled_from([None, "en", "und", "zxx", "qme"]))
    sensitive = draw(st.sampled_from([None, True, False]))
    second = draw(some_seconds)
    quotes = draw(st.booleans())
    id_ = own[number]
    sent = {
        "id": id_,
        "created_at": f"{at_second(second):%Y-%m-%dT%H:%M:%S}.000Z",
        "author_id": author_id,
        "edit_history_tweet_ids": own if len(own) > 1 else draw(st.sampled_from([own, [], None])),
        "conversation_id": conversation,
        "lang": lang,
        "possibly_sensitive": sensitive,
        "public_metrics": None if metrics is None else {METRICS[name]: n for name, n in metrics.items()},
        "referenced_tweets": [{"type": "quoted", "id": "7"}] if quotes else None,
    }
    if draw(st.booleans()) or not body["text"]:
        sent |= body
    else:
        sent |= {"text": "A long post, cut…", "entities": {"hashtags": [{"tag": "cut"}]}, "note_tweet": body}
    sent = {name: value for name, value in sent.items() if value is not None}
    row = {
        "tweet_id": id_,
        "created_at": at_second(second),
        "author_id": author_id,
        **read,
        **{name: (metrics or {}).get(name) for name in METRICS},
        "lang": lang,
        "is_quote": quotes,
        "conversation_id": conversation,
        "original_tweet_id": own[0],
        "is_edited": len(own) > 1,
        "possibly_sensitive": sensitive,
        **added(quoted_tweet_id="7" if quotes else None),
    }
    return Case(sent, second, row)


@st.composite
def walks(draw: st.DrawFn) -> list[Walk]:
    """One to three accounts: posts with their edits, some of them twice, over some pages, in any order."""
    accounts = draw(st.integers(1, 3))
    posts = [draw(st.lists(st.integers(1, 2), max_size=3)) for _ in range(accounts)]
    pool = draw(pools)
    walked = []
    for number, versions in enumerate(posts):
        username, author_id = f"account_{number}", str(40 + number)
        sent: list[Case] = []
        for several in versions:
            own = [next(pool) for _ in range(several)]
            sent += [draw(cases(own, version, author_id)) for version in range(several)]
        again = draw(st.lists(st.sampled_from(sent), max_size=2)) if sent else []
        sent = draw(st.permutations([*sent, *again]))
        if draw(st.booleans()):
            sent = [Case(in_post_words(case.sent), case.second, case.row) for case in sent]
        cut = draw(st.integers(0, len(sent)))
        pages = [(RECEIVED, sent[:cut]), (RECEIVED + timedelta(minutes=1), sent[cut:])]
        walked.append(Walk(username, author_id, pages))
    return walked


# The expected rows and counts


def expected(walk: Walk, limit: int) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows and the counts of one account, found in another way than the pipeline's."""
    latest: dict[str, tuple[int, str, dict[str, Any]]] = {}
    fetched = outside = 0
    for received, page in walk.pages:
        for case in page:
            fetched += 1
            if not 0 <= case.second < 86_400:
                outside += 1
                continue
            row = case.row | {
                "username": walk.username,
                "url": f"https://x.com/{walk.username}/status/{case.row['tweet_id']}",
                "captured_at": received,
            }
            version = (case.second, row["tweet_id"], row)
            known = latest.get(row["original_tweet_id"])
            if known is None or version[:2] >= known[:2]:
                latest[row["original_tweet_id"]] = version
    rows = [row for *_, row in sorted(latest.values(), key=lambda version: version[:2])]
    published = rows[-limit:] if limit else rows
    return published, {
        "fetched": fetched,
        "published": len(published),
        "rejected": 0,
        "duplicates": fetched - outside - len(rows),
        "outside": outside,
        "over_limit": len(rows) - len(published),
    }


def in_csv(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the CSV has it, its lists decoded."""
    cells: dict[str, Any] = {}
    for name, value in row.items():
        if name in LISTS:
            cells[name] = value
        elif value is None:
            cells[name] = ""
        elif isinstance(value, bool):
            cells[name] = "true" if value else "false"
        elif isinstance(value, datetime):
            cells[name] = value.strftime(MOMENT)
        else:
            cells[name] = str(value)
    cells["text"] = re.sub(r"[\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029]+", " ", row["text"])
    return cells


def lists_decoded(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {name: json.loads(row[name]) for name in LISTS} for row in rows]


# Refining and writing


def batches_of(sources: list[refine.AccountPages], limit: int = 0) -> list[refine.Refined]:
    return list(refine.refine_accounts(sources, day=DAY, limit=limit))


@given(walks(), st.sampled_from([0, 0, 1, 2]))
def test_every_reader_of_both_files_gives_the_rows_that_were_posted_and_every_post_is_counted(walked, limit):
    batches = batches_of([walk.source for walk in walked], limit)
    accounts = {walk.username: expected(walk, limit) for walk in walked}
    rows = [row for account_rows, _ in accounts.values() for row in account_rows]
    counts = {account.username: account.counts for batch in batches for account in batch.counts_by_account}
    assert counts == {username: Counter(numbers) for username, (_, numbers) in accounts.items()}
    with TemporaryDirectory() as folder:
        day = written(Path(folder), *batches)
        for reader in CSV_READERS:
            assert lists_decoded(reader(day.csv)) == [in_csv(row) for row in rows], reader.__name__
        for reader in PARQUET_READERS:
            assert reader(day.parquet) == rows, reader.__name__


@given(walks())
def test_accounts_refined_together_come_out_as_they_do_one_by_one(walked):
    together = batches_of([walk.source for walk in walked])
    apart = [batch for walk in walked for batch in batches_of([walk.source])]
    assert [account for batch in together for account in batch.counts_by_account] == [
        account for batch in apart for account in batch.counts_by_account
    ]
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        day, same = written(Path(one), *together), written(Path(other), *apart)
        assert day.csv.read_bytes() == same.csv.read_bytes()
        assert day.rejected.read_bytes() == same.rejected.read_bytes()
        assert pyarrow.parquet.read_table(day.parquet) == pyarrow.parquet.read_table(same.parquet)


# Anything at all in the place of a field

STRANGE_NAMES = st.text(max_size=3) | st.sampled_from([
    *("id", "text", "tag", "username", "start", "end", "url", "expanded_url", "type", "scope", "title"),
    *("hashtags", "mentions", "cashtags", "urls", "entities", "erased", "like_count"),
    *(" - at `$.id`", "a.b", "[0]", "x` - at `$.entities.urls[0]"),
])  # fmt: skip
STRANGE_LEAVES = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4)
    | st.sampled_from([2**63, 2**64, 10**60, 1.5, "https://t.co/a", "quoted", "replied_to", "42"])
)  # fmt: skip
STRANGE = st.recursive(
    STRANGE_LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRANGE_NAMES, inner, max_size=3),
    max_leaves=8,
)
STRANGE_POSTS = st.dictionaries(st.sampled_from(sorted({*FIELDS, "erased"})), STRANGE, max_size=5)
STRANGE_ERRORS = st.fixed_dictionaries(
    {"type": st.just("https://api.x.com/2/problems/field-hydration-failure")},
    optional={
        "field": st.sampled_from([*sorted(FIELDS), "entities.hashtags"]) | STRANGE,
        "resource_id": st.just("1990000000000000001") | STRANGE,
        "resource_type": STRANGE,
    },
)


@given(st.lists(STRANGE_POSTS, min_size=1, max_size=3), STRANGE, st.lists(STRANGE_ERRORS, max_size=2))
def test_whatever_stands_in_a_post_costs_at_most_that_post(changes, instead, errors):
    posts = [post(number) | changed for number, changed in enumerate(changes, 1)]
    page = make_response(*posts, instead, post(99), **({"errors": errors} if errors else {}))
    batch = refined(responses=[Response.from_bytes(page.to_bytes())])
    assert batch.counts["fetched"] == len(posts) + 2 == sum(batch.counts[name] for name in FATES[1:])
    assert post(99)["id"] in {row["tweet_id"] for row in batch.records}
    with TemporaryDirectory() as folder:
        written(Path(folder), batch.batch)
