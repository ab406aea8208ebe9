"""Reads the published CSV in plain Python, without pandas: a cell may be a whole article."""

from __future__ import annotations

import csv
from collections.abc import Iterable

LONGEST_CELL = 2**31 - 1
"""Characters. Python's own limit, 131,072, is too small for an article, and applies to the process."""


def csv_rows(lines: Iterable[str]) -> csv.DictReader[str]:
    """The rows below the header, as text."""
    csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit()))
    return csv.DictReader(lines)
