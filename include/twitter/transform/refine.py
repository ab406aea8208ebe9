"""X's responses → the rows of the refined table: one pass over the posts, then work on whole columns.

Accounts are refined in batches of some thousand posts: work on columns costs the same for ten rows as for
a thousand. Memory holds one batch, or one account if that is larger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from include.twitter.day import Day
from include.twitter.records import Tombstone
from include.twitter.response import Response, decode_json, is_reply_to_self, is_unrequested
from include.twitter.safe_text import safe_text
from include.twitter.tombstones import NO_TOMBSTONES, Tombstones, redacted_post
from include.twitter.transform import contract
from include.twitter.transform.contract import COLUMNS, MOMENT, STRING, Column
from include.twitter.transform.decode import (
    PATHS,
    READ_FIELDS,
    Malformed,
    cells_by_path,
    decoded_post,
    repaired_post,
    unknown_fields,
)
from include.twitter.transform.post import ENTITY_KINDS, Post
from include.twitter.transform.text import written_post

BATCH = 5_000
"""Posts after which a batch is closed."""
NOT_OWN = "author_id: is another author's, not the account's own"
UNFILLED = "X reports that it could not fill it"
READERS = [column.source for column in COLUMNS if callable(column.source)]
READ = [*PATHS, *(column for column in COLUMNS if callable(column.source))]
"""The columns in the order in which they are read."""
KEYS = ["owner", "created_at", "tweet_id", "original_tweet_id"]
"""What posts are ordered and compared by."""
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"
"""What X sends; pandas would also accept `now`, and read a day without a time as its midnight."""


@dataclass(frozen=True)
class AccountPages:
    """The responses bought for one account."""

    username: str
    author_id: str | None
    responses: Iterable[Response]
    threads: bool = False
    """Whether its replies to itself are wanted too."""
    limit: int | None = None
    """The latest N of its day, if that differs from the others'."""

    def owns(self, post: Any) -> bool:
        """Whether a post, decode_json or as JSON, is the account's own."""
        author_id = post.get("author_id") if isinstance(post, dict) else getattr(post, "author_id", None)
        return author_id is not None and author_id == self.author_id


@dataclass
class PostCounts:
    """What became of the posts fetched for one account."""

    username: str
    counts: Counter[str]
    """fetched = published + rejected + duplicates + outside + over_limit + unrequested + erased"""
    warnings: list[str] = field(default_factory=list)
    """Published posts that are not what they should be."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Of the rejected posts."""
    dropped_fields: Counter[str] = field(default_factory=Counter)
    """Values that were dropped from posts."""
    drift: Counter[str] = field(default_factory=Counter)
    """Fields that X raw_post and that are unknown."""
    erased: set[Tombstone] = field(default_factory=set)
    """Of the posts that would be published or rejected."""
    first: str | None = None
    last: str | None = None


@dataclass
class Refined:
    """A batch: the rows of its accounts, in order."""

    rows: pd.DataFrame
    rejected: list[dict[str, Any]]
    counts_by_account: list[PostCounts]


def refine_accounts(
    sources: Iterable[AccountPages], *, day: Day, limit: int, erased: Tombstones = NO_TOMBSTONES
) -> Iterator[Refined]:
    """Refine the accounts in the order given; `limit` is the latest N of an account's day, 0 is all."""
    batch = _Batch(erased)
    for account in sources:
        batch.add(account)
        if len(batch.posts) >= BATCH:
            yield batch.refined(day, limit)
            batch = _Batch(erased)
    if batch.counts_by_account:
        yield batch.refined(day, limit)


