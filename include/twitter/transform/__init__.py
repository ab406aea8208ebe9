"""The stage `transform`: refines the stored responses into the day's table, and stages its files.

`post` is a post as X sends it, `decode` decodes it, `text` is what people read of it, `contract` has the
columns, `refine` makes rows of posts, `partition` the files of a day, `receipt` the account of it.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec.structs import replace

from include.twitter import layout
from include.twitter.errors import MissingInput
from include.twitter.layout import FORGOTTEN as FORGOTTEN
from include.twitter.records import (
    AccountOutcome,
    Manifest,
    PublishedObject,
    Tombstone,
    encoded,
    latest_in_words,
)
from include.twitter.safe_text import LONGEST_MESSAGE, safe_text
from include.twitter.tombstones import Tombstones
from include.twitter.transform import receipt, refine
from include.twitter.transform.files import Partition, fingerprint

if TYPE_CHECKING:
    from include.twitter.airflow_context import Run
    from include.twitter.object_store import ObjectStore

log = logging.getLogger(__name__)


def transform(run: Run, bought: dict[str, Any] | None) -> dict[str, Any]:
    """Refine the stored responses, account by account, and stage the files."""
    from include.twitter import object_store  # here: the pure modules of the package need no Airflow
    from include.twitter.airflow_context import require_xcom

    gc.freeze()  # all that is imported: else the garbage collector looks through it again and again
    store = object_store.from_settings()
    manifest = _manifest(store, require_xcom(bought, "extract")["manifest"])
    # Two Airflows give the runs of a day the same id, and a try that was given up may continue.
    staging = layout.staging(run.day, f"{run.id}-{uuid4().hex[:8]}")
    tombstones = store.tombstones()
    with TemporaryDirectory() as folder:
        with Partition(Path(folder)) as partition:
            entries, erased = _refine(store, run, manifest, partition, tombstones)
        objects = stage_files(store, staging, partition.files, layout.tables(run.day))
    candidate = receipt.of(manifest, entries, objects, erased, len(tombstones.erasures))
    store.write(f"{staging}receipt.json", encoded(candidate))
    if drift := candidate.totals.drift:
        log.warning("X sends fields that are new: %s", safe_text(", ".join(drift), LONGEST_MESSAGE))
    if dropped_fields := candidate.totals.dropped_fields:
        log.warning(
            "X sends fields that are not as they have to be: %s",
            safe_text(", ".join(dropped_fields), LONGEST_MESSAGE),
        )
    for line in receipt.readable(candidate):
        log.info(line)
    for account in candidate.accounts:
        if account.outcome == "limit":
            log.info("%s: %s posts of the day", account.username, latest_in_words(account))
    receipt.require_few_rejected(candidate, store.url(f"{staging}{Path(layout.rejected(run.day)).name}"))
    return {"receipt": f"{staging}receipt.json", "rows": candidate.totals.published}


def stage_files(
    store: ObjectStore, staging: str, files: Mapping[str, Path], keys: Mapping[str, str]
) -> dict[str, PublishedObject]:
    """Upload the files to the run's staging prefix; returns what a receipt says of them, by name.

    `keys` are those under which they are published later.
    """
    return {
        name: PublishedObject(
            key=keys[name], **fingerprint(file), etag=store.upload(staging + file.name, file)
        )
        for name, file in files.items()
    }


def _manifest(store: ObjectStore, key: str) -> Manifest:
    manifest = store.record(key, Manifest)
    if not manifest or not manifest.closed_at:
        raise MissingInput(f"{store.url(key)} is gone or was never closed: clear `extract`.")
    return manifest


def _refine(
    store: ObjectStore, run: Run, manifest: Manifest, partition: Partition, tombstones: Tombstones
) -> tuple[list[receipt.AccountReceipt], set[Tombstone]]:
    """The accounts' receipts, and what is left of erased posts; their rows are in the partition."""
    accounts = sorted(_merged_accounts(manifest.accounts), key=lambda account: account.username)
    entries: list[receipt.AccountReceipt] = []
    erased: set[Tombstone] = set()
    sources = _account_pages(store, accounts)
    for batch in refine.refine_accounts(
        sources, day=run.day, limit=manifest.spec.tweet_limit, erased=tombstones
    ):
        partition.append(batch)
        for post_counts in batch.counts_by_account:
            entries.append(receipt.entry(accounts[len(entries)], post_counts))
            erased |= post_counts.erased
            _log_account(post_counts)
    return entries, erased


def _merged_accounts(accounts: list[AccountOutcome]) -> list[AccountOutcome]:
    """The accounts, with one that was bought under two handles once: a post has one row on its day."""
    once: dict[str | int, AccountOutcome] = {}
    for number, account in enumerate(accounts):
        key = account.id if account.id and account.posts else number
        if other := once.get(key):
            names = other.username, account.username, other.id
            log.warning("%s and %s are one account, %s: its posts land once", *names)
            account = replace(
                other,
                posts=other.posts + account.posts,
                pages=[*other.pages, *account.pages],
                threads=other.threads or account.threads,
            )
        once[key] = account
    return [*once.values()]


def _log_account(post_counts: refine.PostCounts) -> None:
    """Log what the rows of an account do not say."""
    if unrequested := post_counts.counts["unrequested"]:
        log.warning(
            "%s: %d retweets and replies came although they were excluded; none is published",
            post_counts.username,
            unrequested,
        )
    if erased := post_counts.counts["erased"]:
        log.info("%s: %d posts are left out, since they were erased", post_counts.username, erased)
    for reason, number in post_counts.reasons.items():
        log.warning("%s: %d rejected, %s", post_counts.username, number, reason)
    for warning in post_counts.warnings:
        log.warning("%s: %s", post_counts.username, warning)


def _account_pages(store: ObjectStore, accounts: list[AccountOutcome]) -> Iterator[refine.AccountPages]:
    """The accounts with their responses: those of the next ones are read ahead."""
    responses = store.responses(page for account in accounts for page in account.pages)
    for account in accounts:
        pages = islice(responses, len(account.pages))
        yield refine.AccountPages(account.username, account.id, pages, account.threads, account.publish_limit)
