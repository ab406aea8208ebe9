"""X's API v2 as this pipeline uses it: the only importer of tweepy.

Responses are returned exactly as X sent them. A response without success becomes an error of `errors` before
tweepy sees it: tweepy has no timeout, lets exceptions of `requests` through, and fails on some bodies of X.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
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
from include.twitter.errors import BadKeys, KeysInDoubt, NoResponse, Outage, UnexpectedResponse
from include.twitter.response import MAX_BYTES, Response
from include.twitter.settings import XAccess
from include.twitter.sources import Endpoint, PageRequest
from include.twitter.x.errors import JOBS_PATH, USAGE_PATH, described, error_of, json_object, scheme_of
from include.twitter.x.http_limits import LimitedAdapter, TooLarge, is_overdue, no_netrc, sending

TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for the next bytes."""
RESPONSE_SECONDS = 180
"""For a request and its whole response. X takes some seconds for its largest page."""
ARCHIVE_SECONDS = 1.0
"""X's minimum between two requests to its full archive."""
READERS = 8
"""Accounts that are read concurrently."""
HANDLES_A_LOOKUP = 100
"""X's limit."""
POSTS_A_LOOKUP = 100
"""X's limit."""
USAGE_FIELDS = ("daily_client_app_usage", "daily_project_usage", "project_cap", "project_usage")
TRANSPORT_ERRORS = (
    TooLarge,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)

# X bills posts, not fields, and a field that is needed later has to be bought again: so all described fields
# are requested. Exceptions: the counts that X shows only to a post's author, and `article_title`, which 2.166
# does not know (`article` has the title).
POST_FIELDS = [
    "article", "attachments", "author_id", "card_uri", "community_id", "context_annotations",
    "conversation_id", "created_at", "display_text_range", "edit_controls", "edit_history_tweet_ids",
    "entities", "geo", "id", "in_reply_to_user_id", "lang", "matched_media_notes", "media_metadata",
    "note_request_suggestions", "note_tweet", "paid_partnership", "possibly_sensitive", "public_metrics",
    "referenced_tweets", "reply_settings", "scopes", "source", "suggested_source_links",
    "suggested_source_links_with_counts", "text", "withheld",
]  # fmt: skip
COUNTED_FIELDS = ["author_id", "created_at", "edit_history_tweet_ids", "public_metrics", "withheld"]
"""The fields of a later look-up of landed posts."""
ARCHIVE_FIELDS = [name for name in POST_FIELDS if name != "context_annotations"]
"""X refuses a page of more than 100 posts with annotations: docs/decisions/0020."""

# tweepy writes the bearer token into its debug log, oauthlib the consumer key and every signature.
for chatty in ("tweepy", "oauthlib", "requests_oauthlib", "urllib3"):
    logging.getLogger(chatty).setLevel(logging.INFO)


