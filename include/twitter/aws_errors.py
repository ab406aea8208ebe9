"""AWS's error codes in words: what AWS refused, where, and what a person has to do.

It knows codes and messages alone, no client: `lake` gives it what botocore raises.
"""

from __future__ import annotations

import re
from shlex import quote
from typing import NamedTuple

from include.twitter.errors import (
    AwsRefused,
    BadCredentials,
    BadSetting,
    NoPermission,
    PipelineError,
    PlatformOutage,
)

NOT_IMPLEMENTED = 501
MAX_MESSAGE_LENGTH = 500
"""Characters of AWS's message that are repeated."""
TRANSIENT = {
    "BadDigest",
    "ExpiredToken",
    "IncompleteBody",
    "InternalError",
    "KMS.DependencyTimeoutException",
    "KMS.KMSInternalException",
    "KMS.KeyUnavailableException",
    "KMS.ThrottlingException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "TemporaryRedirect",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
"""AWS cannot do it now, or bytes changed on their way; a role's expired credentials are replaced."""
DENIALS = {"AccessDenied", "AccessDeniedException", "Forbidden", "403"}
CREDENTIALS = {
    "AuthFailure": "AWS does not accept the access key",
    "ExpiredTokenException": "the session of the credentials has expired",
    "IncompleteSignature": "the credentials are incomplete",
    "InvalidAccessKeyId": "AWS does not know the access key",
    "InvalidClientTokenId": "AWS does not know the access key",
    "InvalidSecurity": "AWS does not accept the credentials",
    "InvalidToken": "the session token does not belong to the access key, or is malformed",
    "MissingAuthenticationToken": "the request was not signed",
    "MissingSecurityHeader": "the request was not signed",
    "SignatureDoesNotMatch": "the secret key is not that of the access key, or a proxy changed the request",
    "TokenRefreshRequired": "the session of the credentials has expired",
    "UnauthorizedException": "the session of the credentials has expired",
    "UnrecognizedClientException": "AWS does not know the access key",
}
USE_VALID = (
    "Put valid ones into Connection aws_default or the environment; where they come from AWS IAM Identity "
    "Center (SSO), run `aws sso login`. On EC2, remove them: then the instance role is used."
)
OTHER_BUCKET = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "IncorrectEndpoint",
    "InvalidBucketName",
    "MovedPermanently",
    "NoSuchBucket",
    "PermanentRedirect",
    "301",
}
"""There is no such bucket, or not in this region."""
SET_CLOCK = "Let the host synchronize its clock, for example: `timedatectl set-ntp true`."
ASK_OWNER = "Its owner has to end that in AWS's billing or account console."
ARCHIVED = (
    "the object is archived (S3 Glacier)",
    "Restore it, for example: `aws s3api restore-object --bucket {bucket} --key {key} --restore-request "
    "Days=7`. Then exclude the pipeline's prefixes from the lifecycle rule that moved it.",
)
REFUSALS = {
    "InvalidObjectState": ARCHIVED,
    "ObjectNotInActiveTierError": ARCHIVED,  # of the source of a copy
    "RequestTimeTooSkewed": ("the host's clock differs from AWS's by more than 15 minutes", SET_CLOCK),
    "RequestExpired": ("the host's clock differs from AWS's by more than 15 minutes", SET_CLOCK),
    "AccountProblem": ("the AWS account has a problem", ASK_OWNER),
    "AllAccessDisabled": ("AWS has disabled all access to the bucket", ASK_OWNER),
    "NotSignedUp": ("the AWS account is not signed up for the service", ASK_OWNER),
    "OptInRequired": ("the AWS account is not signed up for the service or the region", ASK_OWNER),
    "PendingVerification": ("AWS verifies the account", ASK_OWNER),
    "KMS.DisabledException": (
        "the KMS key of the bucket is disabled",
        "Enable it, for example: `aws kms enable-key --key-id ID`.",
    ),
    "KMS.KMSInvalidStateException": (
        "the KMS key of the bucket cannot be used: it is disabled or about to be deleted",
        "Keep it, for example: `aws kms cancel-key-deletion --key-id ID`, then `aws kms enable-key --key-id "
        "ID`.",
    ),
    "KMS.NotFoundException": (
        "the KMS key of the bucket does not exist",
        "Give the bucket another default key. What the missing one has encrypted is lost.",
    ),
    "KMS.InvalidKeyUsageException": (
        "the KMS key of the bucket is not for encryption",
        "Give the bucket a symmetric key as its default.",
    ),
}
"""What AWS refuses until a person acts, with what that person does."""

NOT_AUTHORIZED = re.compile(r"not authorized to perform: ([\w-]+:[\w*]+)(?: on resource: \"?([^\s\"]+))?")
ACTIONS = {
    "CopyObject": "s3:GetObject or s3:PutObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "PutObject": "s3:PutObject",
}
"""What a call needs, where AWS's message names no action."""


