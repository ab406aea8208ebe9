"""The host is rehearsed on the same AWS as the rest of the deployment."""

from rehearsals.deploy.conftest import cloud  # noqa: F401 - a fixture
