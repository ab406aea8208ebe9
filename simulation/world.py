"""X: who posted what, what X shows of it at a moment, what it answers, and what it bills.

The oracle reads `World` and `Served`. It never reads what the pipeline says that X said.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.x_api.pages import POST_VOCABULARY
from simulation.compliance import Compliance
from simulation.faults import Draw, Faults
from simulation.scheduler import Process

EPOCH_MS = 1288834974657
PROBLEMS = "https://api.twitter.com/2/problems/"
WEEK = timedelta(days=7)
TEXTS = (
    "Clear skies tonight",
    "Five &lt; six &amp; seven &gt; two",
    'She said "no, later", twice',
    "One line\nand another\u2028and a third",
    "今夜は晴れ 🌌 👩🏽‍🚀",
    "RT @nobody: not a retweet",
    "=1+1",
    "NA",
)
UNESCAPED = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
CHANCES = {
    "x.503": 0.012,
    "x.500_html": 0.004,
    "x.404_html": 0.004,
    "x.429": 0.01,
    "x.401": 0.003,
    "x.connect": 0.006,
    "x.timeout_billed": 0.006,
    "x.timeout_unbilled": 0.006,
    "x.cut": 0.004,
    "x.not_json": 0.003,
    "x.failed_part": 0.005,
    "x.slow": 0.008,
    "x.402": 0.001,
    "x.empty_page": 0.012,
    "x.same_page": 0.006,
    "x.repeat_token": 0.004,
    "x.empty_token": 0.003,
    "x.repeat_posts": 0.006,
    "x.drop_posts": 0.008,
    "x.drop_fields": 0.001,
    "x.unfilled": 0.01,
    "x.post_words": 0.02,
    "x.ignored_exclude": 0.01,
    "x.ignored_window": 0.006,
    "x.foreign": 0.002,
    "x.gone": 0.003,
    "x.dead_token": 0.02,
    "x.count_off": 0.04,
    "x.malformed": 0.003,
    "x.new_field": 0.01,
}
"""Of one request, in a stormy attempt."""
GONE_WORDS = {
    "gone": ("Not Found Error", "resource-not-found"),
    "suspended": ("Forbidden", "resource-not-found"),
    "protected": ("Authorization Error", "not-authorized-for-resource"),
}
"""Title and type of the error that stands for a post that was requested by id."""
PATHS = ("/2/compliance/", "/storage/")
REFERENCES = {"retweet": "retweeted", "reply": "replied_to", "thread": "replied_to", "quote": "quoted"}


def id_at(at: datetime) -> int:
    return (int(at.timestamp() * 1000) - EPOCH_MS) << 22


def time_of(post_id: int) -> datetime:
    return datetime.fromtimestamp(((post_id >> 22) + EPOCH_MS) / 1000, UTC)


def marker(post_id: int) -> str:
    """A word of a post's text that no other post has."""
    return f"zq{post_id * 2654435761 % (1 << 48):012x}"


def stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


