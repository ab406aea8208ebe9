"""What X does to a walk: the rows are those of a good day all the same, or the run says why."""

import json
import logging
import re
from datetime import UTC, datetime

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import Incomplete, UnexpectedAnswer
from local import x_api
from local.x_api import posts
from tests.hands import kind
from tests.stages.conftest import RECENT

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


def test_a_repeated_page_token_ends_the_walk_and_the_re_read_brings_the_rest(pipeline, x):
    pipeline.put(tweet_limit=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE, "repeat_token": True, "skip": 1, "times": 99})

    account = pipeline.refine(pipeline.extract(WALKER))[WALKER]

    assert x.asked() == ["users"] + ["timeline"] * 2 + ["token", "count"] + ["search"] * 3
    assert (account["proof"], account["counted"]) == ("matched", 250)
    assert pipeline.rows() == good


@pytest.mark.parametrize(
    ("fault", "timelines", "said"),
    [
        ({"empty_page": True}, 101, "100 pages in a row were empty, and posts may be missing"),
        ({"same_page": True}, 12, "10 pages in a row brought nothing new, and posts may be missing"),
    ],
)
def test_a_walk_that_leads_nowhere_ends_and_the_re_read_brings_the_rest(
    pipeline, x, caplog, fault, timelines, said
):
    pipeline.put(tweet_limit=0, run_budget_usd=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE, "skip": 1, "times": 999} | fault)

    bought = pipeline.extract(WALKER)
    account = pipeline.refine(bought)[WALKER]

    assert x.asked() == ["users"] + ["timeline"] * timelines + ["token", "count"] + ["search"] * 3
    assert f"{WALKER}: its walk was ended: {said}" in caplog.text
    assert account["reason"] == f"its walk was ended: {said}"
    assert (account["outcome"], account["proof"]) == ("complete", "matched")
    assert pipeline.rows() == good


def test_a_start_that_x_ignores_costs_one_page_of_older_posts(pipeline, x):
    pipeline.put(tweet_limit=0)
    x.order({"match": TIMELINE, "ignore": ["start_time"], "times": 999})

    account = pipeline.refine(pipeline.extract("posts_100_old"))["posts_100_old"]

    assert (account["published"] + account["duplicates"], account["proof"]) == (100, "matched")
    assert account["reason"].endswith("a page lay before the day, whose start was asked for")
    assert x.asked().count("timeline") <= 4


def test_an_empty_token_is_no_next_page(pipeline, x):
    x.order({"match": TIMELINE, "empty_token": True, "times": 9})

    account = pipeline.accounts(pipeline.extract("posts_5_end"))["posts_5_end"]

    assert (account["outcome"], account["reason"], account["posts"]) == ("complete", None, 5)
    assert x.asked().count("timeline") == 1


def test_an_archive_that_fails_at_large_pages_is_asked_for_smaller_ones(pipeline, x):
    pipeline.put(tweet_limit=0)
    x.order({"match": r"search/all.*max_results=(?!100\b)", "status": 503, "times": 99})

    account = pipeline.accounts(pipeline.extract("posts_150_large", "2026-10-20"))["posts_150_large"]

    asked = [request["query"]["max_results"] for request in x.requests() if kind(request) == "search"]
    assert asked == ["500", "250", "125", "100", "100"]
    assert (account["outcome"], account["proof"], account["posts"]) == ("complete", "matched", 150)


def test_no_post_of_the_next_midnight_is_bought_and_none_of_the_last_second_is_missing(pipeline, x):
    account = pipeline.refine(pipeline.extract("posts_5_edge"))["posts_5_edge"]

    assert (account["fetched"], account["published"], account["outside"]) == (5, 5, 0)
    assert account["last_created_at"] == "2026-11-20T23:59:59Z"


def test_a_page_without_a_field_that_must_be_there_is_the_last_one_bought(pipeline, x):
    x.order({"match": TIMELINE, "drop_fields": ["public_metrics"], "times": 99})

    with pytest.raises(UnexpectedAnswer, match="without public_metrics"):
        pipeline.extract(WALKER)

    [_, page] = x.requests()
    refused, look_up = pipeline.raw()
    assert re.fullmatch(r"buy=1/refused-\d+/0001\.json\.gz", refused)
    assert look_up == "buy=1/users-by/0001.json.gz"
    assert pipeline.bucket.ledger_mills() == 10 + 5 * page["posts"] == x.served_mills()


def test_after_a_refused_page_the_next_try_asks_anew_and_finds_all(pipeline, x):
    pipeline.put(tweet_limit=0)
    good = a_good_day(pipeline, x)
    x.order({"match": TIMELINE, "drop_fields": ["public_metrics"]})
    with pytest.raises(UnexpectedAnswer):
        pipeline.extract(WALKER)

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


