"""X's errors: which error of the pipeline a response without success is, and what to do about it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from include.twitter.errors import (
    BadKeys,
    BadRequest,
    ClockWrong,
    JobGone,
    NoAccess,
    NoCredits,
    NoResponse,
    Outage,
    PipelineError,
    RateLimited,
    UnexpectedResponse,
)
from include.twitter.response import decode_json, problems
from include.twitter.safe_text import safe_text
from include.twitter.settings import X_CONNECTION

USAGE_PATH = "/2/usage/tweets"
JOBS_PATH = "/2/compliance/jobs"
MAX_DETAILS_LENGTH = 1000
"""Characters of X's words for one error."""
WRONG_CONSUMER_KEYS = 99
"""X's code, from the days of v1.1, at the token exchange."""
TIMESTAMP_OUT_OF_BOUNDS = 135
"""X's code for an OAuth 1.0a signature of another time."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""X accepts signatures up to so old, and up to so far in the future."""
SIGNED_AT = re.compile(r'oauth_timestamp="(\d{1,12})"')


def error_of(response: requests.Response) -> PipelineError:
    """The pipeline's error for a response without success, with X's words and the remedy."""
    body = _json(response)
    problem = body if isinstance(body, dict) else {}
    kind, remedy = _meaning(response, body, problem)
    message = f"{described(response, problem)} {remedy}"
    return RateLimited(message, retry_at=_reset(response)) if kind is RateLimited else kind(message)


def json_object(response: requests.Response) -> dict[str, Any]:
    """The JSON object of a success; NoResponse for any other body: a program between X and us sent it."""
    body = _json(response)
    if not isinstance(body, dict):
        raise NoResponse(f"{described(response)}, but not with a JSON object: {_beginning(response)[:80]!r}.")
    return body


def described(response: requests.Response, problem: dict[str, Any] | None = None) -> str:
    """The request without its query, and X's words: `X answered 401 to GET /2/users/by: …`."""
    request = response.request
    message = f"X answered {response.status_code} to {request.method} {urlsplit(request.url or '').path}"
    if problem is None:
        return message
    details = [problem.get("title"), problem.get("detail"), problem.get("reason")]
    details += [error.get("message") for error in problems(problem)]
    words = "; ".join(safe_text(detail).rstrip(".") for detail in details if detail)
    words = safe_text(words, MAX_DETAILS_LENGTH) or safe_text(_beginning(response)) or "(empty body)"
    return f"{message}: {words}."


def scheme_of(response: requests.Response) -> str:
    """How the request was authorized: `OAuth`, `Bearer` or `Basic`."""
    return str(response.request.headers.get("Authorization", "")).partition(" ")[0]


def _meaning(
    response: requests.Response, body: Any, problem: dict[str, Any]
) -> tuple[type[PipelineError], str]:
    """The error and its remedy, by status, path, title and the last part of the problem's `type`."""
    title, kind = str(problem.get("title", "")), str(problem.get("type", "")).rsplit("/", 1)[-1]
    path, connection = urlsplit(response.request.url or "").path, f"Connection {X_CONNECTION}"
    match response.status_code:
        case 404 if path == USAGE_PATH:
            return NoAccess, f"X does not open its usage meter to the app of {connection}."
        case 404 if path == JOBS_PATH:
            return NoAccess, f"X does not open its batch compliance to the app of {connection}."
        case 404 if path.startswith(f"{JOBS_PATH}/"):
            return JobGone, "X no longer has this job."
        case status if status in (404, 408) or status >= 500:
            # X answered 404 for hours in an outage of its own; for an account that is gone it answers 200.
            return Outage, "X has a problem of its own."
        case status if status != 429 and response.content.strip() and not isinstance(body, dict):
            return Outage, "A proxy or another program sent this response, not X."
        case 401 | 403 if clock := _clock_error(response, problem):
            return ClockWrong, clock
        case 400:
            return (
                BadRequest,
                "X rejected the request as malformed: a defect of the pipeline or a change at X. Report it "
                "with this log.",
            )
        case 401:
            return (
                BadKeys,
                f"X does not know these keys. Enter valid keys in {connection}, leave its host empty, and "
                "clear the task.",
            )
        case 402:
            return NoCredits, "Buy credits in X's developer console, then clear the task."
        case 403 if WRONG_CONSUMER_KEYS in _codes(problem):
            names = "consumer_key and consumer_secret (or Login and Password)"
            return (
                BadKeys,
                f"{names} are not the consumer keys of an X app. Enter valid keys in {connection}, and clear "
                "the task.",
            )
        case 403 if title == "SpendCapReached" or kind == "credits":
            reset = safe_text(problem.get("reset_date", "its reset"))
            return NoCredits, (
                "The spending cap in X's developer console is reached. Raise it there, or wait until "
                f"{reset}, then clear the task."
            )
        case 403 if kind == "client-forbidden":
            return NoAccess, f"Attach the app of {connection} to a project in X's developer console."
        case 403:
            return NoAccess, f"The app of {connection} has no access: change that in X's developer console."
        case 429 if title == "UsageCapExceeded" or kind == "usage-capped":
            return NoCredits, (
                "The monthly cap of the X account is used up. Raise it in X's developer console, or wait for "
                "the next month, then clear the task."
            )
        case 429:
            return RateLimited, "The rate limit is used up."
    return UnexpectedResponse, "The pipeline does not know this response: report it with this log."


def _beginning(response: requests.Response) -> str:
    """The first 200 bytes; `response.text` would guess the encoding from all of them."""
    return response.content[:200].decode(errors="replace").strip()


def _clock_error(response: requests.Response, problem: dict[str, Any]) -> str:
    """X's time and this host's, if X refused a signature because they differ; else an empty text.

    X reports it by a code, or answers a plain 401. Only OAuth 1.0a signs the time.
    """
    is_reported = TIMESTAMP_OUT_OF_BOUNDS in _codes(problem)
    signed = SIGNED_AT.search(str(response.request.headers.get("Authorization", "")))
    ours = datetime.fromtimestamp(int(signed[1]) if signed else time.time(), UTC)
    theirs = _server_time(response)
    differs = theirs is not None and abs(theirs - ours) > CLOCK_TOLERANCE
    if not is_reported and not (differs and signed and response.status_code == 401):
        return ""
    x_time = f"{theirs:%Y-%m-%d %H:%M:%S}" if theirs else "unknown"
    return (
        f"The clock of this host is wrong, not the keys: X's time was {x_time}, this host's "
        f"{ours:%Y-%m-%d %H:%M:%S} UTC. Synchronize the host's clock, for example with "
        "`timedatectl set-ntp true`, then clear the task."
    )


def _server_time(response: requests.Response) -> datetime | None:
    """X's time by its Date header; None if that is missing or malformed."""
    try:
        moment = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _codes(problem: dict[str, Any]) -> list[Any]:
    return [error.get("code") for error in problems(problem)]


def _reset(response: requests.Response) -> datetime | None:
    """When the rate limit resets, by its header; None if that is missing or malformed."""
    try:
        return datetime.fromtimestamp(int(response.headers["x-rate-limit-reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def _json(response: requests.Response) -> Any:
    try:
        return decode_json(response.content)
    except ValueError:
        return None
