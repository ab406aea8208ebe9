"""A web server on loopback that sends prepared responses and records the requests."""

import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from threading import Event, Thread
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response


@dataclass
class RecordedRequest:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass
class HttpRecorder:
    """Sends the responses of `responses` in order: status, body (JSON or bytes; None hangs up) and headers.

    For concurrent requests, `replies` returns the status and the body of the response to a request.
    """

    host: str
    responses: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    requests: list[RecordedRequest] = field(default_factory=list)
    replies: Callable[[RecordedRequest], tuple[int, Any]] | None = None

    def respond(self, status: int, body: Any, **headers: str) -> None:
        self.responses.append(
            (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        )

    def reply(self, incoming: Request) -> Response:
        request = RecordedRequest(
            incoming.method,
            incoming.path,
            incoming.args.to_dict(),
            {name.lower(): value for name, value in incoming.headers.items()},
            incoming.get_data(as_text=True),
        )
        self.requests.append(request)
        status, body, headers = (*self.replies(request), {}) if self.replies else self.responses.pop(0)
        if body is None:
            incoming.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Response([content], status, {"content-length": str(len(content)), **headers})


@cache
def _server() -> HTTPServer:
    """One for the whole process: stopping one takes half a second."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = HTTPServer(threaded=True)
    server.start()
    return server


@contextmanager
def serving(reply: Callable[[Request], Response]) -> Iterator[str]:
    """The address of a server that responds to every request with `reply`."""
    server = _server()
    server.expect_request(re.compile("")).respond_with_handler(reply)
    try:
        yield server.url_for("").rstrip("/")
    finally:
        server.clear()


@contextmanager
def listening() -> Iterator[HttpRecorder]:
    recorder = HttpRecorder("")
    with serving(recorder.reply) as recorder.host:
        yield recorder


@contextmanager
def dripping(first: bytes, then: bytes, seconds: float = 0.02) -> Iterator[str]:
    """The address of a server that sends `first`, then `then` again and again, without an end."""
    ended = Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while b"\r\n\r\n" not in connection.recv(1 << 16):
                pass
            connection.sendall(first)
            while not ended.wait(seconds):
                connection.sendall(then)

    def accept() -> None:
        with suppress(OSError):
            while True:
                Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
