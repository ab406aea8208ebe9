"""X's responses → the rows of the refined table.

Each account is refined alone: one pass over its posts, then one fate for each. The rows of several accounts
are typed and written together, since work on columns costs the same for ten rows as for a thousand. Memory
holds one batch, or one account if that is larger.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import pandas as pd

from include.twitter.day import Day
from include.twitter.records import Tombstone
from include.twitter.response import Response, decode_json, is_reply_to_self, is_unrequested
from include.twitter.safe_text import safe_text
from include.twitter.tombstones import NO_TOMBSTONES, Tombstones, redacted_post
from include.twitter.transform import contract
from include.twitter.transform.contract import COLUMNS
from include.twitter.transform.decode import READ_FIELDS, Malformed, decoded_post, unknown_fields
from include.twitter.transform.post import ENTITY_KINDS, Post
from include.twitter.transform.text import written_post

BATCH = 5_000
"""Posts after which a batch is closed."""
NOT_OWN = "author_id: is another author's, not the account's own"
UNFILLED = "X reports that it could not fill it"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
"""What X sends; Python would also read a day without a time as its midnight."""
READ_CELLS = [column.read for column in COLUMNS]
CREATED_AT, ORIGINAL, IS_EDITED = map(
    contract.COLUMN_NAMES.index, ("created_at", "original_tweet_id", "is_edited")
)


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
    """Unknown fields that X sent."""
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


class FetchedPost(msgspec.Struct, gc=False):
    """A post as it was fetched, and its one fate: a name in `PostCounts.counts`."""

    raw: msgspec.Raw
    id: str | None
    author_id: str | None = None
    fate: str | None = None
    reason: str | None = None
    tombstone: Tombstone | None = None
    unfilled: Collection[str] = ()
    """Fields that X could not fill."""
    cells: list[Any] = []
    """In the order of COLUMNS; none of a post that has a fate before it is read."""
    warning: str | None = None

    def settle(self, fate: str, reason: str | None = None) -> None:
        self.fate, self.reason = fate, reason


def refine_accounts(
    sources: Iterable[AccountPages], *, day: Day, limit: int, erased: Tombstones = NO_TOMBSTONES
) -> Iterator[Refined]:
    """Refine the accounts in the order given; `limit` is the latest N of an account's day, 0 is all."""
    rows, rejected, counts = list[list[Any]](), list[dict[str, Any]](), list[PostCounts]()
    for account in sources:
        counts.append(PostCounts(account.username, Counter()))
        posts = [
            _fetched_post(raw, account, response, erased, counts[-1])
            for response in account.responses
            for raw in response.raw_posts
        ]
        rows += settled_rows(
            posts, account.author_id, day, limit if account.limit is None else account.limit, counts[-1]
        )
        rejected += [
            {"username": account.username, "reason": post.reason, "post": decode_json(post.raw)}
            for post in posts
            if post.fate == "rejected"
        ]
        if sum(account_counts.counts["fetched"] for account_counts in counts) >= BATCH:
            yield Refined(contract.table(rows), rejected, counts)
            rows, rejected, counts = [], [], []
    if counts:
        yield Refined(contract.table(rows), rejected, counts)


def _fetched_post(
    raw: msgspec.Raw, account: AccountPages, response: Response, erased: Tombstones, counts: PostCounts
) -> FetchedPost:
    """Read a post. One that was not requested, or that is malformed, has its fate and no cells."""
    sent = decode_json(raw)
    id_ = sent.get("id") if isinstance(sent, dict) else None
    fetched = FetchedPost(raw, id_ if isinstance(id_, str) else None)
    if tombstone := erased.of_post(sent):
        # It takes part in every step as an empty post, so that no other post takes its place.
        fetched.tombstone, sent = tombstone, redacted_post(sent, tombstone, text="")
    else:
        fetched.unfilled = response.unfilled_of(sent)
    is_thread = account.threads and isinstance(sent, dict) and is_reply_to_self(sent)
    if is_unrequested(sent, fetched.unfilled) and not is_thread:
        fetched.settle("unrequested")
        return fetched
    try:
        post = decoded_post(sent, counts.dropped_fields)
    except Malformed as error:
        fetched.settle("rejected", str(error))
        return fetched
    if not tombstone:
        for name in unknown_fields(sent):
            counts.drift[name] += 1
    fetched.author_id = post.author_id
    fetched.cells, warning = record(post, account.username, response.received_at, fetched.unfilled)
    if warning:
        fetched.warning = f"{safe_text(post.id, 40)}: {warning}"
    return fetched


