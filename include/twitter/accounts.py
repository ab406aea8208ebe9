"""The configured accounts: the handles in `twitter_handles`, or the file in the bucket that it names.

A task reads them once, so that all its steps see the same accounts. A file has one line for each account:

    handle,group,limit,own
    # who buys it, and why, may stand here
    NASA,space,,
    acme_press,press,0,yes
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import pydantic.dataclasses

from include.twitter import settings
from include.twitter.errors import BadAccounts, BadSetting
from include.twitter.object_store import ObjectStore
from include.twitter.records import CollectionSpec

CSV_COLUMNS = ("handle", "group", "limit", "own")
EXAMPLE = "the first line handle,group,limit,own and then acme_press,press,50,yes"
GROUP = "group:"
Group = Annotated[str, settings.matching("[^,:]*", "a group: a name without commas and colons")]
YesOrNo = Annotated[bool, settings.matching("(?i)yes|true|1|no|false|0", "yes or no")]


@pydantic.dataclasses.dataclass(frozen=True)
class Account:
    """An account whose posts are collected."""

    handle: settings.Handle
    group: Group = ""
    limit: settings.WholeNumber | None = None
    """The latest N posts of a day, 0 for all; None for `twitter_tweet_limit`."""
    own: YesOrNo = False
    """Whether the access token in use is this account's."""


@dataclass(frozen=True)
class Roster:
    """All configured accounts, in the order and spelling of the configuration."""

    accounts: tuple[Account, ...]

    @property
    def handles(self) -> tuple[str, ...]:
        return tuple(account.handle for account in self.accounts)

    def asked(self) -> CollectionSpec:
        """Return what is to be collected of a day."""
        limit = settings.tweet_limit()
        limits = {
            account.handle.lower(): account.limit
            for account in self.accounts
            if account.limit is not None and account.limit != limit
        }
        return CollectionSpec(self.handles, limit, settings.threads(), limits)

    def among(self, text: str) -> tuple[str, ...]:
        """Return the handles that a text names, one by one or as `group:press`; all for an empty text.

        Raise BadAccounts for a handle that is not configured: the daily run would not keep it.
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
        """Return the handle of the access token's owner in lower case, by the file or twitter_own_handle."""
        owners = {account.handle.lower() for account in self.accounts if account.own}
        owners |= {settings.own_handle()} - {""}
        if len(owners) > 1:
            both = " and ".join(sorted(owners))
            problem = f"it and the file of accounts name {both}, and an access token is one account's"
            raise BadSetting(f"Variable {settings.own_handle.name}", problem, settings.own_handle.example)
        return next(iter(owners), "")


def read(store: ObjectStore) -> Roster:
    """Read the configured accounts."""
    configured = settings.accounts()
    if not isinstance(configured, str):
        return Roster(tuple(map(Account, configured)))
    prefix = store.url("")
    example = f"{prefix}twitter_accounts/accounts.csv"
    if not configured.startswith(prefix):
        raise _bad(f"{configured} is not in the pipeline's own bucket", example)
    if (data := store.read(configured.removeprefix(prefix))) is None:
        raise _bad(f"there is no {configured}", example)
    try:
        return Roster(tuple(parse(data)))
    except ValueError as error:
        raise _bad(f"{configured}, {error}", EXAMPLE) from None


def _bad(problem: str, example: str) -> BadSetting:
    return BadSetting(f"Variable {settings.accounts.name}", problem, example)


def parse(data: bytes) -> list[Account]:
    """Parse a file of accounts; a ValueError names the bad line and the reason."""
    rows = _file_rows(data)
    if not (first := next(rows, None)):
        raise ValueError("line 1: the file is empty")
    columns = _file_columns(*first)
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


def _file_rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
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


def _file_columns(number: int, cells: list[str]) -> list[str]:
    names = [cell.lower() for cell in cells]
    if "handle" not in names:
        raise ValueError(f"line {number}: {','.join(cells)!r} has no column `handle`")
    if unknown := [name for name in names if name not in CSV_COLUMNS or names.count(name) > 1]:
        columns = ", ".join(CSV_COLUMNS)
        raise ValueError(f"line {number}: {unknown[0]!r} is no column, or is there twice: they are {columns}")
    return names
