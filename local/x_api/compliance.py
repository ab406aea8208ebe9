"""X's batch compliance: jobs that check ids, and the storage beside X to which their signed addresses lead.

A job waits for its ids a quarter of an hour, and has its answer when it was looked at so many times. The
storage takes whoever has the address, and nobody who brings keys of X.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from local.x_api import posts
from local.x_api.ask import FIELDS, Ask
from local.x_api.errors import Body, invalid, one_job_at_a_time

OPEN = ("created", "in_progress")
REASONS = {"deleted": "deleted", "protected": "protected", "suspended": "suspended"}
"""What is said of a post in this state; of one that is withheld, nothing."""
UPLOADED_WITHIN, OFFERED = timedelta(minutes=15), timedelta(days=7)


@dataclass
class Job:
    """A job; `ids` are None until they are uploaded."""

    id: str
    kind: str
    name: str | None
    made_at: datetime
    ends: str
    polls: int
    """Looks at it until it has ended."""
    ids: list[str] | None = None

    def status(self, now: datetime) -> str:
        if self.ids is None:
            return "created" if now < self.made_at + UPLOADED_WITHIN else "expired"
        return "in_progress" if self.polls > 0 else self.ends


@dataclass
class Jobs:
    """All jobs of the app, and what was ordered of the next ones."""

    made: dict[str, Job] = field(default_factory=dict)
    polls: int = 0
    ends: list[str] = field(default_factory=list)

    def order(self, polls: int = 0, ends: list[str] | None = None) -> None:
        """Jobs made from now on end after so many looks, the first ones as `failed` or `expired`."""
        self.polls, self.ends = polls, ends or []

    def listed(self, ask: Ask) -> Body:
        """The jobs of a kind; or, posted to, a new one."""
        ask.require_bearer()
        if ask.method == "POST":
            return {"data": self._told(self._new(ask), ask)}
        ask.allow("type", "status", "compliance_job.fields", *FIELDS)
        kind, wanted = _kind(ask.params.get("type", "")), ask.params.get("status")
        found = [self._told(job, ask) for job in self.made.values() if job.kind == kind]
        data = [job for job in found if wanted in (None, job["status"])]
        return ({"data": data} if data else {}) | {"meta": {"result_count": len(data)}}

    def one(self, ask: Ask) -> Body:
        """How far a job is: each look brings it further."""
        ask.require_bearer()
        if not (job := self.made.get(ask.path["id"])):
            raise invalid("id", ask.path["id"], "is no job of this app")
        told = {"data": self._told(job, ask)}
        if job.ids is not None:
            job.polls -= 1
        return told

    def _new(self, ask: Ask) -> Job:
        asked = json.loads(ask.form or b"{}")
        kind, name = _kind(str(asked.get("type", ""))), asked.get("name")
        if set(asked) - {"type", "name", "resumable"} or len(name or "") > 64:
            raise invalid("body", ask.form.decode(), "is not as described")
        if any(job.kind == kind and job.status(ask.now) in OPEN for job in self.made.values()):
            raise one_job_at_a_time()
        id_ = str(posts.id_at(ask.now) + len(self.made))
        ends = self.ends.pop(0) if self.ends else "complete"
        self.made[id_] = Job(id_, kind, name, ask.now, ends, self.polls)
        return self.made[id_]

    def _told(self, job: Job, ask: Ask) -> Body:
        told = {
            "id": job.id,
            "type": job.kind,
            "status": job.status(ask.now),
            "resumable": False,
            "created_at": posts.stamp(job.made_at),
            "upload_url": _signed(job, "submission", ask),
            "upload_expires_at": posts.stamp(job.made_at + UPLOADED_WITHIN),
            "download_url": _signed(job, "delivery", ask),
            "download_expires_at": posts.stamp(job.made_at + OFFERED),
        }
        return told | ({"name": job.name} if job.name else {})

    def stored(self, ask: Ask) -> tuple[int, bytes]:
        """What the storage answers: status and body."""
        job, what = self.made.get(ask.path["id"]), ask.path["what"]
        if ask.auth != "none" or not job or ask.params.get("signature") != _signature(job, what):
            return 403, b"<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code></Error>"
        if what == "submission" and ask.method == "PUT" and job.status(ask.now) == "created":
            job.ids = ask.form.decode().split()
            return 200, b""
        if what == "delivery" and ask.method == "GET" and job.status(ask.now) == "complete":
            lines = [_line(id_, ask) for id_ in job.ids or () if ask.states.get(id_) in REASONS]
            return 200, "".join(lines).encode()
        return 404, b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"


def _line(id_: str, ask: Ask) -> str:
    told: dict[str, Any] = {
        "id": id_,
        "action": "delete",
        "created_at": posts.stamp(posts.time_of(int(id_))),
        "redacted_at": posts.stamp(ask.now.astimezone(UTC)),
        "reason": REASONS[ask.states[id_]],
    }
    return json.dumps(told, separators=(",", ":")) + "\n"


def _kind(text: str) -> str:
    if text not in ("tweets", "users"):
        raise invalid("type", text, "is not one of [tweets,users]")
    return text


def _signed(job: Job, what: str, ask: Ask) -> str:
    return f"{ask.host}/storage/{what}/{job.id}?signature={_signature(job, what)}"


def _signature(job: Job, what: str) -> str:
    return sha256(f"{job.id} {what} signed".encode()).hexdigest()
