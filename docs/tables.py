"""Writes the texts that must agree with the code: `make docs`. A test fails if they differ.

Columns, settings and prices in docs/reference.md; the columns of counts at an age in docs/read.md; the SQL of
the views in docs/athena.md; deploy/schema.json; parts of deploy/template.yaml; the records in docs/records.md
and deploy/records.json; docs/datacontract.yaml; deploy/variables.json, for `airflow variables import`; the
settings in the manual of dags/twitter_dag.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent

from deploy import athena
from docs import datacontract, records
from include.twitter import pricing
from include.twitter.settings import SETTINGS
from include.twitter.transform import contract

PROJECT = Path(__file__).parents[1]
REFERENCE = PROJECT / "docs" / "reference.md"
READ = PROJECT / "docs" / "read.md"
ATHENA = PROJECT / "docs" / "athena.md"
TEMPLATE = PROJECT / "deploy" / "template.yaml"
HOST = PROJECT / "deploy" / "host"
VARIABLES = PROJECT / "deploy" / "variables.json"
MANUAL = PROJECT / "dags" / "twitter_dag.py"
FIRST_BOOT = """cat > /usr/local/sbin/twitter-release <<'SCRIPT'
{release}SCRIPT
chmod 755 /usr/local/sbin/twitter-release
cat > /etc/systemd/system/twitter-release.service <<'UNIT'
{unit}UNIT
systemctl daemon-reload
systemctl enable twitter-release
systemctl start --no-block twitter-release
"""


def columns(of: Iterable[contract.Column] = contract.COLUMNS) -> str:
    lines = ["| column | in CSV | in Parquet | |", "|---|---|---|---|"]
    for c in of:
        about = "; ".join(filter(None, [c.about, "may be empty" if c.optional else ""]))
        lines.append(f"| `{c.name}` | {c.kind.csv} | `{c.kind.parquet}` | {about} |")
    return "\n".join(lines)


def settings() -> str:
    lines = ["| Variable | meaning | default | example |", "|---|---|---|---|"]
    for s in SETTINGS:
        default = (
            "none: it has to be set" if s.default is None else f"`{s.default}`" if s.default else "empty"
        )
        lines.append(f"| `{s.name}` | {s.description} | {default} | `{s.example}` |")
    return "\n".join(lines)


def variables() -> str:
    """Every Variable that has a default, with its meaning, for Airflow's page of Variables."""
    listed = {
        s.name: {"value": s.default, "description": s.help_text} for s in SETTINGS if s.default is not None
    }
    return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"


def manual() -> str:
    """The settings as a list that fits the box in which Airflow shows the manual."""
    return "\n".join(
        f"- `{s.name}`" + (f" ({s.default})" if s.default else "") + f": {s.description}" for s in SETTINGS
    )


def with_settings(text: str) -> str:
    """The text of dags/twitter_dag.py with the settings in its manual made anew."""
    begin, end = "#### Settings (Admin → Variables)\n\n", '\n"""\n'
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + manual() + end + after


def view() -> str:
    return f"```sql\nCREATE OR REPLACE VIEW tweets_csv AS\n{athena.view_sql()}\n```"


def view_at_an_age() -> str:
    name = athena.view_name(7)
    return f"```sql\nCREATE OR REPLACE VIEW {name} AS\n{athena.view_at_age_sql(7)}\n```"


def prices() -> str:
    """X's newest prices in a sentence."""
    return pricing.filled(
        "X charges {posts} for a post returned ({own_posts} for one's own, of `twitter_own_handle`), "
        "{users} for a\nuser, and {counts} for a count ({archive_counts} in the full archive)."
    )


def with_tables(text: str) -> str:
    """The text of docs/reference.md with each table between its markers made anew."""
    return _filled(text, {"columns": columns(), "settings": settings(), "prices": prices()})


def with_view(text: str) -> str:
    """The text of docs/athena.md with the views' SQL made anew."""
    at_an_age = view_at_an_age() if athena.SNAPSHOT_CONTRACT else ""
    return _filled(text, {"view": view(), "view at an age": at_an_age})


def with_engagement(text: str) -> str:
    """The text of docs/read.md with the columns of the counts at an age made anew."""
    snapshots = athena.SNAPSHOT_CONTRACT
    return _filled(text, {"engagement": columns(snapshots.SNAPSHOT_COLUMNS) if snapshots else ""})


def with_records(text: str) -> str:
    """The text of docs/records.md with what it says of each record made anew."""
    return _filled(text, records.parts())


def with_parts(text: str) -> str:
    """The text of deploy/template.yaml with Athena's tables and the host's first boot made anew."""
    release, unit = ((HOST / f"twitter-release.{kind}").read_text() for kind in ("sh", "service"))
    # Without their comments: a change of these makes no new host.
    script = re.sub(r"(?m)^ *#(?!!).*\n", "", FIRST_BOOT.format(release=release, unit=unit))
    parts = {"tables": athena.resources().rstrip(), "first-boot": "- |\n" + indent(script.rstrip(), "  ")}
    return _filled(text, parts, mark="# <{}>")


def _filled(text: str, parts: dict[str, str], mark: str = "<!-- {} -->") -> str:
    """Each part between its two marks, as far to the right as these are."""
    for name, part in parts.items():
        begin, end = mark.format(name), mark.format(f"/{name}")
        pattern = rf"(?m)^( *)({begin}\n).*?^( *{end})$"
        text, places = re.subn(
            pattern,
            lambda marks, p=part: f"{marks[1]}{marks[2]}{indent(p, marks[1])}\n{marks[3]}",
            text,
            flags=re.DOTALL,
        )
        if places != 1:
            raise SystemExit(f"{places} places are marked for {name}; one is needed")
    return text


if __name__ == "__main__":
    REFERENCE.write_text(with_tables(REFERENCE.read_text()))
    ATHENA.write_text(with_view(ATHENA.read_text()))
    READ.write_text(with_engagement(READ.read_text()))
    athena.SCHEMA_FILE.write_text(athena.schema())
    records.PAGE.write_text(with_records(records.PAGE.read_text()))
    records.SCHEMA.write_text(records.schema())
    datacontract.FILE.write_text(datacontract.text())
    VARIABLES.write_text(variables())
    MANUAL.write_text(with_settings(MANUAL.read_text()))
    TEMPLATE.write_text(with_parts(TEMPLATE.read_text()))
