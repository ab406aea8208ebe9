"""A bucket in memory, in which candidates are staged as `transform` stages them, and `load` at hand."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from include.twitter import layout, object_store
from include.twitter.airflow_context import Run
from include.twitter.layout import TOMBSTONES
from include.twitter.load import load
from include.twitter.records import (
    CollectionSpec,
    Erasure,
    ErasureLog,
    Manifest,
    Receipt,
    decoded,
    encoded,
)
from include.twitter.tombstones import NO_TOMBSTONES, Tombstones
from include.twitter.transform import receipt, refine, stage_files
from include.twitter.transform.files import Partition
from tests.include.factories import DAY, RECEIVED, MemoryStore, account_read, make_response


class Landing:
    """One day that runs load; every post is by number and account."""

    def __init__(self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self._patch = store, monkeypatch
        self.now = RECEIVED
        self._patch.setattr(object_store, "from_settings", lambda: self.store)
        self.put(bucket="acme-twitter-lake", handles="NASA, esa, isro", allow_row_loss="")

    def put(self, **values: Any) -> None:
        for name, value in values.items():
            self._patch.setenv(f"AIRFLOW_VAR_TWITTER_{name.upper()}", value)

    def run(self, name: str) -> Run:
        return Run(DAY, name, lambda: self.now)

    def stage(
        self,
        name: str,
        accounts: Mapping[str, list[Any]],
        tombstones: Tombstones = NO_TOMBSTONES,
        **lines: Any,
    ) -> dict[str, Any]:
        """Candidates of a run, by the handles of accounts, or `handle:id`; what `transform` hands on.

        `lines` has changes of an account's line in the manifest.
        """
        folder_of = layout.staging(DAY, name)
        sources, read = [], []
        for account, posts in sorted(accounts.items()):
            handle, _, id_ = account.partition(":")
            id_ = id_ or f"{len(handle)}00"
            written = [post | {"author_id": id_} if post.get("author_id") == "42" else post for post in posts]
            sources.append(refine.AccountPages(handle, id_, [make_response(*written)]))
            read.append(account_read(handle, len(posts), id=id_, **lines.get(handle, {})))
        with TemporaryDirectory() as folder:
            entries, erased = [], set()
            with Partition(Path(folder)) as partition:
                for batch in refine.refine_accounts(sources, day=DAY, limit=0, erased=tombstones):
                    partition.append(batch)
                    for post_counts in batch.counts_by_account:
                        entries.append(receipt.entry(read[len(entries)], post_counts))
                        erased |= post_counts.erased
            objects = stage_files(self.store, folder_of, partition.files, layout.tables(DAY))
        manifest = Manifest(
            day=str(DAY),
            buy=1,
            opened_by=name,
            opened_at=RECEIVED,
            closed_at=RECEIVED,
            spec=CollectionSpec(tuple(accounts), 0),
            accounts=read,
        )
        made = receipt.of(manifest, entries, objects, erased, len(tombstones.erasures))
        self.store.write(f"{folder_of}receipt.json", encoded(made))
        return {"receipt": f"{folder_of}receipt.json"}

    def load(self, name: str) -> dict[str, Any]:
        """What the task of the run does."""
        return load(self.run(name), {"receipt": f"{layout.staging(DAY, name)}receipt.json"})

    def land(self, name: str, accounts: Mapping[str, list[Any]], **more: Any) -> Receipt:
        """Stage and load."""
        self.stage(name, accounts, **more)
        self.load(name)
        return self.receipt

    def wait(self, seconds: int = 61) -> None:
        self.now: datetime = self.now + timedelta(seconds=seconds)

    def forget(self, *posts: str, account: str | None = None) -> Tombstones:
        erasure = Erasure(at=RECEIVED, why="requested", posts=list(posts), account=account, days=[str(DAY)])
        self.store.write(TOMBSTONES, encoded(ErasureLog(erasures=[erasure])))
        return Tombstones([erasure])

    @property
    def receipt(self) -> Receipt:
        return decoded(self.store.required(layout.receipt(DAY)), Receipt)

    @property
    def published(self) -> str:
        """Which run's bytes are the day, all of them; a mixture fails."""
        objects = decoded(self.store.required(layout.receipt(DAY)), Receipt).objects
        for item in objects.values():
            assert self.store.get(item.key).etag == item.etag, f"{item.key} is not what the receipt says"
        return objects["csv"].sha256

    def staged(self, name: str) -> str:
        """The same of the candidates of a run."""
        return (
            decoded(self.store.required(f"{layout.staging(DAY, name)}receipt.json"), Receipt)
            .objects["csv"]
            .sha256
        )


@pytest.fixture
def landing(monkeypatch) -> Landing:
    return Landing(MemoryStore(), monkeypatch)
