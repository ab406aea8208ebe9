"""X's meter, over HTTP, held against the ledger that `extract` has written."""

import json
import logging
from datetime import timedelta

import pytest

from include.twitter import lake, meter, settings
from include.twitter.day import Day
from include.twitter.errors import MeterDiffers, Outage
from local import x_api
from tests.stages.conftest import NOW

pytestmark = pytest.mark.live

TODAY = Day.of(NOW)
TOMORROW = NOW + timedelta(days=1)
METER = "/2/usage/tweets"


@pytest.fixture
def asked(pipeline, x, bucket, caplog):
    """What the task does and says once its deadline has come: a day later, as it is wont."""
    caplog.set_level(logging.INFO)

    def ask(day=TODAY, at=TOMORROW):
        x.clock(at)
        caplog.clear()
        meter.compare(lake.deployed(), settings.x_access(), settings.budgets(), day, at)
        return caplog.text

    return ask


def of(day):
    return meter.latest(lake.deployed(), str(day)[:7])


def test_what_x_has_served_is_what_the_ledger_has(pipeline, asked, bucket):
    pipeline.put(tweet_limit=0)
    pipeline.extract("posts_250_a, posts_120_b")
    said = asked()
    assert "370 posts from 2026-11-01 to 2026-11-22, the ledger explains 0 to 370: they agree." in said
    assert "Of X's own cap of 3,000,000 posts 370 are used: at 53 a day" in said
    assert "At this pace, $0.08 a day, the cap of $100.00 holds to the end of the month." in said
    assert bucket.keys("twitter_usage/") == ["twitter_usage/month=2026-11/2026-11-22.json"]
    assert (of(TODAY).counted, of(TODAY).most, of(TODAY).apps) == (370, 370, {"2": 370})


def test_a_post_that_is_bought_twice_in_a_day_is_counted_once_by_x(pipeline, asked, bucket):
    pipeline.put(tweet_limit=0)
    pipeline.extract("posts_120_a")
    pipeline.extract("posts_120_a", buy_again=True, name="again")
    asked()
    assert (of(TODAY).counted, of(TODAY).most) == (120, 240)


def test_what_another_pipeline_has_read_is_told_once(pipeline, asked, x, bucket):
    x.put("usage", {"2026-11-20": 500})
    with pytest.raises(MeterDiffers) as told:
        asked()
    assert str(told.value).startswith(
        "X's own meter has 500 posts from 2026-11-01 to 2026-11-22, the ledger explains 0: X counts 500 more."
    )
    with pytest.raises(MeterDiffers):
        asked()  # cleared, and nothing was mended
    assert "X counts 500 more" in asked(TODAY.plus(1), TOMORROW + timedelta(days=1))
    x.put("usage", {"2026-11-20": 500, "2026-11-23": 30})
    with pytest.raises(MeterDiffers, match="X counts 530 more"):
        asked(TODAY.plus(2), TOMORROW + timedelta(days=2))


def test_what_the_ledger_had_a_day_before_x_has_counted(pipeline, asked, x, bucket):
    pipeline.put(tweet_limit=0)
    pipeline.extract("posts_120_a")
    asked(TODAY.plus(-1), NOW)
    x.put("usage", {"2026-11-22": 90})
    with pytest.raises(MeterDiffers, match="the ledger explains 120: X counts 30 fewer, 25"):
        asked()


@pytest.mark.parametrize("status", [403, 404])
def test_keys_that_may_not_ask_are_no_failure(asked, x, bucket, status):
    body = {"title": "Forbidden", "type": "about:blank", "detail": "Not for you"} if status == 403 else ""
    x.order({"match": METER, "status": status, "body": body})
    assert "So the ledger is all that is known." in asked()
    assert bucket.keys("twitter_usage/") == []


def test_an_outage_of_x_is_tried_again(asked, x):
    x.order({"match": METER, "status": 503, "body": {"title": "Service Unavailable"}})
    with pytest.raises(Outage):
        asked()


def test_an_answer_without_days_compares_nothing(asked, x, bucket):
    x.order({"match": METER, "status": 200, "body": {"data": {"project_usage": "7"}}})
    assert "X's meter tells no days" in asked()
    assert bucket.keys("twitter_usage/") == []


def test_a_month_that_x_no_longer_tells_of_is_not_compared(asked, x):
    assert "2026-07 is not compared" in asked(Day.parse("2026-07-31"))
    assert x.requests() == []


def test_a_bearer_token_alone_is_enough(asked, deployment, monkeypatch, x):
    alone = {"conn_type": "http", "host": deployment["host"], "extra": {"bearer_token": x_api.BEARER_TOKEN}}
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(alone))
    assert "they agree" in asked()
    assert [request["path"] for request in x.requests()] == [METER]
