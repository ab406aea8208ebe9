"""
### Which landed posts are gone?

X's batch compliance checks the ids of all landed posts in one job. It is free: X returns no post. The DAG runs each
Monday at 08:00 UTC. X requires that you delete posts that were deleted at X *as soon as reasonably possible*: to check
sooner, Trigger.

**What it does**

- `upload` creates a job at X and uploads the ids of all landed posts, and no other data.
- `wait_for_result` waits without a worker slot until X offers the result, for two days at most, and stores it under
  `twitter_compliance/`. It replaces a job that failed, expired or disappeared, at most twice.
- `publish_deletions` writes which posts of each day are gone, and why: `twitter_compliance/dt=D/gone.json`.
  **Days**, in the menu, shows them.

It deletes nothing: `make forget GONE=yes` erases the posts that X called gone on two days.

**It is red.** Open the red square, then *Logs*: the last `ERROR` line names the cause and the remedy.

**What a clear costs:** nothing. A run creates its job once and stores the result. For a new check, Trigger.

**Requirements:** those of `twitter`. X runs one such job per app at a time: `upload` waits until another job has ended.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from include.twitter.retry import DEFAULT_ARGS


@dag(
    dag_display_name="Twitter: which posts are gone?",
    description="X's batch compliance checks all landed posts and reports which are gone.",
    schedule="0 8 * * 1",
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["twitter", "s3"],
    default_args=DEFAULT_ARGS,
)
def twitter_compliance():
    @task(execution_timeout=timedelta(hours=1))
    def upload() -> dict:
        """Create a job at X and upload the ids of all landed posts."""
        from include.twitter_features.compliance import job, tasks

        return tasks.upload(job.compliance_run_from_context())

    @task(execution_timeout=timedelta(hours=1))
    def wait_for_result(uploaded: dict) -> dict:
        """Wait for X's result without a worker slot, and store it."""
        from include.twitter_features.compliance import job, tasks

        return tasks.wait_for_result(job.compliance_run_from_context(), uploaded)

    @task(execution_timeout=timedelta(hours=1))
    def publish_deletions(fetched: dict) -> dict:
        """Write which posts of each day are gone; no request to X."""
        from include.twitter_features.compliance import job, tasks

        return tasks.publish_deletions(job.compliance_run_from_context(), fetched)

    publish_deletions(wait_for_result(upload()))


twitter_compliance()
