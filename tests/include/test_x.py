"""X's API, over real HTTP on loopback."""

import gzip
import json
import logging
import socket
import time
import tracemalloc
from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
import requests
from oauthlib.oauth1 import rfc5849
from oauthlib.oauth1.rfc5849 import signature
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError

from include.twitter.errors import (
    BadKeys,
    BadRequest,
    ClockWrong,
    JobGone,
    KeysInDoubt,
    NoAccess,
    NoCredits,
    NoResponse,
    Outage,
    PermanentError,
    RateLimited,
    TransientError,
    UnexpectedAnswer,
)
from include.twitter.safe_text import UNSAFE
from include.twitter.settings import XAccess
from include.twitter.sources import Endpoint, PageRequest
from include.twitter.transform.decode import FIELDS
from include.twitter.x import client as x_module
from include.twitter.x.client import POST_FIELDS, X, _Session, error_of
from include.twitter.x.http_limits import sending
from tests.include.factories import DAY, POST_WORDS, RECEIVED, post
from tests.include.http_recorder import dripping, listening
from tests.include.recorded import x_components

USER_KEYS = {
    "consumer_key": "consumer-key-7f3a",
    "consumer_secret": "consumer-secret-91bc",
    "access_token": "access-token-55de",
    "access_token_secret": "access-secret-08af",
}
CONSUMER_KEYS = {name: USER_KEYS[name] for name in ("consumer_key", "consumer_secret")}
BEARER = {"bearer_token": "bearer-token-c2d4"}
SECRETS = {*USER_KEYS.values(), *BEARER.values(), "derived-token-e6b1"}

HTML = b"<!DOCTYPE html><html><body>Nothing to see here</body></html>"
PROBLEMS = "https://api.twitter.com/2/problems"


