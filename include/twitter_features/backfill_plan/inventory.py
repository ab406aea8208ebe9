"""What each day of a plan lacks, as `extract` and `load` would see it."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from include.twitter.airflow_context import Run
from include.twitter.day import Day, parse_purchase_key
from include.twitter.extract.purchase import Purchase
from include.twitter.lake import SIDE_BY_SIDE, Lake
from include.twitter.records import Asked, Manifest, Receipt
from include.twitter.roster import Identities
from include.twitter_features.backfill_plan.plan import PlanRequest


@dataclass(frozen=True)
class DayInventory:
    """What a day lacks of the plan's accounts."""

    day: Day
    missing: tuple[str, ...]
    """Handles of which posts are to be purchased."""
    not_landed: tuple[str, ...]
    """Those, and the ones that were purchased and have not landed."""
    stored_posts: dict[str, int]
    """Posts of the missing accounts that were purchased so far, by handle."""
    spent_usd: float


def take_inventory(
    store: Lake, request: PlanRequest, spec: Asked, handles: Collection[str], identities: Identities
) -> list[DayInventory]:
    """Look at all days, several at once."""

    def of_day(day: Day) -> DayInventory:
        run = Run(day, request.id, request.now)
        purchase = Purchase(store, run, spec, may_leave=False, only=handles, identities=identities)
        missing = tuple(purchase.missing)
        landed = landed_handles(store, day, handles, identities)
        return DayInventory(
            day,
            missing,
            not_landed=tuple(handle for handle in handles if handle in missing or handle not in landed),
            stored_posts={handle: line.posts for handle in missing if (line := purchase.line(handle))},
            spent_usd=spent_usd(store, day),
        )

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(of_day, request.days))


def landed_handles(store: Lake, day: Day, handles: Collection[str], identities: Identities) -> set[str]:
    """Return the handles whose accounts have landed with what X shows of them."""
    receipt = store.record(day.receipt, Receipt)
    lines = identities.find(receipt.accounts if receipt else ())
    return {handle for handle in handles if (line := lines.of(handle)) and line.outcome != "unavailable"}


def spent_usd(store: Lake, day: Day) -> float:
    """Return what all purchases of a day have cost."""
    keys = store.parsed(store.keys(f"{day.raw}buy="), parse_purchase_key).items()
    manifests = [key for key, parts in keys if parts.is_manifest]
    return sum(store.decoded(key, store.required(key), Manifest).cost_usd for key in manifests)
