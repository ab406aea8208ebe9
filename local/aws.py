"""The laptop's AWS: ministack, with the bucket and the role of deploy/template.yaml.

Authorisation is enforced, so a grant that the template misses fails here too. Only the stack and the metadata
service know the root key; tasks get the role's credentials from the metadata service, as on EC2.

ministack keeps objects through a kill, but not the bucket's configuration nor IAM, and its CloudFormation
refuses a bucket that exists: `apply` puts both in place at every start, with plain calls. Its S3 runs no
lifecycle, so that part of the template is left to AWS. On a laptop it speaks plain http, and the template's
refusal of that is left out; the rehearsal of the deployment speaks TLS, and keeps it.
"""

import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.credentials import InstanceMetadataProvider
from botocore.session import get_session
from botocore.utils import InstanceMetadataFetcher

from local.environment import PROJECT, write_private

MINISTACK = PROJECT / ".local" / "ministack" / "bin" / "python"
SERVE = [str(MINISTACK), "-m", "local.ministack"]
"""The command that serves AWS; it runs in the project's folder."""
TEMPLATE = PROJECT / "deploy" / "template.yaml"
BUCKET = "twitter-local"
ROLE = "twitter-local"
SETTINGS_PATH = "/twitter/twitter"
"""As `make deploy` names it for the stack `twitter`."""
REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True)
class RootKey:
    """The local account's root key: random per state directory, kept in a file that only its owner reads."""

    id: str
    secret: str

    @classmethod
    def of(cls, state: Path) -> "RootKey":
        file = state / "aws_root_key.json"
        if not file.exists():
            key = {"id": "AKIA" + secrets.token_hex(8).upper(), "secret": secrets.token_hex(20)}
            write_private(file, json.dumps(key))
        return cls(**json.loads(file.read_text()))

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}

    def client(self, service: str, endpoint: str, certificate: Path | None = None) -> Any:
        session = boto3.Session(self.id, self.secret, region_name=REGION)
        return session.client(service, endpoint_url=endpoint, verify=certificate and str(certificate))


def certificate(state: Path) -> Path:
    """Where ministack writes the certificate that it makes for itself."""
    return state / "tmp" / "ministack-tls" / "server.crt"


def ministack_environment(state: Path, port: int, root: RootKey, tls: bool = False) -> dict[str, str]:
    """What ministack reads: loopback only, authorisation on, everything it keeps below `state`."""
    return root.environment | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AUTH": "true",
        "USE_SSL": "1" if tls else "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "aws"),
        "TMPDIR": str(state / "tmp"),  # its pid file and its certificate
        "LOG_LEVEL": "WARNING",
        "IOT_MTLS_ENABLED": "0",  # would listen on 8883
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # would remove the containers of other ministacks
    }


def object_on_disk(state: Path, bucket: str, key: str) -> Path:
    """Where the plain bytes of an object lie."""
    return state / "s3" / ACCOUNT / bucket / key


def role_session(metadata: str) -> boto3.Session:
    """A session with the role's credentials, whatever keys the caller's environment holds."""
    config = {"ec2_metadata_service_endpoint": metadata}
    session = get_session()
    session._credentials = InstanceMetadataProvider(InstanceMetadataFetcher(config=config)).load()
    return boto3.Session(botocore_session=session, region_name=REGION)


def apply(endpoint: str, root: RootKey, tls: Path | None = None) -> None:
    """Brings bucket and role to what the template says, whatever is there already.

    `tls` is the certificate of an AWS that speaks TLS: then plain http is refused.
    """
    resources = read_template({"BucketName": BUCKET, "RequireTls": "true" if tls else "false"})
    s3 = root.client("s3", endpoint, tls)
    _apply_bucket(s3, resources["Bucket"])
    if policy := resources.get("BucketPolicy"):
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy["PolicyDocument"]))
    _apply_role(root.client("iam", endpoint, tls), resources["Role"])


def _apply_bucket(s3: Any, properties: dict[str, Any]) -> None:
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=properties["VersioningConfiguration"])
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration=properties["PublicAccessBlockConfiguration"]
    )
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=properties["OwnershipControls"])
    rules = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": r["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
                    }
                }
                for r in rules
            ]
        },
    )


def _apply_role(iam: Any, properties: dict[str, Any]) -> None:
    trust = json.dumps(properties["AssumeRolePolicyDocument"])
    try:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=trust)
    policies = {policy["PolicyName"]: policy["PolicyDocument"] for policy in properties["Policies"]}
    for stale in set(iam.list_role_policies(RoleName=ROLE)["PolicyNames"]) - policies.keys():
        iam.delete_role_policy(RoleName=ROLE, PolicyName=stale)
    for name, document in policies.items():
        iam.put_role_policy(RoleName=ROLE, PolicyName=name, PolicyDocument=json.dumps(document))


def read_template(parameters: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Properties of the template's Bucket, BucketPolicy and Role, their intrinsic functions worked out."""
    template = yaml.load(TEMPLATE.read_text(), Loader=Intrinsics)  # noqa: S506 - a safe loader
    refs: dict[str, Any] = {
        name: str(spec.get("Default", "")) for name, spec in template["Parameters"].items()
    } | {"SettingsPath": SETTINGS_PATH, **parameters}
    refs |= {
        "AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT,
        "AWS::NoValue": None, "Bucket": BUCKET, "Bucket.Arn": f"arn:aws:s3:::{BUCKET}",
        "AWS::StackName": "local", "Role.Arn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
    }  # fmt: skip

    def work_out(node: Any) -> Any:
        match node:
            case {"Ref": name} | {"GetAtt": name}:
                return refs[name]
            case {"Sub": text}:
                return re.sub(r"\$\{([^}]+)}", lambda match: str(refs[match[1]]), text)
            case {"Equals": [one, other]}:
                return work_out(one) == work_out(other)
            case {"Not": [condition]}:
                return not work_out(condition)
            case {"If": [name, then, otherwise]}:
                return work_out(then if work_out(template["Conditions"][name]) else otherwise)
            case dict():
                return {name: work_out(value) for name, value in node.items()}
            case list():
                return [work_out(value) for value in node]
        return node

    return {
        name: work_out(resource["Properties"])
        for name, resource in template["Resources"].items()
        if name in ("Bucket", "BucketPolicy", "Role")
        and ("Condition" not in resource or work_out(template["Conditions"][resource["Condition"]]))
    }


class Intrinsics(yaml.SafeLoader):
    """Reads `!Ref Bucket` as `{"Ref": "Bucket"}`."""


def _intrinsic(loader: yaml.SafeLoader, function: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {function: loader.construct_scalar(node)}
    return {function: loader.construct_sequence(node, deep=True)}


Intrinsics.add_multi_constructor("!", _intrinsic)
