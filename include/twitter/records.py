"""What is kept beside the posts, as types: manifest, ledger entry, remembered accounts, receipt.

The three boxes know each other by these records alone. docs/records.md and deploy/records.json tell them to
people and programs who read the lake; `make docs` writes both from the types and the docstrings here. A field
without one has that of its type's name.
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
"""`complete`: read to the end of the day. `limit`: the latest N that were wanted are there. `unavailable`: X
shows nothing of it, or no longer."""
Proof = Literal["matched", "short", "surplus", "limited", "unchecked"]
"""X's own count held against the own posts that arrived. `matched`: it is equal; or that of a group is, in
each hour, and `proof_reason` says of how many accounts: there a surplus can hide a shortage of the same hour.
`short`: X counts more. `surplus`: X counts less. `limited`: not compared, since only the latest N were
wanted. `unchecked`: there is no count."""
PostState = Literal["there", "gone", "protected", "suspended", "withheld", "edited", "unanswered"]
"""`there`: X gives it. `edited`: X gives it, and there is a later version. `withheld`: X does not show it
everywhere. `gone`: X says that it does not exist. `protected`, `suspended`: its account is. `unanswered`: X
neither gives it nor says why, so nobody knows."""
Why = Literal["requested", "account", "gone"]
"""Why it was erased. `requested`: a person named the post. `account`: a person named its account. `gone`: X did
not show it any more."""

Record = TypeVar("Record", bound=Struct)


class BilledUnits(Struct, frozen=True):
    """How many things X has billed."""

    posts: int = 0
    """Every one that X returned, repeated ones too."""
    own_posts: int = 0
    """Posts of one's own account, read in one's own name: X charges less."""
    users: int = 0
    """Handles that X has looked up, and found."""
    counts: int = 0
    """Requests for X's own count, of the last seven days."""
    archive_counts: int = 0
    """The same in the full archive, at its own price."""
    rereads: int = 0
    """Posts that X had charged on the same UTC day already: they are free."""

    def __add__(self, other: BilledUnits) -> BilledUnits:
        return BilledUnits(*map(add, astuple(self), astuple(other)))


class Billed(Struct, frozen=True):
    """What X billed, or may have billed, for responses that are not stored."""

    bought: BilledUnits
    mills: int
    """Its price on the day of the request, in thousandths of a US dollar."""


class CollectionSpec(Struct, frozen=True):
    """What was wanted of a day."""

    handles: tuple[str, ...]
    """As `twitter_handles` named them."""
    tweet_limit: int
    """The latest N posts of an account; 0 is all."""
    threads: bool = False
    """Whether an account's replies to itself were wanted too."""
    limits: dict[str, int] = field(default_factory=dict)
    """Of the accounts, by handle in lower case, that have another limit than the others."""

    def limit_of(self, handle: str) -> int:
        """The latest N posts of this account; 0 is all."""
        return self.limits.get(handle.lower(), self.tweet_limit)

    def lowest(self, handles: Iterable[str]) -> int:
        """The lowest limit of these accounts; 0 where none has one."""
        return min(filter(None, map(self.limit_of, handles)), default=0)

    def is_satisfied_by(self, line: AccountOutcome | None, handle: str = "") -> bool:
        """Whether nothing is missing of an account, by its `handle` of today, else by the one of its line.

        What decides whether a page is asked for.
        """
        if line is None or line.outcome == "unavailable" or (self.threads and not line.threads):
            return False
        return line.outcome == "complete" or 0 < self.limit_of(handle or line.username) <= line.limit


