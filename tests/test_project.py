"""The files that a project of this kind has to have, and that they agree with each other."""

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from docs import records
from docs.tables import DECISIONS, PAGES, with_tables

ROOT = Path(__file__).parents[1]


def pins(text: str) -> set[str]:
    return set(re.findall(r"^([a-zA-Z0-9._-]+==[^ ;\\\n]+)", text, re.MULTILINE))


def runtime() -> re.Match[str]:
    """The Astro runtime of the Dockerfile."""
    tag = r"^FROM \S+/runtime:(?P<airflow>\d+\.\d+)-\d+-python-(?P<python>\d+\.\d+)$"
    return re.search(tag, (ROOT / "Dockerfile").read_text(), re.MULTILINE)


def test_the_image_installs_what_the_lock_resolved():
    assert pins((ROOT / "requirements.txt").read_text()) <= pins((ROOT / "requirements.lock").read_text())


def test_the_image_brings_airflow_itself_of_the_line_that_is_tested():
    assert "apache-airflow==" not in (ROOT / "requirements.txt").read_text()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert groups["airflow"][0].startswith(f"apache-airflow=={runtime()['airflow']}.")


def test_the_image_has_a_python_that_make_versions_tests():
    tested = re.search(r"^VERSIONS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert runtime()["python"] in tested[1].split()


@pytest.mark.parametrize(
    ("group", "locks"),
    [
        ("airflow", "requirements.lock"),
        ("local", "requirements.lock local/local.lock"),
        ("dev", "requirements.lock local/local.lock local/dev.lock"),
        ("host", "requirements.lock deploy/host/requirements.lock"),
        ("ministack", "local/ministack.lock"),
        ("tools", "local/tools.lock"),
        ("datacontract", "local/datacontract.lock"),
        ("wide", "requirements.lock local/wide.lock"),
        ("bench-pandas", "benchmarks/peers/pandas.lock"),
        ("bench-polars", "benchmarks/peers/polars.lock"),
        ("bench-duckdb", "benchmarks/peers/duckdb.lock"),
        ("bench-twarc", "benchmarks/peers/twarc.lock"),
        ("bench-plot", "benchmarks/peers/plot.lock"),
    ],
)
def test_the_locks_hold_what_pyproject_names(group, locks):
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    locked = set().union(*(pins((ROOT / lock).read_text()) for lock in locks.split()))
    for pinned in [entry for entry in groups[group] if isinstance(entry, str)]:
        name = re.match(r"[\w.-]+", pinned)[0]
        assert any(pin == pinned if "==" in pinned else pin.startswith(f"{name}==") for pin in locked), pinned


def everywhere(lock):
    """What a lock holds for every machine."""
    return set(re.findall(r"^(\S+)==\S+ \\$", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("addition", "lock"),
    [
        ("local/local.lock", "requirements.lock"),
        ("local/dev.lock", "requirements.lock"),
        ("local/dev.lock", "local/local.lock"),
        ("local/wide.lock", "requirements.lock"),
        ("deploy/host/requirements.lock", "requirements.lock"),
    ],
)
def test_an_addition_agrees_with_the_lock_and_names_nothing_of_it_again(addition, lock):
    ours, base = (pins((ROOT / each).read_text()) for each in (addition, lock))
    names = {pin.split("==")[0] for pin in base}
    assert {pin for pin in ours if pin.split("==")[0] in names} <= base
    assert everywhere(addition) & everywhere(lock) == set()


def test_the_library_has_the_version_of_the_project():
    from include.twitter import __version__

    assert __version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_every_locked_package_is_pinned_by_hash():
    for lock in [*ROOT.glob("*.lock"), *ROOT.glob("local/*.lock"), *ROOT.glob("*/*/*.lock")]:
        for package in re.split(r"\n(?=[a-zA-Z0-9])", lock.read_text())[1:]:
            assert "--hash=sha256:" in package


def test_the_example_settings_name_settings_that_exist():
    from include.twitter.settings import SETTINGS

    known = {setting.name for setting in SETTINGS}
    airflow = yaml.safe_load((ROOT / "airflow_settings.example.yaml").read_text())["airflow"]
    assert {variable["variable_name"] for variable in airflow["variables"]} <= known
    example = (ROOT / ".env.example").read_text()
    assert {name.lower() for name in re.findall(r"AIRFLOW_VAR_(\w+)", example)} <= known


def test_a_make_command_that_a_text_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [*ROOT.glob("*.md"), *(file for file in (ROOT / ".ci").iterdir() if file.is_file())]
    for folder in ("dags", "deploy", "docs", "include", "local", "rehearsals", "tests"):
        texts += [
            file for file in (ROOT / folder).rglob("*") if file.suffix in (".md", ".py", ".sh", ".yaml")
        ]
    for file in texts:
        named = re.findall(r"(?:`|^ *)make ([a-z-]+)", file.read_text(), re.MULTILINE)
        assert set(named) <= targets, file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_generated_parts_of_a_page_are_those_of_the_code(page):
    assert page.read_text() == with_tables(page), "make docs"


def test_a_decision_that_changes_another_is_named_by_it():
    status = {
        int(number): text
        for number, text in re.findall(r"(?m)^\| (\d+) \| \[.*?\]\(.*?\) \| (.*) \|$", DECISIONS.read_text())
    }
    assert len(status) == len([*DECISIONS.parent.glob("0*.md")])
    for number, text in status.items():
        assert text.startswith(("Accepted", "Superseded")), number
        for verb in ("amends", "extends", "supersedes"):
            match = re.search(rf"\b{verb} ((?:\[\d+\]\(.*?\)(?:, | and )?)+)", text)
            for changed in re.findall(r"\[(\d+)\]", match[1] if match else ""):
                by = re.search(
                    rf"{verb.removesuffix('s')}(?:e?d)? by .*", status[int(changed)], re.IGNORECASE
                )
                assert by and f"[{number}]" in by[0], f"{number} {verb} {changed}"


def test_the_manual_and_the_variables_are_those_of_the_settings():
    from docs.tables import MANUAL, VARIABLES, variables, with_settings

    assert MANUAL.read_text() == with_settings(MANUAL.read_text()), "make docs"
    assert VARIABLES.read_text() == variables(), "make docs"


def test_the_schema_of_the_records_is_that_of_the_code():
    assert records.SCHEMA.read_text() == records.schema(), "make docs"


def test_the_receipt_on_the_page_of_the_records_is_one_that_the_code_would_write():
    from include.twitter.records import Receipt, decoded, encoded

    example = fenced("json", ROOT / "docs/records.md")[0]
    schema = json.loads((ROOT / "deploy/records.json").read_text())
    Draft202012Validator({**schema, "$ref": "#/$defs/Receipt"}).validate(json.loads(example))
    receipt = decoded(example.encode(), Receipt)
    assert encoded(receipt).decode() == example
    for account in receipt.accounts:
        became = account.published + account.rejected + account.duplicates + account.outside
        assert account.fetched == became + account.over_limit + account.unrequested + account.erased


def fenced(language: str, page: Path) -> list[str]:
    """The blocks of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)\n```$", page.read_text(), re.MULTILINE | re.DOTALL)


def defined(file: Path) -> set[str]:
    """The functions, classes and methods of a file, as `Class.method`."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return names


@pytest.mark.parametrize("page", ["architecture", "x"])
def test_every_function_that_a_page_names_is_where_it_says(page):
    text = (ROOT / f"docs/{page}.md").read_text()
    named = re.findall(r"`([\w/]+\.py): ([\w.]+)`", text)
    assert len(named) > 30
    for file, name in named:
        place = "include" if file.startswith("twitter_features/") else "include/twitter"
        assert name in defined(ROOT / place / file), f"{file}: {name}"
    for file in re.findall(r"`([\w/]+\.py)`", text):
        assert (ROOT / file).exists() or (ROOT / "include/twitter" / file).exists(), file


def test_a_link_of_a_document_leads_to_a_file_and_its_heading():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target, heading in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name}: {target}"
            if heading:
                titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
                assert heading in [
                    re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles
                ], f"{page.name}: {heading}"


def test_the_lines_that_the_architecture_quotes_are_lines_of_the_library():
    library = {
        line.strip() for file in (ROOT / "include").rglob("*.py") for line in file.read_text().split("\n")
    }
    quoted = fenced("python", ROOT / "docs/architecture.md")
    assert len(quoted) == 2
    assert set(quoted) <= library


def test_ci_runs_every_make_command_of_the_readme():
    named = set(re.findall(r"^make [a-z]+", (ROOT / "README.md").read_text(), re.MULTILINE))
    run_by_ci = set(re.findall(r"^make [a-z]+", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    # tests/local/test_commands.py, rehearsals/deploy/test_commands.py
    run_by_a_test = {"make up", "make deploy", "make secrets", "make connect"}
    assert named - run_by_ci - run_by_a_test == set()


def test_no_document_names_a_path_of_somebodys_machine():
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        assert not re.search(r"/(home|root|Users|work)/", file.read_text()), file
