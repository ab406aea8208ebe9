"""The page "Days" in Airflow's UI, of include/twitter_features/days_page.

Every component of Airflow imports its plugins: the page is imported at the first request.
"""

import asyncio
from importlib import import_module
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/twitter_days"
HREF = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/") + PREFIX + "/"
ROUTES = "include.twitter_features.days_page.routes"
LOADING = (
    b'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
    b'<meta http-equiv="refresh" content="0"><title>Days</title>'
    b'<p role="status">Days is being loaded \xe2\x80\xa6</p>'
)
LOADING_HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'self'"),
]

is_requested = Event()
"""Whether this process has started to import the page."""


async def site(scope: Any, receive: Any, send: Any) -> None:
    """The page's application; Airflow mounts it without authentication, so it checks Airflow's rights itself.

    The import takes seconds on a small host. The first browser gets a message that loads the page again.
    """
    is_first = not is_requested.is_set()
    is_requested.set()
    if is_first and _is_from_a_browser(scope):
        Thread(target=import_module, args=(ROUTES,), daemon=True).start()
        await send({"type": "http.response.start", "status": 202, "headers": LOADING_HEADERS})
        await send({"type": "http.response.body", "body": LOADING})
        return
    app = (await asyncio.to_thread(import_module, ROUTES)).app
    await app(scope, receive, send)


def _is_from_a_browser(scope: Any) -> bool:
    accepts = (value for name, value in scope.get("headers", ()) if name == b"accept")
    return scope.get("method") == "GET" and any(b"text/html" in value for value in accepts)


class TwitterDays(AirflowPlugin):
    name = "twitter_days"
    fastapi_apps = [{"app": site, "url_prefix": PREFIX, "name": "Twitter days"}]  # noqa: RUF012 - as Airflow asks
    external_views = [  # noqa: RUF012
        {"name": "Days", "href": HREF, "destination": "nav", "url_route": "days", "nav_top_level": True},
        {"name": "Days", "href": HREF, "destination": "dag", "url_route": "days_of_dag"},
    ]