@pytest.fixture
def wire(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with listening() as heard:
        yield heard


def x(wire, **keys):
    return X(XAccess(host=wire.host, **(keys or BEARER)), lambda: RECEIVED)


def page(*posts):
    return {"data": list(posts), "meta": {"result_count": len(posts)}}


# What an answer that is no success means


def answered(status, body, **headers):
    """A real `requests.Response` to a look-up, with a JSON body or the text given."""
    response = requests.Response()
    response.status_code = status
    response._content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    url = "https://api.x.com/2/users/by?usernames=NASA%2Cesa"
    response.request = requests.Request(
        "GET", url, headers={"Authorization": "Bearer bearer-token-c2d4"}
    ).prepare()
    return response


UNAUTHORIZED = {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
INVALID = {
    "errors": [{"parameters": {"end_time": ["x"]}, "message": "Invalid 'end_time':'x'."}],
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
    "type": f"{PROBLEMS}/invalid-request",
}
CREDITS_DEPLETED = {
    "title": "CreditsDepleted",
    "detail": "No credits.",
    "type": "https://api.x.com/2/problems/credits",
}
PAYMENT_REQUIRED = {
    "title": "Payment Required",
    "detail": "credits depleted",
    "type": f"{PROBLEMS}/credits-depleted",
    "status": 402,
}
SPEND_CAP = {
    "title": "SpendCapReached",
    "detail": "Your spend cap is reached.",
    "reset_date": "2026-12-01",
    "type": "https://api.x.com/2/problems/credits",
}
NOT_ENROLLED = {
    "title": "Client Forbidden",
    "detail": "This request must be made using an approved developer account that is enrolled.",
    "reason": "client-not-enrolled",
    "type": f"{PROBLEMS}/client-forbidden",
}
NO_ACCESS = {
    "title": "Forbidden",
    "type": "about:blank",
    "detail": "Your account is not permitted to access this feature.",
    "status": 403,
}
TOO_MANY = {"title": "Too Many Requests", "type": "about:blank", "status": 429, "detail": "Too Many Requests"}
USAGE_CAP = {
    "title": "UsageCapExceeded",
    "period": "Monthly",
    "detail": "Usage cap exceeded: Monthly product cap",
    "type": f"{PROBLEMS}/usage-capped",
}
WRONG_CONSUMER_KEYS = {
    "errors": [
        {"code": 99, "message": "Unable to verify your credentials", "label": "authenticity_token_error"}
    ]
}


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        pytest.param(401, UNAUTHORIZED, BadKeys, "into Connection twitter_default", id="bad keys"),
        pytest.param(401, "", BadKeys, "(empty body)", id="bad keys, without a word"),
        pytest.param(400, INVALID, BadRequest, "Invalid 'end_time':'x'.", id="bad request"),
        pytest.param(402, CREDITS_DEPLETED, NoCredits, "Buy credits in X's", id="no credits"),
        pytest.param(402, PAYMENT_REQUIRED, NoCredits, "Buy credits", id="no credits, worded otherwise"),
        pytest.param(402, "", NoCredits, "Buy credits", id="no credits, without a word"),
        pytest.param(403, SPEND_CAP, NoCredits, "holds until 2026-12-01", id="spend cap"),
        pytest.param(403, NOT_ENROLLED, NoAccess, "Attach the app", id="app not enrolled"),
        pytest.param(403, NO_ACCESS, NoAccess, "has no access to this", id="no access"),
        pytest.param(403, HTML.decode(), Outage, "no word of X", id="403 of a proxy"),
        pytest.param(401, HTML.decode(), Outage, "no word of X", id="401 of a proxy"),
        pytest.param(400, "Bad Request", Outage, "no word of X", id="400 of a proxy"),
        pytest.param(402, "[]", Outage, "no word of X", id="402, a list"),
        pytest.param(429, HTML.decode(), RateLimited, "The rate window is used up", id="429 of a proxy"),
        pytest.param(403, {}, NoAccess, "has no access to this", id="no access, an empty object"),
        pytest.param(400, {"errors": ["odd", None]}, BadRequest, "calls the request", id="odd errors"),
        pytest.param(403, {"errors": "odd"}, NoAccess, "has no access", id="errors as a text"),
        pytest.param(403, {"errors": 5}, NoAccess, "has no access", id="errors as a number"),
        pytest.param(403, {"errors": None, "type": None}, NoAccess, "has no access", id="errors null"),
        pytest.param(403, "", NoAccess, "(empty body)", id="no access, without a word"),
        pytest.param(403, WRONG_CONSUMER_KEYS, BadKeys, "Put valid keys", id="bad consumer keys"),
        pytest.param(429, USAGE_CAP, NoCredits, "raise it, or wait for next month", id="monthly cap"),
        pytest.param(429, TOO_MANY, RateLimited, "The rate window is used up", id="rate window"),
        pytest.param(429, "", RateLimited, "The rate window is used up", id="rate window, without a word"),
        pytest.param(404, HTML.decode(), Outage, "X has a problem of its own", id="outage as a 404"),
        pytest.param(404, "", Outage, "X has a problem of its own", id="empty 404"),
        pytest.param(500, {"title": "Internal Server Error"}, Outage, "Internal Server Error", id="500 JSON"),
        pytest.param(500, [{"code": 131}], Outage, "X has a problem of its own", id="500 JSON list"),
        pytest.param(502, HTML.decode(), Outage, "X has a problem of its own", id="502 HTML"),
        pytest.param(503, "upstream connect error", Outage, "upstream connect error", id="503 text"),
        pytest.param(503, "", Outage, "(empty body)", id="503 nothing"),
        pytest.param(504, "", Outage, "(empty body)", id="504 nothing"),
        pytest.param(302, "", UnexpectedAnswer, "does not know this answer", id="redirect"),
        pytest.param(418, {"title": "Teapot"}, UnexpectedAnswer, "Teapot", id="unknown"),
    ],
)  # fmt: skip
def test_what_an_answer_means_is_told_by_its_status_title_and_type(status, body, kind, said):
    error = error_of(answered(status, body))
    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize("body", ["", HTML.decode(), {"title": "Not Found Error"}])
