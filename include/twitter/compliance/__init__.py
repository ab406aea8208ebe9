"""Above the boxes: X checks all landed posts at once, and says which are gone.

`jobs` makes the job at X and gives it the ids, `said` reads what X tells.
"""

from __future__ import annotations

import gzip
import io
import logging
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, cast

import pyarrow

from include.twitter import lake, settings
from include.twitter.airflow_context import Check, skip
from include.twitter.compliance import said
from include.twitter.compliance.jobs import Jobs, landed, latest, tables
from include.twitter.compliance.said import Verdict
from include.twitter.day import Day, compliance_of
from include.twitter.errors import DamagedObject, JobGone, NothingStaged
from include.twitter.extract.signed import download
from include.twitter.extract.x import X
from include.twitter.lake import Lake
from include.twitter.records import Checked, ComplianceJob, LostPost, decoded, encoded

__all__ = ["ask", "decoded", "fetch", "mark"]

log = logging.getLogger(__name__)

A_LINE, AT_LEAST = 512, 1 << 20
"""Bytes of a line of X's answer, at most, and of an answer that is not measured by its lines."""
LONGEST_LINE = 1 << 16
"""Bytes that are read as one line: what is longer names no post."""


def ask(check: Check) -> dict[str, Any]:
    """Make a job at X and give it the ids of all landed posts."""
    here, access = lake.deployed(), settings.x_access()
    if not landed(here):
        skip("No day has landed")
    with X(access, check.now, are_known=True) as x:  # what has landed was bought with them
        Jobs(here, x, check).hand_over(1)
    return {"asked": compliance_of(check.id)}


def fetch(check: Check, asked: dict[str, Any] | None) -> dict[str, Any]:
    """Wait until X has an answer, and keep it as it came."""
    here, access = lake.deployed(), settings.x_access()
    key = _named(asked, "asked", "ask") + "answer.txt.gz"  # ids and reasons, and nothing of a post
    if key in here.keys(key):
        log.info("X's answer is there")
        return {"answer": key}
    with X(access, check.now, are_known=True) as x, TemporaryDirectory() as folder:
        jobs = Jobs(here, x, check)
        job, told = jobs.answered()
        file = Path(folder) / "answer"
        most = A_LINE * sum((job.days or {}).values()) + AT_LEAST
        try:
            with gzip.open(file, "wb") as opened:
                download(told.download_url, cast(IO[bytes], opened), most)
        except JobGone as error:
            log.warning("%s", error)
            jobs.replace(job, "its answer is gone")
            jobs.wait("X checks the posts")
        here.upload(key, file)
    return {"answer": key}


def mark(check: Check, fetched: dict[str, Any] | None) -> dict[str, Any]:
    """Write down for each day which of its posts are gone; those that landed since were not asked."""
    here = lake.deployed()
    key = _named(fetched, "answer", "fetch")
    answer = here.required(key)
    try:
        with gzip.open(io.BytesIO(answer)) as lines:
            gone = said.gone(iter(lambda: lines.readline(LONGEST_LINE), b""))
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedObject(
            f"{here.url(key)} is no whole gzip file: {error}. Trigger another run."
        ) from error
    if not (job := latest(here, check)) or job.days is None:
        raise NothingStaged("Nothing was asked for: clear `ask`.")
    asked = [day for day in landed(here) if str(day) in job.days]
    made = [_checked(day, table, job, gone) for day, table in tables(here, asked, "tweet_id", "username")]
    for each in made:
        _publish(here, each)
    number = sum(len(each.gone) for each in made)
    log.info("%d of %d posts are gone", number, sum(each.posts for each in made))
    return {"days": len(made), "gone": number}


def _named(handed: dict[str, Any] | None, what: str, task: str) -> str:
    if not handed:
        raise NothingStaged(f"`{task}` has handed nothing on: was it marked success by hand? Clear it.")
    return handed[what]


def _checked(day: Day, table: pyarrow.Table, job: ComplianceJob, gone: dict[str, Verdict]) -> Checked:
    posts = (job.days or {})[str(day)]
    rows = zip(table["tweet_id"].to_pylist(), table["username"].to_pylist(), strict=True)
    lost = [LostPost(id_, name, *gone[id_], job.made_at) for id_, name in rows if id_ in gone]
    return Checked(day=str(day), asked_at=job.made_at, job=job.id, posts=posts, gone=lost)


def _publish(here: Lake, checked: Checked) -> None:
    """Put it in the place of an older one; a run that is cleared late takes no newer one's."""
    key = Day.parse(checked.day).checked
    before = here.record(key, Checked)
    if before and before.asked_at > checked.asked_at:
        log.info("%s was checked later: that stays", checked.day)
        return
    for post in checked.gone:
        log.info("%s: %s of %s is %s. %s", post.username, post.tweet_id, checked.day, post.state, post.reason)
    here.write(key, encoded(checked))
