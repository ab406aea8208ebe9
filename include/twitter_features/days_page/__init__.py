"""The page "Days" in Airflow's UI: which days have landed, what they cost, what clearing a stage would cost.

To remove it, delete this folder, plugins/twitter_days.py, docs/days.md and the tests that import it.
"""
