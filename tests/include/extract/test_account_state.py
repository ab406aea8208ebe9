"""The state of an account on a day: each transition, and what manifest and receipt say of it."""

import pytest

from include.twitter.extract.account_state import (
    PROVEN,
    TRANSITIONS,
    Event,
    State,
    after,
    outcome_of,
    proof_of,
)

FINAL = [
    (State.MATCHED, "complete", "matched"),
    (State.SHORT, "complete", "short"),
    (State.SURPLUS, "complete", "surplus"),
    (State.UNCHECKED, "complete", "unchecked"),
    (State.UNAVAILABLE, "unavailable", "unchecked"),
    (State.BLOCKED, "unavailable", "unchecked"),
]


def through(*events, begin=State.UNRESOLVED):
    for event in events:
        begin = after(begin, event)
    return begin


READ = (Event.RESOLVED, Event.END)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ((Event.RESOLVED,), State.READING),
        ((Event.OTHER_ID,), State.BLOCKED),
        ((Event.GONE,), State.UNAVAILABLE),
        ((Event.RESOLVED, Event.GONE), State.UNAVAILABLE),
        ((Event.RESOLVED, Event.ID_UNKNOWN), State.UNRESOLVED),
        ((Event.RESOLVED, Event.LIMIT), State.LIMITED),
        (READ, State.READ),
        ((*READ, Event.END), State.READ),
        ((*READ, Event.LIMIT), State.LIMITED),
        ((*READ, Event.COUNT_EQUAL), State.MATCHED),
        ((*READ, Event.COUNT_LOWER), State.SURPLUS),
        ((*READ, Event.NO_COUNT), State.UNCHECKED),
        ((*READ, Event.COUNT_HIGHER), State.VERIFYING),
        ((*READ, Event.COUNT_HIGHER, Event.COUNT_EQUAL), State.MATCHED),
        ((*READ, Event.COUNT_HIGHER, Event.COUNT_HIGHER), State.SHORT),
        ((*READ, Event.COUNT_HIGHER, Event.COUNT_LOWER), State.SURPLUS),
        ((*READ, Event.COUNT_HIGHER, Event.GONE), State.UNAVAILABLE),
        ((*READ, Event.COUNT_HIGHER, Event.LIMIT), State.LIMITED),
        ((*READ, Event.EMPTY_WITHOUT_COUNT), State.VERIFYING),
        ((*READ, Event.EMPTY_WITHOUT_COUNT, Event.NO_COUNT), State.UNCHECKED),
    ],
)
def test_events_lead_to_one_state(events, state):
    assert through(*events) is state


def test_other_states_are_final():
    assert {state for state, *_ in FINAL} == set(State) - TRANSITIONS.keys()
    with pytest.raises(KeyError):
        after(State.MATCHED, Event.COUNT_HIGHER)


@pytest.mark.parametrize(
    ("state", "outcome", "proof"),
    [
        *FINAL,
        (State.LIMITED, "limit", "limited"),
        (State.READ, "complete", "unchecked"),
        (State.READING, "unavailable", "unchecked"),
        (State.UNRESOLVED, "unavailable", "unchecked"),
    ],
)
def test_readers_know_the_state_as_outcome_and_proof(state, outcome, proof):
    assert (outcome_of(state), proof_of(state)) == (outcome, proof)


@pytest.mark.parametrize("proof", PROVEN)
def test_a_proof_of_before_is_restored(proof):
    assert proof_of(through(*READ, *PROVEN[proof])) == proof
