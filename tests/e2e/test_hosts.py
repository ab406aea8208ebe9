"""The servers of the local stack reject foreign web pages, and clients without the password."""

import httpx
import psutil
import pytest

from local.stack import MARK

pytestmark = pytest.mark.live

FOREIGN = [
    {"Host": "rebound.example"},
    {"Host": "rebound.example:{port}"},
    {"Origin": "http://rebound.example"},
]
PATHS = [
    "/", "/api/v2/dags", "/api/v2/monitor/health", "/execution/health", "/auth/token", "/auth/token/login",
    "/twitter_days/", "/ui/config", "/static/", "/health", "/latest/meta-data/", "/_control/requests",
    "/2/users/by", "/_ministack/health", "/_ministack/config",
]  # fmt: skip


@pytest.fixture(scope="session")
def ports(stack) -> set[int]:
    """All ports on which processes of the stack listen."""
    listening = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(stack.state):
                connections = process.net_connections("inet")
                listening |= {one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
    assert len(listening) >= 4
    return listening


@pytest.mark.parametrize("foreign", FOREIGN, ids=str)
def test_every_server_rejects_a_foreign_web_page_on_every_path(ports, foreign):
    for port in ports:
        headers = {name: value.format(port=port) for name, value in foreign.items()}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=60
        ) as page:
            statuses = {path: page.get(path).status_code for path in PATHS}
            statuses |= {f"POST {path}": page.post(path).status_code for path in PATHS}
        assert set(statuses.values()) == {403}, (port, statuses)


def test_without_the_password_nobody_gets_a_token_or_an_answer(stack):
    with httpx.Client(base_url=stack.url, trust_env=False, timeout=60) as stranger:
        assert stranger.get("/auth/token").status_code == 403
        assert stranger.get("/auth/token/login").status_code == 403
        for given in ({"username": "admin", "password": ""}, {"username": "admin", "password": "admin"}, {}):
            assert stranger.post("/auth/token", json=given).status_code in (400, 401, 422)
        assert stranger.get("/api/v2/dags").status_code == 401
        assert stranger.get("/twitter_days/").status_code == 401
        assert "_token" not in stranger.cookies
