"""What X charges.

Prices in US dollars, pay per use, as X publishes them in its developer console since 2026-02-06.
Failed and empty answers are free.
"""

from __future__ import annotations

POST = 0.005
"""A post returned."""
USER = 0.010
"""A user returned."""
COUNT = 0.005
"""A count request, whatever it counts."""


def cost(*, posts: int = 0, users: int = 0, counts: int = 0) -> float:
    """What X charges for these reads, in dollars, to the tenth of a cent."""
    return round(posts * POST + users * USER + counts * COUNT, 3)
