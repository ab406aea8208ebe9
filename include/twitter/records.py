"""The stored records as types: manifest, ledger entry, known accounts, receipt and others.

The stages know each other by these records alone. `make docs` generates docs/records.md and
deploy/records.json from the types and docstrings. A field without a docstring has that of its type's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from operator import add
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import asdict, astuple

from include.twitter.errors import NewerFormat

Moment = Annotated[datetime, Meta(tz=True)]
Outcome = Literal["complete", "limit", "unavailable"]
"""`complete`: read to the end of the day. `limit`: the latest N posts were read. `unavailable`: X does not
show the account, or no longer."""
Proof = Literal["matched", "short", "surplus", "limited", "unchecked"]
"""X's own count compared with the own posts that were fetched. `matched`: equal; if accounts were counted
together, equal in each hour, and `proof_reason` has the number of accounts (a surplus of one can hide a
shortage of another in the same hour). `short`: X counts more. `surplus`: X counts less. `limited`: not
compared, since only the latest N were requested. `unchecked`: there is no count."""
PostState = Literal["there", "gone", "protected", "suspended", "withheld", "edited", "unanswered"]
"""`there`: X returns the post. `edited`: X returns it, and a later version exists. `withheld`: X hides it
in some countries. `gone`: X reports that it does not exist. `protected`, `suspended`: its account is.
`unanswered`: X neither returned it nor gave a reason."""
Why = Literal["requested", "account", "gone"]
"""Why it was erased. `requested`: a person named the post. `account`: a person named its account. `gone`: X
no longer showed it."""

Record = TypeVar("Record", bound=Struct)


class BilledUnits(Struct, frozen=True):
    """Numbers of billed items."""

    posts: int = 0
    """Posts that X returned, with repeated ones."""
    own_posts: int = 0
    """Posts of the account that owns the access token: X charges less for them."""
    users: int = 0
    """Accounts that X returned to look-ups."""
    counts: int = 0
    """Requests for X's count of posts in the last seven days."""
    archive_counts: int = 0
    """Requests for X's count in the full archive."""
    rereads: int = 0
    """Posts that X had already charged on the same UTC day: they are free."""

    def __add__(self, other: BilledUnits) -> BilledUnits:
        return BilledUnits(*map(add, astuple(self), astuple(other)))


class Billed(Struct, frozen=True):
    """Items that X billed, or may have billed, for responses that are not stored."""

    bought: BilledUnits
    mills: int
    """The price on the day of the request, in thousandths of a US dollar."""

    def __add__(self, other: Billed) -> Billed:
        return Billed(self.bought + other.bought, self.mills + other.mills)


class CollectionSpec(Struct, frozen=True):
    """The posts that a run collects: accounts, limits and options."""

    handles: tuple[str, ...]
    """As in `twitter_handles`."""
    tweet_limit: int
    """The latest N posts of an account; 0 is all."""
    threads: bool = False
    """Whether an account's replies to itself are collected too."""
    limits: dict[str, int] = field(default_factory=dict)
    """Limits of single accounts, by handle in lower case."""

    def limit_of(self, handle: str) -> int:
        """The limit of this account; 0 is no limit."""
        return self.limits.get(handle.lower(), self.tweet_limit)

    def is_satisfied_by(self, entry: AccountOutcome | None, handle: str = "") -> bool:
        """Whether the account needs no request; `handle` is the current one, by default the entry's."""
        if entry is None or entry.outcome == "unavailable" or (self.threads and not entry.threads):
            return False
        return entry.outcome == "complete" or 0 < self.limit_of(handle or entry.username) <= entry.limit


class AccountResult(Struct, kw_only=True):
    """The result of collecting one account on a day."""

    username: str
    """The handle under which the account's day was first bought, as spelled in `twitter_handles` then."""
    id: str | None
    """The account's id at X; null if X has never returned it."""
    outcome: Outcome
    reason: str | None
    """Why it is unavailable, in X's words if there are any; or why reading stopped before the last page."""
    proof: Proof
    proof_reason: str | None = None
    """Why it is `unchecked`, `short` or `surplus`, in X's words if there are any. If `matched`: how many
    accounts were counted together; null if it was counted alone."""
    counted: int | None
    """X's own count, if the account was counted alone."""


