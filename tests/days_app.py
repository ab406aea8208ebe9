"""The page Days without Airflow's server: over a bucket in memory, with invented runs."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from include.twitter_features.days_page import airflow_db, day_range, routes
from include.twitter_features.days_page.airflow_db import DayRun
from tests.include.invented import MemoryLake

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
def days_app(store: MemoryLake, runs: dict[str, list[DayRun]] | None = None) -> Iterator[Starlette]:
    """The page, mounted as Airflow mounts it, open to everybody. Variables come from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(day_range, "current_store", lambda: store)
        patch.setattr(airflow_db, "runs_by_day", lambda first, last: runs or {})
        patch.setattr(airflow_db, "failed_tasks", lambda run: ["load"])
        patch.setattr(routes.run, "now", lambda: NOW)
        for dependency in routes.app.router.dependencies:
            patch.setitem(routes.app.dependency_overrides, dependency.dependency, lambda: None)
        yield Starlette(routes=[Mount(PREFIX, routes.app)])


def land_hostile_day(lake: MemoryLake) -> str:
    """Land a day whose posts, account and reasons were written to do harm."""
    account = {
        **{"username": EVIL, "id": "1", "outcome": "unavailable", "reason": f"{EVIL} \u202egone"},
        **{"proof": "unchecked", "counted": None, "fetched": 3, "published": 3},
        **dict.fromkeys(("rejected", "duplicates", "outside", "over_limit", "unasked"), 0),
        **{"rejected_by_reason": {}, "alarms": [], "drift": {}},
        **{"first_created_at": None, "last_created_at": None},
    }
    totals = {
        **{"accounts": 1, "unavailable": 1, "fetched": 3, "published": 3, "proof": {}, "drift": []},
        **dict.fromkeys(("rejected", "duplicates", "outside", "over_limit", "alarms"), 0),
    }
    receipt = {
        **{"day": HOSTILE, "versions": {}, "buy": 1, "closed_at": f"{HOSTILE}T23:00:00Z", "cost_usd": 0.01},
        **{"asked": {"handles": [EVIL], "tweet_limit": 0}, "bought": {}, "totals": totals},
        **{"accounts": [account], "objects": {EVIL: {"key": EVIL, "bytes": 1, "sha256": "", "etag": ""}}},
    }
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["created_at", "username", "text", "likes"])
    rows.writerows([f"{HOSTILE}T09:00:00Z", EVIL, post, EVIL] for post in POSTS)
    lake.write(f"twitter/dt={HOSTILE}/refined_tweets.csv", table.getvalue().encode())
    lake.write(f"twitter_receipts/dt={HOSTILE}/receipt.json", json.dumps(receipt).encode())
    return HOSTILE
