"""AWS's error codes and messages, and who has to do what about them."""

import pytest

from include.twitter.aws_errors import Call, explained
from include.twitter.errors import AwsRefused, BadCredentials, BadSetting, NoPermission, PlatformOutage

URL = "s3://acme-twitter-lake/twitter/a.csv"
ROLE = "User: arn:aws:sts::111122223333:assumed-role/lake/i-0abc is not authorized to perform: "
KMS_KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234"


def error(code, message="", status=403, operation="PutObject", key="twitter/a.csv"):
    return explained(code, message, status, Call(operation, URL, "acme-twitter-lake", key))


def denied(action, why, operation="PutObject", resource="arn:aws:s3:::acme-twitter-lake/twitter/a.csv"):
    denial = error("AccessDenied", f"{ROLE}{action} on resource: {resource} {why}", operation=operation)
    assert isinstance(denial, NoPermission)
    assert f"AWS denied {action} on {URL}" in str(denial)
    return str(denial)


@pytest.mark.parametrize(
    ("operation", "action"), [("CopyObject", "s3:GetObjectTagging"), ("ListObjectsV2", "s3:ListBucket")]
)
def test_the_action_that_aws_names_has_to_be_granted(operation, action):
    text = denied(action, f"because no identity-based policy allows the {action} action", operation)
    assert f"Grant {action} to the instance role" in text


def test_a_denied_kms_key_is_named_with_its_policy():
    action = "kms:GenerateDataKey"
    text = denied(action, f"because no identity-based policy allows the {action} action", resource=KMS_KEY)
    assert KMS_KEY in text
    assert f"Grant {action} to the instance role, and allow the role in the key's policy" in text
    for why in (
        "with an explicit deny in a resource-based policy",
        "because the resource does not exist in this Region, no resource-based policies allow access, or a "
        "resource-based policy explicitly denies access",
    ):
        assert "The KMS key's policy" in denied("kms:Decrypt", why, resource=KMS_KEY)


@pytest.mark.parametrize(
    ("why", "policy"),
    [
        ("with an explicit deny in a resource-based policy", "The bucket's policy"),
        ("with an explicit deny in an identity-based policy", "A policy of the role"),
        ("with an explicit deny in a service control policy", "(SCP)"),
        ("because no resource control policy allows the s3:PutObject action", "(RCP)"),
        ("because no VPC endpoint policy allows the s3:PutObject action", "VPC endpoint"),
        ("because no permissions boundary allows the s3:PutObject action", "permissions boundary"),
        ("because no session policy allows the s3:PutObject action", "session"),
    ],
)
def test_a_policy_that_denies_is_named_with_its_administrator(why, policy):
    text = denied("s3:PutObject", why)
    assert policy in text
    assert "ask the administrator of" in text
    assert "Grant" not in text


def test_a_missing_object_may_look_like_a_denial():
    why = "because no identity-based policy allows the s3:ListBucket action"
    assert "The object does not exist" in denied("s3:ListBucket", why, "GetObject")
    assert "does not exist" not in denied("s3:ListBucket", why, "ListObjectsV2")
    bare = str(error("AccessDenied", "Access Denied", operation="GetObject"))
    assert "AWS denied s3:GetObject on" in bare
    assert "s3:ListBucket" in bare


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("SignatureDoesNotMatch", "", BadCredentials),
        ("AuthorizationHeaderMalformed", "a non-empty Access Key (AKID) must be provided", BadCredentials),
        ("AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong", BadSetting),
        ("PermanentRedirect", "", BadSetting),
        ("NoSuchBucket", "", BadSetting),
        ("InvalidObjectState", "", AwsRefused),
        ("RequestTimeTooSkewed", "", AwsRefused),
        ("AccountProblem", "", AwsRefused),
        ("KMS.DisabledException", f"{KMS_KEY} is disabled.", AwsRefused),
        ("KMS.SomethingNewException", "", AwsRefused),
    ],
)
def test_an_error_that_needs_a_person_repeats_aws_and_names_the_place(code, message, kind):
    explanation = error(code, message)
    assert type(explanation) is kind
    assert code in str(explanation)
    assert message.rstrip(".") in str(explanation)
    assert URL in str(explanation) or "'acme-twitter-lake'" in str(explanation)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("BadDigest", 400, PlatformOutage),
        ("SlowDown", 503, PlatformOutage),
        ("SomethingNew", 500, PlatformOutage),
        ("KMS.ThrottlingException", 400, PlatformOutage),
        ("SomethingNew", 400, type(None)),
        ("PreconditionFailed", 412, type(None)),
        ("NotImplemented", 501, type(None)),
    ],
)
def test_a_temporary_error_is_an_outage_and_an_unknown_one_is_none(code, status, kind):
    assert type(error(code, status=status)) is kind


def test_a_long_message_is_cut():
    assert len(str(error("AccessDenied", "x" * 100_000))) < 1_000


def test_a_command_of_a_remedy_quotes_the_key():
    assert "--key 'a b; rm *.json' --restore" in str(error("InvalidObjectState", key="a b; rm *.json"))
