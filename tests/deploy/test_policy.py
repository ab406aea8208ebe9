"""What the host's role may do and may not, each by trying it, over TLS, with authorisation enforced."""

import json
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local import aws
from local.stack import Stack
from tests.deploy.conftest import Cloud

pytestmark = pytest.mark.deploy

OWN = [
    "twitter/dt=2026-11-18/refined_tweets.csv",
    "twitter_parquet/dt=2026-11-18/refined_tweets.parquet",
    "twitter_rejected/dt=2026-11-18/rejected_tweets.jsonl.gz",
    "twitter_receipts/dt=2026-11-18/receipt.json",
    "twitter_raw/dt=2026-11-18/buy=1/acme_press/0001.json.gz",
    "twitter_ledger/month=2026-11/r-1.json",
    "twitter_accounts/accounts.json",
    "twitter_accounts/conditional_writes.json",
    "twitter_days/month=2026-11/index.json",
    "twitter_plans/0a1b2c3d4e5f/plan.json",
    "twitter_usage/month=2026-11/2026-11-18.json",
    "twitter_engagement/dt=2026-11-18/age=7/engagement.csv",
    "twitter_engagement_parquet/dt=2026-11-18/age=7/engagement.parquet",
    "twitter_engagement_receipts/dt=2026-11-18/age=7/receipt.json",
    "twitter_compliance/dt=2026-11-18/gone.json",
    "staging/twitter/dt=2026-11-18/run=r/receipt.json",
    "airflow_logs/dag_id=twitter/run_id=manual__2026-11-18T00:00:00+00:00/attempt=1.log",
]
RELEASE = "releases/current.tar.gz"
TOMBSTONES = "twitter_forgotten/tombstones.json"
FOREIGN = [
    "payroll/2026.csv",
    "twitterx/dt=2026-11-18/refined_tweets.csv",
    "refined_tweets.csv",
    "releases.tar.gz",
]
OTHER_BUCKET = "somebody-elses"


@pytest.fixture(scope="module", autouse=True)
def _what_is_there(cloud: Cloud) -> None:
    """An object at every key, another bucket, and parameters of the pipeline's and of others."""
    owner = cloud.owner()
    owner.create_bucket(Bucket=OTHER_BUCKET)
    for key in [*OWN, *FOREIGN, RELEASE, TOMBSTONES]:
        owner.put_object(Bucket=aws.BUCKET, Key=key, Body=b"kept")
        owner.put_object(Bucket=OTHER_BUCKET, Key=key, Body=b"kept")
    for name in ("/airflow/variables/twitter_handles", "/airflow2/variables/x", "/payroll/key", "/airflow"):
        cloud.owner("ssm").put_parameter(Name=name, Value="v", Type="SecureString", Overwrite=True)


def refused(call, *arguments, **named) -> str:
    """The code of the refusal; a call that succeeds fails the test."""
    with pytest.raises(ClientError) as error:
        call(*arguments, **named)
    return error.value.response["Error"]["Code"]


# Allowed


@pytest.mark.parametrize("key", OWN)
def test_the_role_reads_and_replaces_below_its_own_prefixes(cloud: Cloud, key: str) -> None:
    s3 = cloud.role()
    s3.put_object(Bucket=aws.BUCKET, Key=key, Body=b"replaced")
    assert s3.get_object(Bucket=aws.BUCKET, Key=key)["Body"].read() == b"replaced"
    s3.copy_object(Bucket=aws.BUCKET, Key=key, CopySource={"Bucket": aws.BUCKET, "Key": OWN[0]})
    assert key in {found["Key"] for found in s3.list_objects_v2(Bucket=aws.BUCKET)["Contents"]}


def test_the_role_reads_releases(cloud: Cloud) -> None:
    assert cloud.role().get_object(Bucket=aws.BUCKET, Key=RELEASE)["Body"].read() == b"kept"


