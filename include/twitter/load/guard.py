"""What publishing would take from a landed day.

Rows are compared by id, account by account: a rerun may replace rows one for one. An account is its id, so a
handle that has changed is no loss.
"""

from __future__ import annotations

import io
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from include.twitter.day import Day
from include.twitter.errors import Shrunk
from include.twitter.forgotten import Tombstones
from include.twitter.records import Decrease, Receipt

log = logging.getLogger(__name__)

NAMED = 10
"""So many lost rows of an account are named in the log; the receipt names all."""


class Row(NamedTuple):
    """What identifies a row of the table; the names are those of its columns."""

    tweet_id: str
    original_tweet_id: str
    author_id: str
    username: str


def rows(parquet: bytes) -> list[Row]:
    """The rows of a day's Parquet file."""
    import pyarrow.parquet  # here: it takes long to import, and most days are published once

    table = pyarrow.parquet.ParquetFile(io.BytesIO(parquet)).read([*Row._fields])
    return [Row(*values) for values in zip(*(table[name].to_pylist() for name in Row._fields), strict=True)]


def lost_rows(landed: Iterable[Row], candidate: Iterable[Row], tombstones: Tombstones) -> list[Decrease]:
    """The accounts of which landed rows would be gone, with the ids of these.

    A later version of the same post takes the place of an earlier one, and what was forgotten is no loss.
    """
    newest: dict[str, int] = {}
    there, now = set[str](), Counter[str]()
    for row in candidate:
        there.add(row.tweet_id)
        now[row.author_id] += 1
        newest[row.original_tweet_id] = max(int(row.tweet_id), newest.get(row.original_tweet_id, 0))
    before: defaultdict[str, list[Row]] = defaultdict(list)
    for row in landed:
        if not tombstones.of_ids((row.tweet_id, row.original_tweet_id), row.author_id):
            before[row.author_id].append(row)
    lost = []
    for id_, its in before.items():
        gone = [
            row.tweet_id
            for row in its
            if row.tweet_id not in there and newest.get(row.original_tweet_id, 0) < int(row.tweet_id)
        ]
        if gone:
            ids = tuple(sorted(gone, key=int))
            lost.append(Decrease(its[-1].username, len(its), now[id_], id_, ids))
    return sorted(lost, key=lambda decrease: decrease.username.lower())


def decreases(landed: Receipt, candidate: Receipt) -> list[Decrease]:
    """The same by the numbers in the receipts, for a landed table that cannot be read: it sees no row that
    another one has replaced."""
    by_id = {account.id: account for account in candidate.accounts}
    by_handle = {account.username.lower(): account for account in candidate.accounts}
    lost = []
    for account in landed.accounts:
        same = by_id.get(account.id) if account.id else None
        if same is None and (named := by_handle.get(account.username.lower())):
            same = named if None in (account.id, named.id) else None  # else the handle is another account's
        left, forgotten = (same.published, same.forgotten) if same else (0, 0)
        if left + max(forgotten - account.forgotten, 0) < account.published:
            lost.append(Decrease(account.username, account.published, left, account.id))
    return lost


def require_no_loss(lost: list[Decrease], day: Day, *, accepted: bool) -> None:
    """Log every loss; Shrunk where most of an account's rows would go, unless that is accepted."""
    for decrease in lost:
        log.warning(_in_words(decrease))
    losses = "; ".join(_in_words(decrease) for decrease in lost if decrease.kept * 2 < decrease.landed)
    if losses and not accepted:
        raise Shrunk(
            f"Nothing is published: {day} would lose rows. {losses}. "
            f"If that is right, add {day} to Variable twitter_allow_row_loss and clear `load`. "
            "If more was bought of the day since, clear `transform`."
        )
    if losses:
        log.warning("Accepted by twitter_allow_row_loss: %s", losses)


def _in_words(decrease: Decrease) -> str:
    numbers = f"{decrease.username}: {decrease.landed} rows are landed, this run has {decrease.published}"
    if not decrease.lost:
        return numbers
    named, more = ", ".join(decrease.lost[:NAMED]), len(decrease.lost) - NAMED
    named += f" and {more} more" if more > 0 else ""
    return f"{numbers}, without {len(decrease.lost)} of those: {named}"
