"""Which account a handle is: remembered, since X bills every look-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from include.twitter.answer import Answer, told

REMEMBERED_FOR = timedelta(days=30)


@dataclass
class Accounts:
    """Ids of handles with the time they were seen, as kept in `twitter_accounts/accounts.json`."""

    seen: dict[str, dict[str, str]]

    @classmethod
    def unpacked(cls, data: bytes | None) -> Accounts:
        return cls(msgspec.json.decode(data) if data else {})

    def packed(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self.seen, order="sorted"), indent=2)

    def id_of(self, handle: str, at: datetime) -> str | None:
        """The id that the handle had, if that was seen lately."""
        known = self.seen.get(handle.lower())
        if known and at - datetime.fromisoformat(known["seen_at"]) < REMEMBERED_FOR:
            return known["id"]
        return None

    def learn(self, answer: Answer) -> None:
        """Remember the users of a look-up."""
        seen_at = answer.received_at.isoformat(timespec="seconds")
        for user in answer.posts:
            self.seen[user["username"].lower()] = {"id": user["id"], "seen_at": seen_at}


def reasons(answer: Answer, handles: Iterable[str]) -> dict[str, str]:
    """Why the handles that a look-up did not find are unavailable, in X's words."""
    errors: dict[str, Mapping[str, Any]] = {
        str(error.get("value", "")).lower(): error for error in answer.errors_about_accounts()
    }
    found = {user["username"].lower() for user in answer.posts}
    return {
        handle: told(errors[handle.lower()]) if handle.lower() in errors else "X does not mention it"
        for handle in handles
        if handle.lower() not in found
    }
