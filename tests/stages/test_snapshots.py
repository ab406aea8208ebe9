"""Snapshots of landed posts over two weeks, on the real protocols; the tests move the clock."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.layout import Snapshot, short_hash
from include.twitter.transform.contract import METRICS
from include.twitter_features.snapshots import tasks
from tests.stages.crash_harness import Child, Moment
from tests.stages.crash_harness import evening as in_a_child
from tests.stages.test_kills_and_races import CONTEXT

pytestmark = pytest.mark.live

FIRST = Day.parse("2026-10-01")
HANDLES = "posts_3_a, posts_2_b"
WRITES, CALLS = 22, 250_000
"""Writes to S3 on an evening of two ages, and function calls from the first write on, at least.

A process that ends before its moment fails the test.
"""


class Evening:
    """The pipeline, and runs of `twitter_engagement`."""

    def __init__(self, pipeline, x, bucket) -> None:
        self.pipeline, self.x, self.bucket = pipeline, x, bucket

    def land(self, day: Day, handles: str = HANDLES) -> list[str]:
        """The ids of the posts that land at 01:30 of the next day."""
        now = day.end + timedelta(hours=1, minutes=30)
        self.x.clock(now)
        how = {"day": str(day), "name": str(day), "now": now}
        self.pipeline.load(self.pipeline.transform(self.pipeline.extract(handles, **how), **how), **how)
        return [row["tweet_id"] for row in self.bucket.rows(layout.csv(day))]

    def at(self, day: Day, moment: datetime | None = None) -> Run:
        """The run for a day, at 22:30 of the next unless it is later."""
        now = moment or Snapshot(day, 1).due_at
        self.x.clock(now)
        return Run(day, short_hash(f"{self.pipeline.name} {day}"), lambda: now)

    def read(self, day: Day, moment: datetime | None = None) -> list[str]:
        return self.finish(self.at(day, moment))

    def finish(self, run: Run) -> list[str]:
        return tasks.load_snapshots(run, tasks.transform_snapshots(run, tasks.extract_snapshots(run)))[
            "receipts"
        ]

    def published(self, day: Day, age: int) -> list[bytes]:
        return [self.bucket.read(getattr(Snapshot(day, age), name)) for name in ("csv", "parquet", "receipt")]

    def receipt(self, day: Day, age: int) -> dict[str, Any]:
        return self.bucket.json(Snapshot(day, age).receipt)

    def rows(self, day: Day, age: int) -> dict[str, dict[str, str]]:
        return {row["tweet_id"]: row for row in self.bucket.rows(Snapshot(day, age).csv)}

    def charged_mills(self) -> int:
        """X's bill: a post once in a UTC day; look-ups and counts as they were served."""
        served = self.x.served_mills() - 5 * sum(r["posts"] for r in self.x.requests() if r["status"] == 200)
        return served + 5 * sum(self.x.bill().values())


@pytest.fixture
def evening(pipeline, x, bucket) -> Evening:
    pipeline.put(tweet_limit=0, run_budget_usd=0, month_budget_usd=0)
    return Evening(pipeline, x, bucket)


def test_age_1_is_free_by_xs_own_bill_and_recorded_with_what_it_would_have_cost(evening, bucket):
    ids = evening.land(FIRST)
    landed = {row["tweet_id"]: int(row["likes"]) for row in bucket.rows(layout.csv(FIRST))}
    before = evening.charged_mills()

    assert evening.read(FIRST) == [Snapshot(FIRST, 1).receipt]

    assert evening.charged_mills() == before == bucket.ledger_mills()
    (entry,) = [entry for entry in bucket.ledger() if entry["age"]]
    price = 0.005 * len(ids)
    assert [entry[n] for n in ("spent_mills", "reserved_mills", "would_have_cost_usd")] == [0, 0, price]
    receipt = evening.receipt(FIRST, 1)
    assert (receipt["posts"], receipt["hours_late"], receipt["cost_usd"]) == (len(ids), 0, 0)
    assert receipt["would_have_cost_usd"] == price
    rows = evening.rows(FIRST, 1)
    assert list(rows) == ids
    assert sum(int(row["likes"]) for row in rows.values()) > sum(landed.values())
    first = rows[ids[0]]
    assert list(first) == ["tweet_id", *METRICS, "captured_at", "state"]
    assert (first["captured_at"], first["state"]) == ("2026-10-02T22:30:00Z", "there")


