"""One UTC day: its window, and when it settles."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from include.twitter.errors import BadDay

SETTLING = timedelta(minutes=90)
"""Time after midnight during which a day may change: authors can edit for an hour, and X lags."""

TOLERANCE = timedelta(minutes=1)
"""A scheduled run begins a second before its day ends."""

FIRST_POST = date(2006, 3, 21)
"""X rejects requests for earlier dates."""


@dataclass(frozen=True)
class Day:
    """The UTC calendar day `date`: `[start, end)`."""

    date: date

    @classmethod
    def parse(cls, text: str) -> Day:
        """Read `YYYY-MM-DD`; ValueError for any other text."""
        with suppress(ValueError):
            day = cls(date.fromisoformat(text))
            if str(day) == text:  # fromisoformat also takes 20261118 and 2026-W47-3
                return day
        raise ValueError(f"{text!r} is not a day, YYYY-MM-DD")

    @classmethod
    def of(cls, moment: datetime) -> Day:
        """The UTC day of a timezone-aware `moment`."""
        return cls(moment.astimezone(UTC).date())

    @classmethod
    def latest_settled(cls, now: datetime, settling: timedelta = SETTLING) -> Day:
        """The newest day that can no longer change at `now`."""
        return cls.of(now - settling).plus(-1)

    @classmethod
    def named(cls, text: str) -> Day:
        """Parse a day that a person typed; BadDay if it is malformed."""
        try:
            return cls.parse(text)
        except ValueError as error:
            raise BadDay(f"day={error}. Example: 2026-11-18") from error

    def require_collectable(self, at: datetime) -> None:
        """Raise BadDay if the day has not ended, or is before the first post on X."""
        if at < self.end - TOLERANCE:
            raise BadDay(
                f"{self} has not ended: it is {at:%Y-%m-%d %H:%M} UTC. "
                f"The latest day that can be collected is {Day.of(at).plus(-1)}."
            )
        if self.date < FIRST_POST:
            raise BadDay(f"{self} is before {FIRST_POST}, the day of the first post on X.")

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
