"""A foreign web page cannot reach the servers on this machine."""

import asyncio

import pytest

from local import environment
from local.hosts import LoopbackOnly

HOST = "127.0.0.1:8080"


def raw_response(headers: list[tuple[str, str]], kind: str = "http") -> str:
    """`served`, or what the request is answered with."""
    sent: list = []

    async def app(scope, receive, send):
        sent.append("served")

    async def send(message):
        sent.append(message.get("status") or message.get("code"))

    scope = {"type": kind, "headers": [(name.lower().encode(), value.encode()) for name, value in headers]}
    asyncio.run(LoopbackOnly(app)(scope, None, send))
    return sent[0]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost:8080", "127.0.0.1", "LOCALHOST:1", "localhost"]
)
def test_this_machine_is_served(host):
    assert raw_response([("Host", host)]) == "served"
    assert raw_response([("Host", host), ("Origin", f"http://{host}")]) == "served"
    assert raw_response([("Host", host), ("Origin", f"https://{host}")]) == "served"


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example:8080", "127.0.0.1.rebound.example", "rebound.example#127.0.0.1", "localhost.",
        "a@127.0.0.1", "127.0.0.1:8080, rebound.example", "127.0.0.1:rebound", "127.0.0.2", "0.0.0.0:8080",
        "xlocalhost", "bucket.localhost", "[::1]:8080", "127.0.0.1\n", " 127.0.0.1", "",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("kind", "refused"), [("http", 403), ("websocket", 1008)])
def test_another_host_is_refused(host, kind, refused):
    assert raw_response([("Host", host)], kind) == refused


def test_a_request_without_a_host_or_with_two_is_refused():
    assert raw_response([]) == 403
    assert raw_response([("Host", HOST), ("Host", "rebound.example")]) == 403


@pytest.mark.parametrize(
    "origin",
    ["http://rebound.example", "null", "http://127.0.0.1:3000", "http://localhost:8080", "", f"ftp://{HOST}"],
)
@pytest.mark.parametrize(("kind", "refused"), [("http", 403), ("websocket", 1008)])
def test_the_page_of_another_server_is_refused(origin, kind, refused):
    assert raw_response([("Host", HOST), ("Origin", origin)], kind) == refused
    assert raw_response([("Host", HOST), ("Origin", f"http://{HOST}"), ("Origin", origin)], kind) == refused


def test_the_start_and_end_of_a_server_pass():
    assert raw_response([], "lifespan") == "served"


def test_airflow_is_behind_the_check_and_a_password(tmp_path):
    settings = environment.airflow_settings(tmp_path, 8081, tmp_path, {})
    assert settings["AIRFLOW__CORE__AUTH_MANAGER"] == "local.ui_login.LocalAuthManager"
    assert "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS" not in settings


def test_the_password_is_made_once_for_each_state_directory_and_read_by_its_owner_alone(tmp_path):
    def password(name: str) -> str:
        state = tmp_path / name
        state.mkdir(exist_ok=True)
        environment.airflow_settings(state, 1, state, {})
        return environment.ui_password(state)

    assert password("one") == password("one")
    assert password("one") != password("two")
    assert len(password("one")) >= 16
    assert (tmp_path / "one" / "ui_password.json").stat().st_mode & 0o777 == 0o600
