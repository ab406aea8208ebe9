"""How far the reading of an account's day has come."""

import json

import pytest

from include.twitter.answer import Answer
from include.twitter.errors import OtherAuthors, Outage, UnexpectedAnswer
from include.twitter.extract.walk import DEAD_TOKENS, SEARCHED, THREADS, Reading, Walk
from tests.include.invented import DAY, RECEIVED, SUSPENDED, answer, in_post_words, post

OLDEST = 1990000000000000001
"""The id of post 1."""


def walk(*answers, limit=0, sizes=(5, 100)):
    walked = Walk(DAY, limit, *sizes)
    for each in answers:
        walked.take(each)
    return walked


def threads():
    return Walk(DAY, 0, 10, 100, of_threads=True)


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


@pytest.mark.parametrize("meta", [{"next_token": ""}, {"next_token": None}, None, [], "none"])
def test_a_page_whose_next_token_is_empty_ends_the_walk(meta):
    ended = walk(answer(post(1), meta=meta))
    assert (ended.outcome, ended.reason, ended.token) == ("complete", None, None)


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


# Bounds: each page below leads on with a token of its own


def led_on(*pages):
    """A walk through pages of posts."""
    return walk(*(answer(*posts, token=f"t{number}") for number, posts in enumerate(pages)))


def test_a_hundred_empty_pages_in_a_row_end_the_walk_and_say_that_posts_may_be_missing():
    assert led_on([post(1)], *[[]] * 99).outcome is None
    ended = led_on([post(1)], *[[]] * 100)
    assert (ended.outcome, ended.pages) == ("complete", 101)
    assert ended.reason == ("its walk was ended: 100 pages in a row were empty, and posts may be missing")


def test_a_page_with_a_post_between_empty_ones_lets_the_walk_go_on():
    assert led_on(*[[]] * 99, [post(1)], *[[]] * 99).outcome is None


@pytest.mark.parametrize("odd", [[], [None], ["x"], [{"text": "no id"}]])
def test_ten_pages_that_bring_nothing_new_end_the_walk_also_with_empty_ones_between(odd):
    again = [[post(2), post(1), *odd], []]
    assert led_on([post(2), post(1), *odd], *again * 9).outcome is None
    ended = led_on([post(2), post(1), *odd], *again * 10)
    assert (ended.outcome, ended.ids) == ("complete", {"1990000000000000001", "1990000000000000002"})
    assert ended.reason.endswith("10 pages in a row brought nothing new, and posts may be missing")


def test_pages_of_what_are_no_posts_end_the_walk_as_well():
    assert led_on(*[[None, 5]] * 9).outcome is None
    assert led_on(*[[None, 5]] * 10).outcome == "complete"


def test_the_first_page_whose_newest_post_is_before_the_day_ends_the_walk():
    yesterday = {"created_at": "2026-11-17T23:59:59.000Z"}
    mixed, older = [post(4), post(3, **yesterday)], [post(2, **yesterday), post(1, **yesterday)]
    assert led_on([post(5)], mixed).outcome is None
    ended = led_on([post(5)], mixed, older)
    assert (ended.outcome, ended.ids) == ("complete", {"1990000000000000005", "1990000000000000004"})
    assert ended.reason == "its walk was ended: a page lay before the day, whose start was asked for"


def test_posts_without_a_time_are_not_before_the_day():
    assert led_on(*[[post(number, created_at="soon")] for number in range(1, 9)]).outcome is None


def test_where_a_bound_and_the_end_come_together_it_is_the_end():
    ended = walk(*(answer(token=f"t{number}") for number in range(99)), answer())
    assert (ended.outcome, ended.reason) == ("complete", None)


def test_a_bound_is_a_word_in_the_log_and_in_the_manifest(caplog):
    taken = Reading("NASA", Walk(DAY, 0), Walk(DAY, 0, 10, 100), threads(), id="42")
    for number in range(100):
        taken.take(f"{number:04}", answer(token=f"t{number}"))
    said = "its walk was ended: 100 pages in a row were empty, and posts may be missing"
    assert caplog.messages == [f"NASA: {said}"]
    assert (taken.record().outcome, taken.record().reason) == ("complete", said)


# Threads


def reply(number, to):
    return post(
        number,
        referenced_tweets=[{"type": "replied_to", "id": "1"}],
        in_reply_to_user_id=to,
    )


def test_of_a_walk_through_threads_the_accounts_replies_to_itself_are_wanted_and_nothing_else():
    walked = threads()
    walked.take(answer(reply(3, to="42"), reply(2, to="777"), post(1)))
    assert walked.ids == {reply(3, to="42")["id"]}
    assert (walked.returned, walked.outcome) == (3, "complete")


