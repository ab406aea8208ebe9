"""The copies to what readers see, the receipt last, and what is told about them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from include.twitter import settings
from include.twitter.day import Day
from include.twitter.lake import Lake
from include.twitter.records import AccountReceipt, Receipt, encoded
from include.twitter.run import Run
from include.twitter.watch import not_landed

log = logging.getLogger(__name__)

DAYS_LOOKED_BACK = 7
NAMED = 50
"""So many accounts of a kind are named in the asset event; the receipt names all."""


def publish(lake: Lake, day: Day, staging: str, receipt: Receipt) -> None:
    """Copy the staged objects that the receipt names, each if it is the one; then write the receipt."""
    for item in receipt.objects.values():
        lake.copy(staging + Path(item.key).name, item.key, item.etag)
        log.info("Published %s", lake.url(item.key))
    lake.write(day.receipt, encoded(receipt))
    log.info("Published %s", lake.url(day.receipt))
    if rejected := receipt.totals.rejected:
        log.warning("%d posts broke the contract: %s", rejected, lake.url(day.rejected))


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
