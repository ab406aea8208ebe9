"""What each task does: the edges and the pure modules put together."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from include.twitter import receipt, refine, settings
from include.twitter.budget import Budget, Cap, cost, dollars
from include.twitter.buyer import Buyer
from include.twitter.collect import Collection
from include.twitter.day import Day
from include.twitter.errors import Incomplete, NothingStaged, Shrunk
from include.twitter.lake import Lake
from include.twitter.ledger import Ledger
from include.twitter.partition import Partition, fingerprint
from include.twitter.purchase import ARCHIVE, TIMELINES, Purchase, month_of, staged_answer
from include.twitter.run import Run, require_ended, wait_until_settled
from include.twitter.x_api import X

log = logging.getLogger(__name__)

DAYS_LOOKED_BACK = 7
TIMELINE_DAYS = timedelta(days=7)
"""Older days are read from X's full archive: a timeline ends after some hundred posts."""


def extract(run: Run) -> dict[str, Any]:
    """Buy the day's posts, or what is missing of them, and stage every answer as it arrives.

    Every setting is checked before the first call to X, also those that only `load` needs.
    """
    require_ended(run.day, run.now())
    handles, limit, _ = settings.handles(), settings.tweet_limit(), settings.accept_shrink()
    caps, access, lake = settings.budgets(), settings.x_access(), _lake()
    wait_until_settled(run.day, settings.settling(), run.now())
    purchase = Purchase(lake, run)
    ledger = Ledger(lake, run.id, purchase.number, month_of(run.now()))
    budget = _budget(caps, purchase, ledger)
    old = run.day.start < run.now() - TIMELINE_DAYS
    source = purchase.source or (ARCHIVE if old else TIMELINES)
    ledger.reserve(cost(purchase.bought(ledger.month)) + max(budget.room or 0, 0), str(run.day))
    try:
        with closing(X(access, run.now)) as x:
            buyer = Buyer(x, purchase, budget, run.day, old=old)
            collection = Collection(run.day, limit, source == ARCHIVE, old, buyer, purchase)
            accounts = collection.collect(handles, lake, run.now())
    finally:
        for month in {ledger.month, *purchase.months}:
            Ledger(lake, run.id, purchase.number, month).settle(purchase.bought(month), str(run.day))
    bought = purchase.bought()
    purchase.close(
        {
            "day": str(run.day),
            "run": run.id,
            "buy": purchase.number,
            "closed_at": run.now().isoformat(timespec="seconds"),
            "asked": {"handles": handles, "tweet_limit": limit},
            "source": source,
            "bought": bought,
            "accounts": [account.line(purchase) for account in accounts],
        }
    )
    usd = dollars(cost(bought))
    log.info("Bought %s for $%.3f: %s", _listed(bought), usd, lake.url(purchase.manifest))
    return {"manifest": purchase.manifest, **bought, "cost_usd": usd}


def _budget(caps: dict[str, int], purchase: Purchase, ledger: Ledger) -> Budget:
    """What this try may spend: the caps, less what the purchase and its month have spent already."""
    month_cap = caps[settings.MONTH_BUDGET.name]
    month = ledger.others() + cost(purchase.bought(ledger.month)) if month_cap else 0
    run_cap = caps[settings.RUN_BUDGET.name]
    return Budget(
        Cap(settings.RUN_BUDGET.name, run_cap, cost(purchase.bought())),
        Cap(settings.MONTH_BUDGET.name, month_cap, month),
    )


