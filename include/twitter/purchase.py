"""One purchase of a day's posts: a folder in the raw zone whose objects are written once.

S3 is the cursor. What is staged is never asked for again: a purchase without a manifest is open and goes
on from its last page; one whose manifest lacks accounts goes on with those; a new one is opened only when
the newest is complete.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from threading import Lock
from typing import Any

import msgspec

from include.twitter.answer import Answer
from include.twitter.errors import NothingStaged
from include.twitter.lake import Lake
from include.twitter.run import Run

ARCHIVE, TIMELINES = "archive", "timelines"

# Folders beside those of the accounts: the hyphen keeps them apart from every handle.
LOOKUPS = "users-by"
COUNTS = "counts-of"
SEARCHED = "search-"
"""Prefix: what a search found of an account whose timeline came short of X's own count."""
REFUSED = "refused-"
"""Prefix: an account's answers that were paid for and could not be used."""


class Purchase:
    """The newest purchase of a run that has something left to buy, else a new one."""

    def __init__(self, lake: Lake, run: Run) -> None:
        self._lake = lake
        root = run.day.purchases(run.id)
        staged = lake.keys(root)
        numbers = [
            int(found[1]) for key in staged if (found := re.match(r"buy=(\d+)/", key.removeprefix(root)))
        ]
        self.number = max(numbers, default=0)
        self.before = self._read_manifest(root)
        """The manifest of the try that this one goes on from."""
        if not self.number or _complete(self.before):
            self.number += 1
            self.before = None
        self._prefix = f"{root}buy={self.number}/"
        self._pages: dict[str, list[str]] = defaultdict(list)
        for key in staged:
            folder, _, page = key.removeprefix(self._prefix).partition("/")
            if key.startswith(self._prefix) and page:
                self._pages[folder].append(key)
        self.source: str | None = None
        """Where its pages come from, once there is one: a purchase is not changed in the middle."""
        self._staging: defaultdict[str, Lock] = defaultdict(Lock)
        self._bought: dict[str, Counter[str]] = defaultdict(Counter)
        self._tallying = Lock()
        for folder in self._pages:
            for answer in self.answers(folder):
                self._tally(folder, answer)
                if "-" not in folder:
                    self.source = ARCHIVE if answer.path.endswith("/search/all") else TIMELINES

    def _read_manifest(self, root: str) -> Mapping[str, Any] | None:
        data = self._lake.read(f"{root}buy={self.number}/manifest.json")
        return msgspec.json.decode(data) if data else None

    @property
    def manifest(self) -> str:
        return f"{self._prefix}manifest.json"

    def pages(self, folder: str) -> tuple[str, ...]:
        """The keys staged so far in a folder (an account's handle, or one of those above), in order."""
        return tuple(self._pages.get(folder.lower(), ()))

    def answers(self, folder: str) -> Iterator[Answer]:
        return (staged_answer(self._lake, key) for key in self.pages(folder))

    def stage(self, folder: str, answer: Answer) -> None:
        """Keep an answer as the next page of its folder."""
        folder = folder.lower()
        self._tally(folder, answer)  # X has billed it, whatever becomes of the writing
        with self._staging[folder]:  # several readers stage counts at once
            key = f"{self._prefix}{folder}/{len(self._pages[folder]) + 1:04}.json.gz"
            self._lake.write(key, answer.packed())
            self._pages[folder].append(key)

    def _tally(self, folder: str, answer: Answer) -> None:
        kind = {LOOKUPS: "users", COUNTS: "counts"}.get(folder, "posts")
        with self._tallying:
            self._bought[month_of(answer.received_at)][kind] += 1 if kind == "counts" else len(answer.posts)

    @property
    def months(self) -> set[str]:
        """The UTC months in which it bought."""
        return set(self._bought)

    def bought(self, month: str | None = None) -> dict[str, int]:
        """What X billed for this purchase, over all tries; of one month, or in all."""
        counters = [counter for of, counter in list(self._bought.items()) if month in (None, of)]
        return {kind: sum(counter[kind] for counter in counters) for kind in ("posts", "users", "counts")}

    def close(self, manifest: Mapping[str, Any]) -> None:
        """Say what was bought, once every account has been asked."""
        self._lake.write(self.manifest, msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def staged_answer(lake: Lake, key: str) -> Answer:
    data = lake.read(key)
    if data is None:
        raise NothingStaged(
            f"{lake.url(key)} is gone. It was paid for: restore it, or clear `extract` to buy the day again."
        )
    return Answer.unpacked(data)


def month_of(moment: datetime) -> str:
    """The UTC month that X bills."""
    return f"{moment:%Y-%m}"


def _complete(manifest: Mapping[str, Any] | None) -> bool:
    return manifest is not None and all(a["outcome"] != "unavailable" for a in manifest["accounts"])
