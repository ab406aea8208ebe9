"""X's own count held against what arrived.

A count costs as much as a post, so handles are counted together, and one by one only where a group does not
match. X says that counts and results can differ a little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

HANDLES_A_COUNT = 20
LONGEST_QUERY = 512
"""Characters that X takes in a query of recent posts."""

MATCHED, SHORT, LIMITED, UNCHECKED = "matched", "short", "limited", "unchecked"


def query(handles: Iterable[str]) -> str:
    """The accounts' own posts, neither retweets nor replies: what a walk through a timeline returns."""
    return f"({' OR '.join(f'from:{handle}' for handle in handles)}) -is:retweet -is:reply"


def groups(handles: Iterable[str]) -> Iterator[list[str]]:
    """The handles in as few counts as X's limits allow."""
    group: list[str] = []
    for handle in handles:
        if group and (len(group) == HANDLES_A_COUNT or len(query([*group, handle])) > LONGEST_QUERY):
            yield group
            group = []
        group.append(handle)
    if group:
        yield group
