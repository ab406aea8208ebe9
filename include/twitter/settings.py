"""What a deployment provides: Airflow Variables and Connections, checked before anything is bought.

A setting is read when it is called, `settings.tweet_limit()`: from Airflow's Variables, the environment
(`AIRFLOW_VAR_…`) or a secrets backend. The docs' tables and Airflow's page of Variables come from here too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

from airflow.sdk import Connection, Variable
from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied
from airflow.sdk.log import mask_secret
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, TypeAdapter, ValidationError

from include.twitter import airflow_compat, pricing
from include.twitter.day import SETTLING, Day
from include.twitter.errors import BadSetting, PlatformOutage

X_CONNECTION = "twitter_default"
AWS_CONNECTION = "aws_default"
WEBHOOK_CONNECTION = "twitter_alert_webhook"
X_HOST = "https://api.x.com"
HANDLE = re.compile("[A-Za-z0-9_]{1,15}")
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
MAX_AGE = 366
"""Days: an older post's counts hardly change."""
PRECEDENCE = "AIRFLOW_VAR_… and a secrets backend win over what stands here."

T = TypeVar("T")


# The types of values. pydantic alone accepts more notations than people mean alike, such as `1_000` and `+5`.


def matching(pattern: str, expected: str) -> BeforeValidator:
    """Refuse a text that has another form."""

    def check(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(f"{value!r} is not {expected}")
        return value

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


def _without_repeats(handles: tuple[str, ...]) -> tuple[str, ...]:
    """The handles, whatever their case, as they are spelled first."""
    spelled: dict[str, str] = {}
    for handle in handles:
        spelled.setdefault(handle.lower(), handle)
    return tuple(spelled.values())


def _handles_or_file(text: str) -> tuple[str, ...] | str:
    if not text.lower().startswith("s3:"):
        if not (handles := parse(Handles, split_items(text))):
            raise ValueError(f"{text!r} names no account")
        return handles
    if not re.fullmatch(r"s3://[a-z0-9.-]+/\S(.*\S)?\.csv", text):
        raise ValueError(f"{text!r} is not s3://bucket/key of a .csv file")
    return text


def _own_handle(text: str) -> str:
    handles = parse(Handles, split_items(text)) if text else ("",)
    if len(handles) > 1:
        raise ValueError(f"{text!r} names {len(handles)} accounts, and an access token is one account's")
    return handles[0].lower()


def _confirmed_id(text: str) -> tuple[str, str]:
    if not (pair := re.fullmatch(f"@?({HANDLE.pattern})=([1-9][0-9]{{0,18}})", text)):
        raise ValueError(f"{text!r} is not a handle with its new id")
    return pair[1].lower(), pair[2]


def _parse_day(text: str) -> Day:
    try:
        return Day.parse(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a day, YYYY-MM-DD") from error


def _mills(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", text):
        raise ValueError(f"{text!r} is not an amount in dollars from 0 up")
    if re.fullmatch(r"[1-9][0-9]{0,2}\.[0-9]{2}0", text):
        raise ValueError(f"{text!r} may mean thousands: write cents after a point, and thousands without one")
    return round(Decimal(text) * 1000)


def _minutes(text: str) -> timedelta:
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= 24 * 60:
        raise ValueError(f"{text!r} is not a whole number of minutes from 1 to 1440")
    return timedelta(minutes=int(text))


def _time_of_day(text: str) -> timedelta:
    """A time with an offset is refused: it may be on another day in UTC."""
    if not (time := re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])(:00)?Z?", text)):
        raise ValueError(f"{text!r} is not a time of day in UTC, HH:MM from 00:00 to 23:59 without an offset")
    return timedelta(hours=int(time[1]), minutes=int(time[2]))


Bucket = Annotated[
    str,
    matching(
        "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        "a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens, without s3://",
    ),
]
WholeNumber = Annotated[int, matching("[0-9]{1,9}", "a whole number from 0 up")]
TrueOrFalse = Annotated[bool, matching("(?i)true|false", "true or false")]
Handle = Annotated[
    str,
    matching(f"@?{HANDLE.pattern}", "a handle: 1 to 15 letters, digits or underscores"),
    AfterValidator(lambda handle: handle.removeprefix("@")),
]
Items = BeforeValidator(split_items)
Handles = Annotated[tuple[Handle, ...], AfterValidator(_without_repeats)]
Days = Annotated[frozenset[Annotated[Day, PlainValidator(_parse_day)]], Items]
ConfirmedIds = Annotated[frozenset[Annotated[tuple[str, str], PlainValidator(_confirmed_id)]], Items]
Age = Annotated[int, matching("[1-9][0-9]{0,2}", f"an age from 1 to {MAX_AGE} days"), Field(le=MAX_AGE)]
Ages = Annotated[set[Age], Items, AfterValidator(sorted)]
# As HTML forms take an address: without a name, brackets or quotes.
Address = Annotated[
    str, matching(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", "an email address")
]


def parse(kind: Any, value: object) -> Any:
    """The value as this type; a ValueError says in one line which part of it is wrong, and how."""
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
    """The type of its values, as pydantic knows it."""
    description: str
    example: str
    default: str | None = None
    """None: it has to be set."""

    def __call__(self) -> T:
        label = f"Variable {self.name}"
        text = _read_stored("Variable", self.name)
        if text is None:
            text = self.default
        if text is None:
            raise BadSetting(label, "not set", self.example)
        try:
            return parse(self.kind, str(text).strip())
        except ValueError as error:
            raise BadSetting(label, str(error), self.example) from None  # one message

    @property
    def help_text(self) -> str:
        """Its description on Airflow's page of Variables."""
        return f"{self.description[0].upper()}{self.description[1:]}. Example: {self.example}. {PRECEDENCE}"


bucket = Setting[str]("twitter_bucket", Bucket, "the S3 bucket, the pipeline's own", "acme-twitter-lake")
accounts = Setting[tuple[str, ...] | str](
    "twitter_handles",
    Annotated[Any, PlainValidator(_handles_or_file)],
    "the accounts: handles with commas between, or a JSON list; or a file of them, `s3://<bucket>/…/accounts.csv`",
    "NASA, esa",
)
"""Each account once, whatever its case; or the address of their file, which `accounts.read` reads."""
tweet_limit = Setting[int](
    "twitter_tweet_limit",
    WholeNumber,
    "the latest N posts of an account's day; 0 is no limit",
    example="250",
    default="100",
)
run_budget = Setting[int](
    "twitter_run_budget_usd",
    Annotated[int, PlainValidator(_mills)],
    "hard cap in US dollars on what one purchase of a day may cost, over all its runs; 0 is no cap",
    example="12.50",
    default="5",
)
"""In mills, as the next."""
month_budget = Setting[int](
    "twitter_month_budget_usd",
    Annotated[int, PlainValidator(_mills)],
    "hard cap in US dollars on what is spent in a UTC month, over all days; 0 is no cap",
    example="250",
    default="100",
)
settling = Setting[timedelta](
    "twitter_settle_minutes",
    Annotated[timedelta, PlainValidator(_minutes)],
    "how long after midnight UTC a day may still change, in minutes; X lets authors edit for an hour",
    example="120",
    default=str(SETTLING // timedelta(minutes=1)),
)
threads = Setting[bool](
    "twitter_include_threads",
    TrueOrFalse,
    "whether an account's replies to itself are landed too, the later posts of its threads: one request more",
    example="true",
    default="false",
)
allow_row_loss = Setting[frozenset[Day]](
    "twitter_allow_row_loss",
    Days,
    "days that may lose rows: of an account that has fewer by now, or that left `twitter_handles`",
    example="2026-11-18, 2026-11-19",
    default="",
)
confirmed_account_ids = Setting[frozenset[tuple[str, str]]](
    "twitter_confirmed_account_ids",
    ConfirmedIds,
    "handles that have become another account, each with the new one's id: else nothing of it is bought",
    example="NASA=11348282",
    default="",
)
"""Handles in lower case, each with an id."""
own_handle = Setting[str](
    "twitter_own_handle",
    Annotated[str, PlainValidator(_own_handle)],
    "the account that owns the X app and whose access token is used: X charges "
    f"{pricing.price_text('own_posts')} for each of its own posts",
    example="NASA",
    default="",
)
"""In lower case; empty where none is named."""
deadline = Setting[timedelta](
    "twitter_deadline",
    Annotated[timedelta, PlainValidator(_time_of_day)],
    "when a day has to be landed: a time of the next day, UTC; after it `twitter_watch` is red",
    example="07:30",
    default="06:00",
)
alert_emails = Setting[list[str]](
    "twitter_alert_emails",
    Annotated[list[Address], Items],
    "who gets an email about a failed stage or a late day, through Connection `smtp_default`; empty: nobody",
    example="data@acme.example",
    default="",
)
engagement_days = Setting[list[int]](
    "twitter_engagement_days",
    Ages,
    "at which ages in days `twitter_engagement` reads posts again: 1 is free, others cost "
    f"{pricing.price_text('posts')} a post",
    example="1, 7, 30",
    default="1",
)
SETTINGS = tuple(value for value in list(globals().values()) if isinstance(value, Setting))


def budgets() -> dict[str, int]:
    """The caps in mills, by the Variable that sets them; 0 is no cap."""
    return {setting.name: setting() for setting in (run_budget, month_budget)}


def alert_webhook() -> str | None:
    """The path below the host of Connection `twitter_alert_webhook`, a secret; None where there is none."""
    connection = _read_stored("Connection", WEBHOOK_CONNECTION)
    return None if connection is None else _secret(connection.password) or ""


def aws_connection() -> str | None:
    """The AWS connection's id; None, which is the instance role, where there is none."""
    return AWS_CONNECTION if _read_stored("Connection", AWS_CONNECTION) else None


@dataclass(frozen=True)
class XAccess:
    """Where X is and what opens it: consumer keys, a user's access token, a bearer token, or several.

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
        """Whether OAuth 1.0a in a user's name is possible."""
        return bool(self.consumer and self.access_token and self.access_token_secret)


def x_access() -> XAccess:
    """The X connection, its secrets masked in every log from here on."""

    def bad(problem: str, example: str = "") -> BadSetting:
        example = example or (
            'type HTTP, extra = {"consumer_key": "…", "consumer_secret": "…", "access_token": "…", '
            '"access_token_secret": "…"}; or only extra = {"bearer_token": "…"}'
        )
        return BadSetting(f"Connection {X_CONNECTION}", problem, example)

    connection = _read_stored("Connection", X_CONNECTION)
    if connection is None:
        raise bad("not found")
    try:
        extra = json.loads(connection.extra or "{}")  # extra_dejson would pass over what it cannot read
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise bad("its extra is not a JSON object")
    tokens = ("access_token", "access_token_secret", "bearer_token")
    # Airflow's audit log masks the password and every value of extra, and shows the login.
    if extra.keys() & {"consumer_key", "consumer_secret"}:
        value = {name: extra.get(name) for name in ("consumer_key", "consumer_secret", *tokens)}
    else:
        value = {"login": connection.login, "password": connection.password}
        value |= {name: extra.get(name) for name in tokens}
    keys = {name: key for name, value in value.items() if (key := _secret(value))}
    if malformed := [name for name, key in keys.items() if not re.fullmatch("[!-~]+", key)]:
        raise bad(f"{', '.join(malformed)}: a key has no white space and only ASCII")
    access = XAccess(
        _x_host(connection, bad),
        keys.get("consumer_key") or keys.get("login"),
        keys.get("consumer_secret") or keys.get("password"),
        **{name: keys.get(name) for name in tokens},
    )
    if not (access.consumer or access.bearer_token):
        raise bad(f"it has no usable keys (found: {', '.join(keys) or 'none'})")
    if bool(access.access_token) != bool(access.access_token_secret):
        raise bad("access_token and access_token_secret go together, one of them is missing")
    return access


def _x_host(connection: Connection, bad: Any) -> str:
    if not connection.host:
        return X_HOST
    value = connection.host
    if "://" not in value:
        value = f"{connection.schema or 'https'}://{value}"
    shown = re.sub(r"//.*@", "//…@", value)  # a password may have been written into it
    try:
        url = urlsplit(value)
        port = connection.port or url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise bad(f"its host {shown!r} is not a web address", f"{X_HOST}, or empty for X itself")
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise bad(f"its host {shown!r} would send the keys in clear text", X_HOST)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}" + (f":{port}" if port else "")


def _secret(value: Any) -> str | None:
    """A secret without the white space that comes with copying, masked in the logs (the login too)."""
    text = str(value or "").strip()
    if text:
        mask_secret(text)
    return text or None


def _read_stored(kind: str, name: str) -> Any:
    """A Variable's text or a Connection; None where it is set nowhere.

    Airflow skips a backend that fails, as if nothing were set there: a cap of $20 became the default of $100.
    So each backend is read directly, and one that fails keeps the stage from beginning.
    """
    try:
        for backend in airflow_compat.ensure_secrets_backend_loaded():
            if (value := getattr(backend, f"get_{kind.lower()}")(name)) is not None:
                return value
        if name not in _stored_variables():
            return None
        raise LookupError("it is set, and Airflow's API server does not return it")
    except AirflowSecretsBackendAccessDenied:
        raise
    except ValueError as error:
        problem = f"what is set is malformed ({type(error).__name__})"  # its text may hold a secret
        raise BadSetting(f"{kind} {name}", problem, "see .env.example") from None
    except Exception as error:  # each backend has its own
        reason = f"{type(error).__name__}: {error}"
        raise PlatformOutage(f"{kind} {name} cannot be read now, and no default is used. {reason}") from error


def _stored_variables() -> set[str]:
    """The Variables in Airflow's database; an error where its API server is away.

    The backend that reads a Variable there answers None both if it is not set and if the server is away.
    """
    try:
        return set(Variable.keys(prefix="twitter_"))
    except ImportError:  # no task of Airflow's around this process, so no API server to ask
        return set()
