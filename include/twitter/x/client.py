"""X's API v2 as this pipeline uses it: the only importer of tweepy.

Answers are handed on exactly as X sent them. One that is no success becomes an error of `errors` where it
arrives, before tweepy sees it: tweepy has no timeout, lets `requests` exceptions through, and trips over
some of X's bodies.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import inf
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import tweepy
from airflow.sdk.log import mask_secret
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Retry

from include.twitter.day import Day
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
    PipelineError,
    RateLimited,
    UnexpectedAnswer,
)
from include.twitter.response import MOST_BYTES, Response, decoded, problems
from include.twitter.safe_text import safe_text
from include.twitter.settings import X_CONNECTION, XAccess
from include.twitter.sources import Endpoint, PageRequest
from include.twitter.x.http_limits import LimitedAdapter, TooLarge, is_overdue, no_netrc, sending

TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for the next bytes."""
RESPONSE_SECONDS = 180
"""For a request with its whole response. X takes some seconds for its largest page."""
ARCHIVE_SECONDS = 1.0
"""X's limit between two requests to its full archive."""
READERS = 8
"""Accounts read side by side."""
LONGEST_WORDS = 1000
"""Characters of X's words for one error."""
HANDLES_A_LOOKUP = 100
"""X's own limit."""
POSTS_A_LOOKUP = 100
"""X's own limit too."""

USAGE = "/2/usage/tweets"
JOBS = "/2/compliance/jobs"
USAGE_FIELDS = ("daily_client_app_usage", "daily_project_usage", "project_cap", "project_usage")