def test_a_404_of_one_compliance_job_means_that_it_is_gone_and_no_outage_of_a_timeline(body):
    job = answered(404, body)
    job.request.url = "https://api.x.com/2/compliance/jobs/1372966999991541762"
    assert type(error_of(job)) is JobGone
    timeline = answered(404, body)
    timeline.request.url = "https://api.x.com/2/users/11348282/tweets"
    assert type(error_of(timeline)) is Outage


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503])
def test_an_error_carries_the_request_that_failed_without_its_query_or_its_keys(status):
    said = str(error_of(answered(status, {"title": "No"})))
    assert said.startswith(f"X answered {status} to GET /2/users/by: No. ")
    assert "usernames" not in said
    assert "bearer-token" not in said


def test_a_rate_window_is_over_when_the_header_says_so():
    error = error_of(answered(429, TOO_MANY, x_rate_limit_reset="1795052700"))
    assert error.retry_at == datetime(2026, 11, 19, 1, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    "headers", [{}] + [{"x_rate_limit_reset": odd} for odd in ("", "soon", "99999999999999999", "²")]
)
def test_a_rate_window_without_a_reset_names_no_time(headers):
    assert error_of(answered(429, TOO_MANY, **headers)).retry_at is None


def test_a_monthly_cap_names_no_time_although_there_is_a_header():
    error = error_of(answered(429, USAGE_CAP, x_rate_limit_reset="1795052700"))
    assert isinstance(error, PermanentError)
    assert not isinstance(error, TransientError)


QUERY = "(from:42) -is:retweet -is:reply"
TIMELINE = PageRequest(Endpoint.TIMELINE, "42")
ARCHIVE = PageRequest(Endpoint.FULL_ARCHIVE_SEARCH, QUERY)
LAST_SECOND, MIDNIGHT = "2026-11-18T23:59:59Z", "2026-11-19T00:00:00Z"


@pytest.mark.parametrize("content", [HTML, b"", b"[]", b'"text"', b'{"data":', b"5"])
def test_a_200_that_is_no_json_object_is_an_outage_that_may_be_billed(wire, content):
    wire.say(200, content)
    with pytest.raises(NoResponse, match="GET /2/users/42/tweets, but what it sent is no JSON object"):
        x(wire).page(TIMELINE, DAY, 5)


# On the wire


@pytest.mark.parametrize(
    ("request_", "path", "params", "end", "token", "without"),
    [
        (
            TIMELINE, "/2/users/42/tweets",
            {"exclude": "retweets,replies"}, LAST_SECOND, "pagination_token", set(),
        ),
        (
            PageRequest(Endpoint.RECENT_SEARCH, QUERY),
            "/2/tweets/search/recent", {"query": QUERY}, MIDNIGHT, "next_token", set(),
        ),
        # X refuses a page of more than 100 with them.
        (
            ARCHIVE,
            "/2/tweets/search/all", {"query": QUERY}, MIDNIGHT, "next_token", {"context_annotations"},
        ),
    ],
    ids=["timeline", "recent search", "full-archive search"],
)  # fmt: skip
def test_a_page_is_asked_for_as_x_documents_it(
    wire, monkeypatch, request_, path, params, end, token, without
):
    monkeypatch.setattr(x_module, "ARCHIVE_SECONDS", 0)
    opened = x(wire)
    for position in ({}, {"token": "t1"}, {"until_id": 1990000000000000001}):
        wire.say(200, page(post()))
        opened.page(request_, DAY, 10, **position)
    for heard in wire.heard:
        assert (heard.method, heard.path) == ("GET", path)
        assert set(POST_FIELDS) - set(heard.query.pop("tweet.fields").split(",")) == without
    common = params | {"start_time": "2026-11-18T00:00:00Z", "max_results": "10"}
    assert [heard.query for heard in wire.heard] == [
        common | {"end_time": end},
        common | {"end_time": end, token: "t1"},
        common | {"until_id": "1990000000000000001"},
    ]


@pytest.mark.parametrize(
    ("archive", "path"), [(False, "/2/tweets/counts/recent"), (True, "/2/tweets/counts/all")]
)
def test_a_day_is_counted_hour_by_hour(wire, archive, path):
    wire.say(200, {"data": [], "meta": {"total_tweet_count": 3}})
    x(wire).count(QUERY, DAY, archive=archive)
    (heard,) = wire.heard
    assert (heard.method, heard.path) == ("GET", path)
    assert heard.query == {
        "query": QUERY,
        "start_time": "2026-11-18T00:00:00Z",
        "end_time": MIDNIGHT,
        "granularity": "hour",
    }


