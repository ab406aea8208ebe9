"""Evidence that landed posts are gone: X's stored responses, and nothing else.

The pipeline's role can write every object that this module reads. So what the pipeline derived from a
response proves nothing, X's silence proves nothing, and one response is not enough. Two responses prove it if
S3 stored them on different UTC days: S3 sets that date, and no writer can choose an earlier one.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from deploy.features import feature_module
from include.twitter.csv_rows import csv_rows
from include.twitter.errors import UnexpectedResponse
from include.twitter.layout import COMPLIANCE, ENGAGEMENT
from include.twitter.records import Checked, ComplianceJob, PostState, decoded
from include.twitter.response import Response

if TYPE_CHECKING:
    from deploy.forget import Version, VersionedBucket

# Narrow, since these keys are printed.
LOOKUP = re.compile(r"twitter_raw/dt=\d{4}-\d\d-\d\d/age=\d+/\d+\.json\.gz")
JOB = re.compile(rf"({COMPLIANCE}run=[0-9a-f]+/)job=(\d+)\.json")
JOB_RESPONSE = re.compile(rf"({COMPLIANCE}run=[0-9a-f]+/)result=(\d+)\.txt\.gz")
CHECKED = re.compile(rf"{COMPLIANCE}dt=\d{{4}}-\d\d-\d\d/gone\.json")
SNAPSHOT_TABLE = re.compile(rf"{ENGAGEMENT}dt=\d{{4}}-\d\d-\d\d/age=\d+/engagement\.csv")
GONE = {"gone", "protected", "suspended"}
"""States in which X shows a post to nobody, or to nobody but the account's followers."""
SKEW = timedelta(minutes=15)
"""S3 refuses a writer whose clock differs by more."""
PARSE_ERRORS = (
    AttributeError, EOFError, KeyError, OSError, RecursionError, TypeError, ValueError, UnexpectedResponse,
    csv.Error, zlib.error,
)  # fmt: skip
"""Errors of parsing an object that is not what its key says. Those of msgspec are ValueErrors."""

States = tuple[datetime, list[tuple[str, PostState]]]
"""The time of X's response, and the posts with their states."""


class Statement(NamedTuple):
    """The state of one post according to one response of X."""

    stated_at: datetime
    """The time of the response, as the response itself says."""
    stored_at: datetime
    """When S3 stored the response."""
    state: PostState
    key: str


