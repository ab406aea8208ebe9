"""The DAG that looks whether a day is landed, as Airflow reads it."""

from tests.dags.test_twitter_dag import as_the_scheduler_has_it


def test_it_is_two_tasks_neither_of_which_waits_for_the_other_and_both_tell_of_their_failure(dag):
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {"watch": set(), "meter": set()}
    for task in dag.tasks:
        assert [callback.__name__ for callback in task.on_failure_callback] == [
            "log_failure_summary",
            "notify_failure",
        ]


def test_it_has_the_days_of_its_sibling_and_makes_up_for_none(dag):
    timetable = as_the_scheduler_has_it(dag).timetable
    assert timetable.summary == "each UTC day"
    assert dag.catchup is False
