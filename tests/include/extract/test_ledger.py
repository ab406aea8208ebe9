"""What was spent on X."""

import json

import pytest

from include.twitter.extract.money import Ledger
from tests.include.invented import MemoryLake


@pytest.fixture
def lake():
    return MemoryLake()


def ledger(lake, run="c0ffee123456", number=1, month="2026-11"):
    return Ledger(lake, run, number, month)


def test_an_entry_is_kept_by_month_run_and_purchase(lake):
    ledger(lake, number=3).reserve(4_995, "2026-11-18")
    assert lake.written == ["twitter_ledger/month=2026-11/c0ffee123456-3.json"]


def test_a_reservation_tells_the_purchase_the_day_and_the_worst_case(lake):
    ledger(lake).reserve(4_995, "2026-11-18")
    assert json.loads(lake.read("twitter_ledger/month=2026-11/c0ffee123456-1.json")) == {
        "run": "c0ffee123456",
        "buy": 1,
        "month": "2026-11",
        "day": "2026-11-18",
        "reserved_mills": 4_995,
        "spent_mills": None,
    }


def test_a_settled_entry_tells_what_was_bought_and_what_it_cost(lake):
    ledger(lake).reserve(4_995, "2026-11-18")
    ledger(lake).settle({"posts": 200, "users": 2, "counts": 1}, "2026-11-18")
    assert json.loads(lake.read("twitter_ledger/month=2026-11/c0ffee123456-1.json")) == {
        "run": "c0ffee123456",
        "buy": 1,
        "month": "2026-11",
        "day": "2026-11-18",
        "reserved_mills": 1_025,
        "spent_mills": 1_025,
        "spent_usd": 1.025,
        "posts": 200,
        "users": 2,
        "counts": 1,
    }
    assert len(lake.objects) == 1


def test_an_empty_month_has_cost_nothing(lake):
    assert ledger(lake).others() == 0


def test_a_purchase_counts_with_its_reservation_until_it_is_settled(lake):
    other = ledger(lake, run="beefbeefbeef")
    other.reserve(5_000, "2026-11-17")
    assert ledger(lake).others() == 5_000
    other.settle({"posts": 10, "users": 0, "counts": 0}, "2026-11-17")
    assert ledger(lake).others() == 50


def test_a_purchase_that_cost_nothing_does_not_count_with_its_reservation(lake):
    other = ledger(lake, run="beefbeefbeef")
    other.reserve(5_000, "2026-11-17")
    other.settle({"posts": 0, "users": 0, "counts": 0}, "2026-11-17")
    assert ledger(lake).others() == 0


def test_the_entry_of_the_purchase_itself_is_none_of_the_others(lake):
    own = ledger(lake)
    own.reserve(5_000, "2026-11-18")
    assert own.others() == 0
    own.settle({"posts": 10}, "2026-11-18")
    assert own.others() == 0


def test_another_purchase_of_the_same_run_is_one_of_the_others(lake):
    ledger(lake, number=1).settle({"posts": 10}, "2026-11-18")
    ledger(lake, number=11).settle({"posts": 100}, "2026-11-18")
    assert ledger(lake, number=1).others() == 500
    assert ledger(lake, number=2).others() == 550


def test_another_month_is_none_of_this_one(lake):
    ledger(lake, run="beefbeefbeef", month="2026-10").settle({"posts": 10}, "2026-10-30")
    ledger(lake, run="beefbeefbeef", month="2026-12").reserve(5_000, "2026-11-30")
    assert ledger(lake).others() == 0
    assert ledger(lake, month="2026-10").others() == 50
    assert ledger(lake, month="2026-12").others() == 5_000


def test_the_others_are_summed(lake):
    for number in range(1, 13):
        ledger(lake, run="beefbeefbeef", number=number).settle({"posts": number}, "2026-11-17")
    ledger(lake, run="deadbeef0000").reserve(1_000, "2026-11-16")
    assert ledger(lake).others() == 1_390


def test_settling_twice_is_settling_once(lake):
    for _ in range(2):
        ledger(lake, run="beefbeefbeef").settle({"posts": 10}, "2026-11-17")
    assert ledger(lake).others() == 50
