"""The settings of a deployment, read from the environment as Airflow reads it."""

import json
from datetime import timedelta
from typing import ClassVar

import pytest
from airflow.sdk import configuration
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    ErrorResponse,
    GetConnection,
    GetVariable,
    GetVariableKeys,
    VariableKeysResult,
)
from airflow.secrets import BaseSecretsBackend

from include.twitter import settings
from include.twitter.day import Day
from include.twitter.errors import BadSetting, PlatformOutage
from include.twitter.settings import XAccess

CONSUMER = {"consumer_key": "consumer-key-7f3a", "consumer_secret": "consumer-secret-91bc"}
TOKENS = {"access_token": "access-token-55de", "access_token_secret": "access-secret-08af"}
BEARER = {"bearer_token": "bearer-token-c2d4"}
LOGIN = {"login": CONSUMER["consumer_key"], "password": CONSUMER["consumer_secret"]}


@pytest.fixture
def variable(monkeypatch):
    """Set a Variable, or remove it."""

    def put(name, value):
        key = f"AIRFLOW_VAR_{name.upper()}"
        monkeypatch.delenv(key, raising=False) if value is None else monkeypatch.setenv(key, value)

    return put


@pytest.fixture
def connection(monkeypatch):
    """Set the X connection."""

    def put(extra, **fields):
        whole = {"conn_type": "http", "extra": extra} | fields
        monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(whole))

    return put


# Variables: a value is read as its author means it, or rejected

