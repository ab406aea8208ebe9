"""What a deployment provides, from the environment as Airflow reads it."""

import json
from datetime import timedelta
from typing import ClassVar

import pytest
from airflow.sdk import configuration
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

SECRETS = {
    "login": "consumer-key-7f3a",
    "password": "consumer-secret-91bc",
    "access_token": "access-token-55de",
    "access_token_secret": "access-secret-08af",
    "bearer_token": "bearer-token-c2d4",
}


@pytest.fixture
def variable(monkeypatch):
    """Set a Variable, or remove it."""

    def put(name, value):
        key = f"AIRFLOW_VAR_{name.upper()}"
        monkeypatch.delenv(key, raising=False) if value is None else monkeypatch.setenv(key, value)

    return put


@pytest.fixture
def connection(monkeypatch):
    """Set the X connection; a secret is named, not written: `connection("login", "password")`."""

    def put(*given, extra=None, **fields):
        in_extra = {name: SECRETS[name] for name in given if name not in ("login", "password")}
        whole = {"conn_type": "http"} | {n: SECRETS[n] for n in given if n in ("login", "password")}
        whole["extra"] = extra if extra is not None else in_extra
        monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(whole | fields))

    return put


# Variables: a value is read as it is meant, or refused

NUMBERS = [
    "1,5", "1,000", "1.000", "1 000", "1\u00a0000", "1'000", "1_000", "1e3", "1E3", "+5", "-5", "-0",
    "0x10", "½", "²", "5%", "50 %", "$5", "5$", "€5", "5 USD", "5 €", "５", "٥", "५", "nan", "NaN", "inf",
    "-inf", "Infinity", "5.", ".5", "'5'", '"5"', "“5”", "5;", "5,", "[5]", "\ufeff5", "5\u200b",
    "true", "yes", "on", "none", "null", "no limit", "5d", "5m",
]  # fmt: skip
"""Of no plain number: none of them is one in the notation that the manual shows."""
DAYS = [
    "20261118", "2026-W47-3", "2026W473", "2026-322", "2026-11-18T00:00:00", "2026-11-18 00:00",
    "2026-11-18Z", "2026-11-18+13:00", "2026/11/18", "2026.11.18", "18.11.2026", "18/11/2026", "11/18/2026",
    "18-11-2026", "26-11-18", "2026-1-8", "18 Nov 2026", "Nov 18, 2026", "２０２６-11-18", "2026‑11‑18",
    "2026−11−18", "“2026-11-18”", "'2026-11-18'", '"2026-11-18"', "\ufeff2026-11-18", "2026-11-18\u200b",
    "today", "yesterday", "1795000000", "all", "true",
]  # fmt: skip
"""Of days that no list of days, and no parameter of a DAG, takes."""
TIMES = [
    "6:00", "6", "06", "0600", "T06:00", "06.00", "06h00", "6am", "6 AM", "06:00 AM", "06:00 PM",
    "6:00 p.m.", "24:00", "25:00", "06:60", "-06:00", "06:00+13:00", "06:00-05:00", "06:00+00:00",
    "06:00+0000", "06:00 CET", "06:00 Europe/Paris", "06:00:30", "06:00:00.5", "06:00,5", "０６:００",
    "06：00", "2026-11-18T06:00", "“06:00”", "06:00;", "\ufeff06:00", "360", "",
]  # fmt: skip
HANDLES = [
    "NASA; esa", "NASA esa", "NASA\nesa", "NASA|esa", "NASA/esa", '"NASA"', "'NASA'", "“NASA”", "NASA、esa",
    "NASA，esa", "＠NASA", "ＮＡＳＡ", "NАSA", "NASA\u200b", "\ufeffNASA", "x.com/NASA", "#NASA", "(NASA)",
    "['NASA']", "[“NASA”]", "[NASA]", '{"NASA": 1}', '["NASA",]', "[" * 100_000,
]  # fmt: skip
ADDRESSES = [
    "a@acme.example; b@acme.example", "a@acme.example b@acme.example", "a@acme.example;",
    "Data <a@acme.example>", "<a@acme.example>", '"a@acme.example"', "“a@acme.example”",
    "mailto:a@acme.example", "a＠acme.example", "a@acme。example", "a@@acme.example", "a@acme..example",
    "a@acme.example.", "a at acme", "@acme.example", "a@", "a@acme.example\u200b",
]  # fmt: skip
DOLLARS = (
    {"5": 5_000, "12.50": 12_500, "12.5": 12_500, "0": 0, "0.00": 0, "0.005": 5, "1.115": 1_115, " 7 ": 7_000,
     "9999999.999": 9_999_999_999},
    [*NUMBERS, "", "1.500", "12.340", "999.990", "1.000.000", "1,000.00", "1.000,00", "12,50", "0.0001",
     "12.50 USD", "US$5", "5/day"],
)  # fmt: skip
VALUES = {
    settings.tweet_limit: ({None: 100, "0": 0, "25": 25, " 5\u00a0\n": 5, "007": 7}, [*NUMBERS, "", "1.5"]),
    settings.settling: (
        {None: timedelta(minutes=90), "1": timedelta(minutes=1), "\u00a01440\t": timedelta(days=1)},
        [*NUMBERS, "", "0", "1441", "1.5", "1.440", "1:30", "01:30", "90 min", "90s", "1h", "PT90M"],
    ),
    settings.run_budget: ({None: 5_000} | DOLLARS[0], DOLLARS[1]),
    settings.month_budget: ({None: 100_000} | DOLLARS[0], DOLLARS[1]),
    settings.engagement_days: (
        {None: [1], "": [], "30, 1,7, 7": [1, 7, 30], "7,1,": [1, 7], "\u00a07\u00a0,\t30": [7, 30],
         '["1", "366"]': [1, 366]},
        [*(text for text in NUMBERS if text not in ("1,5", "5,")), "0", "367", "1.5", "1 7", "1; 7", "1-7",
         "1d, 7d", "07", "P7D", "weekly"],
    ),
    settings.allow_row_loss: (
        {None: frozenset(), '["2026-11-18"]': {Day.parse("2026-11-18")},
         " 2026-11-18 ,\u00a02026-11-19,": {Day.parse("2026-11-18"), Day.parse("2026-11-19")}},
        [*DAYS, "2026-11-31", "2026-11-18; 2026-11-19", "2026-11-18 - 2026-11-20", "2026-11-18..2026-11-20"],
    ),
    settings.deadline: (
        {text: timedelta(hours=6) for text in (None, " 06:00\u00a0", "06:00Z", "06:00:00", "06:00:00Z")}
        | {"18:30": timedelta(hours=18.5), "00:00": timedelta(0)},
        TIMES,
    ),
    settings.threads: (
        {None: False, "true": True, "TRUE": True, "\u00a0false\n": False},
        ["", "threads", "own posts", "yes", "on", "1", "0", "t", '"true"', "[true]", "ｔrue"],
    ),
    settings.accounts: (
        {"NASA": ("NASA",), " @NASA ,@esa,": ("NASA", "esa"), '["NASA", "@esa"]': ("NASA", "esa"),
         "a_handle_of_15c": ("a_handle_of_15c",), "nasa,NASA,esa,Nasa": ("nasa", "esa"),
         "NASA,\nesa": ("NASA", "esa"),
         " s3://acme-lake/a b/accounts.csv ": "s3://acme-lake/a b/accounts.csv"},
        [None, "", " ", " , @ ,", "[]", "a_handle_of_15_c", "@bad handle!", "NASA, ünïcode",
         "https://x.com/NASA", '["NASA", 5]', "s3://acme", "S3://acme/a.csv", "s3://acme/a.json", *HANDLES],
    ),
    settings.own_handle: (
        {None: "", "": "", "\u00a0@NASA ": "nasa", '["NASA"]': "nasa"},
        ["NASA, esa", "@", "bad handle!", *HANDLES],
    ),
    settings.confirmed_account_ids: (
        {None: frozenset(), " @NASA=777, 2024=5,": {("nasa", "777"), ("2024", "5")},
         '["NASA=777", "nasa=778"]': {("nasa", "777"), ("nasa", "778")}},
        ["NASA", "NASA=", "=777", "NASA=esa", "NASA=1=2", "777", "a b=7", "NASA:777", "NASA 777", "NASA->777",
         "NASA = 777", "NASA==777", "NASA=7,770", "NASA=7.77e2", "NASA=0777", "NASA=-777", "NASA=0x309",
         "NASA=７７７", '{"NASA": "777"}', '["NASA", "777"]', "“NASA=777”"],
    ),
    settings.alert_emails: (
        {None: [], "a@b.example,\u00a0c+d@acme-2.example,": ["a@b.example", "c+d@acme-2.example"]},
        ADDRESSES,
    ),
    settings.bucket: (
        {"\u00a0acme-lake\n": "acme-lake"},
        [None, "", "ab", "-acme", "s3://acme-lake", "arn:aws:s3:::acme-lake", "acme-lake/", "Acme-Lake",
         "acme_lake", '"acme-lake"', "ａcme-lake", "acme lake"],
    ),
}  # fmt: skip
"""By setting what is read as it is meant, and what is refused; None is a Variable that is not set."""


