"""Parses X's responses: the status of a job, and a result with one line per deleted post."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from include.twitter.errors import UnexpectedResponse
from include.twitter.records import PostState
from include.twitter.response import decode_json
from include.twitter.safe_text import safe_text

MAX_LINE_BYTES = 1 << 16
"""Longest line of a result, in bytes."""
STATE_OF_REASON: dict[str, PostState] = {"protected": "protected", "suspended": "suspended"}
"""Reasons that concern the post's account; for any other one the post is gone."""
GEO_SCRUBBED = "scrub_geo"
"""X's reason if only the location of a post was removed: the post itself stays."""
JOB_ID = re.compile("[A-Za-z0-9_-]{1,64}")

JobStatus = Literal["created", "in_progress", "complete", "failed", "expired"]


class XJob(Struct, frozen=True):
    """A job in X's response. Its URLs are signed: they are neither stored nor logged."""

    id: str
    status: JobStatus
    name: str = ""
    upload_url: str = ""
    download_url: str = ""


class Verdict(NamedTuple):
    """Why X wants a post to be deleted."""

    state: PostState
    reason: str


class _ResultLine(Struct):
    id: str
    action: str
    reason: str = ""


def parse_job(data: Any) -> XJob:
    """Return a job; UnexpectedResponse if it does not have the documented form."""
    try:
        job = msgspec.convert(data, XJob)
    except msgspec.ValidationError as error:  # it names fields, and not their values
        raise UnexpectedResponse(f"X sent a job in an undocumented form: {error}.") from None
    if not JOB_ID.fullmatch(job.id):  # it becomes a part of the path of later requests
        raise UnexpectedResponse(f"X sent the job id {job.id[:40]!r}: that is not a job id.")
    return job


def parse_deleted(lines: Iterable[bytes]) -> dict[str, Verdict]:
    """Return the posts that X wants deleted, by id; UnexpectedResponse for a line that names no post."""
    verdicts = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.convert(decode_json(text), _ResultLine)
        except ValueError as error:
            raise UnexpectedResponse(f"Line {number} of X's result names no post: {error}.") from None
        if line.action == "delete" and line.reason != GEO_SCRUBBED:
            reason = safe_text(f"X says: {line.action}, {line.reason or 'without a reason'}")
            verdicts[line.id] = Verdict(STATE_OF_REASON.get(line.reason, "gone"), reason)
    return verdicts
