"""The page "Days" in Airflow's UI, over include/twitter/page.

Every component of Airflow imports its plugins; what this one serves is imported when it is first asked for.
"""

import asyncio
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/twitter_days"
HREF = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/") + PREFIX + "/"


async def site(scope: Any, receive: Any, send: Any) -> None:
    """The page's application; it is mounted without Airflow's authentication, and asks for it itself."""
    app = (await asyncio.to_thread(import_module, "include.twitter.page.site")).app
    await app(scope, receive, send)


class TwitterDays(AirflowPlugin):
    name = "twitter_days"
    fastapi_apps = [{"app": site, "url_prefix": PREFIX, "name": "Twitter days"}]  # noqa: RUF012 - as Airflow asks
    external_views = [  # noqa: RUF012
        {"name": "Days", "href": HREF, "destination": "nav", "url_route": "days", "nav_top_level": True},
        {"name": "Days", "href": HREF, "destination": "dag", "url_route": "days_of_dag"},
    ]
