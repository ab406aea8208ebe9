"""`python -m tests.e2e.warm scheduler`: as local.component, with the stages imported.

The workers are forks of the scheduler, and each task is a fork of a worker. What the scheduler has imported,
no task imports again.
"""

import sys
from importlib import import_module

if sys.argv[1] == "scheduler":
    for module in ("airflow.sdk.execution_time.task_runner", "include.twitter.alerts"):
        import_module(module)
    for stage in ("extract", "transform", "load"):
        import_module(f"include.twitter.{stage}")

import_module("local.component")  # runs Airflow
