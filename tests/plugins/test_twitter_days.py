"""The plugin, as each component of Airflow imports it."""

import asyncio
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plugin(monkeypatch) -> ModuleType:
    """The plugin as it is before the first request, over an application that answers 200."""
    spec = spec_from_file_location("twitter_days_of_a_test", ROOT / "plugins" / "twitter_days.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    monkeypatch.setattr(module, "import_module", lambda name: SimpleNamespace(app=app))
    return module


def status(plugin: ModuleType, accept: bytes) -> int:
    sent = []

    async def send(message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"accept", accept)]}
    asyncio.run(plugin.site(scope, None, send))
    if sent[0]["status"] == 202:
        assert b'http-equiv="refresh"' in sent[1]["body"]
    return sent[0]["status"]


def test_a_browser_that_comes_first_sees_at_once_that_the_page_is_being_loaded(plugin):
    assert [status(plugin, b"text/html,*/*;q=0.8") for _ in range(2)] == [202, 200]


def test_who_is_no_browser_waits_for_the_answer(plugin):
    assert [status(plugin, accept) for accept in (b"*/*", b"text/html")] == [200, 200]