class AccountOutcome(AccountResult, kw_only=True):
    """The purchased posts of one account on a day."""

    posts: int
    """Posts that X returned, with repeated ones."""
    limit: int
    """The limit with which it was read; 0 is no limit."""
    publish_limit: int = 0
    """The current limit, with which it is published; 0 is no limit."""
    threads: bool = False
    """Whether its replies to itself were read too."""
    pages: list[str]
    """Keys of the stored responses, in the order in which they arrived."""

    @property
    def has_posts(self) -> bool:
        """Whether it may have posts."""
        return self.posts > 0 or self.outcome != "unavailable"


class LeaseHolder(Struct, frozen=True):
    """The process that holds a lease, or held it last."""

    owner: str
    """A hash of its run's id."""
    token: str
    """Random; identifies the process."""
    expires_at: Moment | None
    """When another process may acquire the lease, unless it is renewed. Null once it is released."""


class PurchaseState(StrEnum):
    """The state of a purchase."""

    ABSENT = "absent"
    """Nothing was requested."""
    LEASED = "leased"
    """A process holds the lease and buys."""
    ABANDONED = "abandoned"
    """The process failed, or its lease has expired: another one may continue."""
    CLOSED = "closed"
    """Everything that was bought is in the manifest."""

    def after(self, event: Literal["acquire", "expire", "close"]) -> PurchaseState:
        """The state after an event; a ValueError if the event cannot happen."""
        if state := _TRANSITIONS.get((self, event)):
            return state
        raise ValueError(f"a purchase that is {self} cannot {event}")


_TRANSITIONS = {
    (PurchaseState.ABSENT, "acquire"): PurchaseState.LEASED,
    (PurchaseState.ABANDONED, "acquire"): PurchaseState.LEASED,
    (PurchaseState.CLOSED, "acquire"): PurchaseState.LEASED,
    (PurchaseState.LEASED, "expire"): PurchaseState.ABANDONED,
    (PurchaseState.LEASED, "close"): PurchaseState.CLOSED,
}


class Manifest(Struct, kw_only=True):
    """One purchase of a day: the run that opened it, the collection spec, and the outcome by account."""

    day: str
    """The UTC day, `YYYY-MM-DD`."""
    buy: int
    """The number among the day's purchases, from 1; the newest is valid."""
    opened_by: str
    """The run that opened it, as a hash of its id; later runs continue it."""
    opened_at: Moment
    lease: LeaseHolder | None = None
    """The lease of the process that buys; null once the purchase is closed."""
    is_open: bool = True
    """Whether something may have been bought that is neither in this manifest nor in the ledger."""
    closed_at: Moment | None = None
    """When the purchase was last closed; null before the first time."""
    spec: CollectionSpec = CollectionSpec((), 0)
    """Of the run that closed it last."""
    bought: dict[str, BilledUnits] = field(default_factory=dict)
    """Items of the stored responses, by the UTC month of the request, `YYYY-MM`."""
    mills: dict[str, int] = field(default_factory=dict)
    """Their price at the time of the request, by the same month; it is never recomputed."""
    cost_usd: float = 0
    """The sum of `mills` in US dollars; the ledger also has responses that were billed and not stored."""
    uncertain_usd: float = 0
    """The worst case of requests without a response, which X may have billed in addition."""
    requests: list[str] = field(default_factory=list)
    """Keys of the stored responses that belong to no account: look-ups, counts and unusable responses."""
    accounts: list[AccountOutcome] = field(default_factory=list)
    """The accounts of the spec, and those of earlier purchases that stay in the day."""

    def state(self, at: datetime) -> PurchaseState:
        """The state of the purchase at a time."""
        if not self.is_open:
            return PurchaseState.CLOSED
        expires_at = self.lease.expires_at if self.lease else None
        return PurchaseState.LEASED if expires_at and at < expires_at else PurchaseState.ABANDONED