def test_the_role_reads_what_was_forgotten_and_changes_none_of_it(cloud: Cloud) -> None:
    s3, one = cloud.role(), {"Bucket": aws.BUCKET, "Key": TOMBSTONES}
    assert s3.get_object(**one)["Body"].read() == b"kept"
    assert refused(s3.put_object, **one, Body=b"") == "AccessDenied"


def test_a_missing_key_is_missing_not_forbidden(cloud: Cloud) -> None:
    assert refused(cloud.role().get_object, Bucket=aws.BUCKET, Key="twitter/dt=1999-01-01/x") == "NoSuchKey"


def test_the_role_reads_its_settings(cloud: Cloud) -> None:
    found = cloud.role("ssm").get_parameter(Name="/airflow/variables/twitter_handles", WithDecryption=True)
    assert found["Parameter"]["Value"] == "v"


# Denied: deleting


@pytest.mark.parametrize("key", [*OWN, RELEASE, TOMBSTONES])
def test_the_role_deletes_nothing(cloud: Cloud, key: str) -> None:
    s3 = cloud.role()
    version = cloud.owner().head_object(Bucket=aws.BUCKET, Key=key)["VersionId"]
    one = {"Bucket": aws.BUCKET, "Key": key}
    assert refused(s3.delete_object, **one) == "AccessDenied"
    assert refused(s3.delete_object, **one, VersionId=version) == "AccessDenied"
    assert refused(s3.delete_objects, Bucket=aws.BUCKET, Delete={"Objects": [{"Key": key}]}) == "AccessDenied"
    assert cloud.owner().head_object(**one)["VersionId"] == version


# Denied: elsewhere


@pytest.mark.parametrize("key", FOREIGN)
def test_the_role_neither_reads_nor_writes_outside_its_prefixes(cloud: Cloud, key: str) -> None:
    s3, one = cloud.role(), {"Bucket": aws.BUCKET, "Key": key}
    assert refused(s3.get_object, **one) == "AccessDenied"
    assert refused(s3.put_object, **one, Body=b"") == "AccessDenied"
    source = {"Bucket": aws.BUCKET, "Key": key}
    assert refused(s3.copy_object, Bucket=aws.BUCKET, Key=OWN[0], CopySource=source) == "AccessDenied"


def test_the_pipeline_cannot_change_its_own_code(cloud: Cloud) -> None:
    assert refused(cloud.role().put_object, Bucket=aws.BUCKET, Key=RELEASE, Body=b"") == "AccessDenied"


@pytest.mark.parametrize("key", [OWN[0], RELEASE])
def test_the_role_has_no_other_bucket(cloud: Cloud, key: str) -> None:
    s3, one = cloud.role(), {"Bucket": OTHER_BUCKET, "Key": key}
    assert refused(s3.list_objects_v2, Bucket=OTHER_BUCKET) == "AccessDenied"
    assert refused(s3.get_object, **one) == "AccessDenied"
    assert refused(s3.put_object, **one, Body=b"") == "AccessDenied"
    assert refused(s3.create_bucket, Bucket="one-of-its-own") == "AccessDenied"


@pytest.mark.parametrize("name", ["/payroll/key", "/airflow2/variables/x", "/airflow"])
def test_the_role_reads_no_other_parameter(cloud: Cloud, name: str) -> None:
    ssm = cloud.role("ssm")
    assert refused(ssm.get_parameter, Name=name, WithDecryption=True) == "AccessDeniedException"
    mixed = ["/airflow/variables/twitter_handles", name]
    assert refused(ssm.get_parameters, Names=mixed, WithDecryption=True) == "AccessDeniedException"
    assert refused(ssm.get_parameters_by_path, Path="/", Recursive=True) == "AccessDeniedException"


