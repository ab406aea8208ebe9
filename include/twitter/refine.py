"""Raw answers → the refined rows of one account: one pass over each post, then whole columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pandas as pd

from include.twitter import contract
from include.twitter.answer import Answer
from include.twitter.contract import METRICS
from include.twitter.day import Day
from include.twitter.post import Entities, Link, Malformed, Metrics, Post, parsed


@dataclass
class Refined:
    """What became of the posts fetched for one account."""

    rows: pd.DataFrame
    rejected: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """fetched = published + rejected + duplicates + outside + over_limit"""
    alarms: list[str] = field(default_factory=list)
    """What is published, but is not what it should be."""


def account(answers: Iterable[Answer], *, username: str, author_id: str, day: Day, limit: int) -> Refined:
    """Refine the answers of one account's walk; `limit` is the latest N of the day, 0 is all."""
    posts: list[Any] = []
    records: list[tuple[Any, ...]] = []
    reasons: dict[int, str] = {}
    alarms: list[str] = []
    for answer in answers:
        captured_at = answer.received_at
        for raw in answer.posts:
            try:
                post = parsed(raw)
                records.append((len(posts), captured_at, *record(post)))
                if post.is_cut:
                    alarms.append(f"{post.id}: a long post, cut: its whole text did not arrive")
            except Malformed as reason:
                reasons[len(posts)] = str(reason)
            posts.append(raw)

    counts = Counter(fetched=len(posts))
    rows = (
        # As objects: a whole column of integers with one missing would turn into floats.
        pd.DataFrame(records, columns=["post", "captured_at", *RECORD], dtype=object)
        .set_index("post")
        .pipe(typed, username)
        .pipe(dated, reasons)
        .pipe(within, day, counts)
        .pipe(latest_versions, counts)
        .pipe(latest_posts, limit, counts)
        .loc[:, contract.NAMES]
    )
    breaches = contract.breaches(rows, day, author_id)
    reasons |= breaches
    rows = rows.drop(index=list(breaches)).sort_values(["created_at", "tweet_id"], kind="stable")
    rejected = [{"username": username, "reason": reasons[i], "post": posts[i]} for i in sorted(reasons)]
    counts.update(rejected=len(rejected), published=len(rows))
    return Refined(rows, rejected, counts, alarms)


# One post

RECORD = (
    "tweet_id",
    "created_at",
    "text",
    *METRICS,
    "lang",
    "is_quote",
    "hashtags",
    "mentions",
    "urls",
    "author_id",
    "conversation_id",
    "original_tweet_id",
    "is_edited",
    "possibly_sensitive",
)


def record(post: Post) -> tuple[Any, ...]:
    """The values of RECORD for one post."""
    source = post.note or post  # the note of a long post has entities of its own
    entities = source.entities or Entities()
    text, urls = readable(source.text, entities.urls or ())
    metrics = post.public_metrics or Metrics()
    return (
        post.id,
        post.created_at,
        text,
        metrics.like_count,
        metrics.retweet_count if metrics.retweet_count is not None else metrics.repost_count,
        metrics.reply_count,
        metrics.quote_count,
        metrics.bookmark_count,
        metrics.impression_count,
        post.lang,
        any(reference.type == "quoted" for reference in post.references),
        [hashtag.tag for hashtag in entities.hashtags or ()],
        [mention.username for mention in entities.mentions or ()],
        urls,
        post.author_id,
        post.conversation_id,
        post.original_id,
        post.original_id != post.id,
        post.possibly_sensitive,
    )


def readable(text: str, links: Iterable[Link]) -> tuple[str, list[str]]:
    """The text as people read it, and its links.

    Entity offsets count code points of the text as X escaped it: links are put in first, and `&amp;` and
    its like are resolved after, piece by piece. X's own link to attached media, at the end, is taken out.
    """
    pieces: list[str] = []
    urls: list[str] = []
    at = 0
    for link in sorted(links, key=lambda link: link.start):
        if link.start < at or text[link.start : link.end] != link.url:
            continue  # X has been seen to repeat an entity, and to miscount
        before = unescape(text[at : link.start])
        at = link.end
        if link.media_key and not text[at:].strip():
            pieces.append(before.rstrip())
            at = len(text)
            continue
        expanded = link.unwound_url or link.expanded_url or link.url
        pieces += [before, expanded]
        if not link.media_key:
            urls.append(expanded)
    pieces.append(unescape(text[at:]))
    return "".join(pieces), urls


# Whole columns


def typed(rows: pd.DataFrame, username: str) -> pd.DataFrame:
    """The contract's types; a creation time that is none becomes missing."""
    rows = rows.assign(
        created_at=pd.to_datetime(rows["created_at"], format="ISO8601", utc=True, errors="coerce"),
        captured_at=pd.to_datetime(rows["captured_at"], utc=True),
        username=username,
        url=f"https://x.com/{username}/status/" + rows["tweet_id"].astype("string"),
    )
    return rows.astype({column.name: column.kind.pandas for column in contract.COLUMNS})


def dated(rows: pd.DataFrame, reasons: dict[int, str]) -> pd.DataFrame:
    """Without the posts that belong to no day: they are rejected."""
    undated = rows["created_at"].isna()
    reasons.update(dict.fromkeys(rows.index[undated], "created_at: is no time"))
    return rows[~undated]


def within(rows: pd.DataFrame, day: Day, counts: Counter[str]) -> pd.DataFrame:
    """The day's own: X's window is inclusive at both ends."""
    inside = (rows["created_at"] >= day.start) & (rows["created_at"] < day.end)
    counts["outside"] += int((~inside).sum())
    return rows[inside]


def latest_versions(rows: pd.DataFrame, counts: Counter[str]) -> pd.DataFrame:
    """Each post once, as its latest edit: every version comes as a post of its own."""
    latest = rows.sort_values(["created_at", "tweet_id"], kind="stable").drop_duplicates(
        "original_tweet_id", keep="last"
    )
    counts["duplicates"] += len(rows) - len(latest)
    return latest


def latest_posts(rows: pd.DataFrame, limit: int, counts: Counter[str]) -> pd.DataFrame:
    """The last N of rows in order of time."""
    if not limit:
        return rows
    counts["over_limit"] += max(len(rows) - limit, 0)
    return rows.tail(limit)
