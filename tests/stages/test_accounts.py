"""Accounts that change hands or go while they are read, and what X counts of them."""

import logging

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.twitter.errors import Incomplete
from include.twitter.layout import short_hash
from include.twitter_features.backfill_plan import tasks
from include.twitter_features.backfill_plan.plan import PlanRequest, days_between
from local.x_api import posts
from tests.stages.conftest import NOW, RECENT

pytestmark = pytest.mark.live

TIMELINE = r"/2/users/\d+/tweets"
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


def test_a_handle_that_has_a_new_owner_lands_only_after_a_word_and_refuses_nobody_elses_day(
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


def test_the_posts_of_an_account_that_was_renamed_are_its_own_and_not_those_of_the_handles_new_owner(
    pipeline, x, bucket
):
    remember(bucket, "2026-11-10T01:30:00Z", "posts_4_old")
    x.owners(posts_4_old="posts_5_new")
    x.order({"match": TIMELINE, "drop_posts": 2})

    landed = pipeline.load(pipeline.transform(pipeline.extract("posts_4_old")))

    assert landed["proof"] == {"matched": 1}
    assert x.asked() == ["timeline", "token", "count", "search"]
    assert {row["author_id"] for row in bucket.rows(PUBLISHED)} == {posts.user_id("posts_4_old")}


def test_an_id_that_x_no_longer_finds_is_looked_up_in_the_same_try(pipeline, x, bucket):
    remember(bucket, "2026-11-10T01:30:00Z", "posts_4_old")
    x.owners(posts_4_old="posts_5_new")
    x.order({"match": f"/2/users/{posts.user_id('posts_4_old')}/tweets", "gone": "unknown", "times": 99})

    bought = pipeline.extract("posts_4_old")

    assert x.asked() == ["timeline", "users"]
    line = pipeline.accounts(bought)["posts_4_old"]
    assert line["reason"].startswith("the handle has become another account")

    pipeline.put(confirmed_account_ids=f"posts_4_old={posts.user_id('posts_5_new')}")
    landed = pipeline.load(pipeline.transform(pipeline.extract()))

    assert (landed["rows"], landed["proof"]) == (5, {"matched": 1})


# Accounts that were renamed


def test_a_landed_day_of_a_renamed_account_stays_and_a_plan_quotes_nothing_for_it(pipeline, x, bucket):
    pipeline.load(pipeline.transform(pipeline.extract("posts_4_old, posts_3_b")))
    table = bucket.read(PUBLISHED)
    x.owners(posts_new="posts_4_old")
    x.forget()
    pipeline.put(handles="posts_new, posts_3_b")

    with pytest.raises(AirflowSkipException, match="have landed with all accounts"):
        tasks.quote(PlanRequest(days_between(RECENT, RECENT), short_hash(pipeline.name), "", lambda: NOW))
    assert x.asked() == ["users"], "the look-up that says who the new handle is"
    landed = pipeline.load(pipeline.transform(pipeline.extract(name="rerun"), name="rerun"), name="rerun")

    assert (landed["rows"], landed["unavailable"], x.asked()) == (7, [], ["users"])
    assert bucket.read(PUBLISHED) == table


# Accounts that go in mid-walk


@pytest.mark.parametrize("state", ["suspended", "protected", "unknown"])
@pytest.mark.parametrize("beside", ["", ", posts_3_b"], ids=["alone", "beside another"])
def test_what_came_of_an_account_before_it_went_is_published_and_the_day_is_red(
    pipeline, x, bucket, state, beside
):
    pipeline.put(tweet_limit=0)
    gone = posts.user_id("posts_150_a")
    x.order({"match": f"/2/users/{gone}/tweets", "gone": state, "skip": 1})

    bought = pipeline.extract("posts_150_a" + beside)
    came = pipeline.accounts(bought)["posts_150_a"]["posts"]
    with pytest.raises(Incomplete) as red:
        pipeline.load(pipeline.transform(bought))

    rows = [row for row in bucket.rows(PUBLISHED) if row["username"] == "posts_150_a"]
    assert 50 < len(rows) <= came < 100
    assert f"is published with a part of 1 of {2 if beside else 1} accounts. posts_150_a: " in str(red.value)
    assert f" {len(rows)} rows of it came before that, and are published." in str(red.value)
    assert bucket.ledger_mills() == x.served_mills()


def test_one_that_is_cut_short_and_one_that_is_missing_are_told_apart(pipeline, x):
    pipeline.put(tweet_limit=0)
    x.order({"match": f"/2/users/{posts.user_id('posts_150_a')}/tweets", "gone": "suspended", "skip": 1})

    staged = pipeline.transform(pipeline.extract("posts_150_a, posts_3_b, suspended_c"))

    with pytest.raises(Incomplete, match="published without 1, with a part of 1 of 3 accounts"):
        pipeline.load(staged)


def test_an_account_that_is_back_is_gone_on_with(pipeline, x):
    pipeline.put(tweet_limit=0)
    x.order({"match": TIMELINE, "gone": "suspended", "skip": 1})
    pipeline.extract("posts_150_a")

    landed = pipeline.load(pipeline.transform(pipeline.extract()))

    assert (landed["rows"], landed["proof"]) == (140, {"matched": 1}), "ten were edited"


# X's own count


def test_a_surplus_is_told_account_by_account(pipeline, x, caplog):
    caplog.set_level(logging.WARNING)
    x.order({"match": "/counts/", "count_off_by": -2, "times": 1}, {"match": "/counts/", "count_off_by": -2})

    landed = pipeline.load(pipeline.transform(pipeline.extract("posts_4_a, posts_5_b")))

    assert landed["proof"] == {"surplus": 1, "matched": 1}
    assert landed["differing"] == ["posts_4_a"]
    assert x.asked().count("count") == 3
    assert "posts_4_a: X counts 2 posts, 4 arrived" in caplog.text
    assert "search" not in x.asked()
