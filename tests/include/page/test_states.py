"""What a day is, and an account on it."""

import pytest

from include.twitter.page import states
from include.twitter.page.states import ACCOUNT, Asking
from include.twitter.records import AccountLine, DayLine

NASA = AccountLine("NASA", "complete", "matched", 3)
GONE = AccountLine("gone", "unavailable", "unchecked", 0)


def line(*accounts: AccountLine) -> DayLine:
    rows = sum(account.published for account in accounts)
    return DayLine(
        etag="e", buy=1, cost_usd=0, published=rows, rejected=0, accounts=list(accounts), ledger={}
    )


def asking(run=None, is_over=True, wanted=("nasa", "gone")) -> Asking:
    return Asking(run, is_over, wanted)


@pytest.mark.parametrize(
    ("landed", "asked", "word"),
    [
        (line(NASA), asking("success"), "landed"),
        (line(NASA), asking(None), "landed"),
        (line(NASA), asking("failed"), "landed"),
        (line(NASA), asking("running"), "landed"),
        (line(NASA, GONE), asking("running"), "incomplete"),
        (line(NASA, GONE), asking("failed"), "incomplete"),
        (line(NASA, GONE), asking("failed", wanted=("nasa",)), "landed"),
        (line(NASA, GONE), asking("success", wanted=("nasa",)), "landed"),
        (line(AccountLine("NASA", "complete", "matched", 0)), asking("success"), "empty"),
        (None, asking("failed"), "red"),
        (None, asking("queued"), "under way"),
        (None, asking(None), "not landed"),
        (None, asking("success"), "not landed"),
        (None, asking(None, is_over=False), "to come"),
    ],
)
def test_a_day_is_what_its_receipt_says_and_without_one_its_newest_run(landed, asked, word):
    assert states.of_day(landed, asked).word == word


@pytest.mark.parametrize(
    ("landed", "run", "word"),
    [
        (line(NASA), "failed", "red"),
        (line(NASA), "queued", "under way"),
        (line(NASA), "success", None),
        (line(NASA), None, None),
        (None, "failed", None),
    ],
)
def test_the_newest_run_of_a_landed_day_is_told_beside_it(landed, run, word):
    rerun = states.of_rerun(landed, run)
    assert (rerun and rerun.word) == word
    assert not rerun or "not landed" not in rerun.meaning


@pytest.mark.parametrize(
    ("account", "word"),
    [
        (NASA, "matched"),
        (AccountLine("NASA", "limit", "limited", 100), "limited"),
        (AccountLine("NASA", "complete", "short", 1), "short"),
        (AccountLine("NASA", "complete", "surplus", 1), "surplus"),
        (AccountLine("NASA", "complete", "unchecked", 1), "unchecked"),
        (AccountLine("NASA", "complete", "matched", 0), "empty"),
        (AccountLine("NASA", "complete", "matched", 0, rejected=2), "incomplete"),
        (AccountLine("NASA", "complete", "matched", 1, rejected=2), "matched"),
        (AccountLine("NASA", "complete", "short", 0), "empty"),
        (GONE, "incomplete"),
        (AccountLine("gone", "unavailable", "short", 7), "incomplete"),
    ],
)
def test_an_account_is_what_the_receipt_says_of_it(account, word):
    landed = line(account)
    assert states.of_account(account, states.DAY["landed"], landed, is_wanted=True).word == word


@pytest.mark.parametrize("word", ["red", "under way", "not landed", "to come"])
def test_an_account_that_is_wanted_is_as_its_day_where_that_has_not_landed(word):
    day = states.DAY[word]
    assert states.of_account(None, day, None, is_wanted=True).word == word
    assert states.of_account(None, day, None, is_wanted=False).word == "not asked for"


def test_an_account_that_a_landed_day_lacks_was_not_asked_for():
    assert states.of_account(None, states.DAY["landed"], line(NASA), is_wanted=True).word == "not asked for"


def test_every_state_has_a_letter_of_its_own():
    letters = [state.letter for state in ACCOUNT.values()]
    assert len(set(letters)) == len(letters)


def test_a_row_of_days_is_stretches_of_letters_and_a_sentence():
    row = [ACCOUNT[word] for word in ("matched", "matched", "short", "to come", "matched")]
    assert [stretch.letters for stretch in states.stretches(row)] == ["MM", "S", "\u2007", "M"]
    assert states.in_words(row) == "3 matched, 1 short, 1 to come"
