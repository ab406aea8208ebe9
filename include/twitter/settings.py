"""The settings of a deployment: Airflow Variables and Connections, checked before anything is bought.

A setting is read when it is called, `settings.tweet_limit()`: from a secrets backend, the environment
(`AIRFLOW_VAR_…`) or Airflow's Variables. The docs and Airflow's page of Variables are generated from here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from operator import itemgetter
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

from airflow.sdk import Connection, Variable
from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied
from airflow.sdk.log import mask_secret
from more_itertools import unique_everseen
from pydantic import AfterValidator, BeforeValidator, PlainValidator, TypeAdapter, ValidationError

from include.twitter import airflow_compat, pricing
from include.twitter.day import SETTLING, Day
from include.twitter.errors import BadSetting, PlatformOutage

X_CONNECTION = "twitter_default"
AWS_CONNECTION = "aws_default"
WEBHOOK_CONNECTION = "twitter_alert_webhook"
X_HOST = "https://api.x.com"
HANDLE = re.compile("[A-Za-z0-9_]{1,15}")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PRECEDENCE = "AIRFLOW_VAR_… and a secrets backend take precedence over this page."

T = TypeVar("T")


# The types of values. pydantic alone accepts more notations than a person may mean, such as `1_000` and `+5`.


def matching(
    pattern: str, expected: str, read: Callable[[re.Match[str]], Any] = itemgetter(0)
) -> BeforeValidator:
    """Read a text by the match of its form, and reject one of another form."""

    def check(value: object) -> object:
        if not isinstance(value, str):
            return value
        if not (match := re.fullmatch(pattern, value, re.ASCII)):
            raise ValueError(f"{value!r} is not {expected}")
        return read(match)

    return BeforeValidator(check)


def split_items(text: str) -> list[str]:
    """The items of a comma-separated text or a JSON list, without empty ones."""
    if not text.startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{text[:50]!r} starts like a JSON list but is none ({error})") from error
    if not all(isinstance(item, str) for item in items):
        raise ValueError(f"{text!r} is not a JSON list of texts")
    return [item.strip() for item in items]


def _handles_or_file(text: str) -> tuple[str, ...] | str:
    if text.lower().startswith("s3:"):
        return parse(FileAddress, text)
    if not (handles := parse(Handles, split_items(text))):
        raise ValueError("no account is listed")
    return handles


def _own_handle(text: str) -> str:
    handles = parse(Handles, split_items(text)) if text else ("",)
    if len(handles) > 1:
        raise ValueError(
            f"{text!r} lists {len(handles)} accounts, but an access token belongs to one account"
        )
    return handles[0].lower()


Bucket = Annotated[
    str, matching("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket name: 3 to 63 of a-z, 0-9, . and -, no s3://")
]
FileAddress = Annotated[
    str, matching(r"s3://[a-z0-9.-]+/\S(.*\S)?\.csv", "the address of a CSV file, s3://bucket/key.csv")
]
WholeNumber = Annotated[int, matching("[0-9]{1,9}", "a whole number from 0 up, in digits only")]
TrueOrFalse = Annotated[bool, matching("(?i)true|false", "true or false")]
Dollars = Annotated[
    int,
    matching(
        r"(?![1-9][0-9]{0,2}\.[0-9]{2}0$)[0-9]{1,7}(\.[0-9]{1,3})?",
        "an amount in US dollars, such as 12.50 or 1500 (1.500 could be 1.50 or 1500)",
        lambda amount: round(Decimal(amount[0]) * 1000),
    ),
]
"""In mills, thousandths of a dollar."""
Minutes = Annotated[
    timedelta,
    matching(
        "0{0,3}([1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)",
        "a whole number of minutes from 1 to 1440",
        lambda minutes: timedelta(minutes=int(minutes[0])),
    ),
]
TimeOfDay = Annotated[
    timedelta,
    matching(
        r"([01][0-9]|2[0-3]):([0-5][0-9])(:00)?Z?",
        "a time of day in UTC, HH:MM from 00:00 to 23:59 without a time zone",
        lambda time: timedelta(hours=int(time[1]), minutes=int(time[2])),
    ),
]
Handle = Annotated[
    str,
    matching(
        f"@?({HANDLE.pattern})",
        "a handle: 1 to 15 letters, digits or underscores, without https://x.com/; commas separate several",
        itemgetter(1),
    ),
]
Items = BeforeValidator(split_items)
Handles = Annotated[
    tuple[Handle, ...], AfterValidator(lambda names: tuple(unique_everseen(names, str.lower)))
]
"""Each once, whatever its case, as it is spelled first."""
Days = Annotated[frozenset[Annotated[Day, PlainValidator(Day.parse)]], Items]
ConfirmedId = Annotated[
    tuple[str, str],
    matching(
        f"@?({HANDLE.pattern})=([1-9][0-9]{{0,18}})",
        "handle=id, with the id of the account that has the handle now",
        lambda pair: (pair[1].lower(), pair[2]),
    ),
]
Age = Annotated[int, matching("[1-9][0-9]?|[12][0-9]{2}|3[0-5][0-9]|36[0-6]", "an age in days from 1 to 366")]
EMAIL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
"""As HTML forms accept an address: without a name, brackets or quotes."""
Address = Annotated[str, matching(EMAIL, "an email address; commas separate several")]


def parse(kind: Any, value: object) -> Any:
    """The value as this type; a ValueError says in one line which part is wrong, and why."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        where = "".join(f"{name}: " for name in problem["loc"][:1] if isinstance(name, str))
        text = problem.get("ctx", {}).get("error") or f"{problem['input']!r}: {problem['msg']}"
        raise ValueError(f"{where}{text}") from None


