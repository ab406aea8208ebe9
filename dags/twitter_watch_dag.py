"""
### Has yesterday landed, and does X's count agree with the ledger?

Both tasks wait until `twitter_deadline` (06:00 UTC) without a worker slot. They also work if no run of `twitter` was
created, because the host was down or the DAG was paused. They are independent of each other. Both are free.

**watch** compares the receipts in the bucket with the calendar.

- **Green:** the day and the 30 days before it have landed.
- **Red:** the last `ERROR` line of the log names the days that have not landed. Fill them, then clear `watch`.

**meter** requests X's own count of this month's posts and compares it with the ledger.

- **Green:** the two differ by at most 2 % or 20 posts, the difference was reported before, or X's count is not available
  to these keys. The log has the reason.
- **Red:** another program uses the same app, or the ledger lacks entries, or has too many. The task reports a difference
  once a month, and again if it grows.

**Alerts** go to `twitter_alert_emails` and Connection `twitter_alert_webhook`, as for every failed stage.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from include.twitter.retry import DEFAULT_ARGS
from include.twitter.timetable import UtcDayTimetable


@dag(
    dag_display_name="Twitter: has the day landed?",
    description="Red if a day has not landed by its deadline, or X's count of posts differs from the ledger.",
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
