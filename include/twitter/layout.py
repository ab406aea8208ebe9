"""The keys of the bucket, built and parsed.

Each kind of published file has its own prefix; `staging/` holds the candidates of single runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from include.twitter.day import Day

LEDGER = "twitter_ledger/"
RECEIPTS = "twitter_receipts/"
ACCOUNTS = "twitter_accounts/accounts.json"
PROBES = "staging/probe/"
X_USAGE = "twitter_usage/"
ENGAGEMENT = "twitter_engagement/"
ENGAGEMENT_RECEIPTS = "twitter_engagement_receipts/"
COMPLIANCE = "twitter_compliance/"
PROBE = "twitter_accounts/conditional_writes.json"
TOMBSTONES = "twitter_forgotten/tombstones.json"
_COUNTS = "twitter_accounts/counts/"

# Other programs leave objects below the prefixes too: folder markers, copies, inventories. So each kind of
# key that is listed has a pattern and a parser.
_DATE = "([0-9]{4}-[0-9]{2}-[0-9]{2})"
_MONTH = "([0-9]{4}-(?:0[1-9]|1[0-2]))"
_NUMBER = "([1-9][0-9]{0,8})"
_PAGE = r"([0-9]{4,9})\.json\.gz"
_HASH = "[0-9a-f]{12}"
_OF_PURCHASE = re.compile(rf"twitter_raw/dt={_DATE}/buy={_NUMBER}/(?:manifest\.json|([a-z0-9_-]+)/{_PAGE})")
_PAGE_AT_END = re.compile(rf".+/{_PAGE}")
_SNAPSHOT_RECEIPT = re.compile(rf"{ENGAGEMENT_RECEIPTS}dt={_DATE}/age={_NUMBER}/receipt\.json")
_SNAPSHOT_PAGE = re.compile(rf"twitter_raw/dt={_DATE}/age={_NUMBER}/{_PAGE}")
_LEDGER = re.compile(rf"{LEDGER}month={_MONTH}/((?:{_DATE}-(?:age-)?{_NUMBER})|plan-{_HASH})\.json")
_COUNT = re.compile(rf"{_COUNTS}month={_MONTH}/{_DATE}_{_DATE}-{_HASH}\.json\.gz")
_JOB = re.compile(rf"{COMPLIANCE}run=[^/]+/job={_NUMBER}\.json")


def _day_in(match: re.Match[str] | None, group: int) -> Day | None:
    """The day in a key; None for an impossible date, like 2026-13-45."""
    try:
        return Day.parse(match[group]) if match else None
    except ValueError:
        return None


# A day


class _KeyOfDay:
    """A kind of key, or prefix, with one for each day."""

    def __init__(self, template: str) -> None:
        self._template = template

    def __call__(self, day: Day) -> str:
        return self._template.format(day=day)

    def parse(self, key: str) -> Day | None:
        """The day that has this key; None for any other key."""
        day = _day_in(re.search(_DATE, key), 1)
        return day if day and self(day) == key else None


csv = _KeyOfDay("twitter/dt={day}/refined_tweets.csv")
parquet = _KeyOfDay("twitter_parquet/dt={day}/refined_tweets.parquet")
rejected = _KeyOfDay("twitter_rejected/dt={day}/rejected_tweets.jsonl.gz")
receipt = _KeyOfDay(RECEIPTS + "dt={day}/receipt.json")
parse_receipt = receipt.parse
usage = _KeyOfDay(X_USAGE + "month={day.date:%Y-%m}/{day}.json")
"""X's usage, compared with the ledger up to the day."""
parse_usage = usage.parse
checked = _KeyOfDay(COMPLIANCE + "dt={day}/gone.json")
"""The last report of X's batch compliance about the day."""
raw = _KeyOfDay("twitter_raw/dt={day}/")
"""Prefix of everything that was bought for a day."""
publish_lease = _KeyOfDay("staging/twitter/dt={day}/lease.json")
"""The lease of the run that publishes the day."""


def tables(day: Day) -> dict[str, str]:
    """The keys of the day's files, by their names in its receipt."""
    return {"csv": csv(day), "parquet": parquet(day), "rejected": rejected(day)}


def staging(day: Day, run: str) -> str:
    """Prefix of the run's candidates for publishing."""
    return f"staging/twitter/dt={day}/run={run}/"


# A purchase


def manifest(day: Day, buy: int) -> str:
    return f"{raw(day)}buy={buy}/manifest.json"


def next_page(folder: str, pages: Sequence[str]) -> str:
    """The key of the response after these pages of a folder; an earlier one may be missing."""
    last = _PAGE_AT_END.fullmatch(pages[-1]) if pages else None
    return f"{folder}{int(last[1]) + 1 if last else 1:04}.json.gz"


class PurchaseKey(NamedTuple):
    """The parsed key of a manifest, or of a page in a folder of a purchase."""

    buy: int
    folder: str = ""
    """Empty for the manifest."""

    @property
    def is_manifest(self) -> bool:
        return not self.folder


