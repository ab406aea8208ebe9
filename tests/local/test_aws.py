"""The laptop's AWS gives a client without keys the role of deploy/template.yaml, again after a kill.

What that role may do and may not: rehearsals/deploy/test_policy.py.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from local import aws, environment
from local.environment import PROJECT
from local.stack import free_ports
from tests.drivers import PATIENCE

pytestmark = [pytest.mark.live, pytest.mark.slow]

DENIED = "AccessDenied"


@dataclass
class LocalAws:
    """ministack and the metadata service, as the stack runs them."""

    state: Path
    children: list[subprocess.Popen] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("s3", "aws", "tmp"):
            (self.state / name).mkdir()
        self.root = aws.RootKey.of(self.state)
        self.port, self.metadata_port = free_ports(2)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.metadata = f"http://127.0.0.1:{self.metadata_port}"

    def start(self) -> None:
        base = environment.clean(os.environ) | {"PYTHONPATH": str(PROJECT)}
        settings = environment.aws_settings(self.endpoint, self.metadata, aws.REGION) | self.root.environment
        serve = [sys.executable, "-m", "local.instance_metadata", "--port", str(self.metadata_port)]
        server = base | aws.ministack_environment(self.state, self.port, self.root)
        self.children = [
            subprocess.Popen(aws.SERVE, env=server),
            subprocess.Popen(serve, env=base | settings),
        ]
        _wait_until_up(f"{self.endpoint}/_ministack/health")
        _wait_until_up(f"{self.metadata}/health")
        aws.apply(self.endpoint, self.root)

    def kill(self) -> None:
        for process in self.children:
            process.kill()
            process.wait(60)

    def stop(self) -> None:
        for process in self.children:
            process.terminate()
            process.wait(60)

    def client(self, service: str = "s3"):
        return aws.role_session(self.metadata).client(service, endpoint_url=self.endpoint)

    def root_client(self, service: str = "s3"):
        return self.root.client(service, self.endpoint)


@retry(
    retry=retry_if_exception_type(httpx.HTTPError),
    stop=stop_after_delay(PATIENCE),
    wait=wait_fixed(0.1),
    reraise=True,
)
def _wait_until_up(url: str) -> None:
    httpx.get(url, trust_env=False, timeout=60).raise_for_status()


@pytest.fixture(scope="module")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    running = LocalAws(tmp_path_factory.mktemp("aws"))
    try:
        running.start()
        yield running
    finally:
        running.kill()


def refusal(call) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"]


def token(local_aws: LocalAws, seconds: str = "60") -> httpx.Response:
    return httpx.put(
        f"{local_aws.metadata}/latest/api/token",
        headers={"x-aws-ec2-metadata-token-ttl-seconds": seconds},
        trust_env=False,
        timeout=60,
    )


def test_a_client_without_keys_gets_the_roles_credentials(local_aws: LocalAws) -> None:
    session = aws.role_session(local_aws.metadata)
    assert session.get_credentials().method == "iam-role"
    caller = session.client("sts", endpoint_url=local_aws.endpoint).get_caller_identity()
    assert caller["Arn"] == "arn:aws:sts::000000000000:assumed-role/twitter-local/i-00000000000000001"


def test_the_metadata_service_refuses_a_request_without_a_token(local_aws: LocalAws) -> None:
    url = f"{local_aws.metadata}/latest/meta-data/iam/security-credentials/{aws.ROLE}"
    assert httpx.get(url, trust_env=False, timeout=60).status_code == 401
    headers = {"x-aws-ec2-metadata-token": token(local_aws).text}
    assert httpx.get(url, headers=headers, trust_env=False, timeout=60).json()["Code"] == "Success"


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_objects_survive_and_the_role_is_in_force_again_after_a_restart(
    local_aws: LocalAws, way: str
) -> None:
    key = "twitter/dt=2026-11-19/refined_tweets.csv"
    s3 = local_aws.client()
    for text in (b"first", b"second and longer"):
        s3.put_object(Bucket=aws.BUCKET, Key=key, Body=text)

    getattr(local_aws, way)()
    local_aws.start()

    s3 = local_aws.client()
    assert s3.get_object(Bucket=aws.BUCKET, Key=key)["Body"].read() == b"second and longer"
    versions = local_aws.root_client().list_object_versions(Bucket=aws.BUCKET, Prefix=key)["Versions"]
    assert len(versions) >= 2
    assert refusal(lambda: s3.delete_object(Bucket=aws.BUCKET, Key=key)) == DENIED
    assert refusal(lambda: s3.put_object(Bucket=aws.BUCKET, Key="payroll/2027.csv", Body=b"")) == DENIED
    assert local_aws.root_client().get_bucket_versioning(Bucket=aws.BUCKET)["Status"] == "Enabled"


def test_the_root_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    made = aws.RootKey.of(tmp_path)
    assert aws.RootKey.of(tmp_path) == made
    assert (tmp_path / "aws_root_key.json").stat().st_mode & 0o777 == 0o600


def test_both_reject_a_foreign_web_page(local_aws: LocalAws) -> None:
    for url in (f"{local_aws.endpoint}/_ministack/health", f"{local_aws.metadata}/health"):
        for foreign in ({"Host": "rebound.example"}, {"Origin": "http://rebound.example"}):
            assert httpx.get(url, headers=foreign, trust_env=False, timeout=60).status_code == 403
