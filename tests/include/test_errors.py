"""Failures, named by what to do next."""

import inspect
from datetime import UTC, datetime

import pytest

from include.twitter import errors
from include.twitter.errors import (
    BadDay,
    BadSetting,
    Outage,
    PermanentError,
    PipelineError,
    RateLimited,
    TransientError,
)
from include.twitter.safe_text import UNSAFE

EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PipelineError)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_failure_is_one_that_waits_for_a_person_or_one_that_passes(kind):
    assert kind is PipelineError or issubclass(kind, PermanentError) != issubclass(kind, TransientError)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_failure_says_in_one_line_what_it_means(kind):
    assert kind.__doc__.endswith(".")
    assert len(kind.__doc__.splitlines()) == 1


def test_a_bad_setting_names_the_setting_what_was_found_and_an_example():
    error = BadSetting("Variable twitter_bucket", "'s3://x' is no bucket name", "acme-twitter-lake")
    assert str(error) == "Variable twitter_bucket: 's3://x' is no bucket name. Example: acme-twitter-lake"


def test_a_rate_limit_carries_the_time_of_its_reset():
    reset = datetime(2026, 11, 19, 1, 45, tzinfo=UTC)
    assert RateLimited("X answered 429", retry_at=reset).retry_at == reset
    assert Outage("X answered 503").retry_at is None


@pytest.mark.parametrize("text", ["\x1b[2J one\ntwo \u202e", "A" * 20_000_000], ids=["escapes", "long"])
@pytest.mark.parametrize("kind", [PipelineError, Outage, BadDay, RateLimited])
def test_a_message_is_one_bounded_and_safe_line_whatever_it_quotes(kind, text):
    said = str(kind(text))
    assert not UNSAFE.search(said)
    assert len(said) <= 4000


def test_a_bad_setting_quotes_what_a_person_wrote_safely():
    assert not UNSAFE.search(str(BadSetting("Variable twitter_handles", "'\x1b[2J\n'", "NASA")))


def test_a_wrong_clock_is_tried_a_few_times_before_it_is_for_a_person():
    assert issubclass(errors.ClockWrong, errors.AmbiguousError)
