"""X's own counts: how a response is read, and the cache that all runs share."""

from collections import Counter
from datetime import timedelta

import pytest

from include.twitter.day import Day
from include.twitter.errors import UnexpectedAnswer
from include.twitter.extract.counts import Count, count_of, counts_of_day, store_count, stored_count
from include.twitter.layout import count_key, parse_count_key
from include.twitter.sources import author_query, self_reply_query
from tests.include.factories import DAY, RECEIVED, MemoryStore, answer

FIRST, LAST = Day.parse("2026-11-01"), Day.parse("2026-11-30")
NOW = RECEIVED + timedelta(days=20)


def count(query="(from:1) -is:retweet -is:reply", words="tweet", total=None, **hours):
    data = [{"start": f"2026-11-{at[1:]}:00:00.000Z", f"{words}_count": n} for at, n in hours.items()]
    meta = {f"total_{words}_count": sum(hours.values()) if total is None else total}
    return answer(asked={"query": query}, kind="archive_counts", data=data, meta=meta, received_at=NOW)


def month(ids=("1",), *, query=None, **more):
    """A count of the days around the 18th, of which each has one post at nine o'clock."""
    hours = {f"d{day}T{hour:02}": int(hour == 9) for day in (17, 18, 19) for hour in range(24)}
    return count(query or author_query(ids), **hours, **more)


@pytest.mark.parametrize("words", ["tweet", "post"])
def test_a_count_is_read_in_both_vocabularies_of_x(words):
    assert count_of(count(words=words, d18T09=3, d18T10=0)) == Count(
        3, Counter({"2026-11-18T09": 3, "2026-11-18T10": 0})
    )


@pytest.mark.parametrize(
    "body",
    [{}, {"meta": {"total_tweet_count": True}}, {"meta": {"total_tweet_count": 1}, "data": [{"start": 5}]}],
)
def test_what_is_no_count_is_refused(body):
    with pytest.raises(UnexpectedAnswer, match="asked for a count and sent none"):
        count_of(answer(**body))


def test_a_stored_count_is_found_by_each_day_inside_its_window():
    lake = MemoryStore()
    key = store_count(lake, FIRST, LAST, month(("1", "2")))
    assert parse_count_key(key) == (FIRST, LAST)
    assert counts_of_day(lake, DAY, DAY.end, NOW) == {("1", "2"): count_of(month()).of_day(DAY)}
    assert counts_of_day(lake, DAY, DAY.end, NOW)["1", "2"].total == 1
    assert counts_of_day(lake, LAST.plus(1), DAY.end, NOW) == {}
    assert stored_count(lake, author_query(["1", "2"]), FIRST, LAST, None, NOW)
    assert not stored_count(lake, author_query(["1"]), FIRST, LAST, None, NOW)


def test_a_count_that_does_not_hold_each_hour_of_the_day_is_none_of_it():
    lake = MemoryStore()
    store_count(lake, FIRST, LAST, count(d18T09=3))
    assert counts_of_day(lake, DAY, DAY.end, NOW) == {}


@pytest.mark.parametrize("query", [self_reply_query("1"), "#mars"])
def test_counts_of_threads_and_of_searches_are_not_those_of_accounts(query):
    lake = MemoryStore()
    store_count(lake, FIRST, LAST, month(query=query))
    assert counts_of_day(lake, DAY, DAY.end, NOW) == {}


@pytest.mark.parametrize(
    ("since", "now"),
    [(DAY.end, NOW + timedelta(days=8)), (NOW + timedelta(hours=1), NOW + timedelta(hours=2))],
    ids=["older than a week", "of before the purchase"],
)
def test_a_count_that_may_have_changed_is_not_used(since, now):
    lake = MemoryStore()
    store_count(lake, FIRST, LAST, month())
    assert counts_of_day(lake, DAY, since, now) == {}


def test_the_parts_of_a_long_window_have_keys_of_their_own():
    keys = {count_key("q", FIRST, LAST, token) for token in ("", "t1")}
    assert len(keys) == 2
    assert parse_count_key("twitter_accounts/counts/month=2026-11/notes.txt") is None
