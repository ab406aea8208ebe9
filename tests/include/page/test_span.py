"""Landed days with the handles that their accounts have now."""

from include.twitter.page.span import Notices, Wanted
from include.twitter.records import AccountLine, DayLine
from include.twitter.roster import Identities
from tests.include.invented import DAY


def shown(ids, *accounts, accepted=()):
    line = DayLine(etag="e", buy=1, cost_usd=0, published=0, rejected=0, accounts=[*accounts], ledger={})
    wanted = Wanted(("NASA_new", "esa"), 0, DAY, Notices(), Identities(ids, accepted))
    return [account.username for account in wanted.by_handle(line).accounts]


def test_a_renamed_account_is_shown_under_its_handle_of_now_and_others_as_they_were():
    nasa, left = (
        AccountLine("NASA", "complete", "matched", 3, "42"),
        AccountLine("jaxa", "complete", "matched", 3, "9"),
    )
    assert shown({"nasa_new": "42"}, nasa, left) == ["NASA_new", "jaxa"]
    assert shown({}, nasa, left) == ["NASA", "jaxa"]


def test_an_account_whose_handle_is_another_one_now_is_shown_with_its_id():
    former = AccountLine("esa", "complete", "matched", 3, "5")
    now = AccountLine("esa", "complete", "matched", 3, "7")
    known = {"ids": {"esa": "7"}, "accepted": [("esa", "7")]}
    assert shown(known["ids"], former, now, accepted=known["accepted"]) == ["esa (5)", "esa"]
    assert shown(known["ids"], former, accepted=known["accepted"]) == ["esa (5)"]
