"""Landed days under the handles that their accounts have now."""

import msgspec
import pytest

from include.twitter.accounts import Account, ConfiguredAccounts
from include.twitter.identities import Identities
from include.twitter_features.days_page.day_range import CurrentSettings
from include.twitter_features.days_page.landed_days import LandedDay
from tests.include.factories import DAY, a_receipt, account_receipt

NASA, JAXA = account_receipt("NASA", 3), account_receipt("jaxa", 3, id="9")
FORMER_ESA, ESA = account_receipt("esa", 3, id="5"), account_receipt("esa", 3, id="7")


@pytest.mark.parametrize(
    ("ids", "accepted", "accounts", "shown"),
    [
        ({"nasa_new": "42"}, [], [NASA, JAXA], ["NASA_new", "jaxa"]),
        ({}, [], [NASA, JAXA], ["NASA", "jaxa"]),
        ({"esa": "7"}, [("esa", "7")], [FORMER_ESA, ESA], ["esa (5)", "esa"]),
        ({"esa": "7"}, [("esa", "7")], [FORMER_ESA], ["esa (5)"]),
    ],
    ids=["renamed", "not looked up", "both accounts of a handle", "former account of a handle"],
)
def test_an_account_is_shown_under_its_current_handle_or_with_its_id(ids, accepted, accounts, shown):
    roster = ConfiguredAccounts((Account("NASA_new"), Account("esa")))
    settings = CurrentSettings(roster, frozenset(["nasa_new", "esa"]), 0, DAY, Identities(ids, accepted))
    landed = msgspec.convert(a_receipt(*accounts), LandedDay, from_attributes=True)
    assert [account.username for account in settings.with_current_handles(landed).accounts] == shown
