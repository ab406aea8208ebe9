"""What cannot run here of deploy/template.yaml, asserted as configuration: EC2, schedules, lifecycle."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from deploy.__main__ import DEBIAN, TEMPLATE, template_body
from include.twitter import layout
from include.twitter.day import Day
from local import aws
from local.environment import PROJECT

SHELL_SECONDS = 30


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return yaml.load(TEMPLATE.read_text(), Loader=aws.Intrinsics)  # noqa: S506 - a safe loader


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    return template["Resources"]


def accepts(template: dict[str, Any], parameter: str, value: str) -> bool:
    return bool(re.fullmatch(template["Parameters"][parameter]["AllowedPattern"], value))


# The bucket


def test_the_bucket_outlives_its_stack(resources) -> None:
    for name in ("Bucket", "BucketPolicy"):
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == "Retain"


def test_each_kind_of_object_lives_as_long_as_it_is_of_use(resources) -> None:
    rules = resources["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {rule.pop("Id"): rule for rule in [dict(rule) for rule in rules]} == {
        "staged-candidates-expire": {"Status": "Enabled", "Prefix": "staging/", "ExpirationInDays": 14},
        "raw-answers-tier-down": {
            "Status": "Enabled",
            "Prefix": "twitter_raw/",
            "Transitions": [{"StorageClass": "STANDARD_IA", "TransitionInDays": 30}],
            "ExpirationInDays": {"If": ["RawExpires", {"Ref": "RawDays"}, {"Ref": "AWS::NoValue"}]},
        },
        "task-logs-expire": {"Status": "Enabled", "Prefix": "airflow_logs/", "ExpirationInDays": 90},
        "replaced-versions-expire": {
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "ExpiredObjectDeleteMarker": True,
        },
        "abandoned-uploads-end": {
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
        },
    }


@pytest.mark.parametrize(
    ("days", "allowed"), [("0", True), ("31", True), ("400", True), ("1", False), ("30", False)]
)
def test_raw_answers_move_before_they_expire(template, days: str, allowed: bool) -> None:
    assert accepts(template, "RawDays", days) is allowed


# The role


def test_the_role_is_for_ec2_alone_and_names_no_action_by_wildcard(resources) -> None:
    role = resources["Role"]["Properties"]
    trust = role["AssumeRolePolicyDocument"]["Statement"]
    assert [one["Principal"] for one in trust] == [{"Service": "ec2.amazonaws.com"}]
    assert "ManagedPolicyArns" not in role
    statements = [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    actions = {action for one in statements for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])}  # fmt: skip  # noqa: E501
    assert not {action for action in actions if "*" in action or "Delete" in action} - {
        "ec2messages:DeleteMessage"
    }
    assert [one["Sid"] for one in statements if one["Resource"] == "*"] == ["BeManaged"]


# A key and access logs of the owner's


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("", True),
        ("arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        ("arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab", True),
        ("arn:aws:kms:eu-central-1:123456789012:alias/lake", False),  # a policy on an alias allows nothing
        ("1234abcd-12ab-34cd-56ef-1234567890ab", False),
    ],
)
def test_a_key_is_named_by_its_arn(template, key: str, allowed: bool) -> None:
    assert accepts(template, "KmsKeyArn", key) is allowed


KEY = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("key", "encryption"),
    [
        ("", {"SSEAlgorithm": "AES256", "KMSMasterKeyID": None}),
        (KEY, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}),
    ],
)
def test_the_bucket_is_encrypted_with_the_owners_key_if_one_is_named(key: str, encryption: dict) -> None:
    bucket = aws.read_template({"KmsKeyArn": key})["Bucket"]
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": True if key else None}


def test_the_role_may_use_the_key_only_where_one_is_named(resources) -> None:
    assert resources["RoleUsesTheKey"]["Condition"] == "KmsKeyIsNamed"
    [statement] = resources["RoleUsesTheKey"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert statement["Resource"] == {"Ref": "KmsKeyArn"}


def test_access_logs_go_to_the_bucket_that_is_named() -> None:
    assert aws.read_template({})["Bucket"]["LoggingConfiguration"] is None
    logged = aws.read_template({"AccessLogBucket": "acme-logs"})["Bucket"]["LoggingConfiguration"]
    assert logged == {"DestinationBucketName": "acme-logs", "LogFilePrefix": "local/"}


# Alarms


def test_a_host_that_fails_is_recovered_or_rebooted_and_somebody_is_mailed(template, resources) -> None:
    assert template["Parameters"]["AlarmEmail"]["Default"] == ""
    for name, metric, action in (
        ("HostIsUnreachable", "StatusCheckFailed_System", "recover"),
        ("HostHangs", "StatusCheckFailed_Instance", "reboot"),
    ):
        alarm = resources[name]["Properties"]
        assert resources[name]["Condition"] == "HostAlarmIsWanted"
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/EC2", metric)
        assert alarm["Dimensions"] == [{"Name": "InstanceId", "Value": {"Ref": "Host"}}]
        assert alarm["TreatMissingData"] == "notBreaching"
        does, mails = alarm["AlarmActions"]
        assert does["Sub"] == f"arn:${{AWS::Partition}}:automate:${{AWS::Region}}:ec2:{action}"
        assert mails == {"Ref": "Alarms"}


def test_no_receipt_in_thirty_hours_is_an_alarm_also_without_a_host(resources) -> None:
    metrics = aws.read_template({"AlarmEmail": "data@acme.example"})["Bucket"]["MetricsConfigurations"]
    assert metrics == [{"Id": "receipts", "Prefix": "twitter_receipts/"}]
    assert aws.read_template({})["Bucket"]["MetricsConfigurations"] is None
    assert layout.receipt(Day.parse("2026-11-18")).startswith(metrics[0]["Prefix"])
    alarm = resources["NoDayHasLanded"]["Properties"]
    assert resources["NoDayHasLanded"]["Condition"] == "AlarmIsWanted"
    assert (alarm["MetricName"], alarm["Statistic"]) == ("PutRequests", "Sum")
    assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {
        "BucketName": {"Ref": "Bucket"},
        "FilterId": "receipts",
    }
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 30 * 3600
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"


@pytest.mark.parametrize("name", ["AlarmEmail", "KmsKeyArn"])
def test_a_parameter_that_costs_money_is_off_and_says_its_price(template, name: str) -> None:
    parameter = template["Parameters"][name]
    assert parameter["Default"] == ""
    assert re.search(r"\$\d.* a month", parameter["Description"])


# The host


def test_the_host_demands_sessions_of_its_metadata_service_and_encrypts_its_disk(resources) -> None:
    data = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    assert data["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    disk = data["BlockDeviceMappings"][0]["Ebs"]
    assert (disk["Encrypted"], disk["VolumeType"]) == (True, "gp3")
    assert data["ImageId"] == {"Ref": "ImageId"}
    assert DEBIAN == "/aws/service/debian/release/13/latest/amd64"


def test_nothing_comes_in_unless_an_administrators_network_is_named(template, resources) -> None:
    assert "SecurityGroupIngress" not in resources["SecurityGroup"]["Properties"]
    doors = {
        name: made for name, made in resources.items() if made["Type"] == "AWS::EC2::SecurityGroupIngress"
    }
    assert {made["Properties"]["FromPort"] for made in doors.values()} == {22, 8080}
    for made in doors.values():
        assert made["Condition"] == "AdminMayEnter"
        assert made["Properties"]["CidrIp"] == {"Ref": "AdminCidr"}
        assert made["Properties"]["FromPort"] == made["Properties"]["ToPort"]
    assert template["Parameters"]["AdminCidr"]["Default"] == ""


@pytest.mark.parametrize("network", ["", "10.20.0.0/16", "10.0.0.0/8", "203.0.113.7/32"])
def test_an_administrators_network_is_a_network(template, network: str) -> None:
    assert accepts(template, "AdminCidr", network)


@pytest.mark.parametrize(
    "network",
    ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/7", "10.0.0.0", "10.0.0.0/33", "::/0", "0.0.0.0/00"],
)
def test_the_whole_internet_is_no_administrators_network(template, network: str) -> None:
    assert not accepts(template, "AdminCidr", network)


def test_only_the_web_goes_out(resources) -> None:
    rules = resources["SecurityGroup"]["Properties"]["SecurityGroupEgress"]
    assert [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in rules] == [
        ("tcp", 443, 443),
        ("tcp", 80, 80),
    ]


# Its first boot


def user_data(template: dict[str, Any], **parameters: str) -> str:
    """The script that the host gets."""
    refs = {
        "Bucket": "acme-lake",
        "AWS::Region": "eu-central-1",
        "SettingsPath": "/twitter/acme",
        **parameters,
    }
    pieces = template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]
    text = ""
    for piece in pieces["Fn::Base64"]["Join"][1]:
        match piece:
            case {"Sub": source}:
                text += re.sub(r"\$\{([^}]+)}", lambda match: refs[match[1]], source)
            case {"If": [_, named, unnamed]}:
                text += named if parameters.get("AdminCidr") else unnamed
            case str():
                text += piece
    return text


@pytest.mark.parametrize("admin", ["", "10.0.0.0/8"])
def test_the_user_data_is_a_short_script(template, tmp_path, admin: str) -> None:
    script = tmp_path / "user-data"
    script.write_text(user_data(template, AdminCidr=admin))
    assert script.stat().st_size < 4_000
    assert script.read_text().startswith("#!/bin/bash\n")
    assert subprocess.run(["bash", "-n", script], timeout=SHELL_SECONDS, check=False).returncode == 0


def test_the_user_data_tells_the_host_where_it_is(template) -> None:
    before = user_data(template).split("END\n")[0].split("<<'END'\n")[1]
    assert before.splitlines() == [
        "AWS_DEFAULT_REGION=eu-central-1",
        "AIRFLOW_VAR_TWITTER_BUCKET=acme-lake",
        "TWITTER_RELEASE=/twitter/acme/release",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER=s3://acme-lake/airflow_logs",
        'AIRFLOW__SECRETS__BACKEND_KWARGS={"connections_prefix":"/twitter/acme/connections",'
        '"variables_prefix":"/twitter/acme/variables","config_prefix":null}',
    ]


def test_the_ui_listens_on_loopback_unless_a_network_may_reach_it(template) -> None:
    assert "AIRFLOW__API__HOST=127.0.0.1 " in user_data(template)
    assert "AIRFLOW__API__HOST=0.0.0.0 " in user_data(template, AdminCidr="10.0.0.0/8")


# Starting and stopping, tables, size


def test_the_schedule_starts_and_stops_this_host_and_nothing_else(resources) -> None:
    statement = resources["SleepRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert [one["Action"] for one in statement] == [["ec2:StartInstances", "ec2:StopInstances"]]
    assert [one["Resource"]["Sub"].rpartition(":")[2] for one in statement] == ["instance/${Host}"]
    for name, action in (("Wake", "startInstances"), ("Sleep", "stopInstances")):
        assert resources[name]["Condition"] == "HostSleeps"
        assert resources[name]["Properties"]["Target"]["Arn"]["Sub"].endswith(f"aws-sdk:ec2:{action}")


def test_the_host_is_awake_while_a_day_settles_and_is_read(template) -> None:
    defaults = {name: template["Parameters"][name]["Default"] for name in ("StartAt", "StopAt")}
    assert defaults == {"StartAt": "cron(15 1 * * ? *)", "StopAt": "cron(15 4 * * ? *)"}


def test_the_template_fits_into_one_request() -> None:
    assert len(template_body().encode()) < 51_200


def test_the_template_is_sent_as_cloudformation_reads_it(tmp_path) -> None:
    sent = tmp_path / "template.json"
    sent.write_text(template_body())
    linter = PROJECT / ".local" / "tools" / "bin" / "cfn-lint"
    linted = subprocess.run([linter, sent], capture_output=True, text=True, timeout=600, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")
    assert list(json.loads(template_body("Bucket"))["Resources"]) == ["Bucket"]
