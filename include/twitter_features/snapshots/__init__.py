"""Snapshots: the metrics of landed posts at equal ages, and which posts X no longer shows.

`schedule` selects the due snapshots, `fetch` requests their posts, `post_status` parses the responses,
`contract` has the columns. To remove it, delete this folder, dags/twitter_engagement_dag.py,
tests/features/snapshots and tests/stages/test_snapshots.py.
"""
