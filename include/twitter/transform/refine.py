"""Raw answers → refined rows: one pass over each post, then whole columns.

Accounts are refined in batches of some thousand posts, since the work on columns costs the same for ten rows
as for a thousand; memory holds one batch, or one account where that is larger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from include.twitter.answer import Answer, decoded, is_reply_to_self, is_unasked
from include.twitter.day import Day
from include.twitter.forgotten import NOTHING, Tombstones, buried
from include.twitter.records import Tombstone
from include.twitter.transform import contract
from include.twitter.transform.contract import METRICS
from include.twitter.transform.post import Malformed, Metrics, Post, parsed, unknown_fields
from include.twitter.transform.text import readable

BATCH = 5_000
"""Posts after which a batch is closed."""


@dataclass(frozen=True)
class Source:
    """The answers bought for one account."""

    username: str
    author_id: str | None
    answers: Iterable[Answer]
    threads: bool = False
    """Whether its replies to itself are wanted too."""
    limit: int | None = None
    """The latest N of its day, where that is another than the others'."""


@dataclass
class Tally:
    """What became of the posts fetched for one account."""

    username: str
    counts: Counter[str]
    """fetched = published + rejected + duplicates + outside + over_limit + unasked + forgotten"""
    alarms: list[str] = field(default_factory=list)
    """What is published, but is not what it should be."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Of the rejected posts."""
    oddities: Counter[str] = field(default_factory=Counter)
    """What was left out of the others, since it was not as it has to be."""
    drift: Counter[str] = field(default_factory=Counter)
    """Fields that X sent and nobody knows."""
    forgotten: set[Tombstone] = field(default_factory=set)
    """Of the posts that would be published or rejected."""
    first: str | None = None
    last: str | None = None


@dataclass
class Refined:
    """A batch: the rows of its accounts, in order."""

    rows: pd.DataFrame
    rejected: list[dict[str, Any]]
    tallies: list[Tally]


def batches(
    sources: Iterable[Source], *, day: Day, limit: int, forgotten: Tombstones = NOTHING
) -> Iterator[Refined]:
    """Refine the accounts in the order given; `limit` is the latest N of an account's day, 0 is all."""
    batch = _Batch(forgotten)
    for source in sources:
        batch.read(source)
        if len(batch.posts) >= BATCH:
            yield batch.refined(day, limit)
            batch = _Batch(forgotten)
    if batch.tallies:
        yield batch.refined(day, limit)


