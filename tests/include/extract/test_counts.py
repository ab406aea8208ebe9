"""X's own counts: how a response is read, and the cache that all runs share."""

from collections import Counter
from datetime import timedelta

import pytest

from include.twitter.day import Day
from include.twitter.errors import UnexpectedResponse
from include.twitter.extract.counts import Count, count_of, counts_of_day, store_count, stored_count
from include.twitter.layout import parse_count_key
from include.twitter.sources import author_query, self_reply_query
from tests.include.factories import DAY, RECEIVED, MemoryStore, make_response

FIRST, LAST = Day.parse("2026-11-01"), Day.parse("2026-11-30")
NOW = RECEIVED + timedelta(days=20)


def count(query="(from:1) -is:retweet -is:reply", words="tweet", at=NOW, **hours):
    data = [{"start": f"2026-11-{hour[1:]}:00:00.000Z", f"{words}_count": n} for hour, n in hours.items()]
    meta = {f"total_{words}_count": sum(hours.values())}
    return make_response(params={"query": query}, kind="archive_counts", data=data, meta=meta, received_at=at)


def month(ids=("1",), *, query=None, **more):
    """A count of the days around the 18th, of which each has one post at nine o'clock."""
    hours = {f"d{day}T{hour:02}": int(hour == 9) for day in (17, 18, 19) for hour in range(24)}
    return count(query or author_query(ids), **hours, **more)


@pytest.mark.parametrize("words", ["tweet", "post"])
def test_a_count_is_read_in_both_vocabularies_of_x(words):
    hours = Counter({"2026-11-18T09": 3, "2026-11-18T10": 0})
    assert count_of(count(words=words, d18T09=3, d18T10=0)) == Count(3, hours, NOW)


@pytest.mark.parametrize(
    "body",
    [{}, {"meta": {"total_tweet_count": True}}, {"meta": {"total_tweet_count": 1}, "data": [{"start": 5}]}],
)
def test_what_is_no_count_is_refused(body):
    with pytest.raises(UnexpectedResponse, match="sent no count"):
        count_of(make_response(**body))


@pytest.mark.parametrize(
    ("stored", "day", "since", "now", "is_used"),
    [
        pytest.param(month(("1", "2")), DAY, DAY.end, NOW, True, id="a day inside its window"),
        pytest.param(month(("1", "2")), LAST.plus(1), DAY.end, NOW, False, id="a day outside"),
        pytest.param(count(author_query(["1", "2"]), d18T09=3), DAY, DAY.end, NOW, False, id="hours lack"),
        pytest.param(month(query=self_reply_query("1")), DAY, DAY.end, NOW, False, id="of threads"),
        pytest.param(month(query="#mars"), DAY, DAY.end, NOW, False, id="of a search"),
        pytest.param(month(), DAY, DAY.end, NOW + timedelta(days=8), False, id="older than a week"),
        pytest.param(month(), DAY, NOW + timedelta(hours=1), NOW, False, id="of before the purchase"),
    ],
)
def test_a_cached_count_is_used_by_the_days_of_its_window(stored, day, since, now, is_used):
    store = MemoryStore()
    assert parse_count_key(store_count(store, FIRST, LAST, stored)) == (FIRST, LAST)
    assert counts_of_day(store, day, since, now) == (
        {("1", "2"): count_of(month()).of_day(DAY)} if is_used else {}
    )


def test_of_several_counts_of_an_hour_the_highest_and_of_their_times_the_latest_is_used():
    store, later = MemoryStore(), NOW + timedelta(hours=1)
    hours = {f"d18T{hour:02}": 2 for hour in range(24)}
    store_count(store, FIRST, LAST, month())
    store_count(store, DAY, LAST, count(author_query(["1"]), at=later, **hours))
    [counted] = counts_of_day(store, DAY, DAY.end, later).values()
    assert (counted.total, counted.received_at) == (48, later)


def test_a_count_is_cached_by_its_query_window_and_token():
    store = MemoryStore()
    store_count(store, FIRST, LAST, month(("1", "2")))
    query = author_query(["1", "2"])
    assert stored_count(store, query, FIRST, LAST, None, NOW)
    assert not stored_count(store, author_query(["1"]), FIRST, LAST, None, NOW)
    assert not stored_count(store, query, FIRST, LAST, "t1", NOW)
    assert not stored_count(store, query, FIRST, LAST, None, NOW + timedelta(days=8))
