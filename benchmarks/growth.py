"""How time, memory and requests grow with a day: 100 to 1,000,000 posts, 1 to 1,000 accounts.

    python -m benchmarks.growth        (`make bench-growth` installs what it needs first)

Each stage runs as a process of its own on the stand-ins for AWS and X, and reports its CPU time beyond
imports, its peak memory and its requests. The result is the exponent by which each grows, over all sizes and
over the last step. It ends with exit code 1 where one is above 1.1. It rewrites growth.md and growth.svg.

What is simulated: the stand-in makes 100,000 posts for `extract`. The million that is refined and loaded is
1,000 accounts that name a few copies of the pages of one: as many requests and as much to read, but the bytes
of one account.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import ChainMap, defaultdict
from datetime import UTC, datetime
from itertools import cycle
from math import log
from pathlib import Path
from statistics import linear_regression
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.deployment import StandIns, deployed, put
from benchmarks.measured import HERE, draw
from benchmarks.refine import DAY

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BOUGHT = ((1, 100), (10, 100), (100, 100), (1000, 100))
REFINED = (*BOUGHT, (1000, 1000))
"""Accounts, and posts of each."""
COPIES = 32
"""Of one account's pages: a page that is wanted again soon would not be read again."""
MOST = 1.1
"""The exponent that is linear still, as far as a measurement can tell."""
WHAT = {"cpu": "CPU s", "peak": "peak MB", "s3": "requests to S3", "x": "requests to X"}


def main() -> int:
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    with TemporaryDirectory() as folder, deployed() as there:
        there.clock(NOW)
        put(run_budget_usd=0, month_budget_usd=0, tweet_limit=0)
        for accounts, posts in BOUGHT:
            handles = [f"posts_{posts}_g{number}" for number in range(accounts)]
            there.delete("twitter_")
            there.forget()
            done = stage("extract", handles, None)
            results["extract"].append({**done, "x": len(there.requests()), "posts": accounts * posts})
        for accounts, posts in REFINED:
            handles = [f"account_{number}" for number in range(accounts)]
            there.delete("twitter_")
            bought = purchase(there, Path(folder), handles, posts)
            refined = stage("transform", handles, bought)
            landed = stage("load", handles, refined["done"])
            for name, done in (("transform", refined), ("load", landed)):
                results[name].append({**done, "posts": accounts * posts})
    lines, worst = table(results)
    met = "met" if worst <= MOST else "**missed**"
    goal = f"- {met}: nothing grows faster than linearly; the largest exponent is {worst:.2f}"
    print("\n".join([*lines, "", goal]))
    (HERE / "growth.md").write_text("\n".join([*HEAD, "", *lines, "", goal, ""]), encoding="utf-8")
    draw("growth", results)
    return int(worst > MOST)


def purchase(there: StandIns, folder: Path, handles: list[str], posts: int) -> dict[str, str]:
    """A closed purchase of these accounts, whose pages are one account's: what `extract` hands on."""
    from include.twitter.records import AccountOutcome, Manifest, encoded

    pages = folder / str(posts)
    if not pages.exists():
        subprocess.run([sys.executable, "-m", "benchmarks.refine", pages, "1", str(posts)], check=True)
    files = sorted(pages.iterdir())
    copies = [
        {f"twitter_raw/dt={DAY}/buy=1/{number}-{file.name}": file for file in files}
        for number in range(min(COPIES, len(handles)))
    ]
    for key, file in ChainMap(*copies).items():
        there.store(key, file.read_bytes())
    id_ = files[0].name.split("-")[1]
    read = [
        AccountOutcome(
            username=handle, id=id_, outcome="complete", reason=None, proof="unchecked", counted=None,
            posts=posts, limit=0, pages=[*pages],
        )
        for handle, pages in zip(handles, cycle(copies), strict=False)
    ]  # fmt: skip
    manifest = Manifest(
        day=DAY, buy=1, opened_by="", opened_at=NOW, closed_at=NOW, is_open=False, accounts=read
    )
    key = f"twitter_raw/dt={DAY}/buy=1/manifest.json"
    there.store(key, encoded(manifest))
    return {"manifest": key}


def stage(name: str, handles: list[str], given: Any) -> dict[str, Any]:
    """What a stage takes, in a process of its own."""
    put(handles=",".join(handles))
    command = [sys.executable, "-m", "benchmarks.growth", name, json.dumps(given)]
    stdout = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=1800).stdout
    done = json.loads(stdout.splitlines()[-1])
    print(f"{name}, {len(handles)} accounts: {done['cpu']:.2f} s, {done['peak']:.0f} MB", file=sys.stderr)
    return done


def run_stage(name: str, given: Any) -> None:
    """In that process: run it, and tell what it took and said."""
    import logging
    from importlib import import_module
    from resource import RUSAGE_SELF, getrusage
    from time import process_time

    from botocore.httpsession import URLLib3Session

    from include.twitter.airflow_context import Run
    from include.twitter.day import Day

    logging.disable(logging.WARNING)
    work, sent, send = getattr(import_module(f"include.twitter.{name}"), name), [], URLLib3Session.send
    URLLib3Session.send = lambda self, request: (sent.append(request.method), send(self, request))[1]
    run = Run(Day.parse(DAY), "growth", lambda: NOW)
    begun = process_time()
    done = work(run, given) if given else work(run)
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": process_time() - begun, "peak": peak, "s3": len(sent), "done": done}))


HEAD = (
    "# How it grows",
    "",
    "Written by `make bench-growth`. CPU seconds are those of a stage's own process beyond its imports. An "
    "exponent of 1 is linear: ten times as many posts take ten times as much.",
    "",
    "![CPU seconds, memory and requests by posts](growth.svg)",
)


def table(results: dict[str, list[dict[str, float]]]) -> tuple[list[str], float]:
    """The lines of a table, and the largest exponent in it."""
    sizes = [accounts * posts for accounts, posts in REFINED]
    lines = [f"| posts | {' | '.join(f'{size:,}' for size in sizes)} | exponent | last step |"]
    lines += ["|---" + "|--:" * (len(sizes) + 2) + "|"]
    worst = 0.0
    for name, sized in results.items():
        for measure, called in WHAT.items():
            points = [(one["posts"], one[measure]) for one in sized if one.get(measure)]
            if points:
                over_all, last = slope(points), slope(points[-2:])
                worst = max(worst, over_all, last)
                cells = [f"{value:,.{2 if measure == 'cpu' else 0}f}" for _, value in points]
                cells += [""] * (len(sizes) - len(cells)) + [f"{over_all:.2f}", f"{last:.2f}"]
                lines.append(f"| `{name}`, {called} | {' | '.join(cells)} |")
    return lines, worst


def slope(points: list[tuple[float, float]]) -> float:
    """The exponent of the power that fits best: a line through the logarithms."""
    return linear_regression(*zip(*((log(x), log(y)) for x, y in points), strict=True)).slope


if __name__ == "__main__":
    sys.exit(main() if len(sys.argv) == 1 else run_stage(sys.argv[1], json.loads(sys.argv[2])))
