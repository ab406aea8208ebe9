"""
### Likes at equal ages

A day is landed 90 minutes after it ends, so its counts are of hours that differ from post to post. This DAG reads
the landed posts again when they are as many days old as `twitter_engagement_days` says, each evening at 22:30 UTC.

**It is red.** Open the red square, then *Logs*: the last line says what happened and what to do. What was read is
kept, and not asked for again.

**What a clear costs**

- `load`: free. The staged files are published again.
- `transform`: free. The tables are made again of what X answered.
- `extract`: what is missing. Of posts that were all asked for, nothing.

**What it does**

- The run named 2026-11-18 waits until 2026-11-19, 22:30 UTC, without a worker. It reads age 1 of 2026-11-18, age 7 of
  2026-11-12, age 30 of 2026-10-20; then what was missed of the two weeks before: late, and its log says how late.
- **Age 1 is free:** most posts were bought on that UTC day, and X charges a post once in it. X calls that a *soft
  guarantee*. So it is held against the caps at its price, and the ledger has it as spent 0, with what it would have
  cost.
- **Other ages, and what is late, cost {posts} a post,** under `twitter_run_budget_usd` and `twitter_month_budget_usd`.
- `extract` asks X for the posts by id, a hundred a request; `transform` makes `tweet_id`, the six counts,
  `captured_at` and `state` of that; `load` publishes `twitter_engagement/dt=D/age=A/engagement.csv`, with a Parquet
  twin and a receipt.
- The receipt names each post that X no longer gives, with X's reason. So does **Days**, in the menu.
- The day's own table stays as it was, and ages never take each other's place.

**What to press**

- *What was missed longer ago:* Trigger with `day`, the day before the evening on which it was due: age 7 of
  2026-10-01 is read by the run for 2026-10-07.
- *Another age:* add it to `twitter_engagement_days`. It is read from then on, of no day before.

**Needs** what `twitter` needs.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from include.twitter import pricing
from include.twitter.priority import BackfillsLast
from include.twitter.retry import DEFAULT_ARGS
from include.twitter.timetable import BACKFILL_HINT, UtcDayTimetable


@dag(
    dag_display_name="Twitter → S3: likes at equal ages",
    description="The landed posts, read again when they are 1, 7 or 30 days old.",
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
            description="The day before the evening on which posts were due, for example 2026-11-18. "
            + BACKFILL_HINT,
        ),
    },
    default_args=DEFAULT_ARGS | {"weight_rule": BackfillsLast()},
)
def twitter_engagement():
    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=3))
    def extract() -> dict:
        """Ask X for the posts that are due; stage every answer as it came."""
        from include.twitter import airflow_context
        from include.twitter_features.snapshots import tasks

        return tasks.extract(airflow_context.run_from_context())

    @task(execution_timeout=timedelta(hours=1))
    def transform(fetched: dict) -> dict:
        """Make tables of the answers; no call to X."""
        from include.twitter import airflow_context
        from include.twitter_features.snapshots import tasks

        return tasks.transform(airflow_context.run_from_context(), fetched)

    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=1))
    def load(staged: dict) -> dict:
        """Publish the tables, each receipt after its files."""
        from include.twitter import airflow_context
        from include.twitter_features.snapshots import tasks

        return tasks.load(airflow_context.run_from_context(), staged)

    load(transform(extract()))


twitter_engagement()
