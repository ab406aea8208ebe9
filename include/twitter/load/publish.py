"""The copies to what readers see, the receipt last, and what is told about them.

Of two that publish the same at once, one publishes all of it. Each holds a lease meanwhile. A process can
pause past the end of its lease: so each object is written on the condition that nobody else has written it,
and the files are compared with what was copied, before and after the receipt is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from include.twitter import settings
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.errors import Busy
from include.twitter.lake import Lake
from include.twitter.lease import Lease
from include.twitter.records import AccountReceipt, PublishedObject, Receipt, encoded
from include.twitter.watch import not_landed

log = logging.getLogger(__name__)

DAYS_LOOKED_BACK = 7
NAMED = 50
"""So many accounts of a kind are named in the asset event; the receipt names all."""


class Commit(NamedTuple):
    """The receipt that says that the files are there; `over` is the tag of the one that it replaces."""

    key: str
    data: bytes
    over: str | None


def publish(lake: Lake, lease: Lease, day: Day, staging: str, receipt: Receipt, over: str | None) -> None:
    """Copy the staged objects that the receipt names; then write the receipt in the place of `over`."""
    commit(lake, lease, staging, receipt.objects.values(), Commit(day.receipt, encoded(receipt), over))
    if rejected := receipt.totals.rejected:
        log.warning("%d posts broke the contract: %s", rejected, lake.url(day.rejected))


def commit(
    lake: Lake, lease: Lease, staging: str, objects: Iterable[PublishedObject], receipt: Commit
) -> None:
    """Copy staged objects, each if it is the one; then write the receipt. Busy where another writes too."""
    items = list(objects)
    replaced = {item.key: lake.tag(item.key) for item in items}
    tags: dict[str, str] = {}
    for item in items:
        lease.require()
        tags[item.key] = lake.copy(staging + Path(item.key).name, item.key, item.etag, replaced[item.key])
        log.info("Published %s", lake.url(item.key))
    _require_unchanged(lake, tags)
    lease.require()
    tags[receipt.key] = lake.swap(receipt.key, receipt.data, receipt.over)
    _require_unchanged(lake, tags)
    log.info("Published %s", lake.url(receipt.key))


def _require_unchanged(lake: Lake, tags: Mapping[str, str]) -> None:
    """Busy where an object is not the one that was written: another process wrote it after this one."""
    if changed := [key for key, tag in tags.items() if lake.tag(key) != tag]:
        raise Busy(
            f"{', '.join(map(lake.url, changed))} was written by another process while this one published. "
            "All of it is published again."
        )


def warn_of_gaps(lake: Lake, run: Run) -> None:
    """Name the recent days that are not landed."""
    latest = Day.latest_settled(run.now(), settings.settling())
    if gaps := not_landed(lake, latest, DAYS_LOOKED_BACK):
        log.warning(
            "Not landed among the last %d days: %s. Trigger `twitter_plan` to fill them.",
            DAYS_LOOKED_BACK,
            ", ".join(map(str, gaps)),
        )


def essentials(receipt: Receipt, bucket: str) -> dict[str, Any]:
    """What travels with the asset events of a complete day: below 4 KB, however many accounts it has."""
    keys = {name: item.key for name, item in receipt.objects.items()}
    return {
        "day": receipt.day,
        "bucket": bucket,
        "keys": keys | {"receipt": Day.parse(receipt.day).receipt},
        "sha256": {name: item.sha256 for name, item in receipt.objects.items()},
        "rows": receipt.totals.published,
        "cost_usd": receipt.cost_usd,
        "accounts": receipt.totals.accounts,
        "proof": receipt.totals.proof,
        "differing": _named(line for line in receipt.accounts if line.proof in ("short", "surplus")),
        "unavailable": _named(receipt.missing),
    }


def _named(accounts: Iterable[AccountReceipt]) -> list[str]:
    return [account.username for account in islice(accounts, NAMED)]
