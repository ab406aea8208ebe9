"""Above the boxes: landed posts are read again when they are so many days old, and what became of them.

`due` says which days at which age, `reading` asks X for what it has not answered yet, `seen` says what an
answer tells of each post, `table` is the promise to readers.
"""

from __future__ import annotations

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pyarrow
import pyarrow.parquet

from include.twitter import lake, settings
from include.twitter.day import ENGAGEMENT_RECEIPTS, RECEIPTS, Day, Revisit
from include.twitter.engagement import receipt, table
from include.twitter.engagement.due import due
from include.twitter.engagement.reading import Reading, forgotten, landed
from include.twitter.engagement.seen import seen
from include.twitter.errors import NothingStaged
from include.twitter.extract.money import Caps
from include.twitter.extract.x import X
from include.twitter.lake import Lake
from include.twitter.lease import held
from include.twitter.load.publish import publish_files
from include.twitter.pricing import dollars, would_have_cost
from include.twitter.records import EngagementReceipt, Revisited, encoded
from include.twitter.retry import no_try_for_progress
from include.twitter.run import Run, require_xcom, skip, wait_until
from include.twitter.transform import stage_files

__all__ = ["extract", "load", "transform"]

log = logging.getLogger(__name__)


def extract(run: Run) -> dict[str, Any]:
    """Ask X for the posts of each day that is due, and stage every answer as it arrives."""
    run.day.require_collectable(run.now())
    ages, caps, access = settings.engagement_days(), Caps(*settings.budgets().items()), settings.x_access()
    here = lake.deployed()
    wait_until(Revisit(run.day, 1).due_at, run.now(), "Late in the day of a purchase its posts are free")
    wanted, readings = _due(here, run.day, ages), list[Reading]()
    if not wanted:
        skip("No landed day is due to be read again")
    lake.require_conditional_writes(here)
    with (
        no_try_for_progress(lambda: any(each.got_further for each in readings), run.now),
        X(access, run.now, are_known=True) as x,  # what has landed was bought with them
    ):
        for each in wanted:  # one after the other: a post that was read for one age is free at the next
            with held(here, each.reading_lease, run) as lease:  # another Airflow may read the same
                readings.append(Reading(here, each, landed(here, each.day)))
                readings[-1].read(x, caps, run.now, lease)
    return {
        "revisited": [reading.revisit.manifest for reading in readings],
        "cost_usd": dollars(sum(reading.stored.total_mills for reading in readings)),
        "would_have_cost_usd": dollars(sum(would_have_cost(reading.stored.bought) for reading in readings)),
    }


def _due(here: Lake, day: Day, ages: list[int]) -> list[Revisit]:
    """What is due by the run for the day, of what has landed."""
    done = {*here.parsed(here.keys(ENGAGEMENT_RECEIPTS), Revisit.of_receipt).values()}
    is_there = here.parsed(here.keys(RECEIPTS), Day.of_receipt)
    wanted = due(day, ages, done)
    for each in wanted:
        if each.day.receipt not in is_there:
            log.info("%s is not read: the day has not landed", each)
    return [each for each in wanted if each.day.receipt in is_there]


def transform(run: Run, read: dict[str, Any] | None) -> dict[str, Any]:
    """Make a table of what X said of each post, and stage it with its receipt."""
    here = lake.deployed()
    return {"receipts": [_refined(here, run, key) for key in require_xcom(read, "extract")["revisited"]]}


def _require_forgotten(here: Lake, revisit: Revisit, staging: str, made: EngagementReceipt) -> None:
    """Refuse what was staged before some of its posts were forgotten."""
    key = staging + Path(made.objects["parquet"].key).name
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(here.required(key)), columns=["tweet_id"])
    if not forgotten(here).isdisjoint(table["tweet_id"].to_pylist()):
        raise NothingStaged(
            f"Nothing is published: posts of {revisit} were forgotten since it was staged. "
            "Clear `transform`: it is free."
        )


def _refined(here: Lake, run: Run, key: str) -> str:
    """The key of the staged receipt of one day at one age."""
    said = here.decoded(key, here.required(key), Revisited)
    revisit = Revisit(Day.parse(said.day), said.age)
    posts = landed(here, revisit.day)
    told = {each.tweet_id: each for answer in here.answers(said.pages) for each in seen(answer)}
    lines = [told[id_] for id_ in posts if id_ in told]  # what has left the day is in no table of it
    # Two Airflows give the runs of a day the same id, and a try that was given up may continue.
    staging = revisit.staging(f"{run.id}-{uuid4().hex[:8]}")
    with TemporaryDirectory() as folder:
        files = table.write(Path(folder), lines)
        objects = stage_files(here, staging, files, revisit)
    made = receipt.of(revisit, said, lines, posts, objects)
    for line in receipt.readable(made):
        log.info(line)
    here.write(f"{staging}receipt.json", encoded(made))
    return f"{staging}receipt.json"


def load(run: Run, staged: dict[str, Any] | None) -> dict[str, Any]:
    """Publish what is staged, each receipt after its files; ages never take each other's place."""
    here = lake.deployed()
    published = []
    for key in require_xcom(staged, "transform")["receipts"]:
        made = here.decoded(key, here.required(key), EngagementReceipt)
        revisit = Revisit(Day.parse(made.day), made.age)
        staging = key.removesuffix("receipt.json")
        with no_try_for_progress(lambda: False, run.now), held(here, revisit.lease, run) as lease:
            _require_forgotten(here, revisit, staging, made)
            replaces = here.tag(revisit.receipt)
            publish_files(here, lease, staging, made, revisit.receipt, replaces)
        published.append(revisit.receipt)
    return {"receipts": published}
