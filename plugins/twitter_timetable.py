"""Makes the DAGs' schedule and priority known to every part of Airflow; without it they cannot be loaded."""

from airflow.plugins_manager import AirflowPlugin

from include.twitter.priority import BackfillsLast
from include.twitter.timetable import UtcDayTimetable


class TwitterTimetable(AirflowPlugin):
    name = "twitter_timetable"
    timetables = [UtcDayTimetable]  # noqa: RUF012 - as Airflow declares it
    priority_weight_strategies = [BackfillsLast]  # noqa: RUF012
