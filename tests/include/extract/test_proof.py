"""X's own count held against what arrived."""

import pytest

from include.twitter.extract.proof import HANDLES_A_COUNT, LONGEST_QUERY, groups, query


def test_the_query_counts_what_a_walk_through_the_timelines_returns():
    assert query(["NASA", "esa"]) == "(from:NASA OR from:esa) -is:retweet -is:reply"


def test_the_query_for_one_account_is_of_the_same_form():
    assert query(["NASA"]) == "(from:NASA) -is:retweet -is:reply"


def test_the_limits_of_a_count_are_those_of_x():
    assert (HANDLES_A_COUNT, LONGEST_QUERY) == (20, 512)


def test_nobody_is_no_group():
    assert list(groups([])) == []


@pytest.mark.parametrize(
    ("handles", "sizes"), [(1, [1]), (19, [19]), (20, [20]), (21, [20, 1]), (40, [20, 20]), (45, [20, 20, 5])]
)
@pytest.mark.parametrize("length", [3, 15], ids=["short handles", "the longest handles"])
def test_twenty_handles_are_counted_together_in_order_each_once(handles, sizes, length):
    names = [f"{number:0{length}}" for number in range(handles)]
    made = list(groups(names))
    assert [len(group) for group in made] == sizes
    assert [name for group in made for name in group] == names


def test_twenty_of_the_longest_handles_are_a_query_that_x_takes():
    (group,) = groups([f"account_no_{number:04}" for number in range(20)])
    assert len(group[0]) == 15
    assert len(query(group)) == 500


def test_a_group_ends_before_its_query_grows_too_long():
    # No handle of X is that long; the bound on the query holds by itself.
    made = list(groups([f"{number:0100}" for number in range(9)]))
    assert [len(group) for group in made] == [4, 4, 1]
    assert [len(query(group)) <= 512 for group in made] == [True, True, True]


def test_of_the_longest_ids_seventeen_are_a_query_that_x_takes():
    made = list(groups([f"{1_990_000_000_000_000_000 + number}" for number in range(40)]))
    assert [len(group) for group in made] == [17, 17, 6]
    assert [len(query(group)) for group in made] == [496, 496, 188]


def test_groups_are_made_of_any_iterable():
    assert list(groups({"NASA": 1, "esa": 2})) == [["NASA", "esa"]]
