"""Writes from the code what must agree with it: `make docs`. A test fails where the two part.

The README's tables; the view's SQL in docs/athena.md; deploy/schema.json; parts of deploy/template.yaml; the
records in docs/records.md and deploy/records.json; docs/datacontract.yaml.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

from deploy import athena
from docs import datacontract, records
from include.twitter.settings import SETTINGS
from include.twitter.transform import contract

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
ATHENA = PROJECT / "docs" / "athena.md"
TEMPLATE = PROJECT / "deploy" / "template.yaml"
HOST = PROJECT / "deploy" / "host"


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


def with_records(text: str) -> str:
    """The text of docs/records.md with what it says of each record made anew."""
    return _filled(text, records.parts())


def with_parts(text: str) -> str:
    """The text of deploy/template.yaml with Athena's tables and the host's first boot made anew."""
    release, boot = ((HOST / name).read_text() for name in ("twitter-release.sh", "first-boot.sh"))
    script = f"cat > /usr/local/sbin/twitter-release <<'SCRIPT'\n{release}SCRIPT\n{boot}"
    parts = {"tables": athena.resources().rstrip(), "first-boot": "- |\n" + indent(script.rstrip(), "  ")}
    return _filled(text, parts, mark="# <{}>")


def _filled(text: str, parts: dict[str, str], mark: str = "<!-- {} -->") -> str:
    """Each part between its two marks, as far to the right as these are."""
    for name, part in parts.items():
        begin, end = mark.format(name), mark.format(f"/{name}")
        pattern = rf"(?m)^( *)({begin}\n).*?^( *{end})$"
        text, found = re.subn(
            pattern,
            lambda marks, p=part: f"{marks[1]}{marks[2]}{indent(p, marks[1])}\n{marks[3]}",
            text,
            flags=re.DOTALL,
        )
        if found != 1:
            raise SystemExit(f"{found} places are marked for {name}; one is needed")
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
    ATHENA.write_text(with_view(ATHENA.read_text()))
    athena.SCHEMA.write_text(athena.schema())
    records.PAGE.write_text(with_records(records.PAGE.read_text()))
    records.SCHEMA.write_text(records.schema())
    datacontract.FILE.write_text(datacontract.text())
    TEMPLATE.write_text(with_parts(TEMPLATE.read_text()))
