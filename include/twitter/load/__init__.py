"""The last box of the graph: publishes the candidates, the receipt last, unless that would lose landed rows.

`guard` holds the candidate against what has landed, `publish` copies.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from include.twitter import days, lake, roster, settings
from include.twitter.day import FORGOTTEN, Day
from include.twitter.errors import Incomplete, NothingStaged
from include.twitter.forgotten import Tombstones
from include.twitter.lake import Lake
from include.twitter.load import guard
from include.twitter.load.publish import essentials, publish, warn_of_gaps
from include.twitter.records import AccountReceipt, Receipt, decoded
from include.twitter.run import Run

__all__ = ["load"]

log = logging.getLogger(__name__)


def load(run: Run, staged: dict[str, Any] | None) -> dict[str, Any]:
    """Publish what `transform` has staged; green means complete."""
    here = lake.deployed()
    wanted, accepted_ids = roster.read(here).handles, settings.accept_id()
    accepted = run.day in settings.accept_shrink()
    candidate = _candidate(here, staged)
    _require_forgotten(here, candidate, run.day)
    if len(candidate.missing) == len(candidate.accounts) and not candidate.totals.published:
        raise Incomplete(
            f"Nothing is published: no account of {run.day} could be read. {_named(candidate.missing)}"
        )
    landed = _receipt(here, run.day.receipt)
    lost = guard.decreases(landed, candidate)
    guard.require_no_loss(lost, run.day, accepted=accepted)
    same = landed is not None and landed.objects == candidate.objects  # what was said stays said
    candidate.decreases = landed.decreases if landed and same else lost
    publish(here, run.day, run.day.staging(run.id), candidate)
    days.keep(here, run.day)
    warn_of_gaps(here, run)
    lines = roster.Identities.read(here, accepted_ids).find(candidate.accounts)
    _require_complete(run, candidate, [line for handle in wanted if (line := lines.of(handle))])
    return essentials(candidate, here.bucket)


def _candidate(here: Lake, staged: dict[str, Any] | None) -> Receipt:
    if not staged:
        raise NothingStaged(
            "`transform` has not said what it staged: was it marked success by hand? Clear it: it is free."
        )
    if (candidate := _receipt(here, staged["receipt"])) is None:
        raise NothingStaged(
            f"{here.url(staged['receipt'])} is gone (it is kept for 14 days). Clear `transform`: it is free."
        )
    return candidate


def _require_forgotten(here: Lake, candidate: Receipt, day: Day) -> None:
    """Refuse what was staged before something of the day was forgotten."""
    if Tombstones.of(here.read(FORGOTTEN)).concern(day, since=candidate.acts):
        raise NothingStaged(
            f"Nothing is published: posts of {day} were forgotten since it was staged. "
            "Clear `transform`: it is free."
        )


def _receipt(here: Lake, key: str) -> Receipt | None:
    data = here.read(key)
    return decoded(data, Receipt) if data else None


def _require_complete(run: Run, candidate: Receipt, wanted: list[AccountReceipt]) -> None:
    missing = candidate.missing
    if waived := [account for account in missing if account not in wanted]:
        log.warning("Waived, since they left twitter_handles: %s", _named(waived))
    if missing := [account for account in missing if account in wanted]:
        cut = sum(account.published > 0 for account in missing)
        parts = [("without", len(missing) - cut), ("with a part of", cut)]
        told = ", ".join(f"{how} {number}" for how, number in parts if number)
        raise Incomplete(
            f"{run.day} is published {told} of {len(candidate.accounts)} accounts. {_named(missing)} "
            "Clear `extract` to ask for them again, or take them out of twitter_handles and clear `load`."
        )


def _named(missing: Iterable[AccountReceipt]) -> str:
    return " ".join(map(_in_words, missing))


def _in_words(account: AccountReceipt) -> str:
    """Why an account is missing; what came before X took it away was paid for, and is published."""
    why = f"{account.username}: {(account.reason or '').rstrip('.')}."
    if not account.published:
        return why
    return f"{why} {account.published} rows of it came before that, and are published."
