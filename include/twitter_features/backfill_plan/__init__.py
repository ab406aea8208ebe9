"""Priced backfills: what a range of days lacks and costs at most, for a person to approve.

`inventory` determines what is missing and what it costs at most, `fetch_counts` requests X's counts. Runs of
`twitter`, one per day, buy what was approved: each run names its accounts.
To remove it, delete this folder, dags/twitter_plan_dag.py and tests/features/backfill_plan.
"""
