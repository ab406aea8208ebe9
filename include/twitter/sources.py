"""What is collected, and how X is asked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

LONGEST_QUERY, LONGEST_ARCHIVE_QUERY = 512, 1024
"""Characters that X takes in a query of recent posts, and of its full archive: 35 accounts."""
ACCOUNTS_A_COUNT = 20
"""Accounts that extract counts together."""


def author_query(user_ids: Iterable[str]) -> str:
    """The accounts' own posts, neither retweets nor replies: the posts that a timeline returns.

    An account is its id: a handle may have become another's.
    """
    return f"({' OR '.join(f'from:{user_id}' for user_id in user_ids)}) -is:retweet -is:reply"


def self_reply_query(user_id: str) -> str:
    """The account's replies to itself: the later posts of its threads, which a timeline leaves out."""
    return f"(from:{user_id}) to:{user_id} is:reply -is:retweet"


def batches(
    user_ids: Iterable[str], most: int = ACCOUNTS_A_COUNT, longest: int = LONGEST_QUERY
) -> Iterator[list[str]]:
    """The accounts in as few queries as X's limits allow."""
    batch: list[str] = []
    for user_id in user_ids:
        if batch and (len(batch) == most or len(author_query([*batch, user_id])) > longest):
            yield batch
            batch = []
        batch.append(user_id)
    if batch:
        yield batch
