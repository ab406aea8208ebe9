"""X's batch compliance: jobs that check ids, and the storage behind their signed addresses.

A job waits a quarter of an hour for its ids, and ends after an ordered number of status requests. The storage
accepts everybody who has the address, and nobody who sends keys of X.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from local.x_api import posts
from local.x_api.errors import Body, invalid, one_job_at_a_time
from local.x_api.request import FIELDS, ApiRequest

OPEN = ("created", "in_progress")
REASONS = {"deleted": "deleted", "protected": "protected", "suspended": "suspended"}
"""The reason by the state of a post; a withheld post is not reported."""
UPLOAD_LIFETIME, DOWNLOAD_LIFETIME = timedelta(minutes=15), timedelta(days=7)


@dataclass
class Job:
    """A job; `ids` are None until they are uploaded."""

    id: str
    kind: str
    name: str | None
    made_at: datetime
    ends: str
    polls: int
    """Status requests until it has ended."""
    ids: list[str] | None = None

    def status(self, now: datetime) -> str:
        if self.ids is None:
            return "created" if now < self.made_at + UPLOAD_LIFETIME else "expired"
        return "in_progress" if self.polls > 0 else self.ends


@dataclass
class Jobs:
    """All jobs of the app, and the order for the next ones."""

    made: dict[str, Job] = field(default_factory=dict)
    polls: int = 0
    ends: list[str] = field(default_factory=list)

    def order(self, polls: int = 0, ends: list[str] | None = None) -> None:
        """New jobs end after so many status requests, the first ones as `failed` or `expired`."""
        self.polls, self.ends = polls, ends or []

    def listed(self, call: ApiRequest) -> Body:
        """The jobs of a kind; or, for a POST, a new job."""
        call.require_bearer()
        if call.method == "POST":
            return {"data": self._described(self._new(call), call)}
        call.allow("type", "status", "compliance_job.fields", *FIELDS)
        kind, status = _kind(call.params.get("type", "")), call.params.get("status")
        jobs = [self._described(job, call) for job in self.made.values() if job.kind == kind]
        data = [job for job in jobs if status in (None, job["status"])]
        return ({"data": data} if data else {}) | {"meta": {"result_count": len(data)}}

    def one(self, call: ApiRequest) -> Body:
        """The status of a job, which ends after enough status requests."""
        call.require_bearer()
        if not (job := self.made.get(call.path["id"])):
            raise invalid("id", call.path["id"], "is no job of this app")
        body = {"data": self._described(job, call)}
        if job.ids is not None:
            job.polls -= 1
        return body

    def _new(self, call: ApiRequest) -> Job:
        order = json.loads(call.form or b"{}")
        kind, name = _kind(str(order.get("type", ""))), order.get("name")
        if set(order) - {"type", "name", "resumable"} or len(name or "") > 64:
            raise invalid("body", call.form.decode(), "is not as described")
        if any(job.kind == kind and job.status(call.now) in OPEN for job in self.made.values()):
            raise one_job_at_a_time()
        id_ = str(posts.id_at(call.now) + len(self.made))
        ends = self.ends.pop(0) if self.ends else "complete"
        self.made[id_] = Job(id_, kind, name, call.now, ends, self.polls)
        return self.made[id_]

    def _described(self, job: Job, call: ApiRequest) -> Body:
        described = {
            "id": job.id,
            "type": job.kind,
            "status": job.status(call.now),
            "resumable": False,
            "created_at": posts.stamp(job.made_at),
            "upload_url": _signed(job, "submission", call),
            "upload_expires_at": posts.stamp(job.made_at + UPLOAD_LIFETIME),
            "download_url": _signed(job, "delivery", call),
            "download_expires_at": posts.stamp(job.made_at + DOWNLOAD_LIFETIME),
        }
        return described | ({"name": job.name} if job.name else {})

    def stored(self, call: ApiRequest) -> tuple[int, bytes]:
        """The response of the storage: status and body."""
        job, kind = self.made.get(call.path["id"]), call.path["what"]
        if call.auth != "none" or not job or call.params.get("signature") != _signature(job, kind):
            return 403, b"<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code></Error>"
        if kind == "submission" and call.method == "PUT" and job.status(call.now) == "created":
            job.ids = call.form.decode().split()
            return 200, b""
        if kind == "delivery" and call.method == "GET" and job.status(call.now) == "complete":
            lines = [_line(id_, call) for id_ in job.ids or () if call.states.get(id_) in REASONS]
            return 200, "".join(lines).encode()
        return 404, b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"


def _line(id_: str, call: ApiRequest) -> str:
    line: dict[str, Any] = {
        "id": id_,
        "action": "delete",
        "created_at": posts.stamp(posts.time_of(int(id_))),
        "redacted_at": posts.stamp(call.now.astimezone(UTC)),
        "reason": REASONS[call.states[id_]],
    }
    return json.dumps(line, separators=(",", ":")) + "\n"


def _kind(text: str) -> str:
    if text not in ("tweets", "users"):
        raise invalid("type", text, "is not one of [tweets,users]")
    return text


def _signed(job: Job, kind: str, call: ApiRequest) -> str:
    return f"{call.host}/storage/{kind}/{job.id}?signature={_signature(job, kind)}"


def _signature(job: Job, kind: str) -> str:
    return sha256(f"{job.id} {kind} signed".encode()).hexdigest()
