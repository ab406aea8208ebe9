"""What a clear of `extract` would cost."""

from datetime import UTC, datetime

import pytest

from include.twitter.identities import Identities
from include.twitter.records import CollectionSpec, Manifest
from include.twitter_features.days_page.clear_price import PriceInputs, of_extract
from tests.include.factories import account_read

FREE = "free: nothing is missing"
PRICES = {"posts": 5, "own_posts": 1, "users": 10}


def manifest(*accounts) -> Manifest:
    opened = datetime(2026, 11, 19, tzinfo=UTC)
    return Manifest(day="2026-11-18", buy=1, opened_by="r", opened_at=opened, accounts=list(accounts))


def inputs(*handles, limit=100, own="", cap=0, threads=False, limits=None, ids=None) -> PriceInputs:
    spec = CollectionSpec(handles or ("NASA", "esa"), limit, threads, limits or {})
    return PriceInputs(spec, own, cap, PRICES, Identities(ids or {}))


WHOLE = manifest(account_read("NASA"), account_read("esa", id="5", outcome="limit", limit=100))
GONE = account_read("esa", outcome="unavailable")


@pytest.mark.parametrize(
    ("bought", "current", "price"),
    [
        (WHOLE, inputs("nasa", "ESA"), FREE),
        (WHOLE, inputs(limit=50), FREE),
        (WHOLE, inputs("NASA_new", "esa", ids={"nasa_new": "42"}), FREE),
        (manifest(account_read("NASA"), GONE), inputs(),
         "1 account is missing (esa): up to 100 posts each, $0.51 at most"),
        (None, inputs(cap=5000),
         "2 accounts are missing (NASA, esa): up to 100 posts each, $1.02 at most; "
         "the day's purchase may cost $5.00 in all"),
        (WHOLE, inputs(limit=250), "1 account is missing (esa): up to 150 posts each, $0.76 at most"),
        (WHOLE, inputs(limits={"esa": 0}), "1 account is missing (esa): $0.005 a post, without a limit"),
        (WHOLE, inputs("NASA", threads=True),
         "1 account is missing (NASA): up to 100 posts each, $0.51 at most"),
        (None, inputs("NASA", own="nasa"),
         "1 account is missing (NASA): up to 100 posts each, $0.11 at most"),
        (None, inputs(*"abcdefg"),
         "7 accounts are missing (a, b, c, d, e and 2 more): up to 100 posts each, $3.57 at most"),
        (WHOLE, inputs(limits={"esa": 120, "nasa": 9}),
         "1 account is missing (esa): up to 20 posts each, $0.11 at most"),
    ],
)  # fmt: skip
def test_a_clear_of_extract_costs_what_is_missing(bought, current, price):
    assert of_extract(bought, current) == price
