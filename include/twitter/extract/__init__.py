"""The first stage: buys what is missing of a day from X, and stores each response as X sent it.

`purchase` knows what is stored and what is missing, `paid_requests` sends requests within the budget.
`resolver` finds the account ids of the handles. `reader` reads the accounts in parallel, with one `cursor`
for each source, and `reconcile` compares the posts that arrived with X's own counts.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from include.twitter import accounts, object_store, settings
from include.twitter.airflow_context import Run, wait_until
from include.twitter.extract.budget import Budget, Caps
from include.twitter.extract.counts import counts_of_day
from include.twitter.extract.purchase import Purchase
from include.twitter.extract.reader import Collection
from include.twitter.identities import Identities
from include.twitter.records import AccountOutcome
from include.twitter.retry import reschedule_after_progress
from include.twitter.sources import TokenOwner, account_sources
from include.twitter.x.client import X, owner_id

__all__ = ["extract"]

log = logging.getLogger(__name__)

TIMELINE_DAYS = timedelta(days=7)
"""Days that began earlier are read from X's full archive: a timeline ends after some hundred posts."""


def extract(run: Run) -> dict[str, Any]:
    """Buy what is missing of the day's posts, and store each response as it arrives.

    Every setting is checked before the first request to X, also those that only `load` needs.
    """
    run.day.require_collectable(run.now())
    store = object_store.from_settings()
    configured = accounts.read(store)
    spec = configured.collection_spec()
    only = configured.select(run.accounts) if run.accounts else ()
    caps = Caps(*settings.budgets().items())
    access, own_handle = settings.x_access(), configured.own_handle()
    may_leave, confirmed = run.day in settings.allow_row_loss(), settings.confirmed_account_ids()
    settled_at = run.day.settled_at(settings.settling())
    wait_until(settled_at, f"{run.day} has ended but may still change", run.now)
    if only:
        log.info("Only %s; other accounts of the day stay as they are", ", ".join(only))
    identities = Identities.read(store, confirmed)
    purchase = Purchase(store, run, spec, may_leave=may_leave, only=only, identities=identities)
    for handle, earlier in purchase.duplicate_handles:
        log.warning("%s and %s are one account: it is collected once", earlier, handle)
    if purchase.is_complete:
        log.info("Nothing is missing, nothing is bought: %s", store.url(purchase.key))
        return purchase.summary()
    object_store.require_conditional_writes(store)
    old = run.day.start < run.now() - TIMELINE_DAYS
    owner = TokenOwner(own_handle if access.user else "", owner_id(access), confirmed)
    with reschedule_after_progress(lambda: purchase.made_progress, run.now), purchase.hold_lease():
        counted_since = purchase.manifest.opened_at if purchase.manifest.buy > 1 else run.day.end
        cached_counts = counts_of_day(store, run.day, counted_since, run.now())
        sources = partial(account_sources, old=old, owner=owner)
        collection = Collection(purchase, old, sources, cached_counts)
        collection.resume()
        outcomes: list[AccountOutcome] = []
        with Budget(store, purchase.name, caps, purchase.stored, run.now) as budget:
            if purchase.missing:
                with X(access, run.now, are_known=bool(purchase.bought)) as x:
                    outcomes = collection.collect(x, budget)
        purchase.close(outcomes, budget.uncertain_mills)
    if uncertain := purchase.manifest.uncertain_usd:
        log.warning(
            "X may have billed up to $%.3f more, for requests without a response: caps count it",
            uncertain,
        )
    summary = purchase.summary()
    log.info("Bought %s", ", ".join(f"{name} {value}" for name, value in summary.items() if value))
    return summary
