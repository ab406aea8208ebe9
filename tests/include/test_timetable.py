"""One run a UTC day, named by its day."""

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.utils.types import DagRunType

from include.twitter.timetable import Days

DAY = DataInterval(pendulum.datetime(2026, 11, 18), pendulum.datetime(2026, 11, 19))


def days_of_a_backfill(first, last):
    """The days that a backfill makes runs for, as Airflow asks for them."""
    found, info = [], None
    restriction = TimeRestriction(first, last, catchup=True)
    while info := Days().next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction):
        assert info.data_interval.end - info.data_interval.start == pendulum.duration(days=1)
        found.append(info.data_interval.start.to_iso8601_string())
    return found


@pytest.mark.parametrize(
    "zone", ["UTC", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "America/Los_Angeles"]
)
def test_a_backfill_has_the_days_that_its_form_shows_in_any_zone(zone):
    first, last = pendulum.datetime(2026, 11, 18, tz=zone), pendulum.datetime(2026, 11, 20, tz=zone)
    assert days_of_a_backfill(first, last) == [f"2026-11-{day}T00:00:00Z" for day in (18, 19, 20)]


def test_a_run_is_made_a_second_before_its_day_ends_so_that_its_id_names_it():
    info = Days().next_dagrun_info(
        last_automated_data_interval=DAY, restriction=TimeRestriction(None, None, catchup=True)
    )
    assert info.data_interval == DataInterval(DAY.end, DAY.end.add(days=1))
    assert info.run_after == pendulum.datetime(2026, 11, 19, 23, 59, 59)
    assert f"backfill__{info.run_after.isoformat()}" == "backfill__2026-11-19T23:59:59+00:00"


@pytest.mark.parametrize(
    ("run_type", "interval", "run_id"),
    [
        (DagRunType.SCHEDULED, DAY, "scheduled__2026-11-18"),
        (DagRunType.MANUAL, DAY, "manual__2026-11-18T23:59:59+00:00"),
        (DagRunType.MANUAL, None, "manual__2026-11-18T23:59:59+00:00"),
    ],
)
def test_a_scheduled_run_is_named_by_its_day_and_another_as_airflow_does(run_type, interval, run_id):
    run_after = pendulum.datetime(2026, 11, 18, 23, 59, 59)
    named = Days().generate_run_id(run_type=run_type, run_after=run_after, data_interval=interval)
    assert named == run_id
