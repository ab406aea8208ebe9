"""The pipeline on one EC2 host: make it, give it its settings, look at it, change it, end it.

Each command is one of docs/deploy.md. Account and region come from where boto3 finds them: AWS_PROFILE,
AWS_DEFAULT_REGION and their like.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from dotenv import dotenv_values
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

PROJECT = Path(__file__).parents[1]
TEMPLATE = Path(__file__).with_name("template.yaml")
RELEASE = "releases/current.tar.gz"
DEBIAN = "/aws/service/debian/release/13/latest/amd64"
KINDS = {"AIRFLOW_CONN_": "connections", "AIRFLOW_VAR_": "variables"}
INSTALL = """systemctl reset-failed twitter-release
systemctl start twitter-release || failed=1
journalctl --unit twitter-release --lines 30 --output cat
exit ${failed:-0}"""
EVERY_5_S = {"Delay": 5, "MaxAttempts": 360}


class CannotDo(Exception):
    """A command that was not carried out; the message says why, and what to do."""


class Stack:
    """A CloudFormation stack of deploy/template.yaml."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cloud = boto3.client("cloudformation")

    def found(self) -> dict[str, Any] | None:
        """What CloudFormation says of it; None where there is none, or only its name."""
        try:
            stack = self.cloud.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "REVIEW_IN_PROGRESS" else stack

    def _of(self, part: str, kind: str, name: str) -> str:
        stack = self.found()
        if stack is None:
            raise CannotDo(f"there is no stack {self.name!r} here: `make deploy` makes one.")
        for entry in stack.get(part, []):
            if entry[f"{kind}Key"] == name:
                return entry[f"{kind}Value"]
        raise CannotDo(f"the stack {self.name!r} has no {name}: it was made with WithHost=false.")

    def output(self, name: str) -> str:
        return self._of("Outputs", "Output", name)

    def parameter(self, name: str) -> str:
        return self._of("Parameters", "Parameter", name)

    def wait(self, until: str) -> None:
        try:
            self.cloud.get_waiter(until).wait(StackName=self.name, WaiterConfig=EVERY_5_S)
        except WaiterError:
            raise CannotDo(
                "CloudFormation did not get through:\n  " + "\n  ".join(self._failures())
            ) from None

    def apply(
        self,
        asked: dict[str, Any],
        settings: dict[str, str],
        kept: Collection[str],
        allowed: Callable[[list[dict[str, Any]]], None] = lambda changes: None,
    ) -> bool:
        """Begin a change, once `allowed` has seen it and raised nothing; False if there is none."""
        stay = sorted(set(kept) & template_parameters() - settings.keys())
        plan = self.cloud.create_change_set(
            StackName=self.name,
            ChangeSetName=f"change-{uuid4()}",
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in settings.items()]
            + [{"ParameterKey": name, "UsePreviousValue": True} for name in stay],
            **asked,
        )["Id"]
        try:
            done = self.cloud.get_waiter("change_set_create_complete")
            done.wait(ChangeSetName=plan, WaiterConfig=EVERY_5_S)
            said = self.cloud.describe_change_set(ChangeSetName=plan)
            allowed([one["ResourceChange"] for one in said["Changes"]])
        except CannotDo:
            self.cloud.delete_change_set(ChangeSetName=plan)
            raise
        except WaiterError as error:
            reason = error.last_response.get("StatusReason", str(error))
            self.cloud.delete_change_set(ChangeSetName=plan)
            if "didn't contain changes" in reason or "No updates" in reason:
                return False
            raise CannotDo(f"CloudFormation refuses the change: {reason}") from None
        # What a first try made and could not finish goes again, the bucket too: it is empty.
        self.cloud.execute_change_set(
            ChangeSetName=plan,
            **({"RetainExceptOnCreate": True} if asked["ChangeSetType"] == "CREATE" else {}),
        )
        return True

    def delete(self) -> None:
        self.cloud.delete_stack(StackName=self.name)
        self.wait("stack_delete_complete")

    def _failures(self) -> Iterator[str]:
        """What went wrong in its last change, oldest first."""
        events = self.cloud.describe_stack_events(StackName=self.name)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                yield f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'failed')}"


