"""What a month costs: 30 days of 10 accounts, on the usual bad days, against the posts that landed.

    python -m benchmarks.month

Each day runs at 02:00 of the next one. Some meet outages in the middle of a walk, an empty page, a short
account; on every fifth, `transform` and `load` are cleared and run again; one landed day is bought anew.
"""

import sys
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.deployment import StandIns, deployed, put

HANDLES = (
    "acme_press, orbital_news, quiet_garden, posts_60_a, posts_120_b, "
    "posts_95_c, posts_12_d, posts_3_e, the_baker, the_miller"
)
FIRST, DAYS, RERUN = date(2026, 11, 1), 30, 10
POST, USER, COUNT = 5, 10, 5  # mills
TIMELINE = r"/2/users/\d+/tweets"
BAD_DAYS: dict[int, list[dict[str, Any]]] = {
    4: [{"match": TIMELINE, "status": 503, "skip": 5}],
    9: [{"match": TIMELINE, "reset": True, "skip": 7}, {"match": "counts", "status": 502, "body": "<html>"}],
    12: [{"match": TIMELINE, "empty_page": True}],
    15: [{"match": TIMELINE, "drop_posts": 2, "skip": 6}],
    18: [{"match": TIMELINE, "repeat_posts": 5, "skip": 10, "times": 3}],
    20: [{"match": "counts", "count_off_by": 2, "times": 2}],
    24: [{"status": 500, "body": "", "skip": skip} for skip in (3, 6)],
}


def a_day(x: StandIns, number: int) -> Counter[str]:
    """Run day `number` of the month; returns what happened how often."""
    from include.twitter import stages
    from include.twitter.day import Day
    from include.twitter.errors import TryLater
    from include.twitter.run import Run

    day = Day(FIRST + timedelta(days=number - 1))
    moment: datetime = day.end + timedelta(hours=2)
    x.clock(moment)
    x.order("faults", BAD_DAYS.get(number, []))
    happened: Counter[str] = Counter()
    attempt = 0
    for _ in range(2 if number == RERUN else 1):
        while True:
            attempt += 1
            run = Run(day, f"day{number:02}", attempt, lambda: moment)
            try:
                bought = stages.extract(run)
                break
            except TryLater:
                happened["tries of extract that failed"] += 1
        for _ in range(2 if number % 5 == 0 else 1):
            stages.load(run, stages.transform(run, bought))
            happened["transform and load"] += 1
    x.order("faults", [])
    return happened


def explained(x: StandIns) -> tuple[int, int, list[tuple[str, int, int]]]:
    """Mills in the ledger, posts landed, and the rest: what, how many, at how many mills."""
    ledger = [x.json(key) for key in x.keys("twitter_ledger/")]
    receipts = [x.json(key) for key in x.keys("twitter_receipts/")]
    manifests = {
        (m["run"], m["buy"]): m
        for m in (x.json(key) for key in x.keys("twitter_raw/") if key.endswith("manifest.json"))
    }
    final = {(r["purchase"]["run"], r["purchase"]["buy"]): r for r in receipts}
    spare: Counter[str] = Counter()
    for purchase, receipt in final.items():
        lines = {line["username"]: line for line in manifests[purchase]["accounts"]}
        for account in receipt["accounts"]:
            again = any("/search-" in page for page in lines[account["username"]]["pages"])
            spare["again" if again else "edits"] += account["duplicates"]
            for name in ("outside", "over_limit", "rejected"):
                spare[name] += account[name]
    replaced = sum(m["bought"]["posts"] for name, m in manifests.items() if name not in final)
    rest = [
        ("users looked up", sum(entry["users"] for entry in ledger), USER),
        ("counts", sum(entry["counts"] for entry in ledger), COUNT),
        ("earlier versions of edited posts, and repeated posts", spare["edits"], POST),
        ("posts read again of accounts that came short", spare["again"], POST),
        ("posts of the next midnight", spare["outside"], POST),
        ("posts over the limit", spare["over_limit"], POST),
        ("posts that broke the contract", spare["rejected"], POST),
        (f"posts of day {RERUN}, bought anew", replaced, POST),
    ]
    landed = sum(receipt["totals"]["published"] for receipt in receipts)
    return sum(entry["spent_mills"] for entry in ledger), landed, rest


def served(x: StandIns) -> int:
    """Mills that X would bill for what it has served."""
    good = [request for request in x.requests() if request["status"] == 200]
    counts = sum("/counts/" in request["path"] for request in good)
    return sum(r["posts"] * POST + r["users"] * USER for r in good) + counts * COUNT


def main() -> int:
    with deployed() as x:
        put(handles=HANDLES, tweet_limit=100)
        happened: Counter[str] = Counter()
        for number in range(1, DAYS + 1):
            happened += a_day(x, number)
        spent, landed, rest = explained(x)
        billed = served(x)
    unexplained = spent - landed * POST - sum(number * price for _, number, price in rest)
    table = Table("a month of 10 accounts", "number", "dollars", "of the landed")
    lines = [("posts landed", landed, POST), *rest, ("not explained", unexplained, 1)]
    for name, number, price in lines:
        share = f"{number * price / (landed * POST):8.4f}"
        table.add_row(name, str(number), f"{number * price / 1000:8.3f}", share)
    table.add_row("ledger", "", f"{spent / 1000:8.3f}", f"{spent / (landed * POST):8.4f}", style="bold")
    table.add_row("served by the stand-in", "", f"{billed / 1000:8.3f}", f"{billed / (landed * POST):8.4f}")
    console = Console(width=110)
    console.print(table)
    console.print(", ".join(f"{name}: {number}" for name, number in happened.items()))
    return int(unexplained != 0 or spent != billed)


if __name__ == "__main__":
    sys.exit(main())
