"""Priced backfills: what a range of days lacks and costs at most, for a person to approve.

`inventory` says what is missing and what it costs at most, `fetch_counts` what X counts of it. What is
approved is bought by runs of `twitter`, one a day, that name their accounts.
To remove it, delete this folder, dags/twitter_plan_dag.py and tests/features/backfill_plan.
"""
