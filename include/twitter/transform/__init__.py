"""The stage `transform`: refines the stored responses into the day's table, and stages its files.

`post` is a post as X sends it, `decode` decodes it, `text` makes its text and links, `contract` has the
columns, `refine` makes rows of posts, `files` writes the files of a day, `receipt` accounts for each post.
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

from include.twitter import layout
from include.twitter.errors import MissingInput
from include.twitter.records import (
    AccountOutcome,
    AccountReceipt,
    Manifest,
    PublishedObject,
    encoded,
    latest_in_words,
)
from include.twitter.safe_text import LONGEST_MESSAGE, safe_text
from include.twitter.transform import receipt, refine
from include.twitter.transform.files import Partition, fingerprint

if TYPE_CHECKING:
    from include.twitter.airflow_context import Run
    from include.twitter.object_store import ObjectStore
    from include.twitter.records import Tombstone

log = logging.getLogger(__name__)


def transform(run: Run, bought: dict[str, Any] | None) -> dict[str, Any]:
    """Refine the stored responses, account by account, and stage the files."""
    from include.twitter import object_store  # here: the pure modules of the package need no Airflow
    from include.twitter.airflow_context import require_xcom

    gc.freeze()  # all that is imported: else the garbage collector looks through it again and again
    store = object_store.from_settings()
    manifest = _closed_manifest(store, require_xcom(bought, "extract")["manifest"])
    # Two Airflows give the runs of a day the same id, and a try that was given up may continue.
    staging = layout.staging(run.day, f"{run.id}-{uuid4().hex[:8]}")
    tombstones = store.tombstones()
    accounts = sorted(manifest.accounts, key=lambda account: account.username)
    entries: list[AccountReceipt] = []
    erased: set[Tombstone] = set()
    with TemporaryDirectory() as folder:
        with Partition(Path(folder)) as partition:
            for batch in refine.refine_accounts(
                _account_pages(store, accounts),
                day=run.day,
                limit=manifest.spec.tweet_limit,
                erased=tombstones,
            ):
                partition.append(batch)
                for counts in batch.counts_by_account:
                    entries.append(receipt.entry(accounts[len(entries)], counts))
                    erased |= counts.erased
        objects = stage_files(store, staging, partition.files, layout.tables(run.day))
    candidate = receipt.of(manifest, entries, objects, erased, len(tombstones.erasures))
    store.write(f"{staging}receipt.json", encoded(candidate))
    for account in entries:
        _log_account(account)
    if drift := candidate.totals.drift:
        log.warning("X sends fields that are new: %s", safe_text(", ".join(drift), LONGEST_MESSAGE))
    if dropped := candidate.totals.dropped_fields:
        log.warning("X sends malformed fields: %s", safe_text(", ".join(dropped), LONGEST_MESSAGE))
    for line in receipt.readable(candidate):
        log.info(line)
    receipt.require_few_rejected(candidate, store.url(f"{staging}{Path(layout.rejected(run.day)).name}"))
    return {"receipt": f"{staging}receipt.json", "rows": candidate.totals.published}


def stage_files(
    store: ObjectStore, staging: str, files: Mapping[str, Path], keys: Mapping[str, str]
) -> dict[str, PublishedObject]:
    """Upload the files to the run's staging prefix; returns their entries in a receipt, by name.

    `keys` are those under which they are published later.
    """
    return {
        name: PublishedObject(
            key=keys[name], **fingerprint(file), etag=store.upload(staging + file.name, file)
        )
        for name, file in files.items()
    }


def _closed_manifest(store: ObjectStore, key: str) -> Manifest:
    manifest = store.record(key, Manifest)
    if not manifest or not manifest.closed_at:
        raise MissingInput(f"{store.url(key)} is gone or was never closed: clear `extract`.")
    return manifest


def _account_pages(store: ObjectStore, accounts: list[AccountOutcome]) -> Iterator[refine.AccountPages]:
    """The accounts with their responses: those of the next ones are read ahead."""
    responses = store.responses(page for account in accounts for page in account.pages)
    for account in accounts:
        pages = islice(responses, len(account.pages))
        yield refine.AccountPages(account.username, account.id, pages, account.threads, account.publish_limit)


def _log_account(account: AccountReceipt) -> None:
    """Log what the rows of an account do not show."""
    if account.unrequested:
        log.warning(
            "%s: X sent %d retweets and replies although they were excluded; none is published",
            account.username,
            account.unrequested,
        )
    if account.erased:
        log.info("%s: %d erased posts are not published", account.username, account.erased)
    for reason, number in account.rejected_by_reason.items():
        log.warning("%s: %d rejected, %s", account.username, number, reason)
    for warning in account.warnings:
        log.warning("%s: %s", account.username, warning)
    if account.outcome == "limit":
        log.info("%s: %s posts of the day", account.username, latest_in_words(account))
