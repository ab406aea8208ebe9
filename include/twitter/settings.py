"""What a deployment provides: Airflow Variables and the X connection, checked before anything is bought."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

from airflow.sdk import Connection, Variable
from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied
from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
from airflow.sdk.log import mask_secret

from include.twitter import pricing
from include.twitter.day import SETTLING, Day
from include.twitter.errors import BadSetting, PlatformOutage

X_CONNECTION = "twitter_default"
AWS_CONNECTION = "aws_default"
WEBHOOK_CONNECTION = "twitter_alert_webhook"
X_HOST = "https://api.x.com"
HANDLE = re.compile(r"[A-Za-z0-9_]{1,15}")
ACCOUNT_ID = re.compile(r"[1-9][0-9]{0,18}")
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""An email address alone, as HTML forms take it: without a name, brackets or quotes."""
NO_HANDLE = "a handle is 1 to 15 letters, digits or underscores"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}

MOST_AGE = 366
"""Days: an older post's counts hardly change."""

BEFORE_THE_PAGE = "AIRFLOW_VAR_… and a secrets backend win over what stands here."

T = TypeVar("T")


@dataclass(frozen=True)
class Setting:
    """An Airflow Variable: also from the environment (`AIRFLOW_VAR_…`) or a secrets backend."""

    name: str
    about: str
    example: str
    default: str | None = None
    """None: it has to be set."""

    @property
    def description(self) -> str:
        """What Airflow's page of Variables says of it."""
        return f"{self.about[0].upper()}{self.about[1:]}. Example: {self.example}. {BEFORE_THE_PAGE}"

    def read(self, parse: Callable[[str], T]) -> T:
        """Its parsed value; a ValueError of `parse` says what is wrong with it."""
        label = f"Variable {self.name}"
        text = _read("Variable", self.name)
        if text is None:
            text = self.default
        if text is None:
            raise BadSetting(label, "not set", self.example)
        try:
            return parse(str(text).strip())
        except ValueError as error:
            raise BadSetting(label, str(error), self.example) from None  # one message


