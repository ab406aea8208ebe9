"""The stand-in for X behaves like X, over real HTTP and by X's own description."""

import hashlib
import json
import threading
import time
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

import orjson
import pytest
import requests
import tweepy
import uvicorn
from jsonschema import Draft7Validator

from local import x_api
from local.x_api import posts
from local.x_api.app import StandIn, create_app
from tests.include.recorded import x_components

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = date(2026, 11, 20)
WINDOW = {"start_time": "2026-11-20T00:00:00Z", "end_time": "2026-11-20T23:59:59Z"}
SEARCH_WINDOW = WINDOW | {"end_time": "2026-11-21T00:00:00Z"}
OWN = {"exclude": "retweets,replies"}
ALL_FIELDS = {
    "tweet.fields": "attachments,author_id,conversation_id,created_at,edit_controls,entities,"
    "in_reply_to_user_id,lang,note_tweet,possibly_sensitive,public_metrics,referenced_tweets,reply_settings,"
    "display_text_range,paid_partnership"
}


class Server:
    """A stand-in served over HTTP, and a client with its bearer token."""

    def __init__(self, **settings) -> None:
        self.stand_in = StandIn(**{"clock": lambda: NOW, **settings})
        config = uvicorn.Config(create_app(self.stand_in), port=0, log_level="warning")
        self.uvicorn = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.uvicorn.run)
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self) -> "Server":
        self.thread.start()
        while not self.uvicorn.started:
            time.sleep(0.005)
        port = self.uvicorn.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_) -> None:
        self.session.close()
        self.uvicorn.should_exit = True
        self.thread.join()

    def send(self, path, params=None, token=x_api.BEARER_TOKEN, method="GET", **options):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.session.request(
            method, self.url + path, params=params, headers=headers, timeout=10, **options
        )

    def get(self, path, **params):
        return self.send(path, params).json()

    def timeline(self, handle, **params):
        self.stand_in.known[posts.user_id(handle)] = handle
        return self.get(f"/2/users/{posts.user_id(handle)}/tweets", **{**WINDOW, **params})

    def walk(self, handle, **params):
        pages = [self.timeline(handle, **params)]
        while token := pages[-1]["meta"].get("next_token"):
            pages.append(self.timeline(handle, pagination_token=token, **params))
        return pages

    def control(self, method, name, order=None):
        return self.session.request(method, f"{self.url}/_control/{name}", json=order, timeout=10)

    def order(self, *faults):
        assert self.control("PUT", "faults", faults).status_code == 200


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


@pytest.fixture
def x(server):
    yield server
    for name in ("requests", "rate_limit", "bill"):
        server.control("DELETE", name)
    server.order()
    server.control("PUT", "posts", {})


def ids(pages):
    return [post["id"] for page in pages for post in page.get("data", [])]


# What an account's day is made of.


def test_the_posts_of_a_day_are_the_same_everywhere():
    written = [posts.post("posts_50_a", slot) for slot in posts.slots("posts_50_a", DAY)]
    digest = hashlib.sha256(orjson.dumps(written, option=orjson.OPT_SORT_KEYS)).hexdigest()
    assert digest == "38bee42c4e422bdec11c62d7aed0b4b2579bd61285d2a854df09168342b61127"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50, 1000])
def test_an_account_named_posts_n_has_exactly_n_own_posts_on_every_day(count):
    for number in range(20):
        listed = posts.slots(f"posts_{count}_a", date(2024, 2, 20) + timedelta(number))
        assert sum(slot.kind == "own" for slot in listed) == count
        assert sum(slot.kind != "own" for slot in listed) == 1 + count // 6


# Pages.


def test_a_post_has_three_fields_unless_more_are_requested(x):
    plain = x.timeline("posts_50_a")["data"]
    assert {frozenset(post) for post in plain} == {frozenset({"id", "text", "edit_history_tweet_ids"})}
    listed = x.timeline("posts_50_a", **{"tweet.fields": "lang,created_at"})["data"]
    assert all({"id", "text", "edit_history_tweet_ids", "lang", "created_at"} == set(post) for post in listed)


def test_all_pages_have_each_post_once(x):
    listed = ids(x.walk("posts_250_a", max_results=100, **OWN))
    assert len(listed) == len(set(listed)) == 250
    assert len(ids(x.walk("posts_250_a", max_results=7))) == 250 + 42