def test_an_answer_says_what_x_bills_it_as(wire):
    opened = x(wire)
    for _ in range(6):
        wire.say(200, page(post()))
    answers = [
        opened.users(["NASA"]),
        opened.page(TIMELINE, DAY, 5),
        opened.page(PageRequest(Endpoint.TIMELINE, "42", "own_posts"), DAY, 5),
        opened.page(PageRequest(Endpoint.RECENT_SEARCH, QUERY), DAY, 10),
        opened.count(QUERY, DAY, archive=False),
        opened.count(QUERY, DAY, archive=True),
    ]
    kinds = [answer.kind for answer in answers]
    assert kinds == ["users", "posts", "own_posts", "posts", "counts", "archive_counts"]


def test_an_answer_is_handed_on_byte_for_byte_with_its_request_and_time(wire):
    content = b'{ "meta":{"result_count":0},\n "odd":"caf\\u00e9"}'
    wire.say(200, content)
    answer = x(wire).page(TIMELINE, DAY, 5)
    assert (answer.content, answer.path, answer.received_at) == (content, "/2/users/42/tweets", RECEIVED)
    assert answer.params["max_results"] == "5"
    assert answer.params["end_time"] == "2026-11-18T23:59:59Z", "a timeline's holds that second"


def test_all_handles_are_looked_up_in_one_request(wire):
    wire.say(200, {"data": [{"id": "1", "username": "NASA"}]})
    answer = x(wire).users(("NASA", "esa"))
    assert (wire.heard[0].path, wire.heard[0].query) == (
        "/2/users/by",
        {"usernames": "NASA,esa", "user.fields": "protected"},
    )
    assert answer.posts == [{"id": "1", "username": "NASA"}]


OF_OWN_POSTS = {"non_public_metrics", "organic_metrics", "promoted_metrics"}
"""Which X gives to a post's author alone."""


@pytest.mark.parametrize(
    ("version", "parameter", "not_asked"),
    [
        ("2.166", "TweetFieldsParameter", OF_OWN_POSTS),
        ("2.167", "PostFieldsParameter", OF_OWN_POSTS | {"article_title"}),
    ],
)
def test_all_that_x_describes_is_asked_for_and_known_to_the_refining(version, parameter, not_asked):
    described = x_components()["parameters"][parameter]["schema"]["items"]["enum"]
    in_tweet_words = {{new: old for old, new in POST_WORDS.items()}.get(name, name) for name in described}
    assert in_tweet_words - set(POST_FIELDS) == not_asked
    assert version == "2.167" or set(POST_FIELDS) == in_tweet_words - not_asked
    assert set(POST_FIELDS) <= FIELDS


def test_two_requests_to_the_archive_are_a_second_apart(wire):
    opened, begun = x(wire), time.monotonic()
    wire.say(200, page(post()))
    wire.say(200, {"data": [], "meta": {"total_tweet_count": 3}})
    opened.page(ARCHIVE, DAY, 10)
    opened.count(QUERY, DAY, archive=True)
    assert time.monotonic() - begun >= 1


def test_a_month_is_counted_in_one_request(wire):
    wire.say(200, {"data": [], "meta": {"total_tweet_count": 3}})
    answer = x(wire).count_days(QUERY, DAY.plus(-30), DAY, token="t1")
    (heard,) = wire.heard
    assert (heard.path, answer.kind, answer.billed) == ("/2/tweets/counts/all", "archive_counts", 1)
    assert heard.query == {
        "query": QUERY,
        "start_time": "2026-10-19T00:00:00Z",
        "end_time": "2026-11-19T00:00:00Z",
        "granularity": "hour",
        "next_token": "t1",
    }