def named(cases):
    return [pytest.param(*case, id=f"{case[0].name} {str(case[1])[:30]!r}") for case in cases]


@pytest.mark.parametrize(
    ("setting", "text", "value"),
    named([(setting, *case) for setting, (accepted, _) in VALUES.items() for case in accepted.items()]),
)
def test_a_value_is_read_as_it_is_meant(variable, setting, text, value):
    variable(setting.name, text)
    assert setting() == value


@pytest.mark.parametrize(
    ("setting", "text"),
    named([(setting, text) for setting, (_, refused) in VALUES.items() for text in refused]),
)
def test_a_value_that_could_mean_another_is_refused_with_its_name_itself_and_an_example(
    variable, setting, text
):
    variable(setting.name, text)
    with pytest.raises(BadSetting) as refused:
        setting()
    message = str(refused.value)
    assert message.startswith(f"Variable {setting.name}: {'not set' if text is None else ''}")
    assert message.endswith(f". Example: {setting.example}")


@pytest.mark.parametrize(
    ("setting", "text", "problem"),
    [
        (settings.accounts, "NASA, bad handle!, esa", "'bad handle!' is not a handle"),
        (settings.accounts, '["NASA"', """'["NASA"' starts like a JSON list but is none"""),
        (settings.own_handle, "NASA, esa", "'NASA, esa' names 2 accounts"),
        (settings.allow_row_loss, "2026-11-18, 2026-11-31", "'2026-11-31' is not a day"),
        (settings.engagement_days, "1, 367", "'367'"),
        (settings.tweet_limit, "ten", "'ten' is not a whole number from 0 up"),
        (settings.run_budget, "1.500", "'1.500' may mean thousands"),
    ],
)
def test_what_was_found_is_named_of_a_list_the_refused_item(variable, setting, text, problem):
    variable(setting.name, text)
    with pytest.raises(BadSetting) as refused:
        setting()
    assert str(refused.value).startswith(f"Variable {setting.name}: {problem}")


