"""The operator's commands, against the stand-in for AWS: real stacks, real parameters, a real upload.

The stand-in knows no EC2 instance, so these stacks are made with WithHost=false; what the host installs is
tests/deploy/test_host.py's.
"""

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from fnmatch import fnmatch
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from deploy import __main__ as commands
from local.environment import PROJECT, clean
from rehearsals.deploy.conftest import Cloud

BUCKET = "acme-lake"
SECRET = "a-consumer-secret-of-nobody"


class Operator:
    """A person at a terminal with the account's key."""

    def __init__(self, cloud: Cloud) -> None:
        self._environment = clean(os.environ) | cloud.environment

    def __call__(self, *arguments: Any, code: int = 0, stdin: str = "") -> str:
        """What a command says on both streams; it has to end with `code`."""
        return self.run(sys.executable, "-m", "deploy", *map(str, arguments), code=code, stdin=stdin)

    def run(self, *command: str, code: int = 0, stdin: str = "") -> str:
        ended = subprocess.run(
            command,
            cwd=PROJECT, env=self._environment, input=stdin, text=True, timeout=120, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert ended.returncode == code, ended.stdout
        assert "Traceback" not in ended.stdout
        return ended.stdout


@pytest.fixture(scope="module")
def operator(cloud: Cloud) -> Operator:
    return Operator(cloud)


@pytest.fixture(scope="module")
def deployed(operator: Operator) -> Iterator[str]:
    yield operator("deploy", "WithHost=false", f"BucketName={BUCKET}")
    operator("teardown", "--yes")


def test_one_command_makes_the_stack_and_sends_the_committed_version(cloud: Cloud, deployed: str) -> None:
    assert f"The bucket is {BUCKET}" in deployed and "taken over" not in deployed
    stack = cloud.owner("cloudformation").describe_stacks(StackName="twitter")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    sha256 = named_release(cloud).split()[0]
    sent = cloud.owner().get_object(Bucket=BUCKET, Key=f"releases/{sha256}.tar.gz")["Body"].read()
    assert hashlib.sha256(sent).hexdigest() == sha256
    with tarfile.open(fileobj=io.BytesIO(sent)) as release:
        names = set(release.getnames())
    assert {"dags/twitter_dag.py", "include/twitter/extract/__init__.py"} <= names
    assert not any(name.startswith((".git/", ".local", ".venv", ".env")) for name in names - {".env.example"})


def named_release(cloud: Cloud, path: str = "/twitter/twitter") -> str:
    """What Parameter Store names to the host, as its role reads it."""
    return cloud.role("ssm").get_parameter(Name=f"{path}/release")["Parameter"]["Value"]


def test_the_tables_of_athena_are_there(cloud: Cloud, deployed: str) -> None:
    tables = cloud.owner("glue").get_tables(DatabaseName="twitter")["TableList"]
    at_an_age = {f"tweets_at_{age}" for age in ("1_day", "7_days", "30_days")}
    ours = {"engagement", "tweets", "tweets_csv", "tweets_csv_strings"}
    assert {table["Name"] for table in tables} == ours | at_an_age
    locations = {table["Name"]: table["StorageDescriptor"].get("Location") for table in tables}
    assert locations["tweets"] == f"s3://{BUCKET}/twitter_parquet/"


def test_the_stacks_bucket_refuses_what_the_template_refuses(cloud: Cloud, deployed: str) -> None:
    policy = cloud.owner().get_bucket_policy(Bucket=BUCKET)["Policy"]
    assert "aws:SecureTransport" in policy
    assert cloud.owner().get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"


def test_a_second_time_there_is_nothing_to_change(operator: Operator, deployed: str) -> None:
    assert "as the template says" in operator("deploy")


def test_a_parameter_changes_and_the_others_stay(cloud: Cloud, operator: Operator, deployed: str) -> None:
    operator("deploy", "FirstDay=2026-01-01")
    stack = cloud.owner("cloudformation").describe_stacks(StackName="twitter")["Stacks"][0]
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}
    assert (parameters["FirstDay"], parameters["BucketName"], parameters["WithHost"]) == (
        "2026-01-01",
        BUCKET,
        "false",
    )


def test_an_unknown_parameter_is_refused_by_name(operator: Operator, deployed: str) -> None:
    output = operator("deploy", "BuketName=acme", code=1)
    assert "the template has no BuketName; it has AccessLogBucket, AdminCidr," in output


