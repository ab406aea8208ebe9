"""Compares the posts that X has counted in a month with the ledger, and alerts if they differ.

To remove it, delete this folder, its task in dags/twitter_watch_dag.py, tests/features/x_usage and
tests/stages/test_x_usage.py.
"""
