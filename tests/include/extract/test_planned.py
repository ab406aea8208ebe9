"""What a plan tells of the day before it is bought."""

from collections import Counter

import pytest

from include.twitter.extract.counted import Counted
from include.twitter.extract.planned import Planned


@pytest.mark.parametrize(
    ("limits", "few"),
    [
        ({"1": 100, "2": 100, "3": 100}, {"1", "2"}),
        ({"1": 0, "2": 0, "3": 0}, {"1", "2", "3"}),
        ({"1": 100, "2": 80, "3": 0}, {"3"}),
        ({"1": 0, "2": 90, "3": 200}, {"1", "2", "3"}),
        ({"1": 100}, {"1", "2", "3"}),
    ],
)
def test_accounts_are_few_where_none_of_their_group_can_be_over_its_limit(limits, few):
    counts = {("1", "2"): Counted(90, Counter()), ("3",): Counted(150, Counter())}
    assert Planned(counts=counts).few(limits) == few
