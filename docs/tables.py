"""Writes the texts that must agree with the code: `make docs`. A test fails if they differ.

The pages of PAGES, part by part: columns, settings, prices, errors, commands, the SQL of Athena's views,
records, the index of the decisions; deploy/schema.json; parts of deploy/template.yaml; deploy/records.json;
docs/datacontract.yaml; deploy/variables.json, for `airflow variables import`; the settings in the manual of
dags/twitter_dag.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import indent

from deploy import athena
from docs import datacontract, records
from include.twitter import errors, pricing
from include.twitter.settings import SETTINGS
from include.twitter.transform import contract

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
ATHENA = DOCS / "how-to" / "query_from_athena.md"
DECISIONS = DOCS / "decisions" / "README.md"
ERRORS = DOCS / "reference" / "errors.md"
MAKEFILE = PROJECT / "Makefile"
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
    """The text of dags/twitter_dag.py with the generated settings of its manual."""
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


def counts_at_an_age() -> str:
    snapshots = athena.SNAPSHOT_CONTRACT
    return columns(snapshots.SNAPSHOT_COLUMNS) if snapshots else ""


def commands() -> str:
    """The targets of the Makefile, by section, as `make help` lists them."""
    lines: list[str] = []
    for line in MAKEFILE.read_text().splitlines():
        if section := re.match(r"##@ (.*?)(?: \(.*\))?$", line):
            lines += ["", f"## {section[1]}", "", "| command | what it does |", "|---|---|"]
        elif lines and (target := re.match(r"([a-z-]+):.*## (.*)", line)):  # `help` is above the sections
            lines.append(f"| `make {target[1]}` | {target[2]} |")
    return "\n".join(lines[1:])


RETRIED: dict[type[errors.PipelineError], str] = {
    errors.AmbiguousError: "five times in four minutes",
    errors.TransientError: "yes",
    errors.PermanentError: "no",
}
"""Whether Airflow tries again: the first base class that fits decides."""


def error_table() -> str:
    """The errors by name. People write the page's rows; whether Airflow tries again comes from the class."""
    rows = dict(re.findall(r"(?m)^\| `(\w+)` (\|.*\|.*\|.*)\|[^|]*\|$", ERRORS.read_text()))
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, tuple(RETRIED)) and kind not in RETRIED
    }
    if rows.keys() != kinds.keys():
        raise SystemExit(f"{ERRORS.name} and errors.py differ in {sorted(rows.keys() ^ kinds.keys())}")
    lines = ["| error | stage | what it means | what to do | Airflow retries |", "|---|---|---|---|---|"]
    for name, kind in sorted(kinds.items()):
        retried = next(word for base, word in RETRIED.items() if issubclass(kind, base))
        lines.append(f"| `{name}` {rows[name]}| {retried} |")
    return "\n".join(lines)


def decisions() -> str:
    """Each decision with its status, which its file has below the title."""
    lines = ["| | decision | status |", "|--:|---|---|"]
    for file in sorted(DECISIONS.parent.glob("[0-9]*.md")):
        text = file.read_text()
        number, title = re.search(r"(?m)^# (\d+)\. (.*)$", text).groups()  # type: ignore[union-attr]
        status = re.search(r"(?ms)^\*\*Status\.\*\* (.*?)\.?$(?=\n\n)", text)[1]  # type: ignore[index]
        lines.append(f"| {number} | [{title}]({file.name}) | {' '.join(status.split())} |")
    return "\n".join(lines)


PAGES: dict[Path, Callable[[], dict[str, str]]] = {
    DOCS / "reference/columns.md": lambda: {"columns": columns(), "engagement": counts_at_an_age()},
    DOCS / "reference/settings.md": lambda: {"settings": settings()},
    DOCS / "reference/prices.md": lambda: {"prices": prices()},
    DOCS / "reference/commands.md": lambda: {"commands": commands()},
    ERRORS: lambda: {"errors": error_table()},
    ATHENA: lambda: {
        "view": view(),
        "view at an age": view_at_an_age() if athena.SNAPSHOT_CONTRACT else "",
    },
    records.PAGE: records.parts,
    DECISIONS: lambda: {"decisions": decisions()},
}
"""By page what stands between its marks."""


def with_tables(page: Path) -> str:
    """The text of a page with the generated text between its marks."""
    return _filled(page.read_text(), PAGES[page]())


def with_parts(text: str) -> str:
    """The text of deploy/template.yaml with the generated tables of Athena and first boot of the host."""
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
    for page in PAGES:
        page.write_text(with_tables(page))
    athena.SCHEMA_FILE.write_text(athena.schema())
    records.SCHEMA.write_text(records.schema())
    datacontract.FILE.write_text(datacontract.text())
    VARIABLES.write_text(variables())
    MANUAL.write_text(with_settings(MANUAL.read_text()))
    TEMPLATE.write_text(with_parts(TEMPLATE.read_text()))