def test_start_time_is_inclusive_and_end_time_only_for_timelines(x):
    first, last, midnight = "2026-11-20T00:00:00Z", "2026-11-20T23:59:59Z", "2026-11-21T00:00:00Z"
    newest, oldest = ids([x.timeline("posts_2_a", **OWN)])
    for start, end, post_id in [(last, midnight, newest), ("2026-11-19T23:59:59Z", first, oldest)]:
        assert post_id in ids([x.timeline("posts_2_a", start_time=start, end_time=end, **OWN)])
    search = {"query": "from:posts_2_a -is:retweet -is:reply", "start_time": first}
    pages = [x.get("/2/tweets/search/recent", end_time=end, **search) for end in (last, midnight)]
    assert [len(page["data"]) for page in pages] == [1, 2]


def test_until_id_is_exclusive_and_overrides_end_time(x):
    newest, *rest = ids([x.timeline("posts_9_a", max_results=100)])
    assert ids([x.timeline("posts_9_a", until_id=newest, max_results=100)]) == rest


def test_a_limited_timeline_ends_at_its_newest_800_posts_without_replies(x):
    start = "2026-11-17T00:00:00Z"
    assert len(ids(x.walk("limited_300_a", max_results=100, start_time=start, **OWN))) < 800 - 25
    assert len(ids(x.walk("limited_300_a", max_results=100, start_time=start))) == 4 * 351


# Users.


def test_users_are_found_in_any_case_and_others_have_an_error(x):
    response = x.get("/2/users/by", usernames="Acme_Press,unknown_a,suspended_a,protected_a")
    assert response["data"] == [
        {"id": posts.user_id("acme_press"), "name": "Acme Press", "username": "acme_press"},
        {"id": posts.user_id("protected_a"), "name": "Protected A", "username": "protected_a"},
    ]
    assert [(error["value"], error["parameter"], error["title"]) for error in response["errors"]] == [
        ("unknown_a", "usernames", "Not Found Error"),
        ("suspended_a", "usernames", "Forbidden"),
    ]


@pytest.mark.parametrize(
    ("handle", "title", "kind"),
    [
        ("suspended_a", "Forbidden", "resource-not-found"),
        ("protected_a", "Authorization Error", "not-authorized-for-resource"),
        ("unknown_a", "Not Found Error", "resource-not-found"),
    ],
)
def test_the_timeline_of_an_unavailable_account_is_a_200_with_errors_only(x, handle, title, kind):
    body = x.timeline(handle)
    assert list(body) == ["errors"]
    (error,) = body["errors"]
    assert error["value"] == error["resource_id"] == posts.user_id(handle)
    assert (error["title"], error["type"].rsplit("/", 1)[1]) == (title, kind)


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("users/by", "usernames", "a,b-c"),
        ("users/by", "usernames", ",".join(f"h{n}" for n in range(101))),
        ("users/1/tweets", "max_results", "101"),
        ("users/1/tweets", "exclude", "quotes"),
        ("users/1/tweets", "start_time", "2010-11-05T23:59:59Z"),
        ("users/1/tweets", "end_time", "2026-11-22T11:59:55Z"),
        ("users/1/tweets", "pagination_token", "nonsense"),
        ("users/1/tweets", "expansions", "author_id"),
        ("tweets/search/all", "max_results", "501"),
        ("tweets/search/recent", "query", "cats"),
        ("tweets/search/recent", "query", " OR ".join(["from:somebody_long"] * 30)),
        ("tweets/search/recent", "start_time", "2026-11-15T11:59:59Z"),
        ("tweets/counts/recent", "granularity", "week"),
    ],
)
def test_a_wrong_parameter_is_rejected_in_xs_form(x, path, parameter, value):
    query = {"query": "from:a"} if "search" in path or "counts" in path else {}
    response = x.send(f"/2/{path}", query | {parameter: value})
    body = response.json()
    assert (response.status_code, body["title"]) == (400, "Invalid Request")
    assert body["type"] == "https://api.twitter.com/2/problems/invalid-request"
    assert list(body["errors"][0]["parameters"]) == [parameter]
    assert "x-rate-limit-remaining" in response.headers


# Search and counts.


def pages_of(x, path, **params):
    pages = [x.get(path, **params)]
    while token := pages[-1]["meta"].get("next_token"):
        pages.append(x.get(path, next_token=token, **params))
    return pages


def test_search_finds_the_own_posts_of_several_accounts_newest_first(x):
    query = "(from:posts_20_a OR from:posts_30_b) -is:retweet -is:reply"
    pages = pages_of(x, "/2/tweets/search/all", query=query, max_results=20, **SEARCH_WINDOW)
    listed = [int(number) for number in ids(pages)]
    assert [len(page["data"]) for page in pages] == [20, 20, 10]
    assert listed == sorted(set(listed), reverse=True)


