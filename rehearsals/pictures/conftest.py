"""The running stack of the live tests."""

from tests.e2e.conftest import airflow, browser, stack, variables  # noqa: F401 - fixtures
