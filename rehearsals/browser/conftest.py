"""Airflow finds an empty home of its own, as in the tests."""

import tests.conftest  # noqa: F401
