"""Which day a run collects."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.day import Day
from include.twitter.errors import BadDay
from include.twitter.run import current, day_of, days_from, wait_until_ended, wait_until_settled
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


@pytest.mark.parametrize("day", ["18.11.2026", "2026-11-31", "20261118", "2026-11-18T00:00:00Z"])
def test_a_malformed_day_is_refused_with_an_example(day):
    with pytest.raises(BadDay, match=r"is no date\. Example: 2026-11-18"):
        day_of(context("manual", day=day))


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


def test_a_day_that_has_not_settled_comes_back_when_it_has():
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        wait_until_settled(Day.parse("2026-11-21"), timedelta(minutes=90), utc(2026, 11, 22, 1, 29, 59))
    assert rescheduled.value.reschedule_date == utc(2026, 11, 22, 1, 30)


def test_a_settled_day_goes_on():
    wait_until_settled(Day.parse("2026-11-21"), timedelta(minutes=90), utc(2026, 11, 22, 1, 30))


def test_a_plan_is_for_the_first_day_to_the_last():
    assert [str(day) for day in days_from("2026-02-27", "2026-03-01")] == [
        "2026-02-27",
        "2026-02-28",
        "2026-03-01",
    ]


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        ("2026-10-02", "2026-10-01", "are 0 days"),
        ("2025-10-01", "2026-10-02", "are 367 days, and a plan is for 1 to 366"),
        ("2026-10-1", "2026-10-02", "day='2026-10-1' is no date"),
    ],
)
def test_a_range_of_no_days_or_too_many_is_refused(first, last, told):
    with pytest.raises(BadDay, match=told):
        days_from(first, last)
    assert len(days_from("2025-10-01", "2026-10-01")) == 366


@pytest.mark.parametrize(
    ("conf", "plan"),
    [(None, ""), ({}, ""), ({"day": "2026-11-18", "plan": None}, ""), ({"plan": "p1"}, "p1")],
)
def test_the_plan_of_a_run_comes_from_what_started_it(monkeypatch, conf, plan):
    by_hand = context("manual", day="2026-11-18")
    by_hand["dag_run"].conf, by_hand["dag_run"].run_id = conf, "manual__2026-11-18"
    by_hand["ti"] = SimpleNamespace(try_number=1)
    monkeypatch.setattr("include.twitter.run.get_current_context", lambda: by_hand)
    assert current().plan == plan


class Airflow:
    """A task that asks how many runs have not ended."""

    def __init__(self, *left):
        self.left, self.asked = list(left), []

    def get_dr_count(self, dag_id, *, run_ids, states):
        assert (dag_id, states) == ("twitter", ["queued", "running"])
        self.asked.append(len(run_ids))
        return self.left.pop(0)


def test_runs_are_waited_for_without_a_worker(monkeypatch):
    ti = Airflow(0, 2, 1)
    monkeypatch.setattr("include.twitter.run.get_current_context", lambda: {"ti": ti})
    with pytest.raises(AirflowRescheduleException):
        wait_until_ended("twitter", [f"run {number}" for number in range(250)])
    assert ti.asked == [100, 100, 50]


def test_runs_that_have_ended_are_not_waited_for(monkeypatch):
    monkeypatch.setattr("include.twitter.run.get_current_context", lambda: {"ti": Airflow(0)})
    wait_until_ended("twitter", ["one"])


@pytest.mark.parametrize("text", [*DAYS, " 2026-11-18", "2026-11-18\u00a0", "2026-11-18,"])
def test_a_day_in_another_notation_is_refused_with_an_example(text):
    for read in (
        lambda: day_of(context("manual", day=text)),
        lambda: days_from(text, "2026-11-20"),
        lambda: days_from("2026-11-01", text),
    ):
        with pytest.raises(BadDay, match=r"is no date\. Example: 2026-11-18"):
            read()
