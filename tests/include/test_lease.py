"""One holder at a time: acquired, renewed, released, expired."""

from datetime import timedelta

import pytest

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.errors import LeaseExpired, LeaseHeld
from include.twitter.lease import LIFETIME, held
from tests.include.factories import DAY, RECEIVED, MemoryStore

SECOND = timedelta(seconds=1)


class Clock:
    def __init__(self):
        self.now = RECEIVED

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lake():
    return MemoryStore()


@pytest.fixture
def lease(lake, clock):
    """The lease of a run, to be entered."""
    return lambda name="c0ffee123456": held(lake, layout.publish_lease(DAY), Run(DAY, name, clock))


@pytest.mark.parametrize("other", ["c0ffee123456", "another12345"], ids=["a try of the same run", "another"])
def test_nobody_else_gets_it_while_it_is_held_and_is_told_until_when(lease, clock, other):
    with lease():
        clock.now += LIFETIME - SECOND
        with pytest.raises(LeaseHeld) as busy, lease(other):
            pytest.fail("two hold it")
    assert busy.value.retry_at == RECEIVED + LIFETIME


def test_the_next_one_gets_it_once_it_is_released_whatever_the_clocks_say(lease, clock):
    with lease():
        pass
    clock.now -= timedelta(hours=1)
    with lease("another"):
        pass


def test_it_is_released_by_a_failure_too(lease):
    with pytest.raises(ZeroDivisionError), lease():
        raise ZeroDivisionError
    with lease("another"):
        pass


def test_the_lease_of_one_that_was_killed_expires(lease, clock):
    lease().__enter__()  # and never left
    clock.now += LIFETIME
    with lease("another") as other:
        other.require()


def test_it_is_written_again_only_when_a_third_of_it_is_over(lease, lake, clock):
    with lease() as one:
        clock.now += LIFETIME / 3
        one.require()
        assert lake.written == [layout.publish_lease(DAY)]
        clock.now += SECOND
        one.require()
        assert lake.written == [layout.publish_lease(DAY)] * 2
        clock.now = RECEIVED + LIFETIME
        with pytest.raises(LeaseHeld), lease("another"):
            pytest.fail("two hold it")


def test_a_holder_that_paused_past_its_end_goes_on_where_nobody_has_taken_over(lease, clock):
    with lease() as one:
        clock.now += 10 * LIFETIME
        one.require()


def test_a_holder_that_paused_past_its_end_stops_where_another_has_taken_over(lease, clock):
    with lease() as one:
        clock.now += LIFETIME
        with lease("another"):
            with pytest.raises(LeaseHeld) as busy:
                one.require()
            assert busy.value.retry_at == clock.now + LIFETIME
            with pytest.raises(LeaseHeld), lease("a third"):
                pytest.fail("what was lost was released")


def test_a_holder_that_paused_stops_also_where_the_other_is_done(lease, clock):
    with lease() as one:
        clock.now += LIFETIME
        with lease("another"):
            pass
        with pytest.raises(LeaseHeld):
            one.require()


def test_nothing_is_written_where_the_renewal_took_too_long(lease, lake, clock, monkeypatch):
    with lease() as one:
        clock.now += LIFETIME
        swap = lake.put_if_match

        def slow(*arguments):
            clock.now += LIFETIME
            return swap(*arguments)

        monkeypatch.setattr(lake, "put_if_match", slow)
        with pytest.raises(LeaseExpired):
            one.require()


def test_of_two_that_find_it_free_at_once_one_gets_it(lease, lake, monkeypatch):
    swap = lake.put_if_match

    def overtaken(*arguments):
        monkeypatch.setattr(lake, "put_if_match", swap)
        lease("another").__enter__()
        return swap(*arguments)

    monkeypatch.setattr(lake, "put_if_match", overtaken)
    with pytest.raises(LeaseHeld) as busy, lease():
        pytest.fail("two hold it")
    assert busy.value.retry_at == RECEIVED + LIFETIME
