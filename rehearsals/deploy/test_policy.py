"""What the host's role may do and may not, each by trying it, over TLS, with authorisation enforced."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import yaml
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local import aws
from local.stack import Stack
from rehearsals.deploy.conftest import Cloud

OWN = [
    "twitter/dt=2026-11-18/refined_tweets.csv",
    "twitter_parquet/dt=2026-11-18/refined_tweets.parquet",
    "twitter_rejected/dt=2026-11-18/rejected_tweets.jsonl.gz",
    "twitter_receipts/dt=2026-11-18/receipt.json",
    "twitter_raw/dt=2026-11-18/buy=1/acme_press/0001.json.gz",
    "twitter_ledger/month=2026-11/r-1.json",
    "twitter_accounts/accounts.json",
    "twitter_accounts/conditional_writes.json",
    "twitter_plans/0a1b2c3d4e5f/plan.json",
    "twitter_usage/month=2026-11/2026-11-18.json",
    "twitter_engagement/dt=2026-11-18/age=7/engagement.csv",
    "twitter_engagement_parquet/dt=2026-11-18/age=7/engagement.parquet",
    "twitter_engagement_receipts/dt=2026-11-18/age=7/receipt.json",
    "twitter_compliance/dt=2026-11-18/gone.json",
    "staging/twitter/dt=2026-11-18/run=r/receipt.json",
    "staging/twitter/dt=2026-11-18/lease.json",
    "airflow_logs/dag_id=twitter/run_id=manual__2026-11-18T00:00:00+00:00/attempt=1.log",
]
RELEASE = f"releases/{'0a' * 32}.tar.gz"
TOMBSTONES = "twitter_forgotten/tombstones.json"
FOREIGN = [
    "payroll/2026.csv",
    "twitterx/dt=2026-11-18/refined_tweets.csv",
    "refined_tweets.csv",
    "releases.tar.gz",
]
OTHER_BUCKET = "somebody-elses"
OTHER_PARAMETERS = [
    "/airflow/connections/payroll_db",  # where Airflow looks by default
    "/airflow/variables/x",
    "/twitter/variables/x",
    "/twitter/twitter2/variables/x",
    "/twitter/another/connections/twitter_default",
    "/twitter/twitter",
    "/payroll/key",
]


@pytest.fixture(scope="module", autouse=True)
def _what_is_there(cloud: Cloud) -> None:
    """An object at every key, another bucket, and parameters of the pipeline's and of others."""
    owner = cloud.owner()
    owner.create_bucket(Bucket=OTHER_BUCKET)
    for key in [*OWN, *FOREIGN, RELEASE, TOMBSTONES]:
        owner.put_object(Bucket=aws.BUCKET, Key=key, Body=b"kept")
        owner.put_object(Bucket=OTHER_BUCKET, Key=key, Body=b"kept")
    for name in ("/twitter/twitter/variables/twitter_handles", *OTHER_PARAMETERS):
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
    assert key in {entry["Key"] for entry in s3.list_objects_v2(Bucket=aws.BUCKET)["Contents"]}


def test_the_role_reads_releases(cloud: Cloud) -> None:
    assert cloud.role().get_object(Bucket=aws.BUCKET, Key=RELEASE)["Body"].read() == b"kept"


def test_the_role_reads_what_was_forgotten_and_changes_none_of_it(cloud: Cloud) -> None:
    s3, one = cloud.role(), {"Bucket": aws.BUCKET, "Key": TOMBSTONES}
    assert s3.get_object(**one)["Body"].read() == b"kept"
    assert refused(s3.put_object, **one, Body=b"") == "AccessDenied"


def test_a_missing_key_is_missing_not_forbidden(cloud: Cloud) -> None:
    assert refused(cloud.role().get_object, Bucket=aws.BUCKET, Key="twitter/dt=1999-01-01/x") == "NoSuchKey"


def test_the_role_reads_its_settings(cloud: Cloud) -> None:
    parameter = cloud.role("ssm").get_parameter(
        Name="/twitter/twitter/variables/twitter_handles", WithDecryption=True
    )
    assert parameter["Parameter"]["Value"] == "v"


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
    named = {"Name": f"{aws.SETTINGS_PATH}/release", "Value": "0a" * 32, "Type": "String", "Overwrite": True}
    assert refused(cloud.role("ssm").put_parameter, **named) == "AccessDeniedException"


@pytest.fixture
def allowed_everything(cloud: Cloud) -> Iterator[None]:
    """The role with a second policy, as somebody may attach one: all of S3."""
    everything = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    }
    policy = {"RoleName": aws.ROLE, "PolicyName": "everything"}
    cloud.owner("iam").put_role_policy(**policy, PolicyDocument=json.dumps(everything))
    yield
    cloud.owner("iam").delete_role_policy(**policy)


