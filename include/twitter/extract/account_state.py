"""The state of an account on a day, and what may change it."""

from __future__ import annotations

from enum import Enum, auto

from include.twitter.records import Outcome, Proof


class State(Enum):
    """How far an account's day has come."""

    UNRESOLVED = auto()
    """X has not said which account the handle is."""
    READING = auto()
    READ = auto()
    """Read to the end of the day, not yet compared with X's count."""
    LIMITED = auto()
    """Read to the latest N posts that are wanted."""
    VERIFYING = auto()
    """X counts more than arrived: the account is read a second time."""
    MATCHED = auto()
    SHORT = auto()
    SURPLUS = auto()
    UNCHECKED = auto()
    """Read, and X's count cannot be had."""
    UNAVAILABLE = auto()
    """X does not show it: suspended, protected, unknown, or the answers are another account's."""
    BLOCKED = auto()
    """The handle has become another account, and nobody has accepted that."""


class Event(Enum):
    """What X, or the reader, has found out about an account."""

    RESOLVED = auto()
    OTHER_ID = auto()
    GONE = auto()
    ID_UNKNOWN = auto()
    END = auto()
    LIMIT = auto()
    COUNT_EQUAL = auto()
    COUNT_HIGHER = auto()
    COUNT_LOWER = auto()
    NO_COUNT = auto()
    EMPTY_WITHOUT_COUNT = auto()
    """Nothing says that an empty account is one."""


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.UNRESOLVED: {
        Event.RESOLVED: State.READING,
        Event.GONE: State.UNAVAILABLE,
        Event.OTHER_ID: State.BLOCKED,
    },
    State.READING: {
        Event.END: State.READ,
        Event.LIMIT: State.LIMITED,
        Event.GONE: State.UNAVAILABLE,
        Event.ID_UNKNOWN: State.UNRESOLVED,
    },
    State.READ: {
        Event.END: State.READ,
        Event.LIMIT: State.LIMITED,
        Event.GONE: State.UNAVAILABLE,
        Event.COUNT_EQUAL: State.MATCHED,
        Event.COUNT_HIGHER: State.VERIFYING,
        Event.COUNT_LOWER: State.SURPLUS,
        Event.NO_COUNT: State.UNCHECKED,
        Event.EMPTY_WITHOUT_COUNT: State.VERIFYING,
    },
    State.VERIFYING: {
        Event.LIMIT: State.LIMITED,
        Event.GONE: State.UNAVAILABLE,
        Event.COUNT_EQUAL: State.MATCHED,
        Event.COUNT_HIGHER: State.SHORT,
        Event.COUNT_LOWER: State.SURPLUS,
        Event.NO_COUNT: State.UNCHECKED,
    },
    State.LIMITED: {Event.LIMIT: State.LIMITED, Event.END: State.LIMITED, Event.GONE: State.UNAVAILABLE},
}
"""A state that is not in it is final."""


def after(state: State, event: Event) -> State:
    """The state that follows; KeyError for an event that cannot happen in this state."""
    return TRANSITIONS[state][event]


def outcome_of(state: State) -> Outcome:
    """What manifest and receipt say about how far the account was read."""
    if state in (State.UNRESOLVED, State.READING, State.UNAVAILABLE, State.BLOCKED):
        return "unavailable"
    return "limit" if state is State.LIMITED else "complete"


def proof_of(state: State) -> Proof:
    """What manifest and receipt say about X's count."""
    return PROOF_OF_STATE.get(state, "unchecked")


PROOF_OF_STATE: dict[State, Proof] = {
    State.MATCHED: "matched",
    State.SHORT: "short",
    State.SURPLUS: "surplus",
    State.LIMITED: "limited",
}
EVENTS_OF_PROOF: dict[Proof, tuple[Event, ...]] = {
    "matched": (Event.COUNT_EQUAL,),
    "short": (Event.COUNT_HIGHER, Event.COUNT_HIGHER),
    "surplus": (Event.COUNT_LOWER,),
}
"""What an account that was read had been through when its day was closed with this proof."""
