"""
### Is yesterday landed?

Waits until `twitter_deadline` (06:00 UTC), holding no worker, and looks at the receipts in the bucket: it speaks
also when no run of `twitter` was made, because the host was down or the DAG paused.

- **Green:** the day is landed, and so are the 30 days before it.
- **Red:** the last line of the log names the days that are not. Fill them, then clear `watch`.
- **Who is told:** `twitter_alert_emails` and Connection `twitter_alert_webhook`, as of every failed stage.

It calls S3 once, never X, and costs nothing.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from include.twitter.retry import FIRST_DELAY, RETRIES, AsTheErrorSays, last_word, tell
from include.twitter.timetable import Days


@dag(
    dag_display_name="Twitter: is the day landed?",
    description="Red where a day is not landed by its deadline.",
    schedule=Days(),
    catchup=False,
    doc_md=__doc__,
    tags=["twitter", "s3"],
    default_args={
        "retries": RETRIES,
        "retry_delay": FIRST_DELAY,
        "retry_policy": AsTheErrorSays(),
        "on_retry_callback": last_word,
        "on_failure_callback": [last_word, tell],
    },
)
def twitter_watch():
    @task(execution_timeout=timedelta(minutes=10))
    def watch() -> None:
        """Compare the receipts with the calendar."""
        from include.twitter.watch import watch

        watch()

    watch()


twitter_watch()
