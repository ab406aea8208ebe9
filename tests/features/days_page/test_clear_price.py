"""What a clear of `extract` would cost."""

from datetime import UTC, datetime

import pytest

from include.twitter.identities import Identities
from include.twitter.records import CollectionSpec, Manifest
from include.twitter_features.days_page import clear_price
from include.twitter_features.days_page.clear_price import PriceInputs
from tests.include.factories import account_read


def manifest(*accounts) -> Manifest:
    opened = datetime(2026, 11, 19, tzinfo=UTC)
    return Manifest(day="2026-11-18", buy=1, opened_by="r", opened_at=opened, accounts=list(accounts))


def inputs(
    *handles: str, limit: int = 100, own: str = "", cap: int = 5000, threads: bool = False
) -> PriceInputs:
    return PriceInputs(CollectionSpec(handles or ("NASA", "esa"), limit, threads), own, cap)


WHOLE = manifest(account_read("NASA"), account_read("esa", id="5", outcome="limit", limit=100))
GONE = account_read("esa", outcome="unavailable")


@pytest.mark.parametrize(
    ("bought", "wanted", "price"),
    [
        (WHOLE, inputs("nasa", "ESA"), "free: nothing is missing"),
        (WHOLE, inputs(limit=50), "free: nothing is missing"),
        (manifest(account_read("NASA"), GONE), inputs(cap=0),
         "1 account is missing (esa): up to 100 posts each, $0.51 at most"),
        (None, inputs(),
         "2 accounts are missing (NASA, esa): up to 100 posts each, $1.02 at most; "
         "the day's purchase may cost $5.00 in all"),
        (WHOLE, inputs(limit=250, cap=0),
         "1 account is missing (esa): up to 150 posts each, $0.76 at most"),
        (WHOLE, PriceInputs(CollectionSpec(("NASA", "esa"), 100, limits={"esa": 0}), "", 0),
         "1 account is missing (esa): $0.005 a post, without a limit"),
        (WHOLE, inputs("NASA", threads=True, cap=0),
         "1 account is missing (NASA): up to 100 posts each, $0.51 at most"),
        (None, inputs("NASA", own="nasa", cap=0),
         "1 account is missing (NASA): up to 100 posts each, $0.11 at most"),
        (None, inputs(*"abcdefg", cap=0),
         "7 accounts are missing (a, b, c, d, e and 2 more): up to 100 posts each, $3.57 at most"),
        (WHOLE, PriceInputs(CollectionSpec(("NASA", "esa"), 100, limits={"esa": 120, "nasa": 9}), "", 0),
         "1 account is missing (esa): up to 20 posts each, $0.11 at most"),
    ],
)  # fmt: skip
def test_a_clear_of_extract_costs_what_is_missing(bought, wanted, price):
    assert clear_price.of_extract(bought, wanted) == price


def renamed(ids: dict[str, str]) -> PriceInputs:
    return PriceInputs(CollectionSpec(("NASA_new", "esa"), 100), "", 0, identities=Identities(ids))


def test_an_account_that_was_renamed_is_not_missing():
    assert clear_price.of_extract(WHOLE, renamed({"nasa_new": "42"})) == "free: nothing is missing"
    assert clear_price.of_extract(WHOLE, renamed({})) == (
        "$0.01 to look up NASA_new; if that is a renamed account of the day, no more; else 1 account is "
        "missing (NASA_new): up to 100 posts each, $0.51 at most"
    )


def test_buying_again_costs_about_what_it_cost():
    assert clear_price.of_buying_again(635, inputs()) == "about $0.635, as before"
    assert clear_price.of_buying_again(0, inputs("NASA", cap=0)).startswith(
        "1 account is missing (NASA): up to 100"
    )
