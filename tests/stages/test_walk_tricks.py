"""What X does to a walk: the rows are those of a good day all the same, or the run says why."""

from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import UnexpectedAnswer
from tests.hands import kind

pytestmark = pytest.mark.live

TIMELINE = r"/2/users/\d+/tweets"
WALKER = "posts_250_w"  # 292 posts with retweets and replies: three pages


GOOD: dict[str, list[dict[str, str]]] = {}


def a_good_day(pipeline, x, handles: str = WALKER) -> list[dict[str, str]]:
    """The rows of an undisturbed purchase of the same day, bought once."""
    if handles not in GOOD:
        pipeline.transform(pipeline.extract(handles, name="good"), name="good")
        GOOD[handles] = pipeline.rows(name="good")
        for zone in ("twitter_accounts/", "twitter_raw/"):
            pipeline.bucket.delete(zone)
    x.forget()
    return GOOD[handles]


@pytest.mark.parametrize(
    ("fault", "timelines"),
    [
        ({"empty_page": True, "skip": 1}, 4),
        ({"short_page": 3}, 4),
        ({"repeat_posts": 20, "skip": 1, "times": 2}, 3),
        ({"rename_vocabulary": True, "times": 9}, 3),
    ],
)
def test_the_rows_are_those_of_a_good_day(pipeline, x, fault, timelines):
    pipeline.put(tweet_limit=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE} | fault)

    bought = pipeline.extract(WALKER)
    account = pipeline.refine(bought)[WALKER]

    assert pipeline.rows() == good
    assert (account["outcome"], account["proof"]) == ("complete", "matched")
    assert x.asked() == ["users"] + ["timeline"] * timelines + ["token", "count"]
    assert bought["posts"] == account["fetched"] == sum(request["posts"] for request in x.requests())


@pytest.mark.parametrize(
    ("fault", "timelines", "reason"),
    [
        ({"repeat_token": True}, 2, ""),
        ({"empty_page": True}, 101, "100 pages in a row were empty"),
        ({"same_page": True}, 12, "10 pages in a row brought nothing new"),
    ],
)
def test_a_walk_that_leads_nowhere_ends_and_the_re_read_brings_the_rest(
    pipeline, x, fault, timelines, reason
):
    pipeline.put(tweet_limit=0, run_budget_usd=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE, "skip": 1, "times": 999} | fault)

    account = pipeline.refine(pipeline.extract(WALKER))[WALKER]

    assert x.asked() == ["users"] + ["timeline"] * timelines + ["token", "count"] + ["search"] * 3
    assert reason in (account["reason"] or "")
    assert (account["outcome"], account["proof"], account["counted"]) == ("complete", "matched", 250)
    assert pipeline.rows() == good


def test_no_post_of_the_next_midnight_is_bought_and_none_of_the_last_second_is_missing(pipeline, x):
    account = pipeline.refine(pipeline.extract("posts_5_edge"))["posts_5_edge"]

    assert (account["fetched"], account["published"], account["outside"]) == (5, 5, 0)
    assert account["last_created_at"] == "2026-11-20T23:59:59Z"


def test_after_a_refused_page_the_next_try_asks_anew_and_finds_all(pipeline, x):
    pipeline.put(tweet_limit=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE, "drop_fields": ["public_metrics"]})
    with pytest.raises(UnexpectedAnswer, match="without public_metrics"):
        pipeline.extract(WALKER)
    assert pipeline.bucket.ledger_mills() == x.served_mills() > 10

    account = pipeline.refine(pipeline.extract(WALKER))[WALKER]

    assert pipeline.rows() == good
    assert account["proof"] == "matched"


def test_an_account_short_of_posts_is_read_again_through_the_search(pipeline, x):
    good = a_good_day(pipeline, x, "posts_30_short, posts_20_whole")
    x.order({"match": TIMELINE, "drop_posts": 4, "times": 1})

    accounts = pipeline.refine(pipeline.extract("posts_30_short, posts_20_whole"))

    assert sorted(x.asked()) == ["count"] * 3 + ["search", "timeline", "timeline", "token", "users"]
    assert {account["proof"] for account in accounts.values()} == {"matched"}
    assert pipeline.rows() == good


@pytest.mark.parametrize("limit", [1, 200])
def test_a_limit_gives_exactly_the_latest_n(pipeline, x, limit):
    pipeline.put(tweet_limit=0)
    good = a_good_day(pipeline, x)
    pipeline.put(tweet_limit=limit)

    account = pipeline.refine(pipeline.extract(WALKER))[WALKER]

    assert pipeline.rows() == good[-limit:]
    assert (account["outcome"], account["proof"], account["published"]) == ("limit", "limited", limit)
    assert account["over_limit"] + account["duplicates"] + account["outside"] <= 15, "paid for, not wanted"


def test_old_days_come_from_the_archive_with_a_derived_bearer_token(pipeline, x):
    pipeline.put(tweet_limit=0)

    bought = pipeline.extract("posts_60_old, protected_old, suspended_old", "2026-10-20")
    accounts = pipeline.refine(bought, "2026-10-20")

    asked = {(request["path"], request["auth"]) for request in x.requests()}
    assert asked == {
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


def test_a_walk_interrupted_on_a_recent_day_goes_on_when_the_day_has_become_old(pipeline, x):
    pipeline.put(tweet_limit=0)
    x.order({"match": TIMELINE, "status": 503, "skip": 1})
    with pytest.raises(AirflowRescheduleException):
        pipeline.extract(WALKER)
    later = datetime(2026, 11, 29, 12, tzinfo=UTC)
    x.clock(later)

    bought = pipeline.extract(WALKER, now=later)

    assert pipeline.accounts(bought)[WALKER]["posts"] >= 250
    walked = [r for r in x.requests() if r["status"] == 200 and kind(r) in ("timeline", "search")]
    assert [kind(r) for r in walked] == ["timeline", "search"]
    assert "until_id" in walked[1]["query"], "the token of a timeline means nothing to the search"
