"""Rules of imports that import-linter's contracts in pyproject.toml cannot state."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in (ROOT / "include").rglob("*.py")
}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
PURE = next(contract for contract in CONTRACTS if contract["name"].startswith("A pure module"))[
    "source_modules"
]
ONLY_IN = {
    "amazon": "include.twitter.object_store",
    "http": "include.twitter.alerts",
    "smtp": "include.twitter.alerts",
}
"""By provider of Airflow's; import-linter knows packages outside the project by their first name alone."""
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}


def imported(file: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reads_no_clock(name):
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(LIBRARY[name].read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if isinstance(node.func.value, ast.Name) and node.func.value.id in {"datetime", "date", "time"}
    }
    assert calls & CLOCKS == set()


@pytest.mark.parametrize(("provider", "home"), ONLY_IN.items())
def test_a_provider_of_airflow_has_one_importer(provider, home):
    package = f"airflow.providers.{provider}."
    importers = {
        name
        for name, file in LIBRARY.items()
        if any(f"{module}.".startswith(package) for module in imported(file))
    }
    assert importers == {home}


def test_no_dag_imports_the_local_stack_and_nothing_but_a_rehearsal_imports_one():
    for file in (ROOT / "dags").glob("*.py"):
        assert {name.split(".")[0] for name in imported(file)} & {"local", "tests", "docs"} == set(), file
    for folder in ("include", "dags", "plugins", "local", "deploy", "docs", "benchmarks", "tests"):
        for file in {*(ROOT / folder).rglob("*.py")} - {ROOT / "tests/test_mutations.py"}:
            assert "rehearsals" not in {name.split(".")[0] for name in imported(file)}, file
