"""The client of X's API, over real HTTP on loopback."""

import gzip
import logging
import socket
import tracemalloc
from base64 import b64encode
from types import SimpleNamespace
from urllib.parse import quote

import pytest
import requests
from oauthlib.oauth1 import rfc5849
from oauthlib.oauth1.rfc5849 import signature
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError

from include.twitter.errors import (
    BadKeys,
    ClockWrong,
    KeysInDoubt,
    NoResponse,
    Outage,
    PipelineError,
    UnexpectedResponse,
)
from include.twitter.settings import XAccess
from include.twitter.sources import Endpoint, PageRequest
from include.twitter.transform.decode import FIELDS
from include.twitter.x import client
from include.twitter.x.client import POST_FIELDS, X, _Session
from include.twitter.x.http_limits import sending
from tests.include.factories import DAY, POST_WORDS, RECEIVED, post
from tests.include.http_recorder import dripping, listening
from tests.include.recorded import x_components
from tests.include.test_x_errors import HTML, UNAUTHORIZED, WRONG_CONSUMER_KEYS, http_response

CONSUMER_KEYS = {"consumer_key": "consumer-key-7f3a", "consumer_secret": "consumer-secret-91bc"}
USER_KEYS = CONSUMER_KEYS | {
    "access_token": "access-token-55de",
    "access_token_secret": "access-secret-08af",
}
BEARER = {"bearer_token": "bearer-token-c2d4"}
DERIVED = {"token_type": "bearer", "access_token": "derived-token-e6b1"}
SECRETS = {*USER_KEYS.values(), *BEARER.values(), DERIVED["access_token"]}

QUERY = "(from:42) -is:retweet -is:reply"
TIMELINE = PageRequest(Endpoint.TIMELINE, "42")
RECENT = PageRequest(Endpoint.RECENT_SEARCH, QUERY)
ARCHIVE = PageRequest(Endpoint.FULL_ARCHIVE_SEARCH, QUERY)
START, LAST_SECOND, MIDNIGHT = "2026-11-18T00:00:00Z", "2026-11-18T23:59:59Z", "2026-11-19T00:00:00Z"
PAGE = {"data": [post()], "meta": {"result_count": 1}}
COUNT = {"data": [], "meta": {"total_tweet_count": 3}}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def recorder():
    with listening() as recorder:
        yield recorder


def connect(host, keys=BEARER, **options):
    return X(XAccess(host=host, **keys), lambda: RECEIVED, **options)


# Requests


@pytest.mark.parametrize(
    ("request_", "path", "params", "end", "token", "without"),
    [
        (
            TIMELINE, "/2/users/42/tweets", {"exclude": "retweets,replies"}, LAST_SECOND,
            "pagination_token", set(),
        ),
        (RECENT, "/2/tweets/search/recent", {"query": QUERY}, MIDNIGHT, "next_token", set()),
        (ARCHIVE, "/2/tweets/search/all", {"query": QUERY}, MIDNIGHT, "next_token", {"context_annotations"}),
    ],
    ids=["timeline", "recent search", "full-archive search"],
)  # fmt: skip
def test_a_page_is_requested_as_x_documents_it(
    recorder, monkeypatch, request_, path, params, end, token, without
):
    monkeypatch.setattr(client, "ARCHIVE_SECONDS", 0)
    x = connect(recorder.host)
    for position in ({}, {"token": "t1"}, {"until_id": 1990000000000000001}):
        recorder.respond(200, PAGE)
        x.page(request_, DAY, 10, **position)
    for request in recorder.requests:
        assert (request.method, request.path) == ("GET", path)
        assert set(POST_FIELDS) - set(request.query.pop("tweet.fields").split(",")) == without
    common = params | {"start_time": START, "max_results": "10"}
    assert [request.query for request in recorder.requests] == [
        common | {"end_time": end},
        common | {"end_time": end, token: "t1"},
        common | {"until_id": "1990000000000000001"},
    ]


