"""How far the reading of a source has come, by X's responses alone."""

import pytest

from include.twitter.errors import OtherAuthors, Outage, UnexpectedResponse
from include.twitter.extract.account_state import Event
from include.twitter.extract.cursor import MAX_DEAD_TOKENS, Cursor
from include.twitter.response import Response
from include.twitter.sources import AccountPosts, Verification
from tests.include.factories import DAY, RECEIVED, SUSPENDED, about, in_post_words, make_response, post

TIMELINE, ARCHIVE = AccountPosts("NASA", "42"), AccountPosts("NASA", "42", old=True)
SEARCH = Verification("NASA", "42")
OUTSIDE = {"created_at": "2026-11-19T00:00:00.000Z"}
YESTERDAY = {"created_at": "2026-11-17T23:59:59.000Z"}


def after(*pages, limit=0, source=TIMELINE):
    cursor = Cursor(source, DAY, limit)
    for page in pages:
        cursor.advance(page)
    return cursor


def led_by(token_before, *posts, **more):
    """The page that a token led to."""
    return make_response(*posts, params={"pagination_token": token_before}, **more)


def below(number, *posts, **more):
    """The page below a post."""
    return make_response(*posts, params={"until_id": post(number)["id"]}, **more)


def numbers(cursor):
    """Which posts have arrived, by the last two digits of their ids."""
    return {int(id_[-2:]) for id_ in cursor.hours}


# Where it ends


@pytest.mark.parametrize(
    ("pages", "ended", "returned"),
    [
        ([], None, 0),
        ([make_response(post(1), post(2))], Event.END, 2),
        ([make_response()], Event.END, 0),
        ([make_response(post(1), token="t1")], None, 1),
        ([make_response(token="t1")], None, 0),
        ([make_response(post(3), token="t1"), led_by("t1", post(2), token="t1")], Event.END, 2),
        ([make_response(errors=[SUSPENDED])], Event.GONE, 0),
        ([make_response(errors=[about("42", "Not Found Error", "No.")])], Event.ID_UNKNOWN, 0),
        ([make_response(post(1), token="t1"), led_by("t1", errors=[SUSPENDED])], Event.GONE, 1),
        ([make_response(post(1), None, 5, "x", post(2, created_at=7))], Event.END, 5),
        *(
            ([make_response(post(1), meta=meta)], Event.END, 1)
            for meta in ({"next_token": ""}, {"next_token": None}, None, [], "x")
        ),
    ],
)
def test_it_ends_where_x_has_no_more_or_shows_nothing(pages, ended, returned):
    cursor = after(*pages)
    assert (cursor.ended, cursor.returned) == (ended, returned)


REPLY = [{"type": "replied_to", "id": "7"}]
RETWEET = [{"type": "retweeted", "id": "7"}]
VERSIONS = {"edit_history_tweet_ids": [post(1)["id"], post(2)["id"]]}


@pytest.mark.parametrize(
    ("posts", "limit"),
    [
        ([post(n) for n in range(1, 6)], 5),
        ([*(post(n, **OUTSIDE) for n in range(10, 15)), post(1)], 1),
        ([post(2), post(2), post(1)], 2),
        ([post(4), post(3, referenced_tweets=RETWEET), post(2, referenced_tweets=REPLY)], 1),
        ([post(4), post(3, referenced_posts=RETWEET), post(2, referenced_posts=REPLY)], 1),
        ([post(2, **VERSIONS), post(1, **VERSIONS)], 1),
        ([in_post_words(post(2, **VERSIONS)), in_post_words(post(1, **VERSIONS))], 1),
        ([post(2, edit_history_tweet_ids=[]), post(1)], 2),
        ([post(3, author_id="777"), post(1)], 1),
        ([post(2, author_id=None), post(1)], 2),
        ([post(3, referenced_tweets=[{"type": "quoted", "id": "7"}])], 1),
        *(([post(3, referenced_tweets=odd)], 1) for odd in ({}, [], "x", 5, [None, "x", {}])),
    ],
)
def test_the_limit_is_reached_by_the_days_own_posts_each_once(posts, limit):
    page = make_response(*posts, token="t1")
    assert after(page, limit=limit).ended is Event.LIMIT
    assert after(page, limit=limit + 1).ended is None
    assert after(page).ended is None


