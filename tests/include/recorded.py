"""Recorded responses of X, anonymized, and X's description of its API. Origin: tests/data/README.md."""

import gzip
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"


def recorded_pages() -> list[dict[str, Any]]:
    """28 responses of timelines, mentions and look-ups, 2021 and 2022."""
    return [json.loads(line) for line in _text("recorded_pages.jsonl.gz").split("\n") if line]


def recorded_errors() -> list[dict[str, Any]]:
    """The distinct error objects that came inside a 200."""
    return [json.loads(line)["error"] for line in _text("recorded_errors.jsonl").split("\n") if line]


def recorded_special_cases() -> dict[str, list[dict[str, Any]]]:
    """Posts by what is odd about them; most were saved by R, which writes an empty list as `{}`."""
    posts: dict[str, list[dict[str, Any]]] = json.loads(_text("recorded_posts.json.gz"))
    return posts


def x_components() -> dict[str, Any]:
    """Schemas and parameters of X's OpenAPI description, as far as tests use them."""
    components: dict[str, Any] = json.loads(_text("x_openapi.json"))["components"]
    return components


def _text(name: str) -> str:
    content = (DATA / name).read_bytes()
    return (gzip.decompress(content) if name.endswith(".gz") else content).decode()