@pytest.mark.parametrize(
    ("send", "path", "query"),
    [
        (
            lambda x: x.users(("NASA", "esa")), "/2/users/by",
            {"usernames": "NASA,esa", "user.fields": "protected"},
        ),
        (lambda x: x.count(QUERY, DAY, archive=False), "/2/tweets/counts/recent", {"start_time": START}),
        (lambda x: x.count(QUERY, DAY, archive=True), "/2/tweets/counts/all", {"start_time": START}),
        (
            lambda x: x.count_days(QUERY, DAY.plus(-30), DAY, token="t1"), "/2/tweets/counts/all",
            {"start_time": "2026-10-19T00:00:00Z", "next_token": "t1"},
        ),
    ],
    ids=["users", "recent count", "archive count", "count of a month"],
)  # fmt: skip
def test_users_and_counts_are_requested_as_x_documents_them(recorder, send, path, query):
    recorder.respond(200, COUNT)
    send(connect(recorder.host))
    if "counts" in path:
        query = query | {"query": QUERY, "end_time": MIDNIGHT, "granularity": "hour"}
    [request] = recorder.requests
    assert (request.method, request.path, request.query) == ("GET", path, query)


def test_a_response_has_the_price_kind_of_its_request(recorder, monkeypatch):
    monkeypatch.setattr(client, "ARCHIVE_SECONDS", 0)
    x = connect(recorder.host)
    for _ in range(6):
        recorder.respond(200, PAGE)
    responses = [
        x.users(["NASA"]),
        x.page(TIMELINE, DAY, 5),
        x.page(PageRequest(Endpoint.TIMELINE, "42", "own_posts"), DAY, 5),
        x.page(RECENT, DAY, 10),
        x.count(QUERY, DAY, archive=False),
        x.count(QUERY, DAY, archive=True),
    ]
    kinds = [response.kind for response in responses]
    assert kinds == ["users", "posts", "own_posts", "posts", "counts", "archive_counts"]


def test_a_response_keeps_its_bytes_its_request_and_its_time(recorder):
    content = b'{ "meta":{"result_count":0},\n "odd":"caf\\u00e9"}'
    recorder.respond(200, content)
    response = connect(recorder.host).page(TIMELINE, DAY, 5)
    assert (response.content, response.path, response.received_at) == (
        content,
        recorder.requests[0].path,
        RECEIVED,
    )
    assert response.params == recorder.requests[0].query


OF_OWN_POSTS = {"non_public_metrics", "organic_metrics", "promoted_metrics"}
"""Fields that X shows only to a post's author."""


@pytest.mark.parametrize(
    ("version", "parameter", "not_requested"),
    [
        ("2.166", "TweetFieldsParameter", OF_OWN_POSTS),
        ("2.167", "PostFieldsParameter", OF_OWN_POSTS | {"article_title"}),
    ],
)
def test_every_field_that_x_describes_is_requested_and_known_to_transform(version, parameter, not_requested):
    described = x_components()["parameters"][parameter]["schema"]["items"]["enum"]
    in_tweet_words = {{new: old for old, new in POST_WORDS.items()}.get(name, name) for name in described}
    assert in_tweet_words - set(POST_FIELDS) == not_requested
    assert version == "2.167" or set(POST_FIELDS) == in_tweet_words - not_requested
    assert set(POST_FIELDS) <= FIELDS


def test_two_requests_to_the_archive_are_a_second_apart(recorder, monkeypatch):
    pauses = []
    monkeypatch.setattr(client, "time", SimpleNamespace(sleep=pauses.append, monotonic=lambda: 5.0))
    x = connect(recorder.host)
    recorder.respond(200, PAGE)
    recorder.respond(200, COUNT)
    x.page(ARCHIVE, DAY, 10)
    x.count(QUERY, DAY, archive=True)
    assert pauses == [0, 1]


# Authorization


def test_the_usage_meter_and_counts_are_app_only_with_one_exchange_of_the_keys(recorder):
    usage = b'{"data":{"project_usage":"7"}}'
    for body in (DERIVED, usage, COUNT):
        recorder.respond(200, body)
    x = connect(recorder.host, USER_KEYS)
    assert x.usage(31) == usage
    x.count(QUERY, DAY, archive=False)
    assert [request.path for request in recorder.requests] == [
        "/oauth2/token", "/2/usage/tweets", "/2/tweets/counts/recent",
    ]  # fmt: skip
    assert {request.headers["authorization"] for request in recorder.requests[1:]} == {
        "Bearer derived-token-e6b1"
    }
    assert recorder.requests[1].query == {
        "days": "31",
        "usage.fields": "daily_client_app_usage,daily_project_usage,project_cap,project_usage",
    }