def test_malformed_posts_of_the_day_count_and_those_of_another_day_or_author_do_not():
    cursor = after(make_response(post(2, text=None), post(3, created_at="soon"), post(9, **OUTSIDE),
                          post(4, author_id="7"), {"text": "without an id"}, None))  # fmt: skip
    assert numbers(cursor) == {2, 3}


def test_the_hours_of_what_arrived_are_those_of_utc():
    late = post(3, created_at="2026-11-18T23:30:00.000-00:30")  # 00:00 UTC of the next day
    east = post(4, created_at="2026-11-18T10:30:00.000+01:00")
    hours = after(make_response(late, east, post(1), post(61), post(2, created_at="soon"))).hours
    assert sorted(hours.values()) == ["", "2026-11-18T09", "2026-11-18T09", "2026-11-18T10"]


# Bounds: each page has another token


AGAIN = [post(2), post(1), None, {"text": "no id"}]


@pytest.mark.parametrize(
    ("pages", "bound"),
    [
        ([[post(1)], *[[]] * 99], None),
        ([[post(1)], *[[]] * 100], "100 pages in a row were empty"),
        ([*[[]] * 99, [post(1)], *[[]] * 99], None),
        ([AGAIN, *[AGAIN, []] * 9], None),
        ([AGAIN, *[AGAIN, []] * 10], "10 pages in a row brought nothing new"),
        ([[None, 5]] * 9, None),
        ([[None, 5]] * 10, "10 pages in a row brought nothing new"),
        ([[post(5)], [post(4), post(3, **YESTERDAY)]], None),
        ([[post(5)], [post(2, **YESTERDAY), post(1, **YESTERDAY)]], "only posts from before the day"),
        ([[post(n, created_at="soon")] for n in range(1, 9)], None),
    ],
)
def test_a_bound_ends_a_reading_that_makes_no_progress(pages, bound):
    cursor = after(*(make_response(*posts, token=f"t{number}") for number, posts in enumerate(pages)))
    assert (cursor.ended is Event.END) == (bound is not None)
    assert (bound or "") in (cursor.reason or "")


# The size of a page


@pytest.mark.parametrize(
    ("source", "sizes"),
    [
        (TIMELINE, {0: 100, 1: 5, 5: 5, 6: 6, 100: 100, 250: 100}),
        (SEARCH, {0: 100, 1: 10, 11: 11, 101: 100}),
        (ARCHIVE, {0: 500, 9: 10, 250: 250, 501: 500}),
    ],
)
def test_the_first_page_has_the_limit_within_what_x_serves(source, sizes):
    assert {limit: after(limit=limit, source=source).page_size for limit in sizes} == sizes


@pytest.mark.parametrize(
    ("returned", "size", "limit", "next_size"),
    [(20, 20, 30, 10), (10, 20, 20, 20), (0, 5, 5, 100), (9, 9, 10, 5)],
    ids=["the rest", "by the share that X drops", "after an empty page", "no smaller than X serves"],
)
def test_the_next_page_has_what_the_limit_leaves(returned, size, limit, next_size):
    page = make_response(*map(post, range(1, returned + 1)), token="t1", size=size)
    assert after(page, limit=limit).page_size == next_size


def test_pages_that_the_archive_fails_to_serve_are_halved_and_doubled_again_after_five():
    cursor, sizes = after(source=ARCHIVE), []
    while cursor.shrink_page_size():
        sizes.append(cursor.page_size)
    assert sizes == [250, 125, 100]
    sizes = []
    for number in range(1, 17):
        sizes.append(cursor.page_size)
        cursor.advance(make_response(post(number), token=f"t{number}", size=cursor.page_size))
    assert sizes == [100] * 5 + [200] * 5 + [400] * 5 + [500]


@pytest.mark.parametrize(
    ("source", "limit", "size"), [(TIMELINE, 0, None), (ARCHIVE, 100, None), (ARCHIVE, 300, 150)]
)
def test_a_small_page_is_not_made_smaller(source, limit, size):
    cursor = after(limit=limit, source=source)
    assert cursor.shrink_page_size() is (size is not None)
    assert size in (None, cursor.page_size)


# Responses that are no page


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"data":[]}',
        b'{"errors":[{"title":"Service Unavailable","type":"about:blank"}]}',
        b'{"meta":{},"errors":[{"type":"https://api.x.com/2/problems/internal-error"}]}',
    ],
)
def test_a_response_without_posts_and_without_saying_so_is_an_outage_and_no_empty_day(content):
    with pytest.raises(Outage):
        after().problem(Response("/2/users/42/tweets", {"max_results": "100"}, RECEIVED, content))


