"""The HTTP server: authentication, faults, latency, rate limits, the request log, and the controls.

Controls, for loopback only and without credentials:

    GET /_control/health
    GET /_control/requests?since=N   the log from entry N on; DELETE clears it, but not the file
    GET /_control/open               how many requests are in progress
    GET /_control/faults             the remaining faults; PUT replaces them
    PUT /_control/latency            {"ms": 200}
    PUT /_control/rate_limit         {"limit": 5, "window": 2, "match": "/tweets"}; DELETE ends it
    PUT /_control/owners             {"acme_press": "posts_5_b"}: that account owns the handle
    PUT /_control/usage              {"2026-11-18": 700}: posts that X has counted, by UTC day
    PUT /_control/jobs               {"polls": 2, "ends": ["failed"]}: how the next jobs end; DELETE: no job
    PUT /_control/posts              {"1990…": "deleted"}: or protected, suspended, withheld
    GET /_control/bill               the posts charged, each once a UTC day, by day; DELETE clears it
    PUT /_control/clock              {"now": "2026-11-19T02:00:00+00:00"} stops the clock there
    DELETE /_control/everything      resets all of this, but not the file
"""

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from local.x_api import auth, posts
from local.x_api.compliance import Jobs
from local.x_api.endpoints import ENDPOINTS
from local.x_api.errors import NOT_A_PAGE, Body, Refusal
from local.x_api.faults import Context, Fault, Faults
from local.x_api.limits import Limit, RateLimits
from local.x_api.request import ApiRequest

Endpoint = Callable[[ApiRequest], Body]
METHODS = ["GET", "PUT", "POST", "DELETE"]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class StandIn:
    """The state of a running stand-in."""

    log: Path | None = None
    latency: float = 0
    clock: Callable[[], datetime] = utc_now
    requests: list[Body] = field(default_factory=list)
    open: int = 0
    faults: Faults = field(default_factory=Faults)
    limits: RateLimits = field(default_factory=RateLimits)
    known: dict[str, str] = field(default_factory=dict)
    """Handles by user id: ids are hashes, so only known handles (used here, or in the log) can be read."""
    owners: dict[str, str] = field(default_factory=dict)
    """Accounts by the handle that they own now, named by the handle of their ids and posts."""
    before: Counter[str] = field(default_factory=Counter)
    """Posts that were charged before, by UTC day, according to the log or an order."""
    states: dict[str, str] = field(default_factory=dict)
    """The states of changed posts, by id."""
    jobs: Jobs = field(default_factory=Jobs)
    """X's batch compliance."""
    charged: dict[str, set[str]] = field(default_factory=dict)
    """The ids of the posts returned, by UTC day: X charges each once a day."""
    last_pages: dict[str, list[Body]] = field(default_factory=dict)
    """The posts of the last page of each sequence of pages, kept while faults are ordered."""

    def __post_init__(self) -> None:
        handles = set(posts.DEMO)
        if self.log and self.log.exists():
            for line in self.log.read_bytes().splitlines():
                with suppress(orjson.JSONDecodeError):  # the last line of a killed stand-in
                    entry = orjson.loads(line)
                    handles.update(entry["handles"])
                    self.before[entry["time"][:10]] += entry["posts"]
        self.known.update((posts.user_id(handle), handle) for handle in handles)

    async def respond(self, request: Request, family: str, endpoint: Endpoint | None) -> Response:
        """Respond to a request to X, with the ordered faults, and log it."""
        line = f"{request.method} {request.url.path}?{request.url.query}"
        params, kind = dict(request.query_params), auth.claimed(request)
        call = ApiRequest(
            params, request.path_params, kind, self.clock(), line, self.known, self.owners, self.states
        )
        call.charged = self.before + Counter({day: len(ids) for day, ids in self.charged.items()})
        form = await request.body()
        call.method, call.form, call.host = request.method, form, str(request.base_url).rstrip("/")
        fault = self.faults.striking(line)
        if self.latency:
            await asyncio.sleep(self.latency)
        if fault and "status" in fault.order:
            response = _ordered(fault.order)
        elif family == "nowhere":
            response = Response(NOT_A_PAGE, 404, media_type="text/html")
        elif family == "storage":
            status, stored = self.jobs.stored(call)
            response = Response(stored, status, media_type="text/plain")
        else:
            response = self._x_response(request, family, endpoint, call, fault)
        if fault and "reset" in fault.order:
            response = _Reset()
        elif fault and "truncate" in fault.order:
            response = _Truncated(response.body, response.status_code, dict(response.headers))
        self._log(request, call, response, fault)
        return response

    def _x_response(
        self, request: Request, family: str, endpoint: Endpoint | None, call: ApiRequest, fault: Fault | None
    ) -> Response:
        """X's response, changed by the fault."""
        headers: dict[str, str] = {}
        try:
            if endpoint is None:
                return _json(200, auth.bearer_token(request, call.form), headers)
            auth.check(request)
            headers = self.limits.spend(family, call.auth, call.line, call.now.timestamp())
            body = self._changed(endpoint(call), fault, call, request.url.path)
        except Refusal as refusal:
            return _json(refusal.status, refusal.body, headers | refusal.headers)
        if family == "posts" or (family != "jobs" and "result_count" in body.get("meta", {})):
            ids = [post["id"] for post in body.get("data", [])]
            call.posts = len(ids)
            self.charged.setdefault(f"{call.now:%Y-%m-%d}", set()).update(ids)
        return _json(200, body, headers)

    def _changed(self, body: Body, fault: Fault | None, call: ApiRequest, path: str) -> Body:
        sequence = str([path] + [call.params.get(name) for name in ("query", "start_time", "end_time")])
        before = self.last_pages.get(sequence, []) if call.token else []
        if not self.faults.waiting:
            self.last_pages.clear()
        elif "meta" in body:
            self.last_pages[sequence] = body.get("data", [])
        return fault.changed(body, Context(call.token, before, call.path.get("id", ""))) if fault else body

    def _log(self, request: Request, call: ApiRequest, response: Response, fault: Fault | None) -> None:
        entry = {
            "time": call.now.isoformat(),
            "method": request.method,
            "path": request.url.path,
            "query": dict(request.query_params),
            "status": None if isinstance(response, _Reset) else response.status_code,
            "auth": call.auth,
            "posts": call.posts,
            "users": call.users,
            "handles": call.handles,
            "fault": fault.order if fault else None,
        }
        self.requests.append(entry)
        if self.log:
            with self.log.open("ab") as file:
                file.write(orjson.dumps(entry) + b"\n")

    async def control(self, request: Request) -> Response:
        """Handle the controls listed at the top of this module."""
        if not request.client or not ip_address(request.client.host).is_loopback:
            return JSONResponse({"error": "the controls are for loopback"}, 403)
        try:
            order = json.loads(await request.body() or b"null")
            since = int(request.query_params.get("since", 0))
            result = self._controlled(f"{request.method} {request.path_params['name']}", order, since)
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": repr(error)}, 400)
        return JSONResponse(result)

    def _controlled(self, control: str, order: Any, since: int) -> Any:
        match control:
            case "GET health":
                return {"status": "ok"}
            case "GET requests":
                return self.requests[since:]
            case "GET open":
                return self.open
            case "DELETE requests":
                self.requests.clear()
            case "GET faults":
                return [fault.remaining for fault in self.faults.waiting]
            case "PUT faults":
                self.faults.waiting = [Fault.read(one) for one in order]
            case "PUT latency":
                self.latency = order["ms"] / 1000
            case "PUT rate_limit":
                self.limits.ordered = Limit(**order, since=self.clock().timestamp())
            case "DELETE rate_limit":
                self.limits.ordered = None
            case "PUT owners":
                self.owners = {handle.lower(): account.lower() for handle, account in order.items()}
                self.known.update((posts.user_id(handle), handle) for handle in self.owners)
            case "PUT usage":
                self.before = Counter(order)
                self.charged.clear()
            case "PUT posts":
                self.states = dict(order)
            case "PUT jobs":
                self.jobs.order(**order)
            case "DELETE jobs":
                self.jobs = Jobs()
            case "GET bill":
                return {day: len(ids) for day, ids in self.charged.items()}
            case "DELETE bill":
                self.charged.clear()
            case "PUT clock":
                self.clock = partial(datetime.fromisoformat, order["now"])
            case "DELETE everything":
                fresh = vars(StandIn())
                for name in fresh.keys() - {"known", "log", "open"}:
                    setattr(self, name, fresh[name])
            case _:
                raise ValueError(f"no control {control}")
        return {"status": "done"}


