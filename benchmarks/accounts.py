"""How long `extract` takes for 100 accounts of one page each, X answering after 200 ms.

    python -m benchmarks.accounts

The goal is 6 s, look-ups and counts included. Eight readers need 100 × 0.2 s / 8 = 2.5 s for the pages,
0.2 s for the look-up, 0.2 s for the bearer token, and two rounds of group counts.
"""

import sys
from collections import Counter
from datetime import UTC, datetime
from time import monotonic

from rich.console import Console
from rich.table import Table

from benchmarks.deployment import StandIns, deployed, put

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GOAL = 6.0


def timed(x: StandIns, name: str, latency: int) -> tuple[float, Counter[str]]:
    """Wall seconds of an extract, and X's requests by path."""
    from include.twitter import stages
    from include.twitter.day import Day
    from include.twitter.run import Run

    x.order("latency", {"ms": latency})
    x.forget()
    began = monotonic()
    stages.extract(Run(Day.parse("2026-11-20"), name, 1, lambda: NOW))
    seconds = monotonic() - began
    paths = ("by" if r["path"].endswith("/by") else r["path"].split("/")[-1] for r in x.requests())
    return seconds, Counter({"tweets": "timeline"}.get(path, path) for path in paths)


def main() -> int:
    with deployed() as x:
        x.clock(NOW)
        put(handles=",".join(f"posts_30_n{number}" for number in range(100)), run_budget_usd=0)
        timed(x, "warm", 0)
        runs = [
            ("ids looked up", "first", 200, True),
            ("ids remembered", "second", 200, False),
            ("no latency", "third", 0, False),
        ]
        table = Table("extract of 100 accounts", "latency", "seconds", "goal", "requests at X")
        slowest = 0.0
        for label, name, latency, forget in runs:
            if forget:
                x.delete("twitter_accounts/")
            seconds, requests = timed(x, name, latency)
            slowest = max(slowest, seconds)
            told = ", ".join(f"{number} {path}" for path, number in sorted(requests.items()))
            table.add_row(label, f"{latency} ms", f"{seconds:.2f}", f"{GOAL:.0f}", told)
    Console(width=120).print(table)
    return int(slowest >= GOAL)


if __name__ == "__main__":
    sys.exit(main())
