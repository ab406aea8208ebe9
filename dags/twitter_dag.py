"""
**It is red.** Open the red square, then *Logs*: the last `ERROR` line names the cause, the remedy, and whether Airflow
tries again.

- `extract`, waiting for a retry: a rate limit or an outage of X, AWS or Airflow. The task waits without a worker slot
  and fails after nine hours without progress.
- `extract`, failed: keys, credits, a budget or a setting. Correct it and clear `extract`: it continues where it stopped.
- `load`, *published without …*: the other accounts have landed. Correct the account and clear `extract`, or remove it
  from `twitter_handles` and clear `load`.
- `load`, *would lose rows*: nothing was published. If the loss is intended, add the day to `twitter_allow_row_loss` and
  clear `load`.
- *The handle has become another account*: the run has bought nothing of the new account. To collect it, add `handle=id`
  to `twitter_confirmed_account_ids` and clear `extract`. To keep the old account, enter its new handle in
  `twitter_handles`.
- *It was forgotten*: the bucket's owner has erased the account. Remove it from `twitter_handles` and clear `load`.

**What a clear costs**

- `load`: free. It publishes the same staged files again.
- `transform`: free. It refines the stored responses again.
- `extract`: the price of the missing posts. A complete day costs nothing.

**Common tasks**

- *Collect a day:* Trigger with `day`. Also enter the day as *Run ID* (`manual__2026-11-18`), so that the list of runs
  shows it.
- *Collect a range:* Trigger `twitter_plan`. It shows the price and waits for your approval. Or use Trigger → Backfill.
- *Add an account with its past:* add it to `twitter_handles`, then Trigger `twitter_plan`.
- *Collect one account of a day:* Trigger with `day` and *Only these accounts*; the other accounts do not change.
- *Get likes after a week:* `twitter_engagement`, at the ages in `twitter_engagement_days`.
- *Buy a day again:* Trigger with `day` and *Buy again*.
- *See landed days and their cost:* **Days**, in the menu. *Compare with X's own count:* `meter` in `twitter_watch`.

**What it does**

- `extract` buys the posts of a UTC day and stores every response as X sent it. `transform` refines them into one table.
  `load` publishes it as `twitter/dt=D/refined_tweets.csv`, with the same rows as Parquet and a receipt.
- Runs are named by their day. The run of yesterday waits until the day has settled, at 01:30 UTC. It holds no worker slot.
- A landed day keeps the rows of an account that left `twitter_handles`. To remove them, add the day to
  `twitter_allow_row_loss` and clear `extract`.
- *Proof* in the receipt: for each account, whether X's own count equals the number of posts that were received.
- A green `load` updates the assets `twitter_refined_tweets`, and `twitter_days` with the day as partition.

**Requirements**

- Connection `twitter_default`, HTTP: `consumer_key`, `consumer_secret`, `access_token` and `access_token_secret` in
  extra; or `bearer_token` in extra alone.
- For S3 an instance role, or Connection `aws_default`.
- For alerts: Connection `smtp_default` and `twitter_alert_emails`; Connection `twitter_alert_webhook`.

#### Settings (Admin → Variables)

- `twitter_bucket`: the name of the S3 bucket, which only this pipeline uses
- `twitter_handles`: the accounts to collect: handles with commas between them, a JSON list of handles, or the address of a CSV file in the bucket, `s3://<bucket>/…/accounts.csv`
- `twitter_tweet_limit` (100): collect only the latest N posts of each account and day; 0 means no limit
- `twitter_run_budget_usd` (5): the spending cap in US dollars for one purchase of a day, with all its retries; 0 means no cap
- `twitter_month_budget_usd` (100): the spending cap in US dollars for a UTC month, over all days; 0 means no cap
- `twitter_settle_minutes` (90): minutes after midnight UTC until a day is collected; X lets authors edit a post for an hour
- `twitter_include_threads` (false): whether to collect replies of an account to itself, the rest of its threads, with one more request
- `twitter_allow_row_loss`: days that may lose published rows, of an account that has fewer posts now or left `twitter_handles`
- `twitter_confirmed_account_ids`: handles that belong to another account now, with its id; nothing is bought of the new account until you confirm its id here
- `twitter_own_handle`: the account that owns the X app and whose access token is used; X charges $0.001 for each of its own posts
- `twitter_deadline` (06:00): the time of the next day, in UTC, by which a day has to be published; after it `twitter_watch` fails
- `twitter_alert_emails`: the addresses that receive an email about a failed task or a late day, sent through Connection `smtp_default`; empty means nobody
- `twitter_engagement_days` (1): ages in days at which `twitter_engagement` reads the counts of posts again; age 1 is free, other ages cost $0.005 a post
"""

from datetime import timedelta

from airflow.sdk import Asset, Param, dag, task

from include.twitter import pricing
from include.twitter.priority import BackfillsLast
from include.twitter.retry import DEFAULT_ARGS
from include.twitter.timetable import BACKFILL_HINT, UtcDayTimetable

LANDED = Asset("twitter_refined_tweets")
DAYS = Asset("twitter_days")


@dag(
    dag_display_name="Twitter → S3",
    description="The posts of X accounts, one UTC day at a time, as one refined table in S3.",
    schedule=UtcDayTimetable(),
    catchup=False,
    doc_md=__doc__,
    tags=["twitter", "s3"],
    params={
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day (UTC)",
            description="The UTC calendar day to collect, for example 2026-11-18. A run without it fails. "
            + BACKFILL_HINT,
        ),
        "buy_again": Param(
            False,
            type="boolean",
            title="Buy again",
            description=f"Buy the whole day again, for {pricing.price_text('posts')} a post. "
            "Otherwise only missing posts are bought.",
        ),
        "accounts": Param(
            None,
            type=["null", "string"],
            title="Only these accounts",
            description="Handles of twitter_handles, for example NASA, esa, or a group of its file, for example "
            "group:press. The other accounts do not change. Empty means all accounts.",
        ),
    },
    default_args=DEFAULT_ARGS | {"weight_rule": BackfillsLast()},
)
def twitter():
    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=3))
    def extract() -> dict:
        """Buy the day's posts from X and store every response as X sent it."""
        from include.twitter import airflow_context
        from include.twitter.extract import extract

        return extract(airflow_context.run_from_context())

    @task(execution_timeout=timedelta(hours=1))
    def transform(bought: dict) -> dict:
        """Refine the stored responses into one table; no request to X."""
        from include.twitter import airflow_context
        from include.twitter.transform import transform

        return transform(airflow_context.run_from_context(), bought)

    @task(max_active_tis_per_dag=1, execution_timeout=timedelta(hours=1), outlets=[LANDED, DAYS])
    def load(staged: dict, *, outlet_events=None) -> dict:
        """Publish the staged files, the receipt last."""
        from include.twitter import airflow_context
        from include.twitter.load import load

        landed = load(airflow_context.run_from_context(), staged)
        outlet_events[LANDED].extra = outlet_events[DAYS].extra = landed
        outlet_events[DAYS].add_partitions(landed["day"])
        return landed["keys"]

    load(transform(extract()))


twitter()
