"""Every request that X bills."""

import pytest

from include.twitter.errors import NoAccess, Outage, OverBudget
from include.twitter.extract.buyer import Stopped
from include.twitter.extract.money import Budget, Cap
from include.twitter.extract.walk import Walk
from tests.include.invented import DAY, MemoryLake, post
from tests.include.shop import FORBIDDEN, OUTAGE, ROOT, Try, open_shop, page, total, users


@pytest.fixture
def shop(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with open_shop() as opened:
        yield opened


@pytest.fixture
def lake():
    return MemoryLake()


def dollars_for_a_run(mills):
    return Budget(Cap("twitter_run_budget_usd", mills, 0))


def staged(lake):
    """The keys of the purchase, without its prefix."""
    return [key.removeprefix(f"{ROOT}buy=1/") for key in sorted(lake.objects)]


def test_a_page_is_staged_and_takes_the_walk_further(shop, lake):
    shop.has("timeline 42", page(post(2), token="t1"))
    buyer, walk = Try(shop, lake).buyer, Walk(DAY, 0)
    buyer.timeline("NASA", walk, "42")
    assert (walk.returned, walk.token, walk.outcome) == (1, "t1", None)
    assert staged(lake) == ["nasa/0001.json.gz"]


def test_the_next_page_is_asked_for_with_the_token_of_the_one_before(shop, lake):
    shop.has("timeline 42", page(post(2), token="t1"))
    shop.has("timeline 42 t1", page(post(1)))
    buyer, walk = Try(shop, lake).buyer, Walk(DAY, 0)
    buyer.timeline("NASA", walk, "42")
    buyer.timeline("NASA", walk, "42")
    assert (walk.returned, walk.outcome) == (2, "complete")
    assert staged(lake) == ["nasa/0001.json.gz", "nasa/0002.json.gz"]


def test_a_search_is_staged_where_it_is_told_to(shop, lake):
    shop.has("search NASA", page(post(2), token="t1"))
    shop.has("search NASA t1", page(post(1)))
    buyer, walk = Try(shop, lake).buyer, Walk(DAY, 0, 10, 100)
    buyer.search("search-NASA", walk, "NASA")
    buyer.search("search-NASA", walk, "NASA")
    assert walk.outcome == "complete"
    assert staged(lake) == ["search-nasa/0001.json.gz", "search-nasa/0002.json.gz"]


def test_what_x_returned_is_what_the_budget_is_charged(shop, lake):
    budget = dollars_for_a_run(5_000)
    shop.has("timeline 42", page(post(2), post(1)))
    shop.has("users NASA,esa", users(NASA="42"))
    shop.has("count NASA,esa", total(900))
    buyer = Try(shop, lake, budget=budget).buyer
    buyer.timeline("NASA", Walk(DAY, 0), "42")
    assert budget.room == 4_990
    buyer.users(["NASA", "esa"])
    assert budget.room == 4_980
    assert buyer.count(["NASA", "esa"]) == 900
    assert budget.room == 4_975


@pytest.mark.parametrize("answer", [OUTAGE, FORBIDDEN, {}], ids=["outage", "no access", "nothing"])
def test_a_request_that_failed_gives_back_all_that_was_held_and_stages_nothing(shop, lake, answer):
    budget = dollars_for_a_run(5_000)
    shop.has("timeline 42", answer)
    with pytest.raises((Outage, NoAccess)):
        Try(shop, lake, budget=budget).buyer.timeline("NASA", Walk(DAY, 0), "42")
    assert budget.room == 5_000
    assert staged(lake) == []


def test_a_page_that_would_cross_the_cap_is_asked_for_smaller(shop, lake):
    shop.has("timeline 42", page(post(2), post(1)))
    Try(shop, lake, budget=dollars_for_a_run(36)).buyer.timeline("NASA", Walk(DAY, 0), "42")
    assert shop.sizes == {"timeline 42": 7}


def test_a_search_asks_for_no_page_that_is_smaller_than_x_serves(shop, lake):
    with pytest.raises(OverBudget, match="at least 10 posts, up to"):
        Try(shop, lake, budget=dollars_for_a_run(49)).buyer.search("NASA", Walk(DAY, 0, 10, 100), "NASA")
    assert shop.asked == []


# Pages that cannot be used


# Counts


def test_a_count_is_asked_for_once_a_purchase_whoever_asks(shop, lake):
    shop.has("count NASA,esa", total(7))
    first = Try(shop, lake)
    assert first.buyer.count(["NASA", "esa"]) == 7
    assert first.buyer.count(["NASA", "esa"]) == 7
    assert Try(shop, lake, attempt=2).buyer.count(["NASA", "esa"]) == 7
    assert shop.asked == ["count NASA,esa"]
    assert staged(lake) == ["counts-of/0001.json.gz"]


def test_the_count_of_another_group_is_another_count(shop, lake):
    shop.has("count NASA,esa", total(7))
    shop.has("count NASA", total(4))
    buyer = Try(shop, lake).buyer
    assert (buyer.count(["NASA", "esa"]), buyer.count(["NASA"])) == (7, 4)


def test_a_count_costs_the_same_whatever_it_counts(shop, lake):
    budget = dollars_for_a_run(10)
    shop.has("count NASA", total(0))
    shop.has("count esa", total(12_000))
    buyer = Try(shop, lake, budget=budget).buyer
    assert (buyer.count(["NASA"]), buyer.count(["esa"])) == (0, 12_000)
    assert budget.room == 0


# Another reader has failed


def test_a_reader_that_was_stopped_buys_no_more_and_holds_nothing(shop, lake):
    budget = dollars_for_a_run(5_000)
    buyer = Try(shop, lake, budget=budget).buyer
    buyer.stopped.set()
    with pytest.raises(Stopped):
        buyer.timeline("NASA", Walk(DAY, 0), "42")
    with pytest.raises(Stopped):
        buyer.count(["NASA"])
    assert shop.asked == []
    assert budget.room == 5_000
