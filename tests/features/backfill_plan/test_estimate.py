"""What a day can cost at most."""

from collections import Counter
from datetime import timedelta

import pytest

from include.twitter.extract.counts import Count
from include.twitter.records import CollectionSpec
from include.twitter_features.backfill_plan.fetch_counts import Window
from include.twitter_features.backfill_plan.inventory import DayInventory, estimate
from tests.include.factories import DAY, RECEIVED

IDS = {"NASA": "1", "esa": "2", "JAXA": "3"}


def counted(total, *ids, days=(DAY,), of_threads=False):
    return Window(ids, days, of_threads), Count(total, Counter({f"{day}T09": total for day in days}))


def planned(*counts, missing=tuple(IDS), stored=None, limit=100, limits=None):
    day = DayInventory(DAY, missing, missing, stored or {}, 0.0)
    return estimate(day, IDS, dict(counts), CollectionSpec(tuple(IDS), limit, limits=limits or {}), RECEIVED)


@pytest.mark.parametrize(
    ("total", "limit", "limits", "posts", "is_exact"),
    [
        (90, 100, {}, 90, True),  # nobody can be over the limit
        (250, 100, {}, 250, False),  # somebody is, and X's count is the lower number
        (900, 100, {}, 300, False),
        (900, 0, {}, 900, True),
        (900, 100, {"nasa": 0}, 900, False),  # one without a limit may have all
        (900, 100, {"nasa": 3, "esa": 20}, 10 + 20 + 100, False),  # X serves no smaller page than 10 posts
    ],
)
def test_accounts_counted_together_have_what_x_counts_or_their_limits(total, limit, limits, posts, is_exact):
    day = planned(counted(total, "1", "2", "3"), limit=limit, limits=limits)
    assert (day.counted, day.posts, day.is_exact) == (total, posts, is_exact)
    in_doubt = 0.01 + 2 * 0.01  # counted once more, and two of three may be empty and are looked up
    assert day.cost_usd == pytest.approx(posts * 0.005 + in_doubt * (not is_exact))


def test_an_account_counted_alone_leaves_no_doubt():
    day = planned(counted(200, "1"), missing=("NASA",))
    assert (day.posts, day.is_exact, day.cost_usd) == (100, True, 0.5)


def test_what_is_stored_is_not_bought_again():
    day = planned(counted(200, "1"), missing=("NASA",), stored={"NASA": 60})
    assert day.posts == 40
    assert planned(counted(50, "1"), missing=("NASA",), stored={"NASA": 60}).posts == 0


def test_replies_to_oneself_are_bought_beside_the_posts():
    counts = counted(40, "1"), counted(7, "1", of_threads=True)
    assert planned(*counts, missing=("NASA",), stored={"NASA": 30}).posts == 17


def test_counts_of_other_days_and_accounts_that_x_does_not_show_are_no_part_of_the_day():
    other = DAY.plus(1)
    day = planned(counted(5, "1"), counted(9, "1", days=(other,)), missing=("NASA", "gone"))
    assert (day.posts, day.accounts) == (5, ("NASA",))


def test_a_day_costs_what_x_charges_now(monkeypatch):
    lists = {RECEIVED.date() - timedelta(days=1): {"posts": 7, "archive_counts": 10, "users": 10}}
    monkeypatch.setattr("include.twitter.pricing.PRICE_LISTS", lists)
    assert planned(counted(10, "1"), missing=("NASA",)).cost_usd == 0.07
