"""A request to an endpoint, with its parameters checked as strictly as X checks them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from local.x_api import posts
from local.x_api.errors import bearer_only, invalid, invalid_time
from local.x_api.pages import token_below

FIELDS = {f"{kind}.fields" for kind in ("tweet", "user", "media", "place", "poll")}
WINDOW = {"start_time", "end_time", "until_id"}
HANDLE, NUMBER = "^[A-Za-z0-9_]{1,15}$", "^[0-9]{1,19}$"


@dataclass
class ApiRequest:
    """A request; the endpoint fills in `handles`, `posts` and `users` for the log."""

    params: dict[str, str]
    path: dict[str, str]
    auth: str
    now: datetime
    line: str
    """METHOD path?query"""
    known: dict[str, str]
    """Handles by user id; the whole stand-in shares them."""
    owners: dict[str, str] = field(default_factory=dict)
    """The account that owns a handle now, named by the handle that its id and posts are made from."""
    states: dict[str, str] = field(default_factory=dict)
    """Changed posts by id: deleted, protected, suspended or withheld."""
    handles: list[str] = field(default_factory=list)
    posts: int = 0
    users: int = 0
    charged: Mapping[str, int] = field(default_factory=dict)
    """Posts that the whole stand-in has charged, by UTC day."""
    method: str = "GET"
    form: bytes = b""
    """The body of the request."""
    host: str = ""
    """The address of the stand-in in the request."""

    @property
    def token(self) -> str | None:
        return self.params.get("pagination_token", self.params.get("next_token"))

    def account(self, name: str) -> str:
        """The account of a handle or an id."""
        return self.known.get(name) or self.owners.get(name.lower(), name.lower())

    def require_bearer(self) -> None:
        if self.auth != "bearer":
            raise bearer_only()

    def allow(self, *names: str) -> None:
        """Reject parameters that the endpoint, or this stand-in, does not have."""
        for name in self.params.keys() - set(names):
            raise invalid(name, self.params[name], f"is not one of [{','.join(sorted(names))}]")

    def number(self, name: str, low: int, high: int, default: str = "10") -> int:
        text = self.params.get(name, default)
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        raise invalid(name, text, f"is not between {low} and {high}")

    def id(self, name: str) -> int | None:
        text = self.params.get(name)
        return None if text is None else int(matching(name, text, NUMBER))

    def window(self, earliest: datetime) -> tuple[datetime | None, datetime | None]:
        """`start_time` and `end_time`, in whole seconds."""
        start, end = self._moment("start_time", earliest), self._moment("end_time", earliest)
        if start and end and start >= end:
            raise invalid_time("start_time", _minute(start), f"must be before 'end_time':{_minute(end)}")
        return start, end

    def bounds(self, start: datetime | None, end: datetime | None) -> tuple[int, int]:
        """low <= id < high. `until_id` overrides the time, and the token and the present narrow both."""
        until = self.id("until_id")
        high = until if until is not None else posts.id_at(end or self.now)
        most = token_below(self.token) if self.token else high
        return posts.id_at(start) if start else 0, min(high, most, posts.id_at(self.now))

    def _moment(self, name: str, earliest: datetime) -> datetime | None:
        if (text := self.params.get(name)) is None:
            return None
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
            raise invalid(name, text, "is not a valid RFC 3339 date-time")
        moment = datetime.fromisoformat(text).replace(microsecond=0, tzinfo=UTC)
        if moment > self.now - timedelta(seconds=10):
            late = "must be a minimum of 10 seconds prior to the request time."
            raise invalid_time(name, _minute(moment), late)
        if moment < earliest:
            raise invalid_time(name, _minute(moment), f"must be on or after {_minute(earliest)}")
        return moment


def matching(name: str, text: str, pattern: str) -> str:
    """The text, if X accepts it for this parameter."""
    if not re.search(pattern, text):
        raise invalid(name, text, f"does not match {pattern}")
    return text


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%MZ")
