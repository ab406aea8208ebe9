"""Whose posts are collected: the handles in `twitter_handles`, or the file in the bucket that it names.

Read once a task, so that all of it sees the same accounts. A file is one line an account:

    handle,group,limit,own
    # who buys it, and why, may stand here
    NASA,space,,
    acme_press,press,0,yes
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Generic, Protocol, TypeVar

import msgspec
import pydantic.dataclasses

from include.twitter import settings
from include.twitter.errors import BadAccounts, BadSetting
from include.twitter.layout import ACCOUNTS
from include.twitter.object_store import ObjectStore
from include.twitter.records import CollectionSpec, KnownAccount

COLUMNS = ("handle", "group", "limit", "own")
EXAMPLE = "the first line handle,group,limit,own and then acme_press,press,50,yes"
GROUP = "group:"
Group = Annotated[str, settings.matching("[^,:]*", "a group: a name without commas and colons")]
YesOrNo = Annotated[bool, settings.matching("(?i)yes|true|1|no|false|0", "yes or no")]


@pydantic.dataclasses.dataclass(frozen=True)
class Account:
    """One that is collected."""

    handle: settings.Handle
    group: Group = ""
    limit: settings.WholeNumber | None = None
    """The latest N posts of its day, 0 for all; None where it has that of all accounts."""
    own: YesOrNo = False
    """Whether it owns the X app, and its access token is used."""


@dataclass(frozen=True)
class Roster:
    """All accounts that are collected, in the order and the spelling in which they are named."""

    accounts: tuple[Account, ...]

    @property
    def handles(self) -> tuple[str, ...]:
        return tuple(account.handle for account in self.accounts)

    def asked(self) -> CollectionSpec:
        """What is wanted of a day, by these accounts and the settings."""
        limit = settings.tweet_limit()
        limits = {
            account.handle.lower(): account.limit
            for account in self.accounts
            if account.limit is not None and account.limit != limit
        }
        return CollectionSpec(self.handles, limit, settings.threads(), limits)

    def among(self, text: str) -> tuple[str, ...]:
        """The handles that a person names, one by one or as `group:press`; all where none is named.

        One that is not collected is refused: the daily run would not keep it.
        """
        if not text.strip():
            return self.handles
        try:
            items = settings.split_items(text.strip())
            handles = settings.parse(settings.Handles, [item for item in items if not item.startswith(GROUP)])
        except ValueError as error:
            raise BadAccounts(f"accounts={text!r}: {error}. Example: NASA, esa") from None
        wanted = {handle.lower() for handle in handles}
        if unknown := sorted(wanted - {handle.lower() for handle in self.handles}):
            raise BadAccounts(
                f"accounts={text!r}: Variable twitter_handles does not name {', '.join(unknown)}. Add them "
                "there first, so that the daily run keeps them; then trigger again."
            )
        groups = {account.group for account in self.accounts} - {""}
        for group in [item.removeprefix(GROUP).strip() for item in items if item.startswith(GROUP)]:
            if group not in groups:
                known = (
                    f"The groups of its file are {', '.join(sorted(groups))}"
                    if groups
                    else "It names no groups"
                )
                raise BadAccounts(
                    f"accounts={text!r}: Variable twitter_handles has no group {group!r}. {known}."
                )
            wanted |= {account.handle.lower() for account in self.accounts if account.group == group}
        if not wanted:
            raise BadAccounts(f"accounts={text!r} names no account. Example: NASA, esa")
        return tuple(handle for handle in self.handles if handle.lower() in wanted)

    def own_handle(self) -> str:
        """The account whose posts are one's own, in lower case: by the file or by twitter_own_handle."""
        owners = {account.handle.lower() for account in self.accounts if account.own}
        owners |= {settings.own_handle()} - {""}
        if len(owners) > 1:
            both = " and ".join(sorted(owners))
            problem = f"it and the file of accounts name {both}, and an access token is one account's"
            raise BadSetting(f"Variable {settings.own_handle.name}", problem, settings.own_handle.example)
        return next(iter(owners), "")


class _Line(Protocol):
    """What a day has of an account: in its manifest, in its receipt or in an index."""

    @property
    def username(self) -> str: ...
    @property
    def id(self) -> str | None: ...
    @property
    def has_posts(self) -> bool: ...


Line = TypeVar("Line", bound=_Line)