def test_it_waits_for_the_evening_and_is_skipped_if_nothing_has_landed(evening, caplog):
    with pytest.raises(AirflowRescheduleException) as waits:
        tasks.extract_snapshots(evening.at(FIRST, FIRST.end))
    assert waits.value.reschedule_date == datetime(2026, 10, 2, 22, 30, tzinfo=UTC)
    with caplog.at_level("INFO"), pytest.raises(AirflowSkipException):
        tasks.extract_snapshots(evening.at(FIRST))
    assert "2026-10-01 at age 1 is not fetched: the day has not landed" in caplog.text


def test_a_clear_requests_only_posts_that_have_landed_since_and_publishes_the_others_again(evening, x):
    first_ids = evening.land(FIRST, "posts_3_a")
    evening.read(FIRST)
    before = evening.published(FIRST, 1)
    x.forget()
    evening.read(FIRST, Snapshot(FIRST, 5).due_at)
    assert x.requests() == []
    assert evening.published(FIRST, 1) == before
    ids = evening.land(FIRST)
    x.forget()
    evening.read(FIRST, Snapshot(FIRST, 1).due_at + timedelta(minutes=5))
    (request,) = x.requests()
    assert {*request["query"]["ids"].split(",")} == {*ids} - {*first_ids}
    assert list(evening.rows(FIRST, 1)) == ids


def test_posts_that_x_no_longer_shows_are_named_with_its_reason_and_the_day_stays(evening, bucket, x):
    evening.pipeline.put(engagement_days="1, 2")
    ids = evening.land(FIRST)
    day = bucket.read(layout.csv(FIRST))
    evening.read(FIRST)
    states = dict(zip(ids, ["gone", "protected", "suspended", "withheld"], strict=False))
    x.posts(**{id_: {"gone": "deleted"}.get(state, state) for id_, state in states.items()})

    evening.read(FIRST.plus(1))

    receipt = evening.receipt(FIRST, 2)
    assert {post["tweet_id"]: post["state"] for post in receipt["lost"]} == states
    assert f"Could not find tweet with ids: [{ids[0]}]" in receipt["lost"][0]["reason"]
    assert receipt["lost"][0]["seen_at"] == "2026-10-03T22:30:00Z"
    assert receipt["cost_usd"] == 0.005 * (len(ids) - 3), "X charges what it returns"
    rows = evening.rows(FIRST, 2)
    assert (rows[ids[0]]["likes"], rows[ids[0]]["captured_at"]) == ("", "2026-10-03T22:30:00Z")
    assert rows[ids[3]]["likes"] != ""
    assert evening.receipt(FIRST, 1)["states"] == {"there": len(ids)}
    assert bucket.read(layout.csv(FIRST)) == day
    assert evening.charged_mills() == bucket.ledger_mills()


def test_what_is_requested_after_midnight_is_paid(evening, bucket, x):
    ids = evening.land(FIRST, "posts_250_many")
    run, midnight = evening.at(FIRST), FIRST.plus(2).start

    def clock() -> datetime:
        if "posts" not in x.request_kinds():
            return run.now()
        x.clock(midnight)
        return midnight

    evening.finish(replace(run, now=clock))
    bought = evening.receipt(FIRST, 1)["bought"]
    assert (bought["rereads"], bought["posts"]) == (100, len(ids) - 100)
    assert evening.charged_mills() == bucket.ledger_mills()


