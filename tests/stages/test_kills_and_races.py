"""Processes that are killed, race, and come back: what X served is bought once and booked to the mill.

`KILLS=40` kills at as many random moments, and before and after every write to S3; `RACES=20` races as often.
The suite has a few of each.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from multiprocessing import get_context
from typing import Any

import psutil
import pytest

from include.twitter.layout import PROBE
from include.twitter.x.client import READERS
from tests.drivers import MILLS
from tests.stages.conftest import NOW, RECENT, TOKEN
from tests.stages.crash_harness import Child, Moment

pytestmark = pytest.mark.live

KILLS, RACES = int(os.environ.get("KILLS", "2")), int(os.environ.get("RACES", "3"))
STEP = 1 if KILLS >= 40 else 6
FEWEST, MOST, CALLS = 19, 21, 90_000
"""Writes to S3 by a process that buys the day whole, and calls of functions from the first of these on: the
ledger is written less often where an answer comes before the next request. Five of them try the store."""
HANDLES = "posts_130_a, posts_45_b, posts_5_c"
ROWS = {"posts_130_a": 122, "posts_45_b": 42, "posts_5_c": 5}
"""The rest are earlier versions of edited posts, and posts of the next midnight."""
LIMIT = 600
"""Seconds after which a test gives up waiting for a process."""
MEETINGS = [Moment("met", "read", number) for number in range(1, 6)]
MEETINGS += [Moment("met", at, number) for at in ("before", "after") for number in range(1, MOST)]
NEVER = Moment("killed", "before", 0)

CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.stages.forked"])


class Process:
    """A child, as its parent sees it."""

    def __init__(self, pipeline, clock, moment: Moment, name: str, day: str) -> None:
        self._connection, childs = CONTEXT.Pipe()
        run = pipeline.run(day, name=name).id
        worker = Child(day, run, NOW, dict(os.environ), moment, clock, childs)
        self._process = CONTEXT.Process(target=worker.work, daemon=True)
        self._process.start()
        childs.close()
        assert self.hears() == "ready"

    def go(self) -> "Process":
        self._connection.send("go")
        return self

    def hears(self) -> Any:
        """The child's next message, None if it is killed first."""
        assert self._connection.poll(LIMIT), "the child sent nothing"
        try:
            return self._connection.recv()
        except EOFError:
            return None

    def stops(self) -> None:
        """Wait until it has stopped."""
        assert self.hears() == "stopped"
        process = psutil.Process(self._process.pid)
        for _ in range(100_000):
            if process.status() == psutil.STATUS_STOPPED:
                return
        pytest.fail("it goes on")

    def continues(self) -> None:
        psutil.Process(self._process.pid).resume()

    def close(self) -> None:
        self._process.kill()
        self._process.join(LIMIT)
        self._process.close()
        self._connection.close()


class Day:
    """A day that several processes buy; its clock is moved by hand."""

    def __init__(self, pipeline, x, bucket) -> None:
        self.pipeline, self.x, self.bucket = pipeline, x, bucket
        self.clock = CONTEXT.Value("d", 0)

    @contextmanager
    def process(self, moment: Moment = NEVER, name: str = "", day: str = RECENT) -> Iterator[Process]:
        with closing(Process(self.pipeline, self.clock, moment, name, day)) as process:
            yield process

    def meet(self, one: Process, other: Process) -> list[tuple[str, int, int]]:
        """Both come to their moments, and go on from there at once; how they ended."""
        messages = [(process, process.go().hears()) for process in (one, other)]
        released = [process.go() for process, message in messages if message == "met"]
        return [process.hears() if process in released else message for process, message in messages]

    def lease_expires(self) -> None:
        self.clock.value += 61

    def extract(self, handles: str | None = None) -> dict[str, Any]:
        """Once more, after the turn of whoever had it."""
        self.lease_expires()
        return self.pipeline.extract(handles, now=NOW + timedelta(seconds=self.clock.value))

    @property
    def lost(self) -> Counter[tuple[str, int]]:
        """Responses of X that are on no page: the request, and its price in mills."""
        self.x.wait_until_idle()
        served, staged = self._served(), self._staged()
        assert not staged - served
        return served - staged

    def _served(self) -> Counter[tuple[str, int]]:
        served: Counter[tuple[str, int]] = Counter()
        for request in self.x.requests():
            billed = {name: request[name] for name in ("posts", "users")}
            billed["counts"] = int(request["path"].endswith("/counts/recent"))
            if request["status"] == 200 and request["path"] != TOKEN:
                served[_name(request["path"], request["query"]), _price(billed)] += 1
        return served

    def _staged(self) -> Counter[tuple[str, int]]:
        staged: Counter[tuple[str, int]] = Counter()
        for key in self.bucket.keys("twitter_raw/"):
            if key.endswith(".json.gz"):
                page = self.bucket.json(key)
                request = page["request"]
                staged[_name(request["path"], request["params"]), _price(page["billed"])] += 1
        return staged

    def _versions(self) -> Counter[str]:
        pages = self.bucket.client.get_paginator("list_object_versions")
        listed = pages.paginate(Bucket=self.bucket.name, Prefix=f"twitter_raw/dt={RECENT}/")
        keys = [version["Key"] for page in listed for version in page.get("Versions", [])]
        return Counter(key for key in keys if key.endswith(".json.gz"))

    def is_bought_once(self, unbooked: Counter[tuple[str, int]]) -> None:
        """No page was written twice; the settled ledger has what X served, but for this, as uncertain."""
        assert [key for key, times in self._versions().items() if times > 1] == []
        entries = self.bucket.ledger()
        spent = sum(entry["spent_mills"] for entry in entries)
        assert spent == self.x.served_mills() - mills(unbooked)
        charged = [entry["spent_mills"] + entry["uncertain_mills"] for entry in entries]
        assert [entry["reserved_mills"] for entry in entries] == charged
        assert sum(charged) >= self.x.served_mills()

    def is_whole(self, bought: dict[str, Any]) -> None:
        """All posts of the accounts are refined, and whoever comes next sends nothing."""
        assert {name: line["published"] for name, line in self.pipeline.refine(bought).items()} == ROWS
        self.x.forget()
        assert self.extract() == bought
        assert self.x.requests() == []