@dataclass(frozen=True)
class Setting(Generic[T]):
    """An Airflow Variable. A call reads its value."""

    name: str
    kind: Any
    """The type of its values, for pydantic."""
    description: str
    example: str
    default: str | None = None
    """None: it has to be set."""

    def __call__(self) -> T:
        text = _read_stored("Variable", self.name)
        if text is None:
            text = self.default
        try:
            if text is None:
                raise ValueError(
                    f"it is not set. Set it under Admin → Variables, or as AIRFLOW_VAR_{self.name.upper()} "
                    "in the environment"
                )
            return parse(self.kind, str(text).strip())
        except ValueError as error:
            raise BadSetting(f"Variable {self.name}", str(error), self.example) from None  # one message

    @property
    def help_text(self) -> str:
        """Its description on Airflow's page of Variables."""
        return f"{self.description[0].upper()}{self.description[1:]}. Example: {self.example}. {PRECEDENCE}"


bucket = Setting[str](
    "twitter_bucket", Bucket, "the name of the S3 bucket, which only this pipeline uses", "acme-twitter-lake"
)
accounts = Setting[tuple[str, ...] | str](
    "twitter_handles",
    Annotated[Any, PlainValidator(_handles_or_file)],
    "the accounts to collect: handles with commas between them, a JSON list of handles, or the address of a "
    "CSV file in the bucket, `s3://<bucket>/…/accounts.csv`",
    "NASA, esa",
)
"""Each account once, whatever its case; or the address of the file that `accounts.read` reads."""
tweet_limit = Setting[int](
    "twitter_tweet_limit",
    WholeNumber,
    "collect only the latest N posts of each account and day; 0 means no limit",
    example="250",
    default="100",
)
run_budget = Setting[int](
    "twitter_run_budget_usd",
    Dollars,
    "the spending cap in US dollars for one purchase of a day, with all its retries; 0 means no cap",
    example="12.50",
    default="5",
)
month_budget = Setting[int](
    "twitter_month_budget_usd",
    Dollars,
    "the spending cap in US dollars for a UTC month, over all days; 0 means no cap",
    example="250",
    default="100",
)
settling = Setting[timedelta](
    "twitter_settle_minutes",
    Minutes,
    "minutes after midnight UTC until a day is collected; X lets authors edit a post for an hour",
    example="120",
    default=str(SETTLING // timedelta(minutes=1)),
)
threads = Setting[bool](
    "twitter_include_threads",
    TrueOrFalse,
    "whether to collect replies of an account to itself, the rest of its threads, with one more request",
    example="true",
    default="false",
)
allow_row_loss = Setting[frozenset[Day]](
    "twitter_allow_row_loss",
    Days,
    "days that may lose published rows, of an account that has fewer posts now or left `twitter_handles`",
    example="2026-11-18, 2026-11-19",
    default="",
)
confirmed_account_ids = Setting[frozenset[tuple[str, str]]](
    "twitter_confirmed_account_ids",
    Annotated[frozenset[ConfirmedId], Items],
    "handles that belong to another account now, with its id; nothing is bought of the new account until you "
    "confirm its id here",
    example="NASA=11348282",
    default="",
)
"""Handles in lower case, each with an id."""
own_handle = Setting[str](
    "twitter_own_handle",
    Annotated[str, PlainValidator(_own_handle)],
    "the account that owns the X app and whose access token is used; X charges "
    f"{pricing.price_text('own_posts')} for each of its own posts",
    example="NASA",
    default="",
)
"""In lower case; empty if none is set."""
deadline = Setting[timedelta](
    "twitter_deadline",
    TimeOfDay,
    "the time of the next day, in UTC, by which a day has to be published; after it `twitter_watch` fails",
    example="07:30",
    default="06:00",
)
alert_emails = Setting[list[str]](
    "twitter_alert_emails",
    Annotated[list[Address], Items],
    "the addresses that receive an email about a failed task or a late day, sent through Connection "
    "`smtp_default`; empty means nobody",
    example="data@acme.example",
    default="",
)
engagement_days = Setting[list[int]](
    "twitter_engagement_days",
    Annotated[set[Age], Items, AfterValidator(sorted)],
    "ages in days at which `twitter_engagement` reads the counts of posts again; age 1 is free, other ages "
    f"cost {pricing.price_text('posts')} a post",
    example="1, 7, 30",
    default="1",
)
SETTINGS = tuple(value for value in list(globals().values()) if isinstance(value, Setting))


def budgets() -> dict[str, int]:
    """The caps in mills, by the name of their Variable; 0 means no cap."""
    return {setting.name: setting() for setting in (run_budget, month_budget)}


def alert_webhook() -> str | None:
    """The path below the host of Connection `twitter_alert_webhook`, a secret; None without connection."""
    connection = _read_stored("Connection", WEBHOOK_CONNECTION)
    return None if connection is None else _secret(connection.password) or ""


def aws_connection() -> str | None:
    """The AWS connection's id; None, which means the instance role, without that connection."""
    return AWS_CONNECTION if _read_stored("Connection", AWS_CONNECTION) else None


@dataclass(frozen=True)
class XAccess:
    """X's address, and the keys for it: consumer keys, a user's access token, a bearer token, or several.

    No pydantic model: its errors quote the values.
    """

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
        """Whether requests can be signed in a user's name, by OAuth 1.0a."""
        return bool(self.consumer and self.access_token and self.access_token_secret)


def x_access() -> XAccess:
    """The X connection; from here on its secrets are masked in every log."""
    connection = _read_stored("Connection", X_CONNECTION)
    if connection is None:
        raise _bad_x("it does not exist. Create it under Admin → Connections")
    try:
        extra = json.loads(connection.extra or "{}")  # extra_dejson would ignore malformed JSON
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise _bad_x("its extra is not a JSON object with double quotes")
    consumer = {"consumer_key": connection.login, "consumer_secret": connection.password}
    # Airflow's audit log masks the password and every value of extra, but not the login.
    if extra.keys() & consumer.keys():
        consumer = {name: extra.get(name) for name in consumer}
    tokens = {name: extra.get(name) for name in ("access_token", "access_token_secret", "bearer_token")}
    keys = {name: key for name, value in (consumer | tokens).items() if (key := _secret(value))}
    if malformed := [name for name, key in keys.items() if not re.fullmatch("[!-~]+", key)]:
        raise _bad_x(f"{', '.join(malformed)}: a key consists of ASCII characters without white space")
    access = XAccess(_x_host(connection), **keys)
    if not (access.consumer or access.bearer_token):
        raise _bad_x(
            "its keys are incomplete: enter consumer_key and consumer_secret (or Login and Password), or "
            f"bearer_token (found: {', '.join(keys) or 'none'})"
        )
    if bool(access.access_token) != bool(access.access_token_secret):
        raise _bad_x("access_token and access_token_secret belong together, and one of them is missing")
    return access


def _bad_x(problem: str, example: str = "") -> BadSetting:
    example = example or (
        'type HTTP, extra = {"consumer_key": "…", "consumer_secret": "…", "access_token": "…", '
        '"access_token_secret": "…"}; or only extra = {"bearer_token": "…"}'
    )
    return BadSetting(f"Connection {X_CONNECTION}", problem, example)


def _x_host(connection: Connection) -> str:
    if not connection.host:
        return X_HOST
    value = connection.host
    if "://" not in value:
        value = f"{connection.schema or 'https'}://{value}"
    shown = re.sub(r"//.*@", "//…@", value)  # it may contain a password
    try:
        url = urlsplit(value)
        port = connection.port or url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise _bad_x(f"its host {shown!r} is not a web address", f"{X_HOST}, or empty for X itself")
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise _bad_x(f"its host {shown!r} would get the keys without encryption; use https", X_HOST)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}" + (f":{port}" if port else "")


