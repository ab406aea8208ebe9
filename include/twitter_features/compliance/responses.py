"""What X sends: the state of a job, and a line of the result for each post that it reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from include.twitter.errors import UnexpectedAnswer
from include.twitter.records import PostState
from include.twitter.safe_text import safe_text
from include.twitter.x.response import decoded

MAX_LINE_BYTES = 1 << 16
"""Bytes that are read as one line: a longer one is no line of a result."""
STATE_OF_REASON: dict[str, PostState] = {"protected": "protected", "suspended": "suspended"}
"""Reasons that concern the post's account; for any other one the post is gone."""
GEO_SCRUBBED = "scrub_geo"
"""X's reason for a post that has lost its place on the map alone: the post itself stays."""
JOB_ID = re.compile("[A-Za-z0-9_-]{1,64}")

JobStatus = Literal["created", "in_progress", "complete", "failed", "expired"]


class XJob(Struct, frozen=True):
    """A job as X describes it. Its addresses are signed: they are stored and logged nowhere."""

    id: str
    status: JobStatus
    name: str = ""
    upload_url: str = ""
    download_url: str = ""


class Verdict(NamedTuple):
    """Why X wants a post to be deleted."""

    state: PostState
    reason: str


class _Line(Struct):
    id: str
    action: str
    reason: str = ""


def parse_job(data: Any) -> XJob:
    """Return a job; UnexpectedAnswer if it is not as X documents it."""
    try:
        job = msgspec.convert(data, XJob)
    except msgspec.ValidationError as error:  # it names fields, and not their values
        raise UnexpectedAnswer(f"X describes a job otherwise than it documents: {error}.") from None
    if not JOB_ID.fullmatch(job.id):  # it becomes a part of the path of later requests
        raise UnexpectedAnswer(f"X calls a job {job.id[:40]!r}: that is no id of a job.")
    return job


def parse_deleted(lines: Iterable[bytes]) -> dict[str, Verdict]:
    """Return the posts that X wants to be deleted, by id; UnexpectedAnswer for a line that names no post."""
    verdicts = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.convert(decoded(text), _Line)
        except ValueError as error:
            raise UnexpectedAnswer(f"Line {number} of X's answer names no post: {error}.") from None
        if line.action == "delete" and line.reason != GEO_SCRUBBED:
            state = STATE_OF_REASON.get(line.reason, "gone")
            words = safe_text(f"X says: {line.action}, {line.reason or 'without a reason'}")
            verdicts[line.id] = Verdict(state, words)
    return verdicts
