"""What X's errors come to, played over the wire through the real extract. All of them: test_x.py."""

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import (
    Incomplete,
    KeysInDoubt,
    NoCredits,
    NoResponse,
    Outage,
    PermanentError,
)
from include.twitter.extract import reconcile
from local.x_api import posts
from tests.include.invented import post
from tests.stages.conftest import NOW

pytestmark = pytest.mark.live

TWITTER, X = "https://api.twitter.com/2/problems/", "https://api.x.com/2/problems/"
HTML = "<!DOCTYPE html><html><body>Nothing to see here</body></html>"


def problem(title: str, kind: str = "about:blank", **more: Any) -> dict[str, Any]:
    return {"title": title, "type": kind, "detail": title} | more


def answered(status: int, body: Any = "", **headers: str) -> dict[str, Any]:
    return {"status": status, "body": body, "headers": {k.replace("_", "-"): v for k, v in headers.items()}}


FAILURES = {
    "no credits": (answered(402, problem("CreditsDepleted", TWITTER + "credits")), NoCredits),
    "403 with the HTML of a proxy": (answered(403, HTML), Outage),
    "connection reset": ({"reset": True}, NoResponse),
    "truncated body": ({"truncate": True}, NoResponse),
}

TIMELINE = r"/2/users/\d+/tweets"


@pytest.mark.parametrize("row", FAILURES)
def test_a_failed_page_is_requested_once_a_try_and_booked_where_x_may_have_billed_it(pipeline, x, row):
    fault, error = FAILURES[row]
    x.order({"match": TIMELINE, "times": 99} | fault)
    if not issubclass(error, PermanentError):  # the look-up came before: progress
        with pytest.raises(AirflowRescheduleException):
            pipeline.extract("posts_3_refused")
    with pytest.raises(error) as raised:
        pipeline.extract("posts_3_refused")
    tries = 1 if issubclass(error, PermanentError) else 2
    assert type(raised.value) is error
    assert x.asked() == ["users"] + ["timeline"] * tries, "it asked again by itself"
    assert pipeline.raw() == ["buy=1/users-by/0001.json.gz"]
    [entry] = pipeline.bucket.ledger()
    uncertain = 500 * tries if error is NoResponse else 0
    assert (entry["spent_mills"], entry["uncertain_mills"]) == (10, uncertain)


def test_keys_that_x_has_taken_are_tried_a_few_times_before_they_are_blamed(pipeline, x):
    fault = {"match": TIMELINE, "times": 2} | answered(401, problem("Unauthorized"))
    x.order(fault | {"skip": 1})
    pipeline.put(tweet_limit=0)
    for _ in range(2):  # pages came before it in the first try, and none in the second
        with pytest.raises(KeysInDoubt):
            pipeline.extract("posts_250_doubt")

    assert pipeline.accounts(pipeline.extract())["posts_250_doubt"]["proof"] == "matched"


def test_a_window_of_one_request_costs_no_try_while_each_buys_an_account(pipeline, x):
    x.put("rate_limit", {"limit": 1, "window": 900, "match": TIMELINE})
    now, tries = NOW, 0
    while True:
        tries += 1
        try:
            bought = pipeline.extract(",".join(f"posts_1_n{number}" for number in range(8)), now=now)
            break
        except AirflowRescheduleException as back:  # which uses no try; a RateLimited would
            assert now < back.reschedule_date <= now + timedelta(minutes=15)
            now = back.reschedule_date
            x.clock(now)

    assert (tries, bought["posts"], bought["users"], bought["counts"]) == (8, 8, 8, 1)
    assert {line["proof"] for line in pipeline.accounts(bought).values()} == {"matched"}


def test_an_account_that_stays_away_beside_an_outage_is_no_progress(pipeline, x):
    gone = posts.user_id("posts_2_gone")
    x.order(
        {"match": f"/2/users/{gone}/tweets", "times": 99} | answered(200, {"errors": [SUSPENDED]}),
        {"match": TIMELINE, "times": 99} | answered(503),
    )
    with pytest.raises(AirflowRescheduleException):
        pipeline.extract("posts_2_gone, posts_3_here")
    with pytest.raises(Outage):
        pipeline.extract()


