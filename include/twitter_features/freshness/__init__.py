"""Alerts when a day has not landed by its deadline, whether or not a run was made."""
