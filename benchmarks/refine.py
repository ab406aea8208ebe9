"""Seeded pages of a day, and what `transform` does with them between reading and writing S3.

    python -m benchmarks.refine PAGES ACCOUNTS POSTS    makes them, as staged, and as JSON Lines beside
    python -m benchmarks.refine PAGES OUT               refines them to CSV, Parquet, rejects and receipt

They are those of the stand-in for X, with what X adds for a publisher.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DAY = "2026-11-18"

CARD = {
    "title": "The night the harbour lights were counted again, and what the counters found",
    "description": "Twelve keepers, one ledger and a tide that would not wait: " * 5,
    "status": 200,
    "images": [
        {"url": f"https://pbs.twimg.com/news_img/1990000000000000000/Xy12Ab?{form}", "width": w, "height": h}
        for form, w, h in (("format=jpg&name=orig", 1200, 630), ("format=jpg&name=150x150", 150, 150))
    ],
}
"""What X adds to a link to a page that has a card."""
ANNOTATIONS = [
    {"start": 0, "end": 8, "probability": 0.9346, "type": "Place", "normalized_text": "Karst Bay"},
    {"start": 10, "end": 17, "probability": 0.8121, "type": "Organization", "normalized_text": "Heron-4"},
]


def stage(folder: Path, accounts: int, posts_each: int) -> None:
    """Write what a walk of each account would stage, and all answers as they came, one a line."""
    from starlette.testclient import TestClient

    from include.twitter.day import Day
    from include.twitter.response import Response
    from include.twitter.x.client import POST_FIELDS
    from local.x_api import BEARER_TOKEN, posts
    from local.x_api.app import StandIn, create_app

    x = TestClient(create_app(StandIn()), headers={"Authorization": f"Bearer {BEARER_TOKEN}"})
    day, lines = Day.parse(DAY), folder.with_suffix(".jsonl").open("wb")
    folder.mkdir()
    for number in range(accounts):
        handle = f"posts_{posts_each}_{number:02}"
        x.get("/2/users/by", params={"usernames": handle})
        params = {
            "max_results": "100",
            "exclude": "retweets,replies",
            "start_time": f"{day.start:%Y-%m-%dT%H:%M:%SZ}",
            "end_time": f"{day}T23:59:59Z",
            "tweet.fields": ",".join(POST_FIELDS),
        }
        path, page = f"/2/users/{posts.user_id(handle)}/tweets", 0
        while page == 0 or "pagination_token" in params:
            page += 1
            body_bytes = enriched(x.get(path, params=params).content)
            response = Response(path, params, datetime(2026, 11, 19, 2, tzinfo=UTC), body_bytes)
            (folder / f"{handle}-{posts.user_id(handle)}-{page:02}.json.gz").write_bytes(response.to_bytes())
            lines.write(body_bytes + b"\n")
            params.pop("pagination_token", None)
            if response.next_token:
                params["pagination_token"] = response.next_token
    lines.close()


def enriched(body_bytes: bytes) -> bytes:
    """A page as X answers for a publisher: cards of links, annotations, every twentieth post a long one."""
    body = json.loads(body_bytes)
    for number, post in enumerate(body.get("data", ())):
        shown = post.get("note_tweet", post)
        if number % 20 == 0 and shown is post:
            _lengthen(post)
            shown = post["note_tweet"]
        entities = shown.setdefault("entities", {})
        if number % 3 and "attachments" not in post and not entities.get("urls"):
            _link(shown, f"https://t.co/{post['id'][-10:]}", f"https://news.example.org/{post['id']}")
        for link in entities.get("urls", ()):
            if "media_key" not in link:
                link |= CARD | {"unwound_url": f"{link['expanded_url']}?utm_source=x&utm_medium=social"}
        if number % 2:
            entities["annotations"] = ANNOTATIONS
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _lengthen(post: dict[str, Any]) -> None:
    """Make it a long post: the whole of it in the note, and a cut form that links to itself."""
    note = {name: post.pop(name) for name in ("text", "entities") if name in post}
    note["text"] += "\n\n" + " &amp; ".join([note["text"]] * (1_500 // len(note["text"])))
    post |= {"text": note["text"][:270] + "… ", "note_tweet": note}
    _link(post, f"https://t.co/{post['id'][-9:]}", f"https://twitter.com/i/web/status/{post['id']}")


def _link(shown: dict[str, Any], url: str, expanded: str) -> None:
    """Add a link to the end of a text."""
    start = len(shown["text"]) + 1
    entity = {"start": start, "end": start + len(url), "url": url, "expanded_url": expanded}
    shown["text"] += f" {url}"
    shown.setdefault("entities", {}).setdefault("urls", []).append(entity | {"display_url": expanded[8:35]})


def refine(folder: Path, out: Path) -> None:
    """What `transform` does between reading and writing S3."""
    import gc
    from itertools import groupby

    from include.twitter.day import Day
    from include.twitter.records import AccountOutcome, Manifest, PublishedObject, encoded
    from include.twitter.response import Response
    from include.twitter.transform import receipt
    from include.twitter.transform.files import Partition, fingerprint
    from include.twitter.transform.refine import AccountPages, refine_accounts

    gc.freeze()
    out.mkdir(exist_ok=True)
    pages = groupby(sorted(folder.iterdir()), key=lambda page: page.name.split("-")[:2])
    sources = (
        AccountPages(handle, id_, (Response.from_bytes(page.read_bytes()) for page in some))
        for (handle, id_), some in pages
    )
    entries = []
    with Partition(out) as partition:
        for batch in refine_accounts(sources, day=Day.parse(DAY), limit=0):
            partition.append(batch)
            for counts in batch.counts_by_account:
                read = AccountOutcome(
                    username=counts.username, id=None, outcome="complete", reason=None, proof="unchecked",
                    counted=None, posts=counts.counts["fetched"], limit=0, pages=[],
                )  # fmt: skip
                entries.append(receipt.entry(read, counts))
    objects = {
        name: PublishedObject(key=file.name, **fingerprint(file), etag="")
        for name, file in partition.files.items()
    }
    manifest = Manifest(day=DAY, buy=1, opened_by="", opened_at=datetime(2026, 11, 19, 2, tzinfo=UTC))
    (out / "receipt.json").write_bytes(encoded(receipt.of(manifest, entries, objects)))


if __name__ == "__main__":
    folder, *more = sys.argv[1:]
    refine(Path(folder), Path(*more)) if len(more) == 1 else stage(Path(folder), *map(int, more))
