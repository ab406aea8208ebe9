"""The DAG that reads landed posts again, as Airflow reads it."""

import re

from tests.dags.test_twitter_dag import as_the_scheduler_has_it


def test_the_graph_is_that_of_its_sibling(dag):
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "extract": {"transform"},
        "transform": {"load"},
        "load": set(),
    }


def test_one_run_buys_and_one_publishes_at_a_time_and_waiting_blocks_no_other(dag):
    assert {task.task_id: task.max_active_tis_per_dag for task in dag.tasks} == {
        "extract": 1,
        "transform": None,
        "load": 1,
    }
    assert dag.max_active_runs > 1


def test_it_has_the_days_of_its_sibling_and_makes_up_for_none(dag):
    assert as_the_scheduler_has_it(dag).timetable.summary == "each UTC day"
    assert dag.catchup is False


def test_its_manual_says_what_a_clear_costs_and_what_is_free(dag):
    clears = dag.doc_md.partition("**What a clear costs**")[2].partition("**")[0]
    assert re.findall(r"^- `(\w+)`: ", clears, re.MULTILINE) == ["load", "transform", "extract"]
    assert "*soft\n  guarantee*" in dag.doc_md
