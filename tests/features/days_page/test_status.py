"""The status of a day, and of an account on it."""

import msgspec
import pytest

from include.twitter_features.days_page import status
from include.twitter_features.days_page.landed_days import LandedAccount, LandedDay
from tests.include.factories import a_receipt, account_receipt

NASA = account_receipt("NASA", 3)
GONE = account_receipt("gone", 0, outcome="unavailable", proof="unchecked")
BOTH = ("nasa", "gone")


def day(*accounts) -> LandedDay:
    return msgspec.convert(a_receipt(*accounts), LandedDay, from_attributes=True)


@pytest.mark.parametrize(
    ("landed", "run", "is_settled", "wanted", "word"),
    [
        (day(NASA), "success", True, BOTH, "landed"),
        (day(NASA), None, True, BOTH, "landed"),
        (day(NASA), "failed", True, BOTH, "landed"),
        (day(NASA, GONE), "running", True, BOTH, "incomplete"),
        (day(NASA, GONE), "failed", True, ("nasa",), "landed"),
        (day(account_receipt("NASA", 0)), "success", True, BOTH, "empty"),
        (None, "failed", True, BOTH, "failed"),
        (None, "queued", True, BOTH, "running"),
        (None, "running", False, BOTH, "running"),
        (None, "success", True, BOTH, "not landed"),
        (None, None, True, BOTH, "not landed"),
        (None, None, False, BOTH, "not settled"),
    ],
)
def test_a_day_has_the_status_of_its_receipt_and_without_one_of_its_newest_run(
    landed, run, is_settled, wanted, word
):
    assert status.of_day(landed, run, is_settled=is_settled, wanted=wanted).word == word


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
        (GONE, "unavailable", 3),
        (account_receipt("gone", 7, outcome="unavailable", proof="short"), "unavailable", 3),
    ],
)
def test_an_account_has_the_status_of_its_entry_in_the_receipt(account, word, severity):
    for entry in (account, msgspec.convert(account, LandedAccount, from_attributes=True)):
        assert (status.of_account(entry).word, status.severity(entry)) == (word, severity)


def test_every_status_of_a_cell_has_a_letter_and_a_word_of_its_own():
    assert len({shown.word for shown in status.ALL}) == len(status.ALL)
    cells = [shown.letter for shown in status.ALL if shown != status.INCOMPLETE]
    assert len(set(cells)) == len(cells)


def test_a_row_of_days_is_a_sentence():
    row = [status.MATCHED, status.SHORT, status.NOT_SETTLED, status.MATCHED]
    assert status.status_counts(row) == "2 matched, 1 short, 1 not settled"
