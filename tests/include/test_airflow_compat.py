"""What Airflow may change without notice."""

import ast
import inspect
from pathlib import Path

import pytest

from include.twitter import airflow_compat

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "airflow.configuration", "airflow.plugins_manager", "airflow.sdk", "airflow.sdk.exceptions",
    "airflow.sdk.log",
    "airflow.task.priority_strategy", "airflow.timetables.base", "airflow.timetables.interval",
}  # fmt: skip
"""What Airflow documents for tasks and plugins; its providers are public too."""
USED = {
    "DagAccessEntity": ["RUN"],
    "DagRun": ["conf", "dag_id", "logical_date", "queued_at", "run_after", "run_id", "run_type", "state"],
    "TaskInstance": ["dag_id", "end_date", "run_id", "state", "task_id"],
    "create_session": [],
    "ensure_secrets_backend_loaded": [],
    "requires_access_dag": ["method", "access_entity", "param_dag_id"],
}
"""The attributes or parameters that the project uses of each name."""


@pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")
@pytest.mark.parametrize("name", airflow_compat.MODULES)
def test_airflow_has_the_name_and_what_is_used_of_it(name):
    value = getattr(airflow_compat, name)
    has = dir(value) if isinstance(value, type) else inspect.signature(value).parameters
    assert {*USED[name]} <= {*has}


def test_no_other_module_uses_a_name_that_airflow_does_not_document():
    modules = {
        (node.module, str(file.relative_to(ROOT)))
        for folder in ("include", "dags", "plugins")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "airflow"
    }
    assert [m for m in modules if m[0] not in PUBLIC and not m[0].startswith("airflow.providers.")] == []
