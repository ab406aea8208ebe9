"""
### X posts → S3, one UTC day a run

`s3://<bucket>/twitter/dt=YYYY-MM-DD/refined_tweets.csv`

**extract** buys the day's posts and stages every answer as it came, **transform** refines them into one table,
**load** publishes it with a Parquet twin, the rejected posts and a receipt.

Every clear is free, except for what is missing of the day.

| clear | what happens | cost |
|---|---|---|
| `load` | the staged files are published again, byte for byte | none |
| `transform` + downstream | what was bought is refined again | none |
| `extract` + downstream | what is missing of what is wanted now is bought: accounts that are new or were away, older posts under a higher limit, the rest of a walk | what was missing |

**One day:** *Trigger* with `day`. **A range:** *Trigger → Backfill*. **Bought afresh:** *Trigger* with `day` and
*Buy again*. An account keeps its rows in a landed day after it has left `twitter_handles`; add the day to
`twitter_accept_shrink` and clear `extract` to let it go. A day that has not ended fails at once;
one that has just ended waits until 01:30 UTC, without holding a worker. Run ids carry the date after the day;
the logical date of a scheduled or backfill run is the day.

**Failed `extract`:** the last line says what to do. Limits and outages, X's and the platform's (S3, credentials,
Airflow's API, the secrets backend), are waited out without a worker: for nine hours in which nothing is bought. A try
that bought something comes back and does not count. `Busy` waits for another run that buys the same day, and goes on from what it leaves. Wrong keys, no credits
or a budget that is used up fail at once.

**Red `load`:** read the last line of its log. Either accounts are missing from the published day, or only a part of
them is there, each named with X's reason; or publishing would have dropped landed rows, and nothing was published.
Where a handle has become another account, nothing is bought of it: add `handle=id` to `twitter_accept_id` and clear
`extract` if it is the one you want; if not, put the old account's new handle into `twitter_handles`.

**Proof:** the receipt says of each account whether X's own count is equal to what arrived, and why where it is not.
A proof that X does not give is tried again for half a minute; then the day lands `unchecked`.

**Needs:** Variables `twitter_bucket` and `twitter_handles`; Connection `twitter_default` (HTTP: consumer key and
secret as login and password, `access_token` and `access_token_secret` in extra; or `bearer_token` in extra); for
S3 an instance role, or Connection `aws_default`.

**May be set:** Variables `twitter_tweet_limit` (the latest N posts of an account's day: 100; 0 is all),
`twitter_run_budget_usd` (5) and `twitter_month_budget_usd` (100) as hard caps, `twitter_settle_minutes` (90),
`twitter_accept_shrink` (days that may lose rows), `twitter_accept_id` (handles that may have become another
account, as `NASA=11348282`), `twitter_include` (`threads` lands replies to oneself too), `twitter_own_handle` (the
account whose access token is used: its own posts cost a fifth).
"""

from datetime import timedelta

from airflow.sdk import Asset, CronDataIntervalTimetable, Param, dag, task

from include.twitter.retry import FIRST_DELAY, RETRIES, AsTheErrorSays, last_word

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
            description="The UTC calendar day to collect, for example 2026-11-18. A run without one is refused.",
        ),
        "buy_again": Param(
            False,
            type="boolean",
            title="Buy again",
            description="Buy the whole day afresh, for $0.005 a post. Otherwise only what is missing is bought.",
        ),
        "accounts": Param(
            None,
            type=["null", "string"],
            title="Only these accounts",
            description="Handles of twitter_handles, for example NASA, esa: the others stay as they are. Empty is all.",
        ),
        "plan": Param(
            None,
            type=["null", "string"],
            title="Plan",
            description="Set by twitter_plan: whose look-up and counts serve the day. Leave it empty.",
        ),
    },
    default_args={
        "retries": RETRIES,
        "retry_delay": FIRST_DELAY,
        "retry_policy": AsTheErrorSays(),
        "on_retry_callback": last_word,
        "on_failure_callback": last_word,
    },
)
def twitter():
    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=3))
    def extract() -> dict:
        """Buy the day's posts from X; stage every answer as it came."""
        from include.twitter import run
        from include.twitter.extract import extract

        return extract(run.current())

    @task(execution_timeout=timedelta(hours=1))
    def transform(bought: dict) -> dict:
        """Refine what was bought into one table; no call to X."""
        from include.twitter import run
        from include.twitter.transform import transform

        return transform(run.current(), bought)

    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=1), outlets=[LANDED])
    def load(staged: dict, *, outlet_events=None) -> dict:
        """Publish the staged files, the receipt last."""
        from include.twitter import run
        from include.twitter.load import load

        landed = load(run.current(), staged)
        outlet_events[LANDED].extra = landed
        return landed["objects"]

    load(transform(extract()))


twitter()