def test_the_meter_is_asked_for_the_days_of_the_project_and_its_apps_app_only(wire):
    said = b'{"data":{"project_usage":"7"}}'
    wire.say(200, {"token_type": "bearer", "access_token": "derived-token-e6b1"})
    wire.say(200, said)
    assert x(wire, **USER_KEYS).usage(31) == said
    heard = wire.heard[1]
    assert (heard.method, heard.path) == ("GET", "/2/usage/tweets")
    assert heard.headers["authorization"] == "Bearer derived-token-e6b1"
    assert heard.query == {
        "days": "31",
        "usage.fields": "daily_client_app_usage,daily_project_usage,project_cap,project_usage",
    }


def test_a_meter_that_is_not_there_is_no_outage(wire):
    wire.say(404, b"")
    with pytest.raises(NoAccess, match=r"404 to GET /2/usage/tweets.*does not open its meter to the app of"):
        x(wire).usage(7)


def test_a_count_is_app_only_and_the_keys_of_a_user_are_exchanged_for_it_once(wire):
    wire.say(200, {"token_type": "bearer", "access_token": "derived-token-e6b1"})
    wire.say(200, {"data": [], "meta": {"total_tweet_count": 3}})
    wire.say(200, {"data": [], "meta": {"total_tweet_count": 3}})
    opened = x(wire, **USER_KEYS)
    opened.count(QUERY, DAY, archive=False)
    opened.count(QUERY, DAY, archive=False)
    assert [heard.path for heard in wire.heard] == [
        "/oauth2/token",
        "/2/tweets/counts/recent",
        "/2/tweets/counts/recent",
    ]
    assert {heard.headers["authorization"] for heard in wire.heard[1:]} == {"Bearer derived-token-e6b1"}


def test_four_keys_sign_with_oauth_1(wire):
    wire.say(200, page(post()))
    x(wire, **USER_KEYS).page(TIMELINE, DAY, 5)
    signed = wire.heard[0].headers["authorization"]
    assert signed.startswith("OAuth ")
    assert 'oauth_consumer_key="consumer-key-7f3a"' in signed
    assert 'oauth_token="access-token-55de"' in signed
    assert 'oauth_signature_method="HMAC-SHA1"' in signed
    assert "secret" not in signed


def test_four_keys_are_signed_for_the_host_that_they_are_sent_to(wire):
    wire.say(200, page(post()))
    x(wire, **USER_KEYS).users(["NASA"])
    heard = wire.heard[0]
    given = dict(signature.collect_parameters(headers={"Authorization": heard.headers["authorization"]}))
    base = signature.signature_base_string(
        "GET",
        signature.base_string_uri(f"{wire.host}{heard.path}"),
        signature.normalize_parameters([*given.items(), *heard.query.items()]),
    )
    raw = heard.headers["authorization"]
    expected = signature.sign_hmac_sha1_with_client(base, _Client())
    assert f'oauth_signature="{quote(expected, safe="")}"' in raw


class _Client:
    client_secret = USER_KEYS["consumer_secret"]
    resource_owner_secret = USER_KEYS["access_token_secret"]


def test_consumer_keys_alone_are_exchanged_for_a_bearer_token(wire):
    wire.say(200, {"token_type": "bearer", "access_token": "derived-token-e6b1"})
    wire.say(200, page(post()))
    x(wire, **CONSUMER_KEYS).page(TIMELINE, DAY, 5)
    exchange, timeline = wire.heard
    assert (exchange.method, exchange.path) == ("POST", "/oauth2/token")
    assert exchange.body == "grant_type=client_credentials"
    basic = b64encode(b"consumer-key-7f3a:consumer-secret-91bc").decode()
    assert exchange.headers["authorization"] == f"Basic {basic}"
    assert timeline.headers["authorization"] == "Bearer derived-token-e6b1"


def test_an_exchange_without_a_token_is_refused(wire):
    wire.say(200, {"token_type": "bearer"})
    with pytest.raises(
        UnexpectedAnswer, match="X answered 200 to POST /oauth2/token, without an access_token"
    ):
        x(wire, **CONSUMER_KEYS)


def test_consumer_keys_that_x_does_not_know_are_bad_keys(wire):
    wire.say(403, WRONG_CONSUMER_KEYS)
    with pytest.raises(BadKeys):
        x(wire, **CONSUMER_KEYS)