def test_four_keys_sign_with_oauth_1_for_the_host_of_the_request(recorder):
    recorder.respond(200, PAGE)
    connect(recorder.host, USER_KEYS).users(["NASA"])
    [request] = recorder.requests
    authorization = request.headers["authorization"]
    assert 'oauth_consumer_key="consumer-key-7f3a"' in authorization
    assert 'oauth_token="access-token-55de"' in authorization
    params = dict(signature.collect_parameters(headers={"Authorization": authorization}))
    base = signature.signature_base_string(
        "GET",
        signature.base_string_uri(f"{recorder.host}{request.path}"),
        signature.normalize_parameters([*params.items(), *request.query.items()]),
    )
    secrets = SimpleNamespace(
        client_secret=USER_KEYS["consumer_secret"], resource_owner_secret=USER_KEYS["access_token_secret"]
    )
    expected = signature.sign_hmac_sha1_with_client(base, secrets)
    assert f'oauth_signature="{quote(expected, safe="")}"' in authorization


def test_consumer_keys_alone_are_exchanged_for_a_bearer_token(recorder):
    recorder.respond(200, DERIVED)
    recorder.respond(200, PAGE)
    connect(recorder.host, CONSUMER_KEYS).page(TIMELINE, DAY, 5)
    exchange, timeline = recorder.requests
    assert (exchange.method, exchange.path) == ("POST", "/oauth2/token")
    assert exchange.body == "grant_type=client_credentials"
    basic = b64encode(b"consumer-key-7f3a:consumer-secret-91bc").decode()
    assert exchange.headers["authorization"] == f"Basic {basic}"
    assert timeline.headers["authorization"] == "Bearer derived-token-e6b1"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(200, {}, UnexpectedResponse), (403, WRONG_CONSUMER_KEYS, BadKeys), (0, None, Outage)],
    ids=["no token", "wrong keys", "no response, which is not billed"],
)
def test_an_exchange_without_a_token_is_an_error(recorder, status, body, kind):
    recorder.respond(status, body)
    with pytest.raises(PipelineError) as raised:
        connect(recorder.host, CONSUMER_KEYS)
    assert type(raised.value) is kind


@pytest.mark.parametrize("keys", [USER_KEYS, BEARER], ids=["user", "bearer"])
def test_refused_keys_are_in_doubt_after_x_accepted_them(recorder, keys):
    x = connect(recorder.host, keys)
    recorder.respond(200, PAGE)
    x.page(TIMELINE, DAY, 5)
    recorder.respond(401, UNAUTHORIZED)
    with pytest.raises(KeysInDoubt, match="X answered 401"):
        x.page(TIMELINE, DAY, 5)


def test_refused_keys_are_in_doubt_if_the_purchase_knows_them(recorder):
    recorder.respond(401, UNAUTHORIZED)
    with pytest.raises(KeysInDoubt):
        connect(recorder.host, are_known=True).users(["NASA"])


def test_a_bearer_token_is_not_in_doubt_because_x_accepted_a_users_keys(recorder):
    x = connect(recorder.host, USER_KEYS | BEARER)
    recorder.respond(200, PAGE)
    x.page(TIMELINE, DAY, 5)
    recorder.respond(401, UNAUTHORIZED)
    with pytest.raises(BadKeys):
        x.count(QUERY, DAY, archive=False)


def test_the_time_of_a_signature_is_read_from_the_request(recorder, monkeypatch):
    monkeypatch.setattr(rfc5849, "generate_timestamp", lambda: "1000000000")
    recorder.respond(401, UNAUTHORIZED)
    with pytest.raises(ClockWrong, match="2001-09-09 01:46:40 UTC"):
        connect(recorder.host, USER_KEYS).page(TIMELINE, DAY, 5)


