"""Answers of X itself, recorded. They hold what real people wrote, so they are no part of the project."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "x_api"


def recorded_pages() -> list[dict[str, Any]]:
    """28 answers of timelines and look-ups, 2021."""
    return [json.loads(line) for line in _text("timeline_pages.jsonl").split("\n") if line]


def recorded_errors() -> list[dict[str, Any]]:
    """The distinct error objects that came inside a 200."""
    return [json.loads(line)["error"] for line in _text("error_objects.jsonl").split("\n") if line]


def recorded_oddities() -> dict[str, list[dict[str, Any]]]:
    """Posts by what is odd about them; most were saved by R, which writes an empty list as `{}`."""
    oddities = json.loads(_text("edge_cases.json"))
    return {name: [case["tweet"] for case in cases] for name, cases in oddities.items()}


def _text(name: str) -> str:
    file = FOLDER / name
    if not file.exists():
        pytest.skip(f"the recorded answers of X are not here ({file}): they are not the project's to publish")
    return file.read_text(encoding="utf-8")