def test_settings_go_from_an_env_file_to_the_parameter_store(
    cloud: Cloud, operator: Operator, deployed: str, tmp_path
) -> None:
    file = tmp_path / "settings.env"
    connection = f'{{"conn_type": "http", "login": "key", "password": "{SECRET}"}}'
    file.write_text(
        f"AIRFLOW_CONN_TWITTER_DEFAULT={connection}\n"
        "AIRFLOW_VAR_TWITTER_HANDLES=NASA, esa\nAIRFLOW_VAR_TWITTER_BUCKET=of-my-laptop\nTWITTER_AWS=real\n"
    )
    output = operator("secrets", "--file", file)
    assert output.split() == [
        "/twitter/twitter/connections/twitter_default",
        "/twitter/twitter/variables/twitter_handles",
    ]
    assert SECRET not in output
    role = cloud.role("ssm")
    parameter = role.get_parameter(Name="/twitter/twitter/connections/twitter_default", WithDecryption=True)[
        "Parameter"
    ]
    assert (parameter["Type"], parameter["Value"]) == ("SecureString", connection)
    assert (
        role.get_parameter(Name="/twitter/twitter/variables/twitter_handles")["Parameter"]["Value"]
        == "NASA, esa"
    )
    with pytest.raises(ClientError, match="ParameterNotFound"):
        role.get_parameter(Name="/twitter/twitter/variables/twitter_bucket")
    file.write_text("AIRFLOW_VAR_TWITTER_HANDLES=NASA\n")  # its own are replaced
    operator("secrets", "--file", file)
    assert (
        role.get_parameter(Name="/twitter/twitter/variables/twitter_handles")["Parameter"]["Value"] == "NASA"
    )


@pytest.mark.parametrize("tags", [[], [{"Key": commands.OWNER, "Value": "another"}]])
def test_a_parameter_that_another_has_made_is_not_overwritten_and_nothing_is_written(
    cloud: Cloud, operator: Operator, deployed: str, tmp_path, tags: list[dict[str, str]]
) -> None:
    store, foreign = cloud.owner("ssm"), "/twitter/twitter/connections/warehouse"
    store.put_parameter(Name=foreign, Value="theirs", Type="SecureString", Tags=tags)
    file = tmp_path / "settings.env"
    file.write_text("AIRFLOW_VAR_TWITTER_OWN_HANDLE=acme\nAIRFLOW_CONN_WAREHOUSE=http://a\n")
    output = operator("secrets", "--file", file, code=1)
    assert (
        foreign in output
        and f"add-tags-to-resource --resource-type Parameter --resource-id {foreign}" in output
    )
    assert store.get_parameter(Name=foreign, WithDecryption=True)["Parameter"]["Value"] == "theirs"
    with pytest.raises(ClientError, match="ParameterNotFound"):
        store.get_parameter(Name="/twitter/twitter/variables/twitter_own_handle")
    store.delete_parameter(Name=foreign)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("AIRFLOW_VAR_TWITTER_HANDLES=\n", "AIRFLOW_VAR_TWITTER_HANDLES is empty"),
        ("TWITTER_AWS=real\n", "has no AIRFLOW_CONN_… and no AIRFLOW_VAR_… line"),
        (None, "there is no file"),
    ],
)
def test_a_file_without_settings_is_refused(
    operator: Operator, deployed: str, tmp_path, text: str | None, output: str
) -> None:
    file = tmp_path / "settings.env"
    if text is not None:
        file.write_text(text)
    assert output in operator("secrets", "--file", file, code=1)


@pytest.mark.parametrize("command", ["upgrade", "connect", "password"])
def test_without_a_host_there_is_nothing_to_connect_to(
    operator: Operator, deployed: str, command: str
) -> None:
    assert "has no HostId: it was made with WithHost=false" in operator(command, code=1)


@pytest.mark.parametrize("command", ["secrets", "connect", "password", "upgrade", "teardown"])
def test_without_a_stack_each_command_says_how_to_make_one(operator: Operator, command: str) -> None:
    output = operator("--stack", "absent", command, code=1)
    assert "there is no stack 'absent' here: `make deploy` makes one." in output