def test_of_any_other_walk_a_reply_to_oneself_is_not_wanted():
    assert walk(answer(reply(3, to="42"), post(1))).ids == {post(1)["id"]}


def test_an_account_whose_threads_were_read_says_so_and_counts_their_posts():
    taken = reading([answer(post(1))])
    assert taken.record().threads is False
    taken.take("0002", answer(reply(2, to="42")), THREADS)
    line = taken.record()
    assert (line.threads, line.posts, line.pages, taken.arrived) == (True, 2, ["0001", "0002"], 1)


def test_threads_that_stopped_at_the_limit_are_told_as_that():
    taken = reading([answer(post(1))], limit=1)
    taken.thread = Walk(DAY, 1, 10, 100, of_threads=True)
    taken.take("0002", answer(reply(2, to="42"), token="t1"), THREADS)
    assert taken.outcome == "limit"


# Pages that the archive fails to serve


def test_of_the_archive_ever_less_is_asked_for_down_to_a_hundred():
    failing = walk(sizes=(10, 500))
    sizes = [failing.page_size]
    while failing.ask_for_less():
        sizes.append(failing.page_size)
    assert sizes == [500, 250, 125, 100]


def test_after_five_pages_that_came_twice_as_much_is_asked_for_again():
    going = walk(sizes=(10, 500))
    while going.ask_for_less():
        pass
    sizes = []
    for number in range(1, 17):
        sizes.append(going.page_size)
        going.take(answer(post(number), token=f"t{number}", size=going.page_size))
    assert sizes == [100] * 5 + [200] * 5 + [400] * 5 + [500]


def test_a_page_that_is_small_already_is_not_asked_for_smaller():
    assert not walk().ask_for_less(), "X serves a hundred posts of a timeline"
    assert not walk(limit=100, sizes=(10, 500)).ask_for_less()


def test_less_is_asked_for_within_a_limit_too():
    failing = walk(limit=300, sizes=(10, 500))
    assert failing.ask_for_less()
    assert failing.page_size == 150


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


@pytest.mark.parametrize("kind", ["https://api.x.com/2/problems/internal-error", "about:blank"])
def test_an_empty_page_beside_a_failure_of_x_is_an_outage_and_no_empty_day(kind):
    failed = answer(errors=[{"title": "Internal Error", "detail": "Try again.", "type": kind}])
    with pytest.raises(Outage, match=r"^X sent no posts, since a part of it failed: Internal Error"):
        walk().problem(failed)


def test_a_page_with_posts_beside_a_failure_of_x_is_taken():
    error = {"title": "Internal Error", "type": "https://api.x.com/2/problems/internal-error"}
    assert walk().problem(answer(post(1), errors=[error])) is None


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


@pytest.mark.parametrize("kind", ["retweeted", "replied_to"])
@pytest.mark.parametrize("word", ["referenced_tweets", "referenced_posts"])
def test_retweets_and_replies_are_none_of_the_accounts_own_and_of_no_limit(kind, word):
    other = post(2, **{word: [{"type": "quoted", "id": "1"}, {"type": kind, "id": "2"}]})
    quote = post(3, **{word: [{"type": "quoted", "id": "1"}]})
    walked = walk(answer(quote, other, post(1), token="t1"), limit=3)
    assert walked.ids == {"1990000000000000001", "1990000000000000003"}
    assert (walked.outcome, walked.returned) == (None, 3)


@pytest.mark.parametrize("references", [{}, [], "x", 5, [None, "x", {}]])
def test_references_that_are_none_do_not_stop_the_walk(references):
    assert walk(answer(post(1, referenced_tweets=references))).ids == {"1990000000000000001"}


def test_a_post_that_names_no_author_is_taken_for_the_accounts_own():
    assert walk(answer(post(1, author_id=None))).ids == {"1990000000000000001"}


def test_posts_of_another_author_have_not_arrived():
    walked = walk(answer(post(3, author_id="777"), post(1), token="t1"), limit=2)
    assert (walked.ids, walked.outcome) == ({"1990000000000000001"}, None)


def test_a_page_that_is_all_another_accounts_is_a_problem_also_late_in_a_walk():
    going = walk(answer(post(9), token="t1"))
    assert type(going.problem(answer(post(2, author_id="777")))) is OtherAuthors
    assert going.problem(answer(post(2, author_id="777"), post(1))) is None
    assert going.problem(answer(post(2, author_id=None))) is None
    assert going.problem(answer()) is None


