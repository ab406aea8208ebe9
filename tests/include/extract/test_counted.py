"""X's own counts, as its answers tell them."""

from collections import Counter

import pytest

from include.twitter.errors import UnexpectedAnswer
from include.twitter.extract.counted import Counted, count_of, of_day, of_queries
from tests.include.invented import DAY, answer


def count(query="(from:1)", words="tweet", total=None, **hours):
    data = [{"start": f"2026-11-{at[1:]}:00:00.000Z", f"{words}_count": n} for at, n in hours.items()]
    meta = {f"total_{words}_count": sum(hours.values()) if total is None else total}
    return answer(asked={"query": query}, kind="archive_counts", data=data, meta=meta)


@pytest.mark.parametrize("words", ["tweet", "post"])
def test_a_count_is_read_in_both_vocabularies_of_x(words):
    counted = count_of(count(words=words, d18T09=3, d18T10=0))
    assert counted == Counted(3, Counter({"2026-11-18T09": 3}))


def test_what_is_no_count_is_not_taken_for_none():
    with pytest.raises(UnexpectedAnswer, match="asked for a count and sent none"):
        count_of(answer())


def test_the_pages_of_a_count_are_one_and_those_of_other_queries_are_not():
    pages = [count(d18T09=3), count(d17T23=2), count("(from:2)", d18T09=9)]
    assert of_queries(pages) == {
        "(from:1)": Counter({"2026-11-18T09": 3, "2026-11-17T23": 2}),
        "(from:2)": Counter({"2026-11-18T09": 9}),
    }


def test_a_day_has_its_own_hours_alone():
    hours = Counter({"2026-11-17T23": 2, "2026-11-18T00": 1, "2026-11-18T23": 4, "2026-11-19T00": 8})
    assert of_day(hours, DAY) == Counted(5, Counter({"2026-11-18T00": 1, "2026-11-18T23": 4}))
