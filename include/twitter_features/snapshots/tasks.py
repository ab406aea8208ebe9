"""The tasks of `twitter_engagement`: fetch the posts of due snapshots, make tables, publish them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from include.twitter import object_store, settings
from include.twitter.airflow_context import Run, require_xcom, skip, wait_until
from include.twitter.day import Day
from include.twitter.errors import MissingInput
from include.twitter.extract.budget import Caps
from include.twitter.landed import landed_days
from include.twitter.layout import ENGAGEMENT_RECEIPTS, Snapshot
from include.twitter.lease import held
from include.twitter.load.publish import publish_files
from include.twitter.object_store import ObjectStore
from include.twitter.pricing import dollars, would_have_cost
from include.twitter.records import LostPost, SnapshotReceipt, encoded, total
from include.twitter.retry import reschedule_after_progress
from include.twitter.transform import stage_files
from include.twitter.x.client import X
from include.twitter_features.snapshots import contract
from include.twitter_features.snapshots.fetch import SnapshotFetch, table_rows
from include.twitter_features.snapshots.post_status import SHOWN

log = logging.getLogger(__name__)

RECEIPT = "receipt.json"
"""Name of a staged receipt."""
MAX_DAYS_LATE = 14
"""A snapshot that was missed longer ago is made only by a run that is triggered for it."""


def extract_snapshots(run: Run) -> dict[str, Any]:
    """Request the posts of each snapshot that is due, and store every response as it arrives."""
    run.day.require_collectable(run.now())
    ages, caps, access = settings.engagement_days(), Caps(*settings.budgets().items()), settings.x_access()
    store = object_store.from_settings()
    wait_until(Snapshot(run.day, 1).due_at, "Posts are free on the UTC day of their purchase", run.now)
    done = {*store.parsed(store.keys(ENGAGEMENT_RECEIPTS), Snapshot.of_receipt).values()}
    landed, due = {*landed_days(store)}, list[Snapshot]()
    for snapshot in snapshots_due(run.day, ages, done):
        if snapshot.day in landed:
            due.append(snapshot)
        else:
            log.info("%s is not fetched: the day has not landed", snapshot)
    if not due:
        skip("No snapshot of a landed day is due")
    object_store.require_conditional_writes(store)
    fetches, snapshots = list[SnapshotFetch](), list[dict[str, Any]]()
    with (
        reschedule_after_progress(lambda: any(fetch.responses.made_progress for fetch in fetches), run.now),
        X(access, run.now, are_known=True) as x,  # these keys have bought what has landed
    ):
        for snapshot in due:  # one after the other: a post that was charged at one age is free at the next
            with held(store, snapshot.fetch_lease, run) as lease:  # another Airflow may fetch the same
                fetches.append(SnapshotFetch(store, snapshot))
                uncertain = fetches[-1].fetch(x, caps, run.now, lease)
            name = {"day": str(snapshot.day), "age": snapshot.age}
            snapshots.append(name | {"uncertain_usd": dollars(uncertain)})
    return {
        "snapshots": snapshots,
        "cost_usd": dollars(sum(fetch.stored.total_mills for fetch in fetches)),
        "would_have_cost_usd": dollars(sum(would_have_cost(fetch.stored.bought) for fetch in fetches)),
    }


def snapshots_due(day: Day, ages: Iterable[int], done: Collection[Snapshot]) -> list[Snapshot]:
    """Return the snapshots of the run for `day`, on the evening after it: one per age, then missed ones.

    Catch-up starts at the first day that ever had a snapshot of this age. So a new age, or this DAG enabled
    on an existing bucket, never buys past weeks.
    """
    due = [Snapshot(day.plus(1 - age), age) for age in ages]
    return due + [missed for snapshot in due for missed in _missed(snapshot, done)]


def _missed(due: Snapshot, done: Collection[Snapshot]) -> list[Snapshot]:
    first = min((snapshot.day.date for snapshot in done if snapshot.age == due.age), default=due.day.date)
    earlier = [Snapshot(due.day.plus(-back), due.age) for back in range(MAX_DAYS_LATE, 0, -1)]
    return [snapshot for snapshot in earlier if snapshot not in done and snapshot.day.date >= first]


def transform_snapshots(run: Run, fetched: dict[str, Any] | None) -> dict[str, Any]:
    """Make a table of each snapshot's responses, and stage it with its receipt."""
    store, snapshots = object_store.from_settings(), require_xcom(fetched, "extract")["snapshots"]
    return {"receipts": [_stage(store, run, **snapshot) for snapshot in snapshots]}


def _stage(store: ObjectStore, run: Run, day: str, age: int, uncertain_usd: float) -> str:
    """Stage the files and the receipt of a snapshot; returns the key of the receipt."""
    snapshot = Snapshot(Day.parse(day), age)
    fetch = SnapshotFetch(store, snapshot)
    statuses = [fetch.statuses[id_] for id_ in fetch.usernames if id_ in fetch.statuses]
    # Two Airflows give the runs of a day the same id, and a try that has timed out may continue.
    staging = snapshot.staging(f"{run.id}-{uuid4().hex[:8]}")
    with TemporaryDirectory() as folder:
        files = stage_files(store, staging, contract.write_files(Path(folder), statuses), snapshot.tables)
    read_at = max((status.captured_at for status in statuses), default=None)
    late = max(read_at - snapshot.due_at, timedelta()) if read_at else timedelta()
    receipt = SnapshotReceipt(
        day=day,
        age=age,
        due_at=snapshot.due_at,
        read_at=read_at,
        hours_late=late // timedelta(hours=1),
        contract=contract.SNAPSHOT_VERSION,
        bought=total(fetch.stored.bought.values()),
        cost_usd=dollars(fetch.stored.total_mills),
        uncertain_usd=uncertain_usd,
        would_have_cost_usd=dollars(would_have_cost(fetch.stored.bought)),
        posts=len(statuses),
        states=dict(Counter(status.state for status in statuses)),
        lost=[
            LostPost(s.tweet_id, fetch.usernames[s.tweet_id], s.state, s.reason, s.captured_at)
            for s in statuses
            if s.state not in SHOWN
        ],
        objects=files,
    )
    states = ", ".join(f"{number} {state}" for state, number in receipt.states.items())
    log.info("%s: %d posts (%s)", snapshot, receipt.posts, states or "none")
    for post in receipt.lost:
        log.info("%s: %s is %s. %s", post.username, post.tweet_id, post.state, post.reason)
    store.write(staging + RECEIPT, encoded(receipt))
    return staging + RECEIPT


def load_snapshots(run: Run, staged: dict[str, Any] | None) -> dict[str, Any]:
    """Publish the staged files, each receipt after its files."""
    store, published = object_store.from_settings(), []
    for key in require_xcom(staged, "transform")["receipts"]:
        receipt, staging = store.decoded(key, store.required(key), SnapshotReceipt), key.removesuffix(RECEIPT)
        snapshot = Snapshot(Day.parse(receipt.day), receipt.age)
        with reschedule_after_progress(lambda: False, run.now), held(store, snapshot.lease, run) as lease:
            rows = table_rows(store, staging + Path(snapshot.parquet).name, "tweet_id")
            if not store.tombstones().posts.keys().isdisjoint(row["tweet_id"] for row in rows):
                raise MissingInput(
                    f"Nothing is published: posts of {snapshot} were erased since it was staged. "
                    "Clear `transform`: it is free."
                )
            publish_files(store, lease, staging, receipt, snapshot.receipt, store.etag(snapshot.receipt))
        published.append(snapshot.receipt)
    return {"receipts": published}
