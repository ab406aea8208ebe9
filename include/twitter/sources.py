"""What is collected, and how it is requested from X.

The cursor, the budget, the purchase and the manifest know a `Source` and nothing of accounts. To collect
something else, like the posts of a hashtag, write one more class with these methods.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, Protocol, Self

from include.twitter.response import author_of, is_reply_to_self, is_unrequested

LONGEST_QUERY, LONGEST_ARCHIVE_QUERY = 512, 1024
"""Characters that X takes in a query of recent posts, and of its full archive: 35 accounts."""
ACCOUNTS_A_COUNT = 20
"""Accounts that `extract` counts together."""

# Prefixes of the folders of an account's pages, before its id; those of its own posts have none.
SEARCHED = "search-"
THREADS = "thread-"
REREADS = "reread-"
"""Posts that were read a second time by their ids, since X could not fill a field of them."""


class Endpoint(Enum):
    """Where X serves pages of posts, with the smallest and the largest page that it serves there."""

    TIMELINE = ("timeline", 5, 100)
    RECENT_SEARCH = ("recent search", 10, 100)
    FULL_ARCHIVE_SEARCH = ("full-archive search", 10, 500)

    @property
    def smallest_page(self) -> int:
        return self.value[1]

    @property
    def largest_page(self) -> int:
        return self.value[2]


@dataclass(frozen=True)
class PageRequest:
    """What the requests of a source have in common; the cursor adds size and position."""

    endpoint: Endpoint
    target: str
    """The id of the account whose timeline it is, else the query."""
    kind: str = "posts"
    """What X bills: a field of `records.BilledUnits`."""


class Source(Protocol):
    """Posts of a day that are collected together, in the order in which X sends them: newest first."""

    @property
    def label(self) -> str:
        """Name of the folder of its pages, safe in a key; no other source of the day has it."""

    @property
    def author_id(self) -> str | None:
        """The id of the account that writes all of it; None where anybody may."""

    def resolve(self, id_: str) -> Self:
        """The same source once X has said which account its handle is; itself where it needs no account."""

    def page_request(self) -> PageRequest: ...

    def count_query(self) -> str | None:
        """The query whose count by X is compared with what arrived; None where nothing is compared."""

    def owns(self, post: Mapping[str, Any], unfilled: Collection[str] = ()) -> bool:
        """Whether the post was requested: X may send others. `unfilled` fields X could not fill."""

    def username(self, post: Mapping[str, Any]) -> str:
        """The account that the post is published under."""


@dataclass(frozen=True)
class AccountPosts:
    """An account's own posts: its timeline, of an `old` day what the full archive has."""

    handle: str
    """As it was on the day."""
    id: str = ""
    old: bool = False
    own: bool = False
    """Whether X charges the price of one's own posts."""
    prefix: ClassVar[str] = ""

    @property
    def label(self) -> str:
        return self.prefix + self.id

    @property
    def author_id(self) -> str | None:
        return self.id

    def resolve(self, id_: str) -> Self:
        return replace(self, id=id_)

    def page_request(self) -> PageRequest:
        if self.old:
            return PageRequest(Endpoint.FULL_ARCHIVE_SEARCH, author_query([self.id]))
        return PageRequest(Endpoint.TIMELINE, self.id, "own_posts" if self.own else "posts")

    def count_query(self) -> str | None:
        return author_query([self.id])

    def owns(self, post: Mapping[str, Any], unfilled: Collection[str] = ()) -> bool:
        return author_of(post, self.id) == self.id and not is_unrequested(post, unfilled)

    def username(self, post: Mapping[str, Any]) -> str:
        return self.handle


@dataclass(frozen=True)
class Verification(AccountPosts):
    """The same posts by the search, read once where the timeline came short of X's count."""

    prefix: ClassVar[str] = SEARCHED

    def page_request(self) -> PageRequest:
        return PageRequest(_search(self.old), author_query([self.id]))

    def count_query(self) -> str | None:
        return None


@dataclass(frozen=True)
class SelfReplies(AccountPosts):
    """The account's replies to itself: the later posts of its threads, which a timeline leaves out."""

    prefix: ClassVar[str] = THREADS

    def page_request(self) -> PageRequest:
        return PageRequest(_search(self.old), self_reply_query(self.id))

    def count_query(self) -> str | None:
        return None

    def owns(self, post: Mapping[str, Any], unfilled: Collection[str] = ()) -> bool:
        return author_of(post, self.id) == self.id and is_reply_to_self(post)


def _search(old: bool) -> Endpoint:
    return Endpoint.FULL_ARCHIVE_SEARCH if old else Endpoint.RECENT_SEARCH


def author_query(user_ids: Iterable[str]) -> str:
    """The accounts' own posts, neither retweets nor replies: the posts that a timeline returns.

    An account is its id: a handle may have become another's.
    """
    return f"({' OR '.join(f'from:{user_id}' for user_id in user_ids)}) -is:retweet -is:reply"


def self_reply_query(user_id: str) -> str:
    return f"(from:{user_id}) to:{user_id} is:reply -is:retweet"


def id_batches(
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
