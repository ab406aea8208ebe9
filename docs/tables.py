"""Writes from the code what must agree with it: `make docs`. A test fails where the two part.

The README's tables; the view's SQL in docs/athena.md; deploy/schema.json and deploy/athena.yaml.
"""

from __future__ import annotations

import re
from pathlib import Path

from deploy import athena
from include.twitter import contract
from include.twitter.settings import SETTINGS

README = Path(__file__).parents[1] / "README.md"
ATHENA = Path(__file__).parent / "athena.md"


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


def view() -> str:
    return f"```sql\nCREATE OR REPLACE VIEW tweets_csv AS\n{athena.view_sql()}\n```"


def with_tables(text: str) -> str:
    """The README's text with each table between its markers made anew."""
    return _filled(text, {"columns": columns(), "settings": settings()})


def with_view(text: str) -> str:
    """The text of docs/athena.md with the view's SQL made anew."""
    return _filled(text, {"view": view()})


def _filled(text: str, parts: dict[str, str]) -> str:
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        text, found = re.subn(pattern, lambda marks, p=part: marks[1] + p + marks[2], text, flags=re.DOTALL)
        if found != 1:
            raise SystemExit(f"{found} places are marked for {name}; one is needed")
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
    ATHENA.write_text(with_view(ATHENA.read_text()))
    athena.SCHEMA.write_text(athena.schema())
    athena.TEMPLATE.write_text(athena.template())
