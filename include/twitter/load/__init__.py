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
from include.twitter.errors import Incomplete, MissingInput
from include.twitter.identities import Identities
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
    handles, confirmed_ids = accounts.read(store).handles, settings.confirmed_account_ids()
    may_lose_rows = run.day in settings.allow_row_loss()
    key = require_xcom(staged, "transform")["receipt"]
    if (stored_candidate := store.get(key)) is None:
        raise MissingInput(
            f"{store.url(key)} is gone (it is kept for 14 days). Clear `transform`: it is free."
        )
    candidate = store.decoded(key, stored_candidate.data, Receipt)
    tombstones = store.tombstones()
    if tombstones.affect(run.day, since=candidate.erasures):
        raise MissingInput(
            f"Nothing is published: posts of {run.day} were erased since it was staged. "
            "Clear `transform`: it is free."
        )
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
            guard.require_no_loss(lost, run.day, accepted=may_lose_rows)
            if lost != candidate.decreases:
                candidate.decreases = lost  # stored for the next try: this one may be killed between copies
                store.put_if_match(key, encoded(candidate), stored_candidate.etag)
        replaces = stored.etag if stored else None
        publish_files(store, lease, staging, candidate, layout.receipt(run.day), replaces)
    if rejected := candidate.totals.rejected:
        log.warning("%d posts broke the contract: %s", rejected, store.url(layout.rejected(run.day)))
    warn_of_gaps(store, run)
    entries = Identities.read(store, confirmed_ids).index(candidate.accounts)
    _require_complete(run, candidate, [entry for handle in handles if (entry := entries.of(handle))])
    return asset_event(candidate, store.bucket)


def _lost_rows(
    store: ObjectStore, landed: Receipt, candidate: Receipt, staging: str, tombstones: Tombstones
) -> list[Decrease]:
    """The landed rows that publishing would remove: by id, or by number if the landed table is unreadable."""
    before, after = landed.objects["parquet"], candidate.objects["parquet"]
    if before.sha256 == after.sha256:
        return []
    table = store.read(before.key)
    sha256 = hashlib.sha256(table or b"").hexdigest()
    if sha256 == after.sha256 and candidate.decreases:
        return candidate.decreases  # an earlier try was stopped before it wrote the receipt
    problem = "is gone" if table is None else "is not the one of the receipt"
    if table is not None and sha256 == before.sha256:
        staged = guard.rows(store.required(staging + Path(after.key).name))
        try:
            return guard.lost_rows(guard.rows(table), staged, tombstones)
        except Exception:  # whatever the reason, rows are compared all the same
            log.warning("The landed table cannot be read", exc_info=True)
            problem = "cannot be read"
    log.warning(
        "The landed table (%s) %s: numbers of rows are compared, not ids. A row that was replaced by another "
        "one is not noticed.",
        store.url(before.key),
        problem,
    )
    return guard.lower_counts(landed, candidate)


def _require_complete(run: Run, candidate: Receipt, requested: list[AccountReceipt]) -> None:
    """Raise Incomplete if rows of requested accounts are missing; log the other incomplete accounts."""
    if waived := [account for account in candidate.incomplete if account not in requested]:
        log.warning("Waived, since they left twitter_handles: %s", _reasons(waived))
    if missing := [account for account in candidate.incomplete if account in requested]:
        partial = sum(account.published > 0 for account in missing)
        numbers = [("without", len(missing) - partial), ("with a part of", partial)]
        extent = ", ".join(f"{how} {number}" for how, number in numbers if number)
        remedies = []
        if unavailable := [account for account in missing if account.outcome == "unavailable"]:
            others = f" (those that this run is not for: trigger {run.day} without `accounts`)"
            remedies.append(f"Clear `extract` to request them again{others if run.accounts else ''}")
        if len(unavailable) < len(missing):  # buying them again changes nothing
            remedies.append(
                f"Look at {layout.rejected(run.day)}, correct the contract or the code that reads X's posts, "
                "and clear `transform`"
            )
        raise Incomplete(
            f"{run.day} is published {extent} of {len(candidate.accounts)} accounts. {_reasons(missing)} "
            f"{'. '.join(remedies)}, or take them out of twitter_handles and clear `load`."
        )


def _reasons(accounts: Iterable[AccountReceipt]) -> str:
    """Why each account is incomplete."""
    sentences = []
    for account in accounts:
        if account.outcome != "unavailable":
            reasons = "; ".join(
                f"{number} for `{reason}`" for reason, number in account.rejected_by_reason.items()
            )
            sentences.append(f"{account.username}: all of its posts were rejected, {reasons}.")
            continue
        sentences.append(f"{account.username}: {(account.reason or '').rstrip('.')}.")
        if account.published:
            sentences.append(f"{account.published} rows of it came before that, and are published.")
    return " ".join(sentences)