class AccountOutcome(Struct, kw_only=True):
    """How far the reading of one account's day came."""

    username: str
    """The handle under which the account's day was first bought, as `twitter_handles` wrote it then."""
    id: str | None
    """The account's at X; null where X has never told it."""
    outcome: Outcome
    reason: str | None
    """Why it is unavailable, in X's words where X has any; or why its walk was ended before X said so."""
    proof: Proof
    proof_reason: str | None = None
    """Why it is `unchecked`, `short` or `surplus`, in X's words where X has any. Of `matched`: how many
    accounts were counted together; null where it was counted alone."""
    counted: int | None
    """X's own count, where it was asked for alone."""
    posts: int
    """That X returned, repeated ones too."""
    limit: int
    """The latest N that were wanted when it was read; 0 is all."""
    publish_limit: int = 0
    """The latest N that are wanted now, and land; 0 is all."""
    threads: bool = False
    """Whether its replies to itself were read too: the later posts of threads."""
    pages: list[str]
    """Keys of the raw answers, in the order in which they came."""

    @property
    def has_posts(self) -> bool:
        """Whether posts of it may be there: else it only says why there are none."""
        return self.posts > 0 or self.outcome != "unavailable"


class LeaseHolder(Struct, frozen=True):
    """Which process holds a lease, or held it last."""

    owner: str
    """A hash of its run's id."""
    token: str
    """Random: it tells two processes apart."""
    expires_at: Moment | None
    """Put off while it works: after that another process may take over. Null once it is released."""


class PurchaseState(StrEnum):
    """How far a purchase has come."""

    ABSENT = "absent"
    """Nothing was requested for it."""
    LEASED = "leased"
    """A process buys for it."""
    ABANDONED = "abandoned"
    """The process that bought for it has failed, or its lease has expired: another one goes on."""
    CLOSED = "closed"
    """All that was bought is in its manifest."""

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
    """One purchase of a day: who opened it, what was asked for, and what is there, account by account."""

    day: str
    """The UTC day, `YYYY-MM-DD`."""
    buy: int
    """Its number among the day's purchases, from 1; the newest counts."""
    opened_by: str
    """The run that opened it, as a hash of its id; later runs go on with it."""
    opened_at: Moment
    lease: LeaseHolder | None = None
    """Of the process that buys; null once it is closed."""
    is_open: bool = True
    """Whether something may have been bought that stands neither below nor in the ledger."""
    closed_at: Moment | None = None
    """When what stands below was written; null before the first time."""
    spec: CollectionSpec = CollectionSpec((), 0)
    """By the run that closed it last."""
    bought: dict[str, BilledUnits] = field(default_factory=dict)
    """What is staged of it, by the UTC month of the request, `YYYY-MM`."""
    mills: dict[str, int] = field(default_factory=dict)
    """The price of that when it was requested, by the same month: it is not computed again."""
    cost_usd: float = 0
    """The sum of these in US dollars; the ledger also has what was billed and could not be staged."""
    uncertain_usd: float = 0
    """What X may have billed in addition: the worst case of requests without a response."""
    requests: list[str] = field(default_factory=list)
    """Keys of the raw answers that belong to no account: look-ups, counts, and what could not be used."""
    accounts: list[AccountOutcome] = field(default_factory=list)
    """Those that were asked for, and those that stay in the day from before."""

    def state(self, at: datetime) -> PurchaseState:
        """Of a purchase with this manifest."""
        if not self.is_open:
            return PurchaseState.CLOSED
        expires_at = self.lease.expires_at if self.lease else None
        return PurchaseState.LEASED if expires_at and at < expires_at else PurchaseState.ABANDONED


