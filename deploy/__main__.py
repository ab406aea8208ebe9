"""The pipeline on one EC2 host: the commands of docs/deploy.md.

Account and region come from where boto3 finds them: AWS_PROFILE, AWS_DEFAULT_REGION and their like.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Collection
from itertools import chain, groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from dotenv import dotenv_values
from rich.console import Console
from rich.text import Text
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from include.twitter.safe_text import safe_lines

PROJECT = Path(__file__).parents[1]
TEMPLATE = Path(__file__).with_name("template.yaml")
RELEASES = "releases/"
ARCHIVE = re.compile(rf"{RELEASES}(?:[0-9a-f]{{64}}|current)\.tar\.gz")
"""The key of a release; an earlier version of this project used `current`."""
DEBIAN = "/aws/service/debian/release/13/latest/amd64"
KINDS = {"AIRFLOW_CONN_": "connections", "AIRFLOW_VAR_": "variables"}
INSTALL = """touch /run/twitter-release.again
systemctl reset-failed twitter-release
systemctl start twitter-release 2>/dev/null || failed=1
journalctl --lines 60 --output cat _SYSTEMD_UNIT=twitter-release.service
[ "$(readlink /opt/twitter/current)" = /opt/twitter/releases/HASH ] || failed=1
exit ${failed:-0}"""
"""HASH is the start of the release's SHA-256: the command fails unless the host runs that release."""
# Resources that no change may replace or delete: the consequence, and what to do.
GUARDED = {
    "Bucket": ("this would make another bucket, and leave this one", "Make another stack for it."),
    "Host": (
        "this would end the host, and Airflow's history of runs with it, nothing in the bucket",
        "If that is what you want, add REPLACE_HOST=yes to the command.",
    ),
}
OWNER = "twitter-stack"
"""The tag of a parameter that names the stack that made it."""
EVERY_5_S = {"Delay": 5, "MaxAttempts": 360}


class CannotDo(Exception):
    """A command failed; the message says why, and what to do."""


class NotInstalled(CannotDo):
    """The host reported that it runs another release than the new one."""


class NotDone(CannotDo):
    """CloudFormation began a change and rolled it back."""

    def __init__(self, failures: list[dict[str, Any]]) -> None:
        reasons = {
            event["LogicalResourceId"]: event.get("ResourceStatusReason", "failed") for event in failures
        }
        self.guarded = {name for name, reason in reasons.items() if "by stack policy" in reason}
        lines = [f"{name}: {reason}" for name, reason in reasons.items()]
        super().__init__("\n  ".join(["CloudFormation could not make the change:", *lines]))


class Stack:
    """A CloudFormation stack of deploy/template.yaml."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cloud = boto3.client("cloudformation")

    def describe(self) -> dict[str, Any] | None:
        """CloudFormation's description; None if the stack does not exist, or only its name does."""
        try:
            stack = self.cloud.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "REVIEW_IN_PROGRESS" else stack

    def _of(self, part: str, kind: str, name: str) -> str:
        stack = self.describe()
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

    def create(self, settings: dict[str, str]) -> None:
        # What a first try made and could not finish goes again, the bucket too: it is empty.
        policy = {"StackPolicyBody": guarding(GUARDED), "RetainExceptOnCreate": True}
        self._run_change("create_stack", "stack_create_complete", **_template_request(settings), **policy)
        self._print_completed()

    def update(
        self, settings: dict[str, str], current: Collection[str], replaceable: Collection[str]
    ) -> None:
        """Apply the template. A change that would end a guarded resource that must stay is rolled back."""
        self.cloud.set_stack_policy(StackName=self.name, StackPolicyBody=guarding(GUARDED))
        request = _template_request(settings, current)
        if replaceable:
            request["StackPolicyDuringUpdateBody"] = guarding(GUARDED.keys() - set(replaceable))
        try:
            self._run_change("update_stack", "stack_update_complete", **request)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
            print(f"The stack {self.name!r} is as the template says.")
        else:
            self._print_completed()

    def import_bucket(self, bucket: str, settings_path: str) -> None:
        """Create the stack with a bucket that exists already."""
        request = _template_request(
            {"BucketName": bucket, "SettingsPath": settings_path, "WithHost": "false"}
        )
        request["TemplateBody"] = template_body("Bucket")  # an import may hold nothing else
        taken = {
            "ResourceType": "AWS::S3::Bucket",
            "LogicalResourceId": "Bucket",
            "ResourceIdentifier": {"BucketName": bucket},
        }
        plan = {"StackName": self.name, "ChangeSetName": "take-over"}
        self.cloud.create_change_set(**plan, **request, ChangeSetType="IMPORT", ResourcesToImport=[taken])
        try:
            self._wait("change_set_create_complete", **plan)
        except WaiterError as error:
            reason = error.last_response.get("StatusReason", str(error))
            raise CannotDo(f"CloudFormation cannot take {bucket} over: {reason}") from None
        self._run_change("execute_change_set", "stack_import_complete", ChangeSetName="take-over")

    def delete(self) -> None:
        self._run_change("delete_stack", "stack_delete_complete")

    def _run_change(self, change: str, until: str, **request: Any) -> None:
        """Begin a change, and wait for its end."""
        getattr(self.cloud, change)(StackName=self.name, ClientRequestToken=f"change-{uuid4()}", **request)
        try:
            self._wait(until, StackName=self.name)
        except WaiterError:
            raise NotDone(self._events("_FAILED")) from None

    def _wait(self, until: str, **arguments: str) -> None:
        self.cloud.get_waiter(until).wait(**arguments, WaiterConfig=EVERY_5_S)

    def _print_completed(self) -> None:
        for event in self._events("_COMPLETE"):
            print(f"  {event['ResourceStatus']} {event['LogicalResourceId']} ({event['ResourceType']})")

    def _events(self, kind: str) -> list[dict[str, Any]]:
        """The events of the last change, oldest first."""
        pages = self.cloud.get_paginator("describe_stack_events").paginate(StackName=self.name)
        newest = chain.from_iterable(page["StackEvents"] for page in pages)
        _, last = next(groupby(newest, lambda event: event.get("ClientRequestToken")))
        return [event for event in reversed(list(last)) if event["ResourceStatus"].endswith(kind)]


