"""X's own meter beside the ledger: what of both can be compared, and how long caps last at this pace.

X counts, by UTC day, the posts that a project and each of its apps have read, one that is read twice in a
day once. The ledger knows months: what it had before the day's last purchases, X has counted for sure; what
it has when X is asked, with what is lost or uncertain, is the most that X may have counted. Between the two
they agree.
"""

from __future__ import annotations

import calendar
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import msgspec

from include.twitter.answer import decoded
from include.twitter.day import Day
from include.twitter.records import Bought, LedgerEntry, Usage
from include.twitter.safe_text import safe_text

TOLERATED = 0.02
"""The share by which X's count may lie beyond what the ledger explains."""
FEW = 20
"""Posts that are no difference, in whatever share: a page that is read again is some."""
WEEK = 7


class _Day(msgspec.Struct):
    date: str
    usage: int = 0


class _Daily(msgspec.Struct):
    usage: list[_Day] = []
    client_app_id: str = ""


class Counted(msgspec.Struct):
    """What X answers; its numbers come as numbers or as texts."""

    daily_project_usage: _Daily | None = None
    daily_client_app_usage: list[_Daily] = []
    project_cap: int | None = None
    project_usage: int | None = None

    @property
    def by_day(self) -> dict[str, int]:
        """Posts of the project by UTC day, `YYYY-MM-DD`."""
        return _by_day(self.daily_project_usage or _Daily())

    @property
    def apps(self) -> dict[str, dict[str, int]]:
        """The same of each app."""
        return {app.client_app_id: _by_day(app) for app in self.daily_client_app_usage if app.client_app_id}


class _Body(msgspec.Struct):
    data: Counted


def _by_day(daily: _Daily) -> dict[str, int]:
    return {day.date[:10]: day.usage for day in daily.usage}


def counted(content: bytes) -> Counted | None:
    """What an answer of X counts; None where it has no days, or not in the form that X describes."""
    try:
        found = msgspec.convert(decoded(content), _Body, strict=False).data
    except ValueError:
        return None
    return found if found.daily_project_usage else None


def compared(
    found: Counted, day: Day, ledger: Collection[LedgerEntry], before: Usage | None, at: datetime
) -> Usage:
    """The month up to the end of the day; `before` is what was compared last in it."""
    read = _posts(entry.bought for entry in ledger)
    # Whether X's meter has one's own posts is said nowhere: they need not be in it.
    sure = sum(entry.bought.posts for entry in ledger)
    lost = _posts(
        billed.bought for entry in ledger for billed in [*entry.unstaged.values(), *entry.uncertain.values()]
    )
    was_sure = before.sure if before and before.asked_at <= day.end else 0
    month = {name: _of_month(days, day) for name, days in found.apps.items()}
    usage = Usage(
        day=str(day),
        asked_at=at,
        counted=_of_month(found.by_day, day),
        apps=month,
        least=sure if at >= _end_of_month(day) else was_sure,
        most=read + lost,
        sure=sure,
        told=before.told if before else 0,
        a_day=sum(found.by_day.get(str(day.plus(-back)), 0) for back in range(WEEK)) / WEEK,
        cap=found.project_cap,
        used=found.project_usage,
    )
    usage.apart = min((_apart(number, usage) for number in (usage.counted, *month.values())), key=abs)
    return usage


def _posts(bought: Iterable[Bought]) -> int:
    return sum(each.posts + each.own_posts for each in bought)


def _of_month(days: Mapping[str, int], day: Day) -> int:
    return sum(posts for name, posts in days.items() if str(day)[:7] <= name <= str(day))


def _end_of_month(day: Day) -> datetime:
    days = calendar.monthrange(day.date.year, day.date.month)[1]
    return Day(day.date.replace(day=days)).end


def _apart(number: int, usage: Usage) -> int:
    return max(number - usage.most, 0) + min(number - usage.least, 0)


def differs(usage: Usage) -> bool:
    """Whether the two part by more than is tolerated."""
    return abs(usage.apart) > _tolerated(usage)


def is_news(usage: Usage) -> bool:
    """Whether they part, and further than has been told this month."""
    return differs(usage) and abs(usage.apart - usage.told) > _tolerated(usage)


def _tolerated(usage: Usage) -> float:
    return max(FEW, TOLERATED * (usage.most if usage.apart > 0 else usage.least))


def in_words(usage: Usage) -> str:
    """Both numbers in a sentence."""
    known = f"{usage.least:,} to {usage.most:,}" if usage.least < usage.most else f"{usage.most:,}"
    said = (
        f"X's own meter has {usage.counted:,} posts{_of_apps(usage)} from {usage.day[:7]}-01 to {usage.day}, "
        f"the ledger explains {known}"
    )
    if not differs(usage):
        return f"{said}: they agree."
    bound = usage.most if usage.apart > 0 else usage.least
    share = f", {100 * abs(usage.apart) / bound:.1f} %" if bound else ""
    return f"{said}: X counts {abs(usage.apart):,} {'more' if usage.apart > 0 else 'fewer'}{share}."


def _of_apps(usage: Usage) -> str:
    several = [f"{posts:,} of app {safe_text(name, 40)}" for name, posts in sorted(usage.apps.items())]
    return f" ({', '.join(several)})" if len(several) > 1 else ""


def cap_in_words(usage: Usage) -> str:
    """How long X's own cap lasts; empty where X tells none, or nothing was read."""
    if not usage.cap or usage.used is None or not usage.a_day:
        return ""
    days = max(usage.cap - usage.used, 0) / usage.a_day
    return (
        f"Of X's own cap of {usage.cap:,} posts {usage.used:,} are used: at {usage.a_day:,.0f} a day, as in "
        f"the last week, the rest is for {days:,.0f} days, if it is not reset before."
    )


def pace_in_words(spent: int, cap: int, at: datetime) -> str:
    """How long the month's cap lasts, both in mills; empty where there is none, or nothing was spent."""
    if not cap or not spent:
        return ""
    a_day = spent / at.day
    left = int(max(cap - spent, 0) / a_day)
    last = Day.of(at).plus(left)
    said = f"At this pace, ${a_day / 1000:,.2f} a day, the cap of ${cap / 1000:,.2f}"
    if last.end >= _end_of_month(Day.of(at)):
        return f"{said} holds to the end of the month."
    return f"{said} is enough for {left} more days, to {last}."
