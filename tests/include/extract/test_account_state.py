"""The state of an account on a day: each transition, and what manifest and receipt record of it."""

from functools import reduce

import pytest

from include.twitter.extract.account_state import TRANSITIONS, Event, State

READ = (Event.RESOLVED, Event.END)
SHORT = (*READ, Event.COUNT_HIGHER)


@pytest.mark.parametrize(
    ("events", "state", "outcome", "proof"),
    [
        ((), State.UNRESOLVED, "unavailable", "unchecked"),
        ((Event.RESOLVED,), State.READING, "unavailable", "unchecked"),
        ((Event.OTHER_ID,), State.BLOCKED, "unavailable", "unchecked"),
        ((Event.GONE,), State.UNAVAILABLE, "unavailable", "unchecked"),
        ((Event.RESOLVED, Event.GONE), State.UNAVAILABLE, "unavailable", "unchecked"),
        ((Event.RESOLVED, Event.ID_UNKNOWN), State.UNRESOLVED, "unavailable", "unchecked"),
        ((Event.RESOLVED, Event.LIMIT), State.LIMITED, "limit", "limited"),
        (READ, State.READ, "complete", "unchecked"),
        ((*READ, Event.END), State.READ, "complete", "unchecked"),
        ((*READ, Event.LIMIT), State.LIMITED, "limit", "limited"),
        ((*READ, Event.COUNT_EQUAL), State.MATCHED, "complete", "matched"),
        ((*READ, Event.COUNT_LOWER), State.SURPLUS, "complete", "surplus"),
        ((*READ, Event.NO_COUNT), State.UNCHECKED, "complete", "unchecked"),
        (SHORT, State.VERIFYING, "complete", "unchecked"),
        ((*SHORT, Event.COUNT_EQUAL), State.MATCHED, "complete", "matched"),
        ((*SHORT, Event.COUNT_HIGHER), State.SHORT, "complete", "short"),
        ((*SHORT, Event.COUNT_LOWER), State.SURPLUS, "complete", "surplus"),
        ((*SHORT, Event.GONE), State.UNAVAILABLE, "unavailable", "unchecked"),
        ((*SHORT, Event.LIMIT), State.LIMITED, "limit", "limited"),
        ((*READ, Event.EMPTY_WITHOUT_COUNT, Event.NO_COUNT), State.UNCHECKED, "complete", "unchecked"),
    ],
)
def test_events_lead_to_one_state(events, state, outcome, proof):
    assert reduce(State.after, events, State.UNRESOLVED) is state
    assert (state.outcome, state.proof) == (outcome, proof)


def test_a_final_state_has_no_next_one():
    assert set(State) - TRANSITIONS.keys() == {
        State.MATCHED, State.SHORT, State.SURPLUS, State.UNCHECKED, State.UNAVAILABLE, State.BLOCKED
    }  # fmt: skip
    with pytest.raises(KeyError):
        State.MATCHED.after(Event.COUNT_HIGHER)