# The commands


def deploy(stack: Stack, given: argparse.Namespace) -> None:
    """Make the stack, or change it. A new host gets this version of the pipeline."""
    settings = dict(pair.split("=", 1) for pair in given.set)
    known = template_parameters()
    if unknown := settings.keys() - known:
        raise CannotDo(
            f"the template has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}."
        )
    before = stack.found()
    if before and before["StackStatus"] == "ROLLBACK_COMPLETE":  # its first try failed, and left nothing
        stack.delete()
        before = None
    kept = {entry["ParameterKey"]: entry["ParameterValue"] for entry in (before or {}).get("Parameters", [])}
    with_host = (kept | settings).get("WithHost", "true") == "true"
    new_host = with_host and (given.replace_host or kept.get("WithHost", "false") == "false")
    if with_host:
        settings = place_of_host(kept | settings, new_host) | settings
    if before is None:
        take_over(stack, settings)
    elif new_host:  # which looks for its release at its first boot
        release(stack)
    change(stack, settings, kept, given.replace_host)
    if before is None:
        release(stack)
    if new_host:
        print("A new host installs itself in some five minutes. Its DAG is paused: unpause it in the UI.")
    elif with_host:
        print("`make upgrade` installs this version of the pipeline.")
    print(f"The bucket is {stack.output('BucketName')}.")


def place_of_host(settings: dict[str, str], is_new: bool) -> dict[str, str]:
    """Where a host goes and what it starts from: what is set, else the default network, the newest Debian."""
    found = {}
    if is_new or not settings.get("ImageId"):
        found["ImageId"] = boto3.client("ssm").get_parameter(Name=DEBIAN)["Parameter"]["Value"]
    if not (settings.get("VpcId") or settings.get("SubnetId")):
        found |= default_network(boto3.client("ec2"), settings.get("InstanceType", "t3.medium"))
    return found


def default_network(ec2: Any, instance_type: str) -> dict[str, str]:
    """The region's default network, and its first subnet that has hosts of this type."""
    nets = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not nets:
        raise CannotDo("this region has no default network: name VpcId and SubnetId.")
    in_it = [{"Name": "vpc-id", "Values": [nets[0]["VpcId"]]}, {"Name": "default-for-az", "Values": ["true"]}]
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [instance_type]}]
    )["InstanceTypeOfferings"]
    zones = {offer["Location"] for offer in offered}
    subnets = {one["AvailabilityZone"]: one for one in ec2.describe_subnets(Filters=in_it)["Subnets"]}
    fitting = sorted(zones & subnets.keys())
    if not fitting:
        raise CannotDo(f"no subnet of the default network has hosts of type {instance_type}: name SubnetId.")
    return {"VpcId": nets[0]["VpcId"], "SubnetId": subnets[fitting[0]]["SubnetId"]}


def take_over(stack: Stack, settings: dict[str, str]) -> None:
    """Begin the stack with the bucket of that name, if a stack before this one left it."""
    s3, name = boto3.client("s3"), settings.get("BucketName")
    if not name:
        return
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return
        raise  # somebody else's
    bucket_alone, _ = TEMPLATE.read_text().split("\n  BucketPolicy:\n")  # an import may hold nothing else
    imported = {
        "ResourceType": "AWS::S3::Bucket",
        "LogicalResourceId": "Bucket",
        "ResourceIdentifier": {"BucketName": name},
    }
    asked = {"ChangeSetType": "IMPORT", "TemplateBody": bucket_alone, "ResourcesToImport": [imported]}
    stack.apply(asked, {"BucketName": name, "WithHost": "false"}, {})
    stack.wait("stack_import_complete")
    s3.delete_bucket_policy(Bucket=name)  # the stack puts its own, and refuses to meet one
    print(f"The bucket {name} was there already: it is taken over.")


