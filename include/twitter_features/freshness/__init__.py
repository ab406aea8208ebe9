"""Alerts when a day has not landed by its deadline, whether or not a run was made.

To remove it, delete this folder, its task in dags/twitter_watch_dag.py and tests/features/freshness.
"""