class X:
    """A connection to X that several threads may use; `clock` gives the time of receipt of a response."""

    def __init__(self, access: XAccess, clock: Callable[[], datetime], *, are_known: bool = False) -> None:
        """`are_known`: X has accepted these keys before, so one refusal does not prove them wrong."""
        self._clock = clock
        self.is_user = access.user
        """Whether requests are signed in a user's name."""
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
        """Look up at most 100 handles; X bills each user returned."""
        return self._respond(
            "users",
            self._client.get_users,
            usernames=list(handles),
            user_fields=["protected"],
            user_auth=self.is_user,
        )

    def posts(self, ids: Sequence[str], *, free: bool = False, whole: bool = False) -> Response:
        """Look up at most 100 posts with their current counts, or with all fields of a page if `whole`.

        `free`: X has charged these posts on this day already.
        """
        return self._respond(
            "rereads" if free else "posts",
            self._client.get_tweets,
            list(ids),
            tweet_fields=POST_FIELDS if whole else COUNTED_FIELDS,
            user_auth=self.is_user,
        )

    def page(
        self, request: PageRequest, day: Day, size: int, token: str | None = None, until_id: int | None = None
    ) -> Response:
        """One page of a source's posts of a day, newest first: at a token, or below an id.

        The full archive accepts one request a second, app-only. The `end_time` of a timeline is inclusive, so
        it is the day's last second; that of searches and counts is exclusive.
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
                send, params["exclude"] = self._client.get_users_tweets, ["retweets", "replies"]
                params["user_auth"] = self.is_user
            case Endpoint.RECENT_SEARCH:
                send, params["user_auth"] = self._client.search_recent_tweets, self.is_user
            case Endpoint.FULL_ARCHIVE_SEARCH:
                send, params["tweet_fields"] = self._app_only().search_all_tweets, ARCHIVE_FIELDS
                self._wait_for_the_archive()
        return self._respond(request.kind, send, request.target, **params)

    def count(self, query: str, day: Day, *, archive: bool) -> Response:
        """X's own count of a query's posts of a day by the hour; app-only, billed per request."""
        if archive:
            return self.count_days(query, day, day)
        return self._respond("counts", self._app_only().get_recent_tweets_count, query, **_hours(day, day))

    def count_days(self, query: str, first: Day, last: Day, token: str | None = None) -> Response:
        """The archive's count of a query by the hour; beyond 31 days it has a `token` for the rest."""
        send = self._app_only().get_all_tweets_count
        self._wait_for_the_archive()
        return self._respond("archive_counts", send, query, next_token=token, **_hours(first, last))

    def usage(self, days: int) -> bytes:
        """X's own count of the posts read on each of the last 1 to 90 days; free, app-only."""
        params = {"days": days, "usage.fields": ",".join(USAGE_FIELDS)}
        response = self._app_only().request("GET", USAGE_PATH, params=params)
        json_object(response)
        return response.content

    def jobs(self) -> list[Any]:
        """The app's compliance jobs for posts; app-only."""
        return self._job_request("GET", JOBS_PATH, params={"type": "tweets"}) or []

    def make_job(self, name: str) -> Any:
        """Create a compliance job, which waits for its ids."""
        return self._job_request("POST", JOBS_PATH, json={"type": "tweets", "name": name})

    def job(self, id_: str) -> Any:
        """The current state of a compliance job."""
        return self._job_request("GET", f"{JOBS_PATH}/{id_}")

    def _job_request(self, method: str, path: str, **options: Any) -> Any:
        """X's data on jobs. Their signed addresses open the storage to anybody, so logs mask them."""
        data: Any = json_object(self._app_only().request(method, path, **options)).get("data")
        for job in data if isinstance(data, list) else [data]:
            for name in ("upload_url", "download_url") if isinstance(job, dict) else ():
                if address := str(job.get(name) or ""):
                    mask_secret(address)
                    mask_secret(urlsplit(address).query or address)
        return data

    def _app_only(self) -> tweepy.Client:
        """The client with a bearer token, which X requires for its archive and counts."""
        with self._lock:
            if not self._client.bearer_token:
                self._client.bearer_token = self._derived_bearer()
        return self._client

    def _wait_for_the_archive(self) -> None:
        with self._lock:
            time.sleep(max(0, self._next_archive_request - time.monotonic()))
            self._next_archive_request = time.monotonic() + ARCHIVE_SECONDS

    def _respond(
        self, kind: str, send: Callable[..., requests.Response], *args: Any, **options: Any
    ) -> Response:
        response = send(*args, **options)
        url = urlsplit(response.request.url or "")
        json_object(response)
        return Response(url.path, dict(parse_qsl(url.query)), self._clock(), response.content, kind=kind)

    def _derived_bearer(self) -> str:
        """Exchange the consumer keys for an app-only token."""
        try:
            response = self._session.request(
                "POST",
                "/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(self._access.consumer_key, self._access.consumer_secret),
            )
            token = json_object(response).get("access_token")
        except NoResponse as error:
            raise Outage(str(error)) from None  # X bills no token, and the request that needs it was not sent
        if not token:
            raise UnexpectedResponse(f"{described(response)}, without an access_token for the consumer keys.")
        mask_secret(token)
        return token


def _hours(first: Day, last: Day) -> dict[str, Any]:
    return {"start_time": first.start, "end_time": last.end, "granularity": "hour"}


def owner_id(access: XAccess) -> str | None:
    """The id of the account that owns the access token: X's tokens start with `<id>-`."""
    id_, hyphen, _ = (access.access_token or "").partition("-")
    return id_ if access.user and hyphen and id_.isdecimal() else None


class _Session(requests.Session):
    """Sends tweepy's requests to the connection's host, with a timeout, and raises the pipeline's errors."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self.accepted: set[str] = set()
        """Authorization schemes, `OAuth` and `Bearer`, whose keys X has accepted."""
        # Only connecting is retried here: X may have billed any request that it read.
        retry = Retry(total=None, connect=2, read=0, redirect=0, status=0, other=0, backoff_factor=0.5)
        limits = (MAX_BYTES, RESPONSE_SECONDS)
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
            # The error's text may quote the request; its class and the host say enough.
            message = f"X cannot be reached: {type(error).__name__} on {method} {url}."
            if isinstance(error, TooLarge):
                message = f"X's response to {method} {url} has {error}, more than any page: it was discarded."
            elif is_overdue():
                message = f"X's response to {method} {url} was not complete after {RESPONSE_SECONDS} s."
            raise NoResponse(message) if _may_have_arrived(error) else Outage(message) from None
        if response.status_code == 200:
            self.accepted.add(scheme_of(response))
            return response
        problem = error_of(response)
        if isinstance(problem, BadKeys) and scheme_of(response) in self.accepted:
            # X refused valid keys for hours in 2026.
            raise KeysInDoubt(f"{problem} X accepted these keys before, so the fault may be its own.")
        raise problem


def _may_have_arrived(error: requests.RequestException) -> bool:
    """Whether X may have processed and billed a request that failed so.

    It did not if the request was not sent, or if the incomplete response is an error.
    """
    if error.response is not None and error.response.status_code != 200:
        return False
    if sending.has_begun is not None:
        return sending.has_begun
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return not (
        isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError)
        or isinstance(reason, NewConnectionError | ConnectTimeoutError)
    )
