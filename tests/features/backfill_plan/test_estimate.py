"""What a day lacks, and what it can cost at most."""

from collections import Counter
from datetime import timedelta

import pytest

from include.twitter import layout
from include.twitter.extract.counts import Count
from include.twitter.records import CollectionSpec
from include.twitter_features.backfill_plan.fetch_counts import Window
from include.twitter_features.backfill_plan.inventory import DayInventory, estimate, spent_usd
from include.twitter_features.backfill_plan.plan import RESPONSE_KEY, plan_prefix
from tests.include.factories import DAY, RECEIVED, MemoryStore

IDS = {"NASA": "1", "esa": "2", "JAXA": "3"}


def counted(total, *ids, days=(DAY,), of_threads=False):
    return Window(ids, days, of_threads), Count(total, Counter({f"{day}T09": total for day in days}))


def planned(*counts, missing=("NASA",), stored=None, limit=100, limits=None):
    day = DayInventory(DAY, missing, missing, stored or {}, 0.0)
    return estimate(day, IDS, dict(counts), CollectionSpec(tuple(IDS), limit, limits=limits or {}), RECEIVED)


@pytest.mark.parametrize(
    ("total", "limit", "limits", "posts", "is_exact"),
    [
        (90, 100, {}, 90, True),  # no account can be over the limit
        (250, 100, {}, 250, False),  # one is, and X's count is the lower number
        (900, 100, {}, 300, False),
        (900, 0, {}, 900, True),
        (900, 100, {"nasa": 0}, 900, False),  # one without a limit may have all
        (900, 100, {"nasa": 3, "esa": 20}, 10 + 20 + 100, False),  # X serves no smaller page than 10 posts
    ],
)
def test_accounts_counted_together_have_what_x_counts_or_their_limits(total, limit, limits, posts, is_exact):
    day = planned(counted(total, "1", "2", "3"), missing=tuple(IDS), limit=limit, limits=limits)
    assert (day.counted, day.posts, day.is_exact) == (total, posts, is_exact)
    in_doubt = 0.01 + 2 * 0.01  # counted once more, and two of three may be empty and are looked up
    assert day.cost_usd == pytest.approx(posts * 0.005 + in_doubt * (not is_exact))


@pytest.mark.parametrize(
    ("counts", "stored", "posts"),
    [
        ([counted(200, "1")], 0, 100),
        ([counted(200, "1")], 60, 40),
        ([counted(50, "1")], 60, 0),
        ([counted(40, "1"), counted(7, "1", of_threads=True)], 30, 17),
        ([counted(5, "1"), counted(9, "1", days=(DAY.plus(1),))], 0, 5),
    ],
    ids=["up to the limit", "stored in part", "all stored", "with replies to itself", "of this day only"],
)
def test_an_account_counted_alone_has_an_exact_price_without_its_stored_posts(counts, stored, posts):
    day = planned(*counts, stored={"NASA": stored})
    assert (day.posts, day.is_exact, day.cost_usd) == (posts, True, posts * 0.005)


def test_accounts_that_x_does_not_show_are_no_part_of_the_run():
    assert planned(counted(5, "1"), missing=("NASA", "gone")).accounts == ("NASA",)
    assert planned(missing=("gone",)) is None


def test_a_day_costs_what_x_charges_now(monkeypatch):
    lists = {RECEIVED.date() - timedelta(days=1): {"posts": 7, "archive_counts": 10, "users": 10}}
    monkeypatch.setattr("include.twitter.pricing.PRICE_LISTS", lists)
    assert planned(counted(10, "1")).cost_usd == 0.07


def test_objects_of_others_are_neither_responses_nor_purchases():
    store, prefix = MemoryStore(), plan_prefix("c0ffee123456")
    for key in ("", "note.txt", "copy/c0ffee123456.json.gz"):
        store.write(f"{prefix}{key}", b"")
        store.write(f"{layout.raw(DAY)}buy=1/{key}", b"")
    assert store.parsed(store.keys("twitter_plans/"), RESPONSE_KEY.fullmatch) == {}
    assert spent_usd(store, DAY) == 0