def mills(lost: Counter[tuple[str, int]]) -> int:
    return sum(price * number for (_, price), number in lost.items())


def _price(billed: dict[str, int]) -> int:
    return sum(MILLS[kind] * number for kind, number in billed.items())


def _name(path: str, params: dict[str, str]) -> str:
    return f"{path}?{json.dumps(params, sort_keys=True)}"


@pytest.fixture
def day(pipeline, x, bucket) -> Day:
    pipeline.put(handles=HANDLES, tweet_limit=0)
    bucket.delete(PROBE)
    return Day(pipeline, x, bucket)


@pytest.fixture
def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - moments, no secrets


def test_a_process_that_comes_to_its_end_writes_and_calls_as_often_as_others_are_killed(day):
    with day.process(Moment("killed", "call", 1_000_000)) as process:
        ended, writes, calls = process.go().hears()

    assert (ended, writes) in [("done", number) for number in range(FEWEST, MOST + 1)]
    assert 0.5 < calls / CALLS < 2


@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize("number", range(1, MOST + 1, STEP))
def test_a_process_that_is_killed_at_a_write_is_gone_on_with(day, at, number):
    with day.process(Moment("killed", at, number)) as process:
        ended = process.go().hears()
    assert ended is None or ended[1] < number
    lost = day.lost
    assert sum(lost.values()) <= READERS

    bought = day.extract()

    assert day.lost == lost
    day.is_bought_once(lost)
    day.is_whole(bought)


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_process_that_is_killed_at_any_moment_and_perhaps_again_is_gone_on_with(day, x, chance):
    # The reservation of each killed process is uncertain, and counts: three of them fill the default of $5.
    day.pipeline.put(run_budget_usd=20)
    x.latency(chance.choice([0, 20]))
    lost: Counter[tuple[str, int]] = Counter()
    for _ in range(chance.choice([1, 1, 2, 3])):
        moment = Moment("killed", "call", chance.randrange(CALLS))
        with day.process(moment, name=chance.choice("ab")) as process:
            process.go().hears()
        assert sum((day.lost - lost).values()) <= READERS
        lost = day.lost
        day.lease_expires()

    bought = day.extract()

    assert day.lost == lost
    day.is_bought_once(lost)
    day.is_whole(bought)


@pytest.mark.parametrize("name", ["", "of another"], ids=["a later try of the run", "another run"])
@pytest.mark.parametrize("seed", range(RACES // 2))
def test_of_two_processes_at_once_one_buys_the_day_and_the_cap_holds(day, x, chance, name):
    x.latency(chance.choice([0, 20]))
    cap = chance.choice([600, 800, 2000])
    day.pipeline.put(run_budget_usd=cap / 1000)
    moments = chance.choice(MEETINGS), chance.choice(MEETINGS)
    with day.process(moments[0]) as one, day.process(moments[1], name) as other:
        ended = day.meet(one, other)

    assert {how for how, *_ in ended} <= {"done", "held", "OverBudget"}
    assert x.served_mills() <= cap
    day.pipeline.put(run_budget_usd=2)
    bought = day.extract()
    assert not day.lost
    day.is_bought_once(day.lost)
    day.is_whole(bought)


@pytest.mark.parametrize("seed", range(RACES // 3))
def test_of_two_days_that_are_bought_at_once_neither_spends_what_the_other_may(day, x, chance):
    x.latency(chance.choice([0, 20]))
    day.pipeline.put(month_budget_usd="1.2")
    moments = chance.choice(MEETINGS), chance.choice(MEETINGS)
    with day.process(moments[0]) as one, day.process(moments[1], day="2026-11-19") as other:
        ended = day.meet(one, other)

    assert "OverBudget" in {how for how, *_ in ended} <= {"done", "OverBudget"}
    assert x.served_mills() <= 1200
    assert not day.lost
    day.is_bought_once(day.lost)


@pytest.mark.parametrize("handles", [HANDLES, "posts_5_c"], ids=["the same", "less"])
@pytest.mark.parametrize("number", range(1, FEWEST + 1, STEP))
def test_what_a_process_stopped_past_its_lease_wrote_late_is_booked_by_the_next(day, number, handles):
    with day.process(Moment("stopped", "before", number)) as late:
        late.go().stops()
        day.extract(handles)
        late.continues()
        assert late.hears()[0] in {"done", "held"}

    day.extract(handles)

    day.is_bought_once(Counter())
    day.is_whole(day.extract(HANDLES))


@pytest.mark.parametrize("seed", range(RACES // 3))
def test_a_process_that_comes_back_while_another_has_taken_over_is_booked_too(day, x, chance):
    x.latency(chance.choice([0, 20]))
    stop = Moment("stopped", "before", chance.randint(1, FEWEST))
    with day.process(stop) as late, day.process(chance.choice(MEETINGS), "of another") as other:
        late.go().stops()
        day.lease_expires()
        message = other.go().hears()
        late.continues()
        ended = [late.hears(), other.go().hears() if message == "met" else message]
    assert {how for how, *_ in ended} <= {"done", "held"}

    bought = day.extract()

    day.is_bought_once(Counter())
    day.is_whole(bought)
