"""What is kept beside the posts, as types: manifest, ledger entry, remembered accounts, receipt.

The three boxes know each other by these records alone. docs/records.md and deploy/records.json tell them to
people and programs who read the lake; both are written from here by `make docs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import add
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import astuple

Outcome = Literal["complete", "limit", "unavailable"]
Proof = Literal["matched", "short", "limited", "unchecked"]

Record = TypeVar("Record", bound=Struct)


class Bought(Struct, frozen=True):
    """How many things X has billed."""

    posts: int = 0
    own_posts: int = 0
    """Posts of one's own account, read in one's own name: X charges a fifth."""
    users: int = 0
    counts: int = 0
    archive_counts: int = 0

    def __add__(self, other: Bought) -> Bought:
        return Bought(*map(add, astuple(self), astuple(other)))


class Asked(Struct, frozen=True):
    """What was wanted of a day."""

    handles: tuple[str, ...]
    tweet_limit: int
    """The latest N posts of an account; 0 is all."""


class AccountRead(Struct, kw_only=True):
    """How far the reading of one account's day came."""

    username: str
    id: str | None
    outcome: Outcome
    reason: str | None
    """Why it is unavailable, in X's words."""
    proof: Proof
    counted: int | None
    """X's own count, where it was asked for alone."""
    posts: int
    """That X returned, repeated ones too."""
    limit: int
    """The latest N that were wanted when it was read; 0 is all."""
    pages: list[str]
    """Keys of the raw answers, in the order in which they came."""


class Writer(Struct, frozen=True):
    """Who buys for a purchase now, and until when nobody else may."""

    name: str
    """Of the run."""
    attempt: int
    token: str
    """Random: it tells two processes of one try apart."""
    until: datetime


class Manifest(Struct, kw_only=True):
    """One purchase of a day: who opened it, what was asked for, and what is there, account by account."""

    day: str
    buy: int
    opened_by: str
    """The run that opened it; later runs go on with it."""
    opened_at: datetime
    writer: Writer | None = None
    is_open: bool = True
    """Whether something may have been bought that stands neither below nor in the ledger."""
    closed_at: datetime | None = None
    """When what stands below was written; None before the first time."""
    asked: Asked = Asked((), 0)
    bought: dict[str, Bought] = field(default_factory=dict)
    """By the UTC month of the request."""
    cost_usd: float = 0
    requests: list[str] = field(default_factory=list)
    """Keys of the raw answers that belong to no account: look-ups, counts, and what could not be used."""
    accounts: list[AccountRead] = field(default_factory=list)


class LedgerEntry(Struct, kw_only=True):
    """What a purchase has spent in a UTC month, and may still spend."""

    day: str
    buy: int
    month: str
    reserved_mills: int
    """What counts against the cap: what is spent, and while it is bought for what it may spend next."""
    spent_mills: int
    unstaged_mills: int = 0
    """Of the spent: billed by X for answers that could not be staged."""
    spent_usd: float = 0
    bought: Bought = Bought()


class KnownAccount(Struct, frozen=True):
    """The id that a handle had when it was looked up last."""

    id: str
    seen_at: datetime


class AccountReceipt(Struct, kw_only=True):
    """One account of a day: fetched = published + rejected + duplicates + outside + over_limit."""

    username: str
    id: str | None
    outcome: Outcome
    reason: str | None
    proof: Proof
    counted: int | None
    fetched: int
    published: int
    rejected: int
    duplicates: int
    outside: int
    over_limit: int
    rejected_by_reason: dict[str, int]
    alarms: list[str]
    """Posts whose text is not the author's whole one."""
    drift: dict[str, int]
    """Fields that X sent and the pipeline does not know."""
    first_created_at: str | None
    last_created_at: str | None


class Totals(Struct, kw_only=True):
    accounts: int
    unavailable: int
    fetched: int
    published: int
    rejected: int
    duplicates: int
    outside: int
    over_limit: int
    proof: dict[str, int]
    alarms: int
    drift: list[str]


class PublishedObject(Struct, frozen=True):
    key: str
    bytes: int
    sha256: str
    etag: str
    """Of the staged object, on condition of which it was copied."""


class Decrease(Struct, frozen=True):
    """An account of which fewer rows are published than had landed before."""

    username: str
    landed: int
    published: int


class Receipt(Struct, kw_only=True):
    """The day's account: what was asked, bought, dropped and published; the commit mark, written last."""

    day: str
    versions: dict[str, str]
    buy: int
    closed_at: datetime
    asked: Asked
    bought: Bought
    cost_usd: float
    totals: Totals
    accounts: list[AccountReceipt]
    objects: dict[str, PublishedObject]
    decreases: list[Decrease] = field(default_factory=list)

    @property
    def missing(self) -> list[AccountReceipt]:
        """The accounts that were asked for and could not be read."""
        return [account for account in self.accounts if account.outcome == "unavailable"]


RECORDS = (Manifest, LedgerEntry, KnownAccount, Receipt)


def encoded(record: Any) -> bytes:
    """A record as the JSON that is written, for people too."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2)


def decoded(data: bytes, kind: type[Record]) -> Record:
    return msgspec.json.decode(data, type=kind)


def total(bought: Iterable[Bought]) -> Bought:
    return sum(bought, Bought())
