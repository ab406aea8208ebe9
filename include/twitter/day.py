"""One UTC day: its window, when it is over for good, and every key that it owns in the lake."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from include.twitter.errors import BadDay

SETTLING = timedelta(minutes=90)
"""How long after midnight a day may still change: X lets authors edit for an hour, and answers late."""

SOON = timedelta(minutes=1)
"""A scheduled run begins a second before its day ends, and waits for it to settle."""

FIRST_POST = date(2006, 3, 21)
"""X refuses to be asked for what was before."""

LEDGER = "twitter_ledger/"
ACCOUNTS = "twitter_accounts/accounts.json"
PLANS = "twitter_plans/"
USAGE = "twitter_usage/"
ENGAGEMENT = "twitter_engagement/"
ENGAGEMENT_RECEIPTS = "twitter_engagement_receipts/"
COMPLIANCE = "twitter_compliance/"
PROBE = "twitter_accounts/conditional_writes.json"
FORGOTTEN = "twitter_forgotten/tombstones.json"


@dataclass(frozen=True)
class Day:
    """The UTC calendar day `date`: `[start, end)`."""

    date: date

    @classmethod
    def parse(cls, text: str) -> Day:
        """Read `YYYY-MM-DD`; anything else is a ValueError."""
        day = cls(date.fromisoformat(text))
        if str(day) != text:  # fromisoformat also takes 20261118 and 2026-W47-3
            raise ValueError(f"{text!r} is not of the form YYYY-MM-DD")
        return day

    @classmethod
    def of(cls, moment: datetime) -> Day:
        """The day that holds `moment` (timezone-aware)."""
        return cls(moment.astimezone(UTC).date())

    @classmethod
    def latest_settled(cls, now: datetime, settling: timedelta = SETTLING) -> Day:
        """The newest day that can no longer change at `now`."""
        return cls.of(now - settling).plus(-1)

    @classmethod
    def named(cls, text: str) -> Day:
        """The day that a person asks for; a BadDay says what is wrong with it."""
        try:
            return cls.parse(text)
        except ValueError as error:
            raise BadDay(f"day={text!r} is no date. Example: 2026-11-18") from error

    def require_collectable(self, at: datetime) -> None:
        """Refuse a day of which nothing can be known: it does not end in a moment, or X had not begun."""
        if at < self.end - SOON:
            raise BadDay(
                f"{self} has not ended: it is {at:%Y-%m-%d %H:%M} UTC. "
                f"The latest day to collect is {Day.of(at).plus(-1)}."
            )
        if self.date < FIRST_POST:
            raise BadDay(f"{self} is before the first post on X, of {FIRST_POST}.")

    def __str__(self) -> str:
        return self.date.isoformat()

    def plus(self, days: int) -> Day:
        return Day(self.date + timedelta(days=days))

    @property
    def start(self) -> datetime:
        return datetime.combine(self.date, time.min, UTC)

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=1)

    def settled_at(self, settling: timedelta = SETTLING) -> datetime:
        return self.end + settling

    # What readers see

    @property
    def csv(self) -> str:
        return f"twitter/dt={self}/refined_tweets.csv"

    @property
    def parquet(self) -> str:
        return f"twitter_parquet/dt={self}/refined_tweets.parquet"

    @property
    def rejected(self) -> str:
        return f"twitter_rejected/dt={self}/rejected_tweets.jsonl.gz"

    @property
    def receipt(self) -> str:
        return f"twitter_receipts/dt={self}/receipt.json"

    @property
    def usage(self) -> str:
        return f"{USAGE}month={self.date:%Y-%m}/{self}.json"

    @property
    def checked(self) -> str:
        """What X's batch compliance said last of its posts."""
        return f"{COMPLIANCE}dt={self}/gone.json"

    # What it is made from

    @property
    def raw(self) -> str:
        """Prefix of everything that was bought for this day."""
        return f"twitter_raw/dt={self}/"

    def staging(self, run: str) -> str:
        """Prefix of the run's candidates for publishing."""
        return f"staging/twitter/dt={self}/run={run}/"

    @property
    def lease(self) -> str:
        """Who publishes the day now."""
        return f"staging/twitter/dt={self}/lease.json"


READ_AT = timedelta(hours=22, minutes=30)
"""When the posts of a day are read again: late on the day on which most were bought, so that it is free."""


@dataclass(frozen=True)
class Revisit:
    """The landed posts of `day`, asked for again when they are `age` days old, and the keys of what comes."""

    day: Day
    age: int

    def __str__(self) -> str:
        return f"{self.day} at age {self.age}"

    @property
    def due_at(self) -> datetime:
        return self.day.plus(self.age).start + READ_AT

    @property
    def _at(self) -> str:
        return f"dt={self.day}/age={self.age}/"

    @property
    def csv(self) -> str:
        return f"{ENGAGEMENT}{self._at}engagement.csv"

    @property
    def parquet(self) -> str:
        return f"twitter_engagement_parquet/{self._at}engagement.parquet"

    @property
    def receipt(self) -> str:
        return f"{ENGAGEMENT_RECEIPTS}{self._at}receipt.json"

    @property
    def raw(self) -> str:
        """Prefix of what X answered."""
        return f"{self.day.raw}age={self.age}/"

    @property
    def manifest(self) -> str:
        return f"{self.raw}revisited.json"

    @property
    def ledger(self) -> str:
        """The name of its ledger entries."""
        return f"{self.day}-age-{self.age}"

    def staging(self, run: str) -> str:
        """Prefix of the run's candidates for publishing."""
        return f"staging/{ENGAGEMENT}{self._at}run={run}/"

    @property
    def lease(self) -> str:
        """Who publishes it now."""
        return f"staging/{ENGAGEMENT}{self._at}lease.json"


def plan_key(id_: str) -> str:
    """Where the plan of this id is kept: the hash of its run of `twitter_plan`."""
    if not re.fullmatch(r"[0-9a-f]{12}", id_):
        raise BadDay(f"plan={id_!r} is no plan: leave it out, `twitter_plan` sets it.")
    return f"{PLANS}{id_}/plan.json"


def compliance_of(run: str) -> str:
    """Prefix of what a run of `twitter_compliance` has asked X, and of what X said."""
    return f"{COMPLIANCE}run={run}/"


def short_hash(run_id: str) -> str:
    """A key-safe name for a run id (which holds `:` and `+`): 12 hex digits, always the same."""
    return hashlib.sha256(run_id.encode()).hexdigest()[:12]