class LedgerEntry(Struct, kw_only=True):
    """The spending of a purchase in a UTC month, and its reservation."""

    day: str
    """The UTC day whose posts are bought, `YYYY-MM-DD`."""
    buy: int
    """The number of the purchase, as in its manifest. 0: the counts of a plan, with its first day, or a
    snapshot of `twitter_engagement`."""
    age: int = 0
    """The age of a snapshot in days; 0 for a purchase or a plan."""
    month: str
    """The UTC month of the requests, `YYYY-MM`: the one that X bills."""
    reserved_mills: int
    """Amount charged against the cap: spent, uncertain, and the open reservation."""
    checked_mills: int = 0
    """The part of the reservation that was checked against the caps: only this part is used for requests."""
    spent_mills: int
    """Thousandths of a US dollar."""
    lost_mills: int = 0
    """The part of the spent amount that X billed for responses that could not be stored."""
    uncertain_mills: int = 0
    """The worst case of requests without a response, which X may have billed; not in the spent amount."""
    spent_usd: float = 0
    """`spent_mills` in US dollars."""
    would_have_cost_usd: float = 0
    """The price of `rereads` on another day: X charges a post once in a UTC day."""
    bought: BilledUnits = BilledUnits()
    """Items of the stored responses: their price and that of `lost_responses` is the spent amount."""
    lost_responses: dict[str, Billed] = field(default_factory=dict)
    """Billed responses that could not be stored, by the random id of the response."""
    uncertain: dict[str, Billed] = field(default_factory=dict)
    """Uncertain requests, by the process that sent them."""
    writer: str = ""
    """Random; the process that holds the reservation, empty once it is settled. If that process was
    killed, the checked and unspent part is uncertain."""

    @property
    def charged_mills(self) -> int:
        """The spent and the uncertain amount."""
        return self.spent_mills + self.uncertain_mills

    @property
    def is_of_purchase(self) -> bool:
        """Whether it belongs to a purchase, not to a plan or a snapshot."""
        return self.buy > 0


class LostPost(Struct, frozen=True):
    """A landed post that X no longer returns, or returns changed."""

    tweet_id: str
    username: str
    """The handle, as in the day's table."""
    state: PostState
    reason: str
    """In X's words if there are any."""
    seen_at: Moment
    """When X responded."""


class SnapshotReceipt(Struct, kw_only=True):
    """The receipt of a snapshot: a day's landed posts at an age; written last."""

    day: str
    """The UTC day of the posts, `YYYY-MM-DD`."""
    age: int
    """In days."""
    due_at: Moment
    """22:30 UTC of the day that is `age` days later."""
    read_at: Moment | None
    """When X's last response arrived; null if the day has no post."""
    hours_late: int
    """Whole hours from `due_at` to `read_at`."""
    contract: str
    """The version of the table's columns."""
    bought: BilledUnits
    cost_usd: float
    """The price of the bought items."""
    uncertain_usd: float = 0
    """The worst case of requests without a response, which X may have billed in addition."""
    would_have_cost_usd: float
    """The price of the free posts: X charges a post once in a UTC day, which it calls a soft guarantee."""
    posts: int
    """Rows of the table: landed posts that were requested."""
    states: dict[str, int]
    """The number of posts by state."""
    lost: list[LostPost]
    """Posts that X does not show, or not everywhere."""
    objects: dict[str, PublishedObject]
    """The files by name: `csv` and `parquet`."""


class ComplianceJob(Struct, kw_only=True):
    """A job at X that checks landed posts: written when it is created, and when its ids are uploaded."""

    id: str
    """The job's id at X."""
    number: int
    """The number of the job in its run, from 1; a lost job is replaced by the next."""
    made_at: Moment
    days: dict[str, int] | None = None
    """The number of uploaded ids by day; null before the upload."""


class Checked(Struct, kw_only=True):
    """The last report of X's batch compliance about a day's landed posts."""

    day: str
    """The UTC day of the posts, `YYYY-MM-DD`."""
    requested_at: Moment
    """When the job was created."""
    job: str
    """Its id at X."""
    posts: int
    """Landed posts that were checked."""
    gone: list[LostPost]
    """Posts that X wants deleted; not those that lost only their location."""


class KnownAccount(Struct, frozen=True):
    """The account id of a handle at the last look-up; another id replaces it once it is confirmed."""

    id: str
    """The account's id at X."""
    seen_at: Moment
    """When X returned it: it is looked up again after 30 days, for a day older than a week after 24 hours."""
    protected: bool = False
    """Whether X shows its posts only to its followers."""


class Tombstone(Struct, frozen=True, order=True):
    """The record that replaces an erased post or account."""

    id: str
    """The id of the post, or of the account if that was erased."""
    at: Moment
    """The time of the erasure."""
    why: Why


class Erasure(Struct, kw_only=True, frozen=True):
    """One erasure: posts, or an account, that are never published again."""

    at: Moment
    """The time at which it began."""
    why: Why
    posts: list[str]
    """Ids of the posts, with all versions of edited ones; of an account the stored ones."""
    account: str | None = None
    """Id of the erased account; null if only posts were erased."""
    days: list[str]
    """The affected days, `YYYY-MM-DD`: files of these days that were staged before are not published."""


