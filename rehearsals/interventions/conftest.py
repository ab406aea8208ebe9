"""The running stack of the live tests; some of these rehearsals start another."""

from tests.e2e.conftest import airflow, bucket, empty_day, stack, variables, x  # noqa: F401 - fixtures
