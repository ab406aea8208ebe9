"""Every name of Airflow's that is not public. A test fails if an upgrade removes one.

A name is imported at its first use, so that workers load no module of the API server.
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
"""The module of Airflow that defines each name."""


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(MODULES[name]), name)
