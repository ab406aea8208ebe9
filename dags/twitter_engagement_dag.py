"""
### Snapshots: likes at equal ages

A day lands 90 minutes after it ends, so the age of its counts differs from post to post. This DAG requests the landed
posts again at each age in `twitter_engagement_days`, in days, every evening at 22:30 UTC.

**Price:** a post is free if it was bought on the same UTC day, as most posts at age 1. Any other post costs {posts}: at
another age, in a late snapshot, or after a backfill.

**It is red.** Open the red square, then *Logs*: the last `ERROR` line names the cause and the remedy. Stored responses
are not requested again.

**What a clear costs**

- `load`: free. It publishes the same staged files again.
- `transform`: free. It makes the tables from the stored responses again.
- `extract`: the price of the posts without a stored response. If every post has one, nothing.

**What it does**

- The run named 2026-11-18 waits until 2026-11-19, 22:30 UTC, without a worker slot. It makes the snapshots of age 1 of
  2026-11-18, age 7 of 2026-11-12 and age 30 of 2026-10-20. Then it makes the missed snapshots of the two weeks before.
  The log and the receipt have the hours by which they are late.
- **Why age 1 is free:** most posts were bought on that UTC day, and X charges a post once a day. X calls that a *soft
  guarantee*. So the price is reserved under the caps. The ledger records $0 as spent, and the price of another day.
- **The caps** `twitter_run_budget_usd` and `twitter_month_budget_usd` apply to paid snapshots.
- `extract` requests the posts by id, a hundred per request. `transform` makes a table of `tweet_id`, the six counts,
  `captured_at` and `state`. `load` publishes `twitter_engagement/dt=D/age=A/engagement.csv`, with the same rows as
  Parquet and a receipt.
- The receipt names each post that X no longer shows, with X's reason. So does **Days**, in the menu.
- The day's own table does not change, and one age never replaces another.

**Common tasks**

- *Make a snapshot that was missed longer ago:* Trigger with `day`, the day before the evening on which it was due: the
  run for 2026-10-07 makes age 7 of 2026-10-01.
- *Add an age:* add it to `twitter_engagement_days`. It applies from then on, not to days before.

**Requirements:** those of `twitter`.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from include.twitter import pricing
from include.twitter.priority import BackfillsLast
from include.twitter.retry import DEFAULT_ARGS
from include.twitter.timetable import BACKFILL_HINT, UtcDayTimetable


@dag(
    dag_display_name="Twitter → S3: likes at equal ages",
    description="Snapshots of the landed posts when they are 1, 7 or 30 days old.",
    schedule=UtcDayTimetable(),
    catchup=False,
    doc_md=pricing.filled(__doc__),
    tags=["twitter", "s3"],
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day (UTC)",
            description="The day before the evening on which the snapshots were due, for example 2026-11-18. "
            + BACKFILL_HINT,
        ),
    },
    default_args=DEFAULT_ARGS | {"weight_rule": BackfillsLast()},
)
def twitter_engagement():
    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=3))
    def extract() -> dict:
        """Request the posts of due snapshots and store every response as X sent it."""
        from include.twitter import airflow_context
        from include.twitter_features.snapshots import tasks

        return tasks.extract_snapshots(airflow_context.run_from_context())

    @task(execution_timeout=timedelta(hours=1))
    def transform(fetched: dict) -> dict:
        """Make tables of the stored responses; no request to X."""
        from include.twitter import airflow_context
        from include.twitter_features.snapshots import tasks

        return tasks.transform_snapshots(airflow_context.run_from_context(), fetched)

    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=1))
    def load(staged: dict) -> dict:
        """Publish the tables, each receipt after its files."""
        from include.twitter import airflow_context
        from include.twitter_features.snapshots import tasks

        return tasks.load_snapshots(airflow_context.run_from_context(), staged)

    load(transform(extract()))


twitter_engagement()
