"""Consumers of landed days: all that has landed, day by day, and month by month.

Put those that you need among your own DAGs, and your own work in the place of `summary`.
docs/how-to/trigger_other_dags.md says when each of them runs, and what an event carries.
"""

from airflow.sdk import (
    Asset,
    MonthWindow,
    PartitionedAssetTimetable,
    RollupMapper,
    StartOfMonthMapper,
    dag,
    task,
)

LANDED = Asset("twitter_refined_tweets")
DAYS = Asset("twitter_days")


def newest(events) -> dict[str, dict]:
    """What the newest event of each day carries: a day that landed twice is read once."""
    return {event.extra["day"]: event.extra for event in sorted(events, key=lambda event: event.timestamp)}


def posts(landed: dict):
    """The posts of a landed day, as pandas has them."""
    import io

    import pandas as pd
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    parquet = S3Hook().get_key(landed["keys"]["parquet"], landed["bucket"])
    return pd.read_parquet(io.BytesIO(parquet.get()["Body"].read()))


def summary(landed: dict) -> dict:
    """The work: it gives the same for the same day, so its result takes the place of an older one."""
    tweets = posts(landed)
    return {"posts": len(tweets), "likes": int(tweets["likes"].sum()), "cost_usd": landed["cost_usd"]}


@dag(schedule=[LANDED], catchup=False)
def tweets_landed():
    """Runs when anything has landed; one run may stand for many days, as after a backfill."""

    @task
    def summarise(triggering_asset_events=None) -> dict:
        return {day: summary(landed) for day, landed in newest(triggering_asset_events[LANDED]).items()}

    summarise()


@dag(schedule=PartitionedAssetTimetable(assets=DAYS), catchup=False)
def tweets_of_a_day():
    """Runs for each landed day; its runs bear the day as their partition key."""

    @task
    def summarise(dag_run=None, triggering_asset_events=None) -> dict:
        return summary(newest(triggering_asset_events[DAYS])[dag_run.partition_key])

    summarise()


WHOLE_MONTH = RollupMapper(upstream_mapper=StartOfMonthMapper(input_format="%Y-%m-%d"), window=MonthWindow())


@dag(
    schedule=PartitionedAssetTimetable(assets=DAYS, default_partition_mapper=WHOLE_MONTH),
    catchup=False,
)
def tweets_of_a_month():
    """Runs once all days of a month have landed; its partition key is the month."""

    @task
    def add_up(triggering_asset_events=None) -> dict:
        days = newest(triggering_asset_events[DAYS]).values()
        return {
            "days": len(days),
            "posts": sum(day["rows"] for day in days),
            "cost_usd": round(sum(day["cost_usd"] for day in days), 3),
        }

    add_up()


tweets_landed()
tweets_of_a_day()
tweets_of_a_month()