def change(stack: Stack, settings: dict[str, str], kept: dict[str, str], replace_host: bool) -> None:
    """Bring the stack to what the template says; parameters that are not named stay as they are."""
    exists = stack.found() is not None
    asked = {"ChangeSetType": "UPDATE" if exists else "CREATE", "TemplateBody": TEMPLATE.read_text()}

    def allowed(changes: list[dict[str, Any]]) -> None:
        for one in changes:
            print(f"  {one['Action']:8} {one['LogicalResourceId']} ({one['ResourceType']})")
        if any(ends(one, "Bucket") for one in changes):
            raise CannotDo("this would make another bucket, and leave this one: make another stack for it.")
        if not replace_host and any(ends(one, "Host") for one in changes):
            raise CannotDo(
                "this would end the host, and Airflow's history of runs with it (nothing in the bucket). "
                "If that is what you want: make deploy REPLACE_HOST=1"
            )

    if stack.apply(asked, settings, kept, allowed):
        stack.wait("stack_update_complete" if exists else "stack_create_complete")
    else:
        print(f"The stack {stack.name!r} is as the template says.")


def ends(change: dict[str, Any], resource: str) -> bool:
    """Whether this resource would be another one. A new instance type, called conditional, keeps the disk."""
    if change["LogicalResourceId"] != resource or change["Action"] == "Add":
        return False
    causes = [detail["Target"] for detail in change.get("Details", [])]
    harmless = causes and all(
        cause.get("Name") == "InstanceType" or cause["RequiresRecreation"] == "Never" for cause in causes
    )
    return change["Action"] == "Remove" or (change.get("Replacement", "False") != "False" and not harmless)


def template_parameters() -> set[str]:
    """The names of what the template asks for."""
    template = {key.value: value for key, value in yaml.compose(TEMPLATE.read_text()).value}  # type: ignore[union-attr]
    return {name.value for name, _ in template["Parameters"].value}


def release(stack: Stack) -> None:
    """Send the committed version of this checkout to where the host finds it."""
    if _git("status", "--porcelain", "--untracked-files=no"):
        print("There are changes that are not committed: they are not sent.")
    bucket, archive = stack.output("BucketName"), _git("archive", "--format=tar.gz", "HEAD")
    boto3.client("s3").put_object(Bucket=bucket, Key=RELEASE, Body=archive)
    print(f"Sent {_git('describe', '--always', '--tags').decode().strip()} to s3://{bucket}/{RELEASE}.")


def secrets(stack: Stack, given: argparse.Namespace) -> None:
    """Put the Connections and Variables of an env file into SSM Parameter Store."""
    path, store = stack.parameter("SettingsPath"), boto3.client("ssm")
    for name, value in _settings(given.file).items():
        kind = "SecureString" if name.startswith("connections/") else "String"
        store.put_parameter(
            Name=f"{path}/{name}", Value=value, Type=kind, Overwrite=True, Tier="Intelligent-Tiering"
        )
        print(f"  {path}/{name}")


def _settings(file: Path) -> dict[str, str]:
    """The settings in an env file, named as Airflow looks for them in the Parameter Store."""
    if not file.exists():
        raise CannotDo(f"there is no file {file}. .env.example shows what it may hold.")
    found = {}
    for name, value in dotenv_values(file, interpolate=False).items():
        kind = next((kind for prefix, kind in KINDS.items() if name.startswith(prefix)), None)
        if kind is None or name == "AIRFLOW_VAR_TWITTER_BUCKET":  # the host knows its own
            continue
        if not value:
            raise CannotDo(f"{file}: {name} is empty. Give it a value, or take the line out.")
        found[f"{kind}/{name.split('_', 2)[2].lower()}"] = value
    if not found:
        raise CannotDo(f"{file} has no AIRFLOW_CONN_… and no AIRFLOW_VAR_… line; .env.example shows some.")
    return found


