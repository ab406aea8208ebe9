"""The running stack of the live tests."""

from tests.e2e.conftest import airflow, bucket, empty_day, stack, variables, x  # noqa: F401 - fixtures