@dataclass
class Identities:
    """Which account each handle is, as far as look-ups have said."""

    ids: dict[str, str]
    """Remembered, by lower-case handle: also those that were seen long ago."""
    accepted: Collection[tuple[str, str]] = ()
    """Handles in lower case that may be another account than before, with its id."""

    @classmethod
    def read(cls, lake: ObjectStore, accepted: Collection[tuple[str, str]] = ()) -> Identities:
        with lake.parsing(ACCOUNTS, "the list of known accounts"):
            known = known_accounts(lake.read(ACCOUNTS))
        return cls({name: its.id for name, its in known.items()}, {*accepted})

    def confirm(self, handle: str, id_: str) -> None:
        """A look-up has found that the handle is this account, and it may be read."""
        self.ids[handle.lower()] = id_
        self.accepted = {*self.accepted, (handle.lower(), id_)}

    def unsure(self, handles: Iterable[str], lines: Iterable[Line]) -> list[str]:
        """Handles that nobody has looked up, and that may be an account of the day under another handle."""
        of_day, handles = [*lines], [*handles]
        found = self.find(of_day)
        matched = [line for handle in handles if (line := found.of(handle))]
        if all(any(line is other for other in matched) for line in of_day if line.has_posts):
            return []
        return [handle for handle in handles if handle.lower() not in self.ids and found.of(handle) is None]

    def find(self, lines: Iterable[Line]) -> Lines[Line]:
        return Lines([*lines], self)


class Lines(Generic[Line]):
    """The lines of one day, found by today's handle: an account is its id, whatever its handle was then."""

    def __init__(self, lines: list[Line], identities: Identities) -> None:
        self._identities = identities
        with_posts = [line for line in lines if line.has_posts]
        self._by_id = {line.id: line for line in reversed(with_posts) if line.id}
        self._without_posts = {line.username.lower(): line for line in lines if not line.has_posts}
        of_handle = {line.username.lower(): line for line in reversed(with_posts)}
        self._by_handle = self._without_posts | of_handle

    def of(self, handle: str) -> Line | None:
        """What the day has of the account; None where it has nothing.

        A handle that became another account means the account that it was on that day, until the other one
        is accepted.
        """
        name = handle.lower()
        id_, named = self._identities.ids.get(name), self._by_handle.get(name)
        of_id = self._by_id.get(id_) if id_ else None
        is_accepted = (name, id_) in self._identities.accepted
        if named is None or (of_id and is_accepted):
            return of_id
        if named.has_posts and id_ and named.id not in (None, id_):
            return of_id or (self._without_posts.get(name) if is_accepted else named)
        return named


def known_accounts(data: bytes | None) -> Mapping[str, KnownAccount]:
    """The accounts that look-ups have found, by lower-case handle, as they are kept in the bucket."""
    return msgspec.json.decode(data, type=dict[str, KnownAccount]) if data else {}


def read(here: ObjectStore) -> Roster:
    """The accounts as the settings name them now."""
    named = settings.accounts()
    if not isinstance(named, str):
        return Roster(tuple(map(Account, named)))
    prefix = here.url("")
    if not named.startswith(prefix):
        raise _bad(f"{named} is not in the pipeline's own bucket", f"{prefix}twitter_accounts/accounts.csv")
    if (data := here.read(named.removeprefix(prefix))) is None:
        raise _bad(f"there is no {named}", f"{prefix}twitter_accounts/accounts.csv")
    try:
        return Roster(tuple(parsed(data)))
    except ValueError as error:
        raise _bad(f"{named}, {error}", EXAMPLE) from None


def _bad(problem: str, example: str) -> BadSetting:
    return BadSetting(f"Variable {settings.accounts.name}", problem, example)


def parsed(data: bytes) -> list[Account]:
    """The accounts of a file; a ValueError says which line is bad, and why."""
    rows = _rows(data)
    if not (first := next(rows, None)):
        raise ValueError("line 1: the file is empty")
    columns = _columns(*first)
    lines: dict[str, int] = {}
    accounts: list[Account] = []
    for number, cells in rows:
        try:
            if len(cells) > len(columns):
                raise ValueError(f"{','.join(cells)!r} has more cells than there are columns")
            given = {
                name: cell for name, cell in zip(columns, cells, strict=False) if cell or name == "handle"
            }
            account = settings.parse(Account, {"handle": "", **given})
            if line := lines.get(account.handle.lower()):
                raise ValueError(f"{account.handle} is in line {line} already")
            if account.own and (owner := next((other.handle for other in accounts if other.own), None)):
                raise ValueError(f"{owner} is `own` already, and an access token is one account's")
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        lines[account.handle.lower()] = number
        accounts.append(account)
    if not accounts:
        raise ValueError(f"line {first[0]}: no account is below it")
    return accounts


def _rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The number and the cells of each line, without comments and empty lines."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {number}: it is not written in UTF-8") from None
    for number, line in enumerate(re.split("\r\n|\n|\r", text), 1):
        if line.lstrip().startswith("#"):
            continue
        try:
            cells = [cell.strip() for row in csv.reader([line], strict=True) for cell in row]
        except csv.Error as error:
            raise ValueError(f"line {number}: {line!r} is not CSV ({error})") from None
        if any(cells):
            yield number, cells


def _columns(number: int, cells: list[str]) -> list[str]:
    names = [cell.lower() for cell in cells]
    if "handle" not in names:
        raise ValueError(f"line {number}: {','.join(cells)!r} has no column `handle`")
    if unknown := [name for name in names if name not in COLUMNS or names.count(name) > 1]:
        raise ValueError(
            f"line {number}: {unknown[0]!r} is no column, or is there twice: they are {', '.join(COLUMNS)}"
        )
    return names
