"""Refines responses as the tests of this package need it: one account, one batch."""

from types import SimpleNamespace
from typing import Any

from include.twitter.day import Day
from include.twitter.response import Response
from include.twitter.tombstones import NO_TOMBSTONES, Tombstones
from include.twitter.transform import refine
from include.twitter.transform.files import Partition
from tests.include.factories import DAY, make_response, post


def refined(
    *posts: Any,
    responses: list[Response] | None = None,
    limit: int = 0,
    day: Day = DAY,
    author_id: str | None = "42",
    erased: Tombstones = NO_TOMBSTONES,
    **account: Any,
) -> Any:
    """The batch of one account, with its counts: those that are zero are left out of `fates`."""
    pages = responses if responses is not None else [make_response(*posts)]
    source = refine.AccountPages("ObservatoryHill", author_id, pages, **account)
    (batch,) = refine.refine_accounts([source], day=day, limit=limit, erased=erased)
    (counts,) = batch.counts_by_account
    rows = batch.rows.to_dict("records")
    return SimpleNamespace(
        **vars(batch),
        **{name: value for name, value in vars(counts).items() if name not in vars(batch)},
        batch=batch,
        records=rows,
        ids=[row["tweet_id"][-2:] for row in rows],
        fates={name: number for name, number in counts.counts.items() if number},
        reasons_of_rejected=[item["reason"] for item in batch.rejected],
    )


def row(**changes: Any) -> dict[str, Any]:
    """The one row of one post."""
    (only,) = refined(post(**changes)).records
    return only


def written(folder: Any, *batches: Any) -> Partition:
    """The files of some batches."""
    with Partition(folder) as partition:
        for batch in batches:
            partition.append(batch)
    return partition
