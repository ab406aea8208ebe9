"""Imports run one way: dags → what stands above → the three boxes → edges → ground; no box knows another."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "include" / "twitter"

GROUND = {
    "answer",
    "aws_errors",
    "csv_rows",
    "day",
    "errors",
    "forgotten",
    "pricing",
    "records",
    "safe_text",
    "usage",
}
EDGES = {
    "alert",
    "days",
    "http_limits",
    "lake",
    "lease",
    "priority",
    "retry",
    "roster",
    "run",
    "settings",
    "timetable",
    "watch",
}
BOXES = {"extract", "transform", "load"}
ABOVE = {
    "plan": {"extract"},
    "page": {"extract"},
    "meter": {"extract"},
    "engagement": {"extract", "transform", "load"},
    "compliance": {"extract"},
}
"""What stands above the boxes, and those that it knows."""
PURE = GROUND | {
    "extract.counted", "extract.group", "extract.walk", "transform.contract", "transform.decode",
    "transform.partition",
    "transform.post", "transform.receipt", "transform.refine", "transform.text", "load.guard",
    "page.bill", "page.states", "engagement.due", "engagement.seen", "engagement.table",
    "compliance.said",
}  # fmt: skip
OUTSIDE = {"airflow", "boto3", "botocore", "tweepy", "requests", "httpx", "urllib3"}
ONLY_IN = {
    "tweepy": "extract.x", "airflow.providers.amazon": "lake", "boto3": "lake", "botocore": "lake",
    "airflow.providers.http": "alert", "airflow.providers.smtp": "alert",
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}

FILES = {
    ".".join(file.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__"): file
    for file in LIBRARY.rglob("*.py")
    if file != LIBRARY / "__init__.py"
}


@cache
def imported(file: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def ours(name: str) -> set[str]:
    """The modules of the library that one imports."""
    return {n.removeprefix("include.twitter.") for n in imported(FILES[name])} & FILES.keys()


def test_every_module_of_the_library_has_a_place():
    assert {name.split(".")[0] for name in FILES} == GROUND | EDGES | BOXES | ABOVE.keys()
    assert FILES.keys() >= PURE


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_imports_no_outside_system_and_only_pure_modules(name):
    assert {module.split(".")[0] for module in imported(FILES[name])} & OUTSIDE == set()
    assert ours(name) - BOXES - ABOVE.keys() <= PURE


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_reads_no_clock(name):
    read = {
        node.func.attr
        for node in ast.walk(ast.parse(FILES[name].read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if isinstance(node.func.value, ast.Name) and node.func.value.id in {"datetime", "date", "time"}
    }
    assert read & CLOCKS == set()


@pytest.mark.parametrize("name", sorted(EDGES))
def test_an_edge_imports_no_box(name):
    assert ours(name) <= GROUND | EDGES


@pytest.mark.parametrize("name", sorted(FILES.keys() - GROUND - EDGES))
def test_a_box_imports_no_other_box(name):
    box = name.split(".")[0]
    known = GROUND | EDGES | {box} | ABOVE.get(box, set())
    assert {module.split(".")[0] for module in ours(name)} <= known


def test_no_module_is_imported_by_one_that_it_imports():
    reached = {name: ours(name) - {name.split(".")[0]} for name in FILES}
    for _ in FILES:
        reached = {name: at.union(*(reached[module] for module in at)) for name, at in reached.items()}
    assert [name for name, at in reached.items() if name in at] == []


@pytest.mark.parametrize(("system", "home"), ONLY_IN.items())
def test_an_outside_system_has_one_importer(system, home):
    importers = {
        name
        for name, file in FILES.items()
        if any(module == system or module.startswith(f"{system}.") for module in imported(file))
    }
    assert importers <= {home}


def test_the_library_knows_neither_the_local_stack_nor_the_tests():
    for file in [*FILES.values(), *(ROOT / "dags").glob("*.py")]:
        assert {name.split(".")[0] for name in imported(file)} & {"local", "tests", "docs"} == set(), file


def test_nothing_but_a_rehearsal_imports_one():
    for folder in ("include", "dags", "plugins", "local", "deploy", "docs", "benchmarks", "tests"):
        for file in {*(ROOT / folder).rglob("*.py")} - {ROOT / "tests/test_mutations.py"}:
            assert "rehearsals" not in {name.split(".")[0] for name in imported(file)}, file