NUMBERS = [
    "1,5", "1,000", "1.000", "1 000", "1\u00a0000", "1'000", "1_000", "1e3", "+5", "-5", "0x10", "½", "5%",
    "$5", "5 USD", "５", "٥", "nan", "inf", "5.", ".5", '"5"', "“5”", "5;", "5,", "[5]", "\ufeff5", "5\u200b",
    "true", "null", "no limit", "5d",
]  # fmt: skip
DAYS = [
    "20261118", "2026-W47-3", "2026-322", "2026-11-18T00:00:00", "2026-11-18+13:00", "18.11.2026",
    "11/18/2026", "26-11-18", "2026-1-8", "18 Nov 2026", "２０２６-11-18", "2026‑11‑18", "“2026-11-18”",
    "\ufeff2026-11-18", "2026-11-18\u200b", "yesterday", "1795000000", "all",
]  # fmt: skip
"""Texts that no list of days, and no parameter of a DAG, accepts."""
TIMES = [
    "6:00", "06", "0600", "T06:00", "06.00", "6am", "06:00 PM", "24:00", "06:60", "-06:00", "06:00+13:00",
    "06:00+00:00", "06:00 CET", "06:00 Europe/Paris", "06:00:30", "０６:００", "2026-11-18T06:00", "“06:00”",
    "\ufeff06:00", "",
]  # fmt: skip
HANDLES = [
    "NASA; esa", "NASA esa", "NASA\nesa", "NASA/esa", '"NASA"', "“NASA”", "NASA，esa", "＠NASA", "NАSA",
    "NASA\u200b", "https://x.com/NASA", "#NASA", "['NASA']", "[NASA]", '{"NASA": 1}', '["NASA", 5]',
    "a_handle_of_15_c", "[" * 100_000,
]  # fmt: skip
ADDRESSES = [
    "a@acme.example; b@acme.example", "a@acme.example b@acme.example", "Data <a@acme.example>",
    "“a@acme.example”", "mailto:a@acme.example", "a＠acme.example", "a@@acme.example", "a@acme..example",
    "a at acme", "a@", "a@acme.example\u200b",
]  # fmt: skip
DOLLARS = (
    {"5": 5_000, "12.50": 12_500, "0": 0, "0.005": 5, "1.115": 1_115, "9999999.999": 9_999_999_999},
    [*NUMBERS, "", "1.500", "12.340", "999.990", "1.000.000", "1,000.00", "12,50", "0.0001", "US$5", "5/day"],
)  # fmt: skip
VALUES = {
    settings.tweet_limit: ({None: 100, "0": 0, " 5\u00a0\n": 5, "007": 7}, [*NUMBERS, "", "1.5"]),
    settings.settling: (
        {None: timedelta(minutes=90), "1": timedelta(minutes=1), "\u00a01440\t": timedelta(days=1),
         "0999": timedelta(minutes=999)},
        [*NUMBERS, "", "0", "0000", "1441", "9999", "1.5", "1:30", "90 min", "1h"],
    ),
    settings.run_budget: ({None: 5_000} | DOLLARS[0], DOLLARS[1]),
    settings.month_budget: ({None: 100_000} | DOLLARS[0], DOLLARS[1]),
    settings.engagement_days: (
        {None: [1], "": [], "30, 1,7,7,": [1, 7, 30], "\u00a07\u00a0": [7], '["1", "366"]': [1, 366]},
        [*(text for text in NUMBERS if text not in ("1,5", "5,")), "0", "367", "1.5", "1 7", "1-7", "07"],
    ),
    settings.allow_row_loss: (
        {None: frozenset(), '["2026-11-18"]': {Day.parse("2026-11-18")},
         " 2026-11-18 ,\u00a02026-11-19,": {Day.parse("2026-11-18"), Day.parse("2026-11-19")}},
        [*DAYS, "2026-11-31", "2026-11-18; 2026-11-19", "2026-11-18 - 2026-11-20"],
    ),
    settings.deadline: (
        {text: timedelta(hours=6) for text in (None, " 06:00\u00a0", "06:00Z", "06:00:00")}
        | {"18:30": timedelta(hours=18.5), "00:00": timedelta(0)},
        TIMES,
    ),
    settings.threads: (
        {None: False, "TRUE": True, "\u00a0false\n": False}, ["", "threads", "yes", "1", '"true"', "ｔrue"],
    ),
    settings.accounts: (
        {" @NASA ,\n@esa,": ("NASA", "esa"), '["NASA", "@esa"]': ("NASA", "esa"),
         "a_handle_of_15c": ("a_handle_of_15c",), "nasa,NASA,esa,Nasa": ("nasa", "esa"),
         " s3://acme-lake/a b/accounts.csv ": "s3://acme-lake/a b/accounts.csv"},
        [None, "", " , @ ,", "[]", "s3://acme", "S3://acme/a.csv", "s3://acme/a.json", *HANDLES],
    ),
    settings.own_handle: (
        {None: "", "": "", "\u00a0@NASA ": "nasa", '["NASA"]': "nasa"}, ["NASA, esa", "@", *HANDLES],
    ),
    settings.confirmed_account_ids: (
        {None: frozenset(), " @NASA=777, 2024=5,": {("nasa", "777"), ("2024", "5")},
         '["NASA=777", "nasa=778"]': {("nasa", "777"), ("nasa", "778")}},
        ["NASA", "NASA=", "=777", "NASA=esa", "NASA=1=2", "777", "NASA:777", "NASA = 777", "NASA=7,770",
         "NASA=0777", "NASA=-777", "NASA=７７７", '{"NASA": "777"}'],
    ),
    settings.alert_emails: (
        {None: [], "a@b.example,\u00a0c+d@acme-2.example,": ["a@b.example", "c+d@acme-2.example"]}, ADDRESSES,
    ),
    settings.bucket: (
        {"\u00a0acme-lake\n": "acme-lake"},
        [None, "", "ab", "-acme", "s3://acme-lake", "arn:aws:s3:::acme-lake", "acme-lake/", "Acme-Lake"],
    ),
}  # fmt: skip
"""By setting: accepted texts with their values, and rejected texts; None is a Variable that is not set."""


@pytest.mark.parametrize("setting", VALUES, ids=lambda setting: setting.name)
def test_a_value_is_read_as_it_is_meant(variable, setting):
    accepted, _ = VALUES[setting]
    for text, value in accepted.items():
        variable(setting.name, text)
        assert setting() == value, text


@pytest.mark.parametrize("setting", VALUES, ids=lambda setting: setting.name)
def test_a_value_that_could_mean_another_is_rejected_with_an_example(variable, setting):
    _, rejected = VALUES[setting]
    for text in rejected:
        variable(setting.name, text)
        with pytest.raises(BadSetting) as raised:
            pytest.fail(f"{text!r} was read as {setting()!r}")
        message = str(raised.value)
        assert message.startswith(f"Variable {setting.name}: "), text
        assert message.endswith(f". Example: {setting.example}"), text


