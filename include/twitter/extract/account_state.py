"""The state of an account on a day, and the events that change it."""

from __future__ import annotations

from enum import Enum, auto

from include.twitter.records import Outcome, Proof


class Event(Enum):
    """What X or the cursor reports about an account."""

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
    """Nothing arrived, and no count confirms that there is nothing."""


class State(Enum):
    """The state of an account on a day."""

    UNRESOLVED = auto()
    """The id of the handle is not known."""
    READING = auto()
    READ = auto()
    """Read to the end of the day, not yet compared with X's count."""
    LIMITED = auto()
    """Read to the limit: the latest N posts."""
    VERIFYING = auto()
    """X counts more posts than arrived: the account is read again."""
    MATCHED = auto()
    SHORT = auto()
    SURPLUS = auto()
    UNCHECKED = auto()
    """Read, and there is no count."""
    UNAVAILABLE = auto()
    """X does not show it: suspended, protected, unknown, or X sent posts of other authors."""
    BLOCKED = auto()
    """The handle belongs to another account now, and nobody has confirmed its id."""

    def after(self, event: Event) -> State:
        """Return the next state; KeyError if the event cannot happen in this state."""
        return TRANSITIONS[self][event]

    @property
    def outcome(self) -> Outcome:
        """How far the account was read, as manifest and receipt record it."""
        if self in (State.UNRESOLVED, State.READING, State.UNAVAILABLE, State.BLOCKED):
            return "unavailable"
        return "limit" if self is State.LIMITED else "complete"

    @property
    def proof(self) -> Proof:
        """The comparison with X's count, as manifest and receipt record it."""
        return next((proof for proof, state in STATE_OF_PROOF.items() if state is self), "unchecked")


STATE_OF_PROOF: dict[Proof, State] = {
    "matched": State.MATCHED,
    "short": State.SHORT,
    "surplus": State.SURPLUS,
    "limited": State.LIMITED,
}
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
"""A state that is not a key is final."""
