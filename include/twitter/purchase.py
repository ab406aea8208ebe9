"""One purchase of a day's posts: a folder in the raw zone whose objects are written once.

S3 is the cursor. What is staged is never asked for again: a purchase without a manifest is open and goes
on from its last page; one whose manifest lacks accounts goes on with those; a new one is opened only when
the newest is complete.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from include.twitter.answer import Answer
from include.twitter.errors import NothingStaged
from include.twitter.lake import Lake
from include.twitter.run import Run

LOOKUPS = "users-by"
"""Folder of the account look-ups: the hyphen keeps it apart from every handle."""
REFUSED = "refused-"
"""Prefix of the folder of an account's answers that were paid for and could not be used."""


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
        if not self.number or _complete(self._manifest_at(root)):
            self.number = max(run.attempt, self.number + 1)
        self._prefix = f"{root}buy={self.number}/"
        self._pages: dict[str, list[str]] = defaultdict(list)
        for key in staged:
            folder, _, page = key.removeprefix(self._prefix).partition("/")
            if key.startswith(self._prefix) and page:
                self._pages[folder].append(key)

    def _manifest_at(self, root: str) -> Mapping[str, Any] | None:
        data = self._lake.read(f"{root}buy={self.number}/manifest.json")
        return msgspec.json.decode(data) if data else None

    @property
    def manifest(self) -> str:
        return f"{self._prefix}manifest.json"

    def pages(self, folder: str) -> tuple[str, ...]:
        """The keys staged so far for an account (its handle) or for LOOKUPS, in order."""
        return tuple(self._pages[folder.lower()])

    def answers(self, folder: str) -> Iterator[Answer]:
        return (staged_answer(self._lake, key) for key in self.pages(folder))

    def stage(self, folder: str, answer: Answer) -> None:
        """Keep an answer as the next page of its folder."""
        folder = folder.lower()
        key = f"{self._prefix}{folder}/{len(self._pages[folder]) + 1:04}.json.gz"
        self._lake.write(key, answer.packed())
        self._pages[folder].append(key)

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


def _complete(manifest: Mapping[str, Any] | None) -> bool:
    return manifest is not None and all(a["outcome"] != "unavailable" for a in manifest["accounts"])
