"""One purchase of a day's posts: a folder in the raw zone whose objects are written once.

S3 is the cursor, and a purchase belongs to the day. Whoever runs `extract` for the day opens the newest one
and buys only what is missing of what is wanted; another is opened only on request (`buy_again`). One process
at a time buys for it: its lease is part of the manifest, which is changed by nobody who has not seen its last
state.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import RLock
from typing import Any

from msgspec.structs import asdict, replace

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.errors import TransientError
from include.twitter.extract.budget import Stored
from include.twitter.identities import Identities
from include.twitter.layout import parse_purchase_key
from include.twitter.lease import Lease
from include.twitter.object_store import ObjectStore
from include.twitter.pricing import dollars
from include.twitter.records import (
    AccountOutcome,
    BilledUnits,
    CollectionSpec,
    LeaseHolder,
    Manifest,
    PurchaseState,
    encoded,
    total,
)
from include.twitter.response import Response

# Other folders than those of the accounts, which are named by the accounts' ids.
LOOKUPS_FOLDER = "users-by"
COUNTS_FOLDER = "counts-of"


class Purchase:
    """The day's newest purchase, or the one that a run with `buy_again` opens; `asked` is what is wanted now.

    A day keeps the accounts that were bought for it, also those that are not asked for any more, unless they
    `may_leave`. A run for `only` some of them leaves the others as they are.

    An account is its id: `identities` say which account a handle is. The day keeps the handle under which it
    was first bought for the account; methods that take a handle take the one of `twitter_handles`.
    """

    def __init__(
        self,
        store: ObjectStore,
        run: Run,
        asked: CollectionSpec,
        *,
        may_leave: bool,
        only: Collection[str] = (),
        identities: Identities | None = None,
    ) -> None:
        self._store, self._run = store, run
        self.identities = identities or Identities.read(store)
        self._wanted, self._may_leave = asked, may_leave and not only
        self._only = {handle.lower() for handle in only or asked.handles}
        self._tag: str | None = None
        keys = store.parsed(store.keys(f"{layout.raw(run.day)}buy="), parse_purchase_key)
        self.manifest = self._newest([key for key, parts in keys.items() if parts.is_manifest])
        self.state = self.manifest.state(run.now()) if self._tag else PurchaseState.ABSENT
        self._lines = self.identities.index(self.manifest.accounts)
        self._prefix = f"{layout.raw(run.day)}buy={self.manifest.buy}/"
        self._closed = {
            self.key,
            *self.manifest.requests,
            *(page for line in self.manifest.accounts for page in line.pages),
        }
        # Stored by a process that lost its lease, when the next one had closed already.
        self._is_behind = any(key.startswith(self._prefix) for key in {*keys} - self._closed)
        self._pages: dict[str, list[str]] = defaultdict(list)
        self.stored = Stored(dict(self.manifest.bought), dict(self.manifest.mills))
        self.made_progress = False
        """Whether something was stored that brings it nearer to its end."""
        self.forgotten = store.tombstones()
        """What is stored as its tombstone alone, and which accounts are not bought."""
        self._storing = RLock()
        self._lease = Lease(run, f"{run.day} is being bought ({store.url(self.key)})", self._write_manifest)

    def _newest(self, keys: list[str]) -> Manifest:
        opened = [(key, found) for key in keys if (found := self._store.get(key))]
        manifests = [(self._store.decoded(key, found.data, Manifest), found.etag) for key, found in opened]
        newest, tag = max(manifests, key=lambda each: each[0].buy, default=(None, None))
        was_opened = self._run.id in {manifest.opened_by for manifest, _ in manifests}
        if newest and (was_opened or not self._run.buy_again):
            self._tag = tag
            return newest
        before = newest.accounts if newest else []
        lines = self.identities.index(before)
        again = [lines.of(handle) for handle in self._only]
        return Manifest(
            day=str(self._run.day),
            buy=newest.buy + 1 if newest else 1,
            opened_by=self._run.id,
            opened_at=self._run.now(),
            accounts=[line for line in before if line not in again],
        )

    @property
    def day(self) -> Day:
        return self._run.day

    def now(self) -> datetime:
        return self._run.now()

    @property
    def name(self) -> tuple[str, int]:
        """Its day and number."""
        return str(self.day), self.manifest.buy

    @property
    def bought(self) -> dict[str, BilledUnits]:
        """What X has billed for it so far, by the UTC month of the request."""
        return self.stored.bought

    @property
    def key(self) -> str:
        return layout.manifest(self.day, self.manifest.buy)

    # Which account a handle is

    def line(self, handle: str) -> AccountOutcome | None:
        """The account's entry in the manifest."""
        return self._lines.of(handle)

    def former_entry(self, handle: str) -> AccountOutcome | None:
        """The entry under just this handle, also of an account that has another one by now."""
        named = [line for line in self.manifest.accounts if line.username.lower() == handle.lower()]
        return next((line for line in named if line.has_posts), None)

    def id_of(self, handle: str) -> str | None:
        """The account that the handle was on this day, else the one that a look-up has found last."""
        line = self.line(handle)
        return (line and line.id) or self.identities.ids.get(handle.lower())

    def username_of(self, handle: str) -> str:
        """The handle of the account on this day: the one under which it was first bought."""
        line = self.line(handle)
        return line.username if line and line.username.lower() != handle.lower() else handle

    def confirm(self, handle: str, id_: str) -> None:
        """A look-up has found which account the handle is."""
        self.identities.confirm(handle, id_)
        self._lines = self.identities.index(self.manifest.accounts)

    @property
    def doubles(self) -> list[tuple[str, str]]:
        """Handles of accounts that another handle, which is named before, names too."""
        named = [(handle, line) for handle in self._wanted.handles if (line := self.line(handle))]
        first = {_key(line): handle for handle, line in reversed(named)}
        return [(handle, first[_key(line)]) for handle, line in named if first[_key(line)] != handle]

    # What is missing

    @property
    def missing(self) -> list[str]:
        """The handles whose accounts are incomplete."""
        mine = [handle for handle in self._wanted.handles if handle.lower() in self._only]
        return [handle for handle in mine if not self.has(handle)]

    def has(self, handle: str) -> bool:
        """Whether nothing is missing of the account."""
        return self._wanted.is_satisfied_by(self.line(handle), handle)

    def limit_of(self, handle: str) -> int:
        """The latest N posts of the account are wanted; 0 is all."""
        return self._wanted.limit_of(handle)

    def wants_threads(self, handle: str) -> bool:
        """Whether the account's replies to itself are wanted, or were when it was bought."""
        line = self.line(handle)
        return self._wanted.threads or bool(line and line.threads)

    @property
    def is_complete(self) -> bool:
        """Whether all that is wanted is stored and booked, and the manifest says so."""
        accounts = self.manifest.accounts
        is_closed = self.state is PurchaseState.CLOSED and not (self._is_behind or self.missing)
        leaves = self._may_leave and any(_key(line) not in self._limits for line in accounts)
        return is_closed and not leaves and self._with_limits(accounts) == accounts

    @property
    def _limits(self) -> dict[tuple[str, str | None], int]:
        """The limits of the day's accounts that are wanted now; of two handles the first has its way."""
        handles = reversed(self._wanted.handles)
        return {_key(line): self.limit_of(handle) for handle in handles if (line := self.line(handle))}

    def _with_limits(self, lines: list[AccountOutcome]) -> list[AccountOutcome]:
        limits = self._limits
        return [replace(line, publish_limit=limits.get(_key(line), line.publish_limit)) for line in lines]

    # Buying

    @contextmanager
    def hold_lease(self) -> Iterator[None]:
        """Be the only process that buys for it; LeaseHeld while another does, or may do."""
        self.manifest.is_open = True
        self._lease.acquire(self.manifest.lease)
        if self.state is PurchaseState.LEASED:  # by a process whose lease has expired since it was read
            self.state = self.state.after("expire")
        self.state = self.state.after("acquire")
        with self._lease.heartbeat():
            try:
                for key, parts in self._store.parsed(
                    self._store.keys(self._prefix), parse_purchase_key
                ).items():
                    if not parts.is_manifest:
                        self._pages[parts.folder].append(key)
                yield
            finally:
                if self.state is PurchaseState.LEASED:
                    with suppress(TransientError):  # what ended the turn is what is to be reported
                        self._lease.release()

    def renew_lease(self) -> None:
        """Renew the lease; LeaseHeld if another process has taken it over."""
        self._lease.renew()

    def _write_manifest(self, lease: LeaseHolder | None) -> None:
        self.manifest.lease = lease
        self._tag = self._store.put_if_match(self.key, encoded(self.manifest), self._tag)

    def stored_responses(self) -> Iterator[tuple[str, str, Response]]:
        """Folder, key and response of all that was stored and never closed, in order: it is booked now."""
        keys = [key for pages in self._pages.values() for key in pages if key not in self._closed]
        for folder, key, answer in self._read(keys):
            self.stored.add(answer)
            yield folder, key, answer

    def stored_pages(self, label: str) -> Iterator[tuple[str, Response]]:
        """The pages of a source that are there, in order, also those of an earlier purchase that stay."""
        named = (page for line in self.manifest.accounts for page in line.pages)
        keys = [page for page in named if page.split("/")[-2] == label]
        return ((key, answer) for _, key, answer in self._read([*keys, *self._pages.get(label, ())]))

    def _read(self, keys: Iterable[str]) -> Iterator[tuple[str, str, Response]]:
        keys = list(dict.fromkeys(keys))
        for key, answer in zip(keys, self._store.responses(keys), strict=True):
            self.renew_lease()
            yield key.split("/")[-2], key, answer

    def find(self, folder: str) -> None:
        """Nothing: what is stored is gone over first, by `stored_responses`."""

    def store(self, folder: str, answer: Response) -> str:
        """Keep a response as the next page of its folder, on condition that nobody has; returns its key."""
        answer = dataclasses.replace(answer, content=self.forgotten.redact(answer.content, answer.kind))
        with self._storing:
            pages = self._pages[folder]
            number = int(pages[-1][-12:-8]) + 1 if pages else 1  # one before it may never have been written
            key = f"{self._prefix}{folder}/{number:04}.json.gz"
            pages.append(key)
        # With the lease's token: equal responses to two processes are two responses, and both were billed.
        self._store.put_if_match(key, answer.to_bytes(self._lease.token), None)
        self.made_progress |= not answer.unavailable
        return key

    def close(self, read: Iterable[AccountOutcome], uncertain_mills: int = 0) -> None:
        """Write down what is there, once every account has been read."""
        wanted, new = self._limits, _each_page_once([*read])
        stay = [
            line
            for line in self.manifest.accounts
            if not any(_replaces(other, line) for other in new)
            and (_key(line) in wanted or (line.posts and not self._may_leave))
        ]
        accounts = [*stay, *(replace(line, publish_limit=line.limit) for line in new)]
        named = {page for line in accounts for page in line.pages}
        self._lease.end()
        manifest = self.manifest
        manifest.accounts = sorted(accounts, key=lambda line: (line.username, line.id or ""))
        self._lines = self.identities.index(manifest.accounts)
        manifest.accounts = self._with_limits(manifest.accounts)
        manifest.requests = sorted(key for keys in self._pages.values() for key in keys if key not in named)
        manifest.bought, manifest.mills = self.bought, self.stored.mills
        manifest.cost_usd = dollars(self.stored.total_mills)
        manifest.uncertain_usd = dollars(uncertain_mills)
        mine = [
            handle for handle in self._wanted.handles if handle.lower() in self._only or self.line(handle)
        ]
        manifest.spec, manifest.closed_at = replace(self._wanted, handles=tuple(mine)), self._run.now()
        manifest.is_open = False
        self._write_manifest(None)
        self.state = self.state.after("close")

    def summary(self) -> dict[str, Any]:
        """What `extract` hands on."""
        bought = total(self.manifest.bought.values())
        return {"manifest": self.key, **asdict(bought), "cost_usd": self.manifest.cost_usd}


def _key(line: AccountOutcome) -> tuple[str, str | None]:
    """What tells a day's entries apart: two accounts may have had the same handle."""
    return line.username.lower(), line.id


def _each_page_once(read: list[AccountOutcome]) -> list[AccountOutcome]:
    """The entries; of two handles of one account the one that could be read has its pages."""
    owners = {line.id: line for line in sorted(read, key=lambda line: line.outcome != "unavailable")}
    return [
        line if line.id is None or owners[line.id] is line else replace(line, pages=[], posts=0)
        for line in read
    ]


def _replaces(new: AccountOutcome, line: AccountOutcome) -> bool:
    """Whether a new entry is of the same account, or an old one only says why its handle had no posts."""
    is_same_handle = new.username.lower() == line.username.lower()
    if not line.has_posts:
        return is_same_handle
    return (is_same_handle and None in (new.id, line.id)) or (new.id == line.id and new.has_posts)
