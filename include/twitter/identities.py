"""The account ids of handles: an account is its id, and a handle may change.

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
"""Shorter, since the archive returns nothing of an account that is gone, and no error; a timeline does."""
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
    """The account ids of handles, from look-ups and from the owner."""

    ids: dict[str, str]
    """The latest ids by lower-case handle, whatever the age of the look-up."""
    accepted: Collection[tuple[str, str]] = ()
    """Ids that the owner has confirmed: pairs of lower-case handle and id."""
    known: dict[str, KnownAccount] = field(default_factory=dict)
    """Look-ups by lower-case handle."""
    store: ObjectStore | None = None
    """Where look-ups are stored."""
    _confirmed: set[tuple[str, str]] = field(default_factory=set)
    """Ids that this run has confirmed."""

    @classmethod
    def read(cls, store: ObjectStore, accepted: Collection[tuple[str, str]] = ()) -> Identities:
        with store.parsing(ACCOUNTS, "the list of known accounts"):
            known = dict(known_accounts(store.read(ACCOUNTS)))
        return cls({name: account.id for name, account in known.items()}, {*accepted}, known, store)

    # Look-ups

    def id_of(self, handle: str, at: datetime, *, for_archive: bool = False) -> str | None:
        """Return the id of the handle if its look-up is not too old."""
        max_age = ARCHIVE_LOOKUP_MAX_AGE if for_archive else LOOKUP_MAX_AGE
        seen_at = self.seen_at(handle)
        return self.last_id_of(handle) if seen_at and at - seen_at < max_age else None

    def last_id_of(self, handle: str) -> str | None:
        """Return the id of the latest look-up, whatever its age."""
        known = self.known.get(handle.lower())
        return known.id if known else None

    def seen_at(self, handle: str) -> datetime | None:
        """Return when X showed the account last."""
        known = self.known.get(handle.lower())
        return known.seen_at if known else None

    def is_protected(self, handle: str) -> bool:
        """Whether the account was protected at its latest look-up."""
        known = self.known.get(handle.lower())
        return known is not None and known.protected

    def accepts(self, handle: str, id_: str) -> bool:
        """Whether the owner has confirmed that the handle belongs to this account now."""
        return (handle.lower(), id_) in self.accepted

    def learn(self, response: Response, exclude: Collection[str] = ()) -> None:
        """Store the users of a look-up, without the handles to `exclude` and those with a newer look-up."""
        at = response.received_at.replace(microsecond=0)
        users = {
            name: KnownAccount(user["id"], at, user.get("protected") is True)
            for name, user in users_of(response).items()
            if name not in exclude and (name not in self.known or self.known[name].seen_at <= at)
        }
        self.known |= users
        if users and self.store:
            self.store.update(
                ACCOUNTS, lambda data: encoded(dict(sorted({**known_accounts(data), **users}.items())))
            )

    # The entries of a day

    def confirm(self, handle: str, id_: str) -> None:
        """Record that the handle belongs to this account and may be read."""
        self.ids[handle.lower()] = id_
        self._confirmed.add((handle.lower(), id_))

    def is_confirmed(self, handle: str, id_: str | None) -> bool:
        """Whether the owner or this run has confirmed the id."""
        return (handle.lower(), id_) in {*self.accepted, *self._confirmed}

    def unresolved(self, handles: Iterable[str], entries: Iterable[Entry]) -> list[str]:
        """Return the handles without an id that may be new handles of the day's accounts.

        There are none if every account with posts has a handle.
        """
        entries = [*entries]
        index = self.index(entries)
        entry_of = {handle: index.of(handle) for handle in handles}
        if all(any(entry is other for other in entry_of.values()) for entry in entries if entry.has_posts):
            return []
        return [name for name, entry in entry_of.items() if entry is None and name.lower() not in self.ids]

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
        """Return the entry of the account that has this handle now.

        If the handle belongs to a different account now, this is the former account until the new id is
        confirmed.
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

    Later requests have the id in path and query, so it must consist of digits.
    """
    users = _users_by_handle(response).items()
    return {name: user for name, user in users if ACCOUNT_ID.fullmatch(str(user.get("id")))}


def _users_by_handle(response: Response) -> dict[str, dict[str, Any]]:
    users = [user for user in response.posts if isinstance(user, dict)]
    return {user["username"].lower(): user for user in users if isinstance(user.get("username"), str)}


def unavailable_reasons(response: Response, handles: Iterable[str]) -> dict[str, str]:
    """Return why the handles that a look-up did not find are unavailable, in X's words."""
    errors = {str(error.get("value", "")).lower(): error for error in response.errors_about_accounts()}
    all_users, users = _users_by_handle(response), users_of(response)

    def reason(name: str) -> str:
        if name in errors:
            return reason_of(errors[name])
        if name in all_users:
            id_ = str(all_users[name].get("id"))[:40]
            return f"X gives it the id {id_!r}, and an id has 1 to 19 digits"
        return "X does not mention it"

    return {handle: reason(handle.lower()) for handle in handles if handle.lower() not in users}
