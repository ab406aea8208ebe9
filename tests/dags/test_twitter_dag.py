"""The DAG as Airflow reads it."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tests.dags.test_every_dag import as_the_scheduler_has_it


def test_the_docstring_is_the_manual_and_begins_with_what_to_do_when_it_is_red(dag):
    headings = [line.split("**")[1] for line in dag.doc_md.splitlines() if line.startswith("**")]
    assert headings[:2] == ["It is red.", "What a clear costs"]


def test_load_alone_tells_of_a_landed_day_to_plain_and_to_partitioned_consumers(dag):
    assert {task.task_id: [outlet.name for outlet in task.outlets] for task in dag.tasks} == {
        "extract": [],
        "transform": [],
        "load": ["twitter_refined_tweets", "twitter_days"],
    }


def test_a_scheduled_run_covers_the_utc_day_before_it(dag):
    timetable = as_the_scheduler_has_it(dag).timetable
    interval = timetable.infer_manual_data_interval(run_after=datetime(2026, 11, 19, 0, 0, tzinfo=UTC))
    assert (interval.start, interval.end) == (
        datetime(2026, 11, 18, tzinfo=UTC),
        datetime(2026, 11, 19, tzinfo=UTC),
    )
    assert dag.catchup is False
    assert dag.start_date is None


def test_the_trigger_form_shows_only_what_a_person_fills_in(dag):
    assert set(dag.params) == {"day", "buy_again", "accounts"}


def test_the_trigger_form_takes_a_date_or_nothing(dag):
    from airflow.sdk.exceptions import ParamValidationError

    day = dag.params.get_param("day")
    assert day.resolve() is None
    assert day.resolve("2026-11-18") == "2026-11-18"
    with pytest.raises(ParamValidationError):
        day.resolve("yesterday")


@pytest.mark.parametrize(
    ("name", "value"),
    [("buy_again", each) for each in ("true", "yes", "on", "1", "no", 1, 0, None, [])]
    + [("day", each) for each in (20261118, "18.11.2026", "11/18/2026", ["2026-11-18"], True)]
    + [("accounts", each) for each in (["NASA"], 5, True, {})],
)
def test_the_trigger_form_refuses_a_value_of_another_type(dag, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


def test_nothing_is_bought_afresh_unless_the_trigger_form_says_so(dag):
    buy_again = dag.params.get_param("buy_again")
    assert buy_again.resolve() is False
    assert buy_again.schema["type"] == "boolean"
    assert "$0.005 a post" in buy_again.description


@pytest.mark.parametrize("run", ["scheduled__2026-11-25", "manual__2026-11-25"])
def test_a_run_of_its_own_passes_the_days_of_a_backfill_that_wait(dag, run):
    def weights(run_id):
        tasks = as_the_scheduler_has_it(dag).tasks
        return [task.weight_rule.get_weight(SimpleNamespace(task=task, run_id=run_id)) for task in tasks]

    planned = "manual__2026-11-01__plan_0a1b2c3d4e5f"
    assert min(weights(run)) > max(weights("backfill__2026-11-01T23:59:59+00:00") + weights(planned))


@pytest.mark.parametrize(
    ("from_date", "to_date"),
    [
        ("2026-11-18T00:00:00Z", "2026-11-20T23:59:59.999Z"),  # the form, set to UTC
        ("2026-11-17T11:00:00Z", "2026-11-20T10:59:59.999Z"),  # the form in Auckland
        ("2026-11-18T05:00:00Z", "2026-11-21T04:59:00Z"),  # the form in New York, `To` picked twice
        ("2026-11-18T00:00:00Z", "2026-11-20T00:00:00Z"),  # the CLI
        ("2026-11-18T00:00:00-11:00", "2026-11-20T00:00:00-11:00"),  # the API, with an offset
    ],
)
@pytest.mark.parametrize("name", ["twitter", "twitter_engagement"])
def test_a_backfill_makes_a_run_for_each_day_that_its_form_shows(bag, name, from_date, to_date):
    bounds = map(datetime.fromisoformat, (from_date, to_date))
    infos = as_the_scheduler_has_it(bag.dags[name]).iter_dagrun_infos_between(*bounds)
    assert [f"{info.run_after:%Y-%m-%d}" for info in infos] == ["2026-11-18", "2026-11-19", "2026-11-20"]