def test_a_teardown_asks_and_keeps_the_bucket(cloud: Cloud, operator: Operator) -> None:
    of_this = ["--stack", "short-lived"]
    place = ["BucketName=kept-lake", "DatabaseName=short_lived", "SettingsPath=/short-lived"]
    parameters = ["WithHost=false", *place]
    operator(*of_this, "deploy", *parameters)
    named = cloud.owner("ssm").get_parameter(Name="/short-lived/release")["Parameter"]["Value"]
    sent, version = named.split()
    assert len(sent) == 64 and version
    assert "nothing was deleted" in operator(*of_this, "teardown", stdin="no\n", code=1)
    assert "The bucket with all that landed stays" in operator(*of_this, "teardown", stdin="short-lived\n")
    objects = cloud.owner().list_objects_v2(Bucket="kept-lake")["Contents"]
    assert [one["Key"] for one in objects] == [f"releases/{sent}.tar.gz"]
    with pytest.raises(ClientError, match="ParameterNotFound"):  # a later host would install it
        cloud.owner("ssm").get_parameter(Name="/short-lived/release")
    assert "aws:SecureTransport" in cloud.owner().get_bucket_policy(Bucket="kept-lake")["Policy"]
    again = operator(*of_this, "deploy", *parameters)
    assert "The bucket kept-lake was there already: it is taken over." in again
    operator(*of_this, "teardown", "--yes")


@pytest.mark.parametrize(("owner", "goes"), [("twitter", True), ("another", False), (None, False)])
def test_a_teardown_deletes_only_a_parameter_of_its_own(monkeypatch, owner: str | None, goes: bool) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store, name = boto3.client("ssm"), "/acme/release"
    stack = SimpleNamespace(name="twitter", parameter=lambda _: "/acme", delete=lambda: None)
    tags = [{"Key": commands.OWNER, "Value": owner}] if owner else []
    monkeypatch.setattr(commands.boto3, "client", lambda _: store)
    with Stubber(store) as stub:
        stub.add_response("get_parameter", {"Parameter": {"Name": name, "Value": "theirs"}}, {"Name": name})
        expected = {"ResourceType": "Parameter", "ResourceId": name}
        stub.add_response("list_tags_for_resource", {"TagList": tags}, expected)
        if goes:
            stub.add_response("delete_parameter", {}, {"Name": name})
        commands.teardown(stack, argparse.Namespace(yes=True))
        stub.assert_no_pending_responses()


def test_without_credentials_the_message_is_one_line(cloud: Cloud) -> None:
    nobody = Operator(cloud)
    nobody._environment |= {"AWS_ACCESS_KEY_ID": "AKIAINVALID", "AWS_SECRET_ACCESS_KEY": "x"}
    output = nobody("deploy", code=1)
    assert output.startswith("AWS says: ") and output.count("\n") == 1


def test_docs_deploy_word_for_word(cloud: Cloud, operator: Operator, tmp_path) -> None:
    """The page's commands, with a stack and a bucket of their own; what needs a host says so."""
    page = (PROJECT / "docs" / "deploy.md").read_text().split("```sh\n")[1].split("```")[0]
    page_commands = [line.split("#")[0].strip() for line in page.splitlines()]
    assert page_commands == [
        'make deploy SET="BucketName=acme-twitter-lake"',
        "make secrets FILE=.env",
        "make connect",
        "make password",
        "make upgrade",
        "make teardown",
    ]
    env = tmp_path / ".env"
    env.write_text("AIRFLOW_VAR_TWITTER_HANDLES=NASA, esa\n")
    arguments = ["STACK=by-make"]
    parameters = "BucketName=acme-twitter-lake WithHost=false DatabaseName=by_make"
    assert "The bucket is acme-twitter-lake" in operator.run(
        "make", "deploy", f"SET={parameters}", *arguments
    )
    assert "/twitter/by-make/variables/twitter_handles" in operator.run(
        "make", "secrets", f"FILE={env}", *arguments
    )
    for command in ("connect", "password", "upgrade"):
        assert "it was made with WithHost=false" in operator.run("make", command, *arguments, code=2)
    assert "stays" in operator.run("make", "teardown", *arguments, stdin="by-make\n")


# What needs a host, with AWS's answers as its documentation has them


