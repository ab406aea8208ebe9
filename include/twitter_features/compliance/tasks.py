"""The tasks of `twitter_compliance`: upload ids, wait for X's result, publish the deleted posts by day."""

from __future__ import annotations

import gzip
import io
import logging
import zlib
from typing import Any

from include.twitter import object_store, settings
from include.twitter.airflow_context import require_xcom, skip
from include.twitter.errors import DamagedObject, MissingInput
from include.twitter.landed import landed_days
from include.twitter.layout import checked, compliance_of, job_key, result_key
from include.twitter.object_store import ObjectStore
from include.twitter.records import Checked, ComplianceJob, LostPost, encoded
from include.twitter.x.client import X
from include.twitter_features.compliance.job import ComplianceRun, JobRunner, read_tables, stored_result
from include.twitter_features.compliance.responses import MAX_LINE_BYTES, parse_deleted

log = logging.getLogger(__name__)


def upload(run: ComplianceRun) -> dict[str, Any]:
    """Create a job at X and upload the ids of all landed posts."""
    store, access = object_store.from_settings(), settings.x_access()
    if not landed_days(store):
        skip("No day has landed")
    with X(access, run.now, are_known=True) as x:  # these keys have bought what has landed
        JobRunner(store, x, run).upload_ids()
    return {"run": compliance_of(run.id)}


def wait_for_result(run: ComplianceRun, uploaded: dict[str, Any] | None) -> dict[str, Any]:
    """Wait until X offers the result of a job, and store it unchanged."""
    store, access = object_store.from_settings(), settings.x_access()
    require_xcom(uploaded, "upload")
    if (number := stored_result(store, run)) is None:
        with X(access, run.now, are_known=True) as x:
            number = JobRunner(store, x, run).fetch_result()
    return {"job": number}


def publish_deletions(run: ComplianceRun, fetched: dict[str, Any] | None) -> dict[str, Any]:
    """Write for each day which posts X wants deleted, except for days that landed after the upload."""
    store, number = object_store.from_settings(), require_xcom(fetched, "wait_for_result")["job"]
    key, job = result_key(run.id, number), store.record(job_key(run.id, number), ComplianceJob)
    try:
        with gzip.open(io.BytesIO(store.required(key))) as lines:
            verdicts = parse_deleted(iter(lambda: lines.readline(MAX_LINE_BYTES), b""))
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedObject(
            f"{store.url(key)} is not a complete gzip file: {error}. Trigger another run."
        ) from error
    if not job or job.days is None:
        raise MissingInput(f"The record of job {number} is gone. Trigger another run.")
    uploaded = [day for day in landed_days(store) if str(day) in job.days]
    reports = []
    for day, table in read_tables(store, uploaded, "tweet_id", "username"):
        rows = zip(table["tweet_id"].to_pylist(), table["username"].to_pylist(), strict=True)
        gone = [LostPost(id_, name, *verdicts[id_], job.made_at) for id_, name in rows if id_ in verdicts]
        posts = job.days[str(day)]
        reports.append(Checked(day=str(day), requested_at=job.made_at, job=job.id, posts=posts, gone=gone))
        _publish(store, checked(day), reports[-1])
    gone_posts = sum(len(report.gone) for report in reports)
    log.info("%d of %d posts are gone", gone_posts, sum(report.posts for report in reports))
    return {"days": len(reports), "gone": gone_posts}


def _publish(store: ObjectStore, key: str, report: Checked) -> None:
    """Replace an older report: a run that is cleared late replaces no newer one."""
    published = store.record(key, Checked)
    if published and published.requested_at > report.requested_at:
        log.info("%s has a newer report, which is kept", report.day)
        return
    for post in report.gone:
        log.info("%s: %s of %s is %s. %s", post.username, post.tweet_id, report.day, post.state, post.reason)
    store.write(key, encoded(report))
