"""The DAG that looks whether a day is landed, as Airflow reads it."""

from pathlib import Path

import pytest

from tests.dags.test_twitter_dag import as_the_scheduler_has_it

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def dag():
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "dags", load_op_links=False)
    assert bag.import_errors == {}
    return bag.dags["twitter_watch"]


def test_it_is_one_task_that_tells_of_its_failure(dag):
    (task,) = dag.tasks
    assert task.task_id == "watch"
    assert [callback.__name__ for callback in task.on_failure_callback] == ["last_word", "tell"]


def test_it_has_the_days_of_its_sibling_and_makes_up_for_none(dag):
    timetable = as_the_scheduler_has_it(dag).timetable
    assert timetable.summary == "each UTC day"
    assert dag.catchup is False