def _template_request(settings: dict[str, str], current: Collection[str] = ()) -> dict[str, Any]:
    """The template with its parameters; a parameter in `kept` that has no new setting keeps its value."""
    named = [{"ParameterKey": name, "ParameterValue": value} for name, value in settings.items()]
    stay = sorted(set(current) & parameter_names() - settings.keys())
    return {
        "TemplateBody": template_body(),
        "Parameters": named + [{"ParameterKey": name, "UsePreviousValue": True} for name in stay],
        "Capabilities": ["CAPABILITY_IAM"],
    }


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms, `!Ref Bucket`, as the long ones, `{"Ref": "Bucket"}`."""


def _long_form(loader: yaml.SafeLoader, function: str, node: yaml.Node) -> dict[str, Any]:
    name = function if function in ("Ref", "Condition") else f"Fn::{function}"
    if isinstance(node, yaml.ScalarNode):
        text = loader.construct_scalar(node)
        return {name: str(text).split(".", 1) if function == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    raise TypeError(f"!{function} of a mapping: write it out in {TEMPLATE.name}")


_Template.add_multi_constructor("!", _long_form)


def template_body(*only: str) -> str:
    """The template, or only these resources of it, as JSON: CloudFormation takes 51,200 bytes at most."""
    template = yaml.load(TEMPLATE.read_text(), Loader=_Template)  # noqa: S506 - a safe loader
    if only:
        template["Resources"] = {name: template["Resources"][name] for name in only}
        del template["Outputs"]
    return json.dumps(template, separators=(",", ":"))


def guarding(resources: Collection[str]) -> str:
    """The stack policy under which a change may do everything but replace or delete these resources."""
    ending = ["Update:Replace", "Update:Delete"]
    ids = [f"LogicalResourceId/{name}" for name in sorted(resources)]
    statements = [
        {"Effect": "Allow", "Principal": "*", "Action": "Update:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": ending, "Resource": ids},
    ]
    return json.dumps({"Statement": statements})


# The commands


def deploy(stack: Stack, args: argparse.Namespace) -> None:
    """Create the stack, or change it. A new host gets this version of the pipeline."""
    settings = dict(pair.split("=", 1) for pair in [*args.set, *args.more])
    known = parameter_names()
    if unknown := settings.keys() - known:
        raise CannotDo(
            f"the template has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}."
        )
    before = stack.describe()
    if before is None or before["StackStatus"] == "ROLLBACK_COMPLETE":  # a first try may have left its name
        stack.delete()
        before = None
    current = {
        entry["ParameterKey"]: entry["ParameterValue"] for entry in (before or {}).get("Parameters", [])
    }
    with_host = (current | settings).get("WithHost", "true") == "true"
    new_host = with_host and (args.replace_host or current.get("WithHost", "false") == "false")
    if with_host:
        settings = host_placement(current | settings, new_host) | settings
    if before is None:
        settings = {"SettingsPath": f"/twitter/{stack.name}"} | settings
        import_bucket(stack, settings)
        change(stack, settings, current, args.replace_host)
        release(stack)
    elif new_host:  # which looks for its release at its first boot
        former, _ = release(stack)
        try:
            change(stack, settings, current, args.replace_host)
        except CannotDo:
            name_release(stack, former)
            raise
    else:
        change(stack, settings, current, args.replace_host)
    print(f"The bucket is {stack.output('BucketName')}.")
    if new_host:
        print("The new host installs itself in five minutes. Its DAGs are paused: unpause them in the UI.")
    print(f"\n{next_steps(stack.name, with_host, new_host)}")


def next_steps(stack: str, with_host: bool, new_host: bool) -> str:
    """What to do after a deployment, as commands that can be pasted."""
    steps = {
        "make secrets FILE=.env": "X keys and Variables, into Parameter Store",
        "make connect": "the Airflow UI at http://localhost:8080",
        "make password": "its password",
    }
    if not with_host:
        steps = {"make deploy SET=WithHost=true": "add a host that runs Airflow"}
    elif not new_host:
        steps = {"make upgrade": "install this version on the host"} | steps
    place = "" if stack == "twitter" else f" STACK={stack}"
    width = max(map(len, steps)) + len(place)
    return "\n".join(f"{command + place:<{width}}  # {comment}" for command, comment in steps.items())


def host_placement(settings: dict[str, str], is_new: bool) -> dict[str, str]:
    """The network and the image of a host: as set, else the default network and the newest Debian."""
    placement = {}
    if is_new or not settings.get("ImageId"):
        placement["ImageId"] = boto3.client("ssm").get_parameter(Name=DEBIAN)["Parameter"]["Value"]
    if not (settings.get("VpcId") or settings.get("SubnetId")):
        placement |= default_network(boto3.client("ec2"), settings.get("InstanceType", "t3.medium"))
    return placement


def default_network(ec2: Any, instance_type: str) -> dict[str, str]:
    """The region's default network, and its first subnet that offers this instance type."""
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


