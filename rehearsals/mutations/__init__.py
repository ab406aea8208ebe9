"""Changes the code, one mutation at a time, and shows which test fails: `python -m rehearsals.mutations`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One textual change of one file."""

    name: str
    file: str
    """Below the root of the checkout."""
    before: str
    """Occurs exactly once in the file."""
    after: str
    tests: tuple[str, ...] = ()
    """Arguments of the command: for pytest the narrowest paths whose tests should fail."""
