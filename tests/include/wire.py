"""A web server on loopback that says what it is told to, and keeps what it heard."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Heard:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass
class Wire:
    """`says` holds what is still to be answered: status, body (JSON or bytes; None hangs up) and headers.

    Where several ask at once, `replies` tells the status and the body for what was heard.
    """

    host: str
    says: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    replies: Callable[[Heard], tuple[int, Any]] | None = None

    def say(self, status: int, body: Any, **headers: str) -> None:
        self.says.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))


@contextmanager
def listening() -> Iterator[Wire]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard = Heard(self.command, url.path, query, headers, body)
            wire.heard.append(heard)
            status, answer, more = (*wire.replies(heard), {}) if wire.replies else wire.says.pop(0)
            if answer is None:
                self.close_connection = True
                return
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_GET

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    wire = Wire(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
