"""Which run goes first if several wait for the only slot of `extract`."""

from typing import Any

from airflow.task.priority_strategy import PriorityWeightStrategy


class BackfillsLast(PriorityWeightStrategy):
    """Scheduled and triggered runs go before the waiting days of a backfill or plan.

    Airflow would start with the oldest day, so a backfill of a month would delay today's run until its end.
    The plugin `twitter_timetable` registers the class.
    """

    def get_weight(self, ti: Any) -> int:
        is_one_of_many = ti.run_id.startswith("backfill__") or "__plan_" in ti.run_id
        return 1 if is_one_of_many else 2

    def __repr__(self) -> str:
        """The same text in every process, because Airflow serializes `default_args` with it.

        The default contains a memory address, so each parse created a new version of the DAG.
        """
        return f"{type(self).__module__}.{type(self).__qualname__}"