@pytest.mark.parametrize(
    ("setting", "text", "problem"),
    [
        (settings.accounts, None, "it is not set. Set it under Admin → Variables"),
        (settings.accounts, "NASA, bad handle!, esa", "'bad handle!' is not a handle"),
        (settings.accounts, '["NASA"', """'["NASA"' starts like a JSON list but is none"""),
        (settings.own_handle, "NASA, esa", "'NASA, esa' lists 2 accounts"),
        (settings.allow_row_loss, "2026-11-18, 2026-11-31", "'2026-11-31' is not a day"),
        (settings.engagement_days, "1, 367", "'367' is not an age"),
        (settings.tweet_limit, "ten", "'ten' is not a whole number"),
        (settings.run_budget, "1.500", "'1.500' is not an amount in US dollars"),
    ],
)
def test_a_message_names_the_rejected_item(variable, setting, text, problem):
    variable(setting.name, text)
    with pytest.raises(BadSetting) as raised:
        setting()
    assert str(raised.value).startswith(f"Variable {setting.name}: {problem}")


def test_each_setting_accepts_its_example_and_default(variable):
    assert {*VALUES} == {*settings.SETTINGS}
    for setting in VALUES:
        for text in {setting.example, setting.default} - {None}:
            variable(setting.name, text)
            setting()


def test_the_caps_are_listed_by_their_variables():
    assert settings.budgets() == {"twitter_run_budget_usd": 5_000, "twitter_month_budget_usd": 100_000}


# Backends that fail


class Backend(BaseSecretsBackend):
    """A secrets backend that has some values, and fails for some names."""

    values: ClassVar[dict[str, str]] = {}
    failing: ClassVar[set[str]] = set()

    def _get(self, name):
        if name in self.failing:
            raise OSError("ThrottlingException: Rate exceeded")
        return self.values.get(name)

    def get_variable(self, key, team_name=None):
        return self._get(key)

    def get_connection(self, conn_id, team_name=None):
        return self._get(conn_id)


@pytest.fixture
def backend(monkeypatch):
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.Backend")
    monkeypatch.setattr(configuration, "_secrets_backend_cache", {})
    monkeypatch.setattr(Backend, "values", {})
    monkeypatch.setattr(Backend, "failing", set())
    return Backend


def test_a_backend_takes_precedence_over_the_environment(backend, variable):
    variable("twitter_tweet_limit", "7")
    backend.values["twitter_tweet_limit"] = "0"
    assert settings.tweet_limit() == 0


@pytest.mark.parametrize("in_environment", [None, "7"])
def test_no_other_value_is_used_if_the_backend_fails(backend, variable, in_environment):
    variable("twitter_tweet_limit", in_environment)
    backend.failing |= {"twitter_tweet_limit", "twitter_default", "aws_default"}
    for read in (settings.tweet_limit, settings.x_access, settings.aws_connection):
        with pytest.raises(PlatformOutage, match="ThrottlingException: Rate exceeded"):
            read()


class Supervisor:
    """Stands for the connection to Airflow's API server, which lists a Variable but fails to return it."""

    def __init__(self, *, is_unreachable=False):
        self.is_unreachable = is_unreachable

    def send(self, message):
        if self.is_unreachable:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        match message:
            case GetVariableKeys():
                return VariableKeysResult(keys=["twitter_tweet_limit"], total_entries=1)
            case GetVariable(key="twitter_tweet_limit"):
                return ErrorResponse(error=ErrorType.API_SERVER_ERROR)
            case GetVariable() | GetConnection():
                return ErrorResponse(error=ErrorType.GENERIC_ERROR)


def test_no_default_is_used_for_a_variable_that_the_api_server_does_not_return(monkeypatch):
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    with pytest.raises(PlatformOutage, match="twitter_tweet_limit"):
        settings.tweet_limit()
    assert settings.settling() == timedelta(minutes=90), "a Variable that is not set"
    assert settings.aws_connection() is None


def test_nothing_counts_as_unset_if_the_api_server_is_unreachable(monkeypatch):
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(is_unreachable=True), raising=False)
    for read in (settings.tweet_limit, settings.accounts, settings.x_access, settings.aws_connection):
        with pytest.raises(PlatformOutage):
            read()