def test_counts_agree_with_the_accounts(x):
    query = "(from:posts_20_a OR from:posts_30_b OR from:suspended_a) -is:retweet -is:reply"
    window = {"start_time": "2026-11-18T00:00:00Z", "end_time": "2026-11-20T00:00:00Z"}
    assert x.get("/2/tweets/counts/recent", query=query, granularity="day", **window) == {
        "data": [
            {"end": "2026-11-19T00:00:00.000Z", "start": "2026-11-18T00:00:00.000Z", "tweet_count": 50},
            {"end": "2026-11-20T00:00:00.000Z", "start": "2026-11-19T00:00:00.000Z", "tweet_count": 50},
        ],
        "meta": {"total_tweet_count": 100},
    }
    hours = x.get("/2/tweets/counts/all", query="from:posts_20_a -is:retweet -is:reply", **window)
    assert len(hours["data"]) == 48
    assert hours["meta"] == {"total_tweet_count": 40}


# Authorization.


class Rewritten(requests.Session):
    """Sends to the stand-in what tweepy, which knows one host only, sends to X."""

    def __init__(self, url):
        super().__init__()
        self.trust_env = False
        self.url = url

    def request(self, method, url, **options):
        return super().request(method, self.url + urlsplit(url).path, **options)


def signed_client(x, **changes):
    keys = {
        "consumer_key": x_api.CONSUMER_KEY,
        "consumer_secret": x_api.CONSUMER_SECRET,
        "access_token": x_api.ACCESS_TOKEN,
        "access_token_secret": x_api.ACCESS_TOKEN_SECRET,
    }
    client = tweepy.Client(**{**keys, **changes}, return_type=dict)
    client.session = Rewritten(x.url)
    return client


def test_counts_and_the_archive_refuse_oauth_1(x):
    for path in ("search/all", "counts/all", "counts/recent"):
        with pytest.raises(tweepy.Forbidden, match="OAuth 1"):
            signed_client(x).request("GET", f"/2/tweets/{path}", params={"query": "from:a"}, user_auth=True)


def test_a_request_needs_a_complete_oauth_1_signature_or_the_bearer_token(x):
    assert signed_client(x).get_users(usernames=["acme_press"], user_auth=True)["data"]
    for name in ("consumer_key", "consumer_secret", "access_token", "access_token_secret"):
        with pytest.raises(tweepy.Unauthorized):
            signed_client(x, **{name: "wrong"}).get_users(usernames=["acme_press"], user_auth=True)
    for token in ("wrong", "", None):
        response = x.send("/2/users/by", {"usernames": "acme_press"}, token=token)
        assert (response.status_code, response.json()["title"]) == (401, "Unauthorized")
        assert not [name for name in response.headers if name.startswith("x-rate-limit")]


def test_consumer_keys_exchange_for_the_bearer_token(x):
    keys, form = (x_api.CONSUMER_KEY, x_api.CONSUMER_SECRET), {"grant_type": "client_credentials"}
    good = x.session.post(x.url + "/oauth2/token", auth=keys, data=form, timeout=10)
    assert good.json() == {"token_type": "bearer", "access_token": x_api.BEARER_TOKEN}
    bad = x.session.post(x.url + "/oauth2/token", auth=("a", "b"), data=form, timeout=10)
    assert bad.status_code == 403
    assert [error["code"] for error in bad.json()["errors"]] == [99]


# The log and the ordered faults.


def test_the_log_has_each_request_and_no_secret(tmp_path):
    log = tmp_path / "requests.jsonl"
    with Server(log=log) as x:
        x.timeline("posts_50_a", max_results=20)
        x.send("/2/users/by", {"usernames": "acme_press,unknown_a"}, token="wrong")
        assert x.control("GET", "requests?since=1").json() == x.stand_in.requests[1:]
        written = log.read_text()
    first, second = [json.loads(line) for line in written.splitlines()]
    assert first == {
        "time": "2026-11-22T12:00:00+00:00",
        "method": "GET",
        "path": f"/2/users/{posts.user_id('posts_50_a')}/tweets",
        "query": WINDOW | {"max_results": "20"},
        "status": 200,
        "auth": "bearer",
        "posts": 20,
        "users": 0,
        "handles": ["posts_50_a"],
        "fault": None,
    }
    assert (second["status"], second["auth"], second["users"]) == (401, "bearer", 0)
    assert "wrong" not in written
    assert x_api.BEARER_TOKEN not in written


