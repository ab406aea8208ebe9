"""One run a UTC day, named by its day."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.utils.types import DagRunType

from include.twitter.timetable import UtcDayTimetable, days_of_backfill

DAY = DataInterval(pendulum.datetime(2026, 11, 18), pendulum.datetime(2026, 11, 19))


def days_of_a_backfill(first, last):
    """The days of a backfill's runs, as Airflow requests them."""
    days, info = [], None
    restriction = TimeRestriction(first, last, catchup=True)
    while info := UtcDayTimetable().next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction):
        assert info.data_interval.end - info.data_interval.start == pendulum.duration(days=1)
        days.append(info.data_interval.start.to_iso8601_string())
    return days


# The form of Airflow 3.3.2 sends, as UTC, the start of the date in `From` and the end of that in `To`, in the
# zone of the UI. If `To` was filled before, its time is 23:59. The API and the CLI pass midnights.
ENDS = [time(23, 59, 59, 999_000), time(23, 59), time(0)]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Chatham"])
@pytest.mark.parametrize("end", ENDS)
def test_a_backfill_has_the_days_that_its_form_shows(zone, end):
    first = pendulum.datetime(2026, 11, 18, tz=zone).in_timezone("UTC")
    last = pendulum.datetime(2026, 11, 20, end.hour, end.minute, end.second, end.microsecond, tz=zone)
    days = [f"2026-11-{day}T00:00:00Z" for day in (18, 19, 20)]
    assert days_of_a_backfill(first, last.in_timezone("UTC")) == days


DAYS = date(2026, 11, 18), date(2026, 11, 20)


def days_by_form(first_offset, last_offset, end):
    """The days of the form's moments for DAYS in a zone of these offsets in hours."""
    moments = datetime.combine(DAYS[0], time(0), UTC), datetime.combine(DAYS[1], end, UTC)
    return days_of_backfill(
        moments[0] - timedelta(hours=first_offset), moments[1] - timedelta(hours=last_offset)
    )


@pytest.mark.parametrize("end", ENDS)
def test_the_form_means_its_dates_at_any_offset_and_around_a_clock_change(end):
    offsets = {quarters / 4 for quarters in range(-10 * 4, 13 * 4 + 4)}
    for offset in offsets:
        for after in {offset, offset + 1, offset - 1, offset + 0.5, offset - 0.5} & offsets:
            assert days_by_form(offset, after, end) == DAYS, (offset, after)
    for offset in (-12, -11, 14):
        assert days_by_form(offset, offset, end) != DAYS, "it looks like UTC+12, +13, -10"


@pytest.mark.parametrize("zone", ["Pacific/Pago_Pago", "Pacific/Kiritimati", "Europe/Berlin"])
@pytest.mark.parametrize("end", ENDS)
def test_a_bound_with_an_offset_of_its_own_names_its_date(zone, end):
    first = datetime(2026, 11, 18, tzinfo=ZoneInfo(zone))
    last = datetime.combine(date(2026, 11, 20), end, ZoneInfo(zone))
    assert days_of_backfill(first, last) == (date(2026, 11, 18), date(2026, 11, 20))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-11-18T08:00:00Z", "2026-11-20T22:59:59.999Z"),  # 9 o'clock typed in Berlin
        ("2026-11-18T00:07:00Z", "2026-11-20T00:00:00Z"),
        ("2026-11-18T00:00:00Z", "2026-11-20T00:00:01Z"),
        ("2026-11-18T11:00:00Z", "2026-11-20T11:00:00-11:00"),
    ],
)
def test_bounds_that_could_mean_another_day_create_no_run_and_are_reported(first, last, caplog):
    assert days_of_a_backfill(pendulum.parse(first), pendulum.parse(last)) == []
    assert "The backfill creates no run: " in caplog.text
    assert "for example 2026-11-18T00:00:00Z" in caplog.text


def test_a_run_starts_a_second_before_its_day_ends_so_that_its_id_names_the_day():
    info = UtcDayTimetable().next_dagrun_info(
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
def test_a_scheduled_run_is_named_by_its_day_and_another_by_airflow(run_type, interval, run_id):
    run_after = pendulum.datetime(2026, 11, 18, 23, 59, 59)
    named = UtcDayTimetable().generate_run_id(run_type=run_type, run_after=run_after, data_interval=interval)
    assert named == run_id
