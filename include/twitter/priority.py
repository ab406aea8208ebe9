"""Which run goes first where several wait for the one `extract` at a time."""

from typing import Any

from airflow.task.priority_strategy import PriorityWeightStrategy


class BackfillsLast(PriorityWeightStrategy):
    """The day's own run, or one that somebody has triggered, passes the days of a backfill or plan that wait.

    Airflow would take the oldest day first: a backfill of a month would hold up today's run to its end. The
    plugin `twitter_timetable` makes it known to Airflow.
    """

    def get_weight(self, ti: Any) -> int:
        of_a_range = ti.run_id.startswith("backfill__") or "__plan_" in ti.run_id
        return 1 if of_a_range else 2

    def __repr__(self) -> str:
        """The same text in every process: Airflow serializes `default_args` with it.

        The default holds a memory address, so each parse made a new Dag version.
        """
        return f"{type(self).__module__}.{type(self).__qualname__}"
