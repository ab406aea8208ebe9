"""What a module imports with it: a stage, a DAG file and the plugin load nothing that they do not need.

One process answers for all modules: it forks before each, so no module has the imports of another.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TABLES = {"numpy", "pandas", "pandera", "pyarrow"}
SPARED = {
    "include.twitter.extract": TABLES,
    "include.twitter.transform": {"pandera", "tweepy"},
    "include.twitter.load": TABLES | {"tweepy"},
    "include.twitter.transform.refine": {"airflow", "boto3", "pandera", "tweepy"},
}
"""What is not imported with a module: each task is a process of its own, and waits for its imports."""
HEAVY = {"pandas", "pandera", "pyarrow", "tweepy", "boto3", "botocore", "requests", "msgspec"}
DAGS = sorted(f"dags.{file.stem}" for file in (ROOT / "dags").glob("*.py"))

IMPORTS = """
import json, os, sys
from importlib import import_module

def record(*modules, after=()):
    for module in modules:
        if child := os.fork():
            assert os.waitpid(child, 0)[1] == 0, module
            continue
        for name in after:
            import_module(name)
        before = set(sys.modules)
        import_module(module)
        loaded, new = (sorted({name.partition(".")[0] for name in names})
                       for names in (set(sys.modules), set(sys.modules) - before))
        with open(sys.argv[1], "a") as file:
            file.write(json.dumps([module, {"loaded": loaded, "new": new}]) + "\\n")
        os._exit(0)

sys.path.append("plugins")
record("include.twitter.transform.refine")
import_module("airflow.sdk")  # which all others import
record(*json.loads(sys.argv[2]))
import_module("include.twitter.object_store")  # which all stages import
record("include.twitter.extract", "include.twitter.transform", "include.twitter.load")
record("twitter_days", after=["airflow.plugins_manager"])
"""


@pytest.fixture(scope="module")
def imports(tmp_path_factory):
    """Of each module the packages that a process has with it, and those that it adds to what Airflow has."""
    file = tmp_path_factory.mktemp("imports") / "modules.jsonl"
    command = [sys.executable, "-c", IMPORTS, file, json.dumps(DAGS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, file.read_text().splitlines()))


@pytest.mark.parametrize("name", SPARED)
def test_a_stage_waits_for_no_import_that_it_does_not_need(imports, name):
    assert SPARED[name] & {*imports[name]["loaded"]} == set()


@pytest.mark.parametrize("name", DAGS)
def test_parsing_loads_no_heavy_library(imports, name):
    assert HEAVY & {*imports[name]["new"]} == set()


def test_importing_the_plugin_imports_nothing_else(imports):
    assert {*imports["twitter_days"]["new"]} - sys.stdlib_module_names == {"twitter_days"}