@pytest.mark.parametrize("is_filled_later", [True, False])
def test_a_field_that_x_could_not_fill_is_read_again_or_empty_and_never_stops_the_run(
    pipeline, x, is_filled_later
):
    unfilled = {
        "title": "Field Hydration Failure",
        "detail": "Could not hydrate public_metrics",
        "type": X + "field-hydration-failure",
        "field": "public_metrics",
    }
    orders = [
        {"match": TIMELINE, "drop_fields": ["public_metrics"], "add_errors": [unfilled, None, "odd"]},
        {"match": r"/2/tweets\?"} | answered(503),
    ]
    x.order(*orders[: 1 if is_filled_later else 2])

    account = pipeline.refine(pipeline.extract("posts_3_bare"))["posts_3_bare"]

    assert (account["outcome"], account["proof"], account["published"]) == ("complete", "matched", 3)
    assert (account["fetched"], account["duplicates"]) == ((6, 3) if is_filled_later else (3, 0))
    assert len(account["warnings"]) == (0 if is_filled_later else 3)
    assert [row["likes"] != "" for row in pipeline.rows()] == [is_filled_later] * 3


@pytest.mark.parametrize(
    ("where", "answer", "requests"),
    [
        ("/2/tweets/counts", answered(402, problem("CreditsDepleted", X + "credits")), ["token", "count"]),
        ("/oauth2/token", answered(503, HTML), ["token"] * 4),
    ],
    ids=["count refused", "token unavailable"],
)
def test_a_proof_that_x_refuses_for_good_keeps_no_paid_day_from_landing(
    pipeline, x, monkeypatch, where, answer, requests
):
    monkeypatch.setattr(reconcile, "PAUSES", (0, 0, 0))
    x.order({"match": where, "times": 99} | answer)

    landed = pipeline.load(pipeline.transform(pipeline.extract("posts_3_refused")))

    assert (landed["rows"], landed["proof"]) == (3, {"unchecked": 1})
    [account] = pipeline.bucket.json("twitter_receipts/dt=2026-11-20/receipt.json")["accounts"]
    assert account["proof_reason"].startswith("X ")
    assert pipeline.bucket.ledger_mills() == x.served_mills()
    assert x.asked() == ["users", "timeline", *requests]


def about(title: str, detail: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "detail": detail, "type": kind, "value": "1", "parameter": "id"} | more


SUSPENDED = about("Forbidden", "User has been suspended: [1].", TWITTER + "resource-not-found")


def test_an_unavailable_account_is_named_and_the_others_land(pipeline, x):
    gone = posts.user_id("posts_2_gone")
    x.order({"match": f"/2/users/{gone}/tweets", "times": 9} | answered(200, {"errors": [SUSPENDED]}))

    bought = pipeline.extract("posts_2_gone, posts_3_here")
    with pytest.raises(Incomplete, match=r"posts_2_gone: .*User has been suspended"):
        pipeline.load(pipeline.transform(bought))

    assert sorted(x.asked()) == ["count", "timeline", "timeline", "token", "users"]
    account = pipeline.accounts(bought)["posts_2_gone"]
    assert (account["outcome"], account["reason"]) == (
        "unavailable",
        "Forbidden: User has been suspended: [1].",
    )
    landed = pipeline.bucket.rows("twitter/dt=2026-11-20/refined_tweets.csv")
    assert [row["username"] for row in landed] == ["posts_3_here"] * 3


def test_errors_about_posts_referred_to_are_ignored(pipeline, x):
    errors = [
        about("Forbidden", "gone", X + "resource-not-found", parameter=f"referenced_{noun}.id")
        for noun in ("tweets", "posts")
    ]
    own = post(created_at="2026-11-20T09:00:00.000Z", author_id=posts.user_id("posts_0_refers"))
    page = {"data": [own], "errors": errors, "meta": {"result_count": 1, "next_token": "more"}}
    end = {"errors": errors, "meta": {"result_count": 0}}
    x.order({"match": TIMELINE} | answered(200, page), {"match": TIMELINE} | answered(200, end))

    account = pipeline.refine(pipeline.extract("posts_0_refers"))["posts_0_refers"]

    assert (account["outcome"], account["published"], account["reason"]) == ("complete", 1, None)
    assert x.asked() == ["users", "timeline", "timeline", "token", "count"]
