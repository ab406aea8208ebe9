"""Which account a handle is: remembered in the lake, since X bills every look-up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from include.twitter.layout import ACCOUNTS
from include.twitter.object_store import ObjectStore
from include.twitter.records import KnownAccount, encoded
from include.twitter.roster import known_accounts
from include.twitter.x.response import Response, reason_of

ID = re.compile("[0-9]{1,19}")
"""What an account's id looks like at X."""
REMEMBERED_FOR = timedelta(days=30)
REMEMBERED_FOR_ARCHIVE = timedelta(hours=24)
"""The archive finds nothing of an account that is gone, and does not say so; a timeline does."""
PROTECTED = "Authorization Error: the account is protected, and the archive shows nothing of it"


class Accounts:
    """The ids of handles with the time they were seen, as kept in `twitter_accounts/accounts.json`.

    `accepted` are handles that may be another account than before, in lower case, with its id.
    """

    def __init__(self, lake: ObjectStore, accepted: Collection[tuple[str, str]] = ()) -> None:
        self._lake, self._accepted = lake, accepted
        self._known = dict(known_accounts(lake.read(ACCOUNTS)))

    def id_of(self, handle: str, at: datetime, *, for_archive: bool = False) -> str | None:
        """The id that the handle had, if that was seen lately."""
        known = self._known.get(handle.lower())
        longest = REMEMBERED_FOR_ARCHIVE if for_archive else REMEMBERED_FOR
        return known.id if known and at - known.seen_at < longest else None

    def is_protected(self, handle: str) -> bool:
        """Whether X said so when the handle was looked up last."""
        known = self._known.get(handle.lower())
        return known is not None and known.protected

    def last_id_of(self, handle: str) -> str | None:
        """The id that the handle had when it was seen last, however long ago."""
        known = self._known.get(handle.lower())
        return known.id if known else None

    def accepts(self, handle: str, id_: str) -> bool:
        """Whether the owner has said that the handle is this account now."""
        return (handle.lower(), id_) in self._accepted

    def learn(self, answer: Response, but: Collection[str] = ()) -> None:
        """Remember the users of a look-up, `but` not those, beside what others learn meanwhile.

        One that was staged by an earlier try takes the place of nothing that was seen since.
        """
        at = answer.received_at.replace(microsecond=0)
        seen = {
            name: KnownAccount(user["id"], at, user.get("protected") is True)
            for name, user in users_of(answer).items()
            if name not in but and (name not in self._known or self._known[name].seen_at <= at)
        }
        if seen:
            self._known |= seen
            self._lake.update(
                ACCOUNTS, lambda data: encoded(dict(sorted({**known_accounts(data), **seen}.items())))
            )


def users_of(answer: Response) -> dict[str, dict[str, Any]]:
    """The users of a look-up by lower-case handle: those with a handle and an id that is one.

    The id goes into paths and queries of later requests: anything but digits is refused here.
    """
    named = {user["username"].lower(): user for user in _named(answer)}
    return {name: user for name, user in named.items() if ID.fullmatch(str(user.get("id")))}


def _named(answer: Response) -> list[dict[str, Any]]:
    return [user for user in answer.posts if isinstance(user, dict) and isinstance(user.get("username"), str)]


def reasons(answer: Response, handles: Iterable[str]) -> dict[str, str]:
    """Why the handles that a look-up did not find are unavailable, in X's words."""
    errors: dict[str, Mapping[str, Any]] = {
        str(error.get("value", "")).lower(): error for error in answer.errors_about_accounts()
    }
    malformed = {user["username"].lower(): user.get("id") for user in _named(answer)}
    found = users_of(answer)

    def why(name: str) -> str:
        if name in errors:
            return reason_of(errors[name])
        if name in malformed:
            return f"X gives it the id {str(malformed[name])[:40]!r}, and an id has 1 to 19 digits"
        return "X does not mention it"

    return {handle: why(handle.lower()) for handle in handles if handle.lower() not in found}
