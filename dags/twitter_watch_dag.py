"""
### Is yesterday landed, and does X count what the ledger has?

Both wait until `twitter_deadline` (06:00 UTC), holding no worker, and speak also when no run of `twitter` was made,
because the host was down or the DAG paused. Neither waits for the other, and both are free.

**watch** looks at the receipts in the bucket.

- **Green:** the day is landed, and so are the 30 days before it.
- **Red:** the last line of the log names the days that are not. Fill them, then clear `watch`.

**meter** asks X how many posts it has counted this month, and compares that with the ledger.

- **Green:** they differ by no more than 2 %, or by no more than was reported before, or X does not show its count to
  these keys: the log says which.
- **Red:** another program reads with the same app, or the ledger lacks entries, or counts too many. It is reported once
  a month, and again if the difference grows.

**Who is told:** `twitter_alert_emails` and Connection `twitter_alert_webhook`, as of every failed stage.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from include.twitter.retry import DEFAULT_ARGS
from include.twitter.timetable import UtcDayTimetable


@dag(
    dag_display_name="Twitter: is the day landed?",
    description="Red where a day is not landed by its deadline, or X counts other posts than the ledger has.",
    schedule=UtcDayTimetable(),
    catchup=False,
    doc_md=__doc__,
    tags=["twitter", "s3"],
    default_args=DEFAULT_ARGS,
)
def twitter_watch():
    @task(execution_timeout=timedelta(minutes=10))
    def watch() -> None:
        """Compare the receipts with the calendar."""
        from include.twitter_features.freshness.tasks import watch

        watch()

    @task(execution_timeout=timedelta(minutes=10))
    def meter() -> None:
        """Compare X's own count of the month's posts with the ledger."""
        from include.twitter_features.x_usage.tasks import meter

        meter()

    watch()
    meter()


twitter_watch()
