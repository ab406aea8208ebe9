"""One holder at a time: acquired, renewed, released, expired."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.errors import LeaseExpired, LeaseHeld
from include.twitter.lease import LIFETIME, held
from tests.include.factories import DAY, RECEIVED, OvertakenStore

SECOND = timedelta(seconds=1)
KEY = layout.publish_lease(DAY)


class Clock:
    now = RECEIVED

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return OvertakenStore()


@pytest.fixture
def lease(store, clock):
    """The lease of a run, to be entered."""
    return lambda name="c0ffee123456": held(store, KEY, Run(DAY, name, clock))


@pytest.mark.parametrize("other", ["c0ffee123456", "another12345"], ids=["a try of the same run", "another"])
def test_no_other_process_acquires_it_before_it_has_expired(lease, clock, other):
    killed = lease()
    killed.__enter__()
    clock.now += LIFETIME - SECOND
    with pytest.raises(LeaseHeld) as raised, lease(other):
        pytest.fail("two hold it")
    assert raised.value.retry_at == RECEIVED + LIFETIME
    clock.now += SECOND
    with lease(other) as successor:
        successor.require()


def test_it_is_released_by_a_failure_too_whatever_the_clock_of_the_next_one_says(lease, clock):
    with pytest.raises(ZeroDivisionError), lease():
        raise ZeroDivisionError
    clock.now -= timedelta(hours=1)
    with lease("another"):
        pass


def test_it_is_written_again_only_when_a_third_of_it_is_over(lease, store, clock):
    with lease() as one:
        clock.now += LIFETIME / 3
        one.require()
        assert store.written == [KEY]
        clock.now += SECOND
        one.require()
        assert store.written == [KEY] * 2
        clock.now = RECEIVED + LIFETIME
        with pytest.raises(LeaseHeld), lease("another"):
            pytest.fail("two hold it")


def test_a_holder_that_paused_past_its_end_goes_on_if_nobody_has_taken_over(lease, clock):
    with lease() as one:
        clock.now += 10 * LIFETIME
        one.require()


@pytest.mark.parametrize("is_done", [False, True])
def test_a_holder_that_paused_past_its_end_stops_if_another_has_taken_over(lease, clock, is_done):
    with ExitStack() as other, lease() as one:
        clock.now += LIFETIME
        other.enter_context(lease("another"))
        if is_done:
            other.close()
        with pytest.raises(LeaseHeld) as raised:
            one.require()
        assert raised.value.retry_at == clock.now + LIFETIME
        if not is_done:
            with pytest.raises(LeaseHeld), lease("a third"):
                pytest.fail("a lost lease was released")


def test_nothing_is_written_if_the_renewal_took_too_long(lease, store, clock):
    def pause():
        clock.now += LIFETIME

    with lease() as one:
        pause()
        store.meanwhile = pause
        with pytest.raises(LeaseExpired):
            one.require()


def test_of_two_that_find_it_free_at_once_one_gets_it(lease, store):
    with ExitStack() as other:
        store.meanwhile = lambda: other.enter_context(lease("another"))
        with pytest.raises(LeaseHeld) as raised, lease():
            pytest.fail("two hold it")
        assert raised.value.retry_at == RECEIVED + LIFETIME