class ErasureLog(Struct, kw_only=True):
    """All erasures. Only the owner of the bucket writes it; the pipeline reads it."""

    erasures: list[Erasure] = field(default_factory=list)
    """In the order of their times."""


class AccountReceipt(AccountResult, kw_only=True):
    """One account of a day.

    fetched = published + rejected + duplicates + outside + over_limit + unrequested + erased.
    """

    fetched: int
    """Posts that X returned, repeated ones too."""
    published: int
    """Rows of the table."""
    rejected: int
    """Posts that break the contract, each once; they are in the rejected file."""
    duplicates: int
    """Repeated posts, and earlier versions of edited ones."""
    outside: int
    """Posts of another day, which X may return as well."""
    over_limit: int
    """Posts older than the latest N."""
    unrequested: int = 0
    """Retweets and replies that X returned although they were excluded."""
    erased: int = 0
    """Erased posts that would otherwise be published or rejected."""
    rejected_by_reason: dict[str, int]
    """The number of rejected posts by reason."""
    warnings: list[str]
    """Posts whose text is not the author's whole one, or that lack a field which X could not fill."""
    dropped_fields: dict[str, int] = field(default_factory=dict)
    """Fields that were malformed and dropped, or that X could not fill, and how often."""
    drift: dict[str, int]
    """Unknown fields that X sent, and in how many posts."""
    first_created_at: str | None
    """When its first row was posted."""
    last_created_at: str | None

    @property
    def is_incomplete(self) -> bool:
        """Whether rows are missing: X does not show the account, or all of its posts were rejected."""
        return self.outcome == "unavailable" or (self.rejected > 0 and not self.published)

    @property
    def has_posts(self) -> bool:
        """Whether it may have posts."""
        return self.fetched > 0 or self.outcome != "unavailable"

    @property
    def estimated_total(self) -> int | None:
        """About how many posts the day of a limited account has; None for other accounts, or if unknown.

        X's own count if a plan requested it. Otherwise the estimate extends the rate of the landed posts to
        the whole day. A day that was read to its end before the limit was lowered needs no estimate.
        """
        if self.outcome != "limit":
            return None
        least = self.published + self.rejected + self.over_limit
        if self.proof != "limited":
            return least
        if self.counted is not None:
            return max(self.counted, least)
        if not self.first_created_at:
            return None
        first = datetime.fromisoformat(self.first_created_at)
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return max(round((self.published + self.rejected) * timedelta(days=1) / (midnight - first)), least)


class Totals(Struct, kw_only=True):
    """The sums over all accounts."""

    accounts: int
    unavailable: int
    """Accounts that could not be read to the end: the failed `load` names them."""
    fetched: int
    published: int
    """Rows of the table, without the header."""
    rejected: int
    duplicates: int
    outside: int
    over_limit: int
    unrequested: int = 0
    erased: int = 0
    proof: dict[str, int]
    """How many accounts have which proof."""
    warnings: int
    """Posts whose text is not the author's whole one, or that lack a field which X could not fill."""
    dropped_fields: list[str] = field(default_factory=list)
    """Fields that were malformed and dropped, or that X could not fill."""
    drift: list[str]
    """Names of unknown fields that X sent."""


class PublishedObject(Struct, frozen=True):
    """One published file."""

    key: str
    bytes: int
    sha256: str
    """Differs for a reader who reads the file while the day is being replaced."""
    etag: str
    """Of the staged object: the condition of the copy."""


class Decrease(Struct, frozen=True):
    """An account that loses landed rows, erased ones not counted."""

    username: str
    """The handle in the landed rows."""
    landed: int
    """Landed rows, without those that were erased since."""
    published: int
    """Rows of the new table."""
    id: str | None = None
    """The account's id at X; null if X has never returned it."""
    lost: tuple[str, ...] = ()
    """Ids of the lost rows of which no later version is published either. Empty if the landed table could
    not be read: then numbers of rows were compared."""

    @property
    def kept_rows(self) -> int:
        """The number of landed rows that stay."""
        return self.landed - len(self.lost) if self.lost else self.published


