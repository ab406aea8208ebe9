"""One purchase of a day's posts: a folder in the raw zone whose objects are written once.

S3 is the cursor, and a purchase belongs to the day. Whoever runs `extract` for the day opens the newest one
and buys only what is missing; another is opened only on request (`buy_again`). One process at a time buys for
it: its lease is part of the manifest, which is changed by nobody who has not seen its last state.
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
    """The day's newest purchase, or the one that a run with `buy_again` opens.

    A day keeps the accounts that were bought for it, also those that are no longer in the `spec`, unless they
    `may_leave`. A run for `only` some of them leaves the others as they are.

    An account is its id: `identities` say which account a handle is. The day keeps the handle under which it
    was first bought for the account; methods that take a handle take the one of `twitter_handles`.
    """

    def __init__(
        self,
        store: ObjectStore,
        run: Run,
        spec: CollectionSpec,
        *,
        may_leave: bool,
        only: Collection[str] = (),
        identities: Identities | None = None,
    ) -> None:
        self._store, self._run, self._spec = store, run, spec
        self.identities = identities or Identities.read(store)
        self._may_leave = may_leave and not only
        self._only = {handle.lower() for handle in only or spec.handles}
        self._etag: str | None = None
        keys = store.parsed(store.keys(f"{layout.raw(run.day)}buy="), parse_purchase_key)
        self.manifest = self._newest([key for key, parts in keys.items() if parts.is_manifest])
        self.state = self.manifest.state(run.now()) if self._etag else PurchaseState.ABSENT
        self._entries = self.identities.index(self.manifest.accounts)
        self._prefix = self.key.removesuffix("manifest.json")
        self._recorded = {self.key, *self.manifest.requests, *_pages(self.manifest.accounts)}
        self.has_unrecorded_pages = any(key.startswith(self._prefix) for key in {*keys} - self._recorded)
        """Whether a process that lost its lease stored pages after the next one had closed."""
        self._pages: dict[str, list[str]] = defaultdict(list)
        """Keys of the stored pages by folder, in order."""
        self.stored = Stored(dict(self.manifest.bought), dict(self.manifest.mills))
        self.made_progress = False
        """Whether something was stored that brings it nearer to its end."""
        self.tombstones = store.tombstones()
        """Posts that are stored as tombstones, and accounts that are not bought."""
        self._numbering = RLock()
        self._lease = Lease(run, f"{run.day} is being bought ({store.url(self.key)})", self._write_manifest)

    def _newest(self, keys: list[str]) -> Manifest:
        objects = [(key, stored) for key in keys if (stored := self._store.get(key))]
        manifests = [(self._store.decoded(key, data, Manifest), etag) for key, (data, etag) in objects]
        newest, etag = max(manifests, key=lambda pair: pair[0].buy, default=(None, None))
        was_opened = self._run.id in {manifest.opened_by for manifest, _ in manifests}
        if newest and (was_opened or not self._run.buy_again):
            self._etag = etag
            return newest
        earlier = newest.accounts if newest else []
        index = self.identities.index(earlier)
        bought_again = [index.of(handle) for handle in self._only]
        return Manifest(
            day=str(self._run.day),
            buy=newest.buy + 1 if newest else 1,
            opened_by=self._run.id,
            opened_at=self._run.now(),
            accounts=[entry for entry in earlier if entry not in bought_again],
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

    def entry(self, handle: str) -> AccountOutcome | None:
        """The account's entry in the manifest."""
        return self._entries.of(handle)

    def former_entry(self, handle: str) -> AccountOutcome | None:
        """The entry with posts under just this handle, also of an account that has another one by now."""
        entries = (entry for entry in self.manifest.accounts if entry.has_posts)
        return next((entry for entry in entries if entry.username.lower() == handle.lower()), None)

    def id_of(self, handle: str) -> str | None:
        """The account that the handle was on this day, else the one that the latest look-up found."""
        entry = self.entry(handle)
        return (entry and entry.id) or self.identities.ids.get(handle.lower())

    def username_of(self, handle: str) -> str:
        """The handle of the account on this day: the one under which it was first bought."""
        entry = self.entry(handle)
        return entry.username if entry and entry.username.lower() != handle.lower() else handle

    @property
    def _requested(self) -> dict[tuple[str, str | None], str]:
        """The handle that requests each entry of the day; of several the first of `twitter_handles`."""
        handles = reversed(self._spec.handles)
        return {_key(entry): handle for handle in handles if (entry := self.entry(handle))}

    @property
    def duplicate_handles(self) -> list[tuple[str, str]]:
        """Handles of accounts that an earlier handle names too, with that handle."""
        first = self._requested
        requested = [(handle, entry) for handle in self._spec.handles if (entry := self.entry(handle))]
        return [(handle, first[_key(entry)]) for handle, entry in requested if first[_key(entry)] != handle]

    # What is missing

    @property
    def missing(self) -> list[str]:
        """The handles whose accounts are incomplete."""
        handles = self._spec.handles
        return [handle for handle in handles if handle.lower() in self._only and not self.has(handle)]

    def has(self, handle: str) -> bool:
        """Whether nothing is missing of the account."""
        return self._spec.is_satisfied_by(self.entry(handle), handle)

    def limit_of(self, handle: str) -> int:
        """The account's latest N posts are collected; 0 is all."""
        return self._spec.limit_of(handle)

    def wants_threads(self, handle: str) -> bool:
        """Whether the account's replies to itself are collected, or were when it was bought."""
        entry = self.entry(handle)
        return self._spec.threads or bool(entry and entry.threads)

    @property
    def is_complete(self) -> bool:
        """Whether everything is stored and booked, and the manifest says so."""
        accounts, requested = self.manifest.accounts, self._requested
        if self.state is not PurchaseState.CLOSED or self.has_unrecorded_pages or self.missing:
            return False
        leaves = self._may_leave and any(_key(entry) not in requested for entry in accounts)
        return not leaves and self._with_limits(accounts) == accounts

    def _with_limits(self, entries: list[AccountOutcome]) -> list[AccountOutcome]:
        """The entries with the current limits; one that is not requested keeps its limit."""
        limits = {key: self.limit_of(handle) for key, handle in self._requested.items()}
        return [
            replace(entry, publish_limit=limits.get(_key(entry), entry.publish_limit)) for entry in entries
        ]

    # Buying

    @contextmanager
    def hold_lease(self) -> Iterator[None]:
        """Be the only process that buys for it; LeaseHeld while another one holds the lease."""
        self.manifest.is_open = True
        self._lease.acquire(self.manifest.lease)
        if self.state is PurchaseState.LEASED:  # by a process whose lease has expired since it was read
            self.state = self.state.after("expire")
        self.state = self.state.after("acquire")
        with self._lease.heartbeat():
            try:
                keys = self._store.parsed(self._store.keys(self._prefix), parse_purchase_key)
                for key, parts in keys.items():
                    if not parts.is_manifest:
                        self._pages[parts.folder].append(key)
                yield
            finally:
                if self.state is PurchaseState.LEASED:
                    with suppress(TransientError):  # the error that ended the work is the one to report
                        self._lease.release()

    def renew_lease(self) -> None:
        """Renew the lease; LeaseHeld if another process has taken it over."""
        self._lease.renew()

    def _write_manifest(self, lease: LeaseHolder | None) -> None:
        self.manifest.lease = lease
        self._etag = self._store.put_if_match(self.key, encoded(self.manifest), self._etag)

    def stored_responses(self) -> Iterator[tuple[str, str, Response]]:
        """Book all responses that the manifest does not record; yields folder, key and response, in order."""
        keys = [key for pages in self._pages.values() for key in pages if key not in self._recorded]
        for key, response in self._read(keys):
            self.stored.add(response)
            yield _folder(key), key, response

    def stored_pages(self, label: str) -> Iterator[tuple[str, Response]]:
        """The stored pages of a source, in order, also those of an earlier purchase that stay."""
        keys = [page for page in _pages(self.manifest.accounts) if _folder(page) == label]
        return self._read([*keys, *self._pages.get(label, ())])

    def _read(self, keys: Iterable[str]) -> Iterator[tuple[str, Response]]:
        keys = list(dict.fromkeys(keys))
        for key, response in zip(keys, self._store.responses(keys), strict=True):
            self.renew_lease()
            yield key, response

    def find(self, folder: str) -> None:
        """Return no response: the reader reads the stored ones first."""

    def store(self, folder: str, response: Response) -> str:
        """Write a response as the next page of its folder, if nobody else has; returns its key."""
        content = self.tombstones.redact(response.content, response.kind)
        with self._numbering:
            pages = self._pages[folder]
            pages.append(key := layout.next_page(f"{self._prefix}{folder}/", pages))
        # With the lease's token: equal responses to two processes are two responses, and both were billed.
        data = dataclasses.replace(response, content=content).to_bytes(self._lease.token)
        self._store.put_if_match(key, data, None)
        self.made_progress |= not response.unavailable
        return key

    def close(self, read: Iterable[AccountOutcome], uncertain_mills: int = 0) -> None:
        """Record everything in the manifest, once every account has been read."""
        self._lease.end()
        manifest, requested, new = self.manifest, self._requested, _each_page_once([*read])
        handles, keys = {entry.username.lower() for entry in new}, {*map(_key, new)}
        ids = {entry.id for entry in new if entry.has_posts}

        def is_replaced(entry: AccountOutcome) -> bool:
            if not entry.has_posts:  # it only says why its handle has none
                return entry.username.lower() in handles
            return entry.id in ids or (not entry.posts and _key(entry) in keys)

        kept = [
            entry
            for entry in manifest.accounts
            if not is_replaced(entry) and (_key(entry) in requested or (entry.posts and not self._may_leave))
        ]
        new = [replace(entry, publish_limit=entry.limit) for entry in new]
        manifest.accounts = sorted([*kept, *new], key=lambda entry: (entry.username, entry.id or ""))
        self._entries = self.identities.index(manifest.accounts)
        manifest.accounts = self._with_limits(manifest.accounts)
        stored = {key for pages in self._pages.values() for key in pages}
        manifest.requests = sorted(stored.difference(_pages(manifest.accounts)))
        manifest.bought, manifest.mills = self.stored.bought, self.stored.mills
        manifest.cost_usd, manifest.uncertain_usd = dollars(self.stored.total_mills), dollars(uncertain_mills)
        collected = [h for h in self._spec.handles if h.lower() in self._only or self.entry(h)]
        manifest.spec, manifest.closed_at = replace(self._spec, handles=tuple(collected)), self._run.now()
        manifest.is_open = False
        self._write_manifest(None)
        self.state = self.state.after("close")

    def summary(self) -> dict[str, Any]:
        """The key of the manifest, and what was bought: the XCom of `extract`."""
        bought = total(self.manifest.bought.values())
        return {"manifest": self.key, **asdict(bought), "cost_usd": self.manifest.cost_usd}


def _pages(entries: Iterable[AccountOutcome]) -> list[str]:
    return [page for entry in entries for page in entry.pages]


def _folder(key: str) -> str:
    return key.split("/")[-2]


def _key(entry: AccountOutcome) -> tuple[str, str | None]:
    """What distinguishes the entries of a day: two accounts may have had the same handle."""
    return entry.username.lower(), entry.id


def _each_page_once(entries: list[AccountOutcome]) -> list[AccountOutcome]:
    """The entries; if two are of one account, the one that could be read has its pages."""
    owners = {entry.id: entry for entry in sorted(entries, key=lambda entry: entry.outcome != "unavailable")}
    return [
        entry if entry.id is None or owners[entry.id] is entry else replace(entry, pages=[], posts=0)
        for entry in entries
    ]
