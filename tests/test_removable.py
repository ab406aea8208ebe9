"""Each feature can be deleted with its DAG file and its docs page: the rest imports, parses and runs."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

import pytest

from tests.test_architecture import LIBRARY, imported

ROOT = Path(__file__).parents[1]
TREES = ("include", "dags", "plugins", "deploy", "docs", "tests")
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
    features = {name.split(".")[2] for name in LIBRARY if name.startswith("include.twitter_features.")}
    assert features == REMOVED.keys()


def test_neither_the_core_nor_its_dag_imports_a_feature():
    files = [*(ROOT / "include/twitter").rglob("*.py"), ROOT / "dags/twitter_dag.py"]
    for file in [*files, ROOT / "plugins/twitter_timetable.py"]:
        assert not any("twitter_features" in name for name in imported(file)), file


@pytest.mark.slow
@pytest.mark.parametrize("feature", REMOVED)
def test_the_rest_works_without_a_feature(feature, tmp_path):
    for tree in TREES:
        copytree(ROOT / tree, tmp_path / tree, ignore=ignore_patterns("__pycache__", "pictures"))
    for file in ("pyproject.toml", "Makefile"):
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    rmtree(tmp_path / "include/twitter_features" / feature)
    for file in REMOVED[feature]:
        (tmp_path / file).unlink()
    home = {"AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PYTEST"))} | home
    environment |= {"AIRFLOW__CORE__PLUGINS_FOLDER": str(tmp_path / "plugins"), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", REST, *CORE_TESTS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