BUCKET = Setting("twitter_bucket", "the S3 bucket, the pipeline's own", "acme-twitter-lake")
HANDLES = Setting(
    "twitter_handles",
    "the accounts: handles with commas between, or a JSON list; or a file of them, `s3://<bucket>/…/accounts.csv`",
    "NASA, esa",
)
TWEET_LIMIT = Setting(
    "twitter_tweet_limit",
    "the latest N posts of an account's day; 0 is no limit",
    example="250",
    default="100",
)
RUN_BUDGET = Setting(
    "twitter_run_budget_usd",
    "hard cap in US dollars on what one purchase of a day may cost, over all its runs; 0 is no cap",
    example="12.50",
    default="5",
)
MONTH_BUDGET = Setting(
    "twitter_month_budget_usd",
    "hard cap in US dollars on what is spent in a UTC month, over all days; 0 is no cap",
    example="250",
    default="100",
)
SETTLE_MINUTES = Setting(
    "twitter_settle_minutes",
    "how long after midnight UTC a day may still change, in minutes; X lets authors edit for an hour",
    example="120",
    default=str(SETTLING // timedelta(minutes=1)),
)
ACCEPT_SHRINK = Setting(
    "twitter_accept_shrink",
    "days that may lose rows: of an account that has fewer by now, or that left `twitter_handles`",
    example="2026-11-18, 2026-11-19",
    default="",
)
ACCEPT_ID = Setting(
    "twitter_accept_id",
    "handles that have become another account, each with the new one's id: else nothing of it is bought",
    example="NASA=11348282",
    default="",
)
INCLUDE = Setting(
    "twitter_include",
    "what of an account is landed: `own posts`, or `threads`: its replies to itself too, one request more",
    example="threads",
    default="own posts",
)
OWN_HANDLE = Setting(
    "twitter_own_handle",
    "the account that owns the X app and whose access token is used: X charges "
    f"{pricing.in_words('own_posts')} for each of its own posts",
    example="NASA",
    default="",
)
DEADLINE = Setting(
    "twitter_deadline",
    "when a day has to be landed: a time of the next day, UTC; after it `twitter_watch` is red",
    example="07:30",
    default="06:00",
)
ALERT_EMAILS = Setting(
    "twitter_alert_emails",
    "who is told by email of a failed stage or a late day, through Connection `smtp_default`; empty: nobody",
    example="data@acme.example",
    default="",
)
ENGAGEMENT_DAYS = Setting(
    "twitter_engagement_days",
    "at which ages in days `twitter_engagement` reads posts again: 1 is free, others cost "
    f"{pricing.in_words('posts')} a post",
    example="1, 7, 30",
    default="1",
)
SETTINGS = (
    BUCKET,
    HANDLES,
    TWEET_LIMIT,
    RUN_BUDGET,
    MONTH_BUDGET,
    SETTLE_MINUTES,
    INCLUDE,
    ACCEPT_SHRINK,
    ACCEPT_ID,
    OWN_HANDLE,
    DEADLINE,
    ALERT_EMAILS,
    ENGAGEMENT_DAYS,
)


def bucket() -> str:
    return BUCKET.read(_bucket)


def accounts() -> tuple[str, ...] | str:
    """The accounts to collect, each once whatever its case; or the address of the file that names them.

    `roster.read` knows both.
    """
    return HANDLES.read(_accounts)


def tweet_limit() -> int:
    return TWEET_LIMIT.read(whole_number)


def threads() -> bool:
    """Whether an account's replies to itself are wanted, the later posts of its threads."""
    return INCLUDE.read(_threads)


def budgets() -> dict[str, int]:
    """The caps in mills, by the Variable that sets them; 0 is no cap."""
    return {setting.name: setting.read(_mills) for setting in (RUN_BUDGET, MONTH_BUDGET)}


def settling() -> timedelta:
    return SETTLE_MINUTES.read(_minutes)


def accept_shrink() -> frozenset[Day]:
    return ACCEPT_SHRINK.read(_days)


def accept_id() -> frozenset[tuple[str, str]]:
    """The handles, in lower case, that may be another account than before, each with its id."""
    return ACCEPT_ID.read(_pairs)


def own_handle() -> str:
    """The account whose posts are one's own, in lower case; empty where none is named."""
    return OWN_HANDLE.read(_own_handle)


def deadline() -> timedelta:
    """The time of the next day, UTC, by which a day has to be landed."""
    return DEADLINE.read(_time)


def alert_emails() -> list[str]:
    return ALERT_EMAILS.read(_addresses)


def engagement_days() -> list[int]:
    """The ages in days at which landed posts are read again; none where the Variable is empty."""
    return ENGAGEMENT_DAYS.read(_ages)


def alert_webhook() -> str | None:
    """The path below the host of Connection `twitter_alert_webhook`, a secret; None where there is none."""
    connection = _read("Connection", WEBHOOK_CONNECTION)
    return None if connection is None else _secret(connection.password) or ""


@dataclass(frozen=True)
class XAccess:
    """Where X is and what opens it: consumer keys, a user's access token, a bearer token, or several."""

    host: str = X_HOST
    consumer_key: str | None = field(default=None, repr=False)
    consumer_secret: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    access_token_secret: str | None = field(default=None, repr=False)
    bearer_token: str | None = field(default=None, repr=False)

    @property
    def consumer(self) -> bool:
        return bool(self.consumer_key and self.consumer_secret)

    @property
    def user(self) -> bool:
        """Whether OAuth 1.0a in a user's name is possible."""
        return bool(self.consumer and self.access_token and self.access_token_secret)


def x_access() -> XAccess:
    """The X connection, its secrets masked in every log from here on."""
    setting = f"Connection {X_CONNECTION}"
    example = (
        'type HTTP, extra = {"consumer_key": "…", "consumer_secret": "…", "access_token": "…", '
        '"access_token_secret": "…"}; or only extra = {"bearer_token": "…"}'
    )
    connection = _read("Connection", X_CONNECTION)
    if connection is None:
        raise BadSetting(setting, "not found", example)
    try:
        extra = json.loads(connection.extra or "{}")  # extra_dejson would pass over what it cannot read
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise BadSetting(setting, "its extra is no JSON object", example)
    # Airflow's audit log masks the password and every value of extra, and shows the login.
    if "consumer_key" in extra or "consumer_secret" in extra:
        consumer = {name: extra.get(name) for name in ("consumer_key", "consumer_secret")}
    else:
        consumer = {"login": connection.login, "password": connection.password}
    given = {
        **consumer,
        **{name: extra.get(name) for name in ("access_token", "access_token_secret", "bearer_token")},
    }
    keys = {name: key for name, value in given.items() if (key := _secret(value))}
    if odd := [name for name, key in keys.items() if not re.fullmatch(r"[!-~]+", key)]:
        raise BadSetting(setting, f"{', '.join(odd)}: a key holds no white space and only ASCII", example)
    access = XAccess(
        host=_host(connection, setting),
        consumer_key=keys.get("consumer_key") or keys.get("login"),
        consumer_secret=keys.get("consumer_secret") or keys.get("password"),
        access_token=keys.get("access_token"),
        access_token_secret=keys.get("access_token_secret"),
        bearer_token=keys.get("bearer_token"),
    )
    if not (access.consumer or access.bearer_token):
        raise BadSetting(setting, f"it holds no usable keys (found: {', '.join(keys) or 'none'})", example)
    if bool(access.access_token) != bool(access.access_token_secret):
        raise BadSetting(
            setting, "access_token and access_token_secret go together, one of them is missing", example
        )
    return access


def aws_connection() -> str | None:
    """The AWS connection's id; None, which is the instance role, where there is none."""
    return AWS_CONNECTION if _read("Connection", AWS_CONNECTION) else None


def _read(kind: str, name: str) -> Any:
    """A Variable's text or a Connection; None where it is set nowhere.

    Airflow passes over a backend that fails, as if nothing were set there: a cap of $20 became the default
    of $100. So each is asked directly, and one that fails keeps the stage from beginning.
    """
    try:
        for backend in ensure_secrets_backend_loaded():
            if (found := getattr(backend, f"get_{kind.lower()}")(name)) is not None:
                return found
        if name not in _stored():
            return None
        raise LookupError("it is set, and Airflow's API server does not tell it")
    except AirflowSecretsBackendAccessDenied:
        raise
    except ValueError as error:
        problem = f"what is set is malformed ({type(error).__name__})"  # its text may hold a secret
        raise BadSetting(f"{kind} {name}", problem, "see .env.example") from None
    except Exception as error:  # each backend has its own
        said = f"{type(error).__name__}: {error}"
        raise PlatformOutage(f"{kind} {name} cannot be read now, and no default is taken. {said}") from error


def _stored() -> set[str]:
    """The Variables in Airflow's database; an error where its API server is away.

    The backend that reads one of them there answers None to both: not set, and not to be reached.
    """
    try:
        return set(Variable.keys(prefix="twitter_"))
    except ImportError:  # no task of Airflow's around this process, so no API server to ask
        return set()


def _secret(value: Any) -> str | None:
    """A secret without the white space that comes with copying, masked in the logs (the login too)."""
    text = str(value or "").strip()
    if text:
        mask_secret(text)
    return text or None


def _host(connection: Connection, setting: str) -> str:
    if not connection.host:
        return X_HOST
    given = (
        connection.host if "://" in connection.host else f"{connection.schema or 'https'}://{connection.host}"
    )
    shown = re.sub(r"//.*@", "//…@", given)  # a password may have been written into it
    try:
        url = urlsplit(given)
        port = connection.port or url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise BadSetting(setting, f"its host {shown!r} is no web address", f"{X_HOST}, or empty for X itself")
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise BadSetting(setting, f"its host {shown!r} would send the keys in clear text", X_HOST)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}" + (f":{port}" if port else "")


