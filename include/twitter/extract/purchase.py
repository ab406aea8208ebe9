"""One purchase of a day's posts: a folder in the raw zone whose objects are written once.

S3 is the cursor, and a purchase belongs to the day. Whoever runs `extract` for the day looks at the newest
one and buys only what is missing of what is wanted; another is opened only when somebody wishes it. One
writer at a time buys for it: the manifest names it, and is changed by nobody who has not seen its last
state.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event, RLock
from typing import Any
from uuid import uuid4

from msgspec.structs import asdict, replace

from include.twitter.answer import Answer
from include.twitter.day import FORGOTTEN, Day, parse_purchase_key
from include.twitter.errors import Busy, TryLater
from include.twitter.extract.money import Stored
from include.twitter.forgotten import Tombstones
from include.twitter.lake import Lake
from include.twitter.pricing import dollars
from include.twitter.records import AccountRead, Asked, Bought, Manifest, Writer, encoded, limit_key, total
from include.twitter.roster import Identities
from include.twitter.run import Run

TURN = timedelta(minutes=1)
"""How long a writer that is not heard of keeps others away; it is heard of each third of that."""

# Folders beside those of the accounts, which are named by the accounts' ids.
LOOKUPS = "users-by"
COUNTS = "counts-of"
REFUSED = "refused-"
"""Prefix: an account's answers that were paid for and could not be used."""