class Receipt(Struct, kw_only=True):
    """The result of a day: spec, bought items, published and dropped posts. Written last, as the commit."""

    day: str
    """The UTC day, `YYYY-MM-DD`."""
    versions: dict[str, str]
    """Of the pipeline (`code`) and of the table's columns (`contract`)."""
    buy: int
    """The number of the purchase from which the day was refined."""
    closed_at: Moment
    """When that purchase was closed last."""
    spec: CollectionSpec
    bought: BilledUnits
    """Items that the purchase bought, over all its runs and months."""
    cost_usd: float
    """The price of the bought items."""
    uncertain_usd: float = 0
    """The worst case of requests without a response, which X may have billed in addition."""
    totals: Totals
    accounts: list[AccountReceipt]
    objects: dict[str, PublishedObject]
    """The files by name: `csv`, `parquet` and `rejected`."""
    decreases: list[Decrease] = field(default_factory=list)
    """Accounts that lost rows against the replaced table."""
    erased: list[Tombstone] = field(default_factory=list)
    """Tombstones of the erased posts that would otherwise be published or rejected; of an account one."""
    erasures: int = 0
    """The number of erasures that were known when it was written."""

    @property
    def missing(self) -> list[AccountReceipt]:
        """The accounts that could not be read."""
        return [account for account in self.accounts if account.outcome == "unavailable"]

    @property
    def incomplete(self) -> list[AccountReceipt]:
        """The accounts that could not be read, and those whose posts were all rejected."""
        return [account for account in self.accounts if account.is_incomplete]


class Usage(Struct, kw_only=True):
    """X's own count of posts compared with the ledger, from the first of the month to the end of a day."""

    day: str
    """The UTC day, `YYYY-MM-DD`."""
    requested_at: Moment
    counted: int
    """Posts that X has counted for the project, or for the app of it that is nearest to the ledger."""
    lower_bound: int
    """Posts that were in the ledger before the day's last purchases: X has counted them."""
    upper_bound: int
    """Posts that were in the ledger at the time of the request, with lost and uncertain ones."""
    confirmed: int
    """Those of them that are stored and not of one's own account: the next comparison's lower bound."""
    discrepancy: int
    """Posts that X counts above the upper bound, or below the lower one (negative); 0 between the bounds."""
    alerted: int = 0
    """The last discrepancy of the month that an alert reported."""
    summary: str
    """The comparison in one sentence."""


class StoreProbe(Struct, frozen=True):
    """Whether the object store keeps the conditions of writes: probed before the first purchase."""

    bucket: str
    endpoint: str
    """The address of the store. If bucket or address differ, the store is probed again."""
    keeps_conditions: bool
    """Whether the probe is complete, and the store refused each write whose condition did not hold."""
    token: str = ""
    """Random during the probe, so that no two writes are equal."""


class _Extent(Protocol):
    @property
    def published(self) -> int: ...
    @property
    def estimated_total(self) -> int | None: ...


def latest_in_words(account: _Extent) -> str:
    """`latest 100 of about 323`: the landed part of a limited account's day."""
    total = account.estimated_total
    extent = ", more may exist" if total is None else f" of about {total:,}"
    return f"latest {account.published:,}{extent}"


RECORDS = (
    Manifest,
    LedgerEntry,
    KnownAccount,
    Receipt,
    SnapshotReceipt,
    ComplianceJob,
    Checked,
    Usage,
    ErasureLog,
    StoreProbe,
)


FORMAT = 1
"""The version of the stored format: records of a newer version are refused."""


class Versioned(Struct):
    """The field that every stored record has."""

    format: int = FORMAT


def encoded(record: Any) -> bytes:
    """The record as indented JSON. The map of known accounts has no version yet."""
    fields = {"format": FORMAT} | asdict(record) if isinstance(record, Struct) else record
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


def decoded(data: bytes, kind: type[Record]) -> Record:
    """Decode a record. Raises DecodeError, or NewerFormat if a newer version of the pipeline wrote it."""
    try:
        version = msgspec.json.decode(data, type=Versioned).format
        if version > FORMAT:
            raise NewerFormat(f"has format {version}, and this version of the pipeline knows up to {FORMAT}")
        return msgspec.json.decode(data, type=kind)
    except RecursionError:  # brackets without end, in a field that the record does not have
        raise msgspec.DecodeError("it is nested too deeply") from None


def total(bought: Iterable[BilledUnits]) -> BilledUnits:
    return sum(bought, BilledUnits())
