"""What X's count of some accounts says of each."""

from collections import Counter

import pytest

from include.twitter.extract.account_state import Event
from include.twitter.extract.counts import Count
from include.twitter.extract.reconcile import Arrived, reconcile

NASA, ESA = Arrived("1", 3, {"09": 3}), Arrived("2", 1, {"10": 1})
EMPTY, MANY = Arrived("3", 0, {}), Arrived("4", 200, {"09": 200})


def count(**hours):
    return Count(sum(hours.values()), Counter({hour[1:]: number for hour, number in hours.items()}))


@pytest.mark.parametrize(
    ("group", "counted", "is_shared", "events"),
    [
        ([NASA], count(h09=3), False, [Event.COUNT_EQUAL]),
        ([NASA], count(h23=3), False, [Event.COUNT_EQUAL]),
        ([NASA], count(h09=4), False, [Event.COUNT_HIGHER]),
        ([NASA], count(h09=2), True, [Event.COUNT_LOWER]),
        ([NASA, ESA], count(h09=3, h10=1, h11=0), False, [Event.COUNT_EQUAL] * 2),
        ([NASA, ESA], count(h09=2, h10=2), False, [None, None]),
        ([NASA, ESA], count(h09=3), False, [None, None]),
        ([MANY, EMPTY], count(h09=205), False, [None, None]),
        ([MANY, EMPTY], count(h09=205), True, [Event.NO_COUNT, None]),
        ([MANY, EMPTY], count(h09=250), True, [None, None]),
        ([MANY, EMPTY], count(h10=200), True, [None, None]),
    ],
    ids=[
        "equal", "a single account needs no hours", "higher", "lower", "equal in each hour",
        "a surplus hides no shortage", "fewer", "a group is counted one by one",
        "a little of a shared count", "much of a shared count", "other hours of a shared count",
    ],
)  # fmt: skip
def test_a_count_is_compared_with_what_arrived(group, counted, is_shared, events):
    assert [action.event for action in reconcile(group, counted, is_shared=is_shared)] == events


def test_a_match_of_a_group_says_of_how_many_accounts():
    (first, _) = reconcile([NASA, ESA], count(h09=3, h10=1))
    assert "4 posts of 2 accounts together" in (first.reason or "")
