"""What was spent on X: one entry a purchase and month, in the lake.

An entry is written with its reservation before the first request, and settled when the try ends. One that was
never settled, since its process was killed, counts with its reservation until the purchase goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from include.twitter import budget
from include.twitter.day import LEDGER
from include.twitter.lake import Lake


class Ledger:
    """The month's spending, and the entry of one purchase in it."""

    def __init__(self, lake: Lake, run: str, number: int, month: str) -> None:
        self._lake = lake
        self.month = month
        self._name = {"run": run, "buy": number}
        self._key = f"{LEDGER}month={self.month}/{run}-{number}.json"

    def others(self) -> int:
        """Mills that the other purchases of the month have spent, or may have."""
        keys = [key for key in self._lake.keys(f"{LEDGER}month={self.month}/") if key != self._key]
        entries = [msgspec.json.decode(data) for key in keys if (data := self._lake.read(key))]
        return sum(
            entry["reserved_mills"] if entry["spent_mills"] is None else entry["spent_mills"]
            for entry in entries
        )

    def reserve(self, mills: int, day: str) -> None:
        self._write({"day": day, "reserved_mills": mills, "spent_mills": None})

    def settle(self, bought: Mapping[str, int], day: str) -> None:
        """Write what was bought in this month for the purchase, over all of its tries."""
        spent = budget.cost(bought)
        self._write(
            {
                "day": day,
                "reserved_mills": spent,
                "spent_mills": spent,
                "spent_usd": budget.dollars(spent),
                **bought,
            }
        )

    def _write(self, entry: Mapping[str, Any]) -> None:
        whole = {**self._name, "month": self.month, **entry}
        self._lake.write(self._key, msgspec.json.format(msgspec.json.encode(whole), indent=2))
