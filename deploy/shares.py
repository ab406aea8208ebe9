"""How much of each day and account an erasure would remove, and whether that is more than the ceiling.

The pipeline's role can write every version that is counted here, but it can delete none. So a day's share is
the largest that any kept version of its table gives: a version with added rows does not make it smaller.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from include.twitter.csv_rows import csv_rows
from include.twitter.day import Day

DAY_TABLE = re.compile(r"twitter/dt=(\d{4}-\d\d-\d\d)/refined_tweets\.csv")
MAX_HANDLES = 5
"""Handles of one account that are shown."""


class Table(NamedTuple):
    """One version of a day's table."""

    day: str
    held: Counter[str]
    """Rows by account id."""
    erased: dict[str, str]
    """The account ids of the posts that would go, by post."""
    handles: dict[str, set[str]]
    """By account id. One has several where it was renamed, or where somebody wrote another name."""


class Share(NamedTuple):
    """Of the posts of a day, an account, or an account's day, those that would go."""

    erased: int
    held: int

    def is_above(self, most: int) -> bool:
        return self.erased * 100 > most * self.held

    def __str__(self) -> str:
        return f"{self.erased:,} of {self.held:,} posts ({self.erased / self.held:.1%})"


class Shares:
    """Of all versions of all days' tables."""

    def __init__(self, tables: Iterable[Table]) -> None:
        by_day: dict[str, list[Table]] = defaultdict(list)
        for table in tables:
            by_day[table.day].append(table)
        self.days: dict[str, Share] = {}
        self.accounts: dict[str, Share] = {}
        self.accounts_days: dict[tuple[str, str], Share] = {}
        self.handles: dict[str, set[str]] = defaultdict(set)
        held: Counter[str] = Counter()
        erased: dict[str, set[str]] = defaultdict(set)
        for day, versions in sorted(by_day.items()):
            if any(table.erased for table in versions):
                self.days[day] = _largest((len(table.erased), table.held.total()) for table in versions)
            for account in {account for table in versions for account in table.held}:
                holding = [table for table in versions if table.held[account]]
                # The fewest rows: a version with added rows does not hide what goes.
                held[account] += min(table.held[account] for table in holding)
                each = [{post for post, of in table.erased.items() if of == account} for table in holding]
                erased[account] |= set().union(*each)
                if any(each):
                    pairs = zip(map(len, each), (table.held[account] for table in holding), strict=True)
                    self.accounts_days[account, day] = _largest(pairs)
                self.handles[account].update(*(table.handles[account] for table in holding))
        for account, posts in erased.items():
            if posts:
                self.accounts[account] = Share(min(len(posts), held[account]), held[account])

    @property
    def posts(self) -> int:
        return sum(share.erased for share in self.accounts.values())

    def lines(self) -> Iterator[str]:
        """What would go, account by account and day by day."""
        for account, share in sorted(self.accounts.items()):
            yield f"  {self.name(account)}: {share}"
            for (of, day), day_share in self.accounts_days.items():
                if of == account:
                    yield f"    {day}: {day_share}"

    def above(self, most: int) -> list[str]:
        """The days and accounts of which more than so many percent would go."""
        days = [f"{day}: {share}" for day, share in self.days.items() if share.is_above(most)]
        return days + [
            f"{self.name(account)}: {share}"
            for account, share in sorted(self.accounts.items())
            if share.is_above(most)
        ]

    def name(self, account: str) -> str:
        names = sorted(self.handles[account])
        more = [f"{len(names) - MAX_HANDLES} more"] if len(names) > MAX_HANDLES else []
        return f"{', '.join([*map(_shown, names[:MAX_HANDLES]), *more])} ({_shown(account)})"


def table_of(key: str, data: bytes, erased: Collection[str]) -> Table | None:
    """A version of a day's table; None for any other object."""
    if not (match := DAY_TABLE.fullmatch(key)):
        return None
    try:
        day = str(Day.parse(match[1]))
    except ValueError:  # a date that no calendar has: it was not written by the pipeline
        return None
    table = Table(day, Counter(), {}, defaultdict(set))
    for row in csv_rows(data.decode().split("\n")):
        post, account = row.get("tweet_id") or "", row.get("author_id") or ""
        table.held[account] += 1
        table.handles[account].add(row.get("username") or "")
        if post in erased:
            table.erased[post] = account
    return table


def _largest(pairs: Iterable[tuple[int, int]]) -> Share:
    """Of the versions' shares; those are of one day."""
    return max((Share(*pair) for pair in pairs if pair[1]), key=lambda share: share.erased / share.held)


def _shown(text: str) -> str:
    """A handle or an id. Anything else is escaped: whoever can write a table can write it."""
    return text if re.fullmatch(r"\w{1,20}", text, re.ASCII) else ascii(text[:40])