def test_each_setting_takes_its_own_example_and_default(variable):
    assert {*VALUES} == {*settings.SETTINGS}
    for setting in VALUES:
        for text in {setting.example, setting.default} - {None}:
            variable(setting.name, text)
            setting()


def test_the_caps_come_by_the_names_of_their_variables():
    assert settings.budgets() == {"twitter_run_budget_usd": 5_000, "twitter_month_budget_usd": 100_000}


# Backends that fail


class Backend(BaseSecretsBackend):
    """A secrets backend, as a deployment may configure one: `fails` says for which settings."""

    has: ClassVar[dict[str, str]] = {}
    fails: ClassVar[set[str]] = set()

    def _get(self, name):
        if name in self.fails:
            raise OSError("ThrottlingException: Rate exceeded")
        return self.has.get(name)

    def get_variable(self, key, team_name=None):
        return self._get(key)

    def get_connection(self, conn_id, team_name=None):
        return self._get(conn_id)


@pytest.fixture
def backend(monkeypatch):
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.Backend")
    monkeypatch.setattr(configuration, "_secrets_backend_cache", {})
    monkeypatch.setattr(Backend, "has", {})
    monkeypatch.setattr(Backend, "fails", set())
    return Backend


def test_a_backend_is_asked_before_the_environment(backend, variable):
    variable("twitter_tweet_limit", "7")
    backend.has["twitter_tweet_limit"] = "0"
    assert settings.tweet_limit() == 0