@dataclass
class Evidence:
    """All statements of X about landed posts."""

    statements: dict[str, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    """By post, in no order."""
    checks: dict[str, datetime] = field(default_factory=dict)
    """When X checked all landed posts, by the key of the result: a result names only the posts that are gone.

    A response that nothing can parse since its feature was removed counts as one that names no post.
    """
    ignored: list[str] = field(default_factory=list)
    """Objects that do not count, and why, in sentences."""

    @property
    def gone(self) -> set[str]:
        """The posts that responses of two UTC days call gone, and that no later response shows."""
        return {post for post in self.statements if self._is_proven(post)}

    @property
    def waiting(self) -> set[str]:
        """The posts that the latest responses call gone, all of them of one UTC day."""
        return {post for post in self.statements if self._findings(post)} - self.gone

    def _findings(self, post: str) -> list[Statement]:
        """Statements that call the post gone since X last showed it; a check that omits it shows it."""
        statements = self.statements[post]
        gone = [statement for statement in statements if statement.state in GONE]
        naming = {statement.key for statement in gone}
        shown_at = [statement.stated_at for statement in statements if statement.state not in GONE]
        shown_at += [at for key, at in self.checks.items() if key not in naming]
        return [statement for statement in gone if not shown_at or statement.stated_at > max(shown_at)]

    def _is_proven(self, post: str) -> bool:
        # Both dates: `make forget` stores a response again when it redacts it.
        return any(
            _date(first.stored_at) != _date(second.stored_at)
            and _date(first.stated_at) != _date(second.stated_at)
            for first, second in combinations(self._findings(post), 2)
        )


def load_evidence(bucket: VersionedBucket) -> Evidence:
    """Read and check the latest version of every stored response about landed posts."""
    evidence, unparsed = Evidence(), []
    post_status, compliance = feature_module("snapshots.post_status"), feature_module("compliance.responses")
    stored = [v for prefix in ("twitter_raw/", COMPLIANCE) for v in bucket.versions(prefix)]
    stored = [version for version in stored if version.is_latest and not version.is_mark]
    jobs = {match.groups(): version for version in stored if (match := JOB.fullmatch(version.key))}
    for version in stored:
        is_lookup, match = LOOKUP.fullmatch(version.key), JOB_RESPONSE.fullmatch(version.key)
        if (is_lookup and not post_status) or (match and not compliance):
            unparsed.append(version)
        elif is_lookup:
            _add(evidence, version, partial(_lookup_states, bucket, version, post_status.post_statuses))
        elif match:
            parse = partial(_job_states, bucket, version, jobs.get(match.groups()), compliance)
            if at := _add(evidence, version, parse):
                evidence.checks[version.key] = at
    if unparsed:
        evidence.checks |= {version.key: version.stored_at for version in unparsed}
        evidence.ignored.append(
            f"{len(unparsed)} responses of X, the first {unparsed[0].key}, are of a removed feature. "
            "They may show posts: no post is gone by a response that is older than they are."
        )
    _report_claims(bucket, evidence)
    return evidence


def _add(evidence: Evidence, version: Version, parse: Callable[[], States]) -> datetime | None:
    """Add the statements of a response; returns its time, or None if it does not count."""
    try:
        at, states = parse()
        is_late = at > version.stored_at + SKEW
    except PARSE_ERRORS as error:
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


def _lookup_states(
    bucket: VersionedBucket, version: Version, post_statuses: Callable[[Response], Iterable[Any]]
) -> States:
    """Return the state of each post according to a look-up by id, without the unanswered posts."""
    stored = bucket.read(version.key, version.id)
    response = Response.from_bytes(stored.data if stored else b"")
    if (response.path, response.status, response.failure) != ("/2/tweets", 200, None):
        raise ValueError("no look-up of posts")
    statuses = post_statuses(response)
    return response.received_at, [(s.tweet_id, s.state) for s in statuses if s.state != "unanswered"]


def _job_states(bucket: VersionedBucket, version: Version, job: Version | None, compliance: Any) -> States:
    """Return the posts that X's batch compliance calls gone, and the time at which the job was created."""
    result, record = bucket.read(version.key, version.id), job and bucket.read(job.key, job.id)
    at = decoded(record.data if record else b"", ComplianceJob).made_at
    with gzip.open(io.BytesIO(result.data if result else b"")) as lines:
        verdicts = compliance.parse_deleted(iter(lambda: lines.readline(compliance.MAX_LINE_BYTES), b""))
    return at, [(post, verdict.state) for post, verdict in verdicts.items()]


def _report_claims(bucket: VersionedBucket, evidence: Evidence) -> None:
    """Report objects that call posts gone without a response of X: the pipeline did not write them."""
    known = {
        post for post, statements in evidence.statements.items() if any(s.state in GONE for s in statements)
    }
    for version in [*bucket.versions(COMPLIANCE), *bucket.versions(ENGAGEMENT)]:
        if version.is_mark or not version.is_latest:
            continue
        if not (CHECKED.fullmatch(version.key) or SNAPSHOT_TABLE.fullmatch(version.key)):
            continue
        item = bucket.read(version.key, version.id)
        try:
            claimed = set(_claimed_ids(version.key, item.data if item else b""))
        except PARSE_ERRORS:
            evidence.ignored.append(f"{version.key} cannot be read: it does not count.")
            continue
        if unproven := claimed - known:
            evidence.ignored.append(
                f"{version.key} calls {len(unproven)} posts gone that no stored response of X calls so, for "
                f"example {_id_for_output(min(unproven))}: they stay. Find out who wrote that object."
            )


def _claimed_ids(key: str, data: bytes) -> Iterator[str]:
    if CHECKED.fullmatch(key):
        yield from (post.tweet_id for post in decoded(data, Checked).gone if post.state in GONE)
    else:
        rows = csv_rows(data.decode().split("\n"))
        yield from (row["tweet_id"] for row in rows if row["state"] in GONE)


def _id_for_output(id_: str) -> str:
    return id_ if id_.isdecimal() and len(id_) < 20 else ascii(id_[:20])


def _date(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
