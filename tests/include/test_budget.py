"""What X charges."""

from include.twitter import budget


def test_a_post_costs_half_a_cent_a_user_a_cent_and_a_count_half_a_cent():
    assert budget.cost(posts=1) == 0.005
    assert budget.cost(users=1) == 0.01
    assert budget.cost(counts=1) == 0.005


def test_nothing_read_costs_nothing():
    assert budget.cost() == 0


def test_a_sum_of_many_reads_has_no_binary_dust():
    assert budget.cost(posts=2_407, users=3, counts=6) == 12.095
