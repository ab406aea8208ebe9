"""
### Which landed posts are gone?

X's batch compliance checks all landed posts at once, by their ids: none is read, and none is paid for. Each Monday at
08:00 UTC, since X wants what is deleted there to be deleted here *as soon as reasonably possible*, and a job reads the
table of every landed day. To know it sooner, Trigger.

**What it does**

- `ask` makes a job at X and uploads the ids of all landed posts, and nothing else of them.
- `fetch` waits without a worker until X has an answer, for two days at most, and keeps it below `twitter_compliance/`. A
  job that has failed, has expired or is no longer there is made again, twice.
- `mark` writes for each day which of its posts are gone, and why: `twitter_compliance/dt=D/gone.json`. **Days**, in the
  menu, shows them.

Nothing is deleted by it: `make forget GONE=yes` does that, with what X called gone on two days.

**It is red.** Open the red square, then *Logs*: the last line says what happened and what to do.

**What a clear costs:** nothing. A run makes its job once, and keeps its answer: to ask X afresh, Trigger.

**Needs** what `twitter` needs. X checks one such job of an app at a time: another one is waited for.
"""

from datetime import timedelta

from airflow.sdk import dag, task

from include.twitter.retry import EVERY_TASK


@dag(
    dag_display_name="Twitter: which posts are gone?",
    description="X's batch compliance checks all landed posts, and the days say which are gone.",
    schedule="0 8 * * 1",
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["twitter", "s3"],
    default_args=EVERY_TASK,
)
def twitter_compliance():
    @task(execution_timeout=timedelta(hours=1))
    def ask() -> dict:
        """Make a job at X and upload the ids of all landed posts."""
        from include.twitter import airflow_context, compliance

        return compliance.ask(airflow_context.checking())

    @task(execution_timeout=timedelta(hours=1))
    def fetch(asked: dict) -> dict:
        """Wait for X's answer without a worker, and keep it."""
        from include.twitter import airflow_context, compliance

        return compliance.fetch(airflow_context.checking(), asked)

    @task(execution_timeout=timedelta(hours=1))
    def mark(fetched: dict) -> dict:
        """Write down which posts of each day are gone; no call to X."""
        from include.twitter import airflow_context, compliance

        return compliance.mark(airflow_context.checking(), fetched)

    mark(fetch(ask()))


twitter_compliance()
