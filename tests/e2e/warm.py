"""`python -m tests.e2e.warm scheduler`: as local.component, with the stages imported.

The workers are forks of the scheduler, and each task is a fork of a worker. What the scheduler has imported, no task
imports again.
"""

import sys

if sys.argv[1] == "scheduler":
    import airflow.sdk.execution_time.task_runner

    import include.twitter.extract
    import include.twitter.load
    import include.twitter.transform  # noqa: F401

import local.component  # noqa: F401 - runs Airflow
