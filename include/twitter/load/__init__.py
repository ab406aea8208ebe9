"""The last box of the graph: publishes the candidates, the receipt last, unless that would lose landed rows.

`guard` compares the candidate with what has landed, `publish` copies. One load of a day does so at a time: it
holds a lease.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from include.twitter import days, lake, roster, settings
from include.twitter.airflow_context import Run
from include.twitter.day import FORGOTTEN, Day
from include.twitter.errors import Incomplete, NothingStaged
from include.twitter.forgotten import Tombstones
from include.twitter.lake import Lake
from include.twitter.lease import held
from include.twitter.load import guard
from include.twitter.load.publish import essentials, publish, warn_of_gaps
from include.twitter.records import AccountReceipt, Decrease, Receipt, decoded, encoded
from include.twitter.retry import no_try_for_progress

__all__ = ["decoded", "load"]

log = logging.getLogger(__name__)


def load(run: Run, staged: dict[str, Any] | None) -> dict[str, Any]:
    """Publish what `transform` has staged; green means complete."""
    here = lake.deployed()
    wanted, accepted_ids = roster.read(here).handles, settings.accept_id()
    accepted = run.day in settings.accept_shrink()
    candidate, tag = _candidate(here, staged)
    with here.parsing(FORGOTTEN, "the list of what was forgotten"):
        tombstones = Tombstones.of(here.read(FORGOTTEN))
    _require_forgotten(tombstones, candidate, run.day)
    failed = [*candidate.missing, *candidate.all_rejected]
    if len(failed) == len(candidate.accounts) and not candidate.totals.published:
        raise Incomplete(f"Nothing is published: no account of {run.day} could be read. {_named(failed)}")
    staging = run.day.staging(run.id)
    with no_try_for_progress(lambda: False, run.now), held(here, run.day.lease, run) as lease:
        found = here.look(run.day.receipt)
        landed = here.decoded(run.day.receipt, found.data, Receipt) if found else None
        if landed and landed.objects == candidate.objects:  # published again: what was recorded stays
            candidate.decreases = landed.decreases
        elif landed:
            lost = _lost(here, landed, candidate, staging, tombstones)
            guard.require_no_loss(lost, run.day, accepted=accepted)
            if lost != candidate.decreases:
                candidate.decreases = lost  # kept for the next try too: this one may be killed between copies
                here.swap(f"{staging}receipt.json", encoded(candidate), tag)
        publish(here, lease, run.day, staging, candidate, found.tag if found else None)
    days.keep(here, run.day)
    warn_of_gaps(here, run)
    lines = roster.Identities.read(here, accepted_ids).find(candidate.accounts)
    _require_complete(run, candidate, [line for handle in wanted if (line := lines.of(handle))])
    return essentials(candidate, here.bucket)


def _candidate(here: Lake, staged: dict[str, Any] | None) -> tuple[Receipt, str]:
    """The staged receipt and its tag."""
    if not staged:
        raise NothingStaged(
            "`transform` has not said what it staged: was it marked success by hand? Clear it: it is free."
        )
    if (found := here.look(staged["receipt"])) is None:
        raise NothingStaged(
            f"{here.url(staged['receipt'])} is gone (it is kept for 14 days). Clear `transform`: it is free."
        )
    return here.decoded(staged["receipt"], found.data, Receipt), found.tag


def _require_forgotten(tombstones: Tombstones, candidate: Receipt, day: Day) -> None:
    """Refuse what was staged before something of the day was forgotten."""
    if tombstones.concern(day, since=candidate.acts):
        raise NothingStaged(
            f"Nothing is published: posts of {day} were forgotten since it was staged. "
            "Clear `transform`: it is free."
        )


def _lost(
    here: Lake, landed: Receipt, candidate: Receipt, staging: str, tombstones: Tombstones
) -> list[Decrease]:
    """The landed rows that publishing would remove: by id, or by number without a landed table."""
    before, now = landed.objects.get("parquet"), candidate.objects.get("parquet")
    if before and now and before.sha256 == now.sha256:
        return []
    problem = "is in no receipt"
    if before and now:
        table = here.read(before.key)
        sha256 = hashlib.sha256(table).hexdigest() if table is not None else None
        if table is not None and sha256 == before.sha256:
            staged = guard.rows(here.required(staging + Path(now.key).name))
            try:
                return guard.lost_rows(guard.rows(table), staged, tombstones)
            except Exception:  # whatever it is, rows are compared all the same
                log.warning("The landed table cannot be read", exc_info=True)
                problem = "cannot be read"
        elif sha256 == now.sha256 and candidate.decreases:
            return candidate.decreases  # a try before this one was stopped before it wrote the receipt
        else:
            problem = "is not what the receipt says" if sha256 else "is gone"
    log.warning(
        "The landed table (%s) %s: numbers of rows are compared, not ids. A row that another one "
        "replaces is not noticed.",
        here.url(before.key if before else "refined_tweets.parquet"),
        problem,
    )
    return guard.decreases(landed, candidate)


def _require_complete(run: Run, candidate: Receipt, wanted: list[AccountReceipt]) -> None:
    missing = [*candidate.missing, *candidate.all_rejected]
    if waived := [account for account in missing if account not in wanted]:
        log.warning("Waived, since they left twitter_handles: %s", _named(waived))
    if missing := [account for account in missing if account in wanted]:
        cut = sum(account.published > 0 for account in missing)
        parts = [("without", len(missing) - cut), ("with a part of", cut)]
        told = ", ".join(f"{how} {number}" for how, number in parts if number)
        raise Incomplete(
            f"{run.day} is published {told} of {len(candidate.accounts)} accounts. {_named(missing)} "
            f"{_remedy(run.day, missing)}, or take them out of twitter_handles and clear `load`."
        )


def _remedy(day: Day, missing: list[AccountReceipt]) -> str:
    """To buy posts again that the contract refused changes nothing."""
    rejected = sum(account.outcome != "unavailable" for account in missing)
    remedies = ["Clear `extract` to ask for them again"] if rejected < len(missing) else []
    if rejected:
        remedies.append(
            f"Look at {day.rejected}, mend the contract or the reading of X and clear `transform`"
        )
    return ". ".join(remedies)


def _named(missing: Iterable[AccountReceipt]) -> str:
    return " ".join(map(_in_words, missing))


def _in_words(account: AccountReceipt) -> str:
    """Why an account is missing; what came before X took it away was paid for, and is published."""
    if account.outcome != "unavailable":
        reasons = "; ".join(f"{number} for `{why}`" for why, number in account.rejected_by_reason.items())
        return f"{account.username}: all of its posts were rejected, {reasons}."
    why = f"{account.username}: {(account.reason or '').rstrip('.')}."
    if not account.published:
        return why
    return f"{why} {account.published} rows of it came before that, and are published."
