"""Every name of Airflow's that is not in its public interface. A test fails where an upgrade drops one.

A name is imported when it is first used: workers load none that only the API server needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = {
    "DagAccessEntity": "airflow.api_fastapi.auth.managers.models.resource_details",
    "DagRun": "airflow.models.dagrun",
    "TaskInstance": "airflow.models.taskinstance",
    "create_session": "airflow.utils.session",
    "ensure_secrets_backend_loaded": "airflow.sdk.execution_time.supervisor",
    "requires_access_dag": "airflow.api_fastapi.core_api.security",
}
"""By name the module of Airflow that defines it."""


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(MODULES[name]), name)