@pytest.mark.parametrize("below", [None, "7"])
def test_no_default_is_taken_for_a_variable_whose_backend_fails(backend, variable, below):
    variable("twitter_tweet_limit", below)
    backend.fails.add("twitter_tweet_limit")
    with pytest.raises(PlatformOutage) as outage:
        settings.tweet_limit()
    assert str(outage.value) == (
        "Variable twitter_tweet_limit cannot be read now, and no default is used. "
        "OSError: ThrottlingException: Rate exceeded"
    )


def test_a_connection_whose_backend_fails_is_not_missing(backend):
    backend.fails |= {"twitter_default", "aws_default"}
    for read in (settings.x_access, settings.aws_connection):
        with pytest.raises(PlatformOutage, match=r"Connection .*_default cannot be read now"):
            read()


class Supervisor:
    """What asks Airflow's API server for a task: it names the Variables, and fails to tell one."""

    def __init__(self, *, is_away=False):
        self.is_away = is_away

    def send(self, message):
        if self.is_away:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        match message:
            case GetVariableKeys():
                return VariableKeysResult(keys=["twitter_tweet_limit"], total_entries=1)
            case GetVariable(key="twitter_tweet_limit"):
                return ErrorResponse(error=ErrorType.API_SERVER_ERROR)
            case GetVariable() | GetConnection():
                return ErrorResponse(error=ErrorType.GENERIC_ERROR)


def test_no_default_is_taken_for_a_variable_that_the_api_server_has_and_does_not_tell(monkeypatch):
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    with pytest.raises(PlatformOutage, match=r"twitter_tweet_limit .* API server does not return it"):
        settings.tweet_limit()
    assert settings.settling() == timedelta(minutes=90), "which is set nowhere"
    assert settings.aws_connection() is None


def test_without_the_api_server_nothing_is_taken_for_unset(monkeypatch):
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(is_away=True), raising=False)
    for read in (settings.tweet_limit, settings.accounts, settings.x_access, settings.aws_connection):
        with pytest.raises(PlatformOutage):
            read()


@pytest.mark.parametrize("text", ['{"conn_type":', '{"port": "x"}', "http://a:consumer-secret-91bc@[x/"])
def test_a_connection_that_is_malformed_is_a_refusal_that_keeps_its_secret(monkeypatch, text):
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", text)
    assert "what is set is malformed" in refusal()


# The X connection


def refusal():
    with pytest.raises(BadSetting) as refused:
        settings.x_access()
    said = str(refused.value)
    assert said.startswith("Connection twitter_default: ")
    assert [name for name, secret in SECRETS.items() if secret in said] == []
    return said


def test_no_connection_is_refused_with_an_example():
    said = refusal()
    assert "not found" in said
    assert 'extra = {"consumer_key": "…", "consumer_secret": "…"' in said


def test_a_connection_without_keys_is_refused(connection):
    connection()
    assert "it has no usable keys (found: none)" in refusal()


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["login"], "login"),
        (["password"], "password"),
        (["access_token", "access_token_secret"], "access_token, access_token_secret"),
        (["login", "access_token", "access_token_secret"], "login, access_token, access_token_secret"),
    ],
)
def test_half_of_the_keys_are_refused_naming_those_found(connection, given, found):
    connection(*given)
    assert f"it has no usable keys (found: {found})" in refusal()


@pytest.mark.parametrize("half", ["access_token", "access_token_secret"])
def test_half_of_an_access_token_is_refused(connection, half):
    connection("login", "password", half)
    assert "access_token and access_token_secret go together, one of them is missing" in refusal()


def test_four_keys_act_in_a_users_name(connection):
    connection("login", "password", "access_token", "access_token_secret")
    access = settings.x_access()
    assert access == XAccess(
        host="https://api.x.com",
        consumer_key="consumer-key-7f3a",
        consumer_secret="consumer-secret-91bc",
        access_token="access-token-55de",
        access_token_secret="access-secret-08af",
        bearer_token=None,
    )
    assert access.user


