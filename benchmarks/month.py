"""What a month costs: 30 days of 10 accounts, with what a month brings, against the posts that landed.

    python -m benchmarks.month

Each day runs at 02:00 of the next one. Some meet outages in the middle of a walk, an empty page, a short
account; one `extract` is killed with pages in flight. Stages of landed days are cleared, a new host takes
over the bucket, an account is added to landed days, one of them older than a week, and the limit is raised.
"""

import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from time import sleep
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.deployment import StandIns, deployed, put
from tests.drivers import MILLS, charges

HANDLES = (
    "acme_press, orbital_news, quiet_garden, posts_60_a, posts_120_b, "
    "posts_95_c, posts_12_d, posts_3_e, the_baker, the_miller"
)
FIRST, DAYS = date(2026, 11, 1), 30
GOAL = 1.06
UNASKED = {"earlier versions of edited posts", "posts of another day"}
"""What X sends beside the posts that were asked for: how much, is the stand-in's invention."""
TIMELINE = r"/2/users/\d+/tweets"
BAD_DAYS: dict[int, list[dict[str, Any]]] = {
    4: [{"match": TIMELINE, "status": 503, "skip": 5}],
    9: [
        {"match": TIMELINE, "reset": True, "skip": 7},
        {"match": "/counts/", "status": 502, "body": "<html>"},
    ],
    12: [{"match": TIMELINE, "empty_page": True}],
    15: [{"match": TIMELINE, "drop_posts": 2, "skip": 6}],
    18: [{"match": TIMELINE, "repeat_posts": 5, "skip": 10, "times": 3}],
    20: [{"match": "/counts/", "count_off_by": 2, "times": 2}],
    24: [{"status": 500, "body": "", "skip": skip} for skip in (3, 6)],
}
KILLED, SERVED_BEFORE_THE_KILL = 22, 8
LATER: dict[int, list[tuple[str, list[int]]]] = {
    5: [("clear of transform", [4, 5])],
    10: [("clear of extract", [9, 10]), ("clear of load", [10])],
    13: [("new host", [2, 11, 12])],
    16: [("account added", [7, 14, 15])],
    19: [("limit raised", [17, 18])],
    KILLED: [("retry after the manifest", [KILLED])],
    25: [("clear of extract", [24, 25]), ("clear of transform", [25])],
    30: [("another new host", [17, 18, KILLED, 30])],
}
"""What is done to which landed days, by the day of the month after which it is done."""
CHANGED = {"account added": {"handles": f"{HANDLES}, the_weaver"}, "limit raised": {"tweet_limit": 150}}
"""The Variables that are changed for it, and stay so. Where none is, nothing is missing: no request."""


class Month:
    """The runs of a month, and what happened how often."""

    def __init__(self, x: StandIns) -> None:
        self.x = x
        self.happened: Counter[str] = Counter()
        self.needless_requests = 0
        """Requests to X where nothing was missing."""
        self._bought: dict[int, dict[str, Any]] = {}
        self._staged: dict[int, dict[str, Any]] = {}
        self._now = datetime.min.replace(tzinfo=UTC)

    def day(self, number: int) -> None:
        """Land a day, then do what is done after it to others."""
        self._now = _day(number).end + timedelta(hours=2)
        self.x.order(*BAD_DAYS.get(number, []))
        if number == KILLED:
            self._kill(number)
        self._extract(number)
        self._refine(number)
        self.x.order()
        for event, numbers in LATER.get(number, []):
            put(**CHANGED.get(event, {}))
            before = len(self.x.requests())
            for each in numbers:
                self._later(event, each)
            if event not in CHANGED:
                self.needless_requests += len(self.x.requests()) - before

    def _later(self, event: str, number: int) -> None:
        name = "" if event.startswith(("clear", "retry")) else event
        if event == "clear of load":
            from include.twitter.load import load

            run = self._run(number, name)
            load(run, self._staged[number])
        else:
            if event != "clear of transform":
                self._extract(number, name)
            self._refine(number, name)
        self.happened[event] += 1

    def _extract(self, number: int, name: str = "") -> None:
        """As often as it has to be tried."""
        from airflow.sdk.exceptions import AirflowRescheduleException

        from include.twitter.errors import TransientError
        from include.twitter.extract import extract

        while True:
            try:
                self._bought[number] = extract(self._run(number, name))
                return
            except (TransientError, AirflowRescheduleException):
                self.happened["failed try of extract"] += 1
                self._now += timedelta(minutes=5)

    def _refine(self, number: int, name: str = "") -> None:
        from include.twitter.load import load
        from include.twitter.transform import transform

        run = self._run(number, name)
        self._staged[number] = transform(run, self._bought[number])
        load(run, self._staged[number])

    def _kill(self, number: int) -> None:
        """Kill a day's `extract` with pages in flight."""
        self.x.clock(self._now)
        self.x.latency(200)
        enough = len(self.x.requests()) + SERVED_BEFORE_THE_KILL
        process = get_context("spawn").Process(target=extract_alone, args=(number, self._now))
        process.start()
        while process.is_alive() and len(self.x.requests()) < enough:
            sleep(0.01)
        process.kill()
        process.join()
        sleep(1)  # X serves what is in flight
        self.x.latency(0)
        self.happened["kill of extract"] += 1
        self._now += timedelta(minutes=5)

    def _run(self, number: int, name: str) -> Any:
        self.x.clock(self._now)
        return _run(number, name, self._now)


