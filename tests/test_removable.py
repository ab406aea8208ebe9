"""The features can be deleted with their DAG files and docs pages: the rest imports, parses and runs.

No feature imports another (import-linter), so what runs without all of them runs without each.
"""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

import pytest

from tests.test_architecture import LIBRARY, imported

ROOT = Path(__file__).parents[1]
TREES = ("include", "dags", "plugins", "deploy", "docs", "tests")
FEATURES = "include.twitter_features"
REMOVED = {
    "backfill_plan": ("dags/twitter_plan_dag.py", "docs/how-to/backfill_a_month.md"),
    "compliance": ("dags/twitter_compliance_dag.py", "docs/how-to/find_deleted_posts.md"),
    "days_page": ("plugins/twitter_days.py", "docs/how-to/see_landed_days.md"),
    "freshness": ("dags/twitter_watch_dag.py", "docs/how-to/find_late_days.md"),
    "snapshots": ("dags/twitter_engagement_dag.py", "docs/how-to/collect_likes_after_a_week.md"),
    "x_usage": ("dags/twitter_watch_dag.py", "docs/how-to/compare_with_xs_count.md"),
}
"""By feature the files that are deleted with its folder."""
CORE_TESTS = ("tests/include/load/test_guard.py", "tests/include/transform/test_receipt.py")
REST = """
import sys
from importlib import import_module
from pathlib import Path
from runpy import run_module

for file in sorted(Path("include").rglob("*.py")):
    import_module(".".join(file.with_suffix("").parts).removesuffix(".__init__"))
for name in ("evidence", "athena", "forget", "__main__"):
    import_module(f"deploy.{name}")

from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags", bundle_path=Path.cwd(), load_op_links=False)
assert bag.import_errors == {}, bag.import_errors
assert "twitter" in bag.dags and len(bag.dags) == len([*Path("dags").glob("*_dag.py")])

run_module("docs.tables", run_name="__main__")

import pytest
sys.exit(pytest.main(["-q", "-x", "-p", "no:xdist", "--assert=plain", *sys.argv[1:]]))
"""


def test_every_feature_is_listed():
    assert {name.split(".")[2] for name in LIBRARY if name.startswith(f"{FEATURES}.")} == REMOVED.keys()


def test_only_the_files_that_are_deleted_with_a_feature_import_it():
    for file in (file for tree in TREES if tree != "tests" for file in (ROOT / tree).rglob("*.py")):
        names = {name for name in imported(file) if name.startswith(FEATURES)}
        of_file = {feature for feature in REMOVED if str(file.relative_to(ROOT)) in REMOVED[feature]}
        imported_features = {f"{name}.".split(".")[2] for name in names}
        assert imported_features <= of_file | {file.parent.name}, file


@pytest.mark.slow
def test_the_rest_works_without_any_feature(tmp_path):
    """Also what imports a module of a feature on demand, by `deploy.features`."""
    for tree in TREES:
        copytree(ROOT / tree, tmp_path / tree, ignore=ignore_patterns("__pycache__", "pictures"))
    for file in ("pyproject.toml", "Makefile"):
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    rmtree(tmp_path / "include/twitter_features")
    for file in {file for files in REMOVED.values() for file in files}:
        (tmp_path / file).unlink()
    home = {"AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PYTEST"))} | home
    environment |= {"AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", REST, *CORE_TESTS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