class LedgerEntry(Struct, kw_only=True):
    """What a purchase has spent in a UTC month, and may still spend."""

    day: str
    """The UTC day whose posts are bought, `YYYY-MM-DD`."""
    buy: int
    """The number of the purchase, as in its manifest; 0 is none: the counts of a plan, whose first day it
    names, or what `twitter_engagement` reads again."""
    age: int = 0
    """In days, of landed posts that are read again; 0 is a purchase, or a plan."""
    month: str
    """The UTC month of the requests, `YYYY-MM`: the one that X bills."""
    reserved_mills: int
    """What counts against the cap: what is spent or uncertain, and for a while what may be spent next."""
    checked_mills: int = 0
    """Of the reserved: what was checked against the caps. Requests are sent for this part alone."""
    spent_mills: int
    """Thousandths of a US dollar."""
    lost_mills: int = 0
    """Of the spent: billed by X for answers that could not be staged."""
    uncertain_mills: int = 0
    """Not in the spent: the worst case of requests without a response, which X may have billed."""
    spent_usd: float = 0
    """The same as `spent_mills`, for people."""
    would_have_cost_usd: float = 0
    """The price of `rereads` on another day: X charges a post once in a UTC day."""
    bought: BilledUnits = BilledUnits()
    """What is staged: its price and that of `lost_responses` make the spent."""
    lost_responses: dict[str, Billed] = field(default_factory=dict)
    """What could not be staged, by the random id of the response."""
    uncertain: dict[str, Billed] = field(default_factory=dict)
    """What is uncertain, by the process that sent the requests."""
    writer: str = ""
    """Random: the process that has the reservation; empty once it is settled. Where it was killed,
    what it had checked and not spent is uncertain."""

    @property
    def charged_mills(self) -> int:
        """What is spent or uncertain: the rest of the reserved may yet be spent."""
        return self.spent_mills + self.uncertain_mills

    @property
    def is_of_purchase(self) -> bool:
        """Whether it is of a purchase of the day, neither of a plan nor of what was read again."""
        return self.buy > 0


class LostPost(Struct, frozen=True):
    """A landed post that X no longer gives, or no longer as it was."""

    tweet_id: str
    username: str
    """The account, as the day's table has it."""
    state: PostState
    reason: str
    """In X's words where X has any."""
    seen_at: Moment
    """When X said so."""


class SnapshotReceipt(Struct, kw_only=True):
    """The receipt of a snapshot: a day's landed posts at an age; written last."""

    day: str
    """The UTC day of the posts, `YYYY-MM-DD`."""
    age: int
    """In days."""
    due_at: Moment
    """22:30 UTC of the day so many days later."""
    read_at: Moment | None
    """When X answered last; null if the day has no post."""
    hours_late: int
    """Whole hours from `due_at` to `read_at`."""
    contract: str
    """The version of the table's columns."""
    bought: BilledUnits
    cost_usd: float
    """The price of what was bought."""
    uncertain_usd: float = 0
    """What X may have billed in addition: the worst case of requests without a response."""
    would_have_cost_usd: float
    """The price of what was free: X charges a post once in a UTC day, which it calls a soft guarantee."""
    posts: int
    """Rows of the table: landed posts that were requested."""
    states: dict[str, int]
    """How many posts are in which state."""
    lost: list[LostPost]
    """Each post that X does not show, or not everywhere."""
    objects: dict[str, PublishedObject]
    """The files by name: `csv` and `parquet`."""


class ComplianceJob(Struct, kw_only=True):
    """A job at X that checks landed posts: written when it is created, and when its ids are uploaded."""

    id: str
    """The job's at X."""
    number: int
    """Among those of its run, from 1: one that is lost is replaced by the next."""
    made_at: Moment
    days: dict[str, int] | None = None
    """How many ids of which day were uploaded; null until they were."""


class Checked(Struct, kw_only=True):
    """What X's batch compliance last reported about a day's landed posts."""

    day: str
    """The UTC day of the posts, `YYYY-MM-DD`."""
    requested_at: Moment
    """When the job was created."""
    job: str
    """Its id at X."""
    posts: int
    """Landed posts that were checked."""
    gone: list[LostPost]
    """Each post that X wants deleted; not those that lost only their place on the map."""


class KnownAccount(Struct, frozen=True):
    """The id that a handle had when it was looked up last; another takes its place once accepted."""

    id: str
    """The account's at X."""
    seen_at: Moment
    """When X said so: it is asked again after 30 days, and for a day older than a week after 24 hours."""
    protected: bool = False
    """Whether X shows its posts to nobody but its followers."""


class Tombstone(Struct, frozen=True, order=True):
    """What is left of a post that was erased, or of a whole account."""

    id: str
    """Of the post; of the account, where that was erased."""
    at: Moment
    """When."""
    why: Why


class Erasure(Struct, kw_only=True, frozen=True):
    """One erasure of forgetting: what may never land again."""

    at: Moment
    """When it was begun."""
    why: Why
    posts: list[str]
    """Ids of the posts, with all versions of an edited one; of an account those that were there."""
    account: str | None = None
    """Id of the account of which nothing may land again; null where only posts were named."""
    days: list[str]
    """Where something of it was found, `YYYY-MM-DD`: what was staged of these before is not published."""


