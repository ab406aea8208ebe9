"""What X's responses without success mean."""

import json
from datetime import UTC, datetime

import pytest
import requests

from include.twitter.errors import (
    BadKeys,
    BadRequest,
    ClockWrong,
    JobGone,
    NoAccess,
    NoCredits,
    Outage,
    RateLimited,
    UnexpectedResponse,
)
from include.twitter.safe_text import UNSAFE
from include.twitter.x.errors import error_of

HTML = "<!DOCTYPE html><html><body>Nothing to see here</body></html>"
PROBLEMS = "https://api.twitter.com/2/problems/"
USERS, TIMELINE = "/2/users/by", "/2/users/11348282/tweets"
JOBS, JOB, METER = "/2/compliance/jobs", "/2/compliance/jobs/1372966999991541762", "/2/usage/tweets"


def problem(title, kind="about:blank", **more):
    return {"title": title, "type": kind if ":" in kind else PROBLEMS + kind, "detail": f"{title}."} | more


UNAUTHORIZED, TOO_MANY = problem("Unauthorized"), problem("Too Many Requests")
USAGE_CAP = problem("UsageCapExceeded", "usage-capped", period="Monthly")
SPEND_CAP = problem("SpendCapReached", "credits", reset_date="2026-12-01")
INVALID = problem("Invalid Request", "invalid-request", errors=[{"message": "Invalid 'end_time':'x'."}])
WRONG_CONSUMER_KEYS = {"errors": [{"code": 99, "message": "Unable to verify your credentials"}]}


def http_response(status, body, path=USERS, **headers):
    """A real `requests.Response`, with a JSON body or the given text."""
    response = requests.Response()
    response.status_code = status
    response._content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    authorization = {"Authorization": "Bearer bearer-token-c2d4"}
    url = f"https://api.x.com{path}?usernames=NASA%2Cesa"
    response.request = requests.Request("GET", url, headers=authorization).prepare()
    return response


@pytest.mark.parametrize(
    ("status", "body", "path", "kind", "words"),
    [
        (401, UNAUTHORIZED, USERS, BadKeys, "Connection twitter_default"),
        (401, "", USERS, BadKeys, "(empty body)"),
        (400, INVALID, USERS, BadRequest, "Invalid 'end_time':'x'."),
        (402, problem("CreditsDepleted", "credits"), USERS, NoCredits, "Buy credits"),
        (402, "", USERS, NoCredits, "Buy credits"),
        (403, SPEND_CAP, USERS, NoCredits, "until 2026-12-01"),
        (403, problem("Client Forbidden", "client-forbidden"), USERS, NoAccess, "Attach the app"),
        (403, problem("Forbidden"), USERS, NoAccess, "has no access"),
        (403, WRONG_CONSUMER_KEYS, USERS, BadKeys, "not the consumer keys"),
        (429, USAGE_CAP, USERS, NoCredits, "monthly cap"),
        (429, TOO_MANY, USERS, RateLimited, "rate limit"),
        (429, HTML, USERS, RateLimited, "rate limit"),
        (404, "", TIMELINE, Outage, "X has a problem"),
        (404, HTML, TIMELINE, Outage, "X has a problem"),
        (404, "", JOB, JobGone, "no longer"),
        (404, problem("Not Found Error"), JOB, JobGone, "no longer"),
        (404, "", JOBS, NoAccess, "batch compliance"),
        (404, "", METER, NoAccess, "usage meter"),
        (408, "", USERS, Outage, "X has a problem"),
        (500, [{"code": 131}], USERS, Outage, "X has a problem"),
        (503, "upstream connect error", USERS, Outage, "upstream connect error"),
        # of a proxy
        (400, "Bad Request", USERS, Outage, "not X"),
        (401, HTML, USERS, Outage, "not X"),
        (402, "[]", USERS, Outage, "not X"),
        # unknown
        (302, "", USERS, UnexpectedResponse, "does not know"),
        (418, problem("Teapot"), USERS, UnexpectedResponse, "Teapot"),
        # odd errors
        (400, {"errors": ["odd", None]}, USERS, BadRequest, "malformed"),
        (403, {"errors": 5, "type": None}, USERS, NoAccess, "has no access"),
    ],
)  # fmt: skip
def test_a_response_means_what_its_status_path_title_and_type_say(status, body, path, kind, words):
    error = error_of(http_response(status, body, path))
    assert type(error) is kind
    assert words in str(error)
    assert str(error).startswith(f"X answered {status} to GET {path}: ")
    assert "usernames" not in str(error)
    assert "bearer-token" not in str(error)