def test_of_two_ages_that_are_read_on_one_day_the_second_is_free(evening, bucket):
    evening.pipeline.put(engagement_days="1, 2")
    evening.land(FIRST.plus(-1))
    evening.read(FIRST.plus(-1))
    ids = evening.land(FIRST)  # its age 1 is missed
    evening.read(FIRST.plus(1))
    assert evening.receipt(FIRST, 2)["cost_usd"] == 0.005 * len(ids)
    late = evening.receipt(FIRST, 1)
    assert (late["hours_late"], late["cost_usd"], late["would_have_cost_usd"]) == (24, 0, 0.005 * len(ids))
    assert evening.charged_mills() == bucket.ledger_mills()


@pytest.mark.parametrize("seed", range(int(os.environ.get("MONTHS", "1"))))
def test_a_fortnight_with_ages_1_and_7_killed_three_times_and_one_run_missed(evening, bucket, seed, caplog):
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    evening.pipeline.put(engagement_days="1, 7")
    days = [FIRST.plus(number) for number in range(14)]
    missed = days[12]
    others = [day for day in days[6:] if day not in (missed, missed.plus(1))]
    killed = chance.sample(others, 3)  # from then on there are two ages
    posts = {}
    for day in [*days, *(days[-1].plus(number) for number in range(1, 8))]:
        if day in days:
            posts[day] = len(evening.land(day))
        if day == missed:
            continue
        if day in killed:
            assert _ended(evening, day, _moment(chance)) is None
        with caplog.at_level("INFO"):
            try:
                # The lease of a load that was killed has expired by then.
                evening.read(day, Snapshot(day, 1).due_at + timedelta(minutes=2 * (day in killed)))
            except AirflowSkipException:
                assert day.date > days[-1].date

    for day in days:
        for age in (1, 7):
            receipt, price = evening.receipt(day, age), round(0.005 * posts[day], 3)
            late = (day, age) in {(missed, 1), (missed.plus(-6), 7)}
            costs = (0, price) if age == 1 and not late else (price, 0)
            assert receipt["posts"] == posts[day] == len(evening.rows(day, age)), (day, age)
            assert receipt["hours_late"] == (24 if late else 0), (day, age)
            assert (receipt["cost_usd"], receipt["would_have_cost_usd"]) == costs, (day, age)
    snapshots = sum(entry["spent_mills"] for entry in bucket.ledger() if entry["age"])
    assert snapshots == 5 * (sum(posts.values()) + posts[missed])
    assert bucket.ledger_mills() == evening.charged_mills()
    charged = [entry["spent_mills"] + entry["uncertain_mills"] for entry in bucket.ledger()]
    assert [entry["reserved_mills"] for entry in bucket.ledger()] == charged
    assert "2026-10-13 at age 1 was due at 2026-10-14 22:30 UTC: it is fetched 24 hours late" in caplog.text
    assert "were free, since X had charged them on the same UTC day" in caplog.text


def _moment(chance: random.Random) -> Moment:
    at = chance.choice(["before", "after", "call"])
    return Moment("killed", at, chance.randint(1, CALLS if at == "call" else WRITES))


def _ended(evening: Evening, day: Day, moment: Moment) -> Any:
    """Run in a process of its own that is killed at a moment; returns how it ended, None if it was killed."""
    run = evening.at(day)
    parent, child_end = CONTEXT.Pipe()
    clock, environ = CONTEXT.Value("d", 0), dict(os.environ)
    worker = Child(str(day), run.id, run.now(), environ, moment, clock, child_end, job=in_a_child)
    process = CONTEXT.Process(target=worker.work, daemon=True)
    process.start()
    child_end.close()
    try:
        assert parent.poll(120) and parent.recv() == "ready"
        parent.send("go")
        assert parent.poll(120), "the process sends nothing"
        ended = parent.recv()
    except EOFError:
        ended = None
    finally:
        process.kill()
        process.join(120)
        parent.close()
    evening.x.wait_until_idle()
    return ended