def parse_purchase_key(key: str) -> PurchaseKey | None:
    """None for any other key."""
    match = _OF_PURCHASE.fullmatch(key)
    return PurchaseKey(int(match[2]), match[3] or "") if match and _day_in(match, 1) else None


SNAPSHOT_TIME = timedelta(hours=22, minutes=30)
"""Time of day of a snapshot: late on the day on which most posts were bought, so that it is free."""


def _key_of_snapshot(template: str) -> property:
    """A key, or prefix, with the snapshot's partition in it."""
    return property(lambda snapshot: template.format(f"dt={snapshot.day}/age={snapshot.age}/"))


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of the landed posts of `day` at an age of `age` days, and its keys."""

    day: Day
    age: int

    csv = _key_of_snapshot(ENGAGEMENT + "{}engagement.csv")
    parquet = _key_of_snapshot("twitter_engagement_parquet/{}engagement.parquet")
    receipt = _key_of_snapshot(ENGAGEMENT_RECEIPTS + "{}receipt.json")
    raw = _key_of_snapshot("twitter_raw/{}")
    """Prefix of the stored responses."""
    lease = _key_of_snapshot(f"staging/{ENGAGEMENT}{{}}lease.json")
    """The lease of the run that publishes it."""
    fetch_lease = _key_of_snapshot(f"staging/{ENGAGEMENT}{{}}reading/lease.json")
    """The lease of the run that requests it."""

    def __str__(self) -> str:
        return f"{self.day} at age {self.age}"

    @property
    def due_at(self) -> datetime:
        return self.day.plus(self.age).start + SNAPSHOT_TIME

    @property
    def tables(self) -> dict[str, str]:
        """The keys of its files, by their names in its receipt."""
        return {"csv": self.csv, "parquet": self.parquet}

    @property
    def ledger(self) -> str:
        """The name of its ledger entries."""
        return f"{self.day}-age-{self.age}"

    def staging(self, run: str) -> str:
        """Prefix of the run's candidates for publishing."""
        return f"staging/{ENGAGEMENT}dt={self.day}/age={self.age}/run={run}/"

    @classmethod
    def of_receipt(cls, key: str) -> Snapshot | None:
        """The snapshot whose receipt has this key; None for any other key."""
        match = _SNAPSHOT_RECEIPT.fullmatch(key)
        day = _day_in(match, 1)
        return cls(day, int(match[2])) if match and day else None

    @staticmethod
    def is_page(key: str) -> bool | None:
        """True for the key of a response; None for another one."""
        return True if _day_in(_SNAPSHOT_PAGE.fullmatch(key), 1) else None


# Records that belong to no day


class CountWindow(NamedTuple):
    """The days that a stored count covers, both included."""

    first: Day
    last: Day


def counts_prefix(first: Day) -> str:
    """Prefix of the stored counts whose window begins in the month of this day."""
    return f"{_COUNTS}month={first.date:%Y-%m}/"


def count_key(query: str, first: Day, last: Day, token: str = "") -> str:
    """The key of X's count for a query and window; each part of a long window has its token."""
    return f"{counts_prefix(first)}{first}_{last}-{short_hash(f'{query} {token}')}.json.gz"


def parse_count_key(key: str) -> CountWindow | None:
    """The window of a stored count; None for any other key."""
    match = _COUNT.fullmatch(key)
    first, last = _day_in(match, 2), _day_in(match, 3)
    return CountWindow(first, last) if first and last else None


class LedgerKey(NamedTuple):
    """The parsed key of a ledger entry."""

    month: str
    """`YYYY-MM`, of the request."""
    entry: str
    """The name of the entry."""
    subject: str
    """The day of its purchase, `YYYY-MM-DD`; the entry's name for a plan."""


def ledger_key(month: str, entry: str) -> str:
    return f"{LEDGER}month={month}/{entry}.json"


def parse_ledger_key(key: str) -> LedgerKey | None:
    """None for any other key."""
    match = _LEDGER.fullmatch(key)
    if not match or (match[3] and not _day_in(match, 3)):
        return None
    return LedgerKey(match[1], match[2], match[3] or match[2])


def compliance_of(run: str) -> str:
    """Prefix of the jobs and results of a run of `twitter_compliance`."""
    return f"{COMPLIANCE}run={run}/"


def job_key(run: str, number: int) -> str:
    """The key of a job of a run of `twitter_compliance`."""
    return f"{compliance_of(run)}job={number}.json"


def result_key(run: str, number: int) -> str:
    """The key of a job's result as X sent it: ids and reasons only."""
    return f"{compliance_of(run)}result={number}.txt.gz"


def parse_job_key(key: str) -> int | None:
    """The number of the job; None for any other key."""
    match = _JOB.fullmatch(key)
    return int(match[1]) if match else None


def short_hash(run_id: str) -> str:
    """A key-safe name for a run id (which holds `:` and `+`): 12 hex digits, always the same."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:12]
