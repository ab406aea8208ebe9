"""The auth manager of the local Airflow: one administrator with a password, and the check of hosts.

Airflow adds the middlewares of its auth manager to the whole server: UI, REST API, execution API and the
pages of plugins.
"""

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from local.hosts import LoopbackOnly


class LocalAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, which also rejects foreign hosts."""

    def get_fastapi_middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        return [*super().get_fastapi_middlewares(), (LoopbackOnly, {})]