class ErasureLog(Struct, kw_only=True):
    """All that was erased. Only its owner writes it; the pipeline reads it."""

    erasures: list[Erasure] = field(default_factory=list)
    """In the order in which they came."""


class AccountReceipt(Struct, kw_only=True):
    """One account of a day.

    fetched = published + rejected + duplicates + outside + over_limit + unrequested + erased.
    """

    username: str
    """The handle, as it stands in the table: the one under which the account's day was first bought."""
    id: str | None
    """The account's at X; null where X has never told it."""
    outcome: Outcome
    reason: str | None
    """Why it is unavailable, in X's words where X has any; or why its walk was ended before X said so."""
    proof: Proof
    proof_reason: str | None = None
    """Why it is `unchecked`, `short` or `surplus`, in X's words where X has any. Of `matched`: how many
    accounts were counted together; null where it was counted alone."""
    counted: int | None
    """X's own count, where it was asked for alone."""
    fetched: int
    """Posts that X returned, repeated ones too."""
    published: int
    """Rows of the table."""
    rejected: int
    """Posts that broke the contract, each once: they stand in the rejected file."""
    duplicates: int
    """Posts that came twice, and earlier versions of edited ones."""
    outside: int
    """Posts of another day: X may send them although it was asked for this one."""
    over_limit: int
    """Posts older than the latest N."""
    unrequested: int = 0
    """Retweets and replies that X sent although they were excluded."""
    erased: int = 0
    """Posts that were erased: they would be published or rejected."""
    rejected_by_reason: dict[str, int]
    """How many posts broke the contract in which way."""
    warnings: list[str]
    """Posts whose text is not the author's whole one, or that lack a field which X could not fill."""
    dropped_fields: dict[str, int] = field(default_factory=dict)
    """What was left out of posts since it was not as it has to be, or by X, and how often."""
    drift: dict[str, int]
    """Fields that X sent and the pipeline does not know, and in how many posts."""
    first_created_at: str | None
    """When its first row was posted."""
    last_created_at: str | None

    @property
    def is_incomplete(self) -> bool:
        """Whether rows are missing: X does not show the account, or all of its posts were rejected."""
        return self.outcome == "unavailable" or (self.rejected > 0 and not self.published)

    @property
    def has_posts(self) -> bool:
        """Whether posts of it may be there: else it only says why there are none."""
        return self.fetched > 0 or self.outcome != "unavailable"

    @property
    def estimated_total(self) -> int | None:
        """About how many posts the day of a limited account has; None for other accounts, or if unknown.

        X's own count if it was requested anyway, for a plan. Otherwise the estimate extends the rate of the
        landed posts to the whole day: all posts from the oldest landed one to midnight are there. A day that
        was read to its end before the limit was lowered needs no estimate.
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
    """Accounts of which something is missing: a red `load` names them."""
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
    """What was left out of posts since it was not as it has to be, or by X."""
    drift: list[str]
    """Names of the fields that X sent and the pipeline does not know."""


class PublishedObject(Struct, frozen=True):
    """One file of the day, as it was published."""

    key: str
    bytes: int
    sha256: str
    """Who reads the day while it is published anew finds another one."""
    etag: str
    """Of the staged object, on condition of which it was copied."""


class Decrease(Struct, frozen=True):
    """An account of which landed rows are not published any more, though they were not erased."""

    username: str
    """The handle that it had in the rows before."""
    landed: int
    """Rows before, without those that were erased since."""
    published: int
    """Rows now."""
    id: str | None = None
    """The account's at X; null where X has never told it."""
    lost: tuple[str, ...] = ()
    """Ids of the rows that are gone, also as a later version of the post. Empty where the landed table could
    not be read: then numbers of rows were compared."""

    @property
    def kept(self) -> int:
        """How many of the rows before are still there."""
        return self.landed - len(self.lost) if self.lost else self.published