def import_bucket(stack: Stack, settings: dict[str, str]) -> None:
    """Create the stack with the bucket of that name, if an earlier stack left it."""
    s3, name = boto3.client("s3"), settings.get("BucketName")
    if not name:
        return
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return
        raise  # somebody else's
    stack.import_bucket(name, settings["SettingsPath"])
    s3.delete_bucket_policy(Bucket=name)  # the stack puts its own, and refuses to meet one
    print(f"The bucket {name} was there already: it is taken over.")


def change(stack: Stack, settings: dict[str, str], current: dict[str, str], replace_host: bool) -> None:
    """Apply the template; parameters that have no new setting keep their values."""
    print(f"CloudFormation changes the stack {stack.name!r}: minutes, most of them for the host.", flush=True)
    if stack.describe() is None:
        return stack.create(settings)
    try:
        return stack.update(settings, current, replaceable={"Host"} if replace_host else ())
    except NotDone as undone:
        changed = [f"{name}={value}" for name, value in settings.items() if current.get(name) != value]
        cause = ", ".join(changed) or "the host in deploy/template.yaml is another than the one that runs"
        for name in sorted(undone.guarded):
            meaning, instead = GUARDED[name]
            raise CannotDo(f"{meaning} ({cause}). CloudFormation has left all as it was. {instead}") from None
        raise


def parameter_names() -> set[str]:
    """The names of the template's parameters."""
    template = {key.value: value for key, value in yaml.compose(TEMPLATE.read_text()).value}  # type: ignore[union-attr]
    return {name.value for name, _ in template["Parameters"].value}


def release(stack: Stack) -> tuple[str | None, str]:
    """Upload the committed version of this checkout, and name it to the host.

    Returns the former name and the new one, each `SHA-256 version`. They are in Parameter Store and not in
    the bucket: whoever may write to the bucket must not decide what the host runs.
    """
    if _git("status", "--porcelain", "--untracked-files=no"):
        print("Uncommitted changes are not sent.")
    bucket, archive = stack.output("BucketName"), _git("archive", "--format=tar.gz", "HEAD")
    version = _git("describe", "--always", "--tags").decode().strip()
    name = f"{hashlib.sha256(archive).hexdigest()} {version}"
    boto3.client("s3").put_object(Bucket=bucket, Key=release_key(name), Body=archive)
    former = named_release(stack)
    name_release(stack, name)
    print(f"Sent {version} to s3://{bucket}/{release_key(name)}.")
    return former, name


