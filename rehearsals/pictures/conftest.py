"""The running stack of the live tests."""

from tests.e2e.conftest import airflow, stack, variables  # noqa: F401 - fixtures