def test_the_hours_of_the_posts_that_arrived_are_counted_in_utc():
    late = post(3, created_at="2026-11-18T23:30:00.000-00:30")  # 00:00 UTC of the next day
    east = post(4, created_at="2026-11-18T10:30:00.000+01:00")
    taken = reading([answer(late, east, post(1), post(61), post(2, created_at="yesterday"))])
    assert taken.hours == {"2026-11-18T09": 2, "2026-11-18T10": 1}


# Fields


@pytest.mark.parametrize("name", ["id", "text", "created_at", "public_metrics"])
def test_a_page_without_a_field_that_must_be_there_is_a_problem(name):
    page = answer(post(1, **{name: None}), post(2, **{name: None}), token="t1")
    problem = walk().problem(page)
    assert type(problem) is UnexpectedAnswer
    assert str(problem).startswith(f"X sent 2 posts without {name}.")


def test_one_post_without_a_field_does_not_stop_the_others():
    assert walk().problem(answer(post(1, text=None), post(2))) is None


UNFILLED = {
    "title": "Field Hydration Failure",
    "detail": "Could not hydrate public_metrics",
    "type": "https://api.x.com/2/problems/field-hydration-failure",
    "field": "public_metrics",
}


@pytest.mark.parametrize("named", ["public_metrics", "public_metrics.like_count"])
def test_a_field_that_x_says_it_could_not_fill_costs_the_field_alone(named):
    bare = answer(post(1, public_metrics=None), errors=[UNFILLED | {"field": named}, None, "odd"])
    assert walk().problem(bare) is None


def test_another_field_that_is_missing_beside_it_is_a_problem_all_the_same():
    bare = answer(post(1, public_metrics=None, created_at=None), errors=[UNFILLED])
    assert str(walk().problem(bare)).startswith("X sent 1 posts without created_at.")


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


def test_tokens_are_left_some_times_in_a_row_with_empty_pages_between_and_anew_after_an_older_post():
    going = walk(answer(post(3), token="t1"))
    for number in range(DEAD_TOKENS):
        assert going.leave_token()
        going.take(below(3, token=f"u{number}"))
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


def test_pages_below_a_post_that_lie_before_the_day_end_the_walk():
    yesterday = {"created_at": "2026-11-17T23:59:59.000Z"}
    going = walk(answer(post(4), token="t1"))
    going.leave_token()
    going.take(below(4, post(3), post(2, **yesterday), token="u1"))
    assert going.outcome is None
    going.take(after("u1", post(2, **yesterday), token="u2"))
    assert (going.outcome, going.ids) == ("complete", {"1990000000000000004", "1990000000000000003"})


def test_a_raised_limit_takes_a_walk_up_again_where_the_lower_one_ended_it():
    page = answer(post(3), post(2), token="t1")
    assert walk(page, limit=2).outcome == "limit"
    going = walk(page, limit=3)
    going.leave_token()
    assert (going.outcome, going.where) == (None, {"below": 1990000000000000002})


# An account's reading


def reading(first=(), second=(), limit=0):
    """A reading that took these pages, the second ones from the search."""
    taken = Reading("NASA", Walk(DAY, limit), Walk(DAY, limit, 10, 100), threads(), id="42")
    for number, page in enumerate((*first, *second), 1):
        taken.take(f"{number:04}", page, SEARCHED if number > len(first) else "")
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
    taken.resume("0001", answer(errors=[SUSPENDED]))
    assert (taken.walk.outcome, taken.pages) == (None, ["0001"])


def test_a_reading_that_becomes_another_accounts_begins_anew():
    taken = reading([answer(post(1), token="t1")], [answer(post(2))], limit=7)
    taken.belong_to("42")
    assert (taken.arrived, taken.pages) == (2, ["0001", "0002"])
    taken.belong_to("777")
    assert (taken.id, taken.arrived, taken.pages, taken.walk.where) == ("777", 0, [], {"token": None})
    assert (taken.walk.limit, taken.second.limit, taken.second.smallest) == (7, 7, 10)


def test_a_page_that_was_asked_of_another_account_begins_the_reading_anew():
    taken = reading([answer(post(1), token="t1")])
    taken.resume("0002", answer(post(2, author_id="777"), path="/2/users/777/tweets"))
    assert (taken.id, taken.arrived, taken.pages) == ("777", 1, ["0002"])


def test_a_reading_is_recorded_as_the_manifest_has_it():
    taken = reading([answer(post(1), token="t1"), after("t1", errors=[SUSPENDED])], limit=100)
    record = taken.record()
    assert (record.username, record.id, record.outcome, record.proof) == (
        "NASA", "42", "unavailable", "unchecked",
    )  # fmt: skip
    assert record.reason == "Forbidden: User has been suspended: [42]."
    assert (record.posts, record.limit, record.pages, record.counted) == (1, 100, ["0001", "0002"], None)
