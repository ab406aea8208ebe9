"""X's own counts, as its answers tell them: by the hour, of one account or of several together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct, ValidationError, convert

from include.twitter.answer import Answer
from include.twitter.day import Day
from include.twitter.errors import UnexpectedAnswer


class _Hour(Struct):
    start: str
    tweet_count: int = 0
    post_count: int = 0


class _Total(Struct, frozen=True):
    total_tweet_count: int | None = None
    total_post_count: int | None = None


class _Count(Struct):
    """X's answer, in both of its vocabularies."""

    meta: _Total = _Total()
    data: list[_Hour] = []


@dataclass(frozen=True)
class Counted:
    """How many posts of some accounts X counts, in all and in which hours, as `2026-11-18T09`."""

    total: int
    hours: Counter[str]


def count_of(answer: Answer) -> Counted:
    """What one answer counts; UnexpectedAnswer where it is none."""
    try:
        count = convert(answer.body, _Count)
    except ValidationError:
        count = _Count()
    total = count.meta.total_tweet_count
    if total is None and (total := count.meta.total_post_count) is None:
        raise UnexpectedAnswer(f"X was asked for a count and sent none, but {answer.content[:200]!r}")
    hours = {hour.start[:13]: hour.tweet_count or hour.post_count for hour in count.data}
    return Counted(total, +Counter(hours))


def of_queries(answers: Iterable[Answer]) -> dict[str, Counter[str]]:
    """The hours that were counted, by the query: one that is long may come in several answers."""
    hours: dict[str, Counter[str]] = defaultdict(Counter)
    for answer in answers:
        hours[answer.params["query"]] |= count_of(answer).hours
    return dict(hours)


def of_day(hours: Counter[str], day: Day) -> Counted:
    """The part of a longer count that is the day's."""
    its = Counter({hour: number for hour, number in hours.items() if hour.startswith(str(day))})
    return Counted(its.total(), its)
