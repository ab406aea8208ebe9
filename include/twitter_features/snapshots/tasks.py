"""The tasks of `twitter_engagement`: fetch the posts of due snapshots, make tables, publish them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pyarrow
import pyarrow.parquet

from include.twitter import object_store, settings
from include.twitter.airflow_context import Run, require_xcom, skip, wait_until
from include.twitter.day import Day
from include.twitter.errors import MissingInput
from include.twitter.extract.budget import Caps, Stored
from include.twitter.landed import landed_days
from include.twitter.layout import ENGAGEMENT_RECEIPTS, Snapshot
from include.twitter.lease import held
from include.twitter.load.publish import publish_files
from include.twitter.object_store import ObjectStore
from include.twitter.pricing import dollars, would_have_cost
from include.twitter.records import (
    LostPost,
    PublishedObject,
    Revisited,
    SnapshotReceipt,
    encoded,
    total,
)
from include.twitter.retry import reschedule_after_progress
from include.twitter.transform import stage_files
from include.twitter.x.client import X
from include.twitter_features.snapshots import contract
from include.twitter_features.snapshots.fetch import LandedPost, SnapshotFetch, erased_ids, landed_posts
from include.twitter_features.snapshots.post_status import SHOWN, PostStatus, post_statuses
from include.twitter_features.snapshots.schedule import snapshots_due

log = logging.getLogger(__name__)


def extract(run: Run) -> dict[str, Any]:
    """Request the posts of each snapshot that is due, and store every response as it arrives."""
    run.day.require_collectable(run.now())
    ages, caps, access = settings.engagement_days(), Caps(*settings.budgets().items()), settings.x_access()
    store = object_store.from_settings()
    wait_until(Snapshot(run.day, 1).due_at, "Late in the day of a purchase its posts are free", run.now)
    done = {*store.parsed(store.keys(ENGAGEMENT_RECEIPTS), Snapshot.of_receipt).values()}
    days, snapshots, fetches = {*landed_days(store)}, list[Snapshot](), list[SnapshotFetch]()
    for snapshot in snapshots_due(run.day, ages, done):
        if snapshot.day in days:
            snapshots.append(snapshot)
        else:
            log.info("%s is not read: the day has not landed", snapshot)
    if not snapshots:
        skip("No landed day is due to be read again")
    object_store.require_conditional_writes(store)
    with (
        reschedule_after_progress(lambda: any(fetch.made_progress for fetch in fetches), run.now),
        X(access, run.now, are_known=True) as x,  # these keys have bought what has landed
    ):
        for snapshot in snapshots:  # one after the other: a post that was read at one age is free at the next
            with held(store, snapshot.fetch_lease, run) as lease:  # another Airflow may fetch the same
                fetches.append(SnapshotFetch(store, snapshot, landed_posts(store, snapshot.day)))
                fetches[-1].fetch(x, caps, run.now, lease)
    return {
        "manifests": [snapshot.manifest for snapshot in snapshots],
        "cost_usd": dollars(sum(fetch.stored.total_mills for fetch in fetches)),
        "would_have_cost_usd": dollars(sum(would_have_cost(fetch.stored.bought) for fetch in fetches)),
    }


def transform(run: Run, fetched: dict[str, Any] | None) -> dict[str, Any]:
    """Make a table of each snapshot's responses, and stage it with its receipt."""
    store = object_store.from_settings()
    return {"receipts": [_stage(store, run, key) for key in require_xcom(fetched, "extract")["manifests"]]}


def _stage(store: ObjectStore, run: Run, key: str) -> str:
    """Stage the files and the receipt of the snapshot with this manifest; returns the key of the receipt."""
    manifest = store.decoded(key, store.required(key), Revisited)
    snapshot = Snapshot(Day.parse(manifest.day), manifest.age)
    posts = landed_posts(store, snapshot.day)
    latest = {
        status.tweet_id: status
        for response in store.answers(manifest.pages)
        for status in post_statuses(response)
    }
    statuses = [latest[id_] for id_ in posts if id_ in latest]  # not those that have left the day's table
    # Two Airflows give the runs of a day the same id, and a try that was given up may continue.
    staging = snapshot.staging(f"{run.id}-{uuid4().hex[:8]}")
    with TemporaryDirectory() as folder:
        files = stage_files(store, staging, contract.write_files(Path(folder), statuses), snapshot.tables)
    receipt = _receipt(snapshot, manifest, statuses, posts, files)
    states = ", ".join(f"{number} {state}" for state, number in receipt.states.items())
    log.info("%s: %d posts (%s)", snapshot, receipt.posts, states or "none")
    for post in receipt.lost:
        log.info("%s: %s is %s. %s", post.username, post.tweet_id, post.state, post.reason)
    store.write(f"{staging}receipt.json", encoded(receipt))
    return f"{staging}receipt.json"


def _receipt(
    snapshot: Snapshot,
    manifest: Revisited,
    statuses: Sequence[PostStatus],
    posts: Mapping[str, LandedPost],
    files: dict[str, PublishedObject],
) -> SnapshotReceipt:
    read_at = max((status.captured_at for status in statuses), default=None)
    late = max(read_at - snapshot.due_at, timedelta()) if read_at else timedelta()
    return SnapshotReceipt(
        day=manifest.day,
        age=manifest.age,
        due_at=snapshot.due_at,
        read_at=read_at,
        hours_late=late // timedelta(hours=1),
        contract=contract.VERSION,
        bought=total(manifest.bought.values()),
        cost_usd=dollars(Stored(manifest.bought, manifest.mills).total_mills),
        uncertain_usd=manifest.uncertain_usd,
        would_have_cost_usd=dollars(would_have_cost(manifest.bought)),
        posts=len(statuses),
        states=dict(Counter(status.state for status in statuses)),
        lost=[
            LostPost(s.tweet_id, posts[s.tweet_id].username, s.state, s.reason, s.captured_at)
            for s in statuses
            if s.state not in SHOWN
        ],
        objects=files,
    )


def load(run: Run, staged: dict[str, Any] | None) -> dict[str, Any]:
    """Publish what is staged, each receipt after its files."""
    store, published = object_store.from_settings(), []
    for key in require_xcom(staged, "transform")["receipts"]:
        receipt = store.decoded(key, store.required(key), SnapshotReceipt)
        snapshot = Snapshot(Day.parse(receipt.day), receipt.age)
        staging = key.removesuffix("receipt.json")
        with reschedule_after_progress(lambda: False, run.now), held(store, snapshot.lease, run) as lease:
            _require_not_erased(store, staging, snapshot)
            publish_files(store, lease, staging, receipt, snapshot.receipt, store.etag(snapshot.receipt))
        published.append(snapshot.receipt)
    return {"receipts": published}


def _require_not_erased(store: ObjectStore, staging: str, snapshot: Snapshot) -> None:
    """Refuse what was staged before some of its posts were erased."""
    data = pyarrow.BufferReader(store.required(staging + Path(snapshot.parquet).name))
    ids = pyarrow.parquet.read_table(data, columns=["tweet_id"])["tweet_id"].to_pylist()
    if not erased_ids(store).isdisjoint(ids):
        raise MissingInput(
            f"Nothing is published: posts of {snapshot} were forgotten since it was staged. "
            "Clear `transform`: it is free."
        )
