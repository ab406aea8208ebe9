"""Limits on the response of a server: bytes after decompression, and seconds for the whole request.

A timeout of `requests` limits each single read, so a server that sends a byte every second never exceeds it.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from math import inf
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool

PART = 1 << 16
"""Bytes that are decompressed at a time."""


class TooLarge(requests.RequestException):
    """A response has more bytes than its limit; the rest was not read."""


def no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An `auth` that adds nothing.

    Without it, `requests` replaces our credentials by those in ~/.netrc. `trust_env=False` would prevent that
    too, but also ignore the proxies and CA certificates of the environment.
    """
    return request


def limited_session(most_bytes: int, most_seconds: float) -> requests.Session:
    """A session with these limits that ignores ~/.netrc."""
    session = requests.Session()
    session.auth = no_netrc
    for scheme in ("http://", "https://"):
        session.mount(scheme, LimitedAdapter(most_bytes, most_seconds))
    return session


class _Sending(threading.local):
    """The last request of this thread."""

    has_begun: bool | None = None
    """Whether at least a part of it was sent; None if this module's adapter did not send it."""
    ends: float = inf
    """The time by which its response has to be complete."""


sending = _Sending()


def is_overdue() -> bool:
    """Whether this thread's last request has used up its time."""
    return time.monotonic() >= sending.ends


class LimitedAdapter(HTTPAdapter):
    """Sends a request within `most_seconds`, and reads at most `most_bytes` of the response.

    It limits only the time of a streamed response. `sending` records whether a failed request was sent: a
    handshake can fail with the same exceptions.
    """

    def __init__(self, most_bytes: int, most_seconds: float, **options: Any) -> None:
        self._most_bytes, self._most_seconds = most_bytes, most_seconds
        super().__init__(**options)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _TlsConnection if pool.scheme == "https" else _Connection
        return pool

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, *args: Any, **options: Any
    ) -> requests.Response:
        sending.has_begun = False
        sending.ends = time.monotonic() + self._most_seconds
        response = super().send(request, True, *args, **options)
        if not stream:
            self._read(response)
        return response

    def _read(self, response: requests.Response) -> None:
        """Read the body; an error carries the response, because its status is known."""
        body = bytearray()
        try:
            for part in response.iter_content(PART):
                body += part
                if len(body) > self._most_bytes:
                    raise TooLarge(f"more than {self._most_bytes:,} bytes")
        except requests.RequestException as error:
            response.close()
            error.response = response
            raise
        response._content = bytes(body)


class _UntilDeadline(io.RawIOBase):
    """The bytes of a socket; each read times out at the end of the request."""

    def __init__(self, connection: socket.socket, raw: Any) -> None:
        self._connection, self._raw = connection, raw
        self._ends, self._timeout = sending.ends, connection.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if (remaining := self._ends - time.monotonic()) <= 0:
            raise TimeoutError("the response was not complete in time")
        if remaining != inf:
            self._connection.settimeout(remaining if self._timeout is None else min(remaining, self._timeout))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response whose status line, headers and body are read until the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_UntilDeadline(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    """Records that a request is being sent, once it is connected."""

    response_class = _Response

    def endheaders(self, *args: Any, **options: Any) -> None:
        if self.is_closed:
            self.connect()
        sending.has_begun = True
        super().endheaders(*args, **options)

    def send(self, data: Any) -> None:
        if is_overdue():
            raise TimeoutError("the request was not sent in time")
        super().send(data)


class _TlsConnection(_Connection, HTTPSConnection):
    pass
