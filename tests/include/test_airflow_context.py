"""Which day a run collects."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.airflow_context import day_of, poll, run_from_context, wait_until
from include.twitter.day import Day
from include.twitter.errors import BadDay
from tests.include.test_settings import DAYS


def context(run_type, *, day=None, logical_date=None, start=None, end=None, run_after=None):
    dag_run = SimpleNamespace(
        run_type=run_type,
        logical_date=logical_date,
        run_after=run_after or datetime(2026, 11, 22, 7, 5, tzinfo=UTC),
    )
    return {
        "dag_run": dag_run,
        "params": {"day": day},
        "data_interval_start": start,
        "data_interval_end": end or (start and start + timedelta(days=1)),
    }


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_scheduled_or_backfill_run_collects_its_data_interval(run_type):
    planned = context(run_type, logical_date=utc(2026, 11, 18), start=utc(2026, 11, 18))
    assert str(day_of(planned)) == "2026-11-18"


def test_a_run_type_may_be_an_enum_whose_value_is_the_word():
    from airflow.utils.types import DagRunType

    planned = context(DagRunType.MANUAL, day="2026-11-18")
    assert str(day_of(planned)) == "2026-11-18"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (utc(2026, 11, 18), utc(2026, 11, 18)),
        (utc(2026, 11, 18), utc(2026, 11, 25)),
        (utc(2026, 11, 18, 12), utc(2026, 11, 19, 12)),
        (utc(2026, 11, 18), utc(2026, 11, 18, 1)),
    ],
)
def test_a_data_interval_that_is_not_one_utc_day_is_refused(start, end):
    with pytest.raises(BadDay, match=r"is not one UTC day\. Use Trigger with `day`, or Backfill"):
        day_of(context("scheduled", logical_date=start, start=start, end=end))


BY_HAND = pytest.mark.parametrize("run_type", ["manual", "operator_triggered", "asset_triggered"])
"""Every run is, but for those that the timetable has planned."""


@BY_HAND
@pytest.mark.parametrize("logical_date", [None, utc(2026, 11, 22, 10, 0), utc(2026, 11, 22)])
def test_a_run_that_was_triggered_collects_the_day_that_it_names(run_type, logical_date):
    start = utc(2026, 11, 21) if logical_date else None
    asked = context(run_type, day="2026-11-18", logical_date=logical_date, start=start)
    assert str(day_of(asked)) == "2026-11-18"


@BY_HAND
@pytest.mark.parametrize("logical_date", [None, utc(2026, 11, 22, 10, 0), utc(2026, 11, 22)])
@pytest.mark.parametrize("day", [None, ""])
def test_a_run_that_was_triggered_without_a_day_is_refused_with_what_to_do(run_type, logical_date, day):
    start = utc(2026, 11, 21) if logical_date else None
    asked = context(run_type, day=day, logical_date=logical_date, start=start)
    with pytest.raises(BadDay, match=r'Trigger again with `day` \(as JSON: \{"day": "2026-11-21"\}\)'):
        day_of(asked)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_day_is_refused_on_a_run_that_already_names_its_day(run_type):
    asked = context(run_type, day="2026-11-01", logical_date=utc(2026, 11, 18), start=utc(2026, 11, 18))
    with pytest.raises(BadDay, match=f"day=2026-11-01 is refused on a {run_type} run"):
        day_of(asked)


@pytest.mark.parametrize("text", [*DAYS, " 2026-11-18", "2026-11-18\u00a0", "2026-11-18,"])
def test_a_day_in_another_notation_is_refused_with_an_example(text):
    with pytest.raises(BadDay, match=r"is no date\. Example: 2026-11-18"):
        day_of(context("manual", day=text))


def test_a_day_that_has_not_ended_is_refused_naming_the_latest_that_has():
    with pytest.raises(BadDay, match="2026-11-22 has not ended: it is 2026-11-22 23:58 UTC") as error:
        Day.parse("2026-11-22").require_collectable(utc(2026, 11, 22, 23, 58, 59))
    assert str(error.value).endswith("The latest day to collect is 2026-11-21.")


def test_a_day_that_ends_in_a_moment_is_waited_for():
    Day.parse("2026-11-21").require_collectable(utc(2026, 11, 21, 23, 59))


def test_a_day_before_the_first_post_is_refused():
    Day.parse("2006-03-21").require_collectable(utc(2026, 11, 22))
    with pytest.raises(BadDay, match="2006-03-20 is before the first post on X, of 2006-03-21"):
        Day.parse("2006-03-20").require_collectable(utc(2026, 11, 22))


def test_the_run_of_a_task_has_what_it_was_triggered_with(monkeypatch):
    by_hand = context("manual", day="2026-11-18")
    by_hand["params"] |= {"accounts": "NASA, esa", "buy_again": True}
    by_hand["dag_run"].run_id = "manual__2026-11-18"
    by_hand["ti"] = SimpleNamespace(try_number=1)
    monkeypatch.setattr("include.twitter.airflow_context.get_current_context", lambda: by_hand)
    run = run_from_context()
    assert (str(run.day), run.accounts, run.buy_again) == ("2026-11-18", "NASA, esa", True)
    assert re.fullmatch("[0-9a-f]{12}", run.id)


NOON = utc(2026, 11, 22, 12)


def test_a_moment_that_lies_ahead_is_waited_for_without_a_worker_and_one_that_has_passed_is_not():
    wait_until(NOON, "", lambda: NOON)
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        wait_until(NOON, "the day may still change", lambda: NOON - timedelta(seconds=1))
    assert rescheduled.value.reschedule_date == NOON


def test_a_task_that_polls_runs_again_after_the_pause():
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        poll(timedelta(minutes=5), "X checks the posts", lambda: NOON)
    assert rescheduled.value.reschedule_date == NOON + timedelta(minutes=5)