@pytest.mark.usefixtures("allowed_everything")
def test_the_buckets_policy_denies_releases_to_the_role_whatever_it_is_allowed(cloud: Cloud) -> None:
    s3, one = cloud.role(), {"Bucket": aws.BUCKET, "Key": RELEASE}
    version = cloud.owner().head_object(**one)["VersionId"]
    s3.put_object(Bucket=aws.BUCKET, Key=FOREIGN[0], Body=b"kept")  # it is allowed everything else
    assert refused(s3.put_object, **one, Body=b"") == "AccessDenied"
    source = {"Bucket": aws.BUCKET, "Key": OWN[0]}
    assert refused(s3.copy_object, **one, CopySource=source) == "AccessDenied"
    assert refused(s3.delete_object, **one) == "AccessDenied"
    assert refused(s3.delete_object, **one, VersionId=version) == "AccessDenied"
    assert s3.get_object(**one)["Body"].read() == b"kept"
    assert cloud.owner().head_object(**one)["VersionId"] == version


@pytest.fixture
def key(cloud: Cloud) -> Iterator[str]:
    """A key that the stack is given as KmsKeyArn, and the policy with which the role uses it."""
    arn = cloud.owner("kms").create_key()["KeyMetadata"]["Arn"]
    template = yaml.load(aws.TEMPLATE.read_text(), Loader=aws.Intrinsics)  # noqa: S506 - a safe loader
    properties = template["Resources"]["RoleUsesTheKey"]["Properties"]
    document = json.dumps(properties["PolicyDocument"]).replace('{"Ref": "KmsKeyArn"}', f'"{arn}"')
    policy = {"RoleName": aws.ROLE, "PolicyName": properties["PolicyName"]}
    cloud.owner("iam").put_role_policy(**policy, PolicyDocument=document)
    yield arn
    cloud.owner("iam").delete_role_policy(**policy)


def test_the_role_uses_the_buckets_key_and_no_other(cloud: Cloud, key: str) -> None:
    kms, other = cloud.role("kms"), cloud.owner("kms").create_key()["KeyMetadata"]["Arn"]
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert kms.decrypt(KeyId=key, CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    assert refused(kms.generate_data_key, KeyId=other, KeySpec="AES_256") == "AccessDeniedException"
    foreign = cloud.owner("kms").encrypt(KeyId=other, Plaintext=b"payroll")["CiphertextBlob"]
    assert refused(kms.decrypt, KeyId=other, CiphertextBlob=foreign) == "AccessDeniedException"
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"") == "AccessDeniedException"
    assert refused(kms.schedule_key_deletion, KeyId=key) == "AccessDeniedException"


@pytest.mark.parametrize("key", [OWN[0], RELEASE])
def test_the_role_has_no_other_bucket(cloud: Cloud, key: str) -> None:
    s3, one = cloud.role(), {"Bucket": OTHER_BUCKET, "Key": key}
    assert refused(s3.list_objects_v2, Bucket=OTHER_BUCKET) == "AccessDenied"
    assert refused(s3.get_object, **one) == "AccessDenied"
    assert refused(s3.put_object, **one, Body=b"") == "AccessDenied"
    assert refused(s3.create_bucket, Bucket="one-of-its-own") == "AccessDenied"


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_the_role_reads_no_other_parameter(cloud: Cloud, name: str) -> None:
    ssm = cloud.role("ssm")
    assert refused(ssm.get_parameter, Name=name, WithDecryption=True) == "AccessDeniedException"
    mixed = ["/twitter/twitter/variables/twitter_handles", name]
    assert refused(ssm.get_parameters, Names=mixed, WithDecryption=True) == "AccessDeniedException"
    assert refused(ssm.get_parameters_by_path, Path="/", Recursive=True) == "AccessDeniedException"


def test_the_role_changes_no_parameter(cloud: Cloud) -> None:
    arguments = {
        "Name": "/twitter/twitter/variables/twitter_handles",
        "Value": "mallory",
        "Overwrite": True,
        "Type": "String",
    }
    assert refused(cloud.role("ssm").put_parameter, **arguments) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
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
def test_the_role_has_nothing_else(cloud: Cloud, service: str, call: str, arguments: dict) -> None:
    code = refused(getattr(cloud.role(service), call), **arguments)
    assert code in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


# Denied: opening the bucket


@pytest.mark.parametrize(
    ("call", "arguments"),
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
def test_the_role_does_not_loosen_the_bucket(cloud: Cloud, call: str, arguments: dict) -> None:
    assert refused(getattr(cloud.role(), call), Bucket=aws.BUCKET, **arguments) == "AccessDenied"


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
