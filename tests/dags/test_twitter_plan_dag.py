"""The DAG of the plan, as Airflow reads it."""

import pytest


def test_a_rejection_and_a_week_without_a_response_skip_the_rest(dag):
    approve = dag.get_task("approve")
    assert approve.defaults == ["Reject"]
    assert approve.response_timeout.days == 7
    assert approve.execution_timeout is None
    assert approve.ignore_downstream_trigger_rules is True
    assert approve.fail_on_reject is False


def test_runs_are_started_once_and_not_waited_for_one_by_one(dag):
    start = dag.get_task("start").partial_kwargs
    assert start["trigger_dag_id"] == "twitter"
    assert start["skip_when_already_exists"] is True
    assert start["fail_when_dag_is_paused"] is True
    assert "wait_for_completion" not in start


def test_only_a_person_starts_it(dag):
    assert dag.timetable.can_be_scheduled is False
    assert dag.is_paused_upon_creation is False


@pytest.mark.parametrize("name", ["first", "last"])
def test_the_trigger_form_requires_two_dates(dag, name):
    from airflow.sdk.exceptions import ParamValidationError

    param = dag.params.get_param(name)
    assert param.resolve("2026-10-01") == "2026-10-01"
    for odd in ("yesterday", None):
        with pytest.raises(ParamValidationError):
            param.resolve(odd)


def test_the_manual_has_the_price_of_the_plan(dag):
    assert "$0.010 for each\naccount that is looked up, and $0.010 for each count" in dag.doc_md