def _day(number: int) -> Any:
    from include.twitter.day import Day

    return Day(FIRST + timedelta(days=number - 1))


def _run(number: int, name: str, now: datetime) -> Any:
    from include.twitter.airflow_context import Run

    return Run(_day(number), f"day{number:02}{name}".replace(" ", ""), lambda: now)


def extract_alone(number: int, now: datetime) -> None:
    """The first try of a day, in a process of its own."""
    from include.twitter.extract import extract

    extract(_run(number, "", now))


def bill(x: StandIns) -> list[tuple[str, str, int]]:
    """What X has served: the request, as what it is billed, and for how many."""
    lines = []
    for request in x.requests():
        name = _name(request["path"], request["query"])
        lines += [(name, kind, number) for kind, number in charges(request).items()]
    return lines


def staged(x: StandIns) -> dict[str, dict[str, Any]]:
    """The raw answers by key."""
    keys = [key for key in x.keys("twitter_raw/") if key.endswith(".gz")]
    return {key: x.json(key) for key in keys}


def _name(path: str, params: dict[str, str]) -> str:
    return f"{path} {sorted(params.items())}"


def explained(x: StandIns) -> tuple[int, list[tuple[str, int, int]]]:
    """Posts landed, and what else X has billed: what, how many, at how many mills."""
    responses = staged(x)
    stored = Counter(_name(a["request"]["path"], a["request"]["params"]) for a in responses.values())
    billed: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for name, kind, number in bill(x):
        (billed if stored[name] else lost)[kind] += number
        stored[name] -= 1
    receipts = [x.json(key) for key in x.keys("twitter_receipts/")]
    became: Counter[str] = Counter()
    for receipt in receipts:
        became.update({name: value for name, value in receipt["totals"].items() if isinstance(value, int)})
    manifests = [x.json(key) for key in x.keys("twitter_raw/") if key.endswith("manifest.json")]
    pages = [
        [post["id"] for page in account["pages"] for post in responses[page]["body"].get("data", [])]
        for manifest in manifests
        for account in manifest["accounts"]
    ]
    twice = sum(len(ids) - len(set(ids)) for ids in pages)
    return became["published"], [
        ("users looked up", billed["users"], MILLS["users"]),
        ("counts", billed["counts"], MILLS["counts"]),
        ("counts of the archive", billed["archive_counts"], MILLS["archive_counts"]),
        ("earlier versions of edited posts", became["duplicates"] - twice, MILLS["posts"]),
        ("posts that came twice", twice, MILLS["posts"]),
        ("posts of another day", became["outside"], MILLS["posts"]),
        ("posts over the limit", became["over_limit"], MILLS["posts"]),
        ("retweets and replies", became["unrequested"], MILLS["posts"]),
        ("posts that broke the contract", became["rejected"], MILLS["posts"]),
        *((f"{kind} in flight at the kill", number, MILLS[kind]) for kind, number in lost.items()),
    ]


def main() -> int:
    with deployed() as x:
        put(handles=HANDLES, tweet_limit=100)
        month = Month(x)
        for number in range(1, DAYS + 1):
            month.day(number)
        landed, rest = explained(x)
        billed = sum(number * MILLS[kind] for _, kind, number in bill(x))
        spent = sum(x.json(key)["spent_mills"] for key in x.keys("twitter_ledger/"))
    lost = sum(number * mills for item, number, mills in rest if "in flight" in item)
    unrequested = sum(number * mills for item, number, mills in rest if item in UNASKED)
    ratio = (billed - unrequested) / (landed * MILLS["posts"])
    unexplained = billed - landed * MILLS["posts"] - sum(number * mills for _, number, mills in rest)
    table = Table("a month of 10 accounts", "number", "dollars", "of the landed")

    def add(item: str, number: int | str, mills: int, **style: str) -> None:
        table.add_row(item, str(number), f"{mills / 1000:8.3f}", f"{mills / (landed * 5):8.4f}", **style)

    add("posts landed", landed, landed * MILLS["posts"])
    for item, number, mills in rest:
        add(item, number, number * mills)
    add("not explained", "", unexplained)
    add("billed by the stand-in", "", billed, style="bold")
    add("ledger", "", spent)
    console = Console(width=110)
    console.print(table)
    console.print(", ".join(f"{item}: {number}" for item, number in month.happened.items()))
    console.print(f"Without versions and other days: {ratio:.4f}, the goal is {GOAL}")
    console.print(f"Requests to X where nothing was missing: {month.needless_requests}")
    broken = unexplained != 0 or spent != billed - lost or month.needless_requests != 0
    return int(broken or ratio > GOAL)


if __name__ == "__main__":
    sys.exit(main())