def _listed(bought: dict[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in bought.items())


def transform(run: Run, bought: dict[str, Any]) -> dict[str, Any]:
    """Refine what was bought into the day's candidates, account by account, without a call to X."""
    lake = _lake()
    manifest = _json(lake, bought["manifest"])
    if manifest is None:
        raise NothingStaged(f"{lake.url(bought['manifest'])} is gone: clear `extract`.")
    staging = run.day.staging(run.id)
    entries: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        with Partition(Path(folder)) as partition:
            bought_for = sorted(manifest["accounts"], key=lambda account: account["username"])
            sources = (_source(lake, account) for account in bought_for)
            for batch in refine.batches(sources, day=run.day, limit=manifest["asked"]["tweet_limit"]):
                partition.append(batch)
                for tally in batch.tallies:
                    entries.append(receipt.entry(bought_for[len(entries)], tally))
                    for alarm in tally.alarms:
                        log.warning("%s: %s", tally.username, alarm)
        objects = {}
        for name, file in partition.files.items():
            lake.upload(staging + file.name, file)
            objects[name] = {"key": getattr(run.day, name), **fingerprint(file)}
    candidate = receipt.of(manifest, entries, objects)
    lake.write(f"{staging}receipt.json", receipt.packed(candidate))
    if drift := candidate["totals"]["drift"]:
        log.warning("X sends fields that are new: %s", ", ".join(drift))
    for line in receipt.readable(candidate):
        log.info(line)
    receipt.require_few_rejected(candidate, lake.url(f"{staging}{Path(run.day.rejected).name}"))
    return {"receipt": f"{staging}receipt.json", "rows": candidate["totals"]["published"]}


def _source(lake: Lake, account: dict[str, Any]) -> refine.Source:
    answers = (staged_answer(lake, key) for key in account["pages"])
    return refine.Source(account["username"], account["id"], answers)


def load(run: Run, staged: dict[str, Any]) -> dict[str, Any]:
    """Publish the candidates, the receipt last, unless that would lose landed rows; green means complete."""
    lake = _lake()
    wanted = {handle.lower() for handle in settings.handles()}
    candidate = _json(lake, staged["receipt"])
    if candidate is None:
        raise NothingStaged(
            f"{lake.url(staged['receipt'])} is gone (it is kept for 14 days). Clear `transform`: it is free."
        )
    missing = list(receipt.missing(candidate))
    if len(missing) == len(candidate["accounts"]):
        raise Incomplete(f"Nothing is published: no account of {run.day} could be read. {_named(missing)}")
    _guard(run.day, _json(lake, run.day.receipt), candidate, wanted)
    for name in ("csv", "parquet", "rejected", "receipt"):
        target = getattr(run.day, name)
        lake.copy(run.day.staging(run.id) + Path(target).name, target)
        log.info("Published %s", lake.url(target))
    if rejected := candidate["totals"]["rejected"]:
        log.warning("%d posts broke the contract: %s", rejected, lake.url(run.day.rejected))
    _warn_of_gaps(lake, run)
    if waived := [account for account in missing if account["username"].lower() not in wanted]:
        log.warning("Waived, since they left twitter_handles: %s", _named(waived))
    if missing := [account for account in missing if account["username"].lower() in wanted]:
        raise Incomplete(
            f"{run.day} is published without {len(missing)} of {len(candidate['accounts'])} accounts. "
            f"{_named(missing)} Clear `extract` to ask for them again, or take them out of twitter_handles "
            "and clear `load`."
        )
    return receipt.essentials(candidate)


def _guard(
    day: Day, landed: receipt.Receipt | None, candidate: receipt.Receipt, wanted: Iterable[str]
) -> None:
    """Refuse to publish a day that lost an account's rows, unless the day was accepted by name."""
    if gone := receipt.departed(landed, candidate):
        log.warning("Landed before and not asked for now: %s", ", ".join(gone))
    losses = receipt.losses(landed, candidate, wanted)
    if losses and day in settings.accept_shrink():
        log.warning("Accepted by twitter_accept_shrink: %s", "; ".join(losses))
    elif losses:
        raise Shrunk(
            f"Nothing is published: {day} would lose rows. {'; '.join(losses)}. "
            f"If that is right, add {day} to Variable twitter_accept_shrink and clear `load`."
        )


def _warn_of_gaps(lake: Lake, run: Run) -> None:
    """Name the recent days that are not landed, from the first landed day on."""
    landed = lake.keys("twitter_receipts/")
    latest = Day.latest_settled(run.now(), settings.settling())
    recent = [latest.plus(-back) for back in range(DAYS_LOOKED_BACK)]
    if gaps := [
        str(day) for day in reversed(recent) if day.receipt > landed[0] and day.receipt not in landed
    ]:
        log.warning(
            "Not landed among the last %d days: %s. Backfill them.", DAYS_LOOKED_BACK, ", ".join(gaps)
        )


def _lake() -> Lake:
    return Lake(settings.bucket(), settings.aws_connection())


def _named(missing: Iterable[dict[str, Any]]) -> str:
    return " ".join(f"{account['username']}: {account['reason']}" for account in missing)


def _json(lake: Lake, key: str) -> Any:
    data = lake.read(key)
    return msgspec.json.decode(data) if data else None
