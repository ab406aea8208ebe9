"""X's batch compliance, as local/x_api/compliance.py has it, and the storage of its jobs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulation.faults import Draw

if TYPE_CHECKING:
    from simulation.world import Served, World

HOST = "http://127.0.0.1:9"
UPLOADED_WITHIN, OFFERED = timedelta(minutes=15), timedelta(days=7)
ENDS = (*["complete"] * 40, *["failed", "expired", "forgotten", "lost answer"] * 3, "slow")
"""How jobs end: a forgotten one is not found any more, and a slow one takes three days."""
REASONS = {"gone": "deleted", "protected": "protected", "suspended": "suspended"}


@dataclass(eq=False)
class Job:
    """A job of the app."""

    id: str
    name: str
    made_at: datetime
    ends: str
    lasts: timedelta
    ids: list[str] | None = None
    """None until they are uploaded."""
    uploaded_at: datetime | None = None
    verdicts: dict[str, str] | None = None
    """The posts that were gone when it ended, with their state; None until somebody fetches them."""

    def status(self, now: datetime) -> str:
        if self.uploaded_at is None:
            return "created" if now < self.made_at + UPLOADED_WITHIN else "expired"
        if now < self.uploaded_at + self.lasts:
            return "in_progress"
        return self.ends if self.ends in ("failed", "expired") else "complete"


class Compliance:
    """The jobs of the app: one at a time."""

    def __init__(self, world: World, draw: Draw) -> None:
        self._world, self._draw = world, draw
        self.jobs: dict[str, Job] = {}
        self.carried_keys = False
        """Whether somebody sent X's keys to the storage."""

    def respond(
        self, served: Served, method: str, path: str, headers: dict[str, str], sent: bytes
    ) -> dict[str, Any] | bytes:
        at, (*_, action, id_) = served.at, path.split("/")
        if path.startswith("/storage/"):
            self.carried_keys |= "authorization" in headers
            return self._stored(served, method, action, id_, sent)
        if id_ == "jobs" and method == "POST":
            return {"data": self._as_json(self._made(json.loads(sent), at), at)}
        if id_ == "jobs":
            return {
                "data": [self._as_json(job, at) for job in self.jobs.values() if not self._is_away(job, at)]
            }
        job = self.jobs.get(id_)
        if job is None or self._is_away(job, at):
            raise self._refusal(404, "Not Found Error")
        return {"data": self._as_json(job, at)}

    def _is_away(self, job: Job, at: datetime) -> bool:
        return job.ends == "forgotten" and job.status(at) == "complete"

    def _made(self, body: dict[str, Any], at: datetime) -> Job:
        if any(job.status(at) in ("created", "in_progress") for job in self.jobs.values()):
            raise self._refusal(400, "Invalid Request")
        number = len(self.jobs) + 1
        calm = self._world.faults.calm
        ends = "complete" if calm else self._draw.pick(f"{number} ends", ENDS)
        minutes = 4320 if ends == "slow" else 2 * 25 ** self._draw.number(f"{number} lasts")
        job = Job(str(5000 + number), body["name"], at, ends, timedelta(minutes=3 if calm else minutes))
        self.jobs[job.id] = job
        return job

    def _as_json(self, job: Job, at: datetime) -> dict[str, Any]:
        addresses = {f"{name}_url": f"{HOST}/storage/{name}/{job.id}" for name in ("upload", "download")}
        return {"id": job.id, "type": "tweets", "status": job.status(at), "name": job.name, **addresses}

    def _stored(self, served: Served, method: str, action: str, id_: str, sent: bytes) -> bytes:
        job, at = self.jobs[id_], served.at
        if action == "upload" and method == "PUT" and job.status(at) == "created":
            job.ids, job.uploaded_at, served.request, served.job = (
                sent.decode().split(),
                at,
                "ids of a job",
                id_,
            )
            return b""
        if action == "download" and method == "GET" and job.status(at) == "complete":
            if job.ends == "lost answer":
                raise self._refusal(404, "NoSuchKey")
            self._check(job)
            verdicts = job.verdicts or {}
            served.request, served.job, served.gone = "verdicts", job.id, verdicts
            lines = [
                {"id": id_, "action": "delete", "reason": REASONS[state]} for id_, state in verdicts.items()
            ]
            shown = [id_ for id_ in job.ids or () if id_ not in verdicts]
            lines += [{"id": id_, "action": "delete", "reason": "scrub_geo"} for id_ in shown[:1]]
            return "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        raise self._refusal(403, "SignatureDoesNotMatch")

    def _check(self, job: Job) -> None:
        """Find what is gone at the moment at which the job ended."""
        if job.verdicts is None and job.uploaded_at:
            posts = {id_: self._world.by_id[int(id_)] for id_ in job.ids or ()}
            ends = job.uploaded_at + job.lasts
            states = {id_: self._world.state_of(post, ends) for id_, post in posts.items()}
            job.verdicts = {id_: state for id_, state in states.items() if state}

    def _refusal(self, status: int, title: str) -> Exception:
        from simulation.world import Refusal

        return Refusal(status, {"title": title, "status": status})
