"""Which run goes first where several wait for the one `extract` at a time."""

from typing import Any

from airflow.task.priority_strategy import PriorityWeightStrategy


class BackfillsLast(PriorityWeightStrategy):
    """The day's own run, or one that somebody has triggered, passes the days of a backfill that wait.

    Airflow would take the oldest day first: a backfill of a month would hold up today's run to its end. The
    plugin `twitter_timetable` makes it known to Airflow.
    """

    def get_weight(self, ti: Any) -> int:
        return 1 if ti.run_id.startswith("backfill__") else 2
