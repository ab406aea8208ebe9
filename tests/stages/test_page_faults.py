"""Faults in X's pages: the rows are those of a good day all the same."""

import pytest

pytestmark = pytest.mark.live

TIMELINE = r"/2/users/\d+/tweets"
ACCOUNT = "posts_250_w"  # 292 posts with retweets and replies: three pages

GOOD: list[dict[str, str]] = []


def a_good_day(pipeline, x) -> list[dict[str, str]]:
    """The rows of an undisturbed purchase of the same day, bought once."""
    if not GOOD:
        pipeline.transform(pipeline.extract(ACCOUNT, name="good"), name="good")
        GOOD.extend(pipeline.rows(name="good"))
        for zone in ("twitter_accounts/", "twitter_raw/"):
            pipeline.bucket.delete(zone)
    x.forget()
    return GOOD


@pytest.mark.parametrize(
    "fault",
    [{"empty_page": True, "skip": 1}, {"repeat_posts": 20, "skip": 1, "times": 2}],
    ids=["empty", "repeated"],
)
def test_the_rows_are_those_of_a_good_day(pipeline, x, fault):
    pipeline.put(tweet_limit=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE} | fault)

    bought = pipeline.extract(ACCOUNT)
    account = pipeline.refine(bought)[ACCOUNT]

    assert pipeline.rows() == good
    assert (account["outcome"], account["proof"]) == ("complete", "matched")
    assert bought["posts"] == account["fetched"] == sum(request["posts"] for request in x.requests())


def test_the_verification_brings_what_a_stalled_timeline_does_not(pipeline, x):
    pipeline.put(tweet_limit=0, run_budget_usd=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE, "skip": 1, "times": 999, "same_page": True})

    account = pipeline.refine(pipeline.extract(ACCOUNT))[ACCOUNT]

    assert x.request_kinds() == ["users"] + ["timeline"] * 12 + ["token", "count"] + ["search"] * 3
    assert "10 pages in a row brought nothing new" in account["reason"]
    assert (account["outcome"], account["proof"], account["counted"]) == ("complete", "matched", 250)
    assert pipeline.rows() == good


def test_no_post_of_the_next_midnight_is_bought_and_none_of_the_last_second_is_missing(pipeline, x):
    account = pipeline.refine(pipeline.extract("posts_5_edge"))["posts_5_edge"]

    assert (account["fetched"], account["published"], account["outside"]) == (5, 5, 0)
    assert account["last_created_at"] == "2026-11-20T23:59:59Z"


def test_a_limit_gives_exactly_the_latest_n(pipeline, x):
    pipeline.put(tweet_limit=0)
    good = a_good_day(pipeline, x)
    pipeline.put(tweet_limit=200)

    account = pipeline.refine(pipeline.extract(ACCOUNT))[ACCOUNT]

    assert pipeline.rows() == good[-200:]
    assert (account["outcome"], account["proof"], account["published"]) == ("limit", "limited", 200)
    assert account["over_limit"] + account["duplicates"] + account["outside"] <= 15, "paid for, not wanted"


def test_old_days_come_from_the_archive_with_a_derived_bearer_token(pipeline, x):
    pipeline.put(tweet_limit=0)

    bought = pipeline.extract("posts_60_old, protected_old, suspended_old", "2026-10-20")
    accounts = pipeline.refine(bought, "2026-10-20")

    assert {(request["path"], request["auth"]) for request in x.requests()} == {
        ("/2/users/by", "oauth1"),
        ("/oauth2/token", "basic"),
        ("/2/tweets/search/all", "bearer"),
        ("/2/tweets/counts/all", "bearer"),
    }
    assert {name: account["outcome"] for name, account in accounts.items()} == {
        "posts_60_old": "complete",
        "protected_old": "unavailable",
        "suspended_old": "unavailable",
    }
    assert (accounts["posts_60_old"]["fetched"], accounts["posts_60_old"]["proof"]) == (60, "matched")
