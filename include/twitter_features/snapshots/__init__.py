"""Snapshots: the metrics of landed posts at equal ages, and which posts X no longer shows.

`schedule` names the snapshots that are due, `fetch` requests their posts, `post_status` reads what a response
says of a post, `contract` has the columns. To remove it, delete this folder, dags/twitter_engagement_dag.py,
tests/features/snapshots and tests/stages/test_snapshots.py.
"""
