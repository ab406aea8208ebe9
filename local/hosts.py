"""Rejects requests that a foreign web page sends to a server on this machine.

Loopback does not protect a server from a browser: a web page can send requests to any local port. If the
page's host name resolves to 127.0.0.1 (DNS rebinding), the page can also read the responses. The browser
still sends that name in the Host header, and the address of the page in the Origin header.

This module uses only the standard library, because ministack runs in its own environment.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?", re.IGNORECASE)
"""With any port: an SSH tunnel may use another one, and an attack needs another host name."""


class LoopbackOnly:
    """ASGI middleware: responds 403 unless Host is this machine and Origin, if present, the same server."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (reason := refusal(scope)) is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": f"{reason}\n".encode()})


def refusal(scope: Any) -> str | None:
    """Why a request is rejected; None if it is accepted."""
    hosts, origins = (
        [v.decode("latin-1") for k, v in scope["headers"] if k == n] for n in (b"host", b"origin")
    )
    if len(hosts) != 1 or not LOOPBACK.fullmatch(hosts[0]):
        return (
            "This server accepts requests to its own machine only: the Host header must be 127.0.0.1 or "
            "localhost, with any port. Example: http://127.0.0.1:8080/"
        )
    own = {f"{scheme}://{hosts[0]}".lower() for scheme in ("http", "https")}
    if any(origin.lower() not in own for origin in origins):
        return f"This server rejects requests of other sites' pages: the Origin header must be http://{hosts[0]}."
    return None
