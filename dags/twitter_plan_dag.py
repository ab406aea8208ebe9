"""
### A backfill that is planned, priced and approved

*Trigger* with `first` and `last`. **quote** reports which posts are missing, and their highest price. **approve** shows
the report and waits for your approval. **start** starts a run of `twitter` for each day with missing posts. **compare**
compares the approved price with the amount that was spent.

**Before you approve** nothing is bought but the plan itself. Its log reports the price first: {users} for each
account that is looked up, and {archive_counts} for each count, of up to 35 accounts and 31 days. So 20 accounts × 30 days are
20 look-ups and one count. They belong to the month's spending, and the caps apply to them. Their responses are stored:
the runs do not request them again.

**The price is an upper bound:** the posts that X counts, at most the limits of the accounts, with look-ups and counts.
The plan also shows the most likely price if X's counts determine it.

**Approve** waits under *Required Actions*, for a week, without a worker slot. *Reject* ends the run, green, and nothing
is bought. Posts that have landed are not bought again.

**The runs** are named after their days, `manual__2026-11-18__plan_…`. They buy only the missing accounts: the day's other
accounts do not change. One run buys at a time, and the daily run has priority.

| clear | what happens | cost |
|---|---|---|
| `compare` | compares the approved price with the amount spent by now | none |
| `start` + downstream | skips the days whose run was started, starts the others | none |
| `quote` + downstream | shows the same plan again; for another one, *Trigger* | none |

**Red `compare`:** it names the days that have not landed completely. Clear the failed tasks of their runs in `twitter`,
then clear `compare`.

**Requirements:** those of `twitter`; `twitter` must not be paused. Days are UTC in every time zone of the browser.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param, dag, task

from include.twitter import pricing
from include.twitter.retry import DEFAULT_ARGS


@dag(
    dag_display_name="Twitter → S3: plan a backfill",
    description="What a range of days lacks and costs at most, for approval before anything is bought.",
    schedule=None,
    is_paused_upon_creation=False,  # it has no schedule: only a person starts it
    doc_md=pricing.filled(__doc__),
    tags=["twitter", "s3"],
    params={
        "first": Param(
            type="string",
            format="date",
            title="First day (UTC)",
            description="The first day of the range, for example 2026-10-01.",
        ),
        "last": Param(
            type="string",
            format="date",
            title="Last day (UTC)",
            description="The last day of the range, included. A plan has at most 366 days.",
        ),
        "accounts": Param(
            None,
            type=["null", "string"],
            title="Only these accounts",
            description="Handles of twitter_handles, for example NASA, esa, or a group of its file, for example "
            "group:press. Empty means all accounts.",
        ),
    },
    default_args=DEFAULT_ARGS,
)
def twitter_plan():
    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=3))
    def quote() -> dict:
        """Report which posts are missing, and their highest price."""
        from include.twitter_features.backfill_plan import plan, tasks

        return tasks.quote(plan.plan_request_from_context())

    @task(execution_timeout=timedelta(minutes=10))
    def runs(quoted: dict) -> list[dict]:
        """Name a run for each day with missing posts."""
        from include.twitter_features.backfill_plan import tasks

        return tasks.runs(quoted["plan"])

    @task(trigger_rule="none_failed_min_one_success", execution_timeout=timedelta(minutes=10))
    def compare(quoted: dict) -> dict:
        """Compare the approved price with the amount spent, once the runs have ended."""
        from include.twitter_features.backfill_plan import tasks

        tasks.wait_for_runs(quoted["plan"])
        return tasks.compare(quoted["plan"])

    quoted = quote()
    approve = ApprovalOperator(
        task_id="approve",
        subject="{{ ti.xcom_pull('quote')['subject'] }}",
        body="{{ ti.xcom_pull('quote')['body'] }}",
        defaults="Reject",
        response_timeout=timedelta(days=7),
        ignore_downstream_trigger_rules=True,
    )
    named = runs(quoted)
    start = TriggerDagRunOperator.partial(
        task_id="start",
        trigger_dag_id="twitter",
        logical_date=None,
        skip_when_already_exists=True,
        fail_when_dag_is_paused=True,
        map_index_template="{{ task.conf['day'] }}",
    ).expand_kwargs(named)
    quoted >> approve >> named
    start >> compare(quoted)


twitter_plan()
