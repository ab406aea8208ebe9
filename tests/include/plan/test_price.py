"""What a day would bring and cost."""

from collections import Counter

import pytest

from include.twitter.extract.counts import Count as Counted
from include.twitter.plan.counting import Tally
from include.twitter.plan.price import priced
from include.twitter.plan.survey import Found, Habits
from include.twitter.records import Asked
from tests.include.invented import DAY, account_read

IDS = {"NASA": "1", "esa": "2", "JAXA": "3"}


def tally(total, *ids, of_threads=False):
    return Tally(ids, Counted(total, Counter()), of_threads)


def price(
    *tallies,
    missing=tuple(IDS),
    limit=100,
    old=True,
    edits=(0, 100),
    lines=(),
    threads=False,
    own="",
    limits=None,
):
    found = Found(DAY, missing, missing, {line.username.lower(): line for line in lines}, 0.0)
    habits = Habits(Counter({"": edits[1]}), Counter({"": edits[0]}))
    asked = Asked(tuple(IDS), limit, threads, limits or {})
    return priced(found, IDS, tallies, asked, habits, old=old, own=own)


def test_a_group_within_the_limit_costs_what_x_counts():
    day = price(tally(90, "1", "2", "3"))
    assert (day.counted, day.posts, day.cost_usd, day.requests) == (90, 90, 0.45, 3)
    assert day.alone == {}


def test_an_account_that_was_counted_alone_is_not_counted_with_its_group_again():
    day = price(tally(250, "1", "2", "3"), tally(200, "1"), tally(40, "2"), tally(10, "3"))
    assert (day.counted, day.posts, day.cost_usd) == (250, 150, 0.75)
    assert day.alone == {"NASA": 100, "esa": 40, "JAXA": 10}
    assert day.requests == 3


@pytest.mark.parametrize(
    ("edits", "bought"), [((0, 100), 100), ((6, 100), 110), ((20, 100), 120), ((0, 0), 105)]
)
def test_what_an_account_edits_is_bought_beyond_the_limit(edits, bought):
    assert price(tally(200, "1"), missing=("NASA",), edits=edits).posts == bought


def test_every_post_that_x_counts_is_bought_or_over_the_limit_or_bought_before():
    half = account_read("NASA", 60, limit=60, outcome="limit")
    day = price(tally(200, "1"), tally(40, "2"), tally(10, "3"), lines=[half, account_read("esa", 15)])
    assert (day.counted, day.posts, day.over_limit, day.had) == (250, 75, 100, 75)


def test_no_more_is_bought_than_there_is():
    assert price(tally(103, "1"), missing=("NASA",), edits=(6, 100)).posts == 103


def test_without_a_limit_all_is_bought():
    assert price(tally(2_000, "1", "2", "3"), limit=0).posts == 2_000
    assert price(tally(2_000, "1", "2", "3"), limit=0).requests == 4


def test_an_account_may_have_a_limit_of_its_own():
    counted = [tally(250, "1", "2", "3"), tally(200, "1"), tally(40, "2"), tally(10, "3")]
    day = price(*counted, limits={"nasa": 0, "esa": 20})
    assert day.alone == {"NASA": 200, "esa": 20, "JAXA": 10}


def test_what_is_there_is_not_bought_again_and_is_not_paid_for():
    had = account_read("NASA", posts=60, outcome="limit", limit=60)
    day = price(tally(200, "1"), missing=("NASA",), lines=[had])
    assert (day.posts, day.cost_usd, day.requests) == (40, 0.2, 1)


def test_threads_are_bought_beside_the_posts():
    day = price(tally(40, "1"), tally(7, "1", of_threads=True), missing=("NASA",), threads=True)
    assert (day.posts, day.alone, day.requests) == (47, {"NASA": 47}, 2)


def test_a_day_of_the_last_week_is_a_timeline_for_each_account():
    assert price(tally(90, "1", "2", "3"), old=False).requests == 3


def test_an_account_that_x_does_not_show_is_no_part_of_the_day():
    day = price(tally(5, "1"), missing=("NASA", "gone"))
    assert day.accounts == ("NASA",)


@pytest.mark.parametrize(("old", "usd"), [(False, 0.24), (True, 0.4)])
def test_ones_own_posts_cost_a_fifth_on_the_timeline_alone(old, usd):
    day = price(tally(40, "1"), tally(40, "2", "3"), old=old, own="nasa")
    assert (day.posts, day.cost_usd) == (80, usd)
