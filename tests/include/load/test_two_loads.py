"""Two loads of one day at once, in every order of their writes; killed ones; ones that pause too long."""

import logging
import os
from itertools import combinations, islice
from threading import Condition, Thread

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.errors import LeaseExpired, LeaseHeld, WriteConflict
from include.twitter.lease import held
from include.twitter.load.publish import publish_files
from include.twitter.records import Decrease, Receipt, decoded
from tests.include.factories import DAY, MemoryStore, post

STEPS = 6
"""Of a load that is alone: it looks for the lease, writes it, three files, and the receipt."""


class Killed(BaseException):
    """Of a process: it reaches nothing from then on."""


class Process(MemoryStore):
    """The bucket as one process sees it; `before` is called before each of its writes, `after` after it."""

    copies_on_condition = True

    def __init__(self, store, before=lambda *_: None, after=lambda *_: None):
        super().__init__()
        self.objects, self._door = store.objects, store._door
        self._before, self._after = before, after
        self.is_dead = False

    def get(self, key):
        if self.is_dead:
            raise Killed
        return super().get(key)

    def put_if_match(self, *arguments):
        return self._counted(super().put_if_match, *arguments)

    def copy(self, source, target, tag, over):
        if not self.copies_on_condition:
            over = self.etag(target)
        return self._counted(super().copy, source, target, tag, over)

    def _counted(self, write, *arguments):
        if self.is_dead:
            raise Killed
        self._before(*arguments)
        done = write(*arguments)
        self._after(*arguments)
        return done


class CopiesAnyhow(Process):
    """A store that knows no condition for the target of a copy."""

    copies_on_condition = False


class WriteOrder:
    """Lets one process at a time go on, up to its next write, in an order that is given."""

    def __init__(self, order):
        self._order, self._unfinished, self._at = list(order), {0, 1}, Condition()
        self._running = None

    def wait(self, me):
        with self._at:
            self._stop(me)
            assert self._at.wait_for(lambda: self._running is None and self._next() == me, timeout=30)
            self._running = me
            self._order = self._order[1:]

    def end(self, me):
        with self._at:
            self._unfinished.discard(me)
            self._stop(me)

    def _stop(self, me):
        if self._running == me:
            self._running = None
            self._at.notify_all()

    def _next(self):
        self._order = [process for process in self._order if process in self._unfinished]
        return self._order[0] if self._order else min(self._unfinished)


class Race:
    """Two processes that publish other candidates of one day."""

    def __init__(self, landing, kind, seconds_a_write):
        self.landing, self.kind, self.seconds = landing, kind, seconds_a_write
        self.ended = {}

    def go(self, order):
        write_order = WriteOrder(order)
        pair = [Thread(target=self._work, args=(write_order, me)) for me in (0, 1)]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join(60)
        assert set(self.ended) == {0, 1}
        return self.ended

    def _work(self, write_order, me):
        def before(key, data, *_):
            if key == layout.publish_lease(DAY) and b"null" in data:
                return  # to release it is no step of its own
            write_order.wait(me)
            self.landing.wait(self.seconds)

        try:
            write_order.wait(me)
            self.ended[me] = publish_once(self.landing, self.kind(self.landing.store, before), str(me))
        finally:
            write_order.end(me)


def publish_once(landing, store, name):
    """What `load` does under its lease."""
    run = Run(DAY, name, lambda: landing.now)
    candidate = decoded(store.required(f"{layout.staging(DAY, name)}receipt.json"), Receipt)
    try:
        with held(store, layout.publish_lease(DAY), run) as lease:
            over = store.etag(layout.receipt(DAY))
            publish_files(store, lease, layout.staging(DAY, name), candidate, layout.receipt(DAY), over)
    except (LeaseHeld, LeaseExpired, WriteConflict):
        return "held"
    return "done"


def orders(steps):
    """Orders in which two processes can do so many steps each; all of them with RACES=20."""
    every = 1 if int(os.environ.get("RACES", "3")) >= 20 else 7
    for first in islice(combinations(range(2 * steps), steps), 0, None, every):
        yield [0 if place in first else 1 for place in range(2 * steps)]


@pytest.fixture
def race(landing, monkeypatch):
    """Two candidates above a landed day, and their order of writes."""
    monkeypatch.setattr(logging.getLogger("include.twitter.load.publish"), "disabled", True)
    landing.land("landed", {"NASA": [post(1)]})
    landing.stage("0", {"NASA": [post(1), post(2)]})
    landing.stage("1", {"NASA": [post(1), post(3)], "esa": [post(11, text=None)]})
    before = dict(landing.store.objects)

    def go(order, kind, seconds):
        landing.store.objects.clear()
        landing.store.objects.update(before)
        return Race(landing, kind, seconds).go(order)

    return go


def retried(landing, ended, kind=Process):
    """Each that failed tries again, alone, until it has published."""
    for me, how in ended.items():
        if how == "held":
            landing.wait()
            assert publish_once(landing, kind(landing.store), str(me)) == "done"