class Policy(NamedTuple):
    """A kind of policy that may deny; AWS's message names it."""

    pattern: re.Pattern[str]
    name: str
    owner: str
    """Who can change it, where it is not changed with the pipeline's own stack."""


POLICIES = (
    Policy(re.compile("service control polic"), "a service control policy (SCP)", "the AWS organization"),
    Policy(re.compile("resource control polic"), "a resource control policy (RCP)", "the AWS organization"),
    Policy(re.compile("VPC endpoint polic"), "the policy of a VPC endpoint", "the VPC"),
    Policy(re.compile("permissions? boundar"), "the permissions boundary of the role", "IAM"),
    Policy(re.compile("session polic"), "the policy of the session", "the session"),
    Policy(re.compile("resource-based polic"), "the bucket's policy", "the bucket"),
    Policy(re.compile("identity-based polic"), "a policy of the role", ""),
)


class Call(NamedTuple):
    """A call that AWS refused."""

    operation: str
    """As boto names it, like `PutObject`."""
    url: str
    """The object or prefix, `s3://…`."""
    bucket: str
    key: str


def explained(code: str, message: str, status: int, call: Call) -> PipelineError | None:
    """The error of the pipeline for an error code of AWS; None for one that it does not know."""
    message = message[:MAX_MESSAGE_LENGTH]
    reason = f"{code}: {message}"
    if code in DENIALS:
        return NoPermission(_denied(message, call))
    if code in TRANSIENT:
        return PlatformOutage(f"AWS cannot do {call.operation} on {call.url} now ({reason}).")
    if code in CREDENTIALS or (code == "AuthorizationHeaderMalformed" and "region" not in message):
        problem = CREDENTIALS.get(code, "the credentials are malformed")
        return BadCredentials(
            f"AWS refuses {call.operation} on {call.url}: {problem} ({reason}). {USE_VALID}"
        )
    if code in OTHER_BUCKET:
        return other_bucket(call.bucket, reason)
    if refusal := REFUSALS.get(code):
        problem, remedy = refusal
        remedy = remedy.format(bucket=call.bucket, key=quote(call.key))
        return AwsRefused(f"AWS refuses {call.operation} on {call.url}: {problem} ({reason}). {remedy}")
    if code.startswith("KMS."):
        return AwsRefused(
            f"AWS refuses {call.operation} on {call.url}: its KMS key cannot be used ({reason})."
        )
    if status >= 500 and status != NOT_IMPLEMENTED:
        return PlatformOutage(f"AWS cannot do {call.operation} on {call.url} now ({reason}).")
    return None


def other_bucket(bucket: str, reason: str) -> BadSetting:
    """The bucket has another name, or is in another region."""
    return BadSetting(
        "Variable twitter_bucket",
        f"{bucket!r} is no bucket of this region ({reason}). Name another, or set the region of Connection "
        "aws_default to the bucket's",
        "acme-twitter-lake, in the region of the instance",
    )


def _denied(message: str, call: Call) -> str:
    """What AWS denies and by which policy, as its message says."""
    match = NOT_AUTHORIZED.search(message)
    action = match[1] if match else ACTIONS.get(call.operation, call.operation)
    text = f"AWS denies {action} on {call.url}"
    if match and action.startswith("kms:") and match[2]:
        text += f" (key {match[2]})"
    policy = next((policy for policy in POLICIES if policy.pattern.search(message)), None)
    text += f". {_policy_remedy(action, policy, is_explicit='explicit' in message)}"
    if call.operation == "GetObject" and action == "s3:ListBucket":
        text += " The object does not exist: S3 says so only to who has s3:ListBucket, and denies others."
    elif call.operation == "GetObject" and not match:
        text += " Or the object does not exist, and the role has no s3:ListBucket: S3 denies then too."
    return f"{text} AWS says: {message or 'nothing more'}"


def _policy_remedy(action: str, policy: Policy | None, *, is_explicit: bool) -> str:
    name, owner = (policy.name, policy.owner) if policy else ("", "")
    if action.startswith("kms:") and name == "the bucket's policy":
        name, owner = "the KMS key's policy", "the KMS key"
    if is_explicit and name:
        return f"It is an explicit deny in {name}: ask who administers {owner or 'the role'} to change it."
    if owner:
        return f"It has to be allowed by {name}: ask who administers {owner}."
    hint = (
        ""
        if action.startswith("kms:")
        else " If it is not the bucket you want, correct Variable twitter_bucket."
    )
    also = ", and let the key's policy allow the role" if action.startswith("kms:") else ""
    return f"Grant {action} to the instance role{also}.{hint}"
