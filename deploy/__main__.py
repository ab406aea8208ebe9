"""The pipeline on one EC2 host: make it, give it its settings, look at it, change it, end it.

Each command is one of docs/deploy.md. Account and region come from where boto3 finds them: AWS_PROFILE,
AWS_DEFAULT_REGION and their like.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from dotenv import dotenv_values
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

PROJECT = Path(__file__).parents[1]
TEMPLATE = Path(__file__).with_name("template.yaml")
RELEASE = "releases/current.tar.gz"
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

    def _failures(self) -> Iterator[str]:
        """What went wrong in its last change, oldest first."""
        events = self.cloud.describe_stack_events(StackName=self.name)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                yield f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'failed')}"


# The commands


def deploy(stack: Stack, given: argparse.Namespace) -> None:
    """Make the stack, or change it, and send this version to its host."""
    change(stack, dict(pair.split("=", 1) for pair in given.set), given.replace_host)
    release(stack, given)
    print(f"Deployed. Next: `make secrets`, then `make connect`. The bucket is {stack.output('BucketName')}.")


def change(stack: Stack, settings: dict[str, str], replace_host: bool) -> None:
    """Bring the stack to what the template says; parameters that are not named stay as they are."""
    known = template_parameters()
    if unknown := settings.keys() - known:
        raise CannotDo(
            f"the template has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}."
        )
    before = stack.found()
    if before and before["StackStatus"] == "ROLLBACK_COMPLETE":  # its first try failed: nothing is left of it
        stack.cloud.delete_stack(StackName=stack.name)
        stack.wait("stack_delete_complete")
        before = None
    kept = {entry["ParameterKey"] for entry in before["Parameters"]} & known if before else set()
    plan = stack.cloud.create_change_set(
        StackName=stack.name,
        ChangeSetName=f"change-{uuid4()}",
        ChangeSetType="UPDATE" if before else "CREATE",
        TemplateBody=TEMPLATE.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        ImportExistingResources=True,  # the bucket that a stack before this one left
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in settings.items()]
        + [{"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept - settings.keys())],
    )["Id"]
    changes = _changes(stack, plan)
    for one in changes:
        print(f"  {one['Action']:8} {one['LogicalResourceId']} ({one['ResourceType']})")
    if not replace_host and any(map(ends_the_host, changes)):
        stack.cloud.delete_change_set(ChangeSetName=plan)
        raise CannotDo(
            "this would end the host, and Airflow's history of runs with it (nothing in the bucket). "
            "If that is what you want: make deploy REPLACE_HOST=1"
        )
    if changes:
        stack.cloud.execute_change_set(ChangeSetName=plan)
        stack.wait("stack_update_complete" if before else "stack_create_complete")


def _changes(stack: Stack, plan: str) -> list[dict[str, Any]]:
    """What the change set would do; nothing, if the stack is as the template says."""
    try:
        stack.cloud.get_waiter("change_set_create_complete").wait(ChangeSetName=plan, WaiterConfig=EVERY_5_S)
    except WaiterError as error:
        reason = error.last_response.get("StatusReason", str(error))
        stack.cloud.delete_change_set(ChangeSetName=plan)
        if "didn't contain changes" in reason or "No updates" in reason:
            print(f"The stack {stack.name!r} is as the template says.")
            return []
        raise CannotDo(f"CloudFormation refuses the change: {reason}") from None
    return [one["ResourceChange"] for one in stack.cloud.describe_change_set(ChangeSetName=plan)["Changes"]]


def ends_the_host(change: dict[str, Any]) -> bool:
    """Whether the host would be another one. A new instance type is called conditional: its disk is kept."""
    if change["LogicalResourceId"] != "Host" or change["Action"] == "Add":
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


def release(stack: Stack, given: argparse.Namespace) -> None:
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
        store.put_parameter(Name=f"{path}/{name}", Value=value, Type=kind, Overwrite=True)
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
    release(stack, given)
    install(boto3.client("ssm"), host)
    print("Installed; Airflow is healthy.")


def install(ssm: Any, host: str, seconds: float = 5) -> None:
    """Have the host install the release that was sent last; look every so many seconds how far it is."""
    document = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": [INSTALL]}}
    sent = ssm.send_command(InstanceIds=[host], **document)["Command"]["CommandId"]
    looking = Retrying(
        retry=retry_if_exception_type(ssm.exceptions.InvocationDoesNotExist)  # not yet
        | retry_if_result(lambda said: said["Status"] in ("Pending", "InProgress", "Delayed")),
        wait=wait_fixed(seconds),
        stop=stop_after_delay(1800),
        reraise=True,
    )
    said = looking(ssm.get_command_invocation, CommandId=sent, InstanceId=host)
    if said["Status"] != "Success":
        raise CannotDo(
            f"the host did not install it ({said['Status']}); the version before it goes on running.\n"
            f"{said['StandardOutputContent']}{said['StandardErrorContent']}"
        )


def connect(stack: Stack, given: argparse.Namespace) -> None:
    """Forward the host's Airflow UI to this machine, until Ctrl-C."""
    ports = f"portNumber=8080,localPortNumber={given.port}"
    print(f"Airflow: http://localhost:{given.port}, user admin, `make password`. Ctrl-C ends it.")
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
    bucket, path = stack.output("BucketName"), stack.parameter("SettingsPath")
    if not given.yes and input(f"Type {stack.name} to delete this stack: ").strip() != stack.name:
        raise CannotDo("nothing was deleted.")
    stack.cloud.delete_stack(StackName=stack.name)
    stack.wait("stack_delete_complete")
    print(f"Deleted. The bucket {bucket} with all that landed stays, and so do the settings at {path}.")


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
