"""What a day is, and an account on a day, each as a letter, a word and a sentence: colour is never alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from include.twitter.records import AccountLine, AccountReceipt, DayLine


class State(NamedTuple):
    letter: str
    word: str
    meaning: str

    @property
    def css(self) -> str:
        return self.word.replace(" ", "-")


ACCOUNT = {
    state.word: state
    for state in (
        State("M", "matched", "landed, and X's own count is equal"),
        State(
            "L",
            "limited",
            "landed: the latest N posts that were asked for, of about M. M is X's own count if a plan "
            "counted the account, else an estimate from the rate of the landed posts",
        ),
        State("S", "short", "landed, and X counts more than came"),
        State("P", "surplus", "landed, and X counts less than came"),
        State("U", "unchecked", "landed, and there is no count of X's"),
        State("0", "empty", "landed: the account has no post of that day"),
        State("?", "unreadable", "its receipt in the bucket is damaged: the notice says how to restore it"),
        State("!", "incomplete", "rows are missing: X does not show the account, or all were rejected"),
        State("R", "red", "not landed: the day's newest run has failed"),
        State("…", "under way", "not landed: a run is at it"),
        State("–", "not landed", "nothing has landed, and no run is at it"),
        State("·", "not asked for", "the account was not asked for"),
        State("", "to come", "the day is not over, or has not settled"),
    )
}
DAY = {
    state.word: state
    for state in (
        State("✓", "landed", "all that is asked for has landed, of limited accounts the latest posts"),
        State("0", "empty", "landed, without a single row"),
        ACCOUNT["incomplete"]._replace(meaning="landed, and accounts are missing"),
        ACCOUNT["unreadable"],
        ACCOUNT["red"]._replace(meaning="not landed: the newest run has failed"),
        ACCOUNT["under way"]._replace(meaning="not landed: a run is at it"),
        ACCOUNT["not landed"],
        ACCOUNT["to come"],
    )
}
NO_LETTER = "\u2007"
"""A space as wide as a letter."""
AT_IT = {"queued", "running"}


@dataclass(frozen=True)
class Asking:
    """What decides about a day beside its receipt: whether it is over, who is wanted now, and, as long as
    there is no receipt, its newest run."""

    run: str | None
    """The state of the day's newest run."""
    is_over: bool
    wanted: Collection[str]
    """Handles in lower case."""


def of_day(line: DayLine | None, asking: Asking) -> State:
    return DAY[_of_day(line, asking)]


def _of_day(line: DayLine | None, asking: Asking) -> str:
    if line:
        if any(missing.username.lower() in asking.wanted for missing in missing_of(line)):
            return "incomplete"
        return "landed" if line.published else "empty"
    if asking.run in AT_IT:
        return "under way"
    if asking.run == "failed":
        return "red"
    return "not landed" if asking.is_over else "to come"


def of_rerun(line: DayLine | None, run: str | None) -> State | None:
    """The newest run of a landed day, if it needs attention: the day stays what its receipt says."""
    if line is None:
        return None
    if run in AT_IT:
        return ACCOUNT["under way"]._replace(meaning="a run is at it")
    return ACCOUNT["red"]._replace(meaning="the newest run has failed") if run == "failed" else None


def missing_of(line: DayLine) -> list[AccountLine]:
    return [account for account in line.accounts if account.is_incomplete]


def limited_of(line: DayLine) -> list[AccountLine]:
    return [account for account in line.accounts if account.outcome == "limit"]


def severity(account: AccountLine | AccountReceipt) -> int:
    """How much an account needs attention: 0 is not at all."""
    if account.is_incomplete:
        return 3
    return {"matched": 0, "limited": 1, "unchecked": 1}.get(account.proof, 2)


def of_account(account: AccountLine | None, day: State, line: DayLine | None, is_wanted: bool) -> State:
    """An account on a day, by its line in the receipt, if it has one."""
    if account:
        return landed(account)
    return ACCOUNT["not asked for" if line or not is_wanted else day.word]


def landed(account: AccountLine | AccountReceipt) -> State:
    if account.is_incomplete:
        return ACCOUNT["incomplete"]
    return ACCOUNT[account.proof if account.published else "empty"]


def by_handle(line: DayLine | None) -> Mapping[str, AccountLine]:
    return {account.username.lower(): account for account in line.accounts} if line else {}


class Stretch(NamedTuple):
    """Neighbouring days in the same state."""

    state: State
    letters: str


def stretches(states: Collection[State]) -> list[Stretch]:
    same = groupby(states, key=attrgetter("word"))
    return [
        Stretch(ACCOUNT[word], (ACCOUNT[word].letter or NO_LETTER) * len(list(each))) for word, each in same
    ]


def in_words(states: Collection[State]) -> str:
    """`28 matched, 2 short`: what a row of letters says to who hears it."""
    number = Counter(state.word for state in states)
    return ", ".join(f"{number[word]} {word}" for word in ACCOUNT if word in number)
