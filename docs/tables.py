"""Writes the README's tables from the code: `make docs`. A test fails where the two part."""

from __future__ import annotations

import re
from pathlib import Path

from include.twitter import contract
from include.twitter.settings import SETTINGS

README = Path(__file__).parents[1] / "README.md"


def columns() -> str:
    lines = ["| column | in CSV | in Parquet | |", "|---|---|---|---|"]
    for c in contract.COLUMNS:
        about = "; ".join(filter(None, [c.about, "may be empty" if c.optional else ""]))
        lines.append(f"| `{c.name}` | {c.kind.csv} | `{c.kind.parquet}` | {about} |")
    return "\n".join(lines)


def settings() -> str:
    lines = ["| Variable | meaning | default | example |", "|---|---|---|---|"]
    for s in SETTINGS:
        default = (
            "none: it has to be set" if s.default is None else f"`{s.default}`" if s.default else "empty"
        )
        lines.append(f"| `{s.name}` | {s.about} | {default} | `{s.example}` |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    """The text with each table between its markers made anew."""
    for name, table in {"columns": columns(), "settings": settings()}.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        text, found = re.subn(pattern, lambda marks, t=table: marks[1] + t + marks[2], text, flags=re.DOTALL)
        if found != 1:
            raise SystemExit(f"README.md has {found} places for the table of {name}; one is needed")
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
