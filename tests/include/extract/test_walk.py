"""How far the reading of an account's day has come."""

import json

import pytest

from include.twitter.answer import Answer
from include.twitter.errors import Outage, UnexpectedAnswer
from include.twitter.extract.walk import Reading, Walk
from tests.include.invented import DAY, RECEIVED, SUSPENDED, answer, in_post_words, post

OLDEST = 1990000000000000001
"""The id of post 1."""


def walk(*answers, limit=0, sizes=(5, 100)):
    walked = Walk(DAY, limit, *sizes)
    for each in answers:
        walked.take(each)
    return walked


def after(led, *posts, **more):
    """The page that a token led to."""
    return answer(*posts, asked={"pagination_token": led}, **more)


def below(number, *posts, **more):
    """The page below a post."""
    return answer(*posts, asked={"until_id": post(number)["id"]}, **more)


def test_a_walk_that_has_not_begun_asks_for_the_first_page():
    begun = walk()
    assert (begun.outcome, begun.token, begun.page_size) == (None, None, 100)


def test_a_page_without_a_next_token_ends_the_walk():
    ended = walk(answer(post(1), post(2)))
    assert (ended.outcome, ended.returned, ended.pages) == ("complete", 2, 1)


def test_an_account_without_a_post_is_complete():
    ended = walk(answer())
    assert (ended.outcome, ended.reason, ended.returned, ended.pages) == ("complete", None, 0, 1)


def test_a_short_page_with_a_next_token_goes_on():
    going = walk(answer(post(1), token="t1", size=100))
    assert (going.outcome, going.token) == (None, "t1")


def test_an_empty_page_with_a_next_token_goes_on():
    going = walk(answer(token="t1"))
    assert (going.outcome, going.token) == (None, "t1")


def test_a_repeated_page_token_ends_the_walk():
    ended = walk(
        answer(post(3), token="t1"), after("t1", post(2), token="t2"), after("t2", post(1), token="t1")
    )
    assert (ended.outcome, ended.returned) == ("complete", 3)


def test_the_limit_ends_the_walk_although_there_is_more():
    ended = walk(answer(*map(post, range(1, 6)), token="t1"), limit=5)
    assert (ended.outcome, ended.returned) == ("limit", 5)


def test_without_a_limit_only_x_ends_the_walk():
    assert walk(answer(*map(post, range(1, 90)), token="t1"), limit=0).outcome is None


def test_only_posts_of_the_day_count_towards_the_limit():
    other_days = [post(n, created_at="2026-11-19T00:00:00.000Z") for n in range(10, 15)]
    assert walk(answer(*other_days, post(1), token="t1"), limit=5).outcome is None


def test_a_post_that_comes_twice_counts_once_towards_the_limit():
    pages = [answer(post(3), post(2), token="t1"), answer(post(2), post(1), token="t2")]
    assert walk(*pages, limit=4).outcome is None
    assert walk(*pages, limit=3).outcome == "limit"


def test_retweets_and_replies_that_came_all_the_same_do_not_count_towards_the_limit():
    others = [
        post(number, referenced_tweets=[{"type": kind, "id": "7"}])
        for number, kind in ((3, "retweeted"), (2, "replied_to"))
    ]
    assert walk(answer(post(4), *others, token="t1"), limit=3).outcome is None
    assert walk(answer(post(4), *others, post(1), token="t1"), limit=2).outcome == "limit"


def test_the_versions_of_an_edited_post_count_once_towards_the_limit():
    # They become one row: counting each, the day would hold fewer than the latest N.
    first = post(1, edit_history_tweet_ids=["1990000000000000001", "1990000000000000002"])
    second = post(2, edit_history_tweet_ids=["1990000000000000001", "1990000000000000002"])
    assert walk(answer(second, first, token="t1"), limit=2).outcome is None


def test_everything_that_x_returned_is_counted_as_returned():
    outside = post(9, created_at="2026-11-19T00:00:00.000Z")
    assert walk(answer(outside, post(1), post(1), token="t1"), limit=5).returned == 3


# The size of a page


@pytest.mark.parametrize(
    ("limit", "size"), [(0, 100), (1, 5), (5, 5), (6, 6), (99, 99), (100, 100), (250, 100)]
)
def test_the_first_page_asks_for_what_is_wanted_within_what_x_allows(limit, size):
    assert walk(limit=limit).page_size == size


def test_the_next_page_asks_for_what_is_still_wanted():
    assert walk(answer(*map(post, range(1, 21)), token="t1", size=20), limit=30).page_size == 10


def test_the_next_page_allows_for_the_share_that_x_drops():
    # 10 of 20 came: of the 10 that are still wanted, twice as many are asked for.
    assert walk(answer(*map(post, range(1, 11)), token="t1", size=20), limit=20).page_size == 20


def test_after_an_empty_page_the_largest_page_is_asked_for():
    assert walk(answer(token="t1", size=5), limit=5).page_size == 100