def create_app(stand_in: StandIn) -> Starlette:
    """The ASGI application of a stand-in."""

    def route(path: str, family: str, endpoint: Endpoint | None, methods: list[str]) -> Route:
        async def respond(request: Request) -> Response:
            stand_in.open += 1
            try:
                return await stand_in.respond(request, family, endpoint)
            finally:
                stand_in.open -= 1

        return Route(path, respond, methods=methods)

    return Starlette(
        routes=[
            Route("/_control/{name}", stand_in.control, methods=METHODS),
            route("/oauth2/token", "token", None, ["POST"]),
            *(route(*endpoint, ["GET"]) for endpoint in ENDPOINTS),
            route("/2/compliance/jobs", "jobs", lambda call: stand_in.jobs.listed(call), ["GET", "POST"]),
            route("/2/compliance/jobs/{id}", "jobs", lambda call: stand_in.jobs.one(call), ["GET"]),
            route("/storage/{what}/{id}", "storage", None, ["GET", "PUT"]),
            route("/{anything:path}", "nowhere", None, METHODS),
        ]
    )


class _Reset(Response):
    """Breaks the TCP connection without a response, as a killed peer does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _transport(receive)
        at_once = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        transport.abort()
        await receive()


class _Truncated(Response):
    """Announces the whole body, sends half of it, and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _transport(receive).close()
        await receive()


def _transport(receive: Receive) -> Any:
    return receive.__self__.transport  # type: ignore[attr-defined]  # uvicorn's own: ASGI does not offer it


def _json(status: int, body: Body, headers: dict[str, str]) -> Response:
    is_problem = status in (401, 403, 429) and "title" in body
    media = "application/problem+json" if is_problem else "application/json; charset=utf-8"
    return Response(orjson.dumps(body), status, headers | {"x-access-level": "read"}, media_type=media)


def _ordered(order: Body) -> Response:
    """The response that a fault contains: a string as HTML, anything else as JSON."""
    body = order.get("body", "")
    is_text = isinstance(body, str)
    headers = {"content-type": "text/html" if is_text else "application/json; charset=utf-8"}
    headers |= {name.lower(): str(value) for name, value in order.get("headers", {}).items()}
    return Response(body if is_text else orjson.dumps(body), order["status"], headers)
