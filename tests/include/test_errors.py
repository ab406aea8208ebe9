"""Failures, named by what to do next."""

import inspect
from datetime import UTC, datetime

import pytest

from include.twitter import errors
from include.twitter.errors import BadSetting, Outage, PipelineError, RateLimited, Refused, TryLater

EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PipelineError)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_failure_is_one_that_waits_for_a_person_or_one_that_passes(kind):
    assert kind is PipelineError or issubclass(kind, Refused) != issubclass(kind, TryLater)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_failure_says_in_one_line_what_it_means(kind):
    assert kind.__doc__.endswith(".")
    assert len(kind.__doc__.splitlines()) == 1


def test_a_bad_setting_names_the_setting_what_was_found_and_an_example():
    error = BadSetting("Variable twitter_bucket", "'s3://x' is no bucket name", "acme-twitter-lake")
    assert str(error) == "Variable twitter_bucket: 's3://x' is no bucket name. Example: acme-twitter-lake"


def test_a_rate_limit_carries_the_time_of_its_reset():
    reset = datetime(2026, 11, 19, 1, 45, tzinfo=UTC)
    assert RateLimited("X answered 429", at=reset).at == reset
    assert Outage("X answered 503").at is None
