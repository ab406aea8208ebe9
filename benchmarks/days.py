"""How long the page Days takes for a year of 100 accounts: cold, as in an API server that has just started,
and warm, S3 answering at once and after 25 ms.

    python -m benchmarks.days

The goal is 1 s for a warm page: two lists, and what Python does with 36,500 accounts of a day whose status
changes all the time. Airflow's database has no run of the year; permissions are not checked.
"""

import sys
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.deployment import deployed, put, slow_s3

YEAR, ACCOUNTS = 2025, 100
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
DAYS = [str(date(YEAR, 1, 1) + timedelta(days=number)) for number in range(365)]
HANDLES = [f"account_{number:03}" for number in range(ACCOUNTS)]
GOAL = 1.0
PROOFS = ("matched", "matched", "matched", "limited", "short", "unchecked")


def account(handle: str, number: int) -> dict[str, Any]:
    is_away = number % 97 == 0
    rows = 0 if is_away or number % 11 == 0 else number % 100
    return {
        "username": handle,
        "id": str(number),
        "outcome": "unavailable" if is_away else "complete",
        "reason": "X: User has been suspended: [account]." if is_away else None,
        "proof": "unchecked" if is_away else PROOFS[number % len(PROOFS)],
        "counted": None,
        "fetched": rows,
        "published": rows,
        **dict.fromkeys(("rejected", "duplicates", "outside", "over_limit", "unrequested"), 0),
        **{"rejected_by_reason": {}, "warnings": [], "dropped_fields": {}, "drift": {}},
        "first_created_at": None,
        "last_created_at": None,
    }


def receipt(day: str, number: int) -> dict[str, Any]:
    accounts = [account(handle, number * 7 + place) for place, handle in enumerate(HANDLES)]
    rows = sum(one["published"] for one in accounts)
    return {
        "day": day,
        "versions": {"code": "0", "contract": "0"},
        "buy": 1,
        "closed_at": f"{day}T23:59:59Z",
        "spec": {"handles": HANDLES, "tweet_limit": 100},
        "bought": {"posts": rows},
        "cost_usd": rows * 5 / 1000,
        "totals": {
            "accounts": ACCOUNTS,
            "unavailable": sum(one["outcome"] == "unavailable" for one in accounts),
            "fetched": rows,
            "published": rows,
            **dict.fromkeys(("rejected", "duplicates", "outside", "over_limit", "warnings"), 0),
            **{"proof": {}, "drift": []},
        },
        "accounts": accounts,
        "objects": {},
    }


def entry(day: str, mills: int) -> dict[str, Any]:
    spent = {"reserved_mills": mills, "spent_mills": mills, "bought": {"posts": mills // 5}}
    return {"day": day, "buy": 1, "month": day[:7], **spent}


def land(write: Any) -> None:
    """A year of receipts and ledger entries, as the pipeline leaves them."""
    for number, day in enumerate(DAYS):
        landed = receipt(day, number)
        write(f"twitter_receipts/dt={day}/receipt.json", landed)
        write(f"twitter_ledger/month={day[:7]}/{day}-1.json", entry(day, round(landed["cost_usd"] * 1000)))


def main() -> int:
    table = Table("page", "S3", "cache", "seconds", "bytes", "goal")
    missed = []
    with deployed() as there:
        from airflow.utils.db import initdb

        initdb()
        from include.twitter.day import Day
        from include.twitter_features.days_page import day_range, landed_days, routes, view_models

        def timed(name: str, s3_ms: int, cache: str) -> None:
            first = {"year": Day.parse(f"{YEAR}-01-01"), "month": Day.parse(f"{YEAR}-11-01")}[name]
            if cache == "cold":
                day_range.store_of.cache_clear()
                landed_days._cache.clear()
            began = monotonic()
            values = getattr(view_models, f"{name}_view")(first, NOW, view_models.Choice())
            text = routes.pages.get_template(f"{name}.html").render(root="", airflow="", **values)
            seconds = monotonic() - began
            goal = GOAL if cache == "warm" else None
            missed.extend([name] if goal and seconds >= goal else [])
            row = (name, f"{s3_ms} ms", cache, f"{seconds:.2f}", f"{len(text.encode()):,}", str(goal or ""))
            table.add_row(*row)

        put(handles=",".join(HANDLES))
        land(there.write)
        for name in ("year", "month"):
            for cache in ("cold", "warm"):
                timed(name, 0, cache)
        with slow_s3(0.025):
            for name in ("year", "month"):
                for cache in ("cold", "warm"):
                    timed(name, 25, cache)
    Console(width=100).print(table)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
