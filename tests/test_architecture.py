"""Imports run one way: dags → stages → edges and pure modules; edges → pure modules."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "include" / "twitter"

PURE = {
    "accounts", "answer", "budget", "contract", "day", "errors", "partition", "post", "proof", "receipt",
    "refine", "walk",
}  # fmt: skip
EDGES = {"lake", "retry", "run", "settings", "x_api"}
COMPOSING = {"buyer", "collect", "ledger", "purchase", "stages"}
OUTSIDE = {"airflow", "boto3", "botocore", "tweepy", "requests", "httpx", "urllib3"}
ONLY_IN = {"tweepy": "x_api", "airflow.providers": "lake", "boto3": "lake", "botocore": "lake"}
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}


def imported(file: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def ours(file: Path) -> set[str]:
    return {n.split(".")[2] for n in imported(file) if n.startswith("include.twitter.")} & (
        PURE | EDGES | COMPOSING
    )


def test_every_module_of_the_library_has_a_place():
    assert {file.stem for file in LIBRARY.glob("*.py")} - {"__init__"} == PURE | EDGES | COMPOSING


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_imports_no_outside_system_and_only_pure_modules(name):
    file = LIBRARY / f"{name}.py"
    assert {module.split(".")[0] for module in imported(file)} & OUTSIDE == set()
    assert ours(file) <= PURE


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_reads_no_clock(name):
    tree = ast.parse((LIBRARY / f"{name}.py").read_text())
    read = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if isinstance(node.func.value, ast.Name) and node.func.value.id in {"datetime", "date", "time"}
    }
    assert read & CLOCKS == set()


@pytest.mark.parametrize("name", sorted(EDGES))
def test_an_edge_imports_no_stage(name):
    assert ours(LIBRARY / f"{name}.py") & COMPOSING == set()


@pytest.mark.parametrize(("system", "home"), ONLY_IN.items())
def test_an_outside_system_has_one_importer(system, home):
    importers = {
        file.stem
        for file in LIBRARY.glob("*.py")
        if any(name == system or name.startswith(f"{system}.") for name in imported(file))
    }
    assert importers <= {home}


def test_the_library_knows_neither_the_local_stack_nor_the_tests():
    for file in [*LIBRARY.glob("*.py"), *(ROOT / "dags").glob("*.py")]:
        assert {name.split(".")[0] for name in imported(file)} & {"local", "tests", "docs"} == set(), file
