"""X's errors through the real extract, over HTTP. All kinds of errors: test_x_errors.py."""

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import KeysInDoubt, NoCredits, NoResponse, Outage, PermanentError
from include.twitter.extract import reconcile
from local.x_api import posts
from tests.stages.conftest import NOW

pytestmark = pytest.mark.live

TWITTER, X = "https://api.twitter.com/2/problems/", "https://api.x.com/2/problems/"
HTML = "<!DOCTYPE html><html><body>Nothing to see here</body></html>"


def problem(title: str, kind: str = "about:blank") -> dict[str, Any]:
    return {"title": title, "type": kind, "detail": title}


def fault_response(status: int, body: Any = "") -> dict[str, Any]:
    return {"status": status, "body": body}


FAILURES = {
    "no credits": (fault_response(402, problem("CreditsDepleted", TWITTER + "credits")), NoCredits),
    "403 with the HTML of a proxy": (fault_response(403, HTML), Outage),
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
    assert x.request_kinds() == ["users"] + ["timeline"] * tries, "one request a try"
    assert pipeline.raw() == ["buy=1/users-by/0001.json.gz"]
    [entry] = pipeline.bucket.ledger()
    uncertain = 500 * tries if error is NoResponse else 0
    assert (entry["spent_mills"], entry["uncertain_mills"]) == (10, uncertain)


def test_refused_keys_that_x_accepted_before_are_retried(pipeline, x):
    fault = {"match": TIMELINE, "times": 2} | fault_response(401, problem("Unauthorized"))
    x.order(fault | {"skip": 1})
    pipeline.put(tweet_limit=0)
    for _ in range(2):  # the first try stored pages before it, the second none
        with pytest.raises(KeysInDoubt):
            pipeline.extract("posts_250_doubt")

    assert pipeline.accounts(pipeline.extract())["posts_250_doubt"]["proof"] == "matched"


def test_a_rate_limit_of_one_request_uses_no_try_while_each_buys_an_account(pipeline, x):
    x.put("rate_limit", {"limit": 1, "window": 900, "match": TIMELINE})
    handles, now = ",".join(f"posts_1_n{number}" for number in range(8)), NOW
    for _ in range(7):
        with pytest.raises(AirflowRescheduleException) as rescheduled:  # uses no try, unlike RateLimited
            pipeline.extract(handles, now=now)
        assert now < rescheduled.value.reschedule_date <= now + timedelta(minutes=15)
        now = rescheduled.value.reschedule_date
        x.clock(now)
    bought = pipeline.extract(handles, now=now)

    assert (bought["posts"], bought["users"], bought["counts"]) == (8, 8, 1)
    assert {line["proof"] for line in pipeline.accounts(bought).values()} == {"matched"}


def test_an_unavailable_account_during_an_outage_is_no_progress(pipeline, x):
    gone = posts.user_id("posts_2_gone")
    x.order(
        {"match": f"/2/users/{gone}/tweets", "times": 99, "gone": "suspended"},
        {"match": TIMELINE, "times": 99} | fault_response(503),
    )
    with pytest.raises(AirflowRescheduleException):
        pipeline.extract("posts_2_gone, posts_3_here")
    with pytest.raises(Outage):
        pipeline.extract()


@pytest.mark.parametrize("is_filled_later", [True, False])
def test_an_unfilled_field_is_read_again_or_empty_and_does_not_stop_the_run(pipeline, x, is_filled_later):
    unfilled = {
        "title": "Field Hydration Failure",
        "detail": "Could not hydrate public_metrics",
        "type": X + "field-hydration-failure",
        "field": "public_metrics",
    }
    orders = [
        {"match": TIMELINE, "drop_fields": ["public_metrics"], "add_errors": [unfilled, None, "odd"]},
        {"match": r"/2/tweets\?"} | fault_response(503),
    ]
    x.order(*orders[: 1 if is_filled_later else 2])

    account = pipeline.refine(pipeline.extract("posts_3_bare"))["posts_3_bare"]

    assert (account["outcome"], account["proof"], account["published"]) == ("complete", "matched", 3)
    assert (account["fetched"], account["duplicates"]) == ((6, 3) if is_filled_later else (3, 0))
    assert len(account["warnings"]) == (0 if is_filled_later else 3)
    assert [row["likes"] != "" for row in pipeline.rows()] == [is_filled_later] * 3


@pytest.mark.parametrize(
    ("path", "response", "requests"),
    [
        (
            "/2/tweets/counts",
            fault_response(402, problem("CreditsDepleted", X + "credits")),
            ["token", "count"],
        ),
        ("/oauth2/token", fault_response(503, HTML), ["token"] * 4),
    ],
    ids=["count refused", "token unavailable"],
)
def test_a_paid_day_lands_although_x_refuses_the_count(pipeline, x, monkeypatch, path, response, requests):
    monkeypatch.setattr(reconcile, "PAUSES", (0, 0, 0))
    x.order({"match": path, "times": 99} | response)

    landed = pipeline.load(pipeline.transform(pipeline.extract("posts_3_refused")))

    assert (landed["rows"], landed["proof"]) == (3, {"unchecked": 1})
    [account] = pipeline.bucket.json("twitter_receipts/dt=2026-11-20/receipt.json")["accounts"]
    assert account["proof_reason"].startswith("X ")
    assert pipeline.bucket.ledger_mills() == x.served_mills()
    assert x.request_kinds() == ["users", "timeline", *requests]
