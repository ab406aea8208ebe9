"""The last box of the graph: publishes the candidates, the receipt last, unless that would lose landed rows.

`guard` holds the candidate against what has landed, `publish` copies.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from include.twitter import lake, settings
from include.twitter.errors import Incomplete, NothingStaged
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
    wanted = {handle.lower() for handle in settings.handles()}
    accepted = run.day in settings.accept_shrink()
    candidate = _candidate(here, staged)
    if len(candidate.missing) == len(candidate.accounts):
        raise Incomplete(
            f"Nothing is published: no account of {run.day} could be read. {_named(candidate.missing)}"
        )
    landed = _receipt(here, run.day.receipt)
    lost = guard.decreases(landed, candidate)
    guard.require_no_loss(lost, run.day, accepted=accepted)
    again = landed is not None and landed.objects == candidate.objects  # what was told stays told
    candidate.decreases = landed.decreases if landed and again else lost
    publish(here, run.day, run.day.staging(run.id), candidate)
    warn_of_gaps(here, run)
    _require_complete(run, candidate, wanted)
    return essentials(candidate)


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


def _receipt(here: Lake, key: str) -> Receipt | None:
    data = here.read(key)
    return decoded(data, Receipt) if data else None


def _require_complete(run: Run, candidate: Receipt, wanted: set[str]) -> None:
    missing = candidate.missing
    if waived := [account for account in missing if account.username.lower() not in wanted]:
        log.warning("Waived, since they left twitter_handles: %s", _named(waived))
    if missing := [account for account in missing if account.username.lower() in wanted]:
        raise Incomplete(
            f"{run.day} is published without {len(missing)} of {len(candidate.accounts)} accounts. "
            f"{_named(missing)} Clear `extract` to ask for them again, or take them out of twitter_handles "
            "and clear `load`."
        )


def _named(missing: Iterable[AccountReceipt]) -> str:
    return " ".join(f"{account.username}: {account.reason}" for account in missing)
