"""The day of a run, and waiting."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException
from airflow.utils.types import DagRunType

from include.twitter.airflow_context import day_of, poll, run_from_context, wait_until
from include.twitter.errors import BadDay
from tests.include.test_settings import DAYS


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


NOON, START = utc(2026, 11, 22, 12), utc(2026, 11, 18)


def context(run_type, *, day=None, logical_date=None, start=None, end=None):
    dag_run = SimpleNamespace(run_type=run_type, logical_date=logical_date, run_after=utc(2026, 11, 22, 7, 5))
    return {
        "dag_run": dag_run,
        "params": {"day": day},
        "data_interval_start": start,
        "data_interval_end": end or (start and start + timedelta(days=1)),
    }


@pytest.mark.parametrize(
    "run",
    [
        context("scheduled", logical_date=START, start=START),
        context("backfill", logical_date=START, start=START),
        context(DagRunType.MANUAL, day="2026-11-18"),
        context("operator_triggered", day="2026-11-18", logical_date=NOON, start=utc(2026, 11, 21)),
        context("asset_triggered", day="2026-11-18"),
    ],
)
def test_a_planned_run_has_its_interval_and_a_triggered_one_its_day(run):
    assert str(day_of(run)) == "2026-11-18"


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (context("manual"), r'\{"day": "2026-11-21"\}'),
        (context("operator_triggered", day="", logical_date=NOON, start=START), r'\{"day": "2026-11-21"\}'),
        (context("scheduled", day="2026-11-01", start=START), "day=2026-11-01 cannot be combined"),
        (context("backfill", day="2026-11-01", start=START), "day=2026-11-01 cannot be combined"),
        (context("scheduled", start=START, end=START), "not one UTC day"),
        (context("scheduled", start=START, end=utc(2026, 11, 25)), "not one UTC day"),
        (context("scheduled", start=utc(2026, 11, 18, 12)), "not one UTC day"),
    ],
)
def test_a_run_that_could_mean_another_day_is_refused(run, problem):
    with pytest.raises(BadDay, match=problem):
        day_of(run)


@pytest.mark.parametrize("text", [*DAYS, " 2026-11-18", "2026-11-18\u00a0", "2026-11-18,"])
def test_a_day_in_another_notation_is_refused_with_an_example(text):
    with pytest.raises(BadDay, match=r"is not a day, .*\. Example: 2026-11-18"):
        day_of(context("manual", day=text))


def test_the_run_of_a_task_has_its_params(monkeypatch):
    triggered = context("manual", day="2026-11-18")
    triggered["params"] |= {"accounts": "NASA, esa", "buy_again": True}
    triggered["dag_run"].run_id = "manual__2026-11-18"
    triggered["ti"] = SimpleNamespace(try_number=1)
    monkeypatch.setattr("include.twitter.airflow_context.get_current_context", lambda: triggered)
    run = run_from_context()
    assert (str(run.day), run.accounts, run.buy_again) == ("2026-11-18", "NASA, esa", True)
    assert re.fullmatch("[0-9a-f]{12}", run.id)


def test_a_task_waits_without_a_worker_until_a_moment_that_has_not_passed():
    wait_until(NOON, "", lambda: NOON)
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        wait_until(NOON, "the day may still change", lambda: NOON - timedelta(seconds=1))
    assert rescheduled.value.reschedule_date == NOON
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        poll(timedelta(minutes=5), "X checks the posts", lambda: NOON)
    assert rescheduled.value.reschedule_date == NOON + timedelta(minutes=5)