def test_x_hanging_up_is_an_outage_and_is_not_asked_again(wire):
    # X may have read, and billed, a request that it did not answer: only the next try of the task asks again.
    wire.say(0, None)
    with pytest.raises(NoResponse, match="X cannot be reached: ConnectionError on GET"):
        x(wire).page(TIMELINE, DAY, 5)
    assert len(wire.heard) == 1


# What X may have billed


def failing(sent, error):
    """Asks through an adapter that fails so, and says whether the request was sent, or nothing."""

    class Failing(HTTPAdapter):
        def send(self, *_, **__):
            sending.has_begun = sent
            raise error

    opened = X(XAccess(host="https://x.invalid", **BEARER), lambda: RECEIVED)
    opened._session.mount("https://x.invalid", Failing())
    with pytest.raises(Outage) as raised:
        opened.page(TIMELINE, DAY, 5)
    return type(raised.value)


REFUSED_PORT = MaxRetryError(None, "/", NewConnectionError(None, "refused"))


@pytest.mark.parametrize(
    ("sent", "error", "raised"),
    [
        (None, requests.ReadTimeout(), NoResponse),
        (None, requests.ConnectionError("Connection aborted."), NoResponse),
        (None, requests.exceptions.ChunkedEncodingError(), NoResponse),
        (None, requests.exceptions.ContentDecodingError(), NoResponse),
        (None, requests.ConnectTimeout(), Outage),
        (None, requests.exceptions.ProxyError(), Outage),
        (None, requests.ConnectionError(REFUSED_PORT), Outage),
        (True, requests.ConnectionError("Connection aborted."), NoResponse),
        (False, requests.ConnectionError("reset in the handshake"), Outage),
        (False, requests.exceptions.SSLError("EOF"), Outage),
    ],
)
def test_what_x_may_have_read_is_told_from_what_was_not_sent(sent, error, raised):
    assert failing(sent, error) is raised


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_for_which_there_is_no_connection_is_not_billed(monkeypatch, scheme):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Outage) as raised:
            X(XAccess(host=host, **BEARER), lambda: RECEIVED).users(["NASA"])
    assert type(raised.value) is Outage


def test_a_handshake_that_fails_sends_no_request(wire):
    with pytest.raises(Outage) as raised:
        X(XAccess(host=wire.host.replace("http:", "https:"), **BEARER), lambda: RECEIVED).users(["NASA"])
    assert (type(raised.value), wire.heard) == (Outage, [])


def test_a_token_that_does_not_come_is_not_billed(wire):
    wire.say(0, None)
    with pytest.raises(Outage) as raised:
        x(wire, **CONSUMER_KEYS)
    assert type(raised.value) is Outage


def test_a_redirect_is_not_followed_with_the_keys(wire):
    wire.say(302, b"", location=f"{wire.host}/elsewhere")
    with pytest.raises(UnexpectedAnswer):
        x(wire).page(TIMELINE, DAY, 5)
    assert len(wire.heard) == 1


# What a response may cost


BOMB = gzip.compress(b'{"data":[' + b" " * 4_000_000 + b"]}")


@pytest.mark.parametrize(("status", "kind"), [(200, NoResponse), (503, Outage), (401, Outage)])
def test_a_response_is_decompressed_only_up_to_its_limit(wire, monkeypatch, status, kind):
    monkeypatch.setattr(x_module, "MAX_BYTES", 1_000_000)
    wire.say(status, BOMB, content_encoding="gzip")
    with pytest.raises(Outage, match="more than 1,000,000 bytes") as raised:
        x(wire).page(TIMELINE, DAY, 500)
    assert type(raised.value) is kind, "X bills a page that was cut, and no error"


def test_no_more_of_a_bomb_is_held_than_the_limit(wire, monkeypatch):
    bomb = gzip.compress(bytes(100_000_000), 1)
    monkeypatch.setattr(x_module, "MAX_BYTES", 1_000_000)
    wire.say(200, bomb, content_encoding="gzip")
    opened = x(wire)
    tracemalloc.start()
    try:
        with pytest.raises(NoResponse):
            opened.page(TIMELINE, DAY, 500)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"X-Long: ", b"a"),
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
    ids=["status", "interim", "header", "body", "chunks", "chunk size"],
)
def test_a_response_that_comes_byte_by_byte_is_cut_and_may_be_billed(monkeypatch, first, then):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(x_module, "RESPONSE_SECONDS", 0.2)
    with dripping(first, then) as host:
        opened = X(XAccess(host=host, **BEARER), lambda: RECEIVED)
        with pytest.raises(NoResponse, match=r"no whole response to GET .* in 0\.2 s"):
            opened.page(TIMELINE, DAY, 5)


