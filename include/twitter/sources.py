"""What is collected, and how it is requested from X.

`extract` takes the sources of a handle from one function, `account_sources`. Cursor, budget, purchase and
manifest use a `Source` and know nothing of accounts. To collect something else, such as the posts of a
hashtag, write a class with the methods of `Source`, and return it in a `SourceSet`. `transform` does not use
sources: for each entry it publishes only the posts of the entry's account.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from more_itertools import constrained_batches

from include.twitter.response import author_of, is_reply_to_self, is_unrequested

LONGEST_QUERY, LONGEST_ARCHIVE_QUERY = 512, 1024
"""X's longest query of recent posts and of its full archive, in characters: 35 accounts."""
ACCOUNTS_A_COUNT = 20
"""Accounts that `extract` counts together."""

# Prefixes of the folders of an account's pages, before its id; the folder of its own posts has none.
SEARCHED = "search-"
THREADS = "thread-"
REREADS = "reread-"
"""Posts that were requested a second time by their ids, since X could not fill a field of them."""


class Endpoint(Enum):
    """An endpoint that returns pages of posts."""

    TIMELINE = ("timeline", 5, 100)
    RECENT_SEARCH = ("recent search", 10, 100)
    FULL_ARCHIVE_SEARCH = ("full-archive search", 10, 500)

    def __init__(self, _: str, smallest_page: int, largest_page: int) -> None:
        self.smallest_page, self.largest_page = smallest_page, largest_page


@dataclass(frozen=True)
class PageRequest:
    """What all requests of a source have in common; the cursor adds size and position."""

    endpoint: Endpoint
    target: str
    """For a timeline the account's id, otherwise the query."""
    kind: str = "posts"
    """What X bills: a field of `records.BilledUnits`."""


class Source(Protocol):
    """Posts of a day that are collected together; X sends the newest first."""

    @property
    def label(self) -> str:
        """Name of the folder of its pages: safe in a key, unique within the day."""

    @property
    def author_id(self) -> str | None:
        """Id of the only author, empty until it is resolved; None if anybody may be the author."""

    def resolve(self, id_: str) -> Self:
        """Return the source with the id that X gives the handle; without a handle, itself."""

    def page_request(self) -> PageRequest: ...

    def count_query(self) -> str | None:
        """Return the query whose count is compared with the posts that arrived; None: not compared."""

    def owns(self, post: Mapping[str, Any], unfilled: Collection[str] = ()) -> bool:
        """Whether the post was requested: X may send others. `unfilled`: fields X could not fill."""


class SourceSet(NamedTuple):
    """All sources of one entry of the collection spec."""

    posts: Source
    verification: Source | None = None
    """The same posts by another endpoint: requested if X counts more posts than arrived."""
    self_replies: Source | None = None
    """Requested if threads are collected."""


@dataclass(frozen=True)
class TokenOwner:
    """The account that owns the access token: X charges less for its posts."""

    handle: str = ""
    """In lower case; empty if no account is charged less."""
    id: str | None = None
    """If the token begins with it, as X's tokens do."""
    confirmed: Collection[tuple[str, str]] = ()
    """Handles in lower case that became another account, with its id."""

    def is_account(self, handle: str, id_: str) -> bool:
        """Whether the account is charged less; if only the handle is known, one that changed hands is not."""
        if self.handle and self.id:
            return id_ == self.id
        return handle.lower() == self.handle and (self.handle, id_) not in self.confirmed


@dataclass(frozen=True)
class AccountPosts:
    """An account's own posts: its timeline, for an `old` day the full archive."""

    handle: str
    id: str = ""
    old: bool = False
    owner: TokenOwner = TokenOwner()
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
        is_own = self.owner.is_account(self.handle, self.id)
        return PageRequest(Endpoint.TIMELINE, self.id, "own_posts" if is_own else "posts")

    def count_query(self) -> str | None:
        return author_query([self.id])

    def owns(self, post: Mapping[str, Any], unfilled: Collection[str] = ()) -> bool:
        return author_of(post, self.id) == self.id and not is_unrequested(post, unfilled)


class Verification(AccountPosts):
    """The same posts by the search: read if the timeline has fewer posts than X counts."""

    prefix = SEARCHED

    def _query(self) -> str:
        return author_query([self.id])

    def page_request(self) -> PageRequest:
        endpoint = Endpoint.FULL_ARCHIVE_SEARCH if self.old else Endpoint.RECENT_SEARCH
        return PageRequest(endpoint, self._query())

    def count_query(self) -> str | None:
        return None


class SelfReplies(Verification):
    """The account's replies to itself, the later posts of its threads: a timeline leaves them out."""

    prefix = THREADS

    def _query(self) -> str:
        return self_reply_query(self.id)

    def owns(self, post: Mapping[str, Any], unfilled: Collection[str] = ()) -> bool:
        return author_of(post, self.id) == self.id and is_reply_to_self(post)


def account_sources(handle: str, *, old: bool = False, owner: TokenOwner = TokenOwner()) -> SourceSet:
    posts = AccountPosts(handle, old=old, owner=owner)
    return SourceSet(posts, Verification(handle, old=old), SelfReplies(handle, old=old))


def author_query(user_ids: Iterable[str]) -> str:
    """Return the query of the accounts' own posts, without retweets and replies, like their timelines.

    Ids, not handles: a handle may belong to another account now.
    """
    return f"({' OR '.join(f'from:{user_id}' for user_id in user_ids)}) -is:retweet -is:reply"


def self_reply_query(user_id: str) -> str:
    return f"(from:{user_id}) to:{user_id} is:reply -is:retweet"


def id_batches(
    user_ids: Iterable[str], most: int = ACCOUNTS_A_COUNT, longest: int = LONGEST_QUERY
) -> Iterator[tuple[str, ...]]:
    """Split the ids into batches of at most `most`, each within a query of `longest` characters."""
    fixed = len(author_query([])) - len(" OR ")
    return constrained_batches(
        user_ids, longest - fixed, most, get_len=lambda id_: len(f"from:{id_} OR "), strict=False
    )
