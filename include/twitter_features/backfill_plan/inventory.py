"""Determines what each day of a plan lacks, by the rules of `extract` and `load`, and its highest price."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.extract.counts import Count
from include.twitter.extract.purchase import Purchase
from include.twitter.identities import Identities
from include.twitter.object_store import ObjectStore, map_concurrently
from include.twitter.pricing import cost, dollars
from include.twitter.records import BilledUnits, CollectionSpec, Manifest, Receipt
from include.twitter.sources import Endpoint, id_batches
from include.twitter_features.backfill_plan.fetch_counts import Window
from include.twitter_features.backfill_plan.plan import PlannedRun, PlanRequest

SMALLEST_PAGE = Endpoint.FULL_ARCHIVE_SEARCH.smallest_page
"""A lower limit still buys this many posts."""


@dataclass(frozen=True)
class DayInventory:
    """What a day lacks of the plan's accounts."""

    day: Day
    missing: tuple[str, ...]
    """Handles whose posts are to be purchased."""
    not_landed: tuple[str, ...]
    """Those, and the ones that were purchased and have not landed."""
    stored_posts: dict[str, int]
    """Posts of the missing accounts that were purchased so far, by handle."""
    spent_usd: float


def take_inventory(
    store: ObjectStore,
    request: PlanRequest,
    spec: CollectionSpec,
    handles: Collection[str],
    identities: Identities,
) -> list[DayInventory]:
    """Return the inventory of every day, read concurrently."""

    def of_day(day: Day) -> DayInventory:
        run = Run(day, request.id, request.now)
        purchase = Purchase(store, run, spec, may_leave=False, only=handles, identities=identities)
        missing = tuple(purchase.missing)
        landed = landed_handles(store, day, handles, identities)
        return DayInventory(
            day,
            missing,
            not_landed=tuple(handle for handle in handles if handle in missing or handle not in landed),
            stored_posts={handle: entry.posts for handle in missing if (entry := purchase.entry(handle))},
            spent_usd=spent_usd(store, day),
        )

    return list(map_concurrently(of_day, request.days))


def landed_handles(
    store: ObjectStore, day: Day, handles: Collection[str], identities: Identities
) -> set[str]:
    """Return the handles whose accounts have landed with what X shows of them."""
    receipt = store.record(layout.receipt(day), Receipt)
    entries = identities.index(receipt.accounts if receipt else ())
    return {handle for handle in handles if (entry := entries.of(handle)) and entry.outcome != "unavailable"}


def spent_usd(store: ObjectStore, day: Day) -> float:
    """Return what all purchases of a day have cost."""
    keys = store.parsed(store.keys(f"{layout.raw(day)}buy="), layout.parse_purchase_key).items()
    manifests = [key for key, parts in keys if parts.is_manifest]
    return sum(store.decoded(key, store.required(key), Manifest).cost_usd for key in manifests)


def estimate(
    day: DayInventory,
    ids: Mapping[str, str],
    counts: Mapping[Window, Count],
    spec: CollectionSpec,
    at: datetime,
) -> PlannedRun | None:
    """Return the run that fills a day and what it costs at most; None if there is none to start.

    `ids` are those of the accounts that X shows, by handle.

    Of accounts that were counted together, each may have as many posts as its limit, and all no more than X
    counts. If one may be over its limit, `extract` counts them once more, and looks up the empty ones.
    """
    accounts = tuple(handle for handle in day.not_landed if handle in ids or handle not in day.missing)
    if not accounts:
        return None
    handles = {id_: handle for handle, id_ in ids.items()}
    counted, most = 0, BilledUnits()
    for window, count in counts.items():
        if day.day not in window.days:
            continue
        total, names = count.of_day(day.day).total, [handles[id_] for id_ in window.ids]
        limits = [spec.limit_of(name) for name in names]
        capped = sum(max(limit, SMALLEST_PAGE) for limit in limits) if all(limits) else total
        stored = 0 if window.of_threads else sum(day.stored_posts.get(name, 0) for name in names)
        counted += total
        most += BilledUnits(posts=max(min(total, capped) - stored, 0))
        if len(limits) > 1 and total > min(filter(None, limits), default=total):
            batches = [*id_batches(window.ids)]
            most += BilledUnits(archive_counts=len(batches), users=len(limits) - 1)
    return PlannedRun(
        day=str(day.day),
        accounts=accounts,
        counted=counted,
        posts=most.posts,
        is_exact=not most.archive_counts,
        cost_usd=dollars(cost(most, at)),
        spent_usd=day.spent_usd,
    )