def settled_rows(
    posts: list[FetchedPost], author_id: str | None, day: Day, limit: int, counts: PostCounts
) -> list[list[Any]]:
    """Give each post of an account its one fate, and count it; returns the published rows, in order."""
    filled = {post.id for post in posts if not post.unfilled and post.fate != "rejected"}
    for post in posts:
        if post.unfilled and post.id in filled:
            post.settle("duplicates")
            post.unfilled = ()
        elif not post.fate:
            _check(post, author_id, day, counts)

    ordered = sorted(
        (post for post in posts if not post.fate), key=lambda post: (post.cells[CREATED_AT], post.id)
    )
    ids, originals = set[Any](), set[Any]()
    for post in reversed(ordered):  # X sends each version of an edited post as a post of its own
        if post.id in ids or post.cells[ORIGINAL] in originals:
            post.settle("duplicates")
        else:
            originals.add(post.cells[ORIGINAL])
            post.settle("over_limit" if 0 < limit < len(originals) else "published")
        ids.add(post.id)

    rejected_ids = set[str]()
    for post in posts:
        if post.tombstone and post.fate in ("published", "rejected"):
            post.settle("erased")
            counts.erased.add(post.tombstone)
        elif post.fate == "rejected" and post.id in rejected_ids:
            post.settle("duplicates")
        elif post.fate == "rejected":
            counts.reasons[str(post.reason)] += 1
            if post.id is not None:
                rejected_ids.add(post.id)
        elif post.fate == "published" and post.warning:
            counts.warnings.append(post.warning)
        for name in sorted(post.unfilled) if post.unfilled else ():
            counts.dropped_fields[f"{name}: {UNFILLED}"] += 1
    counts.counts.update(str(post.fate) for post in posts)
    counts.counts["fetched"] = len(posts)
    rows = [post.cells for post in ordered if post.fate == "published"]
    if rows:
        counts.first, counts.last = (rows[at][CREATED_AT].strftime(contract.MOMENTS) for at in (0, -1))
    return rows


def _check(post: FetchedPost, author_id: str | None, day: Day, counts: PostCounts) -> None:
    """Settle a post that cannot be a row of the day; empty the cells that break the contract.

    A post whose first version has no valid id is its own first version.
    """
    created_at = _moment(post.cells[CREATED_AT])
    breaches = list(contract.breaches(post.cells))
    needed = [column for column in breaches if not (column.optional or column.name == "original_tweet_id")]
    if created_at is None:
        post.settle("rejected", "created_at: is no time")
    elif not day.start <= created_at < day.end:  # X's window is inclusive at both ends
        post.settle("outside")
    elif needed:
        post.settle("rejected", needed[0].complaint)
    elif post.author_id != author_id:
        post.settle("rejected", NOT_OWN)
    else:
        post.cells[CREATED_AT] = created_at.astimezone(UTC)
        for column in breaches:
            counts.dropped_fields[column.complaint] += 1
            if column.optional:
                post.cells[COLUMNS.index(column)] = None
            else:
                post.cells[ORIGINAL], post.cells[IS_EDITED] = post.id, False


def _moment(text: str) -> datetime | None:
    """X's time; None if it is none."""
    try:
        return datetime.fromisoformat(text) if TIME.fullmatch(text) else None
    except ValueError:
        return None


def record(
    post: Post, username: str, captured_at: datetime, unfilled: Collection[str] = ()
) -> tuple[list[Any], str | None]:
    """The cells of a post, in the order of COLUMNS, and why the row is not what it should be.

    A value that depends on an `unfilled` field is empty: nobody knows whether there is one.
    """
    written, warning = written_post(post, username, captured_at)
    cells = [read(written) for read in READ_CELLS]
    if unfilled:
        unknown = _with_dependent(unfilled, post)
        for place, column in enumerate(COLUMNS):
            if column.made_of and column.made_of in unknown and not cells[place]:
                cells[place] = None
        if names := [name for name in sorted(unfilled) if name.partition(".")[0] in READ_FIELDS]:
            warning = "; ".join(filter(None, [warning, f"{', '.join(names)}: {UNFILLED}"]))
    return cells, warning


def _with_dependent(unfilled: Collection[str], post: Post) -> set[str]:
    """The fields that X could not fill, and those that nobody knows without them."""
    fields = {*unfilled}
    lacks_note = "note_tweet" in fields and post.may_be_cut  # the note has the entities, if there is one
    if lacks_note or fields & {"entities", "note_tweet.entities", "text"}:
        fields |= {f"entities.{kind}" for kind in ENTITY_KINDS}
    return fields