def upgrade(stack: Stack, given: argparse.Namespace) -> None:
    """Send this version to the host, have it installed, and wait until its services are healthy."""
    host = stack.output("HostId")
    release(stack)
    install(boto3.client("ssm"), host)
    print("Installed; Airflow is healthy.")


def install(ssm: Any, host: str, seconds: float = 5) -> None:
    """Have the host install the release that was sent last; look every so many seconds how far it is."""
    document = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": [INSTALL]}}
    sent = ssm.send_command(InstanceIds=[host], **document)["Command"]["CommandId"]
    looking = Retrying(
        retry=retry_if_exception_type(ssm.exceptions.InvocationDoesNotExist)  # not yet
        | retry_if_result(lambda said: said["Status"] in ("Pending", "InProgress", "Delayed", "Cancelling")),
        wait=wait_fixed(seconds),
        stop=stop_after_delay(1800),
    )
    try:
        said = looking(ssm.get_command_invocation, CommandId=sent, InstanceId=host)
    except RetryError:
        raise CannotDo(
            "the host has not ended it in half an hour; `journalctl -u twitter-release` there."
        ) from None
    if said["Status"] != "Success":
        raise CannotDo(
            f"the host did not install it ({said['Status']}); which version runs now, it says itself:\n"
            f"{said['StandardOutputContent']}{said['StandardErrorContent']}"
        )


def connect(stack: Stack, given: argparse.Namespace) -> None:
    """Forward the host's Airflow UI to this machine, until Ctrl-C."""
    stack.output("HostId")
    ports = f"portNumber=8080,localPortNumber={given.port}"
    scheme = "https" if stack.parameter("AdminCidr") else "http"
    print(f"Airflow: {scheme}://localhost:{given.port}, user admin, `make password`. Ctrl-C ends it.")
    _session(stack, "AWS-StartPortForwardingSession", ports)


def password(stack: Stack, given: argparse.Namespace) -> None:
    """Show the password of the UI's user admin."""
    _session(stack, "AWS-StartInteractiveCommand", 'command=["sudo cat /etc/twitter/admin-password"]')


def _session(stack: Stack, document: str, parameters: str) -> None:
    host = stack.output("HostId")
    ask = ["aws", "ssm", "start-session", "--target", host, "--document-name", document]
    try:
        subprocess.run([*ask, "--parameters", parameters], check=True)
    except FileNotFoundError:
        raise CannotDo("needs the AWS CLI and its Session Manager plugin.") from None
    except subprocess.CalledProcessError as error:
        raise CannotDo(f"the session ended with exit code {error.returncode}; see above.") from None
    except KeyboardInterrupt:
        pass


def teardown(stack: Stack, given: argparse.Namespace) -> None:
    """Delete the host, the role and the tables; the bucket and what landed stay."""
    path = stack.parameter("SettingsPath")
    if not given.yes and input(f"Type {stack.name} to delete this stack: ").strip() != stack.name:
        raise CannotDo("nothing was deleted.")
    stack.delete()
    print(f"Deleted. The bucket with all that landed stays, and so do the settings at {path}.")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    parser.add_argument("--stack", default="twitter", help="the stack's name; env STACK")
    commands = parser.add_subparsers(required=True)

    def command(function: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(function.__name__, help=function.__doc__)
        made.set_defaults(command=function)
        return made

    to_deploy = command(deploy)
    to_deploy.add_argument("set", nargs="*", metavar="PARAMETER=VALUE", type=_pair, help="of the template")
    to_deploy.add_argument("--replace-host", action="store_true", help="even where that makes a new host")
    command(secrets).add_argument("--file", default=".env", type=Path)
    command(connect).add_argument("--port", default=8080, type=int, help="on this machine")
    command(password)
    command(upgrade)
    command(teardown).add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _pair(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not PARAMETER=VALUE, like BucketName=acme-lake")
    return text


def main() -> int:
    given = _parser().parse_args()
    try:
        given.command(Stack(given.stack), given)
    except CannotDo as error:
        print(error, file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"AWS says: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
