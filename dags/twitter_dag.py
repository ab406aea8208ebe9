"""
### Posts of X accounts → `s3://<bucket>/twitter/dt=YYYY-MM-DD/refined_tweets.csv`, one UTC day a run

**extract** buys the day's posts from X and stages every answer as it came. **transform** makes one refined
table of them. **load** publishes it, with a Parquet twin, the rejected posts and a receipt.
Tasks hand each other S3 keys; the data stays in S3.

| to do this | clear or trigger | what happens | what it costs |
|---|---|---|---|
| try a failed or red run again | `extract`, with downstream | it goes on where it stopped; only what is missing is bought | the missing posts |
| publish the same day again | `load` | the staged files are published again, byte for byte | nothing |
| refine again, after a change of code | `transform`, with downstream | what was bought is refined again, without a call to X | nothing |
| read a landed day anew (new counts, deletions) | `extract` of the complete run, with downstream | the day is bought again and replaces the landed one | $0.005 a post |

**Another day:** *Trigger* with `day`; a range of days: *Trigger → Backfill*. A day that has not ended fails
at once; one that has just ended waits until it is settled (01:30 UTC), without holding a worker.

**Needs:** Variables `twitter_bucket` and `twitter_handles`; Connection `twitter_default` (HTTP: consumer key
and secret as login and password, `access_token` and `access_token_secret` in extra; or `bearer_token` in
extra); an instance role, or `aws_default`, for S3. Optional Variables: `twitter_tweet_limit` (the latest N
posts of an account's day, 100; 0 is all), `twitter_settle_minutes` (90), `twitter_accept_shrink`.

**Red `load`:** read its last line. Either accounts are missing from the published day (named, with X's
reason), or publishing would have dropped landed rows, and nothing was published.
"""

from datetime import timedelta

from airflow.sdk import Asset, CronDataIntervalTimetable, Param, dag, task

from include.twitter.retry import FIRST_DELAY, RETRIES, AsTheErrorSays

LANDED = Asset("twitter_refined_tweets")


@dag(
    dag_display_name="Twitter → S3",
    description="The posts of X accounts, one UTC day at a time, as one refined table in S3.",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["twitter", "s3"],
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day (UTC)",
            description="The UTC calendar day to collect, for example 2026-11-18. Empty: yesterday.",
        )
    },
    default_args={
        "retries": RETRIES,
        "retry_delay": FIRST_DELAY,
        "retry_policy": AsTheErrorSays(),
    },
)
def twitter():
    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=3))
    def extract() -> dict:
        """Buy the day's posts from X; stage every answer as it came."""
        from include.twitter import run, stages

        return stages.extract(run.current())

    @task(execution_timeout=timedelta(hours=1))
    def transform(bought: dict) -> dict:
        """Refine what was bought into one table; no call to X."""
        from include.twitter import run, stages

        return stages.transform(run.current(), bought)

    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=1), outlets=[LANDED])
    def load(staged: dict, *, outlet_events=None) -> dict:
        """Publish the staged files, the receipt last."""
        from include.twitter import run, stages

        landed = stages.load(run.current(), staged)
        outlet_events[LANDED].extra = landed
        return landed

    load(transform(extract()))


twitter()
