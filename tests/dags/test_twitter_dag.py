"""The DAG as Airflow reads it."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from include.twitter import pricing
from tests.dags.test_every_dag import as_the_scheduler_has_it


def test_the_docstring_is_the_manual_and_begins_with_what_to_do_when_it_is_red(dag):
    headings = [line.split("**")[1] for line in dag.doc_md.splitlines() if line.startswith("**")]
    assert headings[:2] == ["It is red.", "What a clear costs"]


def test_load_alone_updates_the_plain_and_the_partitioned_asset(dag):
    assert {task.task_id: [outlet.name for outlet in task.outlets] for task in dag.tasks} == {
        "extract": [],
        "transform": [],
        "load": ["twitter_refined_tweets", "twitter_days"],
    }


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("day", [None, "2026-11-18"], ["yesterday", 20261118, "18.11.2026"]),
        ("buy_again", [False, True], ["true", 1, None]),
        ("accounts", [None, "NASA, esa"], [["NASA"], 5]),
    ],
)
def test_the_trigger_form_accepts_values_of_its_types_alone(dag, name, accepted, refused):
    from airflow.sdk.exceptions import ParamValidationError

    param = dag.params.get_param(name)
    assert param.resolve() == accepted[0]
    for value in accepted:
        assert param.resolve(value) == value
    for value in refused:
        with pytest.raises(ParamValidationError):
            param.resolve(value)
    assert set(dag.params) == {"day", "buy_again", "accounts"}
    assert f"{pricing.price_text('posts')} a post" in dag.params.get_param("buy_again").description


@pytest.mark.parametrize("run", ["scheduled__2026-11-25", "manual__2026-11-25"])
def test_a_daily_run_has_priority_over_waiting_days_of_a_backfill(dag, run):
    def weights(run_id):
        tasks = as_the_scheduler_has_it(dag).tasks
        return [task.weight_rule.get_weight(SimpleNamespace(task=task, run_id=run_id)) for task in tasks]

    planned = "manual__2026-11-01__plan_0a1b2c3d4e5f"
    assert min(weights(run)) > max(weights("backfill__2026-11-01T23:59:59+00:00") + weights(planned))


@pytest.mark.parametrize("name", ["twitter", "twitter_engagement"])
def test_a_backfill_makes_a_run_for_each_day_that_its_form_shows(bag, name):
    bounds = (
        datetime(2026, 11, 17, 11, tzinfo=UTC),
        datetime(2026, 11, 20, 10, 59, 59, tzinfo=UTC),
    )  # Auckland
    infos = as_the_scheduler_has_it(bag.dags[name]).iter_dagrun_infos_between(*bounds)
    assert [f"{info.run_after:%Y-%m-%d}" for info in infos] == ["2026-11-18", "2026-11-19", "2026-11-20"]