class Purchase:
    """The day's newest purchase, or the one that a run with `buy_again` opens; `asked` is what is wanted now.

    A day keeps the accounts that were bought for it, also those that are not asked for any more, unless they
    `may_leave`. A run for `only` some of them leaves the others as they are.

    An account is its id: `identities` say which account a handle is. The day keeps the handle under which it
    was first bought for the account; methods that take a handle take the one of `twitter_handles`.
    """

    def __init__(
        self,
        lake: Lake,
        run: Run,
        asked: Asked,
        *,
        may_leave: bool,
        only: Collection[str] = (),
        identities: Identities | None = None,
    ) -> None:
        self._lake, self._run = lake, run
        self._identities = identities or Identities.read(lake)
        self._wanted, self._may_leave = asked, may_leave and not only
        self._only = {handle.lower() for handle in only or asked.handles}
        self._tag: str | None = None
        keys = lake.parsed(lake.keys(f"{run.day.raw}buy="), parse_purchase_key)
        self.manifest = self._newest([key for key, its in keys.items() if its.is_manifest])
        self._match()
        self._prefix = f"{run.day.raw}buy={self.manifest.buy}/"
        self._closed = {
            self.key,
            *self.manifest.requests,
            *(page for line in self.manifest.accounts for page in line.pages),
        }
        # Staged by one that was overtaken, when the other had closed already.
        self._is_behind = any(key.startswith(self._prefix) for key in {*keys} - self._closed)
        self._pages: dict[str, list[str]] = defaultdict(list)
        self.stored = Stored(dict(self.manifest.bought), dict(self.manifest.mills))
        self.got_further = False
        """Whether something was staged that brings it nearer to its end."""
        self._token = uuid4().hex
        with lake.parsing(FORGOTTEN, "the list of what was forgotten"):
            self.forgotten = Tombstones.of(lake.read(FORGOTTEN))
        """What is staged as its tombstone alone, and which accounts are not bought."""
        self._writing = RLock()
        self._over = Event()

    def _match(self) -> None:
        """Find each wanted account among the lines, and say what is wanted in the handles of the day."""
        asked, before = self._wanted, self.manifest.asked
        lines = self.manifest.accounts
        self._lines = self._identities.find(lines)
        found = {handle: line for handle in asked.handles if (line := self._lines.of(handle))}
        others = {_key(line) for line in lines} - {_key(line) for line in found.values()}
        self._leaving = others if self._may_leave else set()
        here = [handle for handle in asked.handles if handle in found or handle.lower() in self._only]
        handles = {name.lower(): name for name in map(self.username_of, reversed(here))}
        names = Counter(line.username.lower() for line in lines if line.has_posts)
        limits = {}
        for line in lines:
            before_keys = [limit_key(line, is_shared=shared) for shared in (True, False)]
            known = [before.limits[key] for key in before_keys if key in before.limits]
            if known and _key(line) in others - self._leaving:
                limits[_limit_key(line, names)] = known[0]
        for handle in here:
            if (limit := asked.limits.get(handle.lower())) is not None:
                key = _limit_key(found[handle], names) if handle in found else handle.lower()
                limits[key] = limit
        self._asked = replace(asked, handles=tuple(reversed(handles.values())), limits=limits)

    def confirm(self, handle: str, id_: str) -> None:
        """A look-up has found which account the handle is."""
        self._identities.confirm(handle, id_)
        self._match()

    def _newest(self, keys: list[str]) -> Manifest:
        looked = [(key, opened) for key in keys if (opened := self._lake.look(key))]
        found = [opened for _, opened in looked]
        manifests = [self._lake.decoded(key, opened.data, Manifest) for key, opened in looked]
        newest = max(manifests, key=lambda manifest: manifest.buy, default=None)
        wished = self._run.buy_again and self._run.id not in {manifest.opened_by for manifest in manifests}
        if newest and not wished:
            self._tag = found[manifests.index(newest)].tag
            return newest
        before = newest.accounts if newest else []
        lines = self._identities.find(before)
        again = {_key(line) for handle in self._only if (line := lines.of(handle))}
        return Manifest(
            day=str(self._run.day),
            buy=newest.buy + 1 if newest else 1,
            opened_by=self._run.id,
            opened_at=self._run.now(),
            accounts=[line for line in before if _key(line) not in again],
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
    def bought(self) -> dict[str, Bought]:
        """What X has billed for it so far, by the UTC month of the request."""
        return self.stored.bought

    @property
    def key(self) -> str:
        return self.day.manifest(self.manifest.buy)

    @property
    def missing(self) -> list[str]:
        """The handles of which something is still to be bought."""
        mine = [handle for handle in self._wanted.handles if handle.lower() in self._only]
        return [handle for handle in mine if not self.has(handle)]

    def has(self, handle: str) -> bool:
        """Whether nothing is missing of the account."""
        return self._wanted.is_met_by(self.line(handle), handle)

    @property
    def doubles(self) -> list[tuple[str, str]]:
        """Handles of accounts that another handle, which is named before, names too."""
        first: dict[tuple[str, str | None], str] = {}
        lines = [(handle, line) for handle in self._wanted.handles if (line := self.line(handle))]
        named = [(handle, first.setdefault(_key(line), handle)) for handle, line in lines]
        return [(handle, other) for handle, other in named if handle != other]

    @property
    def unsure(self) -> list[str]:
        """Handles that a look-up may find to be an account which the day has under another one."""
        return self._identities.unsure(self._wanted.handles, self.manifest.accounts)

    def id_of(self, handle: str) -> str | None:
        """The account that the handle was on this day, else the one that a look-up has found last."""
        line = self.line(handle)
        return (line and line.id) or self._identities.ids.get(handle.lower())

    def username_of(self, handle: str) -> str:
        """The handle of the account on this day: the one under which it was first bought."""
        line = self.line(handle)
        return line.username if line and line.username.lower() != handle.lower() else handle

    def limit_of(self, handle: str) -> int:
        """The latest N posts of the account are wanted; 0 is all."""
        return self._wanted.limit_of(handle)

    def wants_threads(self, handle: str) -> bool:
        """Whether the account's replies to itself are wanted, or were when it was bought."""
        line = self.line(handle)
        return self._asked.threads or bool(line and line.threads)

    def line(self, handle: str) -> AccountRead | None:
        """What it has of an account since it was closed last."""
        return self._lines.of(handle)

    def former(self, handle: str) -> AccountRead | None:
        """What it has under just this handle, also of an account that has another one by now."""
        named = [line for line in self.manifest.accounts if line.username.lower() == handle.lower()]
        return next((line for line in named if line.has_posts), None)

    @property
    def is_complete(self) -> bool:
        """Whether all that is wanted is there and booked, and nothing else is to be written down."""
        is_other = self.manifest.is_open or self.manifest.asked != self._asked
        return not (is_other or self._is_behind or self.missing or self._leaving)

    # Buying

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Be the only one who buys for it; Busy while another does, or may do."""
        writer, run = self.manifest.writer, self._run
        if writer and run.now() < writer.until:
            raise Busy(
                f"{run.day} is being bought ({self._lake.url(self.key)}). It is gone on with from there; "
                f"if the other was killed, that shows at {writer.until:%H:%M:%S} UTC.",
                at=writer.until,
            )
        self.manifest.is_open = True
        self._speak_up()
        with ThreadPoolExecutor(1) as beside:
            beside.submit(self._be_heard_of)
            try:
                self._list_pages()
                yield
            finally:
                self._hand_over()

    def _list_pages(self) -> None:
        for key, its in self._lake.parsed(self._lake.keys(self._prefix), parse_purchase_key).items():
            if not its.is_manifest:
                self._pages[its.folder].append(key)

    def _be_heard_of(self) -> None:
        """Keep the turn also where X takes its time to answer."""
        while not self._over.wait(TURN.total_seconds() / 6):
            self.keep_turn()

    def _hand_over(self) -> None:
        with self._writing, suppress(TryLater):  # what ended the turn is what is to be told
            self._over.set()
            if self.manifest.writer:
                self.manifest.writer = None
                self._write_manifest()

    def keep_turn(self) -> None:
        """Be heard of; Busy where another has taken over."""
        with self._writing:
            writer = self.manifest.writer
            if not self._over.is_set() and (writer is None or self._run.now() > writer.until - TURN * 2 / 3):
                self._speak_up()

    def _speak_up(self) -> None:
        until = self._run.now() + TURN
        self.manifest.writer = Writer(self._run.id, self._token, until)
        self._write_manifest()

    def _write_manifest(self) -> None:
        try:
            self._tag = self._lake.swap(self.key, encoded(self.manifest), self._tag)
        except Busy:
            self.manifest.writer = None  # it is another's turn
            raise

    def staged(self) -> Iterator[tuple[str, str, Answer]]:
        """Folder, key and answer of all that was never closed; it is booked."""
        keys = [key for pages in self._pages.values() for key in pages if key not in self._closed]
        for folder, key, answer in self._read(keys):
            self.stored.add(answer)
            yield folder, key, answer

    def stored_pages(self, folder: str) -> Iterator[tuple[str, Answer]]:
        """The pages of a source that are there, in order, also those of an earlier purchase that stay."""
        named = (page for line in self.manifest.accounts for page in line.pages)
        keys = [page for page in named if page.split("/")[-2] == folder] + self._pages.get(folder, [])
        return ((key, answer) for _, key, answer in self._read(dict.fromkeys(keys)))

    def _read(self, keys: Iterable[str]) -> Iterator[tuple[str, str, Answer]]:
        keys = list(keys)
        for key, answer in zip(keys, self._lake.answers(keys), strict=True):
            self.keep_turn()
            yield key.split("/")[-2], key, answer

    def stage(self, folder: str, answer: Answer) -> str:
        """Keep an answer as the next page of its folder, which nobody has written before; returns its key."""
        answer = dataclasses.replace(answer, content=self.forgotten.without(answer.content, answer.kind))
        with self._writing:
            pages = self._pages[folder]
            number = int(pages[-1][-12:-8]) + 1 if pages else 1  # one before it may never have been written
            key = f"{self._prefix}{folder}/{number:04}.json.gz"
            pages.append(key)
        # With its writer's token: what two were sent in the same second is two answers, and both were billed.
        self._lake.swap(key, answer.to_bytes(self._token), None)
        with self._writing:
            self.stored.add(answer)
            self.got_further |= not answer.unavailable
        return key

    def close(self, read: Iterable[AccountRead], uncertain_mills: int = 0) -> None:
        """Say what is there, once every account has been asked."""
        read = list(read)
        lines = [line for line in self.manifest.accounts if not any(_replaces(new, line) for new in read)]
        wanted = {_key(line) for handle in self._wanted.handles if (line := self.line(handle))}
        stay = [
            *(
                line
                for line in lines
                if _key(line) in wanted or (line.posts and _key(line) not in self._leaving)
            ),
            *read,
        ]
        named = {page for account in stay for page in account.pages}
        with self._writing:
            self._over.set()
            manifest = self.manifest
            manifest.accounts = sorted(stay, key=lambda account: (account.username, account.id or ""))
            manifest.requests = sorted(
                key for keys in self._pages.values() for key in keys if key not in named
            )
            manifest.bought, manifest.mills = self.bought, self.stored.mills
            manifest.cost_usd = dollars(self.stored.total_mills)
            manifest.uncertain_usd = dollars(uncertain_mills)
            self._match()  # two accounts of the day may have one handle by now
            manifest.asked, manifest.closed_at = self._asked, self._run.now()
            manifest.plan = self._run.plan or None
            manifest.is_open, manifest.writer = False, None
            self._write_manifest()

    def summary(self) -> dict[str, Any]:
        """What `extract` hands on."""
        bought = total(self.manifest.bought.values())
        return {"manifest": self.key, **asdict(bought), "cost_usd": self.manifest.cost_usd}


def _key(line: AccountRead) -> tuple[str, str | None]:
    """What tells a day's lines apart: two accounts may have had the same handle."""
    return line.username.lower(), line.id


def _limit_key(line: AccountRead, names: Counter[str]) -> str:
    """The name of an account's limit on a day with so many accounts of each handle."""
    return limit_key(line, is_shared=names[line.username.lower()] > 1)


def _replaces(new: AccountRead, line: AccountRead) -> bool:
    """Whether a line is of the account that was read now, or only said why its handle had no posts."""
    if new.username.lower() != line.username.lower():
        return False
    return not line.has_posts or None in (new.id, line.id) or new.id == line.id
