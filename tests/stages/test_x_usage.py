"""X's own count, over HTTP, compared with the ledger that `extract` has written."""

import logging
from datetime import timedelta

import pytest

from include.twitter import object_store, settings
from include.twitter.day import Day
from include.twitter.errors import UsageMismatch
from include.twitter_features.x_usage.tasks import check_usage
from tests.stages.conftest import NOW

pytestmark = pytest.mark.live

TODAY = Day.of(NOW)
TOMORROW = NOW + timedelta(days=1)
X_USAGE = "/2/usage/tweets"


@pytest.fixture
def log_of(pipeline, x, bucket, caplog):
    """The log of the task after its deadline, by default a day later."""
    caplog.set_level(logging.INFO)

    def log_of(day=TODAY, at=TOMORROW):
        x.clock(at)
        caplog.clear()
        check_usage(object_store.from_settings(), settings.x_access(), day, at)
        return caplog.text

    return log_of


def test_x_counts_as_many_posts_as_the_ledger(pipeline, log_of, bucket):
    pipeline.put(tweet_limit=0)
    pipeline.extract("posts_250_a, posts_120_b")
    assert "370 posts from 2026-11-01 to 2026-11-22, the ledger explains 0 to 370: they agree" in log_of()
    (key,) = bucket.keys("twitter_usage/")
    assert key == "twitter_usage/month=2026-11/2026-11-22.json"
    assert (bucket.json(key)["counted"], bucket.json(key)["upper_bound"]) == (370, 370)


def test_posts_that_another_program_has_read_are_alerted_once(log_of, x):
    x.put("usage", {"2026-11-20": 500})
    for _ in range(2):  # the second time, the task was cleared and nothing corrected
        with pytest.raises(UsageMismatch, match=r"500 posts .* X counts 500 more"):
            log_of()
    assert "X counts 500 more" in log_of(TODAY.plus(1), TOMORROW + timedelta(days=1))
    x.put("usage", {"2026-11-20": 500, "2026-11-23": 30})
    with pytest.raises(UsageMismatch, match="X counts 530 more"):
        log_of(TODAY.plus(2), TOMORROW + timedelta(days=2))


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (403, {"title": "Forbidden", "type": "about:blank"}, "So the ledger is not compared with X"),
        (404, "", "So the ledger is not compared with X"),
        (200, {"data": {"project_usage": "7"}}, "nothing is compared"),
    ],
)
def test_a_response_without_counts_is_logged_and_no_failure(log_of, x, bucket, status, body, message):
    x.order({"match": X_USAGE, "status": status, "body": body})
    assert message in log_of()
    assert bucket.keys("twitter_usage/") == []