class Receipt(Struct, kw_only=True):
    """The day's account: what was asked, bought, dropped and published; the commit mark, written last."""

    day: str
    """The UTC day, `YYYY-MM-DD`."""
    versions: dict[str, str]
    """Of the pipeline (`code`) and of the table's columns (`contract`)."""
    buy: int
    """The number of the purchase that it was refined from."""
    closed_at: Moment
    """When that purchase was closed last."""
    spec: CollectionSpec
    bought: BilledUnits
    """By the purchase, over all its runs and months."""
    cost_usd: float
    """The price of what was bought."""
    uncertain_usd: float = 0
    """What X may have billed in addition: the worst case of requests without a response."""
    totals: Totals
    accounts: list[AccountReceipt]
    objects: dict[str, PublishedObject]
    """The files by name: `csv`, `parquet` and `rejected`."""
    decreases: list[Decrease] = field(default_factory=list)
    """Against the table that these files took the place of."""
    erased: list[Tombstone] = field(default_factory=list)
    """Of the posts that would be published or rejected; of a whole account one."""
    erasures: int = 0
    """How many erasures of forgetting were known when it was written."""

    @property
    def missing(self) -> list[AccountReceipt]:
        """The accounts that were asked for and could not be read."""
        return [account for account in self.accounts if account.outcome == "unavailable"]

    @property
    def incomplete(self) -> list[AccountReceipt]:
        """The accounts of which rows are missing: those, and the ones whose posts were all rejected."""
        return [account for account in self.accounts if account.is_incomplete]


class Usage(Struct, kw_only=True):
    """X's own count of posts compared with the ledger, from the first of the month to the end of a day."""

    day: str
    """The UTC day, `YYYY-MM-DD`."""
    requested_at: Moment
    counted: int
    """Posts that X has counted for the project, or for the app of it that is nearest to the ledger."""
    lower_bound: int
    """Posts that the ledger had before the day's last purchases: X has counted them."""
    upper_bound: int
    """Posts that the ledger had when X was asked, with what was billed and lost, and what is uncertain."""
    confirmed: int
    """Of these: stored, and not of one's own account. They are the next comparison's lower bound."""
    discrepancy: int
    """How many posts X counts above the upper bound, or below the lower one (less than 0); 0 between them."""
    alerted: int = 0
    """The discrepancy that an alert of the month has reported."""
    summary: str
    """All of this in a sentence."""


class StoreProbe(Struct, frozen=True):
    """Whether the bucket's store keeps the conditions of writes: tried before the first purchase in it."""

    bucket: str
    endpoint: str
    """The address of the store: where bucket or address are others, it is tried again."""
    keeps_conditions: bool
    """Whether it was tried to the end, and refused each write whose condition did not hold."""
    token: str = ""
    """Random while it is tried: no two writes are equal."""


class _Extent(Protocol):
    @property
    def published(self) -> int: ...
    @property
    def estimated_total(self) -> int | None: ...


def latest_in_words(account: _Extent) -> str:
    """`latest 100 of about 323`: how much of a limited account's day has landed."""
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
"""The version of the stored format: a reader refuses a record of a newer one."""


class Versioned(Struct):
    """What every stored record has beside its own fields."""

    format: int = FORMAT


def encoded(record: Any) -> bytes:
    """A record as the JSON that is written, for people too. The map of known accounts has no version yet."""
    fields = {"format": FORMAT} | asdict(record) if isinstance(record, Struct) else record
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


def decoded(data: bytes, kind: type[Record]) -> Record:
    """The record; a DecodeError where it is none, NewerFormat where a newer version has written it."""
    try:
        version = msgspec.json.decode(data, type=Versioned).format
        if version > FORMAT:
            raise NewerFormat(f"has format {version}, and this version of the pipeline knows up to {FORMAT}")
        return msgspec.json.decode(data, type=kind)
    except RecursionError:  # brackets without end, in a field that the record does not have
        raise msgspec.DecodeError("it is nested too deeply") from None


def total(bought: Iterable[BilledUnits]) -> BilledUnits:
    return sum(bought, BilledUnits())