def test_an_error_that_comes_byte_by_byte_is_cut_and_not_billed(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(x_module, "RESPONSE_SECONDS", 0.2)
    answer = b"HTTP/1.1 503 Away\r\nContent-Length: 1000000\r\n\r\n"
    with dripping(answer, b" ") as host, pytest.raises(Outage) as raised:
        X(XAccess(host=host, **BEARER), lambda: RECEIVED).page(TIMELINE, DAY, 5)
    assert type(raised.value) is Outage


EVIL = "\x1b[2J\x1b]0;owned\x07 one\ntwo\u2028three\u202e \x9b31m"


@pytest.mark.parametrize("name", ["title", "detail", "reason", "errors"])
def test_words_of_x_in_an_error_are_one_short_and_safe_line(name):
    for words in (EVIL, "A" * 20_000_000):
        body = {name: [{"message": words}] if name == "errors" else words}
        error = error_of(answered(403, body))
        assert type(error) is NoAccess
        assert len(str(error)) < 2000
        assert not UNSAFE.search(str(error))


@pytest.mark.parametrize("body", [EVIL, "A" * 20_000_000], ids=["escapes", "long"])
def test_a_body_that_is_no_word_of_x_is_quoted_as_one_short_and_safe_line(body):
    said = str(error_of(answered(502, body)))
    assert len(said) < 500
    assert not UNSAFE.search(said)


# Credentials of the environment


NETRC = "default login stranger password stranger-s3cret\n"


@pytest.fixture
def netrc(tmp_path, monkeypatch):
    """A netrc that has credentials for every host."""
    file = tmp_path / "netrc"
    file.write_text(NETRC)
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.parametrize(("keys", "scheme"), [(BEARER, "Bearer bearer-token-c2d4"), (USER_KEYS, "OAuth ")])
def test_a_netrc_replaces_no_key(netrc, wire, keys, scheme):
    wire.say(200, page(post()))
    x(wire, **keys).page(TIMELINE, DAY, 5)
    assert wire.heard[0].headers["authorization"].startswith(scheme)


def test_proxies_and_ca_certificates_of_the_environment_are_used(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ca.pem")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    session = _Session("https://api.x.com")
    found = session.merge_environment_settings("https://api.x.com/2/users/by", {}, None, None, None)
    assert found["proxies"]["https"] == "http://proxy.example:3128"
    assert found["verify"] == "/etc/ca.pem"


# A clock that is wrong


SIGNED = datetime(2026, 11, 19, 12, tzinfo=UTC)
OUT_OF_BOUNDS = {"errors": [{"code": 135, "message": "Timestamp out of bounds."}]}


def refused(body, date, scheme="OAuth", status=401):
    """An answer to a request that was signed at noon, with this Date header."""
    response = answered(status, body, **({"Date": date} if date else {}))
    stamp = f'OAuth oauth_nonce="1", oauth_timestamp="{SIGNED.timestamp():.0f}", oauth_version="1.0"'
    response.request.headers["Authorization"] = stamp if scheme == "OAuth" else "Bearer bearer-token-c2d4"
    return error_of(response)


@pytest.mark.parametrize("body", [OUT_OF_BOUNDS, UNAUTHORIZED, {}, ""])
@pytest.mark.parametrize("date", ["Thu, 19 Nov 2026 12:05:01 GMT", "Thu, 19 Nov 2026 11:54:59 GMT"])
def test_a_refused_signature_of_another_time_is_the_clocks_fault(body, date):
    error = refused(body, date)
    assert type(error) is ClockWrong
    assert date[17:25] in str(error)
    assert "2026-11-19 12:00:00 UTC" in str(error)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "date", ["", "soon", "Thu, 19 Nov 2026 12:00:01 GMT", "Thu, 19 Nov 2026 12:00:01 -0000"]
)
def test_xs_code_for_a_wrong_time_is_believed_whatever_its_date_says(status, date):
    assert type(refused(OUT_OF_BOUNDS, date, status=status)) is ClockWrong


ENDLESS_ZONE = f"Thu, 19 Nov 2026 12:00:01 +{'9' * 24}"


@pytest.mark.parametrize(
    "date", ["", "soon", ENDLESS_ZONE, "Thu, 19 Nov 2026 12:04:59 GMT", "Thu, 19 Nov 2026 11:55:01 GMT"]
)
def test_keys_that_are_refused_at_the_right_time_are_bad_keys(date):
    assert type(refused(UNAUTHORIZED, date)) is BadKeys


def test_a_bearer_token_signs_no_time():
    assert type(refused(UNAUTHORIZED, "Thu, 19 Nov 2026 18:00:00 GMT", scheme="Bearer")) is BadKeys


def test_the_time_that_a_request_was_signed_at_is_found_on_the_wire(wire, monkeypatch):
    monkeypatch.setattr(rfc5849, "generate_timestamp", lambda: "1000000000")  # the server's Date is now
    wire.say(401, UNAUTHORIZED)
    with pytest.raises(ClockWrong, match="2001-09-09 01:46:40 UTC"):
        x(wire, **USER_KEYS).page(TIMELINE, DAY, 5)


# One refusal is no proof


@pytest.mark.parametrize("keys", [USER_KEYS, BEARER], ids=["user", "bearer"])
def test_keys_that_x_has_taken_are_in_doubt_when_it_refuses_them_and_not_yet_bad(wire, keys):
    opened = x(wire, **keys)
    wire.say(200, page(post()))
    opened.page(TIMELINE, DAY, 5)
    wire.say(401, UNAUTHORIZED)
    with pytest.raises(KeysInDoubt, match=r"X answered 401 to GET .* But X took them before"):
        opened.page(TIMELINE, DAY, 5)


def test_keys_are_in_doubt_at_once_where_the_purchase_says_that_x_has_taken_them(wire):
    wire.say(401, UNAUTHORIZED)
    with pytest.raises(KeysInDoubt):
        X(XAccess(host=wire.host, **BEARER), lambda: RECEIVED, are_known=True).users(["NASA"])


def test_a_bearer_token_is_not_in_doubt_because_x_has_taken_the_keys_of_a_user(wire):
    opened = x(wire, **USER_KEYS, **BEARER)
    wire.say(200, page(post()))
    opened.page(TIMELINE, DAY, 5)
    wire.say(401, UNAUTHORIZED)
    with pytest.raises(BadKeys):
        opened.count(QUERY, DAY, archive=False)


class _Recording(HTTPAdapter):
    """Sends nothing; keeps the timeout that a request would have been sent with."""

    timeout = "none"

    def send(self, request, *, timeout=None, **_):
        self.timeout = timeout
        return answered(200, {})


def test_every_request_has_a_timeout():
    session, sent = _Session("https://api.x.com"), _Recording()
    session.mount("https://api.x.com", sent)
    session.request("GET", "https://api.twitter.com/2/users/by", params={"usernames": "NASA"})
    assert sent.timeout == (10, 60)


# Secrets


@pytest.mark.parametrize("keys", [USER_KEYS, CONSUMER_KEYS, BEARER], ids=["user", "consumer", "bearer"])
@pytest.mark.parametrize("status", [200, 401, 403, 503])
def test_no_key_is_in_a_log_or_in_an_error(wire, caplog, keys, status):
    caplog.set_level(logging.DEBUG)
    wire.say(200, {"access_token": "derived-token-e6b1"})
    if keys is not CONSUMER_KEYS:
        wire.says.clear()
    wire.say(status, HTML if status != 401 else UNAUTHORIZED)
    with pytest.raises((PermanentError, TransientError)) as error:
        x(wire, **keys).page(TIMELINE, DAY, 5)
    seen = caplog.text + str(error.value) + repr(error.value)
    assert [secret for secret in SECRETS if secret in seen] == []