@pytest.fixture
def cloudformation(monkeypatch) -> Iterator[tuple[commands.Stack, Stubber]]:
    """A stack with a host, and what AWS answers about it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    stack = commands.Stack("twitter")
    with Stubber(stack.cloud) as stub:
        stub.add_response("describe_stacks", stacks("CREATE_COMPLETE"))
        guard = {"StackName": "twitter", "StackPolicyBody": commands.guarding({"Bucket", "Host"})}
        stub.add_response("set_stack_policy", {}, guard)
        yield stack, stub
        stub.assert_no_pending_responses()


def stacks(status: str) -> dict[str, Any]:
    return {"Stacks": [{"StackName": "twitter", "CreationTime": NOW, "StackStatus": status}]}


def events(*of_resources: tuple[str, str, str]) -> dict[str, Any]:
    common = {"StackId": "1", "StackName": "twitter", "Timestamp": NOW, "ResourceType": "AWS", "EventId": "1"}
    parts = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")
    return {"StackEvents": [common | dict(zip(parts, one, strict=True)) for one in of_resources]}


NOW = datetime(2026, 11, 18, tzinfo=UTC)
KEPT = {"KeyName": "", "BucketName": "acme-lake", "InstanceType": "t3.medium"}


@pytest.mark.parametrize(
    ("resource", "settings", "output"),
    [
        (
            "Host",
            {"KeyName": "acme", "InstanceType": "t3.medium"},
            "this would end the host, and Airflow's history of runs with it, nothing in the bucket "
            "(KeyName=acme). CloudFormation has left all as it was. "
            "If that is what you want, add REPLACE_HOST=yes to the command.",
        ),
        ("Host", {}, "the host in deploy/template.yaml is another than the one that runs"),
        ("Bucket", {"BucketName": "other"}, "leave this one (BucketName=other).* Make another stack for it."),
    ],
)
def test_a_change_that_would_end_what_is_guarded_says_what_asks_for_it(
    cloudformation, resource: str, settings: dict[str, str], output: str
) -> None:
    stack, stub = cloudformation
    stub.add_response("update_stack", {"StackId": "1"}, UPDATE)
    stub.add_response("describe_stacks", stacks("UPDATE_ROLLBACK_COMPLETE"))
    denied = f"Statement [#1] does not allow [Update:Replace] for resource [LogicalResourceId/{resource}]"
    happened = events(
        ("twitter", "UPDATE_ROLLBACK_COMPLETE", ""),
        ("Role", "UPDATE_FAILED", "Resource update cancelled"),
        (resource, "UPDATE_FAILED", f"Action denied by stack policy: {denied}"),
    )
    stub.add_response("describe_stack_events", happened)
    with pytest.raises(commands.CannotDo, match=output.replace("(", r"\(").replace(")", r"\)")):
        commands.change(stack, settings, KEPT, replace_host=False)


UPDATE = dict.fromkeys(("StackName", "TemplateBody", "Parameters", "Capabilities", "ClientRequestToken"), ANY)


def test_to_replace_the_host_is_allowed_for_one_change_and_the_bucket_stays_guarded(
    cloudformation, capsys
) -> None:
    stack, stub = cloudformation
    once = {"StackPolicyDuringUpdateBody": commands.guarding({"Bucket"})}
    stub.add_response("update_stack", {"StackId": "1"}, UPDATE | once)
    stub.add_response("describe_stacks", stacks("UPDATE_COMPLETE"))
    stub.add_response("describe_stack_events", events(("Host", "UPDATE_COMPLETE", "")))
    commands.change(stack, {"KeyName": "acme"}, KEPT, replace_host=True)
    assert capsys.readouterr().out.endswith("\n  UPDATE_COMPLETE Host (AWS)\n")


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("Update:Replace", "Host", False),
        ("Update:Delete", "Host", False),
        ("Update:Modify", "Host", True),  # a new instance type restarts it
        ("Update:Replace", "Bucket", False),
        ("Update:Delete", "Bucket", False),
        ("Update:Modify", "Bucket", True),
        ("Update:Replace", "LaunchTemplate", True),
        ("Update:Delete", "Wake", True),
    ],
)
def test_the_stacks_policy_lets_all_be_changed_and_neither_host_nor_bucket_end(
    cloud: Cloud, deployed: str, action: str, resource: str, allowed: bool
) -> None:
    policy = cloud.owner("cloudformation").get_stack_policy(StackName="twitter")["StackPolicyBody"]
    assert permits(json.loads(policy), action, f"LogicalResourceId/{resource}") is allowed


def permits(policy: dict[str, Any], action: str, resource: str) -> bool:
    """As CloudFormation reads a stack policy: what is not allowed is denied, and a denial wins."""
    met = set()
    for one in policy["Statement"]:
        actions, resources = (
            [one[part]] if isinstance(one[part], str) else one[part] for part in ("Action", "Resource")
        )
        if any(fnmatch(action, name) for name in actions) and any(
            fnmatch(resource, name) for name in resources
        ):
            met.add(one["Effect"])
    return met == {"Allow"}


def test_a_stack_from_before_there_was_a_policy_gets_it(
    cloud: Cloud, operator: Operator, deployed: str
) -> None:
    cloudformation = cloud.owner("cloudformation")
    anything = {"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"}
    cloudformation.set_stack_policy(
        StackName="twitter", StackPolicyBody=json.dumps({"Statement": [anything]})
    )
    operator("deploy")
    policy = cloudformation.get_stack_policy(StackName="twitter")["StackPolicyBody"]
    assert not permits(json.loads(policy), "Update:Replace", "LogicalResourceId/Host")


def network(*zones_with_hosts: str) -> Iterator[Stubber]:
    client = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        of_vpc = [{"Name": "is-default", "Values": ["true"]}]
        stub.add_response("describe_vpcs", {"Vpcs": [{"VpcId": "vpc-0a"}]}, {"Filters": of_vpc})
        offered = [{"Location": zone, "InstanceType": "t3.medium"} for zone in zones_with_hosts]
        stub.add_response("describe_instance_type_offerings", {"InstanceTypeOfferings": offered})
        subnets = [{"AvailabilityZone": f"us-east-1{z}", "SubnetId": f"subnet-{z}"} for z in "edc"]
        stub.add_response("describe_subnets", {"Subnets": subnets})
        yield stub


def test_a_host_goes_to_a_subnet_of_the_default_network_that_has_its_type() -> None:
    for stub in network("us-east-1d", "us-east-1f"):
        placement = commands.default_network(stub.client, "t3.medium")
        assert placement == {"VpcId": "vpc-0a", "SubnetId": "subnet-d"}


def test_without_a_fitting_subnet_the_operator_has_to_name_one() -> None:
    for stub in network("us-east-1f"):
        with pytest.raises(commands.CannotDo, match="name SubnetId"):
            commands.default_network(stub.client, "t3.medium")


def test_without_a_default_network_the_operator_has_to_name_one() -> None:
    client = boto3.client("ec2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("describe_vpcs", {"Vpcs": []})
        with pytest.raises(commands.CannotDo, match="no default network: name VpcId and SubnetId"):
            commands.default_network(client, "t3.medium")


@pytest.fixture
def ssm() -> Iterator[Stubber]:
    client = boto3.client("ssm", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        expected = {"commands": [commands.install_command(RELEASE)]}
        stub.add_response(
            "send_command",
            {"Command": {"CommandId": COMMAND}},
            {"InstanceIds": [HOST], "DocumentName": "AWS-RunShellScript", "Parameters": expected},
        )
        yield stub
        stub.assert_no_pending_responses()


HOST, COMMAND = "i-0123456789abcdef0", "11111111-2222-3333-4444-555555555555"
RELEASE = f"{'0b' * 32} v2"
FORMER = f"{'0a' * 32} v1"


def invocation(status: str, output: str = "") -> dict[str, str]:
    return {"Status": status, "StandardOutputContent": output, "StandardErrorContent": ""}


def test_an_upgrade_waits_until_the_host_has_installed_it(ssm: Stubber) -> None:
    ssm.add_client_error("get_command_invocation", "InvocationDoesNotExist")
    for status in ("Pending", "InProgress", "Delayed", "Success"):
        ssm.add_response("get_command_invocation", invocation(status))
    commands.install(ssm.client, HOST, RELEASE, seconds=0)


@pytest.mark.parametrize("status", ["Failed", "TimedOut", "Cancelled"])
def test_a_host_that_did_not_install_it_says_why(ssm: Stubber, status: str) -> None:
    ssm.add_response("get_command_invocation", invocation(status, "FAILED while migrating the database"))
    with pytest.raises(commands.CannotDo, match=f"(?s){status}.*FAILED while migrating the database"):
        commands.install(ssm.client, HOST, RELEASE, seconds=0)


@pytest.mark.parametrize("error", [commands.CannotDo, commands.NotInstalled])
def test_what_the_hosts_log_holds_does_nothing_to_a_terminal(monkeypatch, capsys, error) -> None:
    def fail(*_: Any) -> None:
        raise error("its last line says:\n\x1b[2J\u202e")

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(commands, "upgrade", fail)
    monkeypatch.setattr(sys, "argv", ["deploy", "upgrade"])
    fail.__name__ = "upgrade"
    assert commands.main() == 1
    assert capsys.readouterr().err == "its last line says:\n[U+001B][2J[U+202E]\n"


def test_an_upgrade_is_of_the_release_that_was_sent() -> None:
    assert "= /opt/twitter/releases/0b0b0b0b0b0b ] || failed=1" in commands.install_command(RELEASE)


class Upgrade:
    """`make upgrade` on a stack of the stand-in, with a host that sends the prepared responses."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in cloud.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it may have another test's key
        self.cloud, self._patch = cloud, monkeypatch
        self.stack = commands.Stack("twitter")
        given = self.stack.output
        monkeypatch.setattr(self.stack, "output", lambda name: HOST if name == "HostId" else given(name))

    def before(self) -> None:
        """A release that runs."""
        key = commands.release_key(FORMER)
        self.cloud.owner().put_object(Bucket=BUCKET, Key=key, Body=b"the former release")
        commands.name_release(self.stack, FORMER)

    def __call__(self, ended: type[Exception] | None) -> str:
        """The name of the release that the command sends to the host."""
        names = []

        def install(ssm: Any, host: str, name: str) -> None:
            names.append(name)
            assert self.archives() >= {commands.release_key(name), commands.release_key(FORMER)}
            assert named_release(self.cloud) == name  # a host that is rebooted now goes on with it
            if ended:
                raise ended("the host did not install it")

        self._patch.setattr(commands, "install", install)
        with pytest.raises(ended) if ended else nullcontext():
            commands.upgrade(self.stack, argparse.Namespace())
        return names[0]

    def archives(self) -> set[str]:
        listed = self.cloud.owner().list_objects_v2(Bucket=BUCKET, Prefix="releases/")
        return {item["Key"] for item in listed["Contents"]}


