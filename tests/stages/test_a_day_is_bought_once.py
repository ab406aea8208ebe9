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

    assert x.asked() == ["users", "timeline", "token", "count"]
    assert landed["rows"] == first["rows"] + 5
    assert bucket.ledger_mills() == round(1000 * bought["cost_usd"])


def test_accounts_that_are_not_asked_for_any_more_stay_in_the_day(pipeline, x):
    pipeline.load(pipeline.transform(pipeline.extract("posts_5_a, posts_6_b")))

    landed = pipeline.load(
        pipeline.transform(pipeline.extract("posts_4_c", name="rerun"), name="rerun"), name="rerun"
    )

    assert (landed["proof"], landed["rows"]) == ({"matched": 3}, 15)


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


def test_buying_afresh_is_a_wish_that_is_fulfilled_once(pipeline, x):
    first = pipeline.extract("posts_5_a")
    x.forget()
    second = pipeline.extract(name="wish", buy_again=True)
    assert x.asked().count("timeline") == 1
    x.forget()

    cleared = pipeline.extract(name="wish", buy_again=True)
    others = pipeline.extract(name="another run")

    assert x.requests() == []
    assert ["/buy=1/" in first["manifest"], "/buy=2/" in second["manifest"]] == [True, True]
    assert second == cleared == others


def test_what_is_bought_afresh_keeps_the_accounts_that_are_not_asked_for(pipeline, x):
    pipeline.extract("posts_5_a, posts_6_b")

    bought = pipeline.extract("posts_6_b", name="wish", buy_again=True)

    assert bought["posts"] == 6
    published = {name: line["published"] for name, line in pipeline.refine(bought, name="wish").items()}
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
    assert re.match(r"2026-11-20 is being bought .* that shows at 12:01:00 UTC", str(back.value.__cause__))
    assert back.value.reschedule_date == until

    assert x.requests() == []
    bought = pipeline.extract(now=until)
    assert (bought["posts"], x.asked().count("timeline")) == (5, 1)


def test_the_second_reading_keeps_the_limit(pipeline, x):
    pipeline.put(tweet_limit=100)

    bought = pipeline.extract("limited_900_b", "2026-11-19")

    line = pipeline.refine(bought, "2026-11-19")["limited_900_b"]
    assert (line["published"], line["proof"], line["outcome"]) == (100, "limited", "limit")
    assert bought["posts"] <= 200


def test_a_count_of_the_archive_costs_a_cent(pipeline, x, bucket):
    bought = pipeline.extract("posts_9_a", "2026-10-20")

    assert (bought["archive_counts"], bought["counts"]) == (1, 0)
    assert bucket.ledger_mills() == x.served_mills() == 9 * 5 + 10 + 10


def test_posts_of_ones_own_cost_a_fifth(pipeline, x, bucket):
    pipeline.put(own_handle="@Posts_9_A")

    bought = pipeline.extract("posts_9_a, posts_5_b")

    assert (bought["own_posts"], bought["posts"]) == (9, 5)
    assert bucket.ledger_mills() == 9 * 1 + 5 * 5 + 2 * 10 + 5
