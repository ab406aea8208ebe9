"""The status of a day, and of an account on it."""

import msgspec
import pytest

from include.twitter_features.days_page import status
from include.twitter_features.days_page.landed_days import LandedAccount, LandedDay
from include.twitter_features.days_page.status import Status
from tests.include.factories import a_receipt, account_receipt

NASA = account_receipt("NASA", 3)
GONE = account_receipt("gone", 0, outcome="unavailable", proof="unchecked")


@pytest.mark.parametrize(
    ("accounts", "run_state", "is_settled", "word"),
    [
        ([NASA], None, True, "landed"),
        ([NASA], "failed", True, "landed"),
        ([NASA, GONE], "running", True, "incomplete"),
        ([NASA, account_receipt("left", 0, outcome="unavailable")], "failed", True, "landed"),
        ([account_receipt("NASA", 0)], "success", True, "empty"),
        (None, "failed", True, "failed"),
        (None, "queued", True, "running"),
        (None, "running", False, "running"),
        (None, "success", True, "not landed"),
        (None, None, True, "not landed"),
        (None, None, False, "not settled"),
    ],
)
def test_a_day_has_the_status_of_its_receipt_or_of_its_newest_run(accounts, run_state, is_settled, word):
    landed = accounts and msgspec.convert(a_receipt(*accounts), LandedDay, from_attributes=True)
    shown = status.of_day(landed, run_state, is_settled=is_settled, collected=("nasa", "gone"))
    assert shown.word == word


@pytest.mark.parametrize(
    ("account", "word", "severity"),
    [
        (NASA, "matched", 0),
        (account_receipt("NASA", 100, outcome="limit", proof="limited"), "limited", 1),
        (account_receipt("NASA", 1, proof="short"), "short", 2),
        (account_receipt("NASA", 1, proof="surplus"), "surplus", 2),
        (account_receipt("NASA", 1, proof="unchecked"), "unchecked", 1),
        (account_receipt("NASA", 0), "empty", 0),
        (account_receipt("NASA", 0, proof="short"), "empty", 2),
        (account_receipt("NASA", 0, rejected=2), "rejected", 3),
        (account_receipt("NASA", 1, rejected=2), "matched", 0),
        (account_receipt("gone", 7, outcome="unavailable", proof="short"), "unavailable", 3),
    ],
)
def test_an_account_has_the_status_of_its_entry_in_the_receipt(account, word, severity):
    for entry in (account, msgspec.convert(account, LandedAccount, from_attributes=True)):
        assert (status.of_account(entry).word, status.severity(entry)) == (word, severity)


def test_every_status_has_a_letter_of_its_own_except_that_incomplete_days_have_unavailable_accounts():
    cells = [shown.letter for shown in Status if shown is not Status.INCOMPLETE]
    assert len(set(cells)) == len(cells)


def test_a_row_of_days_is_a_sentence():
    row = [Status.MATCHED, Status.SHORT, Status.NOT_SETTLED, Status.MATCHED]
    assert status.status_counts(row) == "2 matched, 1 short, 1 not settled"