@pytest.fixture
def upgrade(cloud: Cloud, deployed: str, monkeypatch) -> Upgrade:
    made = Upgrade(cloud, monkeypatch)
    made.before()
    return made


def test_a_release_that_the_host_accepted_is_the_only_one_left(cloud: Cloud, upgrade: Upgrade) -> None:
    sent = upgrade(None)
    assert named_release(cloud) == sent
    assert upgrade.archives() == {commands.release_key(sent)}


def test_an_upgrade_deletes_no_object_of_others(cloud: Cloud, upgrade: Upgrade) -> None:
    others = {"releases/", "releases/notes.tar.gz", f"releases/{'0' * 64}.tar.gz.bak"}
    for key in (*others, "releases/current.tar.gz"):
        cloud.owner().put_object(Bucket=BUCKET, Key=key, Body=b"")
    sent = upgrade(None)
    assert upgrade.archives() == {commands.release_key(sent), *others}
    for key in others:
        cloud.owner().delete_object(Bucket=BUCKET, Key=key)


def test_after_a_release_that_gave_way_boots_install_the_former_one(cloud: Cloud, upgrade: Upgrade) -> None:
    upgrade(commands.NotInstalled)
    assert named_release(cloud) == FORMER
    assert commands.release_key(FORMER) in upgrade.archives()


