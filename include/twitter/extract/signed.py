"""The storage beside X, by signed addresses: whoever has one may use it, so no error and no log names it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import IO, Any
from urllib.parse import urlsplit

import requests

from include.twitter.errors import JobGone, Outage, UnexpectedAnswer
from include.twitter.extract.x import TIMEOUT, TRANSPORT_ERRORS
from include.twitter.http_limits import is_overdue, limited_session

PART = 1 << 16
"""Bytes that are held at once."""
MOST_SECONDS = 1800
"""For one file of ids, or one of answers: half a gigabyte at 300 kB a second."""
ERROR_BYTES = 1 << 20
"""Of a response that is not streamed."""


def upload(address: str, file: IO[bytes]) -> None:
    """Put a file of ids there, one a line."""
    file.seek(0)
    _answer("PUT", address, data=file, headers={"Content-Type": "text/plain"}).close()


def download(address: str, file: IO[bytes], most: int) -> None:
    """Get what lies there into a file; UnexpectedAnswer where it has more than so many bytes."""
    with _answer("GET", address, stream=True) as response:
        try:
            for part in response.iter_content(PART):
                file.write(part)
                if file.tell() > most:
                    raise UnexpectedAnswer(f"X's answer has more than {most} bytes: it cannot be that long.")
        except TRANSPORT_ERRORS as error:
            raise _away(error, "GET", address) from None


def _answer(method: str, address: str, **how: Any) -> requests.Response:
    """What the storage answers, without X's keys and without going elsewhere."""
    _require_safe(address)
    try:
        with limited_session(ERROR_BYTES, MOST_SECONDS) as session:
            response = session.request(method, address, timeout=TIMEOUT, allow_redirects=False, **how)
    except TRANSPORT_ERRORS as error:
        raise _away(error, method, address) from None
    if response.status_code != 200:
        response.close()
        said = f"X's storage, {_host(address)}, answered {response.status_code} to {method}"
        if method == "GET" and response.status_code in (404, 410):
            raise JobGone(f"{said}: the answer of the job is gone.")
        raise Outage(f"{said}: it is tried again.")
    return response


def _away(error: Exception, method: str, address: str) -> Outage:
    if is_overdue():
        return Outage(
            f"X's storage took more than {MOST_SECONDS} s for {method} {_host(address)}: it was cut."
        )
    return Outage(f"X's storage cannot be reached: {type(error).__name__} on {method} {_host(address)}.")


def _require_safe(address: str) -> None:
    """Refuse an address that would send ids in the clear, but for this machine's own."""
    scheme, host = urlsplit(address).scheme, _host(address)
    if not host or not (scheme == "https" or (scheme == "http" and _is_here(host))):
        raise UnexpectedAnswer(
            f"X names an address of {scheme or 'no scheme'} at {host or 'no host'}, where https is expected. "
            "Look into X's developer console before ids are sent."
        )


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