def _accounts(text: str) -> tuple[str, ...] | str:
    if not text.lower().startswith("s3:"):
        return _handles(text)
    if not re.fullmatch(r"s3://[a-z0-9.-]+/\S(.*\S)?\.csv", text):
        raise ValueError(f"{text!r} is no s3://bucket/key of a .csv file")
    return text


def _handles(text: str) -> tuple[str, ...]:
    names = listed(text)
    if not any(name.strip().removeprefix("@") for name in names):
        raise ValueError(f"names no account (found: {text!r})")
    return as_handles(names)


def as_handles(names: Iterable[str]) -> tuple[str, ...]:
    """The names without white space and `@`, each once whatever its case; a ValueError where one is none."""
    names = [name.strip().removeprefix("@") for name in names]
    names = [name for name in names if name]
    if bad := [name for name in names if not HANDLE.fullmatch(name)]:
        raise ValueError(f"{', '.join(map(repr, bad))}: {NO_HANDLE}")
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.lower(), name)
    return tuple(first.values())


def _own_handle(text: str) -> str:
    names = _handles(text) if text else ("",)
    if len(names) > 1:
        raise ValueError(f"names {len(names)} accounts, and an access token is one account's")
    return names[0].lower()


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    pairs = [item.strip().removeprefix("@").partition("=") for item in listed(text) if item.strip()]
    if any(not HANDLE.fullmatch(name) or not ACCOUNT_ID.fullmatch(id_) for name, _, id_ in pairs):
        raise ValueError(f"{text!r} is no list of handles with their ids")
    return frozenset((name.lower(), id_) for name, _, id_ in pairs)