class _Batch:
    """The posts of some accounts. A post is known by its number, its place in `posts`.

    An erased post takes part in every step as an empty one and is left out at the end, so no other post takes
    its place.
    """

    def __init__(self, tombstones: Tombstones) -> None:
        self._erased = tombstones
        self.counts_by_account: list[PostCounts] = []
        self.posts: list[msgspec.Raw] = []
        self._limits: list[int | None] = []
        self._rows: list[tuple[Any, ...]] = []
        """Of each post the number of its account, whether it is the account's own, its fate and reason if
        these are known already, and its cells."""
        self._warnings: dict[int, str] = {}
        self._unfilled: dict[int, set[str]] = {}
        self._tombstones: dict[int, Tombstone] = {}

    def add(self, account: AccountPages) -> None:
        """The one pass over the posts of an account."""
        self.counts_by_account.append(PostCounts(account.username, Counter()))
        self._limits.append(account.limit)
        for response in account.responses:
            for raw in response.raw_posts:
                self._add(raw, decoded_post(raw), account, response)

    def _add(self, raw: msgspec.Raw, post: Post | None, account: AccountPages, response: Response) -> None:
        number, owner = len(self.posts), len(self.counts_by_account) - 1
        self.posts.append(raw)
        raw_post, fate, reason = None, None, None
        if post is None or self._erased.erasures or response.has_unfilled or post.refers_otherwise:
            raw_post = decode_json(raw)
            post, fate, reason = self._examined(number, raw_post, account, response)
        if post:
            unfilled = self._unfilled.get(number, ())
            cells, warning = record(post, account.username, response.received_at, unfilled)
            if warning:
                self._warnings[number] = f"{safe_text(post.id, 40)}: {warning}"
        else:
            id_ = raw_post.get("id") if isinstance(raw_post, dict) else None
            cells = [id_ if column.name == "tweet_id" and isinstance(id_, str) else None for column in READ]
        self._rows.append((owner, account.owns(post or raw_post), fate, reason, *cells))

    def _examined(
        self, number: int, raw_post: Any, account: AccountPages, response: Response
    ) -> tuple[Post | None, str | None, str | None]:
        """A post that is not as expected, or may be erased or unrequested; else its fate and the reason."""
        if tombstone := self._erased.of_post(raw_post):
            self._tombstones[number] = tombstone
            raw_post = redacted_post(raw_post, tombstone, text="")
        elif unfilled := response.unfilled_of(raw_post):
            self._unfilled[number] = unfilled
        is_thread = account.threads and isinstance(raw_post, dict) and is_reply_to_self(raw_post)
        if is_unrequested(raw_post, self._unfilled.get(number, ())) and not is_thread:
            return None, "unrequested", None
        unknown = unknown_fields(raw_post) if isinstance(raw_post, dict) and not tombstone else []
        try:
            post = repaired_post(raw_post, self.counts_by_account[-1].dropped_fields)
        except Malformed as error:
            return None, "rejected", str(error)
        self.counts_by_account[-1].drift.update(unknown)
        return post, None, None

    def refined(self, day: Day, limit: int) -> Refined:
        """Give each post its one fate, by work on whole columns."""
        rows, fates = typed(self._rows)
        fates.change("duplicates", self._superseded(rows, fates))
        fates.settle("rejected", rows["created_at"].isna(), "created_at: is no time")
        fates.settle("outside", ~within(rows, day))
        breaches = list(contract.breaches(rows))
        for column, complaint, where in breaches:
            if not _can_be_mended(column):
                fates.settle("rejected", where, complaint)
        fates.settle("rejected", ~rows["is_own"], NOT_OWN)
        for column, complaint, where in breaches:
            if _can_be_mended(column):
                self._mend(rows, rows.index[where & fates.are_open], column, complaint)
        latest = latest_versions(rows[KEYS][fates.are_open])
        fates.settle("duplicates", ~rows.index.isin(latest.index))
        newest = latest_posts(latest, [limit if own is None else own for own in self._limits])
        fates.settle("over_limit", ~rows.index.isin(newest.index))
        erased = [n for n in self._tombstones if fates.of[n] is None or fates.of[n] == "rejected"]
        fates.change("erased", erased)
        fates.settle("published", True)
        rejected = rows[["owner", "tweet_id"]][fates.of == "rejected"]
        is_repeated = rejected["tweet_id"].notna() & rejected.duplicated()
        fates.change("duplicates", rejected.index[is_repeated])

        published = rows.loc[newest.index[~newest.index.isin(erased)]]
        self._count(rows["owner"].tolist(), fates, published)
        for number in erased:
            self.counts_by_account[rows.loc[number, "owner"]].erased.add(self._tombstones[number])
        return Refined(
            published[contract.COLUMN_NAMES],
            [
                {
                    "username": self.counts_by_account[rows.loc[number, "owner"]].username,
                    "reason": fates.reasons[number],
                    "post": decode_json(self.posts[number]),
                }
                for number in rejected.index[~is_repeated]
            ],
            self.counts_by_account,
        )

    def _superseded(self, rows: pd.DataFrame, fates: Fates) -> list[int]:
        """The posts that lack fields which X could not fill, if they also came with all of them."""
        posts = list(zip(rows["owner"], rows["tweet_id"], strict=True)) if self._unfilled else []
        whole = {
            post
            for number, post in enumerate(posts)
            if number not in self._unfilled and fates.of[number] != "rejected"
        }
        superseded = [number for number in self._unfilled if posts[number] in whole]
        for number in superseded:
            del self._unfilled[number]
        return superseded

    def _mend(self, rows: pd.DataFrame, numbers: pd.Index, column: Column, complaint: str) -> None:
        """Empty the cells that break the contract; a first version without an id is the post itself."""
        for number in numbers:
            self.counts_by_account[rows.loc[number, "owner"]].dropped_fields[complaint] += 1
        if column.optional:
            rows.loc[numbers, column.name] = pd.NA
        else:
            rows.loc[numbers, column.name] = rows.loc[numbers, "tweet_id"]
            rows.loc[numbers, "is_edited"] = False

    def _count(self, owners: list[int], fates: Fates, published: pd.DataFrame) -> None:
        for (owner, fate, reason), number in Counter(
            zip(owners, fates.of, fates.reasons, strict=True)
        ).items():
            post_counts = self.counts_by_account[owner]
            post_counts.counts.update({"fetched": number, fate: number})
            if fate == "rejected":
                post_counts.reasons[reason] += number
        for number, fields in self._unfilled.items():
            self.counts_by_account[owners[number]].dropped_fields.update(
                f"{name}: {UNFILLED}" for name in sorted(fields)
            )
        for number in sorted(self._warnings.keys() & {*published.index}):
            self.counts_by_account[owners[number]].warnings.append(self._warnings[number])
        for owner, first, last in published.groupby("owner")["created_at"].agg(["min", "max"]).itertuples():
            post_counts = self.counts_by_account[owner]
            post_counts.first, post_counts.last = (
                first.strftime(contract.MOMENTS),
                last.strftime(contract.MOMENTS),
            )