@pytest.mark.parametrize("more", [{}, {"login": "of-an-older-app", "password": "older-secret-77ad"}])
def test_the_consumer_keys_may_be_in_extra_where_the_audit_log_masks_them(connection, more):
    in_extra = {
        "consumer_key": "consumer-key-7f3a",
        "consumer_secret": "consumer-secret-91bc",
        "access_token": "access-token-55de",
        "access_token_secret": "access-secret-08af",
    }
    connection(extra=in_extra, **more)
    assert settings.x_access() == XAccess(host="https://api.x.com", **in_extra)


@pytest.mark.parametrize("half", ["consumer_key", "consumer_secret"])
def test_half_of_the_consumer_keys_in_extra_is_not_completed_from_the_login(connection, half):
    connection("login", "password", extra={half: "consumer-half-31c0"})
    assert f"it has no usable keys (found: {half})" in refusal()


@pytest.mark.parametrize(
    "given", [["login", "password"], ["bearer_token"], ["login", "password", "bearer_token"]]
)
def test_without_an_access_token_nothing_acts_in_a_users_name(connection, given):
    connection(*given)
    assert not settings.x_access().user


def test_white_space_that_came_with_copying_is_taken_off(connection):
    connection(extra={"bearer_token": " bearer-token-c2d4\n"})
    assert settings.x_access().bearer_token == "bearer-token-c2d4"


@pytest.mark.parametrize("token", ["bearer-\ntoken-c2d4", "bearer-token-…", "bearer token-c2d4"])
def test_a_key_that_no_header_can_carry_is_refused_as_a_setting(connection, token):
    connection(extra={"bearer_token": token})
    assert token not in refusal()


@pytest.mark.parametrize("extra", ["[1, 2]", '"text"', "5"])
def test_an_extra_that_is_no_json_object_is_refused(connection, extra):
    connection("login", "password", extra=extra)
    assert "its extra is not a JSON object" in refusal()


def test_an_extra_that_is_no_json_is_refused_even_beside_consumer_keys(connection):
    # The access token inside is meant to be used: without it the run would read as the app alone.
    connection("login", "password", extra='{"access_token": "access-token-55de"')
    assert "its extra is not a JSON object" in refusal()


def test_no_secret_shows_when_the_access_is_printed(connection):
    connection(*SECRETS)
    assert repr(settings.x_access()) == "XAccess(host='https://api.x.com')"


def test_every_secret_is_masked_in_logs_the_login_too(connection):
    from airflow.sdk._shared.secrets_masker import redact

    connection(*SECRETS)
    settings.x_access()
    assert {redact(secret) for secret in SECRETS.values()} == {"***"}


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        ({}, "https://api.x.com"),
        ({"host": ""}, "https://api.x.com"),
        ({"host": "api.twitter.com"}, "https://api.twitter.com"),
        ({"host": "https://api.twitter.com/"}, "https://api.twitter.com"),
        ({"host": "https://x.example:8443"}, "https://x.example:8443"),
        ({"host": "x.example", "port": 8443}, "https://x.example:8443"),
        ({"host": "http://localhost:8000"}, "http://localhost:8000"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8000}, "http://127.0.0.1:8000"),
        ({"host": "http://[::1]:8000"}, "http://[::1]:8000"),
    ],
)
def test_the_host_is_x_itself_or_the_one_of_the_connection(connection, fields, host):
    connection("bearer_token", **fields)
    assert settings.x_access().host == host


@pytest.mark.parametrize(
    "host",
    ["http://api.x.com", "http://10.0.0.5:8000", "HTTP://x.example", "http://127.0.0.1.x.example"],
)
def test_keys_are_not_sent_in_clear_text_to_another_machine(connection, host):
    connection("bearer_token", host=host)
    assert "would send the keys in clear text" in refusal()


@pytest.mark.parametrize(
    "host", ["ftp://x.example", "https://", "https://x.example:port", "https://[x.example"]
)
def test_a_host_that_is_no_web_address_is_refused(connection, host):
    connection("bearer_token", host=host)
    assert "is not a web address" in refusal()


def test_a_refused_host_keeps_the_password_written_into_it_to_itself(connection):
    connection("bearer_token", host=f"http://{SECRETS['login']}:{SECRETS['password']}@x.example")
    refusal()