@pytest.mark.parametrize("kind", [Process, CopiesAnyhow])
@pytest.mark.parametrize("seconds", [0, 21, 61])
def test_of_two_loads_one_publishes_everything_in_every_order_also_past_the_end_of_its_lease(
    race, landing, kind, seconds
):
    ends = set()
    for order in orders(STEPS):
        ended = race(order, kind, seconds)
        ends.add(tuple(ended[me] for me in (0, 1)))
        if not seconds or "held" not in ended.values():
            done = {landing.staged(str(me)) for me, how in ended.items() if how == "done"}
            assert landing.published in done, order
        retried(landing, ended)
        assert landing.published in {landing.staged("0"), landing.staged("1")}, order
    if not seconds:
        assert ends == {("done", "done"), ("done", "held"), ("held", "done")}


# Killed and paused: the whole stage


def first_loads(landing):
    landing.land("landed", {"NASA": [post(number) for number in range(1, 7)]})
    landing.stage("mine", {"NASA": [post(number) for number in range(3, 9)]})
    landing.stage("other", {"NASA": [post(number) for number in range(1, 8)]})


class Counter:
    """Calls something at the number-th time."""

    def __init__(self, number, action):
        self.number, self.action = number, action

    def __call__(self, *_):
        self.number -= 1
        if self.number == 0:
            self.action()


def killed_at(landing, number, when):
    """The stage of the run `mine`, killed before or after a write."""
    process = None

    def kill():
        process.is_dead = True
        raise Killed

    process = Process(landing.store, **{when: Counter(number, kill)})
    whole, landing.store = landing.store, process
    with pytest.raises(Killed):
        landing.load("mine")
    landing.store = whole


LOST = [Decrease("NASA", 6, 6, "400", tuple(f"199000000000000000{number}" for number in (1, 2)))]
WRITES_OF_A_LOAD = 7
"""The same, and the record of what is lost."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, WRITES_OF_A_LOAD + 1))
def test_the_load_of_a_day_that_was_killed_at_any_write_publishes_all_and_records_what_left(
    landing, number, when
):
    first_loads(landing)
    killed_at(landing, number, when)
    has_lease = number > 1 or when == "after"
    if has_lease and (number < WRITES_OF_A_LOAD or when == "before"):
        with pytest.raises(AirflowRescheduleException):
            landing.load("mine")
    landing.wait()
    landing.load("mine")
    assert landing.published == landing.staged("mine")
    assert landing.receipt.decreases == LOST


@pytest.mark.parametrize("kind", [Process, CopiesAnyhow])
@pytest.mark.parametrize("number", range(2, WRITES_OF_A_LOAD))
def test_a_load_that_pauses_past_its_lease_while_another_publishes_stops_and_is_whole_when_it_is_retried(
    landing, number, kind
):
    first_loads(landing)
    whole = landing.store

    def other_publishes():
        landing.store = whole
        landing.wait()
        landing.load("other")

    landing.store = kind(whole, before=Counter(number, other_publishes))
    with pytest.raises((WriteConflict, AirflowRescheduleException)):
        landing.load("mine")
    if kind is Process:
        assert landing.published == landing.staged("other"), "the late write changed nothing"

    landing.wait()
    landing.load("mine")
    assert landing.published == landing.staged("mine")


def test_a_load_waits_without_a_worker_while_another_publishes(landing):
    first_loads(landing)
    other = held(landing.store, layout.publish_lease(DAY), landing.run("other"))
    with other, pytest.raises(AirflowRescheduleException) as waits:
        landing.load("mine")
    assert waits.value.reschedule_date > landing.now
    landing.load("mine")
    assert landing.published == landing.staged("mine")


def test_a_receipt_that_changed_since_the_guard_read_it_is_not_replaced(landing):
    first_loads(landing)
    store = landing.store

    def before(key, *_):
        if key == layout.receipt(DAY):
            store.write(key, b"{}")

    landing.store = Process(store, before)
    with pytest.raises(WriteConflict) as conflict:
        landing.load("mine")
    assert conflict.value.retry_at is None, "a try that counts"
    assert store.read(layout.receipt(DAY)) == b"{}"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["csv", "parquet", "rejected"])
def test_a_file_that_another_process_wrote_around_the_receipt_fails_the_load(landing, name, when):
    first_loads(landing)
    store, file = landing.store, getattr(layout, name)(DAY)

    def spoil(key, *_):
        if key == layout.receipt(DAY):
            store.write(file, b"spoiled")

    landing.store = Process(store, **{when: spoil})
    with pytest.raises(WriteConflict, match=file):
        landing.load("mine")
    landing.store = store
    landing.load("mine")
    assert landing.published == landing.staged("mine")


COPIED = 5
"""Writes after which the files are there, and the receipt is not: the lease, what is lost, three files."""


@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        *((f"{name} is written", WriteConflict) for name in ("csv", "parquet", "rejected")),
        ("the lease is taken over", AirflowRescheduleException),
    ],
)
def test_no_receipt_is_written_for_files_or_a_lease_that_are_another_s_by_then(landing, meanwhile, error):
    first_loads(landing)
    store = landing.store
    before = store.read(layout.receipt(DAY))

    def other():
        if error is WriteConflict:
            store.write(getattr(layout, meanwhile.split()[0])(DAY), b"spoiled")
        else:
            landing.wait()
            held(store, layout.publish_lease(DAY), landing.run("other")).__enter__()

    landing.store = Process(store, after=Counter(COPIED, other))
    with pytest.raises(error):
        landing.load("mine")
    assert store.read(layout.receipt(DAY)) == before