def release_key(name: str) -> str:
    """The key of the archive: each release has its own, so the former one stays until it is not needed."""
    return f"{RELEASES}{name.split()[0]}.tar.gz"


def release_parameter(stack: Stack) -> str:
    return f"{stack.parameter('SettingsPath')}/release"


def named_release(stack: Stack) -> str | None:
    """The name of the release that a boot installs."""
    ssm = boto3.client("ssm")
    try:
        return str(ssm.get_parameter(Name=release_parameter(stack))["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None


def name_release(stack: Stack, name: str | None) -> None:
    """Make boots install this release; None changes nothing."""
    if name:
        store, parameter = boto3.client("ssm"), release_parameter(stack)
        options = _put_options(store, stack, [parameter])[parameter]
        store.put_parameter(Name=parameter, Value=name, Type="String", **options)


def delete_former_releases(stack: Stack, name: str) -> None:
    """Delete every archive but this one, which the host has accepted; other objects stay."""
    s3, bucket = boto3.client("s3"), stack.output("BucketName")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RELEASES):
        for item in page.get("Contents", []):
            if ARCHIVE.fullmatch(item["Key"]) and item["Key"] != release_key(name):
                s3.delete_object(Bucket=bucket, Key=item["Key"])


def secrets(stack: Stack, args: argparse.Namespace) -> None:
    """Put the Connections and Variables of an env file into SSM Parameter Store.

    All are checked before one is written: a parameter that this stack did not create is not overwritten.
    """
    path, store = stack.parameter("SettingsPath"), boto3.client("ssm")
    settings = {f"{path}/{name}": value for name, value in _settings(args.file).items()}
    options = _put_options(store, stack, settings)
    for name, value in settings.items():
        kind = "SecureString" if name.startswith(f"{path}/connections/") else "String"
        store.put_parameter(Name=name, Value=value, Type=kind, Tier="Intelligent-Tiering", **options[name])
        print(f"  {name}")


def _put_options(store: Any, stack: Stack, names: Collection[str]) -> dict[str, dict[str, Any]]:
    """The arguments that write each parameter: new with the stack's tag, or over one that has it.

    Raises CannotDo if another stack created one.
    """
    owners = {name: _owner(store, name) for name in names}
    if foreign := [name for name, owner in owners.items() if owner not in (None, stack.name)]:
        raise CannotDo(
            f"the stack {stack.name!r} did not create {', '.join(foreign)} (tag {OWNER}: "
            f"{owners[foreign[0]] or 'none'}). Nothing was written. Give the stack a path of its own, for "
            f"example SettingsPath=/twitter/{stack.name}. If the parameter is this stack's, tag it: aws ssm "
            f"add-tags-to-resource --resource-type Parameter --resource-id {foreign[0]} "
            f"--tags Key={OWNER},Value={stack.name}"
        )
    new = {"Tags": [{"Key": OWNER, "Value": stack.name}]}  # AWS takes tags with a new parameter alone
    return {name: {"Overwrite": True} if owner else new for name, owner in owners.items()}


def _owner(store: Any, name: str) -> str | None:
    """The stack that created a parameter, "" if it has no tag; None if there is no parameter."""
    try:
        store.get_parameter(Name=name)
    except store.exceptions.ParameterNotFound:
        return None
    tags = store.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return next((tag["Value"] for tag in tags if tag["Key"] == OWNER), "")


def _settings(file: Path) -> dict[str, str]:
    """The settings of an env file, by the names under which Airflow reads them from Parameter Store."""
    if not file.exists():
        raise CannotDo(f"there is no file {file}. .env.example shows what it may hold.")
    values = {}
    for name, value in dotenv_values(file, interpolate=False).items():
        kind = next((kind for prefix, kind in KINDS.items() if name.startswith(prefix)), None)
        if kind is None or name == "AIRFLOW_VAR_TWITTER_BUCKET":  # the host knows its own
            continue
        if not value:
            raise CannotDo(f"{file}: {name} is empty. Give it a value, or take the line out.")
        values[f"{kind}/{name.split('_', 2)[2].lower()}"] = value
    if not values:
        raise CannotDo(f"{file} has no AIRFLOW_CONN_… and no AIRFLOW_VAR_… line; .env.example shows some.")
    return values


def upgrade(stack: Stack, args: argparse.Namespace) -> None:
    """Send this version to the host, install it, and wait until its services are healthy.

    The former archive stays until then. If the host returns to the former release, so does the name that its
    next boot, or a new host, installs.
    """
    host = stack.output("HostId")
    former, new = release(stack)
    try:
        install(boto3.client("ssm"), host, new)
    except NotInstalled:
        name_release(stack, former)
        raise
    delete_former_releases(stack, new)
    print("Installed; Airflow is healthy.")


def install_command(name: str) -> str:
    """The shell commands that install the release of this name."""
    return INSTALL.replace("HASH", name[:12])


def install(ssm: Any, host: str, name: str, seconds: float = 5) -> None:
    """Make the host install the release of this name; poll its state every so many seconds."""
    document = {"DocumentName": "AWS-RunShellScript", "Parameters": {"commands": [install_command(name)]}}
    sent = ssm.send_command(InstanceIds=[host], **document)["Command"]["CommandId"]
    polling = Retrying(
        retry=retry_if_exception_type(ssm.exceptions.InvocationDoesNotExist)  # not yet
        | retry_if_result(
            lambda result: result["Status"] in ("Pending", "InProgress", "Delayed", "Cancelling")
        ),
        wait=wait_fixed(seconds),
        stop=stop_after_delay(1800),
    )
    try:
        result = polling(ssm.get_command_invocation, CommandId=sent, InstanceId=host)
    except RetryError:
        raise CannotDo(
            "the host did not finish in half an hour: read `journalctl -u twitter-release` there."
        ) from None
    if result["Status"] != "Success":
        # A cancelled or timed-out command may still be running on the host.
        raise (NotInstalled if result["Status"] == "Failed" else CannotDo)(
            f"the host did not install it ({result['Status']}); the last line says what runs now:\n"
            f"{result['StandardOutputContent']}{result['StandardErrorContent']}"
        )


def connect(stack: Stack, args: argparse.Namespace) -> None:
    """Forward the host's Airflow UI to this machine, until Ctrl-C."""
    stack.output("HostId")
    ports = f"portNumber=8080,localPortNumber={args.port}"
    scheme = "https" if stack.parameter("AdminCidr") else "http"
    print(f"Airflow: {scheme}://localhost:{args.port}, user admin, `make password`. Ctrl-C ends it.")
    _session(stack, "AWS-StartPortForwardingSession", ports)


def password(stack: Stack, args: argparse.Namespace) -> None:
    """Show the password of the UI's user admin."""
    _session(stack, "AWS-StartInteractiveCommand", 'command=["sudo cat /etc/twitter/admin-password"]')


def _session(stack: Stack, document: str, parameters: str) -> None:
    host = stack.output("HostId")
    command = ["aws", "ssm", "start-session", "--target", host, "--document-name", document]
    try:
        subprocess.run([*command, "--parameters", parameters], check=True)
    except FileNotFoundError:
        raise CannotDo("this needs the AWS CLI and its Session Manager plugin.") from None
    except subprocess.CalledProcessError as error:
        raise CannotDo(f"the session ended with exit code {error.returncode}; see above.") from None
    except KeyboardInterrupt:
        pass


def teardown(stack: Stack, args: argparse.Namespace) -> None:
    """Delete the host, the role and the tables; the bucket and the landed days stay."""
    path, ssm = stack.parameter("SettingsPath"), boto3.client("ssm")
    if not args.yes and input(f"Type {stack.name} to delete this stack: ").strip() != stack.name:
        raise CannotDo("nothing was deleted.")
    if _owner(ssm, release_parameter(stack)) == stack.name:
        ssm.delete_parameter(Name=release_parameter(stack))
    print(f"CloudFormation deletes the stack {stack.name!r}: some minutes.", flush=True)
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
    to_deploy.add_argument(
        "--set",
        dest="more",
        default=[],
        type=_pairs,
        metavar="TEXT",
        help="several, quoted as in a shell",
    )
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


def _pairs(text: str) -> list[str]:
    try:
        return [_pair(word) for word in shlex.split(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be split: {error}.") from None


def main() -> int:
    args = _parser().parse_args()
    try:
        args.command(Stack(args.stack), args)
    except CannotDo as error:
        _print_error(str(error))
        return 1
    except (BotoCoreError, ClientError) as error:
        _print_error(f"AWS says: {error}")
        return 1
    return 0


def _print_error(text: str) -> None:
    """Print text that may quote the host's log. A terminal breaks it between words; a pipe gets one line."""
    errors = Console(stderr=True, highlight=False)
    errors.print(Text(safe_lines(text), "red"), soft_wrap=not errors.is_terminal)


if __name__ == "__main__":
    sys.exit(main())
