"""Whoever comes after a purchase, and however it ended, buys only what is missing of what is wanted."""

import re
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

pytestmark = pytest.mark.live

TIMELINE = r"/2/users/\d+/tweets"


def test_a_new_host_over_the_same_bucket_sends_no_request(pipeline, x):
    first = pipeline.extract("posts_5_a, posts_6_b", name="of the host that was lost")
    x.forget()

    assert pipeline.extract(name="of the new host") == first
    assert x.requests() == []


def test_an_account_added_to_a_landed_day_is_all_that_is_bought(pipeline, x, bucket):
    pipeline.put(tweet_limit=0)
    first = pipeline.load(pipeline.transform(pipeline.extract("posts_103_a")))
    x.forget()

    bought = pipeline.extract("posts_103_a, posts_5_b", name="a rerun")
    landed = pipeline.load(pipeline.transform(bought, name="a rerun"), name="a rerun")

    assert x.request_kinds() == ["users", "timeline", "token", "count"]
    assert landed["rows"] == first["rows"] + 5
    assert bucket.ledger_mills() == round(1000 * bought["cost_usd"])


def test_a_raised_limit_buys_the_older_posts_alone(pipeline, x):
    pipeline.put(tweet_limit=20)
    before = pipeline.extract("posts_90_a")["posts"]
    pipeline.put(tweet_limit=0)
    x.forget()

    bought = pipeline.extract()

    whole = pipeline.refine(bought)["posts_90_a"]
    assert whole["published"] + whole["duplicates"] == 90
    assert whole["outside"] == 0
    assert sum(request["posts"] for request in x.requests()) == bought["posts"] - before == 90 - before
    assert "until_id" in x.requests()[0]["query"]


def test_a_day_is_bought_again_once_a_run_and_keeps_its_other_accounts(pipeline, x):
    pipeline.extract("posts_5_a, posts_6_b")
    x.forget()
    second = pipeline.extract("posts_6_b", name="again", buy_again=True)
    assert (second["posts"], x.request_kinds().count("timeline")) == (6, 1)
    x.forget()

    cleared = pipeline.extract(name="again", buy_again=True)
    others = pipeline.extract(name="another run")

    assert x.requests() == []
    assert "/buy=2/" in second["manifest"]
    assert second == cleared == others
    published = {name: line["published"] for name, line in pipeline.refine(second, name="again").items()}
    assert published == {"posts_5_a": 5, "posts_6_b": 6}


def test_while_another_run_buys_a_day_nothing_is_bought(pipeline, x, bucket):
    x.order({"match": TIMELINE, "status": 503})
    with pytest.raises(AirflowRescheduleException):
        pipeline.extract("posts_5_a")
    key = "twitter_raw/dt=2026-11-20/buy=1/manifest.json"
    until = datetime(2026, 11, 22, 12, 1, tzinfo=UTC)
    lease = {"owner": "somebody else", "token": "t", "expires_at": until.isoformat()}
    bucket.write(key, bucket.json(key) | {"lease": lease})
    x.forget()

    with pytest.raises(AirflowRescheduleException) as back:
        pipeline.extract()
    message = str(back.value.__cause__)
    assert re.match(r"2026-11-20 is being bought .* its lease ends at 12:01:00 UTC", message)
    assert back.value.reschedule_date == until

    assert x.requests() == []
    bought = pipeline.extract(now=until)
    assert (bought["posts"], x.request_kinds().count("timeline")) == (5, 1)


def test_a_count_of_the_archive_costs_a_cent(pipeline, x, bucket):
    bought = pipeline.extract("posts_9_a", "2026-10-20")

    assert (bought["archive_counts"], bought["counts"]) == (1, 0)
    assert bucket.ledger_mills() == x.served_mills() == 9 * 5 + 10 + 10


def test_posts_of_ones_own_cost_a_fifth(pipeline, x, bucket):
    pipeline.put(own_handle="@Posts_9_A")

    bought = pipeline.extract("posts_9_a, posts_5_b")

    assert (bought["own_posts"], bought["posts"]) == (9, 5)
    assert bucket.ledger_mills() == 9 * 1 + 5 * 5 + 2 * 10 + 5
