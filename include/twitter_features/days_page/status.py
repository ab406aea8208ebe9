"""The status of a day, and of an account on a day: a letter and a word, since colour alone is not enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from enum import Enum

from include.twitter.records import AccountReceipt
from include.twitter_features.days_page.landed_days import LandedAccount, LandedDay


class Status(Enum):
    """Letter and meaning of a status; the name is the word."""

    LANDED = "✓", "all accounts have landed, the latest posts of limited ones"
    INCOMPLETE = "!", "landed, and accounts are missing"
    MATCHED = "M", "landed, and X's own count is equal"
    LIMITED = (
        "L",
        "landed: the latest N posts, of about M. M is X's own count if a plan counted the account, else an "
        "estimate from the rate of the landed posts",
    )
    SHORT = "S", "landed, and X counts more posts than it returned"
    SURPLUS = "P", "landed, and X counts fewer posts than it returned"
    UNCHECKED = "U", "landed, without a count by X"
    EMPTY = "0", "landed, without a row"
    UNAVAILABLE = "!", "rows are missing: X does not show the account"
    REJECTED = "X", "rows are missing: all posts of the account broke the contract"
    DAMAGED = "?", "the day's receipt cannot be read: the notice says how to restore it"
    FAILED = "F", "not landed: the day's newest run has failed"
    RUNNING = "…", "not landed: a run of the day is queued or running"
    NOT_LANDED = "–", "nothing has landed, and no run is queued or running"
    NOT_COLLECTED = "·", "the account was not collected on that day"
    NOT_SETTLED = "\u2007", "the day has not ended, or has not settled"

    def __init__(self, letter: str, meaning: str) -> None:
        self.letter, self.meaning = letter, meaning
        self.word = self.name.lower().replace("_", " ")
        self.css = self.word.replace(" ", "-")


SEVERITY = {
    Status.LIMITED: 1,
    Status.UNCHECKED: 1,
    Status.SHORT: 2,
    Status.SURPLUS: 2,
    Status.UNAVAILABLE: 3,
    Status.REJECTED: 3,
}
"""How much attention an account needs; others need none."""
OF_RUN = {"queued": Status.RUNNING, "running": Status.RUNNING, "failed": Status.FAILED}
"""By the state of a day's newest run, if nothing has landed; other states say nothing of the day."""
RERUN_MEANINGS = {Status.FAILED: "the newest run has failed", Status.RUNNING: "a run is queued or running"}
"""The meaning of the same status next to that of a landed day."""


def of_day(
    landed: LandedDay | None, run_state: str | None, *, is_settled: bool, collected: Collection[str]
) -> Status:
    """The status by the receipt; without a receipt, by the state of the newest run.

    `collected` are the handles that are collected now, in lower case: no other one makes a day incomplete.
    """
    if landed is None:
        return OF_RUN.get(str(run_state), Status.NOT_LANDED if is_settled else Status.NOT_SETTLED)
    if any(account.is_incomplete and account.username.lower() in collected for account in landed.accounts):
        return Status.INCOMPLETE
    return Status.LANDED if landed.totals.published else Status.EMPTY


def of_account(account: LandedAccount | AccountReceipt) -> Status:
    if account.is_incomplete:
        return Status.UNAVAILABLE if account.outcome == "unavailable" else Status.REJECTED
    return Status[account.proof.upper()] if account.published else Status.EMPTY


def severity(account: LandedAccount | AccountReceipt) -> int:
    return max(SEVERITY.get(shown, 0) for shown in (of_account(account), Status[account.proof.upper()]))


def status_counts(statuses: Iterable[Status]) -> str:
    """`28 matched, 2 short`."""
    number = Counter(statuses)
    return ", ".join(f"{number[status]} {status.word}" for status in Status if number[status])
