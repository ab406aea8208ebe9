"""Copies staged files to the published keys, the receipt last.

If two processes publish the same day at once, exactly one result is published completely. Each holds a lease,
but a process can pause until its lease has expired. So every object is written on the condition that nobody
else has written it, and the files are compared with what was copied, before and after the receipt is written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from include.twitter import layout, settings
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.errors import WriteConflict
from include.twitter.landed import missing_days
from include.twitter.lease import Lease
from include.twitter.object_store import ObjectStore
from include.twitter.records import PublishedObject, Receipt, encoded

log = logging.getLogger(__name__)

DAYS_CHECKED = 7
MAX_NAMES = 50
"""Accounts of a kind that the asset event names; the receipt names all."""


class ListsFiles(Protocol):
    """A receipt, of whatever table."""

    objects: dict[str, PublishedObject]


def publish_files(
    store: ObjectStore, lease: Lease, staging: str, receipt: ListsFiles, key: str, replaces: str | None
) -> None:
    """Copy the staged files that the receipt lists, then write the receipt to `key`.

    `replaces` is the ETag of the receipt that is replaced, None if there is none. Raises WriteConflict
    if another process writes the same objects.
    """
    files = receipt.objects.values()
    published = {file.key: store.etag(file.key) for file in files}
    etags: dict[str, str] = {}
    for file in files:
        lease.require()
        etags[file.key] = store.copy(staging + Path(file.key).name, file.key, file.etag, published[file.key])
        log.info("Published %s", store.url(file.key))
    _require_unchanged(store, etags)
    lease.require()
    etags[key] = store.put_if_match(key, encoded(receipt), replaces)
    _require_unchanged(store, etags)
    log.info("Published %s", store.url(key))


def _require_unchanged(store: ObjectStore, etags: Mapping[str, str]) -> None:
    if changed := [key for key, etag in etags.items() if store.etag(key) != etag]:
        raise WriteConflict(
            f"{', '.join(map(store.url, changed))} was written by another process during publishing. "
            "All files are published again."
        )


def warn_of_gaps(store: ObjectStore, run: Run) -> None:
    """Log the recent days that have not landed."""
    latest = Day.latest_settled(run.now(), settings.settling())
    if gaps := missing_days(store, latest, DAYS_CHECKED):
        log.warning(
            "Not landed among the last %d days: %s. Trigger `twitter_plan` to fill them.",
            DAYS_CHECKED,
            ", ".join(map(str, gaps)),
        )


def asset_event(receipt: Receipt, bucket: str) -> dict[str, Any]:
    """What a complete day hands to consumers: less than 4 KB, however many accounts it has."""
    differing = [account.username for account in receipt.accounts if account.proof in ("short", "surplus")]
    return {
        "day": receipt.day,
        "bucket": bucket,
        "keys": {name: file.key for name, file in receipt.objects.items()}
        | {"receipt": layout.receipt(Day.parse(receipt.day))},
        "sha256": {name: file.sha256 for name, file in receipt.objects.items()},
        "rows": receipt.totals.published,
        "cost_usd": receipt.cost_usd,
        "accounts": receipt.totals.accounts,
        "proof": receipt.totals.proof,
        "differing": differing[:MAX_NAMES],
        "unavailable": [account.username for account in receipt.missing[:MAX_NAMES]],
    }
