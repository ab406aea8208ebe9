"""
### Which landed posts are gone?

X's batch compliance checks all landed posts at once, by their ids: none is read, and none is paid for. Each Monday at
08:00 UTC, since X wants what is deleted there to be deleted here *as soon as reasonably possible*, and a job reads the
table of every landed day. To know it sooner, Trigger.

**What it does**

- `upload` creates a job at X and uploads the ids of all landed posts, and nothing else of them.
- `wait_for_result` waits without a worker until X offers the result, for two days at most, and stores it below
  `twitter_compliance/`. A job that has failed, has expired or is no longer there is replaced, twice.
- `publish_deletions` writes for each day which of its posts are gone, and why: `twitter_compliance/dt=D/gone.json`.
  **Days**, in the menu, shows them.

Nothing is deleted by it: `make forget GONE=yes` does that, with what X called gone on two days.

**It is red.** Open the red square, then *Logs*: the last line says what happened and what to do.

**What a clear costs:** nothing. A run makes its job once, and keeps its answer: to ask X afresh, Trigger.

**Needs** what `twitter` needs. X checks one such job of an app at a time: another one is waited for.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from include.twitter.retry import DEFAULT_ARGS


@dag(
    dag_display_name="Twitter: which posts are gone?",
    description="X's batch compliance checks all landed posts, and the days say which are gone.",
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
        """Wait for X's result without a worker, and store it."""
        from include.twitter_features.compliance import job, tasks

        return tasks.wait_for_result(job.compliance_run_from_context(), uploaded)

    @task(execution_timeout=timedelta(hours=1))
    def publish_deletions(fetched: dict) -> dict:
        """Write which posts of each day are gone; no request to X."""
        from include.twitter_features.compliance import job, tasks

        return tasks.publish_deletions(job.compliance_run_from_context(), fetched)

    publish_deletions(wait_for_result(upload()))


twitter_compliance()
