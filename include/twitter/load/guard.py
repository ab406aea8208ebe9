"""Compares the rows that would be published with the landed ones, account by account.

Rows are compared by id, since a rerun may replace rows one for one. An account is its id, so a renamed handle
loses nothing.
"""

from __future__ import annotations

import io
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from include.twitter.day import Day
from include.twitter.errors import RowLossBlocked
from include.twitter.records import Decrease, Receipt
from include.twitter.tombstones import Tombstones

log = logging.getLogger(__name__)

MAX_IDS = 10
"""Ids of lost rows that the log names per account; the receipt names all."""


class Row(NamedTuple):
    """What identifies a row: columns of the table."""

    tweet_id: str
    original_tweet_id: str
    author_id: str
    username: str


def rows(parquet: bytes) -> list[Row]:
    """The rows of a day's Parquet file."""
    import pyarrow.parquet  # here: the import is slow, and most days are published once

    table = pyarrow.parquet.ParquetFile(io.BytesIO(parquet)).read([*Row._fields])
    return [Row(*values) for values in zip(*(table[name].to_pylist() for name in Row._fields), strict=True)]


def lost_rows(landed: Iterable[Row], candidate: Iterable[Row], tombstones: Tombstones) -> list[Decrease]:
    """The accounts that would lose landed rows, with the ids of these.

    A later version of a post replaces an earlier one, and an erased post is no loss.
    """
    ids, published, newest = set[str](), Counter[str](), dict[str, int]()
    for row in candidate:
        ids.add(row.tweet_id)
        published[row.author_id] += 1
        newest[row.original_tweet_id] = max(int(row.tweet_id), newest.get(row.original_tweet_id, 0))
    by_author: defaultdict[str, list[Row]] = defaultdict(list)
    for row in landed:
        if not tombstones.of_ids((row.tweet_id, row.original_tweet_id), row.author_id):
            by_author[row.author_id].append(row)
    decreases = []
    for author_id, rows in by_author.items():
        lost = [
            row.tweet_id
            for row in rows
            if row.tweet_id not in ids and newest.get(row.original_tweet_id, 0) < int(row.tweet_id)
        ]
        if lost:
            lost_ids = tuple(sorted(lost, key=int))
            decreases.append(
                Decrease(rows[-1].username, len(rows), published[author_id], author_id, lost_ids)
            )
    return sorted(decreases, key=lambda decrease: decrease.username.lower())


def lower_counts(landed: Receipt, candidate: Receipt) -> list[Decrease]:
    """The accounts with fewer rows than before, by the two receipts: if the landed table is unreadable.

    This cannot see a row that was replaced by another one.
    """
    by_id = {account.id: account for account in candidate.accounts}
    by_handle = {account.username.lower(): account for account in candidate.accounts}
    decreases = []
    for before in landed.accounts:
        now = by_id.get(before.id) if before.id else None
        if now is None and (namesake := by_handle.get(before.username.lower())):
            # If both ids are known and differ, the handle belongs to another account today.
            now = namesake if None in (before.id, namesake.id) else None
        published, erased = (now.published, now.erased) if now else (0, 0)
        if published + max(erased - before.erased, 0) < before.published:
            decreases.append(Decrease(before.username, before.published, published, before.id))
    return decreases


def require_no_loss(decreases: list[Decrease], day: Day, *, accepted: bool) -> None:
    """Log every loss; raise RowLossBlocked if most rows of an account would go, unless that is accepted."""
    for decrease in decreases:
        log.warning(_decrease_text(decrease))
    losses = "; ".join(
        _decrease_text(decrease) for decrease in decreases if decrease.kept_rows * 2 < decrease.landed
    )
    if losses and not accepted:
        raise RowLossBlocked(
            f"Nothing is published: {day} would lose rows. {losses}. "
            f"If that is right, add {day} to Variable twitter_allow_row_loss and clear `load`. "
            "If more was bought of the day since, clear `transform`."
        )
    if losses:
        log.warning("Accepted by twitter_allow_row_loss: %s", losses)


def _decrease_text(decrease: Decrease) -> str:
    numbers = f"{decrease.username}: {decrease.landed} rows are landed, this run has {decrease.published}"
    if not decrease.lost:
        return numbers
    ids, more = ", ".join(decrease.lost[:MAX_IDS]), len(decrease.lost) - MAX_IDS
    ids += f" and {more} more" if more > 0 else ""
    return f"{numbers}, without {len(decrease.lost)} of those: {ids}"
