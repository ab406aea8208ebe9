"""Which account a handle is: an account is its id, whatever its handle is.

Look-ups are stored in `twitter_accounts/accounts.json`, since X bills each of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from include.twitter.layout import ACCOUNTS
from include.twitter.object_store import ObjectStore
from include.twitter.records import KnownAccount, encoded
from include.twitter.response import Response, reason_of

ACCOUNT_ID = re.compile("[0-9]{1,19}")
LOOKUP_MAX_AGE = timedelta(days=30)
ARCHIVE_LOOKUP_MAX_AGE = timedelta(hours=24)
"""The archive returns nothing of an account that is gone, and no error; a timeline returns one."""
PROTECTED_REASON = "Authorization Error: the account is protected, and the archive shows nothing of it"


class AccountEntry(Protocol):
    """An account's entry in a manifest, a receipt or an index."""

    @property
    def username(self) -> str: ...
    @property
    def id(self) -> str | None: ...
    @property
    def has_posts(self) -> bool: ...


Entry = TypeVar("Entry", bound=AccountEntry)


@dataclass
class Identities:
    """The accounts that handles are, as far as look-ups have shown."""

    ids: dict[str, str]
    """The latest ids by lower-case handle, however long ago they were looked up."""
    accepted: Collection[tuple[str, str]] = ()
    """Handles in lower case that may be another account than before, with its id."""
    known: dict[str, KnownAccount] = field(default_factory=dict)
    """Look-ups by lower-case handle."""
    store: ObjectStore | None = None
    """Where look-ups are stored."""
    _confirmed: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, store: ObjectStore, accepted: Collection[tuple[str, str]] = ()) -> Identities:
        with store.parsing(ACCOUNTS, "the list of known accounts"):
            known = dict(known_accounts(store.read(ACCOUNTS)))
        return cls({name: account.id for name, account in known.items()}, {*accepted}, known, store)

    # Look-ups

    def id_of(self, handle: str, at: datetime, *, for_archive: bool = False) -> str | None:
        """Return the id of the handle if its look-up is not too old."""
        known = self.known.get(handle.lower())
        max_age = ARCHIVE_LOOKUP_MAX_AGE if for_archive else LOOKUP_MAX_AGE
        return known.id if known and at - known.seen_at < max_age else None

    def last_id_of(self, handle: str) -> str | None:
        """Return the id of the latest look-up, however old."""
        known = self.known.get(handle.lower())
        return known.id if known else None

    def is_protected(self, handle: str) -> bool:
        """Whether the account was protected at its latest look-up."""
        known = self.known.get(handle.lower())
        return known is not None and known.protected

    def accepts(self, handle: str, id_: str) -> bool:
        """Whether the owner has confirmed that the handle is this account now."""
        return (handle.lower(), id_) in self.accepted

    def learn(self, response: Response, but: Collection[str] = ()) -> None:
        """Store the users of a look-up, except the handles in `but`.

        A response that an earlier try has stored replaces no newer look-up.
        """
        at = response.received_at.replace(microsecond=0)
        users = {
            name: KnownAccount(user["id"], at, user.get("protected") is True)
            for name, user in users_of(response).items()
            if name not in but and (name not in self.known or self.known[name].seen_at <= at)
        }
        self.known |= users
        if users and self.store:
            self.store.update(
                ACCOUNTS, lambda data: encoded(dict(sorted({**known_accounts(data), **users}.items())))
            )

    # The entries of a day

    def confirm(self, handle: str, id_: str) -> None:
        """Note that the handle is this account, and that it may be read."""
        self.ids[handle.lower()] = id_
        self._confirmed.add((handle.lower(), id_))

    def is_confirmed(self, handle: str, id_: str | None) -> bool:
        """Whether the owner, or a look-up without contradiction, has confirmed the id."""
        return (handle.lower(), id_) in {*self.accepted, *self._confirmed}

    def unresolved(self, handles: Iterable[str], entries: Iterable[Entry]) -> list[str]:
        """Return the handles without a look-up that may be an account of the day under another handle."""
        of_day, handles = [*entries], [*handles]
        index = self.index(of_day)
        matched = [entry for handle in handles if (entry := index.of(handle))]
        if all(any(entry is other for other in matched) for entry in of_day if entry.has_posts):
            return []
        return [handle for handle in handles if handle.lower() not in self.ids and index.of(handle) is None]

    def index(self, entries: Iterable[Entry]) -> DayEntries[Entry]:
        return DayEntries([*entries], self)


class DayEntries(Generic[Entry]):
    """The account entries of one day by today's handles."""

    def __init__(self, entries: list[Entry], identities: Identities) -> None:
        self._identities = identities
        with_posts = [entry for entry in entries if entry.has_posts]
        self._by_id = {entry.id: entry for entry in reversed(with_posts) if entry.id}
        self._without_posts = {entry.username.lower(): entry for entry in entries if not entry.has_posts}
        of_handle = {entry.username.lower(): entry for entry in reversed(with_posts)}
        self._by_handle = self._without_posts | of_handle

    def of(self, handle: str) -> Entry | None:
        """Return the entry of the account that the handle is.

        A handle that became another account means the account that it was on that day, until the other one
        is confirmed.
        """
        name = handle.lower()
        id_, by_handle = self._identities.ids.get(name), self._by_handle.get(name)
        by_id = self._by_id.get(id_) if id_ else None
        is_confirmed = self._identities.is_confirmed(name, id_)
        if by_handle is None or (by_id and is_confirmed):
            return by_id
        if by_handle.has_posts and id_ and by_handle.id not in (None, id_):
            return by_id or (self._without_posts.get(name) if is_confirmed else by_handle)
        return by_handle


def known_accounts(data: bytes | None) -> Mapping[str, KnownAccount]:
    """Decode the stored look-ups by lower-case handle."""
    return msgspec.json.decode(data, type=dict[str, KnownAccount]) if data else {}


def users_of(response: Response) -> dict[str, dict[str, Any]]:
    """Return the users of a look-up with a valid id by lower-case handle.

    The id is a part of paths and queries of later requests: it must consist of digits.
    """
    users = {user["username"].lower(): user for user in _users_with_handle(response)}
    return {name: user for name, user in users.items() if ACCOUNT_ID.fullmatch(str(user.get("id")))}


def _users_with_handle(response: Response) -> list[dict[str, Any]]:
    users = [user for user in response.posts if isinstance(user, dict)]
    return [user for user in users if isinstance(user.get("username"), str)]


def unavailable_reasons(response: Response, handles: Iterable[str]) -> dict[str, str]:
    """Return why the handles that a look-up did not find are unavailable, in X's words."""
    errors = {str(error.get("value", "")).lower(): error for error in response.errors_about_accounts()}
    malformed = {user["username"].lower(): user.get("id") for user in _users_with_handle(response)}
    users = users_of(response)

    def reason(name: str) -> str:
        if name in errors:
            return reason_of(errors[name])
        if name in malformed:
            return f"X gives it the id {str(malformed[name])[:40]!r}, and an id has 1 to 19 digits"
        return "X does not mention it"

    return {handle: reason(handle.lower()) for handle in handles if handle.lower() not in users}
