"""What X says of a job, and of each post that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from include.twitter.answer import decoded
from include.twitter.errors import UnexpectedAnswer
from include.twitter.records import PostState
from include.twitter.safe_text import safe_text

OPEN, COMPLETE, ENDED = {"created", "in_progress"}, "complete", {"failed", "expired"}
"""States of a job: X has it before it, has an answer, has none."""
DELETE = "delete"
"""The action by which X says that a post has to go."""
OF_ITS_ACCOUNT: dict[str, PostState] = {"protected": "protected", "suspended": "suspended"}
JOB_ID = re.compile("[A-Za-z0-9_-]{1,64}")
STAYS = "scrub_geo"
"""X's reason where a post has lost its place on the map alone."""


class Job(Struct, frozen=True):
    """A job as X tells it. The addresses are signed: they are written down nowhere."""

    id: str
    status: str
    name: str = ""
    upload_url: str = ""
    download_url: str = ""


class Verdict(NamedTuple):
    """That a post is gone."""

    state: PostState
    reason: str


class _Line(Struct):
    id: str
    action: str
    reason: str = ""


def job(told: Any) -> Job:
    """A job, if it is one of which the pipeline knows what to do."""
    try:
        found = msgspec.convert(told, Job)
    except msgspec.ValidationError as error:  # it names fields, and not what they hold
        raise UnexpectedAnswer(f"X tells of a job otherwise than it describes: {error}.") from None
    if not JOB_ID.fullmatch(found.id):  # it goes into the path of later requests
        raise UnexpectedAnswer(f"X calls a job {found.id[:40]!r}: that is no id of a job.")
    if found.status not in OPEN | ENDED | {COMPLETE}:
        raise UnexpectedAnswer(f"X calls job {found.id} {found.status!r}: the pipeline does not know that.")
    return found


def gone(lines: Iterable[bytes]) -> dict[str, Verdict]:
    """The posts that X names as deleted, by id; UnexpectedAnswer for a line that names none."""
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        said = _line(number, line)
        if said.action == DELETE and said.reason != STAYS:
            state = OF_ITS_ACCOUNT.get(said.reason, "gone")
            words = safe_text(f"X says: {said.action}, {said.reason or 'without a reason'}")
            found[said.id] = Verdict(state, words)
    return found


def _line(number: int, line: bytes) -> _Line:
    try:
        return msgspec.convert(decoded(line), _Line)
    except ValueError as error:
        raise UnexpectedAnswer(f"Line {number} of X's answer names no post: {error}.") from None