def listed(text: str) -> list[str]:
    """The items of a comma-separated text or a JSON list."""
    if not text.startswith("["):
        return text.split(",")
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"starts like a JSON list but is none ({error})") from error
    if not all(isinstance(item, str) for item in items):
        raise ValueError(f"a JSON list of texts was expected (found: {text})")
    return items


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text):
        raise ValueError(
            f"{text!r} is no bucket name (3 to 63 lower-case letters, digits, dots and hyphens; no s3://)"
        )
    return text


def whole_number(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError(f"{text!r} is no whole number from 0 up")
    return int(text)


def _mills(text: str) -> int:
    if not re.fullmatch(r"\d{1,7}(\.\d{1,3})?", text, re.ASCII):
        raise ValueError(f"{text!r} is no amount in dollars from 0 up")
    if re.fullmatch(r"[1-9]\d{0,2}\.\d\d0", text):
        raise ValueError(f"{text!r} may mean thousands: write cents after a point, and thousands without one")
    return round(Decimal(text) * 1000)


def _threads(text: str) -> bool:
    if text not in ("own posts", "threads"):
        raise ValueError(f"{text!r} is neither `own posts` nor `threads`")
    return text == "threads"


def _minutes(text: str) -> timedelta:
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII):
        raise ValueError(f"{text!r} is no number of minutes: whole ones from 1 to 1440")
    if not 1 <= int(text) <= 24 * 60:
        raise ValueError(f"{text!r} is not between 1 and 1440 minutes")
    return timedelta(minutes=int(text))


def _time(text: str) -> timedelta:
    """A time of day in UTC. One with an offset is refused: it may be on another day in UTC."""
    if not (found := re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)(:00)?Z?", text, re.ASCII)):
        raise ValueError(f"{text!r} is no time of day in UTC, as HH:MM from 00:00 to 23:59 without an offset")
    return timedelta(hours=int(found[1]), minutes=int(found[2]))


def _addresses(text: str) -> list[str]:
    addresses = [item.strip() for item in listed(text) if item.strip()]
    if odd := [address for address in addresses if not ADDRESS.fullmatch(address)]:
        raise ValueError(f"{', '.join(map(repr, odd))}: no address")
    return addresses


def _ages(text: str) -> list[int]:
    ages = {item.strip() for item in listed(text) if item.strip()}
    if any(not re.fullmatch(r"[1-9]\d{0,2}", age, re.ASCII) or int(age) > MOST_AGE for age in ages):
        raise ValueError(f"{text!r} is no list of ages from 1 to {MOST_AGE} days")
    return sorted(map(int, ages))


def _days(text: str) -> frozenset[Day]:
    try:
        return frozenset(Day.parse(item.strip()) for item in listed(text) if item.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no list of days ({error})") from error
