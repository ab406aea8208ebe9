"""The DAG of the plan, as Airflow reads it."""

import pytest


def test_a_no_and_a_week_of_silence_skip_all_that_follows(dag):
    approve = dag.get_task("approve")
    assert approve.defaults == ["Reject"]
    assert approve.response_timeout.days == 7
    assert approve.execution_timeout is None
    assert approve.ignore_downstream_trigger_rules is True
    assert approve.fail_on_reject is False


def test_its_own_tasks_have_a_timeout_and_the_policy(dag):
    for name in ("quote", "runs", "compare"):
        task = dag.get_task(name)
        assert task.execution_timeout is not None
        assert type(task.retry_policy).__name__ == "ErrorDrivenRetryPolicy"


def test_runs_are_started_once_and_not_waited_for_one_by_one(dag):
    start = dag.get_task("start").partial_kwargs
    assert start["trigger_dag_id"] == "twitter"
    assert start["skip_when_already_exists"] is True
    assert start["fail_when_dag_is_paused"] is True
    assert "wait_for_completion" not in start


def test_nothing_starts_it_but_a_person(dag):
    assert dag.timetable.can_be_scheduled is False
    assert dag.is_paused_upon_creation is False


@pytest.mark.parametrize("name", ["first", "last"])
def test_the_trigger_form_wants_two_dates(dag, name):
    from airflow.sdk.exceptions import ParamValidationError

    param = dag.params.get_param(name)
    assert param.resolve("2026-10-01") == "2026-10-01"
    for odd in ("yesterday", None):
        with pytest.raises(ParamValidationError):
            param.resolve(odd)


def test_its_manual_tells_its_price_first(dag):
    assert "$0.010 for each\naccount that is looked up, and $0.010 for each count" in dag.doc_md
