"""The configured accounts: the handles in `twitter_handles`, or the file in the bucket that it names.

A task reads them once, so all its steps have the same accounts. A file has one line per account:

    handle,group,limit,own
    # a comment
    NASA,space,,
    acme_press,press,0,yes
"""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
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
class ConfiguredAccounts:
    """All configured accounts, in the order and spelling of the configuration."""

    accounts: tuple[Account, ...]

    @property
    def handles(self) -> tuple[str, ...]:
        return tuple(account.handle for account in self.accounts)

    def collection_spec(self) -> CollectionSpec:
        limit = settings.tweet_limit()
        limits = {
            account.handle.lower(): account.limit
            for account in self.accounts
            if account.limit is not None and account.limit != limit
        }
        return CollectionSpec(self.handles, limit, settings.threads(), limits)

    def select(self, text: str) -> tuple[str, ...]:
        """Return the handles that a text names, singly or as `group:press`; all for an empty text.

        Raise BadAccounts for a handle that is not configured: the daily run would not keep it.
        """
        if not text.strip():
            return self.handles
        try:
            items = settings.split_items(text.strip())
            handles = settings.parse(settings.Handles, [item for item in items if not item.startswith(GROUP)])
        except ValueError as error:
            raise BadAccounts(f"accounts={text!r}: {error}. Example: NASA, esa") from None
        selected = {handle.lower() for handle in handles}
        if unknown := sorted(selected - {handle.lower() for handle in self.handles}):
            raise BadAccounts(
                f"accounts={text!r}: Variable twitter_handles does not name {', '.join(unknown)}. Add them "
                "there first, so that the daily run keeps them; then trigger again."
            )
        names = sorted({account.group for account in self.accounts} - {""})
        groups = {item.removeprefix(GROUP).strip() for item in items if item.startswith(GROUP)}
        for group in sorted(groups - {*names}):
            known = f"The groups of its file are {', '.join(names)}" if names else "It names no groups"
            raise BadAccounts(f"accounts={text!r}: Variable twitter_handles has no group {group!r}. {known}.")
        if not (selected or groups):
            raise BadAccounts(f"accounts={text!r} names no account. Example: NASA, esa")
        return tuple(
            account.handle
            for account in self.accounts
            if account.handle.lower() in selected or account.group in groups
        )

    def own_handle(self) -> str:
        """Return the handle of the access token's owner in lower case, by the file or twitter_own_handle."""
        owners = {account.handle.lower() for account in self.accounts if account.own}
        owners |= {settings.own_handle()} - {""}
        if len(owners) > 1:
            both = " and ".join(sorted(owners))
            problem = f"it and the file of accounts name {both}, and an access token is one account's"
            raise BadSetting(f"Variable {settings.own_handle.name}", problem, settings.own_handle.example)
        return next(iter(owners), "")


def read(store: ObjectStore) -> ConfiguredAccounts:
    """Read the configured accounts."""

    def bad(problem: str, example: str) -> BadSetting:
        return BadSetting(f"Variable {settings.accounts.name}", problem, example)

    configured = settings.accounts()
    if not isinstance(configured, str):
        return ConfiguredAccounts(tuple(map(Account, configured)))
    prefix = store.url("")
    example = f"{prefix}twitter_accounts/accounts.csv"
    if not configured.startswith(prefix):
        raise bad(f"{configured} is not in the pipeline's own bucket", example)
    if (data := store.read(configured.removeprefix(prefix))) is None:
        raise bad(f"{configured} does not exist", example)
    try:
        return ConfiguredAccounts(tuple(parse_accounts_file(data)))
    except ValueError as error:
        raise bad(f"{configured}, {error}", EXAMPLE) from None


def parse_accounts_file(data: bytes) -> list[Account]:
    """Parse a file of accounts; a ValueError names the line and the problem."""
    columns: list[str] = []
    accounts: dict[int, Account] = {}
    number = header = 1
    try:
        for number, line in enumerate(re.split(rb"\r\n|\n|\r", data.removeprefix(BOM_UTF8)), 1):
            if not (cells := _split_line(line)):
                continue
            if columns:
                accounts[number] = _parse_account(columns, cells, accounts)
            else:
                columns, header = _columns(cells), number
        if not accounts:
            number = header
            raise ValueError("no account is below it" if columns else "the file is empty")
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    return [*accounts.values()]


def _split_line(line: bytes) -> list[str]:
    """The cells of a line; none if it is empty or a comment."""
    try:
        text = line.decode()
        if text.lstrip().startswith("#"):
            return []
        cells = [cell.strip() for row in csv.reader([text], strict=True) for cell in row]
    except UnicodeDecodeError:
        raise ValueError("it is not written in UTF-8") from None
    except csv.Error as error:
        raise ValueError(f"{text!r} is not CSV ({error})") from None
    return cells if any(cells) else []


def _columns(cells: list[str]) -> list[str]:
    names = [cell.lower() for cell in cells]
    if "handle" not in names:
        raise ValueError(f"{','.join(cells)!r} has no column `handle`")
    if unknown := [name for name in names if name not in CSV_COLUMNS or names.count(name) > 1]:
        raise ValueError(
            f"{unknown[0]!r} is no column, or is there twice: the columns are {', '.join(CSV_COLUMNS)}"
        )
    return names


def _parse_account(columns: list[str], cells: list[str], others: Mapping[int, Account]) -> Account:
    if len(cells) > len(columns):
        raise ValueError(f"{','.join(cells)!r} has more cells than there are columns")
    values = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    account = settings.parse(Account, {"handle": "", **values})
    for number, other in others.items():
        if other.handle.lower() == account.handle.lower():
            raise ValueError(f"{account.handle} is in line {number} already")
        if other.own and account.own:
            raise ValueError(f"{other.handle} is `own` already, and an access token is one account's")
    return account