@pytest.mark.parametrize(("keys", "scheme"), [(BEARER, "Bearer bearer-token-c2d4"), (USER_KEYS, "OAuth ")])
def test_a_netrc_replaces_no_key(recorder, tmp_path, monkeypatch, keys, scheme):
    (tmp_path / "netrc").write_text("default login stranger password stranger-s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    recorder.respond(200, PAGE)
    connect(recorder.host, keys).page(TIMELINE, DAY, 5)
    assert recorder.requests[0].headers["authorization"].startswith(scheme)


@pytest.mark.parametrize("keys", [USER_KEYS, CONSUMER_KEYS, BEARER], ids=["user", "consumer", "bearer"])
@pytest.mark.parametrize(
    ("status", "body"), [(200, HTML.encode()), (401, UNAUTHORIZED), (403, HTML.encode())]
)
def test_no_key_is_in_a_log_or_an_error(recorder, caplog, keys, status, body):
    caplog.set_level(logging.DEBUG)
    if keys is CONSUMER_KEYS:
        recorder.respond(200, DERIVED)
    recorder.respond(status, body)
    with pytest.raises(PipelineError) as error:
        connect(recorder.host, keys).page(TIMELINE, DAY, 5)
    seen = caplog.text + str(error.value) + repr(error.value)
    assert [secret for secret in SECRETS if secret in seen] == []


# What X may have billed


@pytest.mark.parametrize(
    ("status", "content"), [(200, HTML.encode()), (200, b"[]"), (200, b'{"data":'), (0, None)]
)
def test_a_response_without_a_json_object_may_be_billed_and_is_not_requested_again(recorder, status, content):
    recorder.respond(status, content)
    with pytest.raises(NoResponse, match=r"GET .*/2/users/42/tweets"):
        connect(recorder.host).page(TIMELINE, DAY, 5)
    assert len(recorder.requests) == 1


REFUSED_PORT = MaxRetryError(None, "/", NewConnectionError(None, "refused"))


@pytest.mark.parametrize(
    ("was_sent", "error", "kind"),
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
def test_only_a_request_that_x_may_have_read_may_be_billed(was_sent, error, kind):
    class Failing(HTTPAdapter):
        def send(self, *_, **__):
            sending.has_begun = was_sent
            raise error

    x = connect("https://x.invalid")
    x._session.mount("https://x.invalid", Failing())
    with pytest.raises(Outage) as raised:
        x.page(TIMELINE, DAY, 5)
    assert type(raised.value) is kind


def test_a_request_without_a_connection_is_not_billed(recorder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        hosts = [
            f"http://127.0.0.1:{port}",
            f"https://127.0.0.1:{port}",
            recorder.host.replace("http:", "https:"),
        ]
        for host in hosts:
            with pytest.raises(Outage) as raised:
                connect(host).users(["NASA"])
            assert (type(raised.value), recorder.requests) == (Outage, [])


def test_a_redirect_is_not_followed_with_the_keys(recorder):
    recorder.respond(302, b"", location=f"{recorder.host}/elsewhere")
    with pytest.raises(UnexpectedResponse):
        connect(recorder.host).page(TIMELINE, DAY, 5)
    assert len(recorder.requests) == 1


# Limits of a response


@pytest.mark.parametrize(("status", "kind"), [(200, NoResponse), (503, Outage)])
def test_a_response_is_decompressed_up_to_its_limit(recorder, monkeypatch, status, kind):
    monkeypatch.setattr(client, "MAX_BYTES", 1_000_000)
    recorder.respond(status, gzip.compress(bytes(100_000_000), 1), content_encoding="gzip")
    x = connect(recorder.host)
    tracemalloc.start()
    try:
        with pytest.raises(Outage, match="more than 1,000,000 bytes") as raised:
            x.page(TIMELINE, DAY, 500)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert type(raised.value) is kind, "X bills an incomplete page, but no error"


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("first", "then", "kind"),
    [
        (b"", b"H", NoResponse),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", NoResponse),
        (HEAD + b"X-Long: ", b"a", NoResponse),
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b" ", NoResponse),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", NoResponse),
        (b"HTTP/1.1 503 Away\r\nContent-Length: 1000000\r\n\r\n", b" ", Outage),
    ],
    ids=["status", "interim", "header", "body", "chunks", "error"],
)
def test_a_response_that_comes_byte_by_byte_is_ended(monkeypatch, first, then, kind):
    monkeypatch.setattr(client, "RESPONSE_SECONDS", 0.2)
    with dripping(first, then) as host, pytest.raises(Outage, match=r"0\.2 s") as raised:
        connect(host).page(TIMELINE, DAY, 5)
    assert type(raised.value) is kind


def test_every_request_has_a_timeout():
    class Recording(HTTPAdapter):
        def send(self, request, *, timeout=None, **_):
            self.timeout = timeout
            return http_response(200, {})

    session, adapter = _Session("https://api.x.com"), Recording()
    session.mount("https://api.x.com", adapter)
    session.request("GET", "https://api.twitter.com/2/users/by")
    assert adapter.timeout == (10, 60)


def test_proxies_and_ca_certificates_of_the_environment_are_used(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ca.pem")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    session = _Session("https://api.x.com")
    used = session.merge_environment_settings("https://api.x.com/2/users/by", {}, None, None, None)
    assert (used["proxies"]["https"], used["verify"]) == ("http://proxy.example:3128", "/etc/ca.pem")