TRANSPORT_ERRORS = (
    TooLarge,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
WRONG_CONSUMER_KEYS = 99
"""X's code, from the days of v1.1, at the token exchange."""
TIMESTAMP_OUT_OF_BOUNDS = 135
"""X's code for an OAuth 1.0a signature of another time."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""X takes signatures of so long ago, and of so far ahead."""
SIGNED_AT = re.compile(r'oauth_timestamp="(\d{1,12})"')

# X bills posts, not fields: all that X's descriptions name is asked for, since what is wanted later has to be
# bought again. Left out are the counts that only a post's own author may ask for, and `article_title`, which
# 2.166 does not know: `article` has the title.
POST_FIELDS = [
    "article", "attachments", "author_id", "card_uri", "community_id", "context_annotations",
    "conversation_id", "created_at", "display_text_range", "edit_controls", "edit_history_tweet_ids",
    "entities", "geo", "id", "in_reply_to_user_id", "lang", "matched_media_notes", "media_metadata",
    "note_request_suggestions", "note_tweet", "paid_partnership", "possibly_sensitive", "public_metrics",
    "referenced_tweets", "reply_settings", "scopes", "source", "suggested_source_links",
    "suggested_source_links_with_counts", "text", "withheld",
]  # fmt: skip
COUNTED_FIELDS = ["author_id", "created_at", "edit_history_tweet_ids", "public_metrics", "withheld"]
"""What is asked for of posts that have landed."""
ARCHIVE_FIELDS = [name for name in POST_FIELDS if name != "context_annotations"]
"""With the annotations X refuses a page of more than 100: docs/decisions/0020."""

# tweepy writes the bearer token into its debug log, oauthlib the consumer key and every signature.
for chatty in ("tweepy", "oauthlib", "requests_oauthlib", "urllib3"):
    logging.getLogger(chatty).setLevel(logging.INFO)


class X:
    """A connection to X that several threads may use; `clock` tells when an answer was received."""

    def __init__(self, access: XAccess, clock: Callable[[], datetime], *, are_known: bool = False) -> None:
        """`are_known` says that X has taken these keys before: one refusal then is no proof against them."""
        self._clock = clock
        self.is_user = access.user
        """Whether it asks in a user's name."""
        self.owner_id = owner_id(access)
        self._client = tweepy.Client(
            access.bearer_token,
            access.consumer_key,
            access.consumer_secret,
            access.access_token,
            access.access_token_secret,
            return_type=requests.Response,
        )
        self._client.session = self._session = _Session(access.host)
        if are_known:
            self._session.accepted.add("OAuth" if self.is_user else "Bearer")
        self._access = access
        self._lock = Lock()
        self._next_archive_request = 0.0
        if not self.is_user:
            self._app_only()

    def __enter__(self) -> X:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def users(self, handles: Iterable[str]) -> Response:
        """Look up at most 100 handles in one request, billed for each user returned."""
        return self._answer(
            "users",
            self._client.get_users,
            usernames=list(handles),
            user_fields=["protected"],
            user_auth=self.is_user,
        )

    def posts(self, ids: Sequence[str], *, free: bool = False, whole: bool = False) -> Response:
        """At most 100 posts with their counts of now, or `whole`, with all fields that a page has.

        `free` where X has charged them on this day already.
        """
        return self._answer(
            "rereads" if free else "posts",
            self._client.get_tweets,
            list(ids),
            tweet_fields=POST_FIELDS if whole else COUNTED_FIELDS,
            user_auth=self.is_user,
        )

    def page(
        self, request: PageRequest, day: Day, size: int, token: str | None = None, until_id: int | None = None
    ) -> Response:
        """One page of a source's posts of a day, newest first: the one of a token, or that below an id.

        The full archive takes one request a second, app-only. The `end_time` of a timeline is inclusive,
        other than that of searches and counts: the day's last second.
        """
        is_timeline = request.endpoint is Endpoint.TIMELINE
        end = day.end - timedelta(seconds=1) if is_timeline else day.end
        params: dict[str, Any] = {
            "start_time": day.start,
            "max_results": size,
            "tweet_fields": POST_FIELDS,
            "pagination_token" if is_timeline else "next_token": token,
            **({"until_id": until_id} if until_id else {"end_time": end}),
        }
        match request.endpoint:
            case Endpoint.TIMELINE:
                ask, params["exclude"] = self._client.get_users_tweets, ["retweets", "replies"]
                params["user_auth"] = self.is_user
            case Endpoint.RECENT_SEARCH:
                ask, params["user_auth"] = self._client.search_recent_tweets, self.is_user
            case Endpoint.FULL_ARCHIVE_SEARCH:
                ask, params["tweet_fields"] = self._app_only().search_all_tweets, ARCHIVE_FIELDS
                self._wait_for_the_archive()
        return self._answer(request.kind, ask, request.target, **params)

    def count(self, query: str, day: Day, *, archive: bool) -> Response:
        """X's own count of a query's posts of a day, hour by hour: app-only, billed per request."""
        if archive:
            return self.count_days(query, day, day)
        client = self._app_only()
        window = {"start_time": day.start, "end_time": day.end, "granularity": "hour"}
        return self._answer("counts", client.get_recent_tweets_count, query, **window)

    def count_days(self, query: str, first: Day, last: Day, token: str | None = None) -> Response:
        """The archive's count for a query, by the hour; beyond 31 days there is a `token` to the rest."""
        client = self._app_only()
        self._wait_for_the_archive()
        window = {"start_time": first.start, "end_time": last.end, "granularity": "hour"}
        return self._answer("archive_counts", client.get_all_tweets_count, query, next_token=token, **window)

    def usage(self, days: int) -> bytes:
        """X's own count of the posts that were read on each of the last days, 1 to 90: free, app-only."""
        params = {"days": days, "usage.fields": ",".join(USAGE_FIELDS)}
        response = self._app_only().request("GET", USAGE, params=params)
        _object(response)
        return response.content

    def jobs(self) -> list[Any]:
        """The app's jobs that check posts, app-only."""
        return self._job_request("GET", JOBS, params={"type": "tweets"}) or []

    def make_job(self, name: str) -> Any:
        """A new one, which waits for its ids."""
        return self._job_request("POST", JOBS, json={"type": "tweets", "name": name})

    def job(self, id_: str) -> Any:
        """How far one is."""
        return self._job_request("GET", f"{JOBS}/{id_}")

    def _job_request(self, method: str, path: str, **options: Any) -> Any:
        """X's data on jobs; their signed addresses, which open the storage to anybody, are masked in logs."""
        data = _object(self._app_only().request(method, path, **options)).get("data")
        for job in data if isinstance(data, list) else [data]:
            _mask_addresses(job)
        return data

    def _app_only(self) -> tweepy.Client:
        """The client with a bearer token, without which X does not open its archive."""
        with self._lock:
            if not self._client.bearer_token:
                self._client.bearer_token = self._derived_bearer()
        return self._client

    def _wait_for_the_archive(self) -> None:
        with self._lock:
            time.sleep(max(0, self._next_archive_request - time.monotonic()))
            self._next_archive_request = time.monotonic() + ARCHIVE_SECONDS

    def _answer(
        self, kind: str, ask: Callable[..., requests.Response], *args: Any, **options: Any
    ) -> Response:
        response = ask(*args, **options)
        url = urlsplit(response.request.url or "")
        _object(response)
        return Response(url.path, dict(parse_qsl(url.query)), self._clock(), response.content, kind=kind)

    def _derived_bearer(self) -> str:
        """An app-only token for the consumer keys: what they open without a user's access token."""
        try:
            response = self._session.request(
                "POST",
                "/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(self._access.consumer_key, self._access.consumer_secret),
            )
            token = _object(response).get("access_token")
        except NoResponse as error:
            raise Outage(str(error)) from None  # X bills no token, and what needs it was not sent
        if not token:
            raise UnexpectedAnswer(
                f"{_description(response)}, without an access_token for the consumer keys."
            )
        mask_secret(token)
        return token


def owner_id(access: XAccess) -> str | None:
    """The id of the account that owns the access token, with which X's tokens begin: `<id>-<letters>`."""
    id_, hyphen, _ = (access.access_token or "").partition("-")
    return id_ if access.user and hyphen and id_.isdecimal() else None


def _mask_addresses(job: Any) -> None:
    for name in ("upload_url", "download_url") if isinstance(job, dict) else ():
        if address := str(job.get(name) or ""):
            mask_secret(address)
            mask_secret(urlsplit(address).query or address)


class _Session(requests.Session):
    """Sends what tweepy asks for to the connection's host, with a timeout, and raises our errors."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self.accepted: set[str] = set()
        """Schemes of authorization, `OAuth` and `Bearer`, whose keys X has accepted."""
        # Only connecting is tried again here: a request that X may have read may have been billed.
        retry = Retry(total=None, connect=2, read=0, redirect=0, status=0, other=0, backoff_factor=0.5)
        limits = (MOST_BYTES, RESPONSE_SECONDS)
        self.mount(host, LimitedAdapter(*limits, pool_maxsize=READERS, max_retries=retry))
        self.auth = no_netrc

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        url = self._host + urlsplit(url).path  # tweepy's own host is fixed
        sending.has_begun, sending.ends = None, inf
        try:
            response = super().request(
                method, url, **{"timeout": TIMEOUT, "allow_redirects": False, **options}
            )
        except TRANSPORT_ERRORS as error:
            # Its text may quote the request; the class and the host say enough.
            message = f"X cannot be reached: {type(error).__name__} on {method} {url}."
            if isinstance(error, TooLarge):
                message = f"X sent {error} as the response to {method} {url}, which no page has: it was cut."
            elif is_overdue():
                message = f"X sent no whole response to {method} {url} in {RESPONSE_SECONDS} s: it was cut."
            raise NoResponse(message) if _may_have_arrived(error) else Outage(message) from None
        if response.status_code != 200:
            raise self._doubted(error_of(response), response)
        self.accepted.add(_scheme(response))
        return response

    def _doubted(self, error: PipelineError, response: requests.Response) -> PipelineError:
        """The error, or the doubt in it where X refuses keys that it took: it had hours of that in 2026."""
        is_odd = isinstance(error, BadKeys) and _scheme(response) in self.accepted
        return (
            KeysInDoubt(f"{error} But X took them before: they are tried again first.") if is_odd else error
        )


def _may_have_arrived(error: requests.RequestException) -> bool:
    """Whether X may have processed a request that ended so, and billed it.

    It did not where none was sent, nor where the response that was cut is an error.
    """
    if error.response is not None and error.response.status_code != 200:
        return False
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    is_unconnected = isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError)
    is_unconnected |= isinstance(reason, NewConnectionError | ConnectTimeoutError)
    return not is_unconnected if sending.has_begun is None else sending.has_begun


def error_of(response: requests.Response) -> PipelineError:
    """What a response that is no success means for us, with X's words and what to do."""
    body = _json(response)
    problem = body if isinstance(body, dict) else {}
    kind, advice = _meaning(response, body, problem)
    message = f"{_description(response, problem)} {advice}"
    return RateLimited(message, retry_at=_reset(response)) if kind is RateLimited else kind(message)


def _meaning(
    response: requests.Response, body: Any, problem: dict[str, Any]
) -> tuple[type[PipelineError], str]:
    """Told by status, title and the last part of the problem's `type`."""
    title, kind = str(problem.get("title", "")), str(problem.get("type", "")).rsplit("/", 1)[-1]
    path, keys = urlsplit(response.request.url or "").path, f"Connection {X_CONNECTION}"
    match response.status_code:
        case 404 if path == USAGE:
            return NoAccess, f"X does not open its meter to the app of {keys}."
        case 404 if path == JOBS:
            return NoAccess, f"X does not open its batch compliance to the app of {keys}."
        case 404 if path.startswith(f"{JOBS}/"):
            return JobGone, "X no longer has this job."
        case status if status in (404, 408) or status >= 500:
            # X has answered 404 for hours in an outage of its own; an account that is gone is a 200.
            return Outage, "X has a problem of its own; it is tried again."
        case status if status != 429 and response.content.strip() and not isinstance(body, dict):
            return Outage, "That is no word of X, but of something before it; it is tried again."
        case 401 | 403 if clock := _clock_error(response, problem):
            return ClockWrong, clock
        case 400:
            return BadRequest, "X calls the request malformed: a defect here or a change at X."
        case 401:
            return (
                BadKeys,
                f"Put valid keys into {keys}: X does not know these, or they belong to another host.",
            )
        case 402:
            return NoCredits, "Buy credits in X's developer console, then clear `extract`."
        case 403 if WRONG_CONSUMER_KEYS in _codes(problem):
            names = "consumer_key and consumer_secret (or login and password)"
            return BadKeys, f"Put valid keys into {keys}: {names} are not the consumer keys of an X app."
        case 403 if title == "SpendCapReached" or kind == "credits":
            until = safe_text(problem.get("reset_date", "the cap is raised"))
            return NoCredits, f"The spend cap set in X's developer console holds until {until}."
        case 403 if kind == "client-forbidden":
            return NoAccess, f"Attach the app of {keys} to a project in X's developer console."
        case 403:
            return NoAccess, f"The app of {keys} has no access to this: change it in X's developer console."
        case 429 if title == "UsageCapExceeded" or kind == "usage-capped":
            return NoCredits, "The monthly cap of the X account is used up: raise it, or wait for next month."
        case 429:
            return RateLimited, "The rate window is used up."
    return UnexpectedAnswer, "The pipeline does not know this answer."


def _scheme(response: requests.Response) -> str:
    """How the request was authorized: `OAuth`, `Bearer` or `Basic`."""
    return str(response.request.headers.get("Authorization", "")).partition(" ")[0]


def _description(response: requests.Response, problem: dict[str, Any] | None = None) -> str:
    """The failing request and X's words for it, without its query: `X answered 401 to GET /2/users/by: …`."""
    request = response.request
    message = f"X answered {response.status_code} to {request.method} {urlsplit(request.url or '').path}"
    if problem is None:
        return message
    details = [problem.get("title"), problem.get("detail"), problem.get("reason")]
    details += [error.get("message") for error in problems(problem)]
    words = (
        safe_text("; ".join(safe_text(detail).rstrip(".") for detail in details if detail), LONGEST_WORDS)
        or safe_text(_beginning(response))
        or "(empty body)"
    )
    return f"{message}: {words}."


def _beginning(response: requests.Response) -> str:
    """The first 200 bytes; `response.text` would guess at the encoding of all of them."""
    return response.content[:200].decode(errors="replace").strip()


def _clock_error(response: requests.Response, problem: dict[str, Any]) -> str:
    """What X's time is, and ours, if X refused a signature because they differ; else nothing.

    X says so by a code, or answers a plain 401. Of the two schemes OAuth 1.0a alone signs the time.
    """
    is_said = TIMESTAMP_OUT_OF_BOUNDS in _codes(problem)
    signed = SIGNED_AT.search(str(response.request.headers.get("Authorization", "")))
    ours = datetime.fromtimestamp(int(signed[1]) if signed else time.time(), UTC)
    theirs = _date(response)
    is_apart = theirs is not None and abs(theirs - ours) > CLOCK_TOLERANCE
    if not is_said and not (is_apart and signed and response.status_code == 401):
        return ""
    x_time = f"{theirs:%Y-%m-%d %H:%M:%S}" if theirs else "not told"
    return (
        f"The clock of this host is wrong, and not the keys: X's time was {x_time}, this host's "
        f"{ours:%Y-%m-%d %H:%M:%S} UTC. Let the host synchronize its clock (`timedatectl set-ntp true`), "
        "then clear the task."
    )


def _date(response: requests.Response) -> datetime | None:
    """X's time, if its header tells one."""
    try:
        found = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _codes(problem: dict[str, Any]) -> list[Any]:
    return [error.get("code") for error in problems(problem)]


def _reset(response: requests.Response) -> datetime | None:
    """When the rate window ends, if the header tells a time."""
    try:
        return datetime.fromtimestamp(int(response.headers["x-rate-limit-reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def _object(response: requests.Response) -> dict[str, Any]:
    """The JSON object that every success of X is; anything else comes from something in front of X."""
    body = _json(response)
    if not isinstance(body, dict):
        raise NoResponse(
            f"{_description(response)}, but what it sent is no JSON object: {_beginning(response)[:80]!r}"
        )
    return body


def _json(response: requests.Response) -> Any:
    try:
        return decoded(response.content)
    except ValueError:
        return None
