"""The DAG that has X check all landed posts, as Airflow reads it."""

import re

from tests.dags.test_twitter_dag import as_the_scheduler_has_it


def test_the_graph(dag):
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "upload": {"wait_for_result"},
        "wait_for_result": {"publish_deletions"},
        "publish_deletions": set(),
    }


def test_x_checks_one_job_at_a_time_and_so_does_it(dag):
    assert dag.max_active_runs == 1


def test_it_runs_on_mondays_and_makes_up_for_none(dag):
    assert as_the_scheduler_has_it(dag).timetable.summary == "0 8 * * 1"
    assert dag.catchup is False


def test_its_manual_says_what_each_task_does_and_that_nothing_is_deleted(dag):
    tasks = re.findall(r"^- `(\w+)` ", dag.doc_md, re.MULTILINE)
    assert tasks == ["upload", "wait_for_result", "publish_deletions"]
    assert "Nothing is deleted by it" in dag.doc_md
