"""Accounts that are read together: each has what it wrote, and nobody what a stranger wrote."""

import pytest

from include.twitter.errors import OtherAuthors
from include.twitter.extract.group import Group
from tests.include.invented import DAY, answer, post

QUERY = "(from:11 OR from:22 OR from:33) -is:retweet -is:reply"


def page(*posts, token=None):
    return answer(*posts, token=token, size=500, path="/2/tweets/search/all", asked={"query": QUERY})


def by(author, number, **about):
    return post(number, author_id=author, **about)


@pytest.fixture
def group():
    return Group.of(("11", "22", "33"), DAY, 10, 500)


def test_each_account_has_the_posts_that_it_wrote(group):
    group.take("k1", page(by("11", 3), by("22", 2), by("11", 1)))
    assert {id_: share.returned for id_, share in group.shares.items()} == {"11": 2, "22": 1, "33": 0}
    assert group.walk.returned == 3
    assert [len(share.ids) for share in group.shares.values()] == [2, 1, 0]


def test_a_group_ends_where_its_walk_does_and_names_all_its_pages(group):
    group.take("k1", page(by("11", 3), token="t1"))
    assert group.walk.outcome is None
    group.take("k2", page(by("22", 2)))
    assert (group.walk.outcome, group.pages) == ("complete", ["k1", "k2"])


def test_a_post_of_another_day_is_the_account_s_and_not_the_day_s(group):
    group.take("k1", page(by("11", 3), by("11", 2, created_at="2026-11-17T23:59:59.000Z")))
    share = group.shares["11"]
    assert (share.returned, len(share.ids)) == (2, 1)


@pytest.mark.parametrize("stranger", [by("44", 2), by(None, 2), "no post"])
def test_a_page_with_a_post_of_nobody_in_the_group_is_no_page_of_it(group, stranger):
    assert isinstance(group.problem(page(by("11", 3), stranger)), OtherAuthors)
    assert group.problem(page(by("11", 3), by("33", 2))) is None


def test_its_folder_is_told_by_its_accounts_and_is_no_handle(group):
    assert group.folder.startswith("group-")
    assert (
        group.folder
        == Group.of(("11", "22", "33"), DAY, 10, 500).folder
        != Group.of(("11", "22"), DAY, 10, 500).folder
    )
