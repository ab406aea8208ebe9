"""The page Days without Airflow's server: over a bucket in memory, with invented runs."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.routing import Mount

from include.twitter.records import PublishedObject, encoded
from include.twitter_features.days_page import airflow_db, day_range, routes
from include.twitter_features.days_page.airflow_db import DayRun
from tests.include.factories import MemoryStore, a_receipt, account_receipt

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PREFIX = "/twitter_days"
HOSTILE = "2019-07-20"
EVIL = "<script>alert(2)</script>"
POSTS = [
    "<script>parent.document.title = 'taken'</script><img src=x onerror=alert(1)>",
    "abc\u202edesrever\u2066 and \u2069 left",
    "{{ 7 * 7 }} {% raw %} ' \" &lt;b&gt;",
]


@contextmanager
def days_app(store: MemoryStore, runs: dict[str, list[DayRun]] | None = None) -> Iterator[Starlette]:
    """The page, mounted as Airflow mounts it, open to everybody. Variables come from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_VAR_TWITTER_BUCKET", store.bucket)
        patch.setattr(day_range, "store_of", lambda *_: store)
        patch.setattr(airflow_db, "runs_by_day", lambda first, last: runs or {})
        patch.setattr(airflow_db, "failed_tasks", lambda run: ["load"])
        patch.setattr(routes.airflow_context, "now", lambda: NOW)
        for dependency in routes.app.router.dependencies:
            patch.setitem(routes.app.dependency_overrides, dependency.dependency, lambda: None)
        yield Starlette(routes=[Mount(PREFIX, routes.app)])


def land_hostile_day(store: MemoryStore) -> str:
    """Land a day whose posts, account and reasons were written to do harm."""
    account = account_receipt(EVIL, 3, outcome="unavailable", reason=f"{EVIL} \u202egone")
    objects = {EVIL: PublishedObject(key=EVIL, bytes=1, sha256="", etag="")}
    receipt = replace(a_receipt(account), day=HOSTILE, objects=objects)
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["created_at", "username", "text", "likes"])
    rows.writerows([f"{HOSTILE}T09:00:00Z", EVIL, post, EVIL] for post in POSTS)
    store.write(f"twitter/dt={HOSTILE}/refined_tweets.csv", table.getvalue().encode())
    store.write(f"twitter_receipts/dt={HOSTILE}/receipt.json", encoded(receipt))
    return HOSTILE
