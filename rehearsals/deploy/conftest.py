"""The deployment's AWS, rehearsed: the stand-in speaks TLS and enforces the template's role and policies."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local import aws
from local.stack import Stack


@dataclass(frozen=True)
class Cloud:
    """One stand-in for AWS, seen by its two kinds of callers."""

    stack: Stack

    def role(self, service: str = "s3") -> Any:
        """A client as on the host: no key, the role's credentials from the metadata service."""
        session = aws.role_session(self.stack.metadata)
        return session.client(service, endpoint_url=self.stack.aws, verify=self._certificate)

    def owner(self, service: str = "s3") -> Any:
        """A client of the account's root."""
        return self.stack.root.client(service, self.stack.aws, self.stack.certificate)

    @property
    def environment(self) -> dict[str, str]:
        """What leads the operator's commands here, with the root's key."""
        return {
            "AWS_ENDPOINT_URL": self.stack.aws,
            "AWS_CA_BUNDLE": str(self._certificate),
            "AWS_DEFAULT_REGION": aws.REGION,
            **self.stack.root.environment,
        }

    @property
    def _certificate(self) -> str | None:
        return str(self.stack.certificate) if self.stack.certificate else None


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    state = tmp_path_factory.mktemp("cloud")
    with Stack(
        state=state, port=None, env_file=state / "absent.env", with_airflow=False, tls=True
    ) as running:
        yield Cloud(running)