# The X connection


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        (TOKENS, LOGIN),
        (CONSUMER | TOKENS, {}),
        (CONSUMER | TOKENS, {"login": "of-an-older-app", "password": "older-secret-77ad"}),
    ],
    ids=["login", "extra", "extra before login"],
)
def test_consumer_keys_are_in_extra_or_login_and_act_in_a_users_name(connection, extra, fields):
    connection(extra, **fields)
    access = settings.x_access()
    assert access == XAccess(host="https://api.x.com", **CONSUMER, **TOKENS)
    assert access.user
    assert repr(access) == "XAccess(host='https://api.x.com')"
    secrets = [*CONSUMER.values(), *TOKENS.values()]
    assert {redact(secret) for secret in secrets} == {"***"}


@pytest.mark.parametrize("extra", [CONSUMER, BEARER, CONSUMER | BEARER])
def test_without_an_access_token_requests_are_app_only(connection, extra):
    connection(extra)
    assert not settings.x_access().user


def test_white_space_of_copying_is_removed(connection):
    connection({"bearer_token": " bearer-token-c2d4\n"})
    assert settings.x_access().bearer_token == "bearer-token-c2d4"


@pytest.mark.parametrize(
    ("extra", "fields", "problem"),
    [
        ({}, {}, "keys are incomplete: .*found: none"),
        ({}, {"login": LOGIN["login"]}, "keys are incomplete: .*found: consumer_key"),
        ({}, {"password": LOGIN["password"]}, "keys are incomplete: .*found: consumer_secret"),
        ({"consumer_key": CONSUMER["consumer_key"]}, LOGIN, "keys are incomplete: .*found: consumer_key"),
        (TOKENS, {}, "keys are incomplete: .*found: access_token, access_token_secret"),
        ({"access_token": TOKENS["access_token"]}, LOGIN, "belong together"),
        ({"access_token_secret": TOKENS["access_token_secret"]}, LOGIN, "belong together"),
        ({"bearer_token": "bearer-\ntoken-c2d4"}, {}, "bearer_token: a key"),  # pragma: allowlist secret
        ({"bearer_token": "bearer-token-…"}, {}, "bearer_token: a key"),  # pragma: allowlist secret
        ("[1, 2]", LOGIN, "not a JSON object"),
        ("5", LOGIN, "not a JSON object"),
        # The access token inside is meant to be used: without it the run would read app-only.
        ('{"access_token": "access-token-55de"', LOGIN, "not a JSON object"),
        (BEARER, {"host": "http://api.x.com"}, "without encryption"),
        (BEARER, {"host": "HTTP://10.0.0.5:8000"}, "without encryption"),
        (BEARER, {"host": "http://127.0.0.1.x.example"}, "without encryption"),
        (BEARER, {"host": f"http://{LOGIN['login']}:{LOGIN['password']}@x.example"}, "without encryption"),
        (BEARER, {"host": "ftp://x.example"}, "not a web address"),
        (BEARER, {"host": "https://"}, "not a web address"),
        (BEARER, {"host": "https://x.example:port"}, "not a web address"),
        (BEARER, {"host": "https://[x.example"}, "not a web address"),
    ],
)
def test_a_wrong_connection_is_refused_without_its_secrets(connection, extra, fields, problem):
    connection(extra, **fields)
    refuses_without_secrets(problem)


@pytest.mark.parametrize(
    "text", [None, '{"conn_type":', '{"port": "x"}', "http://a:consumer-secret-91bc@[x/"]
)
def test_a_missing_or_malformed_connection_is_refused_without_its_secrets(monkeypatch, text):
    if text is not None:
        monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", text)
    refuses_without_secrets("it does not exist.* Example: type HTTP" if text is None else "cannot be parsed")


def refuses_without_secrets(problem):
    with pytest.raises(BadSetting, match=f"^Connection twitter_default: .*{problem}") as raised:
        settings.x_access()
    secrets = [*CONSUMER.values(), *TOKENS.values(), *BEARER.values()]
    assert [secret for secret in secrets if secret in str(raised.value)] == []


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ({}, "https://api.x.com"),
        ({"host": ""}, "https://api.x.com"),
        ({"host": "api.twitter.com"}, "https://api.twitter.com"),
        ({"host": "https://api.twitter.com/"}, "https://api.twitter.com"),
        ({"host": "x.example", "port": 8443}, "https://x.example:8443"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8000}, "http://127.0.0.1:8000"),
        ({"host": "http://[::1]:8000"}, "http://[::1]:8000"),
    ],
)
def test_the_host_is_x_or_that_of_the_connection(connection, fields, host):
    connection(BEARER, **fields)
    assert settings.x_access().host == host