def test_a_restarted_stand_in_remembers_the_accounts_and_the_usage_of_its_log(tmp_path):
    log = tmp_path / "requests.jsonl"
    path = f"/2/users/{posts.user_id('some_handle')}/tweets"
    with Server(log=log) as x:
        assert "errors" in x.get(path)
        x.get("/2/users/by", usernames="some_handle")
        served = len(ids(x.walk("posts_50_a", max_results=100)))
    with log.open("a") as file:
        file.write('{"time": "2026-')  # killed while it wrote
    with Server(log=log) as x:
        assert "data" in x.get(path)
        assert x.get("/2/usage/tweets")["data"]["project_usage"] >= served


def test_a_fault_affects_matching_requests_after_skip_so_many_times(x):
    x.order({"match": "GET /2/users/by", "skip": 1, "times": 2, "status": 503, "body": "down"})
    x.timeline("acme_press")
    statuses = [x.send("/2/users/by", {"usernames": "acme_press"}).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert x.control("GET", "faults").json() == []
    assert x.control("PUT", "faults", [{"emtpy_page": True}]).status_code == 400
    assert x.control("PUT", "fualts", []).status_code == 400


def test_an_ordered_response_has_its_status_body_and_headers(x):
    problem = {"title": "CreditsDepleted", "type": "https://api.twitter.com/2/problems/credits"}
    fault = {"status": 402, "body": problem, "headers": {"X-Rate-Limit-Reset": 5}}
    x.order(fault, {"status": 500, "body": "<p>"})
    response = x.send("/2/users/by")
    assert (response.status_code, response.json()) == (402, problem)
    assert response.headers["x-rate-limit-reset"] == "5"
    assert x.send("/2/users/by").headers["content-type"] == "text/html"


def test_a_count_of_more_than_31_days_has_pages_newest_first(x):
    window = {"start_time": "2026-08-01T00:00:00Z", "end_time": "2026-10-05T00:00:00Z"}
    pages = pages_of(x, "/2/tweets/counts/all", query="from:posts_20_a -is:retweet -is:reply", **window)
    assert [page["data"][0]["start"][:10] for page in pages] == ["2026-09-04", "2026-08-04", "2026-08-01"]
    assert sum(page["meta"]["total_tweet_count"] for page in pages) == 65 * 20


def test_an_ordered_rate_limit_responds_429_until_its_window_ends():
    now = [NOW]
    with Server(clock=lambda: now[0]) as x:
        x.control("PUT", "rate_limit", {"limit": 2, "window": 60, "match": "/2/users/by"})
        responses = [x.send("/2/users/by", {"usernames": "acme_press"}) for _ in range(3)]
        assert [response.status_code for response in responses] == [200, 200, 429]
        assert [response.headers["x-rate-limit-remaining"] for response in responses] == ["1", "0", "0"]
        assert responses[2].headers["x-rate-limit-reset"] == str(int(NOW.timestamp()) + 60)
        assert responses[2].json()["title"] == "Too Many Requests"
        now[0] += timedelta(seconds=60)
        assert x.send("/2/users/by", {"usernames": "acme_press"}).status_code == 200


# X's own description.


@pytest.fixture(scope="module")
def described():
    components = x_components()
    # Stricter than X: posts from before 2023 have no impressions.
    components["schemas"]["Tweet"]["properties"]["public_metrics"]["required"].remove("impression_count")
    kinds = components["schemas"]["Problem"]["discriminator"]["mapping"]

    def check(response, schema):
        schemas = [(f"#/components/schemas/{schema}", response)]
        schemas += [(kinds[error["type"]], error) for error in response.get("errors", []) if "type" in error]
        for reference, value in schemas:
            errors = list(Draft7Validator({"$ref": reference, "components": components}).iter_errors(value))
            assert errors == []

    return check


def test_the_usage_has_each_post_once_a_day(x):
    x.control("PUT", "usage", {"2026-11-02": 5, "2026-10-31": 9})
    today = str(NOW.date())
    served = len(ids(x.walk("posts_50_a", max_results=100)))
    x.walk("posts_50_a", max_results=100)
    x.get("/2/users/by", usernames="acme_press")
    params = {"days": 90, "usage.fields": "daily_project_usage,daily_client_app_usage"}
    usage = x.get("/2/usage/tweets", **params)["data"]
    (app,) = usage["daily_client_app_usage"]
    assert app["usage"] == usage["daily_project_usage"]["usage"]
    by_day = {day["date"][:10]: day["usage"] for day in app["usage"] if day["usage"]}
    assert by_day == {today: served, "2026-11-02": 5, "2026-10-31": 9}
    assert usage["project_usage"] == served + 5
    assert "daily_project_usage" not in x.get("/2/usage/tweets")["data"]
    assert x.send("/2/usage/tweets", {"days": 91}).status_code == 400


def test_responses_fit_xs_own_description(x, described):
    described(x.get("/2/users/by", usernames="acme_press,unknown_a,suspended_a"), "Get2UsersByResponse")
    for page in x.walk("posts_250_a", max_results=100, **ALL_FIELDS):
        described(page, "Get2UsersIdTweetsResponse")
    described(x.timeline("protected_a"), "Get2UsersIdTweetsResponse")
    search = {"query": "from:posts_50_a", "max_results": 100, **SEARCH_WINDOW, **ALL_FIELDS}
    described(x.get("/2/tweets/search/all", **search), "Get2TweetsSearchAllResponse")
    described(x.get("/2/tweets/search/recent", **search), "Get2TweetsSearchRecentResponse")
    counts = {"query": "from:posts_50_a", "granularity": "day", **SEARCH_WINDOW}
    described(x.get("/2/tweets/counts/all", **counts), "Get2TweetsCountsAllResponse")
    described(x.get("/2/tweets/counts/recent", **counts), "Get2TweetsCountsRecentResponse")
    daily = {"usage.fields": "daily_project_usage,daily_client_app_usage"}
    described(x.get("/2/usage/tweets", **daily), "Get2UsageTweetsResponse")
    described(x.send("/2/users/by", token="wrong").json(), "GenericProblem")
    described(x.get("/2/users/by", usernames="a-b"), "InvalidRequestProblem")


def test_jobs_fit_xs_own_description_and_are_one_at_a_time(x, described):
    x.control("DELETE", "jobs")
    described(x.get("/2/compliance/jobs", type="tweets"), "Get2ComplianceJobsResponse")
    made = x.send("/2/compliance/jobs", method="POST", json={"type": "tweets", "name": "all of them"})
    described(made.json(), "CreateComplianceJobResponse")
    described(x.get("/2/compliance/jobs", type="tweets"), "Get2ComplianceJobsResponse")
    described(x.get(f"/2/compliance/jobs/{made.json()['data']['id']}"), "Get2ComplianceJobsIdResponse")
    described(x.get("/2/compliance/jobs/7"), "InvalidRequestProblem")
    assert x.send("/2/compliance/jobs", method="POST", json={"type": "tweets"}).status_code == 400
    assert x.send("/2/compliance/jobs", method="POST", json={"type": "users"}).status_code == 200
    assert x.send("/2/compliance/jobs", method="POST", json={"type": "likes"}).status_code == 400


def test_a_job_takes_ids_and_lists_deleted_ones_after_some_status_requests(x):
    x.control("DELETE", "jobs")
    x.control("PUT", "jobs", {"polls": 1})
    x.control("PUT", "posts", {"1990000000000000001": "deleted", "1990000000000000002": "withheld"})
    job = x.send("/2/compliance/jobs", method="POST", json={"type": "tweets"}).json()["data"]
    address = {name: job[f"{name}_url"].removeprefix(x.url) for name in ("upload", "download")}
    sent = b"1990000000000000001\n1990000000000000002\n1990000000000000003\n"
    assert x.send(address["upload"], method="PUT", data=sent).status_code == 403  # it brings X's keys
    assert x.send(address["upload"] + "0", method="PUT", data=sent, token=None).status_code == 403
    assert x.send(address["upload"], method="PUT", data=sent, token=None).status_code == 200
    states = [x.get(f"/2/compliance/jobs/{job['id']}")["data"]["status"] for _ in range(2)]
    assert states == ["in_progress", "complete"]
    (line,) = x.send(address["download"], token=None).text.splitlines()
    deleted = json.loads(line)
    assert (deleted["id"], deleted["reason"]) == ("1990000000000000001", "deleted")


# Posts by id


def ids_of(x, handle="posts_5_b"):
    return [post["id"] for post in x.timeline(handle, **OWN)["data"]]


def test_a_post_is_charged_once_a_utc_day(x):
    x.control("DELETE", "bill")
    ids = ids_of(x)
    x.get("/2/tweets", ids=",".join(ids))
    x.get("/2/tweets", ids=",".join(ids))
    assert x.control("GET", "bill").json() == {"2026-11-22": len(ids)}
    x.control("PUT", "clock", {"now": "2026-11-23T00:00:00+00:00"})
    x.get("/2/tweets", ids=",".join([*ids[:2], "7"]))
    assert x.control("GET", "bill").json() == {"2026-11-22": len(ids), "2026-11-23": 2}
    x.control("PUT", "clock", {"now": NOW.isoformat()})
