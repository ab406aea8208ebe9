"""Raw answers → the refined rows of one account: one pass over each post, then whole columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import pandas as pd

from include.twitter import contract
from include.twitter.answer import Answer
from include.twitter.contract import METRICS
from include.twitter.day import Day

METRIC_NAMES = {
    "likes": ("like_count",),
    "retweets": ("retweet_count", "repost_count"),
    "replies": ("reply_count",),
    "quotes": ("quote_count",),
    "bookmarks": ("bookmark_count",),
    "impressions": ("impression_count",),
}
"""X's names for the metrics, in both of its vocabularies."""


class Malformed(Exception):
    """A post that cannot be a row; the message is the reason that stands in the rejected file."""


@dataclass
class Refined:
    """What became of the posts fetched for one account."""

    rows: pd.DataFrame
    rejected: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """fetched = published + rejected + duplicates + outside + over_limit"""


def account(answers: Iterable[Answer], *, username: str, author_id: str, day: Day, limit: int) -> Refined:
    """Refine the answers of one account's walk; `limit` is the latest N of the day, 0 is all."""
    posts: list[Any] = []
    records: list[tuple[Any, ...]] = []
    reasons: dict[int, str] = {}
    for answer in answers:
        captured_at = answer.received_at
        for post in answer.posts:
            try:
                records.append((len(posts), captured_at, *record(post)))
            except Malformed as reason:
                reasons[len(posts)] = str(reason)
            posts.append(post)

    counts = Counter(fetched=len(posts))
    rows = (
        pd.DataFrame.from_records(records, columns=["post", "captured_at", *RECORD], index="post")
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
    return Refined(rows, rejected, counts)


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


def record(post: Any) -> tuple[Any, ...]:
    """The values of RECORD for one post, in both of X's vocabularies."""
    if not isinstance(post, dict):
        raise Malformed("is no object")
    tweet_id = required(post, "id")
    note = post.get("note_tweet") or post.get("note_post") or {}
    entities = (note.get("entities") if note else post.get("entities")) or {}
    text, urls = readable(note.get("text") or required(post, "text"), entities.get("urls") or ())
    metrics = post.get("public_metrics") or {}
    references = post.get("referenced_tweets") or post.get("referenced_posts") or ()
    versions = post.get("edit_history_tweet_ids") or post.get("edit_history_post_ids") or (tweet_id,)
    return (
        tweet_id,
        required(post, "created_at"),
        text,
        *(metric(metrics, names) for names in METRIC_NAMES.values()),
        post.get("lang"),
        any(reference.get("type") == "quoted" for reference in references),
        [hashtag["tag"] for hashtag in entities.get("hashtags") or ()],
        [mention["username"] for mention in entities.get("mentions") or ()],
        urls,
        required(post, "author_id"),
        post.get("conversation_id"),
        versions[0],
        len(versions) > 1,
        post.get("possibly_sensitive"),
    )


def required(post: Mapping[str, Any], name: str) -> str:
    value = post.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name}: " + ("is missing" if value is None else f"is no text but {value!r}"))
    return value


def metric(metrics: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """A count, or None where X did not send it: missing is not 0."""
    for name in names:
        if (value := metrics.get(name)) is not None:
            if type(value) is not int:
                raise Malformed(f"{name}: is no whole number but {value!r}")
            return value
    return None


def readable(text: str, links: Iterable[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The text as people read it, and its links.

    Entity offsets count code points of the text as X escaped it: links are put in first, and `&amp;` and
    its like are resolved after, piece by piece. X's own link to attached media, at the end, is taken out.
    """
    pieces: list[str] = []
    urls: list[str] = []
    at = 0
    for link in sorted(links, key=lambda link: link["start"]):
        start, end = link["start"], link["end"]
        if start < at or text[start:end] != link["url"]:
            continue  # X has been seen to repeat an entity, and to miscount
        if "media_key" in link and not text[end:].strip():
            pieces.append(unescape(text[at:start]).rstrip())
            at = len(text)
            continue
        expanded = link.get("unwound_url") or link.get("expanded_url") or link["url"]
        pieces += [unescape(text[at:start]), expanded]
        at = end
        if "media_key" not in link:
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
