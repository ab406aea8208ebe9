"""Accounts that change hands or go while they are read, and what X counts of them."""

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.twitter.errors import Incomplete
from include.twitter.layout import short_hash
from include.twitter_features.backfill_plan import tasks
from include.twitter_features.backfill_plan.plan import PlanRequest, days_between
from local.x_api import posts
from tests.stages.conftest import NOW, RECENT

pytestmark = pytest.mark.live

PUBLISHED = "twitter/dt=2026-11-20/refined_tweets.csv"


def remembered(bucket):
    known = bucket.json("twitter_accounts/accounts.json")
    return {handle: account["id"] for handle, account in known.items()}


def remember(bucket, seen_at, *handles):
    bucket.write(
        "twitter_accounts/accounts.json",
        {handle: {"id": posts.user_id(handle), "seen_at": seen_at} for handle in handles},
    )


# Handles that change hands


def test_a_handle_with_another_id_lands_once_it_is_confirmed_and_other_accounts_at_once(
    pipeline, x, bucket, caplog
):
    remember(bucket, "2026-10-01T01:30:00Z", "posts_4_old", "posts_3_b")
    x.owners(posts_4_old="posts_5_new")
    new, old = posts.user_id("posts_5_new"), posts.user_id("posts_4_old")

    staged = pipeline.transform(pipeline.extract("posts_4_old, posts_3_b"))
    with pytest.raises(Incomplete) as red:
        pipeline.load(staged)

    assert f"posts_4_old: the handle has become another account: {new}, and it was {old}." in str(red.value)
    assert f"add posts_4_old={new} to Variable twitter_confirmed_account_ids and" in str(red.value)
    assert "the handle has become another account" in caplog.text
    assert {row["username"] for row in bucket.rows(PUBLISHED)} == {"posts_3_b"}
    assert remembered(bucket)["posts_4_old"] == old

    pipeline.put(confirmed_account_ids=f"posts_4_old={new}")
    landed = pipeline.load(pipeline.transform(pipeline.extract()))

    assert landed["proof"] == {"matched": 2}
    rows = [row for row in bucket.rows(PUBLISHED) if row["username"] == "posts_4_old"]
    assert [row["author_id"] for row in rows] == [new] * 5
    assert remembered(bucket)["posts_4_old"] == new


# Accounts that were renamed


def test_a_landed_day_of_a_renamed_account_stays_and_a_plan_quotes_nothing_for_it(pipeline, x, bucket):
    pipeline.load(pipeline.transform(pipeline.extract("posts_4_old, posts_3_b")))
    table = bucket.read(PUBLISHED)
    x.owners(posts_new="posts_4_old")
    x.forget()
    pipeline.put(handles="posts_new, posts_3_b")

    with pytest.raises(AirflowSkipException, match="have landed with all accounts"):
        tasks.quote(PlanRequest(days_between(RECENT, RECENT), short_hash(pipeline.name), "", lambda: NOW))
    assert x.request_kinds() == ["users"], "the look-up of the new handle"
    landed = pipeline.load(pipeline.transform(pipeline.extract(name="rerun"), name="rerun"), name="rerun")

    assert (landed["rows"], landed["unavailable"], x.request_kinds()) == (7, [], ["users"])
    assert bucket.read(PUBLISHED) == table


# Accounts that are gone while they are read


def test_what_arrived_of_an_account_before_it_was_gone_is_published_and_the_day_is_red(pipeline, x, bucket):
    pipeline.put(tweet_limit=0)
    gone = posts.user_id("posts_150_a")
    x.order({"match": f"/2/users/{gone}/tweets", "gone": "suspended", "skip": 1})

    bought = pipeline.extract("posts_150_a, posts_3_b")
    arrived = pipeline.accounts(bought)["posts_150_a"]["posts"]
    with pytest.raises(Incomplete) as red:
        pipeline.load(pipeline.transform(bought))

    rows = [row for row in bucket.rows(PUBLISHED) if row["username"] == "posts_150_a"]
    assert 50 < len(rows) <= arrived < 100
    assert "is published with a part of 1 of 2 accounts. posts_150_a: " in str(red.value)
    assert f" {len(rows)} rows of it came before that, and are published." in str(red.value)
    assert bucket.ledger_mills() == x.served_mills()