RESETS = [("1795052700", datetime(2026, 11, 19, 1, 45, tzinfo=UTC))]
RESETS += [(odd, None) for odd in ("", "soon", "99999999999999999", "²")]


@pytest.mark.parametrize(("header", "reset"), RESETS)
def test_a_rate_limit_is_retried_at_the_time_of_its_header(header, reset):
    assert error_of(http_response(429, TOO_MANY, x_rate_limit_reset=header)).retry_at == reset
    assert error_of(http_response(429, TOO_MANY)).retry_at is None


EVIL = "\x1b[2J\x1b]0;owned\x07 one\ntwo\u2028three\u202e \x9b31m"


@pytest.mark.parametrize("name", ["title", "detail", "reason", "errors", None])
@pytest.mark.parametrize("words", [EVIL, "A" * 2_000_000], ids=["escapes", "long"])
def test_xs_words_in_an_error_are_one_short_and_safe_line(name, words):
    body = {name: [{"message": words}] if name == "errors" else words} if name else words
    error = error_of(http_response(403 if name else 502, body))
    assert len(str(error)) < 2000
    assert not UNSAFE.search(str(error))


# A wrong clock

OUT_OF_BOUNDS = {"errors": [{"code": 135, "message": "Timestamp out of bounds."}]}
BEFORE, AFTER = "Thu, 19 Nov 2026 11:54:59 GMT", "Thu, 19 Nov 2026 12:05:01 GMT"
NEAR, ENDLESS_ZONE = "Thu, 19 Nov 2026 12:04:59 GMT", f"Thu, 19 Nov 2026 12:00:01 +{'9' * 24}"


@pytest.mark.parametrize(
    ("status", "body", "date", "scheme", "kind"),
    [
        (401, UNAUTHORIZED, BEFORE, "OAuth", ClockWrong),
        (401, "", AFTER, "OAuth", ClockWrong),
        (401, OUT_OF_BOUNDS, NEAR, "OAuth", ClockWrong),
        (403, OUT_OF_BOUNDS, "", "OAuth", ClockWrong),
        (403, OUT_OF_BOUNDS, "Thu, 19 Nov 2026 12:00:01 -0000", "OAuth", ClockWrong),
        (401, UNAUTHORIZED, NEAR, "OAuth", BadKeys),
        (401, UNAUTHORIZED, "soon", "OAuth", BadKeys),
        (401, UNAUTHORIZED, ENDLESS_ZONE, "OAuth", BadKeys),
        (401, UNAUTHORIZED, AFTER, "Bearer", BadKeys),  # a bearer token signs no time
    ],
)
def test_a_refused_signature_of_another_time_is_the_fault_of_the_clock(status, body, date, scheme, kind):
    response = http_response(status, body, Date=date)
    signed_at = datetime(2026, 11, 19, 12, tzinfo=UTC).timestamp()
    signature = f'OAuth oauth_nonce="1", oauth_timestamp="{signed_at:.0f}", oauth_version="1.0"'
    response.request.headers["Authorization"] = signature if scheme == "OAuth" else "Bearer bearer-token-c2d4"
    error = error_of(response)
    assert type(error) is kind
    assert ("this host's 2026-11-19 12:00:00 UTC" in str(error)) == (kind is ClockWrong)
