"""The stage `load`: publishes the staged files, unless that would remove landed rows.

`guard` compares the staged table with the landed one, `publish` copies. A lease makes sure that one run at a
time publishes a day.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from include.twitter import accounts, layout, object_store, settings
from include.twitter.airflow_context import Run, require_xcom
from include.twitter.day import Day
from include.twitter.errors import Incomplete, MissingInput
from include.twitter.identities import Identities
from include.twitter.layout import FORGOTTEN as FORGOTTEN
from include.twitter.lease import held
from include.twitter.load import guard
from include.twitter.load.publish import asset_event, publish_files, warn_of_gaps
from include.twitter.object_store import ObjectStore
from include.twitter.records import AccountReceipt, Decrease, Receipt, encoded
from include.twitter.retry import reschedule_after_progress
from include.twitter.tombstones import Tombstones

log = logging.getLogger(__name__)


def load(run: Run, staged: dict[str, Any] | None) -> dict[str, Any]:
    """Publish what `transform` staged; Incomplete, after publishing, if accounts are missing."""
    store = object_store.from_settings()
    wanted, accepted_ids = accounts.read(store).handles, settings.confirmed_account_ids()
    accepted = run.day in settings.allow_row_loss()
    key = require_xcom(staged, "transform")["receipt"]
    candidate, etag = _staged_receipt(store, key)
    tombstones = _tombstones(store, candidate, run.day)
    if not candidate.totals.published and len(candidate.incomplete) == len(candidate.accounts):
        reasons = _reasons(candidate.incomplete)
        raise Incomplete(f"Nothing is published: no account of {run.day} could be read. {reasons}")
    staging = key.removesuffix("receipt.json")
    with (
        reschedule_after_progress(lambda: False, run.now),
        held(store, layout.publish_lease(run.day), run) as lease,
    ):
        stored = store.get(layout.receipt(run.day))
        landed = store.decoded(layout.receipt(run.day), stored.data, Receipt) if stored else None
        if landed and landed.objects == candidate.objects:  # published again: keep what was recorded
            candidate.decreases = landed.decreases
        elif landed:
            lost = _lost_rows(store, landed, candidate, staging, tombstones)
            guard.require_no_loss(lost, run.day, accepted=accepted)
            if lost != candidate.decreases:
                candidate.decreases = lost  # stored for the next try: this one may be killed between copies
                store.put_if_match(key, encoded(candidate), etag)
        replaces = stored.etag if stored else None
        publish_files(store, lease, staging, candidate, layout.receipt(run.day), replaces)
    if rejected := candidate.totals.rejected:
        log.warning("%d posts broke the contract: %s", rejected, store.url(layout.rejected(run.day)))
    warn_of_gaps(store, run)
    entries = Identities.read(store, accepted_ids).index(candidate.accounts)
    _require_complete(run, candidate, [entry for handle in wanted if (entry := entries.of(handle))])
    return asset_event(candidate, store.bucket)


def _staged_receipt(store: ObjectStore, key: str) -> tuple[Receipt, str]:
    """The receipt and its ETag."""
    if (stored := store.get(key)) is None:
        raise MissingInput(
            f"{store.url(key)} is gone (it is kept for 14 days). Clear `transform`: it is free."
        )
    return store.decoded(key, stored.data, Receipt), stored.etag


def _tombstones(store: ObjectStore, candidate: Receipt, day: Day) -> Tombstones:
    """All tombstones; MissingInput if posts of the day were erased after they were staged."""
    tombstones = store.tombstones()
    if tombstones.affect(day, since=candidate.erasures):
        raise MissingInput(
            f"Nothing is published: posts of {day} were erased since it was staged. "
            "Clear `transform`: it is free."
        )
    return tombstones


def _lost_rows(
    store: ObjectStore, landed: Receipt, candidate: Receipt, staging: str, tombstones: Tombstones
) -> list[Decrease]:
    """The landed rows that publishing would remove: by id, or by number if the landed table is unreadable."""
    before, now = landed.objects.get("parquet"), candidate.objects.get("parquet")
    if before and now and before.sha256 == now.sha256:
        return []
    problem = "is in no receipt"
    if before and now:
        table = store.read(before.key)
        sha256 = hashlib.sha256(table).hexdigest() if table is not None else None
        if table is not None and sha256 == before.sha256:
            staged = guard.rows(store.required(staging + Path(now.key).name))
            try:
                return guard.lost_rows(guard.rows(table), staged, tombstones)
            except Exception:  # whatever the reason, rows are compared all the same
                log.warning("The landed table cannot be read", exc_info=True)
                problem = "cannot be read"
        elif sha256 == now.sha256 and candidate.decreases:
            return candidate.decreases  # an earlier try was stopped before it wrote the receipt
        else:
            problem = "is not what the receipt says" if sha256 else "is gone"
    log.warning(
        "The landed table (%s) %s: numbers of rows are compared, not ids. A row that was replaced by another "
        "one is not noticed.",
        store.url(before.key if before else "refined_tweets.parquet"),
        problem,
    )
    return guard.lower_counts(landed, candidate)


def _require_complete(run: Run, candidate: Receipt, wanted: list[AccountReceipt]) -> None:
    if waived := [account for account in candidate.incomplete if account not in wanted]:
        log.warning("Waived, since they left twitter_handles: %s", _reasons(waived))
    if missing := [account for account in candidate.incomplete if account in wanted]:
        partial = sum(account.published > 0 for account in missing)
        numbers = [("without", len(missing) - partial), ("with a part of", partial)]
        extent = ", ".join(f"{how} {number}" for how, number in numbers if number)
        raise Incomplete(
            f"{run.day} is published {extent} of {len(candidate.accounts)} accounts. {_reasons(missing)} "
            f"{_account_remedy(run, missing)}, or take them out of twitter_handles and clear `load`."
        )


def _account_remedy(run: Run, missing: list[AccountReceipt]) -> str:
    remedies = []
    if any(account.outcome == "unavailable" for account in missing):
        others = f" (those that this run is not for: trigger {run.day} without `accounts`)"
        remedies.append(f"Clear `extract` to ask for them again{others if run.accounts else ''}")
    if any(account.outcome != "unavailable" for account in missing):  # buying them again changes nothing
        remedies.append(
            f"Look at {layout.rejected(run.day)}, mend the contract or the reading of X and clear `transform`"
        )
    return ". ".join(remedies)


def _reasons(accounts: Iterable[AccountReceipt]) -> str:
    """Why each account is incomplete."""
    return " ".join(map(_reason, accounts))


def _reason(account: AccountReceipt) -> str:
    if account.outcome != "unavailable":
        reasons = "; ".join(f"{number} for `{why}`" for why, number in account.rejected_by_reason.items())
        return f"{account.username}: all of its posts were rejected, {reasons}."
    reason = f"{account.username}: {(account.reason or '').rstrip('.')}."
    if not account.published:
        return reason
    return f"{reason} {account.published} rows of it came before that, and are published."
