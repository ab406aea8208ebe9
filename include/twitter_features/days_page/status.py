"""The status of a day, and of an account on a day: a letter and a word, since colour alone is not enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from include.twitter.records import AccountReceipt
from include.twitter_features.days_page.landed_days import LandedAccount, LandedDay


class Status(NamedTuple):
    letter: str
    word: str
    meaning: str

    @property
    def css(self) -> str:
        return self.word.replace(" ", "-")


MATCHED = Status("M", "matched", "landed, and X's own count is equal")
LIMITED = Status(
    "L",
    "limited",
    "landed: the latest N posts, of about M. M is X's own count if a plan counted the account, else an "
    "estimate from the rate of the landed posts",
)
SHORT = Status("S", "short", "landed, and X counts more posts than it returned")
SURPLUS = Status("P", "surplus", "landed, and X counts fewer posts than it returned")
UNCHECKED = Status("U", "unchecked", "landed, without a count by X")
EMPTY = Status("0", "empty", "landed, without a row")
UNAVAILABLE = Status("!", "unavailable", "rows are missing: X does not show the account")
REJECTED = Status("X", "rejected", "rows are missing: all posts of the account broke the contract")
DAMAGED = Status("?", "damaged", "the day's receipt cannot be read: the notice says how to restore it")
FAILED = Status("F", "failed", "not landed: the day's newest run has failed")
RUNNING = Status("…", "running", "not landed: a run of the day is queued or running")
NOT_LANDED = Status("–", "not landed", "nothing has landed, and no run is queued or running")
NOT_COLLECTED = Status("·", "not collected", "the account was not collected on that day")
NOT_SETTLED = Status("\u2007", "not settled", "the day has not ended, or has not settled")
LANDED = Status("✓", "landed", "all accounts have landed, the latest posts of limited ones")
INCOMPLETE = Status("!", "incomplete", "landed, and accounts are missing")

ALL = (
    *(LANDED, INCOMPLETE, MATCHED, LIMITED, SHORT, SURPLUS, UNCHECKED, EMPTY, UNAVAILABLE, REJECTED),
    *(DAMAGED, FAILED, RUNNING, NOT_LANDED, NOT_COLLECTED, NOT_SETTLED),
)
PROOF_STATUSES = {proof.word: proof for proof in (MATCHED, LIMITED, SHORT, SURPLUS, UNCHECKED)}
SEVERITY = {MATCHED: 0, EMPTY: 0, LIMITED: 1, UNCHECKED: 1, SHORT: 2, SURPLUS: 2, UNAVAILABLE: 3, REJECTED: 3}
RUNS = {"queued": RUNNING, "running": RUNNING, "failed": FAILED}
"""By the state of a run; others say nothing of the day."""
RERUNS = {
    FAILED: FAILED._replace(meaning="the newest run has failed"),
    RUNNING: RUNNING._replace(meaning="a run is queued or running"),
}
"""The same, next to the status of a landed day."""


def of_day(landed: LandedDay | None, run: str | None, *, is_settled: bool, wanted: Collection[str]) -> Status:
    """The status by the receipt; without a receipt, by the state of the newest run.

    `wanted` are the handles that are collected now, in lower case: no other account makes a day incomplete.
    """
    if landed is None:
        return RUNS.get(str(run), NOT_LANDED if is_settled else NOT_SETTLED)
    if any(account.is_incomplete and account.username.lower() in wanted for account in landed.accounts):
        return INCOMPLETE
    return LANDED if landed.totals.published else EMPTY


def of_account(account: LandedAccount | AccountReceipt) -> Status:
    if account.is_incomplete:
        return UNAVAILABLE if account.outcome == "unavailable" else REJECTED
    return PROOF_STATUSES[account.proof] if account.published else EMPTY


def severity(account: LandedAccount | AccountReceipt) -> int:
    """How much attention an account needs; 0 is none."""
    return max(SEVERITY[of_account(account)], SEVERITY[PROOF_STATUSES[account.proof]])


def status_counts(statuses: Iterable[Status]) -> str:
    """`28 matched, 2 short`."""
    number = Counter(statuses)
    return ", ".join(f"{number[status]} {status.word}" for status in ALL if number[status])
