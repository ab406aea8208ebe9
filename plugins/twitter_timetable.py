"""Makes the schedule of the DAGs known to every part of Airflow; without it they cannot be loaded."""

from airflow.plugins_manager import AirflowPlugin

from include.twitter.timetable import Days


class TwitterTimetable(AirflowPlugin):
    name = "twitter_timetable"
    timetables = [Days]  # noqa: RUF012 - as Airflow declares it
