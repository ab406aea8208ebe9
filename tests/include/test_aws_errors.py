"""AWS's error codes and messages, and who has to do what about them."""

import pytest

from include.twitter.aws_errors import Call, explained
from include.twitter.errors import AwsRefused, BadCredentials, BadSetting, NoPermission, PlatformOutage

URL = "s3://acme-twitter-lake/twitter/a.csv"
ROLE = "User: arn:aws:sts::111122223333:assumed-role/lake/i-0abc is not authorized to perform: "
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234"


def error(code, message="", status=403, operation="PutObject"):
    return explained(code, message, status, Call(operation, URL, "acme-twitter-lake", "twitter/a.csv"))


def denied(action, why, operation="PutObject", resource="arn:aws:s3:::acme-twitter-lake/twitter/a.csv"):
    found = error("AccessDenied", f"{ROLE}{action} on resource: {resource} {why}", operation=operation)
    assert isinstance(found, NoPermission)
    assert URL in str(found)
    return str(found)


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("CopyObject", "s3:GetObjectTagging"),
        ("CopyObject", "s3:PutObject"),
        ("ListObjectsV2", "s3:ListBucket"),
        ("PutObject", "s3:PutObject"),
    ],
)
def test_the_action_that_aws_names_is_to_be_granted(operation, action):
    text = denied(action, f"because no identity-based policy allows the {action} action", operation)
    assert f"AWS denies {action} on" in text
    assert f"Grant {action} to the instance role" in text
    assert operation not in text or operation in action


def test_a_bucket_with_a_key_names_the_key():
    action = "kms:GenerateDataKey"
    text = denied(action, f"because no identity-based policy allows the {action} action", resource=KEY)
    assert KEY in text
    assert f"Grant {action} to the instance role, and let the key's policy allow the role" in text
    denial = "with an explicit deny in a resource-based policy"
    assert "the KMS key's policy" in denied(action, denial, resource=KEY)
    assert "the KMS key's policy" in denied(
        "kms:Decrypt",
        "because the resource does not exist in this Region, no resource-based policies allow access, or a "
        "resource-based policy explicitly denies access",
        resource=KEY,
    )


@pytest.mark.parametrize(
    ("why", "policy"),
    [
        ("with an explicit deny in a resource-based policy", "the bucket's policy"),
        ("with an explicit deny in an identity-based policy", "a policy of the role"),
        ("with an explicit deny in a service control policy", "(SCP)"),
        ("because no service control policy allows the s3:PutObject action", "(SCP)"),
        ("with an explicit deny in a resource control policy", "(RCP)"),
        ("with an explicit deny in a VPC endpoint policy", "VPC endpoint"),
        ("because no VPC endpoint policy allows the s3:PutObject action", "VPC endpoint"),
        ("because no permissions boundary allows the s3:PutObject action", "permissions boundary"),
        ("because no session policy allows the s3:PutObject action", "session"),
    ],
)
def test_another_policy_than_the_missing_grant_is_named_with_who_can_change_it(why, policy):
    text = denied("s3:PutObject", why)
    assert policy in text
    assert "ask who administers" in text
    assert "Grant" not in text


def test_reading_what_does_not_exist_without_the_right_to_list_is_told_apart():
    why = "because no identity-based policy allows the s3:ListBucket action"
    assert "The object does not exist" in denied("s3:ListBucket", why, "GetObject")
    assert "does not exist" not in denied("s3:ListBucket", why, "ListObjectsV2")
    bare = str(error("AccessDenied", "Access Denied", operation="GetObject"))
    assert "AWS denies s3:GetObject on" in bare
    assert "s3:ListBucket" in bare
    assert "AWS denies s3:PutObject on" in str(error("AccessDenied", "Access Denied"))


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("InvalidAccessKeyId", "", BadCredentials),
        ("SignatureDoesNotMatch", "", BadCredentials),
        ("InvalidToken", "", BadCredentials),
        ("UnrecognizedClientException", "", BadCredentials),
        ("AuthorizationHeaderMalformed", "a non-empty Access Key (AKID) must be provided", BadCredentials),
        (
            "AuthorizationHeaderMalformed",
            "the region 'us-east-1' is wrong; expecting 'eu-west-1'",
            BadSetting,
        ),
        ("PermanentRedirect", "", BadSetting),
        ("NoSuchBucket", "", BadSetting),
        ("InvalidBucketName", "", BadSetting),
        ("InvalidObjectState", "", AwsRefused),
        ("ObjectNotInActiveTierError", "", AwsRefused),
        ("RequestTimeTooSkewed", "", AwsRefused),
        ("AccountProblem", "", AwsRefused),
        ("NotSignedUp", "", AwsRefused),
        ("KMS.DisabledException", f"{KEY} is disabled.", AwsRefused),
        ("KMS.KMSInvalidStateException", f"{KEY} is pending deletion.", AwsRefused),
        ("KMS.SomethingNewException", "", AwsRefused),
    ],
)
def test_what_a_person_has_to_do_needs_a_person(code, message, kind):
    found = error(code, message)
    assert type(found) is kind
    assert code in str(found)
    assert message in str(found)
    assert URL in str(found) or "'acme-twitter-lake'" in str(found)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("BadDigest", 400),
        ("XAmzContentSHA256Mismatch", 400),
        ("IncompleteBody", 400),
        ("SlowDown", 503),
        ("SomethingNew", 500),
        ("KMS.ThrottlingException", 400),
        ("KMS.KMSInternalException", 500),
    ],
)
def test_what_passes_is_tried_again(code, status):
    assert type(error(code, status=status)) is PlatformOutage


@pytest.mark.parametrize(
    ("code", "status"), [("SomethingNew", 400), ("PreconditionFailed", 412), ("NotImplemented", 501)]
)
def test_what_is_not_known_is_no_error_of_the_pipeline(code, status):
    assert error(code, status=status) is None


def test_a_message_of_any_length_is_cut():
    assert len(str(error("AccessDenied", "x" * 100_000))) < 1_000


def test_the_command_that_restores_an_archived_object_quotes_its_key():
    call = Call("GetObject", URL, "acme-twitter-lake", "a b; rm *.json")
    assert "--key 'a b; rm *.json' --restore" in str(explained("InvalidObjectState", "", 403, call))