FAILED = {"title": "Internal Error", "type": "https://api.x.com/2/problems/internal-error"}
UNFILLED = {
    "title": "Field Hydration Failure",
    "type": "https://api.x.com/2/problems/field-hydration-failure",
    "field": "public_metrics.like_count",
}


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (make_response(post(1), errors=[FAILED]), None),
        (make_response(post(2, author_id="777")), OtherAuthors),
        (make_response(post(2, author_id="777"), post(1)), None),
        (make_response(post(2, author_id=None)), None),
        (make_response(), None),
        *(
            (make_response(post(1, **{name: None})), UnexpectedResponse)
            for name in ("text", "created_at", "id")
        ),
        (make_response(post(1, text=None), post(2)), None),
        (make_response(post(1, public_metrics=None), errors=[UNFILLED, None, "odd"]), None),
        (make_response(post(1, public_metrics=None, created_at=None), errors=[UNFILLED]), UnexpectedResponse),
        (make_response(in_post_words(post(1))), None),
    ],
)
def test_a_page_that_cannot_be_used_is_a_problem(page, problem):
    assert type(after().problem(page)) is (problem or type(None))


def test_fields_are_looked_for_on_the_first_page_with_posts_and_authors_on_each():
    odd = make_response(post(1, public_metrics=None))
    assert after(make_response(token="t1")).problem(odd)
    assert not after(make_response(post(2), token="t1")).problem(odd)
    assert after(make_response(post(2), token="t1")).problem(make_response(post(1, author_id="777")))


# Going on


def test_stored_pages_lead_where_those_of_x_did_whenever_they_came():
    pages = [make_response(*map(post, range(1, 8)), token="t1", size=20), led_by("t1", token="t2", size=20)]
    stored = [Response.from_bytes(page.to_bytes()) for page in pages]
    assert after(*stored, limit=30) == after(*pages, limit=30)
    later = make_response(post(1), token="t1", received_at=RECEIVED.replace(year=2027))
    assert after(later) == after(make_response(post(1), token="t1"))


@pytest.mark.parametrize(
    ("posts", "params"),
    [([post(3), {"id": "999"}, {"id": "none"}], {"until_id": 999}), ([], {"token": None})],
    ids=["the smallest number", "no post yet"],
)
def test_without_its_token_it_continues_below_the_oldest_post(posts, params):
    cursor = after(make_response(*posts, token="t1"))
    assert cursor.request_params == {"token": "t1"}
    assert (cursor.fall_back_to_until_id(), cursor.request_params) == (True, params)
    assert not cursor.fall_back_to_until_id(), "there is no token to drop"


def test_dead_tokens_end_it_at_last_where_nothing_older_comes_between():
    cursor = after(make_response(post(3), token="t1"))
    for number in range(MAX_DEAD_TOKENS):
        assert cursor.fall_back_to_until_id()
        cursor.advance(below(3, token=f"u{number}"))
    assert not cursor.fall_back_to_until_id()
    cursor.advance(below(3, post(2), token="v1"))
    assert cursor.fall_back_to_until_id()


def test_a_token_is_not_dropped_again_where_x_has_sent_the_same_posts_once_more():
    cursor = after(make_response(post(3), post(2), token="t1"))
    assert cursor.fall_back_to_until_id()
    cursor.advance(below(2, post(3), post(2), token="u1"))
    assert not cursor.fall_back_to_until_id()


def test_tokens_from_before_it_fell_back_do_not_end_it():
    cursor = after(make_response(post(4), token="t1"), led_by("t1", post(3), token="t2"))
    cursor.fall_back_to_until_id()
    cursor.advance(below(3, post(2), token="t1"))
    assert (cursor.ended, cursor.token) == (None, "t1")
    cursor.advance(led_by("t1", post(1), token="t1"))
    assert (cursor.ended, cursor.returned) == (Event.END, 4)


def test_a_raised_limit_goes_on_where_the_lower_one_has_ended():
    page = make_response(post(3), post(2), token="t1")
    assert after(page, limit=2).ended is Event.LIMIT
    cursor = after(page, limit=3)
    cursor.fall_back_to_until_id()
    assert (cursor.ended, cursor.request_params) == (None, {"until_id": int(post(2)["id"])})