def test_the_role_changes_no_parameter(cloud: Cloud) -> None:
    asked = {
        "Name": "/airflow/variables/twitter_handles",
        "Value": "mallory",
        "Overwrite": True,
        "Type": "String",
    }
    assert refused(cloud.role("ssm").put_parameter, **asked) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "call", "asked"),
    [
        ("iam", "list_roles", {}),
        ("iam", "put_role_policy", {"RoleName": aws.ROLE, "PolicyName": "more", "PolicyDocument": "{}"}),
        (
            "sts",
            "assume_role",
            {"RoleArn": "arn:aws:iam::000000000000:role/admin", "RoleSessionName": "mallory"},
        ),
        ("secretsmanager", "list_secrets", {}),
        ("ec2", "describe_instances", {}),
        ("kms", "list_keys", {}),
        ("cloudformation", "delete_stack", {"StackName": "twitter"}),
        ("ssm", "send_command", {"DocumentName": "AWS-RunShellScript"}),
        ("ssm", "describe_parameters", {}),
    ],
)
def test_the_role_has_nothing_else(cloud: Cloud, service: str, call: str, asked: dict) -> None:
    code = refused(getattr(cloud.role(service), call), **asked)
    assert code in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


# Denied: opening the bucket


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
        ("put_bucket_policy", {"Policy": "{}"}),
        ("delete_bucket_policy", {}),
        ("delete_public_access_block", {}),
        ("put_bucket_acl", {"ACL": "public-read"}),
        ("delete_bucket_encryption", {}),
        ("delete_bucket_lifecycle", {}),
        ("delete_bucket", {}),
    ],
)
def test_the_role_does_not_loosen_the_bucket(cloud: Cloud, call: str, asked: dict) -> None:
    assert refused(getattr(cloud.role(), call), Bucket=aws.BUCKET, **asked) == "AccessDenied"


def test_the_public_reads_nothing(cloud: Cloud) -> None:
    stack = cloud.stack
    anybody = boto3.client(
        "s3", endpoint_url=stack.aws, region_name=aws.REGION, verify=str(stack.certificate),
        config=Config(signature_version=UNSIGNED),
    )  # fmt: skip
    assert refused(anybody.get_object, Bucket=aws.BUCKET, Key=OWN[0]) == "AccessDenied"
    assert refused(anybody.list_objects_v2, Bucket=aws.BUCKET) == "AccessDenied"
    assert refused(anybody.put_object, Bucket=aws.BUCKET, Key=OWN[0], Body=b"") == "AccessDenied"


def test_the_bucket_is_versioned_private_and_without_acls(cloud: Cloud) -> None:
    s3 = cloud.owner()
    assert s3.get_bucket_versioning(Bucket=aws.BUCKET)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=aws.BUCKET)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True} and len(block) == 4
    rules = s3.get_bucket_ownership_controls(Bucket=aws.BUCKET)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]


# Denied: plain http


def test_plain_http_is_refused_even_to_an_administrator(tmp_path) -> None:
    """On a stand-in without TLS, with the very policy under which all of the above works with it."""
    with Stack(state=tmp_path, port=None, env_file=tmp_path / "absent.env", with_airflow=False) as stack:
        plain = Cloud(stack)
        callers = [plain.role(), _administrator(plain)]
        one = {"Bucket": aws.BUCKET, "Key": OWN[0]}
        for caller in callers:
            caller.put_object(**one, Body=b"before the policy")
        policy = aws.read_template({"BucketName": aws.BUCKET, "RequireTls": "true"})["BucketPolicy"]
        plain.owner().put_bucket_policy(Bucket=aws.BUCKET, Policy=json.dumps(policy["PolicyDocument"]))
        for caller in callers:
            assert refused(caller.get_object, **one) == "AccessDenied"
            assert refused(caller.put_object, **one, Body=b"") == "AccessDenied"
            assert refused(caller.list_objects_v2, Bucket=aws.BUCKET) == "AccessDenied"


def _administrator(cloud: Cloud) -> Any:
    """An S3 client of a user who may do everything; the stand-in's root is above every policy."""
    iam = cloud.owner("iam")
    iam.create_user(UserName="admin")
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_user_policy(UserName="admin", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=aws.REGION)
    return session.client("s3", endpoint_url=cloud.stack.aws)