class _Batch:
    """The posts of some accounts, read one by one and refined together.

    A forgotten post goes all the way, as an empty one, and is left out at the end: no other takes its place.
    """

    def __init__(self, forgotten: Tombstones) -> None:
        self._tombstones = forgotten
        self._forgotten: dict[int, Tombstone] = {}
        self.tallies: list[Tally] = []
        self.posts: list[msgspec.Raw] = []
        self._owners: list[int] = []
        self._limits: list[int | None] = []
        self._records: list[tuple[Any, ...]] = []
        self._reasons: dict[int, str] = {}
        self._alarms: dict[int, str] = {}

    def read(self, source: Source) -> None:
        """The one pass over each post."""
        owner = len(self.tallies)
        tally = Tally(source.username, Counter())
        self.tallies.append(tally)
        self._limits.append(source.limit)
        for answer in source.answers:
            about = (owner, source.author_id, source.username, answer.received_at)
            is_shared = len(answer.asked_ids) > 1
            for sent in answer.sent:
                number = len(self.posts)
                raw = decoded(sent)
                if is_shared and raw.get("author_id") != source.author_id:
                    continue  # a page of several accounts: it is another's
                if tombstone := self._tombstones.of_post(raw):
                    self._forgotten[number] = tombstone
                    raw = buried(raw, tombstone, text="")
                self.posts.append(sent)
                self._owners.append(owner)
                if is_unasked(raw) and not (source.threads and is_reply_to_self(raw)):
                    tally.counts["unasked"] += 1
                    continue
                try:
                    post = parsed(raw, tally.oddities)
                except Malformed as reason:
                    self._reasons[number] = str(reason)
                    continue
                values, alarm = record(post)
                self._records.append((number, *about, *values))
                if alarm:
                    self._alarms[number] = f"{post.id}: {alarm}"
                if not tombstone and (unknown := unknown_fields(raw)):
                    tally.drift.update(unknown)

    def refined(self, day: Day, limit: int) -> Refined:
        """The work on whole columns."""
        # As objects: a whole column of integers with one missing would turn into floats.
        rows = pd.DataFrame(self._records, columns=["post", *ABOUT, *RECORD], dtype=object).set_index("post")
        rows = typed(rows).pipe(self._dated)
        limits = [limit if own is None else own for own in self._limits]
        dropped = {}
        for name, step in (
            ("outside", lambda rows: within(rows, day)),
            ("breaches", lambda rows: self._sound(rows, day)),
            ("duplicates", latest_versions),
            ("over_limit", lambda rows: latest_posts(rows, limits)),
            ("forgotten", self._remembered),
        ):
            before, rows = rows, step(rows)
            dropped[name] = self._each(before["owner"]) - self._each(rows["owner"])
        del dropped["breaches"]  # they are rejected, as the malformed are
        dropped["published"] = self._each(rows["owner"])
        dropped["fetched"] = self._each(self._owners)
        for owner, tally in enumerate(self.tallies):
            tally.counts.update({name: int(numbers[owner]) for name, numbers in dropped.items()})
        for number in self._forgotten.keys() & self._reasons.keys():
            del self._reasons[number]
            self._forget(number)
            self.tallies[self._owners[number]].counts["forgotten"] += 1
        for number in self._repeated_rejects():
            del self._reasons[number]
            self.tallies[self._owners[number]].counts["duplicates"] += 1
        for number, reason in self._reasons.items():
            self.tallies[self._owners[number]].counts["rejected"] += 1
            self.tallies[self._owners[number]].reasons[reason] += 1
        for number in sorted(self._alarms.keys() & set(rows.index)):
            self.tallies[self._owners[number]].alarms.append(self._alarms[number])
        spans = rows.groupby("owner")["created_at"].agg(["min", "max"])
        for owner, first, last in spans.itertuples():
            tally = self.tallies[owner]
            tally.first, tally.last = first.strftime(contract.MOMENTS), last.strftime(contract.MOMENTS)
        return Refined(rows[contract.NAMES], [self._rejected(n) for n in sorted(self._reasons)], self.tallies)

    def _dated(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Without the posts that belong to no day: they are rejected."""
        undated = rows["created_at"].isna()
        self._reasons.update(dict.fromkeys(rows.index[undated], "created_at: is no time"))
        return rows[~undated]

    def _sound(self, rows: pd.DataFrame, day: Day) -> pd.DataFrame:
        """Without the posts that break the contract: they take no place of a good one.

        What may be empty is emptied where it breaks it, and an odd first version is none.
        """
        breaches = contract.breaches(rows[contract.NAMES], day, rows["own_id"])
        mends = contract.OPTIONAL | {"original_tweet_id"}
        broken = {row: f"{column}: {what}" for row, column, what in breaches[::-1] if column not in mends}
        self._reasons |= broken
        rows = rows.drop(index=list(broken)) if breaches else rows
        for row, column, what in breaches:
            if row in broken:
                continue
            self.tallies[self._owners[row]].oddities[f"{column}: {what}"] += 1
            if column in contract.OPTIONAL:
                rows.loc[row, column] = pd.NA
            else:
                rows.loc[row, ["original_tweet_id", "is_edited"]] = rows.loc[row, "tweet_id"], False
        return rows

    def _remembered(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Without what was forgotten."""
        forgotten = rows.index[rows.index.isin(self._forgotten.keys())]
        for number in forgotten:
            self._forget(number)
        return rows.drop(index=forgotten)

    def _forget(self, number: int) -> None:
        self.tallies[self._owners[number]].forgotten.add(self._forgotten[number])

    def _repeated_rejects(self) -> list[int]:
        """Those of the rejected whose post is rejected already: it came twice, as good ones do."""
        seen: set[tuple[int, str]] = set()
        repeated = []
        for number in sorted(self._reasons):
            post = decoded(self.posts[number])
            if isinstance(post, dict) and isinstance(post.get("id"), str):
                name = self._owners[number], post["id"]
                repeated += [number] if name in seen else []
                seen.add(name)
        return repeated

    def _each(self, owners: Iterable[int]) -> Any:
        """How many of each account."""
        return np.bincount(np.asarray(owners, dtype="int64"), minlength=len(self.tallies))

    def _rejected(self, number: int) -> dict[str, Any]:
        username = self.tallies[self._owners[number]].username
        return {"username": username, "reason": self._reasons[number], "post": decoded(self.posts[number])}


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
    "cashtags",
    "urls",
    "author_id",
    "conversation_id",
    "original_tweet_id",
    "possibly_sensitive",
)