def test_a_page_is_never_smaller_than_x_allows():
    assert walk(answer(*map(post, range(1, 10)), token="t1", size=9), limit=10).page_size == 5


@pytest.mark.parametrize(
    ("sizes", "limit", "size"),
    [
        ((10, 100), 0, 100),
        ((10, 100), 1, 10),
        ((10, 100), 11, 11),
        ((10, 100), 101, 100),
        ((10, 500), 0, 500),
        ((10, 500), 9, 10),
        ((10, 500), 250, 250),
        ((10, 500), 501, 500),
    ],
)
def test_a_search_asks_for_pages_of_its_own_sizes(sizes, limit, size):
    assert walk(limit=limit, sizes=sizes).page_size == size


def test_a_walk_is_through_a_timeline_unless_told_otherwise():
    assert (Walk(DAY, 0).smallest, Walk(DAY, 0).largest) == (5, 100)


# Accounts that cannot be read


def test_an_account_that_x_refuses_is_unavailable_and_costs_no_page():
    ended = walk(answer(errors=[SUSPENDED]))
    assert (ended.outcome, ended.reason) == ("unavailable", "Forbidden: User has been suspended: [42].")
    assert (ended.returned, ended.pages) == (0, 0)


def test_an_account_that_is_suspended_between_two_pages_is_unavailable():
    ended = walk(answer(post(1), token="t1"), answer(errors=[SUSPENDED]))
    assert (ended.outcome, ended.returned, ended.token) == ("unavailable", 1, "t1")


# Answers that are none


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"errors":[{"title":"Service Unavailable","type":"about:blank"}]}',
        b'{"data":[]}',
        b'{"includes":{"users":[]}}',
    ],
)
def test_an_answer_with_neither_data_nor_meta_is_an_outage_and_no_empty_day(content):
    nothing = Answer("/2/users/42/tweets", {"max_results": "100"}, RECEIVED, content)
    with pytest.raises(Outage, match="X sent neither posts nor a count of them, but "):
        walk(answer(post(1), token="t1")).problem(nothing)


# Which posts arrived


def test_the_days_posts_that_arrived_are_known_by_their_ids_each_once():
    outside = post(9, created_at="2026-11-19T00:00:00.000Z")
    walked = walk(answer(outside, post(2), post(1), token="t1"), after("t1", post(1)))
    assert walked.ids == {"1990000000000000001", "1990000000000000002"}


def test_a_post_that_cannot_be_published_has_arrived_all_the_same():
    rejects = [post(2, text=None), post(3, created_at="yesterday"), {"id": "5"}]
    assert walk(answer(post(1), *rejects, {"text": "without an id"}, None)).ids == {
        "1990000000000000001",
        "1990000000000000002",
        "1990000000000000003",
        "5",
    }


# Fields


@pytest.mark.parametrize("name", ["id", "text", "created_at", "public_metrics"])
def test_a_page_without_a_field_that_must_be_there_is_a_problem(name):
    page = answer(post(1, **{name: None}), post(2, **{name: None}), token="t1")
    problem = walk().problem(page)
    assert type(problem) is UnexpectedAnswer
    assert str(problem).startswith(f"X sent 2 posts without {name}.")


def test_one_post_without_a_field_does_not_stop_the_others():
    assert walk().problem(answer(post(1, text=None), post(2))) is None


def test_the_first_page_that_holds_posts_is_the_one_that_is_looked_at():
    odd = after("t1", post(1, public_metrics=None))
    assert walk(answer(token="t1")).problem(odd)
    assert not walk(answer(post(2), token="t1")).problem(odd)


def test_posts_in_the_newer_vocabulary_are_no_surprise():
    assert walk().problem(answer(in_post_words(post(1)))) is None


def test_a_post_that_is_no_object_does_not_stop_the_walk():
    ended = walk(
        answer(post(1), None, 5, "x", post(2, created_at="yesterday"), post(3, created_at=7)), limit=9
    )
    assert (ended.outcome, ended.returned) == ("complete", 6)


# Going on


def test_a_walk_over_staged_answers_stands_where_the_interrupted_one_stood():
    came = [answer(*map(post, range(1, 8)), token="t1", size=20), after("t1", token="t2", size=20)]
    staged = [Answer.from_bytes(each.to_bytes()) for each in came]
    assert walk(*staged, limit=30) == walk(*came, limit=30)
    assert walk(*staged, limit=30).page_size == walk(*came, limit=30).page_size == 100


def test_the_state_does_not_depend_on_when_the_answers_came():
    later = Answer(
        "/2/users/42/tweets",
        {"max_results": "100"},
        RECEIVED.replace(year=2027),
        json.dumps({"data": [post(1)], "meta": {"next_token": "t1"}}).encode(),
    )
    assert walk(later) == walk(answer(post(1), token="t1"))


