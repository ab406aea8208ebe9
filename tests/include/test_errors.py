"""Failures, named by what to do next."""

import inspect

import pytest

from include.twitter import errors
from include.twitter.errors import BadSetting, Outage, PermanentError, PipelineError, TransientError
from include.twitter.safe_text import UNSAFE

EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PipelineError)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_failure_is_permanent_or_transient_and_has_a_remedy_in_one_line(kind):
    assert kind is PipelineError or issubclass(kind, PermanentError) != issubclass(kind, TransientError)
    assert kind.__doc__.endswith(".")
    assert len(kind.__doc__.splitlines()) == 1


@pytest.mark.parametrize("text", ["\x1b[2J one\ntwo \u202e", "A" * 2_000_000], ids=["escapes", "long"])
def test_a_message_is_one_bounded_and_safe_line(text):
    for error in (Outage(text), BadSetting("Variable twitter_handles", repr(text) + text, "NASA")):
        assert not UNSAFE.search(str(error))
        assert len(str(error)) <= 4000
