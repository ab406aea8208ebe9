"""Which landed posts X said are gone, read from X's stored responses, and from nothing else.

The pipeline's role can write every object that is read here. So what the pipeline derived from a response
proves nothing, X's silence proves nothing, and one response is not enough: two responses are, if S3 stored
them on different UTC days. S3 sets that date, and no writer can choose an earlier one.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from include.twitter.csv_rows import csv_rows
from include.twitter.errors import UnexpectedAnswer
from include.twitter.layout import COMPLIANCE, ENGAGEMENT
from include.twitter.records import Checked, ComplianceJob, PostState, decoded
from include.twitter.x.response import Response
from include.twitter_features.compliance.responses import MAX_LINE_BYTES, parse_deleted
from include.twitter_features.snapshots.post_status import post_statuses

if TYPE_CHECKING:
    from deploy.forget import Bucket, Version

# Narrow, since these keys are printed.
LOOKUP = re.compile(r"twitter_raw/dt=\d{4}-\d\d-\d\d/age=\d+/\d+\.json\.gz")
JOB = re.compile(rf"({COMPLIANCE}run=[0-9a-f]+/)job=(\d+)\.json")
JOB_RESPONSE = re.compile(rf"({COMPLIANCE}run=[0-9a-f]+/)result=(\d+)\.txt\.gz")
CHECKED = re.compile(rf"{COMPLIANCE}dt=\d{{4}}-\d\d-\d\d/gone\.json")
TABLE = re.compile(rf"{ENGAGEMENT}dt=\d{{4}}-\d\d-\d\d/age=\d+/engagement\.csv")
GONE = {"gone", "protected", "suspended"}
"""States in which X shows a post to nobody, or to nobody but the account's followers."""
SKEW = timedelta(minutes=15)
"""S3 refuses a writer whose clock differs by more."""
UNREADABLE = (
    AttributeError, EOFError, KeyError, OSError, RecursionError, TypeError, ValueError, UnexpectedAnswer,
    csv.Error, zlib.error,
)  # fmt: skip
"""What an object raises that is not what its key says. Errors of msgspec and of encodings are ValueErrors."""


States = tuple[datetime, list[tuple[str, PostState]]]
"""When X said it, and the posts with their states."""


class Statement(NamedTuple):
    """What a response of X says of one post."""

    said_at: datetime
    """When X answered, as the response says."""
    stored_at: datetime
    """When S3 stored the response."""
    state: PostState
    key: str


