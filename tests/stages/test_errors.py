"""What X's errors come to, played over the wire through the real extract. All of them: test_x.py."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import (
    BadKeys,
    BadRequest,
    Incomplete,
    KeysInDoubt,
    NoAccess,
    NoCredits,
    NoResponse,
    Outage,
    PermanentError,
    RateLimited,
)
from include.twitter.extract import reconcile
from include.twitter.retry import ErrorDrivenRetryPolicy
from include.twitter.x import client as x_api
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


def invalid(kind: str) -> dict[str, Any]:
    return problem("Invalid Request", kind) | {
        "errors": [{"parameters": {"id": ["1"]}, "message": "Not an id"}]
    }


REFUSALS = {
    "bad request": (answered(400, invalid(X + "invalid-request")), BadRequest, ["Not an id"]),
    "no credits": (
        answered(402, problem("CreditsDepleted", TWITTER + "credits")),
        NoCredits,
        ["Buy credits"],
    ),
    "no access": (answered(403, problem("Forbidden")), NoAccess, ["twitter_default"]),
}

OUTAGES = {
    "503 with HTML": answered(503, HTML),
    "403 with the HTML of a proxy": answered(403, HTML),
    "200 with half a JSON": answered(200, '{"data": [{"id": "1"'),
    "connection reset": {"reset": True},
    "truncated body": {"truncate": True},
}
MAY_BE_BILLED = {"200 with half a JSON", "connection reset", "truncated body"}

WINDOW = problem("Too Many Requests", status=429)
TIMELINE = r"/2/users/\d+/tweets"


def refused(pipeline, x, fault: dict[str, Any], error: type[Exception]) -> Exception:
    """The error of an extract whose timeline answers so, however often it asks; the look-up came before."""
    x.order({"match": r"/2/users/\d+/tweets", "times": 99} | fault)
    if not issubclass(error, PermanentError):
        with pytest.raises(AirflowRescheduleException):
            pipeline.extract("posts_3_refused")
    with pytest.raises(error) as raised:
        pipeline.extract("posts_3_refused")
    assert type(raised.value) is error
    asked_again = [] if issubclass(error, PermanentError) else ["timeline"]
    assert x.asked() == ["users", "timeline", *asked_again], "it asked again by itself"
    assert pipeline.raw() == ["buy=1/users-by/0001.json.gz"]
    assert pipeline.bucket.ledger_mills() == 10
    return raised.value


@pytest.mark.parametrize("row", REFUSALS)
def test_a_refusal_fails_on_the_first_try_and_says_what_to_do(pipeline, x, row):
    fault, error, words = REFUSALS[row]

    told = refused(pipeline, x, fault, error)

    assert isinstance(told, PermanentError)
    assert all(word in str(told) for word in ["GET /2/users/", *words]), str(told)
    assert ErrorDrivenRetryPolicy().evaluate(told, 1, 24).action.name == "FAIL"


def test_bad_keys_fail_on_the_first_try_and_say_what_to_do(pipeline, x):
    x.order({"times": 99} | answered(401, problem("Unauthorized")))

    with pytest.raises(BadKeys, match=r"401 to GET /2/users/by: .* into Connection twitter_default") as told:
        pipeline.extract("posts_3_refused")

    assert ErrorDrivenRetryPolicy().evaluate(told.value, 1, 24).action.name == "FAIL"
    assert (x.asked(), pipeline.bucket.ledger_mills()) == (["users"], 0)


def test_keys_that_x_has_taken_are_tried_a_few_times_before_they_are_blamed(pipeline, x):
    fault = {"match": TIMELINE, "times": 2} | answered(401, problem("Unauthorized"))
    x.order(fault | {"skip": 1})
    pipeline.put(tweet_limit=0)
    for _ in range(2):  # pages came before it in the first try, and none in the second
        with pytest.raises(KeysInDoubt, match="But X took them before") as told:
            pipeline.extract("posts_250_doubt")
        decisions = [
            ErrorDrivenRetryPolicy().evaluate(told.value, used, 24).action.name for used in (1, 4, 5)
        ]
        assert decisions == ["RETRY", "RETRY", "FAIL"]

    assert pipeline.accounts(pipeline.extract())["posts_250_doubt"]["proof"] == "matched"


@pytest.mark.parametrize("row", OUTAGES)
def test_an_outage_is_tried_again_with_backoff(pipeline, x, row):
    told = refused(pipeline, x, OUTAGES[row], NoResponse if row in MAY_BE_BILLED else Outage)

    assert "X" in str(told)
    [entry] = pipeline.bucket.ledger()
    tries = 2 if row in MAY_BE_BILLED else 0
    assert entry["uncertain_mills"] == tries * 500 == entry["reserved_mills"] - entry["spent_mills"]
    first, late = (ErrorDrivenRetryPolicy().evaluate(told, number, 24) for number in (1, 8))
    assert (first.action.name, first.retry_delay) == ("RETRY", timedelta(seconds=15))
    assert (late.action.name, late.retry_delay) == ("RETRY", timedelta(minutes=30))


def test_a_rate_window_is_tried_again_at_the_reset_that_x_named(pipeline, x):
    told = refused(pipeline, x, answered(429, WINDOW, x_rate_limit_reset="1795052700"), RateLimited)

    assert told.at == datetime(2026, 11, 19, 1, 45, tzinfo=UTC)
    assert ErrorDrivenRetryPolicy().evaluate(told, 1, 24).action.name == "RETRY"


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


def test_a_window_that_lets_nothing_through_costs_a_try(pipeline, x):
    x.order({"times": 99} | answered(429, WINDOW))
    with pytest.raises(RateLimited):
        pipeline.extract("posts_3_refused")


def test_an_account_that_stays_away_beside_an_outage_is_no_progress(pipeline, x):
    gone = posts.user_id("posts_2_gone")
    x.order(
        {"match": f"/2/users/{gone}/tweets", "times": 99}
        | answered(200, {"errors": [UNAVAILABLE["suspended"]]}),
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


def test_a_part_of_x_that_failed_inside_a_200_is_an_outage_and_no_empty_day(pipeline, x):
    failed = {
        "title": "Internal Error",
        "detail": "Try again.",
        "type": X + "internal-error",
        "parameter": "id",
    }
    x.order({"match": TIMELINE, "status": 200, "body": {"errors": [failed], "meta": {"result_count": 0}}})
    with pytest.raises(AirflowRescheduleException):
        pipeline.extract("posts_3_part")

    account = pipeline.accounts(pipeline.extract())["posts_3_part"]

    assert (account["outcome"], account["posts"], account["proof"]) == ("complete", 3, "matched")


def test_a_request_that_gets_no_answer_ends(pipeline, x, monkeypatch):
    monkeypatch.setattr(x_api, "TIMEOUT", (0.3, 0.3))
    x.order({"match": "/2/users/by", "delay": 0.8, "times": 9})

    with pytest.raises(Outage, match="X cannot be reached"):
        pipeline.extract("posts_3_refused")

    while not x.asked():  # the stand-in logs a request when it has answered
        pass
    assert x.asked() == ["users"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answered(401, problem("Unauthorized")), BadKeys),
        (answered(402, problem("CreditsDepleted", X + "credits")), NoCredits),
        (answered(503, HTML), Outage),
    ],
)
def test_look_ups_fail_as_timelines_do(pipeline, x, answer, error):
    x.order({"match": "/2/users/by", "times": 99} | answer)

    with pytest.raises(error):
        pipeline.extract("posts_3_refused")
    assert x.asked() == ["users"]


@pytest.mark.parametrize("where", ["/2/tweets/counts", "/oauth2/token"])
@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        (answered(401, problem("Unauthorized")), 1),
        (answered(402, problem("CreditsDepleted", X + "credits")), 1),
        (answered(404), 4),
        (answered(503, HTML), 4),
        (answered(429, WINDOW, x_rate_limit_reset="1795052700"), 4),
        ({"reset": True}, 4),
    ],
    ids=["401", "402", "404", "503", "429", "reset"],
)
def test_a_proof_that_x_refuses_for_good_keeps_no_paid_day_from_landing(
    pipeline, x, monkeypatch, where, answer, tries
):
    monkeypatch.setattr(reconcile, "PAUSES", (0, 0, 0))
    x.order({"match": where, "times": 99} | answer)

    staged = pipeline.transform(pipeline.extract("posts_3_refused"))
    landed = pipeline.load(staged)

    assert (landed["rows"], landed["proof"]) == (3, {"unchecked": 1})
    [account] = pipeline.bucket.json("twitter_receipts/dt=2026-11-20/receipt.json")["accounts"]
    assert account["proof_reason"].startswith("X ")
    assert pipeline.bucket.ledger_mills() == x.served_mills()
    if where == "/oauth2/token":
        assert x.asked() == ["users", "timeline"] + ["token"] * tries
    else:
        assert x.asked() == ["users", "timeline", "token"] + ["count"] * tries


def test_wrong_consumer_keys_fail_at_the_exchange_for_a_bearer_token(pipeline, x):
    body = {"errors": [{"code": 99, "message": "Unable to verify your credentials"}]}
    x.order({"match": "/oauth2/token", "status": 403, "body": body, "times": 9})

    with pytest.raises(BadKeys, match="consumer_key and consumer_secret"):
        pipeline.extract("posts_3_refused", "2026-10-20")

    assert x.asked() == ["users", "token"]


def about(title: str, detail: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "detail": detail, "type": kind, "value": "1", "parameter": "id"} | more


UNAVAILABLE = {
    "suspended": about("Forbidden", "User has been suspended: [1].", TWITTER + "resource-not-found"),
    "protected, no parameter": {
        "title": "Authorization Error",
        "detail": "Sorry, you are not authorized",
        "type": X + "not-authorized-for-resource",
        "section": "data",
    },
}


@pytest.mark.parametrize("row", UNAVAILABLE)
def test_an_unavailable_account_is_named_and_the_others_land(pipeline, x, row):
    gone = posts.user_id("posts_2_gone")
    error = UNAVAILABLE[row]
    x.order({"match": f"/2/users/{gone}/tweets", "times": 9} | answered(200, {"errors": [error]}))

    bought = pipeline.extract("posts_2_gone, posts_3_here")
    staged = pipeline.transform(bought)
    with pytest.raises(Incomplete, match="posts_2_gone: ") as raised:
        pipeline.load(staged)

    assert error["detail"] in str(raised.value)
    assert sorted(x.asked()) == ["count", "timeline", "timeline", "token", "users"]
    account = pipeline.accounts(bought)["posts_2_gone"]
    assert (account["outcome"], account["reason"]) == ("unavailable", f"{error['title']}: {error['detail']}")
    landed = pipeline.bucket.rows("twitter/dt=2026-11-20/refined_tweets.csv")
    assert [row["username"] for row in landed] == ["posts_3_here"] * 3


def test_accounts_that_the_look_up_does_not_find_are_not_asked_for(pipeline, x):
    bought = pipeline.extract("suspended_s, unknown_u, protected_p, posts_3_here")

    outcomes = {
        name: (a["outcome"], (a["reason"] or "")[:9]) for name, a in pipeline.accounts(bought).items()
    }
    assert outcomes == {
        "suspended_s": ("unavailable", "Forbidden"),
        "unknown_u": ("unavailable", "Not Found"),
        "protected_p": ("unavailable", "Authoriza"),
        "posts_3_here": ("complete", ""),
    }
    assert sorted(x.asked()) == ["count", "timeline", "timeline", "token", "users"]
    assert bought == {**bought, "posts": 3, "users": 2, "counts": 1, "cost_usd": 0.04}


def test_errors_about_posts_referred_to_are_ignored(pipeline, x):
    errors = [
        about("Forbidden", "gone", X + "resource-not-found", parameter=f"referenced_{noun}.id")
        for noun in ("tweets", "posts")
    ]
    own = post(created_at="2026-11-20T09:00:00.000Z", author_id=posts.user_id("posts_0_refers"))
    page = {"data": [own], "errors": errors, "meta": {"result_count": 1, "next_token": "more"}}
    end = {"errors": errors, "meta": {"result_count": 0}}
    timeline = r"/2/users/\d+/tweets"
    x.order({"match": timeline} | answered(200, page), {"match": timeline} | answered(200, end))

    account = pipeline.refine(pipeline.extract("posts_0_refers"))["posts_0_refers"]

    assert (account["outcome"], account["published"], account["reason"]) == ("complete", 1, None)
    assert x.asked() == ["users", "timeline", "timeline", "token", "count"]