def record(post: Post) -> tuple[tuple[Any, ...], str | None]:
    """The values of RECORD for one post, and why its text is not the author's whole one, where it is not."""
    written, entities = post.written
    text, urls, alarm = readable(post, written, list(entities.urls or ()))
    values = (
        post.id,
        post.created_at,
        text.replace("\0", "\ufffd"),  # what reads C strings would take it for the end
        *(post.public_metrics or Metrics()).counts,
        post.lang,
        bool(post.references) and any(reference.type == "quoted" for reference in post.references),
        [hashtag.tag for hashtag in entities.hashtags or ()],
        [mention.username for mention in entities.mentions or ()],
        [cashtag.tag for cashtag in entities.cashtags or ()],
        urls,
        post.author_id,
        post.conversation_id,
        post.original_id,
        post.possibly_sensitive,
    )
    return values, alarm


# Whole columns

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
"""What X sends; pandas would also take `now`, and read a day without a time as its midnight."""
ABOUT = ("owner", "own_id", "username", "captured_at")


def typed(rows: pd.DataFrame) -> pd.DataFrame:
    """The contract's types; a creation time that is none becomes missing."""
    created_at = rows["created_at"].astype("string")
    rows = rows.assign(
        owner=rows["owner"].astype("int64"),
        created_at=pd.to_datetime(
            created_at.where(created_at.str.fullmatch(TIME)), format="ISO8601", utc=True, errors="coerce"
        ),
        captured_at=pd.to_datetime(rows["captured_at"], utc=True),
        is_edited=rows["original_tweet_id"] != rows["tweet_id"],
        url="https://x.com/"
        + rows["username"].astype("string")
        + "/status/"
        + rows["tweet_id"].astype("string"),
    )
    return rows.astype({column.name: column.kind.pandas for column in contract.COLUMNS})


def within(rows: pd.DataFrame, day: Day) -> pd.DataFrame:
    """The day's own: X's window is inclusive at both ends."""
    return rows[(rows["created_at"] >= day.start) & (rows["created_at"] < day.end)]


def latest_versions(rows: pd.DataFrame) -> pd.DataFrame:
    """Each post once, as its latest edit, in order: every version comes as a post of its own."""
    ordered = rows.sort_values(["owner", "created_at", "tweet_id"], kind="stable")
    once = ordered.drop_duplicates(["owner", "tweet_id"], keep="last")
    return once.drop_duplicates(["owner", "original_tweet_id"], keep="last")


def latest_posts(rows: pd.DataFrame, limits: Sequence[int]) -> pd.DataFrame:
    """The last N rows of each account, by its owner's number; 0 is all."""
    most = rows["owner"].map({owner: limit or len(rows) for owner, limit in enumerate(limits)})
    return rows[rows.groupby("owner").cumcount(ascending=False) < most]
