"""What an error of AWS means: by its code, which error of the pipeline it is and what a person has to do.

It knows codes and messages only; `object_store` passes on what botocore raises.
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
CREDENTIALS_REMEDY = (
    "Enter valid credentials in Connection aws_default or in the environment. If they come from AWS IAM "
    "Identity Center (SSO), run `aws sso login`. On EC2, remove them: the instance role is used then."
)
KMS_REMEDY = (
    "The bucket's KMS key has to exist, be enabled and be symmetric. Enable it, for example: `aws kms "
    "enable-key --key-id ID`, or set another default key. Objects encrypted with a deleted key are lost."
)
_ROWS = (
    (NoPermission, "", "AccessDenied AccessDeniedException Forbidden 403"),
    # AWS cannot do it now, or bytes changed on their way; a role's expired credentials are replaced.
    (
        PlatformOutage,
        "",
        "BadDigest ExpiredToken IncompleteBody InternalError KMS.DependencyTimeoutException "
        "KMS.KMSInternalException KMS.KeyUnavailableException KMS.ThrottlingException RequestLimitExceeded "
        "RequestTimeout ServiceUnavailable SlowDown TemporaryRedirect Throttling ThrottlingException "
        "TooManyRequests XAmzContentChecksumMismatch XAmzContentSHA256Mismatch",
    ),
    (
        BadCredentials,
        CREDENTIALS_REMEDY,
        "AuthFailure ExpiredTokenException IncompleteSignature InvalidAccessKeyId InvalidClientTokenId "
        "InvalidSecurity InvalidToken MissingAuthenticationToken MissingSecurityHeader SignatureDoesNotMatch "
        "TokenRefreshRequired UnauthorizedException UnrecognizedClientException",
    ),
    # The bucket does not exist, or not in this region.
    (
        BadSetting,
        "",
        "AuthorizationHeaderMalformed IllegalLocationConstraintException IncorrectEndpoint InvalidBucketName "
        "MovedPermanently NoSuchBucket PermanentRedirect 301",
    ),
    (
        AwsRefused,
        "The object is archived (S3 Glacier). Restore it, for example: `aws s3api restore-object --bucket "
        "{bucket} --key {key} --restore-request Days=7`. Then exclude the pipeline's prefixes from the "
        "lifecycle rule that archived it.",
        "InvalidObjectState ObjectNotInActiveTierError",  # the latter is of the source of a copy
    ),
    (
        AwsRefused,
        "Synchronize the host's clock, for example: `timedatectl set-ntp true`.",
        "RequestTimeTooSkewed RequestExpired",
    ),
    (
        AwsRefused,
        "The owner of the AWS account has to resolve this in AWS's billing or account console.",
        "AccountProblem AllAccessDisabled NotSignedUp OptInRequired PendingVerification",
    ),
)
MEANINGS: dict[str, tuple[type[PipelineError], str]] = {
    code: (kind, remedy) for kind, remedy, codes in _ROWS for code in codes.split()
}
"""The pipeline's error and the remedy by AWS's code; a remedy may refer to `{bucket}` and `{key}`."""

NOT_AUTHORIZED = re.compile(r"not authorized to perform: ([\w-]+:[\w*]+)(?: on resource: \"?([^\s\"]+))?")
ACTIONS = {
    "CopyObject": "s3:GetObject or s3:PutObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "PutObject": "s3:PutObject",
}
"""The permission of a call, where AWS's message names none."""
POLICIES = (
    ("service control polic", "A service control policy (SCP)", "the AWS organization"),
    ("resource control polic", "A resource control policy (RCP)", "the AWS organization"),
    ("VPC endpoint polic", "The policy of a VPC endpoint", "the VPC"),
    ("boundar", "The permissions boundary of the role", "IAM"),
    ("session polic", "The policy of the session", "the session"),
    ("resource-based polic", "The bucket's policy", "the bucket"),
    ("identity-based polic", "A policy of the role", ""),
)
"""Text in AWS's message, the policy that it means, and who administers it if not the role's owner."""


class Call(NamedTuple):
    """A call that AWS refused."""

    operation: str
    """botocore's name, such as `PutObject`."""
    url: str
    """The object or prefix, `s3://…`."""
    bucket: str
    key: str


def explained(code: str, message: str, status: int, call: Call) -> PipelineError | None:
    """The pipeline's error for an error code of AWS; None if the code is unknown."""
    message = message[:MAX_MESSAGE_LENGTH]
    reason = f"{code}: {message}".rstrip(". ")
    kind, remedy = MEANINGS.get(code, (None, ""))
    if code == "AuthorizationHeaderMalformed" and "region" not in message:
        kind, remedy = BadCredentials, CREDENTIALS_REMEDY
    if not kind and code.startswith("KMS."):
        kind, remedy = AwsRefused, KMS_REMEDY
    if not kind and status >= 500 and status != NOT_IMPLEMENTED:
        kind = PlatformOutage
    if kind is None:
        return None
    if kind is NoPermission:
        return NoPermission(_denied(message, call))
    if kind is BadSetting:
        return wrong_bucket(call.bucket, reason)
    if kind is PlatformOutage:
        return PlatformOutage(f"AWS cannot complete {call.operation} on {call.url} now ({reason}).")
    remedy = remedy.format(bucket=call.bucket, key=quote(call.key))
    return kind(f"AWS refused {call.operation} on {call.url} ({reason}). {remedy}")


def wrong_bucket(bucket: str, reason: str) -> BadSetting:
    """The error for a bucket that does not exist, or is in another region."""
    return BadSetting(
        "Variable twitter_bucket",
        f"there is no bucket {bucket!r} in this region ({reason}). Correct the name, or set the region of "
        "Connection aws_default to the region of the bucket",
        "acme-twitter-lake",
    )


def _denied(message: str, call: Call) -> str:
    """Which permission AWS denies, by which policy, and who can change that."""
    match = NOT_AUTHORIZED.search(message)
    action = match[1] if match else ACTIONS.get(call.operation, call.operation)
    is_kms = action.startswith("kms:")
    key = f" (key {match[2]})" if match and match[2] and is_kms else ""
    policies = ((name, owner) for text, name, owner in POLICIES if text in message)
    policy, owner = next(policies, ("", ""))
    if is_kms and owner == "the bucket":
        policy, owner = "The KMS key's policy", "the KMS key"
    if policy and "explicit" in message:
        remedy = (
            f"{policy} denies it explicitly: ask the administrator of {owner or 'the role'} to change it."
        )
    elif owner:
        remedy = f"{policy} does not allow it: ask the administrator of {owner} to change it."
    elif is_kms:
        remedy = f"Grant {action} to the instance role, and allow the role in the key's policy."
    else:
        remedy = (
            f"Grant {action} to the instance role. If the bucket is wrong, correct Variable twitter_bucket."
        )
    if call.operation == "GetObject" and action == "s3:ListBucket":
        remedy += " The object does not exist: S3 reports that only to a role with s3:ListBucket."
    elif call.operation == "GetObject" and not match:
        remedy += " The object may not exist: S3 also denies access then, to a role without s3:ListBucket."
    return f"AWS denied {action} on {call.url}{key}. {remedy} AWS's message: {message or 'none'}"
