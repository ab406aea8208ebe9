"""A seeded simulation of the pipeline over months, with an oracle that knows X's truth and X's bill.

It runs the real `extract`, `transform` and `load` in one process and replaces only what is outside of them:
the clock, threads, S3, X and Airflow. A seed determines everything, so a failing seed replays exactly.
`python -m simulation --help` shows how to run it; docs/simulation.md says what is simulated and what is not.
"""