@dataclass(eq=False)
class Post:
    """One version of a post."""

    id: int
    author: Account
    created: datetime
    kind: str
    """`own`, `quote`, `retweet`, `reply`, or `thread`: a reply to itself."""
    history: list[int]
    """The ids of all of its versions."""
    text: str
    likes: int
    gone_at: datetime
    """When its author deletes it."""

    def is_shown(self, at: datetime) -> bool:
        return self.created <= at < self.gone_at

    @property
    def is_own(self) -> bool:
        return self.kind in ("own", "quote")

    def as_sent(self, at: datetime) -> dict[str, Any]:
        hours = int((at - self.created).total_seconds() // 3600)
        versions = [str(id_) for id_ in self.history if time_of(id_) <= at]
        body: dict[str, Any] = {
            "id": str(self.id),
            "text": self.text,
            "created_at": stamp(self.created),
            "author_id": self.author.id,
            "conversation_id": str(self.history[0]),
            "edit_history_tweet_ids": versions,
            "lang": "en",
            "possibly_sensitive": self.likes % 7 == 0,
            "public_metrics": {
                "retweet_count": self.likes // 3,
                "reply_count": 1,
                "like_count": self.likes + hours,
                "quote_count": 0,
                "bookmark_count": 2,
                "impression_count": self.likes * 30 + hours,
            },
        }
        if self.likes % 3 == 0:
            body["entities"] = {"hashtags": [{"start": 0, "end": 2, "tag": f"tag{self.likes}"}]}
        if self.kind in REFERENCES:
            other = str(self.id - (1 << 40))
            body["referenced_tweets"] = [{"type": REFERENCES[self.kind], "id": other}]
            if self.kind in ("reply", "thread"):
                body["in_reply_to_user_id"] = self.author.id if self.kind == "thread" else "9"
        return body


@dataclass(eq=False)
class Account:
    id: str
    handle: str
    a_day: int
    """Posts a day, about."""
    since: datetime
    """It posts from then on."""
    state: str = "active"
    """`active`, `suspended`, `protected` or `unknown`."""
    handles: list[str] = field(default_factory=list)
    """All that it ever had, in lower case."""
    states: list[tuple[datetime, str]] = field(default_factory=list)
    days: dict[date, list[Post]] = field(default_factory=dict)

    def set_state(self, at: datetime, state: str) -> None:
        self.state = state
        self.states.append((at, state))

    def was_active(self, first: datetime, last: datetime) -> bool:
        """Whether it was active from the first moment to the last."""
        states = [state for at, state in self.states if at <= first][-1:]
        states += [state for at, state in self.states if first < at <= last]
        return all(state == "active" for state in states)


@dataclass(eq=False)
class Served:
    """One response of X: what was in it, and what it cost."""

    serial: int
    at: datetime
    process: Process
    endpoint: str
    request: str
    """What tells requests for different things apart: the accounts, and which of their posts."""
    posts: list[dict[str, Any]] = field(default_factory=list)
    mills: int = 0
    billed: Counter[str] = field(default_factory=Counter)
    """Ids of the posts that were billed."""
    faults: set[str] = field(default_factory=set)
    stored_at: datetime | None = None
    """When S3 had it."""
    restarts: bool = False
    """Whether X itself made the pipeline begin again: an expired token."""
    arrived: bool = True
    key: str = ""
    """The object that it was stored as."""
    ids: tuple[str, ...] = ()
    """The posts that were requested by id."""
    gone: dict[str, str] = field(default_factory=dict)
    """The posts that it calls gone, with their state."""
    job: str = ""
    """Whose answer it is, if it is that of a check."""


class Refusal(Exception):
    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


class Lost(Exception):
    """The connection breaks; `sent` is what still arrives."""

    def __init__(self, seconds: float, sent: bytes = b"", error: type[OSError] = TimeoutError) -> None:
        super().__init__()
        self.seconds, self.sent, self.error = seconds, sent, error


def invalid(message: str) -> Refusal:
    body = {
        "errors": [{"message": message}],
        "title": "Invalid Request",
        "type": f"{PROBLEMS}invalid-request",
    }
    return Refusal(400, body)


def gone(state: str, parameter: str, value: str) -> dict[str, Any]:
    about = {"value": value, "resource_id": value, "resource_type": "user", "parameter": parameter}
    if state == "protected":
        kind = {"title": "Authorization Error", "type": f"{PROBLEMS}not-authorized-for-resource"}
        return about | kind | {"detail": f"Sorry, you are not authorized to see the user: [{value}]."}
    title = "Forbidden" if state == "suspended" else "Not Found Error"
    detail = (
        f"User has been suspended: [{value}]."
        if state == "suspended"
        else f"Could not find user with {parameter}: [{value}]."
    )
    return about | {"title": title, "detail": detail, "type": f"{PROBLEMS}resource-not-found"}


class World:
    """X, its accounts and its bill."""

    def __init__(self, draw: Draw, faults: Faults, clock: Any, prices: Any) -> None:
        self._draw, self.faults, self._clock, self._prices = draw, faults, clock, prices
        self.latency = Draw(draw.number("latency"))
        self.accounts: dict[str, Account] = {}
        self.served: list[Served] = []
        self.by_serial: dict[int, Served] = {}
        self.page_cap = draw.pick("page_cap", (3, 4, 7, 100))
        """X cuts pages shorter than requested."""
        self.token_life = timedelta(minutes=draw.pick("token_life", (2, 60, 10**6)))
        self.bills_once_a_day = draw.happens("bills_once_a_day", 0.5)
        self.credits_until: datetime | None = None
        """The X account has run out of credits since then."""
        self.outages: list[tuple[datetime, datetime]] = []
        self._charged: dict[date, set[str]] = defaultdict(set)
        self.observers: list[Any] = []
        self.by_id: dict[int, Post] = {}
        """Every version of every post that was made up so far."""
        self.compliance = Compliance(self, Draw(draw.number("compliance")))

    # Who is who

    def add(self, handle: str, a_day: int, since: datetime) -> Account:
        number = len(self.accounts) + 1
        account = Account(str(1000 + number * 37), handle, a_day, since, handles=[handle.lower()])
        account.states.append((datetime.min.replace(tzinfo=UTC), "active"))
        self.accounts[account.id] = account
        return account

    def of_handle(self, handle: str) -> Account | None:
        return next((a for a in self.accounts.values() if a.handle.lower() == handle.lower()), None)

    def rename(self, account: Account, handle: str) -> None:
        account.handle = handle
        account.handles.append(handle.lower())

    def posts(self, account: Account, day: date) -> list[Post]:
        """All that the account posts on a day, oldest first."""
        if day not in account.days:
            account.days[day] = self._made(account, day)
        return account.days[day]

    def _made(self, account: Account, day: date) -> list[Post]:
        name, draw = f"{account.id}/{day}", self._draw
        number = draw.below(f"{name}/number", account.a_day * 2 + 1)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        made: list[Post] = []
        for place in range(number):
            at = f"{name}/{place}"
            second = draw.below(f"{at}/second", 86_400)
            if draw.happens(f"{at}/edge", 0.1):
                second = draw.pick(f"{at}/which", (0, 86_399))
            created = midnight + timedelta(seconds=second)
            kinds = ("own", "own", "own", "own", "own", "quote", "retweet", "reply", "thread")
            kind = draw.pick(f"{at}/kind", kinds)
            history = [id_at(created) + draw.below(f"{at}/id", 1 << 22)]
            ends = datetime.max.replace(tzinfo=UTC)
            if draw.happens(f"{at}/deleted", 0.08):
                later = draw.number(f"{at}/later") ** 2 * 200
                ends = created + timedelta(hours=later)
                if draw.happens(f"{at}/midread", 0.5):
                    ends = midnight + timedelta(hours=25, minutes=30, seconds=draw.below(f"{at}/s", 20))
            made.append(self._post(at, account, history, kind, created, ends))
            if kind == "own" and draw.happens(f"{at}/edited", 0.1):
                again = created + timedelta(seconds=1 + draw.below(f"{at}/edit", 3500))
                history.append(id_at(again) + draw.below(f"{at}/id2", 1 << 22))
                made.append(self._post(f"{at}/2", account, history, kind, again, ends))
        self.by_id |= {post.id: post for post in made}
        return sorted((post for post in made if post.created >= account.since), key=lambda post: post.id)

    def _post(
        self, name: str, account: Account, history: list[int], kind: str, created: datetime, ends: datetime
    ) -> Post:
        text = self._draw.pick(f"{name}/text", TEXTS)
        if text != "NA":
            text = f"{text} {marker(history[-1])}"
        likes = self._draw.below(f"{name}/likes", 1000)
        return Post(history[-1], account, created, kind, history, text, likes, ends)

    def state_of(self, post: Post, at: datetime) -> str:
        """Why X does not show a post; empty where it does."""
        if not post.is_shown(at):
            return "gone"
        state = [state for since, state in post.author.states if since <= at][-1]
        return "" if state == "active" else "gone" if state == "unknown" else state

    def between(self, account: Account, low: int, high: int) -> list[Post]:
        """The posts with low <= id < high, newest first."""
        if high <= low:
            return []
        day, last = time_of(low).date() - timedelta(days=1), time_of(high - 1).date()
        posts: list[Post] = []
        while day <= last:  # an edit after midnight is made with the day before
            posts += [post for post in self.posts(account, day) if low <= post.id < high]
            day += timedelta(days=1)
        return sorted(posts, key=lambda post: -post.id)

    # What X bills

    @property
    def bill(self) -> Counter[str]:
        """Mills by UTC month."""
        months: Counter[str] = Counter()
        for served in self.served:
            months[f"{served.at:%Y-%m}"] += served.mills
        return months

    # What X answers

    def respond(
        self, process: Process, method: str, target: str, headers: dict[str, str], sent: bytes
    ) -> Any:
        """Status, headers and body of a response; Refusal or Lost where there is none like that."""
        at, url = self._clock(), urlsplit(target)
        params = {name: values[0] for name, values in parse_qs(url.query).items()}
        where = f"{process.name}!{process.requests}"
        if any(first <= at < last for first, last in self.outages) and not self.faults.calm:
            raise Refusal(503, {"title": "Service Unavailable"})
        if url.path == "/oauth2/token":
            return 200, {}, {"token_type": "bearer", "access_token": "derived"}
        if self.credits_until:
            raise Refusal(402, {"title": "CreditsDepleted", "type": f"{PROBLEMS}credits", "status": 402})
        chances = CHANCES if process.faults else {}
        fault = self.faults.one_of(chances, where)
        if fault:
            self._refuse(fault, at, where)
        served = Served(len(self.served) + 1, at, process, url.path, "")
        if fault:
            served.faults.add(fault)
        if url.path.startswith(PATHS):
            return self._compliance(served, method, url.path, headers, sent, fault)
        is_user = headers.get("authorization", "").startswith("OAuth")
        body = self._body(served, url.path, params, at, fault, is_user)
        body["sim"] = served.serial
        self.served.append(served)
        self.by_serial[served.serial] = served
        for observe in self.observers:
            observe(served)
        if fault == "x.post_words" and url.path != "/2/users/by":
            body = _in_post_words(body)
        data = json.dumps(body, ensure_ascii=False).encode()
        if fault in ("x.timeout_billed", "x.cut", "x.not_json"):
            served.arrived = False
        if fault == "x.timeout_billed":
            raise Lost(61)
        if fault == "x.cut":
            raise Lost(1, data[: len(data) // 2], ConnectionResetError)
        if fault == "x.not_json":
            return 200, {}, b"<html><body>We sent it, and a proxy took it</body></html>"
        return 200, {}, data

    def _compliance(
        self, served: Served, method: str, path: str, headers: dict[str, str], sent: bytes, fault: str | None
    ) -> Any:
        """What X's batch compliance answers, or the storage of its jobs: neither costs anything."""
        body = self.compliance.respond(served, method, path, headers, sent)
        self.served.append(served)
        self.by_serial[served.serial] = served
        for observe in self.observers:
            observe(served)
        if fault == "x.timeout_billed":
            raise Lost(61)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if fault == "x.cut":
            raise Lost(1, data[: len(data) // 2], ConnectionResetError)
        return 200, {}, data

    def _refuse(self, fault: str, at: datetime, where: str) -> None:
        """Errors that X does not bill."""
        match fault:
            case "x.503":
                raise Refusal(503, {"title": "Service Unavailable", "status": 503})
            case "x.500_html":
                raise Refusal(500, b"<html>oops</html>")
            case "x.404_html":
                raise Refusal(404, b"<!DOCTYPE html><html></html>")
            case "x.429":
                reset = int(at.timestamp()) + 1 + self._draw.below(f"reset {where}", 900)
                body = {"title": "Too Many Requests", "type": "about:blank", "status": 429}
                raise Refusal(429, body, {"x-rate-limit-reset": str(reset)})
            case "x.401":
                raise Refusal(401, {"title": "Unauthorized", "type": "about:blank", "status": 401})
            case "x.402":
                self.credits_until = at
                raise Refusal(402, {"title": "CreditsDepleted", "type": f"{PROBLEMS}credits", "status": 402})
            case "x.timeout_unbilled":
                raise Lost(61)

    def _body(
        self,
        served: Served,
        path: str,
        params: dict[str, str],
        at: datetime,
        fault: str | None,
        is_user: bool,
    ) -> dict[str, Any]:
        if fault == "x.failed_part":
            if "/counts/" in path:  # it bills the request
                self._count(served, path, params, at, None)
            error = {
                "title": "Internal error",
                "type": f"{PROBLEMS}internal-error",
                "detail": "a part failed",
            }
            return {"errors": [error]}
        if path == "/2/users/by":
            return self._users(served, params["usernames"].split(","), at)
        if path == "/2/tweets":
            return self._by_ids(served, params["ids"].split(","), at, fault)
        if "/counts/" in path:
            return self._count(served, path, params, at, fault)
        return self._page(served, path, params, at, fault, is_user)

    def _users(self, served: Served, names: list[str], at: datetime) -> dict[str, Any]:
        data, errors = [], []
        for name in names:
            account = self.of_handle(name)
            if account is None or account.state in ("suspended", "unknown"):
                errors.append(gone(account.state if account else "unknown", "usernames", name))
            else:
                protected = account.state == "protected"
                data.append({"id": account.id, "username": account.handle, "protected": protected})
        served.request = "users"
        served.mills = len(data) * self._prices(at)["users"]
        return ({"data": data} if data else {}) | ({"errors": errors} if errors else {})

    def _by_ids(self, served: Served, ids: list[str], at: datetime, fault: str | None) -> dict[str, Any]:
        served.request, served.ids = "ids", tuple(ids)
        errors: list[dict[str, Any]] = []
        for id_ in ids:
            post = self.by_id.get(int(id_))
            if post and not (state := self.state_of(post, at)):
                served.posts.append(post.as_sent(at))
                continue
            served.gone[id_] = state if post else "gone"
            title, kind = GONE_WORDS[served.gone[id_]]
            error = {"title": title, "type": PROBLEMS + kind, "resource_type": "tweet", "resource_id": id_}
            errors.append(error | {"value": id_, "parameter": "ids", "detail": "gone"})
        body = ({"data": served.posts} if served.posts else {}) | ({"errors": errors} if errors else {})
        self._charge(served, at, self._prices(at)["posts"], is_lookup=True)
        return body

    def _count(
        self, served: Served, path: str, params: dict[str, str], at: datetime, fault: str | None
    ) -> dict[str, Any]:
        archive = path.endswith("/all")
        served.request = "count"
        served.mills = self._prices(at)["archive_counts" if archive else "counts"]
        start, end = _moment(params["start_time"]), _moment(params["end_time"])
        if not archive and start < at - WEEK:
            raise invalid("'start_time' must be on or after a week ago")
        posts = [
            post
            for account in self._accounts_in(params["query"])
            for post in self.between(account, id_at(start), id_at(end))
            if post.is_own and post.is_shown(at)
        ]
        buckets: list[dict[str, Any]] = []
        hour = start
        while hour < end:
            number = sum(hour <= post.created < hour + timedelta(hours=1) for post in posts)
            buckets.append(
                {"start": stamp(hour), "end": stamp(hour + timedelta(hours=1)), "tweet_count": number}
            )
            hour += timedelta(hours=1)
        if fault == "x.count_off":
            buckets[len(posts) % len(buckets)]["tweet_count"] += 1 + len(posts) % 2
        total = sum(bucket["tweet_count"] for bucket in buckets)
        return {"data": buckets, "meta": {"total_tweet_count": total}}

    def _accounts_in(self, query: str) -> list[Account]:
        ids = re.findall(r"from:(\d+)", query)
        return [self.accounts[i] for i in ids if i in self.accounts and self.accounts[i].state == "active"]

    def _page(
        self,
        served: Served,
        path: str,
        params: dict[str, str],
        at: datetime,
        fault: str | None,
        is_user: bool,
    ) -> dict[str, Any]:
        query, size = params.get("query", ""), int(params["max_results"])
        is_search = bool(query)
        of_threads = is_search and "-is:reply" not in query
        least, most = ((10, 500 if path.endswith("/all") else 100)) if is_search else (5, 100)
        if not least <= size <= most:
            raise invalid(f"`max_results` {size} is not between {least} and {most}")
        start = _moment(params["start_time"])
        end = _moment(params["end_time"]) if "end_time" in params else at
        if not is_search:
            end += timedelta(seconds=1)
        if end > at + timedelta(seconds=1):
            raise invalid("'end_time' must be a minimum of 10 seconds prior to the request time")
        if path.endswith("/recent") and start < at - WEEK:
            raise invalid("'start_time' must be on or after a week ago")
        high = int(params["until_id"]) if "until_id" in params else id_at(end)
        token = params.get("pagination_token") or params.get("next_token")
        if token:
            if fault == "x.dead_token" or not (bound := self._below(token, at)):
                served.restarts = True
                raise invalid("the token is not valid")
            high = min(high, bound)
        if is_search:
            accounts = self._accounts_in(query)
            ids = re.findall(r"from:(\d+)", query)
        else:
            ids = [path.split("/")[3]]
            account = self.accounts.get(ids[0])
            state = account.state if account else "unknown"
            if fault == "x.gone":
                state = self._draw.pick(f"gone {served.serial}", ("suspended", "protected"))
            if state != "active" or not account:
                served.request = "gone"
                return {"errors": [gone(state, "id", ids[0])]}
            accounts = [account]
        kind = "threads" if of_threads else "search" if is_search else "timeline"
        served.request = f"{kind} {','.join(ids)}"
        low = id_at(start)
        if fault == "x.ignored_window":
            low, high = id_at(start - timedelta(hours=12)), high if token else id_at(end + timedelta(hours=1))
        posts = [
            post
            for account in accounts
            for post in self.between(account, low, min(high, id_at(at)))
            if post.is_shown(at)
        ]
        posts.sort(key=lambda post: -post.id)
        if is_search and fault != "x.ignored_exclude":
            posts = [p for p in posts if (p.kind == "thread" if of_threads else p.is_own)]
        cut = posts[: min(size, self.page_cap)]
        next_token = self._token(cut[-1].id, at) if len(posts) > len(cut) else None
        sent = cut
        if not is_search and "exclude" in params and fault != "x.ignored_exclude":
            sent = [post for post in cut if post.is_own]
        return self._tampered(served, sent, next_token, token, at, fault, is_user and not is_search)

    def _tampered(
        self,
        served: Served,
        posts: list[Post],
        next_token: str | None,
        token: str | None,
        at: datetime,
        fault: str | None,
        is_user: bool,
    ) -> dict[str, Any]:
        data = [post.as_sent(at) for post in posts]
        errors: list[dict[str, Any]] = []
        match fault:
            case "x.empty_page" if data:
                next_token, data = self._token(int(data[0]["id"]) + 1, at), []
            case "x.same_page" if data:
                next_token = self._token(int(data[0]["id"]) + 1, at)
            case "x.repeat_token" if token:
                next_token = token
            case "x.empty_token":
                next_token = ""
            case "x.repeat_posts":
                data = [*data, *data[:2]]
            case "x.drop_posts":
                data = data[1:]
            case "x.drop_fields" if data:
                for post in data:
                    del post["public_metrics"]
            case "x.unfilled" if data:
                del data[0]["public_metrics"]
                error = {"title": "Field hydration failure", "type": f"{PROBLEMS}field-hydration-failure"}
                error |= {"resource_type": "tweet", "resource_id": data[0]["id"], "field": "public_metrics"}
                errors.append(error | {"detail": "not now"})
            case "x.foreign" if data:
                data[-1]["author_id"] = "777777"
            case "x.malformed" if data:
                data[0]["lang"] = 42
            case "x.new_field":
                for post in data:
                    post["sparkle"] = True
        served.posts = data
        own = is_user and posts and posts[0].author.id == self.owner_id
        self._charge(served, at, self._prices(at)["own_posts" if own else "posts"])
        meta: dict[str, Any] = {"result_count": len(data)}
        if next_token is not None:
            meta["next_token"] = next_token
        body: dict[str, Any] = ({"data": data} if data else {}) | {"meta": meta}
        return body | ({"errors": errors} if errors else {})

    owner_id = ""
    """The account that owns the X app."""

    def _charge(self, served: Served, at: datetime, price: int, *, is_lookup: bool = False) -> None:
        charged = self._charged[at.date()]
        for post in served.posts:
            is_free = post["id"] in charged and (self.bills_once_a_day or is_lookup)
            served.billed[post["id"]] += 1
            served.mills += 0 if is_free else price
        charged |= {post["id"] for post in served.posts}

    def _token(self, below: int, at: datetime) -> str:
        return f"t{below:x}z{int(at.timestamp()):x}"

    def _below(self, token: str, at: datetime) -> int:
        """The id below which a page continues; 0 for a token that has expired."""
        below, _, made = token.removeprefix("t").partition("z")
        expires = datetime.fromtimestamp(int(made, 16), UTC) + self.token_life
        return int(below, 16) if at < expires else 0


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _in_post_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {POST_VOCABULARY.get(key, key): _in_post_words(inner) for key, inner in value.items()}
    return [_in_post_words(inner) for inner in value] if isinstance(value, list) else value


def unescaped(text: str) -> str:
    for escape, character in UNESCAPED.items():
        text = text.replace(escape, character)
    return text


def newest_first(posts: Iterable[Post]) -> list[Post]:
    return sorted(posts, key=lambda post: -post.id)
