"""What is true of more than one DAG."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def serialized(bag) -> str:
    """All DAGs, as Airflow stores them."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    dags = {}
    for name, dag in bag.dags.items():
        stored = DagSerialization.to_dict(dag)
        del stored["dag"]["fileloc"], stored["dag"]["_processor_dags_folder"]  # Airflow's, of the deployment
        stored["hash of Airflow"] = SerializedDagModel.hash(DagSerialization.to_dict(dag))
        dags[name] = stored
    return json.dumps(dags, sort_keys=True, indent=1)  # Airflow stores it with its keys in order


STAGES = {"extract": {"transform"}, "transform": {"load"}, "load": set()}
CHECK = {"upload": {"wait_for_result"}, "wait_for_result": {"publish_deletions"}, "publish_deletions": set()}
APPROVAL = {"quote": {"approve", "runs", "compare"}, "approve": {"runs"}, "runs": {"start"}}
GRAPHS = {
    "twitter": STAGES,
    "twitter_compliance": CHECK,
    "twitter_engagement": STAGES,
    "twitter_plan": APPROVAL | {"start": {"compare"}, "compare": set()},
    "twitter_watch": {"watch": set(), "meter": set()},
}
SCHEDULES = {
    "twitter": "each UTC day",
    "twitter_compliance": "0 8 * * 1",
    "twitter_engagement": "each UTC day",
    "twitter_watch": "each UTC day",
}


def as_the_scheduler_has_it(dag):
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def test_the_graphs_are_these(bag):
    graphs = {
        name: {task.task_id: task.downstream_task_ids for task in dag.tasks} for name, dag in bag.dags.items()
    }
    assert graphs == GRAPHS


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_dag_has_its_schedule_and_catches_up_on_nothing(bag, name):
    dag = bag.dags[name]
    assert as_the_scheduler_has_it(dag).timetable.summary == SCHEDULES[name]
    assert dag.catchup is False


@pytest.mark.parametrize("name", ["twitter", "twitter_engagement"])
def test_a_manual_has_the_price_of_clearing_each_task(bag, name):
    clears = bag.dags[name].doc_md.partition("**What a clear costs**")[2].partition("**")[0]
    assert re.findall(r"^- `(\w+)`: ", clears, re.MULTILINE) == ["load", "transform", "extract"]


@pytest.mark.parametrize("name", ["twitter", "twitter_engagement"])
def test_one_run_buys_and_one_publishes_at_a_time_and_a_waiting_run_blocks_no_other(bag, name):
    dag = bag.dags[name]
    assert {task.task_id: task.max_active_tis_per_dag for task in dag.tasks} == {
        "extract": 1, "transform": None, "load": 1
    }  # fmt: skip
    assert dag.max_active_runs > 1
    assert bag.dags["twitter_compliance"].max_active_runs == 1  # X checks one job at a time


@pytest.mark.parametrize("name", GRAPHS)
def test_every_task_reports_its_failure_and_has_a_timeout_and_the_policy(bag, name):
    for task in bag.dags[name].tasks:
        callbacks = [callback.__name__ for callback in task.on_failure_callback]
        assert callbacks == ["log_failure_summary", "notify_failure"]
        assert type(task.retry_policy).__name__ == "ErrorDrivenRetryPolicy"
        assert task.execution_timeout or task.task_id in ("approve", "start")


@pytest.mark.parametrize("name", ["twitter", "twitter_engagement"])
def test_the_form_names_the_zones_in_which_a_backfill_has_other_days(bag, name):
    shown = bag.dags[name].params.get_param("day").description
    assert "From and To are UTC days" in shown
    assert all(zone in shown for zone in ("UTC-12", "UTC-11", "UTC+14"))


def test_every_process_serializes_each_dag_to_the_same_bytes(bag, tmp_path):
    """Another hash seed, another working directory and another path of the checkout change nothing."""
    first = serialized(bag)
    second = serialized_elsewhere(tmp_path / "another checkout", tmp_path / "second.json")
    assert first.splitlines() == second.splitlines()
    assert set(json.loads(first)) == set(bag.dags)
    assert " at 0x" not in first and str(ROOT) not in first


def serialized_elsewhere(checkout: Path, file: Path) -> str:
    """All DAGs, as a fresh process serializes them from a copy of this checkout."""
    for folder in ("dags", "include", "plugins"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    program = f"""
import json, sys
from airflow.dag_processing.dagbag import DagBag

{inspect.getsource(serialized)}

bag = DagBag("dags", bundle_path=".", load_op_links=False)
assert not bag.import_errors, bag.import_errors
open(sys.argv[1], "w").write(serialized(bag))
"""
    settings = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(checkout / "plugins"),
        "PYTHONPATH": str(checkout),
        "PYTHONHASHSEED": "2",
    }
    command = [sys.executable, "-c", program, file]
    subprocess.run(command, cwd=checkout, env=os.environ | settings, check=True, timeout=600)
    return file.read_text()
