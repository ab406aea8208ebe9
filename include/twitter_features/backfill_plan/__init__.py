"""Priced backfills: what a range of days lacks and costs at most, for a person to approve.

`inventory` determines the missing posts and their highest price, `fetch_counts` requests X's counts. Runs of
`twitter`, one per day, buy what was approved: each run names its accounts.
"""