def test_where_nobody_knows_how_it_ended_both_archives_stay(cloud: Cloud, upgrade: Upgrade) -> None:
    sent = upgrade(commands.CannotDo)
    assert named_release(cloud) == sent
    assert upgrade.archives() == {commands.release_key(sent), commands.release_key(FORMER)}


@pytest.mark.parametrize(
    ("status", "gave_way"), [("Failed", True), ("TimedOut", False), ("Cancelled", False)]
)
def test_only_a_host_that_reports_a_failure_has_gone_back(ssm: Stubber, status: str, gave_way: bool) -> None:
    ssm.add_response("get_command_invocation", invocation(status))
    with pytest.raises(commands.CannotDo) as refused:
        commands.install(ssm.client, HOST, RELEASE, seconds=0)
    assert isinstance(refused.value, commands.NotInstalled) is gave_way


def test_a_new_host_that_is_refused_leaves_the_former_release_to_the_one_that_stays(monkeypatch) -> None:
    named: list[str | None] = []

    class Deployed:
        def describe(self) -> dict[str, Any]:
            return {"StackStatus": "UPDATE_COMPLETE", "Parameters": []}

    def refuse(*_: Any) -> None:
        raise commands.CannotDo("CloudFormation has left all as it was.")

    monkeypatch.setattr(commands, "host_placement", lambda *_: {})
    monkeypatch.setattr(commands, "release", lambda _: (FORMER, RELEASE))
    monkeypatch.setattr(commands, "name_release", lambda _, name: named.append(name))
    monkeypatch.setattr(commands, "change", refuse)
    given = argparse.Namespace(set=["WithHost=true"], more=[], replace_host=True)
    with pytest.raises(commands.CannotDo):
        commands.deploy(Deployed(), given)
    assert named == [FORMER]
