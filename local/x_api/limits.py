"""Rate limits: X's own are announced but not enforced; an ordered one is enforced."""

import math
import re
from dataclasses import dataclass, field

from local.x_api.errors import too_many_requests

# Requests in 15 minutes with a bearer token, and with OAuth 1.0a.
X_LIMITS = {
    "timeline": (10_000, 900),
    "users": (300, 900),
    "posts": (450, 900),
    "recent": (450, 300),
    "archive": (300, 300),
    "jobs": (150, 150),
}


@dataclass
class Limit:
    """A number of requests in each window from `since` (unix seconds) on."""

    limit: int
    window: float
    since: float
    match: str = ""
    used: dict[int, int] = field(default_factory=dict)

    def spend(self, now: float) -> tuple[int, dict[str, str]]:
        """Count a request; return the rest of this window, negative if exceeded, and the headers."""
        window = int((now - self.since) // self.window)
        self.used[window] = self.used.get(window, 0) + 1
        remaining = self.limit - self.used[window]
        reset = math.ceil(self.since + (window + 1) * self.window)
        names = ("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset")
        return remaining, dict(zip(names, map(str, (self.limit, max(remaining, 0), reset)), strict=True))


@dataclass
class RateLimits:
    """The limits by family of endpoints and kind of credentials, and the ordered one."""

    announced: dict[tuple[str, str], Limit] = field(default_factory=dict)
    ordered: Limit | None = None

    def spend(self, family: str, auth: str, line: str, now: float) -> dict[str, str]:
        """The headers of the response; raises 429 beyond an ordered limit."""
        if self.ordered and re.search(self.ordered.match, line):
            remaining, headers = self.ordered.spend(now)
            if remaining < 0:
                raise too_many_requests(headers)
            return headers
        if (family, auth) not in self.announced:
            self.announced[family, auth] = Limit(X_LIMITS[family][auth == "oauth1"], 900, now)
        return self.announced[family, auth].spend(now)[1]
