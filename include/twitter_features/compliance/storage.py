"""Transfers ids and results to and from X's storage; no error and no log contains a signed URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

import requests

from include.twitter.errors import JobGone, Outage, UnexpectedResponse
from include.twitter.x.client import TIMEOUT, TRANSPORT_ERRORS
from include.twitter.x.http_limits import is_overdue, limited_session

CHUNK_BYTES = 1 << 16
MAX_SECONDS = 1800
"""For one file: half a gigabyte at 300 kB a second."""
MAX_ERROR_BYTES = 1 << 20
"""Of a response that is not streamed."""
LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}


def upload_file(address: str, file: IO[bytes]) -> None:
    """Upload a file of ids, one per line."""
    file.seek(0)
    with _response("PUT", address, data=file, headers={"Content-Type": "text/plain"}):
        pass


def download(address: str, file: IO[bytes], max_bytes: int) -> None:
    """Write the result into a file; UnexpectedResponse if it is larger than `max_bytes`."""
    with _response("GET", address, stream=True) as response:
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            if file.tell() > max_bytes:
                raise UnexpectedResponse(
                    f"X's result has more than {max_bytes} bytes: no result is that long."
                )


@contextmanager
def _response(method: str, address: str, **options: Any) -> Iterator[requests.Response]:
    """Send a request without X's keys, follow no redirect, and require status 200."""
    scheme, host = urlsplit(address).scheme, urlsplit(address).hostname or ""
    if not host or (scheme != "https" and not (scheme == "http" and host in LOOPBACK_HOSTS)):
        raise UnexpectedResponse(
            f"X sent a URL with {scheme or 'no scheme'} and {host or 'no host'}, and https is required. "
            "Check X's developer console before you clear this task."
        )
    try:
        with (
            limited_session(MAX_ERROR_BYTES, MAX_SECONDS) as session,
            session.request(method, address, timeout=TIMEOUT, allow_redirects=False, **options) as response,
        ):
            message = f"X's storage, {host}, responded {response.status_code} to {method}"
            if method == "GET" and response.status_code in (404, 410):
                raise JobGone(f"{message}: the result of the job is gone.")
            if response.status_code != 200:
                raise Outage(f"{message}: the task is retried.")
            yield response
    except TRANSPORT_ERRORS as error:
        if is_overdue():
            raise Outage(f"X's storage took more than {MAX_SECONDS} s for {method}: aborted.") from None
        raise Outage(f"X's storage, {host}, failed: {type(error).__name__} on {method}.") from None