def _secret(value: Any) -> str | None:
    """A secret without the white space of copying; it is masked in the logs, the login too."""
    text = str(value or "").strip()
    if text:
        mask_secret(text)
    return text or None


def _read_stored(kind: str, name: str) -> Any:
    """A Variable's text or a Connection; None if it is not set.

    Airflow ignores a failing backend, so a cap of $20 became the default of $100. Here each backend is read
    directly, and PlatformOutage is raised if one fails.
    """
    try:
        for backend in airflow_compat.ensure_secrets_backend_loaded():
            if (value := getattr(backend, f"get_{kind.lower()}")(name)) is not None:
                return value
        if name not in _stored_variables():
            return None
        raise LookupError("it is set, but Airflow's API server does not return it")
    except AirflowSecretsBackendAccessDenied:
        raise
    except ValueError as error:
        problem = f"its value cannot be parsed ({type(error).__name__})"  # the error's text may hold a secret
        raise BadSetting(f"{kind} {name}", problem, "see .env.example") from None
    except Exception as error:  # each backend has its own
        reason = f"{type(error).__name__}: {error}"
        raise PlatformOutage(f"{kind} {name} cannot be read now, and no default is used. {reason}") from error


def _stored_variables() -> set[str]:
    """The names of the Variables in Airflow's database; an error if the API server is unreachable.

    The backend that reads a Variable from there returns None in both cases: not set, and server unreachable.
    """
    try:
        return set(Variable.keys(prefix="twitter_"))
    except ImportError:  # this process runs outside of a task of Airflow, so there is no API server
        return set()