@dataclass
class Evidence:
    """All statements of X about landed posts, and what is not counted, in sentences."""

    statements: dict[str, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    """By post, in no order."""
    checks: dict[str, datetime] = field(default_factory=dict)
    """When X's batch compliance was asked about all landed posts, by response: it names those gone alone."""
    ignored: list[str] = field(default_factory=list)

    @property
    def gone(self) -> set[str]:
        """The posts that two responses of different UTC days call gone, and none since does not."""
        return {post for post in self.statements if self._is_proven(post)}

    @property
    def waiting(self) -> set[str]:
        """The posts that were found gone last, on one UTC day alone."""
        return {post for post in self.statements if self._findings(post)} - self.gone

    def _findings(self, post: str) -> list[Statement]:
        """What calls it gone since X showed it last. A check that does not name it shows it."""
        said_gone = [each for each in self.statements[post] if each.state in GONE]
        named = {each.key for each in said_gone}
        shown = [each.said_at for each in self.statements[post] if each.state not in GONE]
        shown += [at for key, at in self.checks.items() if key not in named]
        return [each for each in said_gone if not shown or each.said_at > max(shown)]

    def _is_proven(self, post: str) -> bool:
        # Both dates: `make forget` stores a response again when it cuts a post out of it.
        return any(
            _day(one.stored_at) != _day(other.stored_at) and _day(one.said_at) != _day(other.said_at)
            for one, other in combinations(self._findings(post), 2)
        )


def read(bucket: Bucket) -> Evidence:
    """Read and check every stored response about landed posts, as it is now."""
    evidence = Evidence()
    stored = [v for place in ("twitter_raw/", COMPLIANCE) for v in bucket.versions(place)]
    stored = [version for version in stored if version.is_latest and not version.is_mark]
    jobs = {found.groups(): version for version in stored if (found := JOB.fullmatch(version.key))}
    for version in stored:
        if LOOKUP.fullmatch(version.key):
            _count(evidence, version, partial(_of_lookup, bucket, version))
        elif (found := JOB_RESPONSE.fullmatch(version.key)) and (
            at := _count(evidence, version, partial(_of_job, bucket, version, jobs.get(found.groups())))
        ):
            evidence.checks[version.key] = at
    _report_claims(bucket, evidence)
    return evidence


def _count(evidence: Evidence, version: Version, made: Callable[[], States]) -> datetime | None:
    """Take up what a response says, if it is one; when X said it."""
    try:
        at, states = made()
        is_late = at > version.stored_at + SKEW
    except UNREADABLE as error:
        evidence.ignored.append(
            f"{version.key} is no response of X ({type(error).__name__}): it does not count."
        )
        return None
    if is_late:
        evidence.ignored.append(
            f"{version.key} says it was received at {at:%Y-%m-%d %H:%M} UTC, and S3 stored it before, at "
            f"{version.stored_at:%Y-%m-%d %H:%M} UTC: it does not count."
        )
        return None
    for post, state in states:
        evidence.statements[post].append(Statement(at, version.stored_at, state, version.key))
    return at


def _of_lookup(bucket: Bucket, version: Version) -> States:
    """What a look-up by id says of each post; a post of which it says nothing is left out."""
    found = bucket.read(version.key, version.id)
    answer = Response.from_bytes(found.data if found else b"")
    if (answer.path, answer.status, answer.failure) != ("/2/tweets", 200, None):
        raise ValueError("no look-up of posts")
    states: list[tuple[str, PostState]] = [
        (each.tweet_id, each.state) for each in post_statuses(answer) if each.state != "unanswered"
    ]
    return answer.received_at, states


def _of_job(bucket: Bucket, version: Version, job: Version | None) -> States:
    """The posts that X's batch compliance names as gone, as of when its job was made."""
    found, made = bucket.read(version.key, version.id), job and bucket.read(job.key, job.id)
    at = decoded(made.data if made else b"", ComplianceJob).made_at
    with gzip.open(io.BytesIO(found.data if found else b"")) as lines:
        verdicts = parse_deleted(iter(lambda: lines.readline(MAX_LINE_BYTES), b""))
    return at, [(post, verdict.state) for post, verdict in verdicts.items()]


def _report_claims(bucket: Bucket, evidence: Evidence) -> None:
    """Name what calls posts gone that no response calls so: it was not made by the pipeline, or is wrong."""
    known = {post for post, said_of in evidence.statements.items() if any(e.state in GONE for e in said_of)}
    for version in [*bucket.versions(COMPLIANCE), *bucket.versions(ENGAGEMENT)]:
        if version.is_mark or not version.is_latest:
            continue
        if not (CHECKED.fullmatch(version.key) or TABLE.fullmatch(version.key)):
            continue
        found = bucket.read(version.key, version.id)
        try:
            claimed = set(_claimed(version.key, found.data if found else b""))
        except UNREADABLE:
            evidence.ignored.append(f"{version.key} cannot be read: it does not count.")
            continue
        if unproven := claimed - known:
            evidence.ignored.append(
                f"{version.key} calls {len(unproven)} posts gone that no stored response of X calls so, for "
                f"example {_shown(min(unproven))}: they stay. Find out who wrote that object."
            )


def _claimed(key: str, data: bytes) -> Iterator[str]:
    if CHECKED.fullmatch(key):
        yield from (post.tweet_id for post in decoded(data, Checked).gone if post.state in GONE)
    else:
        rows = csv_rows(data.decode().split("\n"))
        yield from (row["tweet_id"] for row in rows if row["state"] in GONE)


def _shown(id_: str) -> str:
    return id_ if id_.isdecimal() and len(id_) < 20 else ascii(id_[:20])


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
