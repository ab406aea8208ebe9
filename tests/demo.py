"""What the live tests and the README's first run find in invented accounts, on whatever day it is.

The live tests ask it of what has landed, tests/local/test_every_day.py of every day of three years.
"""

from collections.abc import Iterable, Mapping
from typing import Any

PUBLISHED = {
    "acme_press": range(4, 9),
    "orbital_news": range(100, 101),
    "quiet_garden": range(3),
    "posts_5_fine": range(5, 6),
    "posts_9_lost": range(7, 10),
}
"""Rows of a day, with the default limit of 100."""

LOOKED_FOR = {
    "a long post": lambda row: len(row["text"]) > 280,
    "a later version": lambda row: row["is_edited"],
    "a quote": lambda row: row["is_quote"],
    "a link": lambda row: any("example.org" in url for url in row["urls"]),
    "a hashtag": lambda row: row["hashtags"],
    "a mention": lambda row: row["mentions"],
}


def missing(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a day's typed rows lack of what is looked for."""
    rows = list(rows)
    return [name for name, matches in LOOKED_FOR.items() if not any(map(matches, rows))]