class Fates:
    """What becomes of each post, by its number."""

    def __init__(self, fates: Sequence[str | None], reasons: Sequence[str | None]) -> None:
        self.of = np.array(fates, dtype="object")
        self.reasons = np.array(reasons, dtype="object")

    @property
    def are_open(self) -> Any:
        return pd.isna(self.of)

    def settle(self, fate: str, where: Any, reason: str | None = None) -> None:
        """The fate of these posts, unless they have one."""
        self.change(fate, self.are_open & np.asarray(where), reason)

    def change(self, fate: str, where: Any, reason: str | None = None) -> None:
        self.of[where], self.reasons[where] = fate, reason


def record(
    post: Post, username: str, captured_at: datetime, unfilled: Collection[str] = ()
) -> tuple[list[Any], str | None]:
    """The cells of a post, in the order of READ, and why the row is not what it should be.

    A value that depends on an `unfilled` field is empty: nobody knows whether there is one.
    """
    written, warning = written_post(post, username, captured_at)
    cells = [*cells_by_path(post), *[read(written) for read in READERS]]
    if unfilled:
        unknown = _with_dependent(unfilled, post)
        for place, column in enumerate(READ):
            if column.made_of and column.made_of in unknown and not cells[place]:
                cells[place] = None
        if names := [name for name in sorted(unfilled) if name.partition(".")[0] in READ_FIELDS]:
            warning = "; ".join(filter(None, [warning, f"{', '.join(names)}: {UNFILLED}"]))
    return cells, warning


def _can_be_mended(column: Column) -> bool:
    return column.optional or column.name == "original_tweet_id"


def _with_dependent(unfilled: Collection[str], post: Post) -> set[str]:
    """The fields that X could not fill, and those that nobody knows without them."""
    fields = {*unfilled}
    lacks_note = "note_tweet" in fields and post.may_be_cut  # the note has the entities, if there is one
    if lacks_note or fields & {"entities", "note_tweet.entities", "text"}:
        fields |= {f"entities.{kind}" for kind in ENTITY_KINDS}
    return fields


# Whole columns


def typed(rows: Sequence[tuple[Any, ...]]) -> tuple[pd.DataFrame, Fates]:
    """The rows with the contract's types; a creation time that is none is missing."""
    owner, is_own, fate, reason, *cells = zip(*rows, strict=True) if rows else [()] * (4 + len(COLUMNS))
    columns = {"owner": np.array(owner, "int64"), "is_own": np.array(is_own, "bool")}
    for column, values in zip(READ, cells, strict=True):
        columns[column.name] = column.kind.array(values) if column.name != "created_at" else _moments(values)
    return pd.DataFrame(columns), Fates(fate, reason)


def _moments(values: Sequence[Any]) -> pd.Series:
    """X's times; what is none becomes missing."""
    texts = pd.Series(STRING.array(values))
    times = texts.where(texts.str.fullmatch(TIME))
    return pd.to_datetime(times, format="ISO8601", utc=True, errors="coerce").astype(MOMENT.pandas)


def within(rows: pd.DataFrame, day: Day) -> pd.Series:
    """Which rows are the day's own: X's window is inclusive at both ends."""
    return (rows["created_at"] >= day.start) & (rows["created_at"] < day.end)


def latest_versions(rows: pd.DataFrame) -> pd.DataFrame:
    """Each post once, as its latest edit, in order: X sends every version as a post of its own."""
    ordered = rows.sort_values(["owner", "created_at", "tweet_id"], kind="stable")
    once = ordered.drop_duplicates(["owner", "tweet_id"], keep="last")
    return once.drop_duplicates(["owner", "original_tweet_id"], keep="last")


def latest_posts(rows: pd.DataFrame, limits: Sequence[int]) -> pd.DataFrame:
    """The last N rows of each account, by its owner's number; 0 is all."""
    most = rows["owner"].map({owner: limit or len(rows) for owner, limit in enumerate(limits)})
    return rows[rows.groupby("owner").cumcount(ascending=False) < most]