def test_a_walk_that_leaves_its_token_goes_on_below_the_oldest_post_that_came():
    going = walk(answer(post(3), post(2), token="t1"), after("t1", post(1), token="t2"))
    assert going.where == {"token": "t2"}
    assert going.leave_token()
    assert going.where == {"below": OLDEST}


def test_the_oldest_post_is_the_one_with_the_smallest_number_and_not_the_first_of_the_alphabet():
    going = walk(answer(post(1), {"id": "999"}, {"id": "none"}, token="t1"))
    going.leave_token()
    assert going.where == {"below": 999}


def test_a_walk_without_a_post_leaves_its_token_for_the_beginning():
    going = walk(answer(token="t1"))
    assert going.leave_token()
    assert going.where == {"token": None}


def test_a_token_is_not_left_twice_unless_a_post_has_come_since():
    going = walk(answer(post(3), token="t1"))
    assert going.leave_token()
    going.take(below(3, token="u1"))
    assert not going.leave_token()
    going.take(below(3, post(2), token="v1"))
    assert going.leave_token()


def test_a_token_is_not_left_again_where_x_has_only_sent_the_same_posts_once_more():
    going = walk(answer(post(3), post(2), token="t1"))
    assert going.leave_token()
    going.take(below(2, post(3), post(2), token="u1"))
    assert not going.leave_token()


def test_a_walk_that_has_no_token_has_none_to_leave():
    assert not walk().leave_token()


def test_tokens_from_before_the_walk_went_on_below_a_post_do_not_end_it():
    going = walk(answer(post(4), token="t1"), after("t1", post(3), token="t2"))
    going.leave_token()
    going.take(below(3, post(2), token="t1"))
    assert (going.outcome, going.token) == (None, "t1")
    going.take(after("t1", post(1), token="t1"))
    assert (going.outcome, going.returned) == ("complete", 4)


def test_a_page_below_a_post_that_lies_before_the_day_ends_the_walk():
    yesterday = {"created_at": "2026-11-17T23:59:59.000Z"}
    going = walk(answer(post(4), token="t1"))
    going.leave_token()
    going.take(below(4, post(3), post(2, **yesterday), token="u1"))
    assert going.outcome is None
    going.take(below(3, post(2, **yesterday), post(1, **yesterday), token="u1"))
    assert (going.outcome, going.ids) == ("complete", {"1990000000000000004", "1990000000000000003"})


def test_a_page_before_the_day_that_was_not_asked_for_below_a_post_does_not_end_it():
    yesterday = answer(post(1, created_at="2026-11-17T23:59:59.000Z"), token="t1")
    assert walk(yesterday).outcome is None


def test_a_raised_limit_takes_a_walk_up_again_where_the_lower_one_ended_it():
    page = answer(post(3), post(2), token="t1")
    assert walk(page, limit=2).outcome == "limit"
    going = walk(page, limit=3)
    going.leave_token()
    assert (going.outcome, going.where) == (None, {"below": 1990000000000000002})


# An account's reading


def reading(first=(), second=(), limit=0):
    """A reading that took these pages, the second ones from the search."""
    taken = Reading("NASA", Walk(DAY, limit), Walk(DAY, limit, 10, 100), id="42")
    for number, page in enumerate((*first, *second), 1):
        taken.take(f"{number:04}", page, second=number > len(first))
    return taken


def test_a_post_that_both_readings_brought_has_arrived_once():
    taken = reading([answer(post(1), post(2))], [answer(post(2), post(3))])
    assert taken.arrived == 3
    assert (taken.record().posts, taken.record().pages) == (4, ["0001", "0002"])


def test_a_limit_that_the_second_reading_reaches_is_the_outcome():
    taken = reading([answer(post(1))], [answer(post(3), post(2), token="t1")], limit=2)
    assert (taken.walk.outcome, taken.outcome) == ("complete", "limit")


@pytest.mark.parametrize("second", [answer(post(3)), answer(errors=[SUSPENDED])])
def test_a_second_reading_that_ends_otherwise_does_not_change_the_outcome(second):
    assert reading([answer(post(1))], [second]).outcome == "complete"


def test_an_account_that_was_unavailable_when_it_was_staged_may_be_back():
    taken = reading()
    taken.resume("0001", answer(errors=[SUSPENDED]), second=False)
    assert (taken.walk.outcome, taken.pages) == (None, ["0001"])


def test_a_reading_is_recorded_as_the_manifest_has_it():
    taken = reading([answer(post(1), token="t1"), after("t1", errors=[SUSPENDED])], limit=100)
    record = taken.record()
    assert (record.username, record.id, record.outcome, record.proof) == (
        "NASA", "42", "unavailable", "unchecked",
    )  # fmt: skip
    assert record.reason == "Forbidden: User has been suspended: [42]."
    assert (record.posts, record.limit, record.pages, record.counted) == (1, 100, ["0001", "0002"], None)