def test_an_account_that_stays_short_lands_and_says_so(pipeline, x, caplog):
    x.order({"match": "/counts/", "count_off_by": 3, "times": 9})

    bought = pipeline.extract("posts_30_short")
    staged = pipeline.transform(bought)
    landed = pipeline.load(staged)

    assert x.asked() == ["users", "timeline", "token", "count", "search"]
    assert (landed["proof"], landed["differing"]) == ({"short": 1}, ["posts_30_short"])
    assert pipeline.accounts(bought)["posts_30_short"]["counted"] == 33
    assert "posts_30_short: X counts 33 posts, 30 arrived" in caplog.text


def test_counts_in_the_vocabulary_of_posts_are_read(pipeline, x):
    x.order({"match": "/counts/", "rename_vocabulary": True, "times": 9})

    bought = pipeline.extract("posts_5_renamed")

    assert pipeline.accounts(bought)["posts_5_renamed"]["proof"] == "matched"


def test_what_came_although_it_was_excluded_is_told_and_not_published(pipeline, x, caplog):
    author = {"author_id": posts.user_id("posts_0_unasked"), "public_metrics": {}, "text": "Clear skies"}
    sent = [
        author | {"id": f"199000000000000000{n}", "created_at": f"{RECENT}T09:0{n}:00.000Z"} | more
        for n, more in enumerate(
            [
                {"referenced_tweets": [{"type": "retweeted", "id": "7"}]},
                {"referenced_tweets": [{"type": "replied_to", "id": "7"}]},
                {"author_id": "7"},
                {"lang": "zh_TW"},
            ]
        )
    ]
    x.order(
        {"match": TIMELINE, "status": 200, "body": {"data": sent[::-1], "meta": {"result_count": len(sent)}}}
    )

    account = pipeline.refine(pipeline.extract("posts_0_unasked"))["posts_0_unasked"]

    assert (account["published"], account["unrequested"], account["rejected"]) == (1, 2, 1)
    assert account["dropped_fields"] == {"lang: is no language": 1}
    for told in (
        "posts_0_unasked: 2 retweets and replies came although they were excluded; none is published",
        "posts_0_unasked: 1 rejected, author_id: is another author's, not the account's own",
        "X sends fields that are not as they have to be: lang: is no language",
    ):
        assert told in caplog.text


def test_a_cut_long_post_raises_an_alarm(pipeline, x, caplog):
    caplog.set_level(logging.WARNING)
    x.order({"match": TIMELINE, "drop_fields": ["note_tweet"], "times": 9})

    account = pipeline.refine(pipeline.extract("acme_press"))["acme_press"]

    [warning] = account["warnings"]
    assert warning.endswith(": a long post, cut: its whole text did not arrive")
    assert f"acme_press: {warning}" in caplog.text
    assert account["published"] == 6, "it is published all the same"


def test_a_whole_long_post_raises_none(pipeline, x):
    account = pipeline.refine(pipeline.extract("acme_press"))["acme_press"]

    assert account["warnings"] == []
    assert max(len(row["text"]) for row in pipeline.rows()) > 280


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


def test_a_bearer_token_of_the_connection_is_not_asked_for(pipeline, x, deployment, monkeypatch):
    deployment["extra"] = {"bearer_token": x_api.BEARER_TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(deployment))

    pipeline.extract("posts_2_bearer")

    assert x.asked() == ["users", "timeline", "count"]
    assert {request["auth"] for request in x.requests()} == {"bearer"}


def test_an_old_day_of_accounts_that_are_gone_is_no_empty_green_day(pipeline, x):
    bought = pipeline.extract("protected_old, suspended_old", "2026-10-19")
    staged = pipeline.transform(bought, "2026-10-19")

    with pytest.raises(Incomplete, match="Nothing is published"):
        pipeline.load(staged, "2026-10-19")

    assert pipeline.bucket.keys("twitter/dt=2026-10-19/") == []
    assert x.asked() == ["users"], "nothing of theirs was asked for"


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


def test_a_red_run_cleared_when_its_day_has_become_old_lands(pipeline, x):
    pipeline.extract("posts_5_a, suspended_s")
    later = datetime(2026, 11, 29, 12, tzinfo=UTC)
    x.clock(later)

    accounts = pipeline.accounts(pipeline.extract("posts_5_a, posts_6_b", now=later))

    assert {name: account["outcome"] for name, account in accounts.items()} == {
        "posts_5_a": "complete",
        "posts_6_b": "complete",
    }
