"""100,000 posts of 100 accounts, refined to CSV, Parquet and receipt: `python -m benchmarks.refine`.

The raw answers are those of the stand-in for X, packed as they are staged, on the local disk. A process of
its own refines them: its CPU seconds, imports included, and its peak memory are told. The goal: 8 s, 350 MB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

ACCOUNTS, POSTS = 100, 1000
DAY = "2026-11-18"


def stage(folder: Path) -> int:
    """Write what 100 walks would stage; returns the bytes of the answers before packing."""
    from starlette.testclient import TestClient

    from include.twitter.answer import Answer
    from include.twitter.day import Day
    from include.twitter.x_api import POST_FIELDS
    from local.x_api import BEARER_TOKEN, posts
    from local.x_api.app import StandIn, create_app

    x = TestClient(create_app(StandIn()), headers={"Authorization": f"Bearer {BEARER_TOKEN}"})
    day, total = Day.parse(DAY), 0
    for number in range(ACCOUNTS):
        handle = f"posts_{POSTS}_{number:02}"
        x.get("/2/users/by", params={"usernames": handle})
        asked = {
            "max_results": "100",
            "exclude": "retweets,replies",
            "start_time": f"{day.start:%Y-%m-%dT%H:%M:%SZ}",
            "end_time": f"{day.end:%Y-%m-%dT%H:%M:%SZ}",
            "tweet.fields": ",".join(POST_FIELDS),
        }
        path, page = f"/2/users/{posts.user_id(handle)}/tweets", 0
        while page == 0 or "pagination_token" in asked:
            page += 1
            said = x.get(path, params=asked).content
            answer = Answer(path, asked, datetime(2026, 11, 19, 2, tzinfo=UTC), said)
            (folder / f"{handle}-{posts.user_id(handle)}-{page:02}.json.gz").write_bytes(answer.packed())
            total += len(said)
            asked.pop("pagination_token", None)
            if answer.next_token:
                asked["pagination_token"] = answer.next_token
    return total


def refine(folder: Path, out: Path) -> None:
    """What `transform` does between reading and writing S3; prints what it took."""
    from itertools import groupby

    from include.twitter import receipt
    from include.twitter.answer import Answer
    from include.twitter.day import Day
    from include.twitter.partition import Partition, fingerprint
    from include.twitter.refine import Source, batches

    pages = groupby(sorted(folder.iterdir()), key=lambda page: page.name.split("-")[:2])
    sources = (
        Source(handle, id_, (Answer.unpacked(page.read_bytes()) for page in some))
        for (handle, id_), some in pages
    )
    lines = []
    with Partition(out) as partition:
        for batch in batches(sources, day=Day.parse(DAY), limit=0):
            partition.append(batch)
            for tally in batch.tallies:
                about = dict.fromkeys(("username", "id", "outcome", "reason", "proof", "counted"))
                lines.append(receipt.entry({**about, "posts": tally.counts["fetched"]}, tally))
    prints = [fingerprint(file) for file in partition.files.values()]
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{sum(line['fetched'] for line in lines):,} posts → "
        f"{sum(line['published'] for line in lines):,} rows, "
        f"{prints[0]['bytes'] / 1e6:.0f} MB CSV, {prints[1]['bytes'] / 1e6:.0f} MB Parquet: "
        f"{used.ru_utime + used.ru_stime:.1f} s of process time, {used.ru_maxrss / 1024:.0f} MB at the peak"
    )


def main() -> None:
    with TemporaryDirectory() as made:
        raw, out = Path(made, "raw"), Path(made, "out")
        raw.mkdir()
        out.mkdir()
        begun = time.monotonic()
        size = stage(raw)
        print(f"{size / 1e6:.0f} MB of raw answers made in {time.monotonic() - begun:.0f} s")
        subprocess.run([sys.executable, "-m", "benchmarks.refine", str(raw), str(out)], check=True)


if __name__ == "__main__":
    refine(Path(sys.argv[1]), Path(sys.argv[2])) if len(sys.argv) == 3 else main()
