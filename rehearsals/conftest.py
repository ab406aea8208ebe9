"""Rehearsals begin as the tests do: an empty home of Airflow's, the same order, the same workers."""

from tests.conftest import *  # noqa: F403 - hooks and fixtures that hold here too
