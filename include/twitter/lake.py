"""The pipeline's bucket: the only importer of S3Hook.

No key: S3Hook falls through to the instance role where there is no connection `aws_default`, or an empty one.
No ACL: a bucket with ACLs disabled refuses a request that carries one.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import IO, Any, NamedTuple, TypeVar
from uuid import uuid4

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    InvalidConfigError,
    InvalidDefaultsMode,
    InvalidRegionError,
    InvalidRetryConfigurationError,
    InvalidS3AddressingStyleError,
    LoginError,
    MetadataRetrievalError,
    MissingDependencyException,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
    UnknownRegionError,
)
from botocore.parsers import ResponseParserError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from include.twitter import settings
from include.twitter.answer import Answer
from include.twitter.aws_errors import USE_VALID, Call, explained, other_bucket
from include.twitter.day import PROBE
from include.twitter.errors import (
    BadCredentials,
    BadSetting,
    BadStore,
    Busy,
    DamagedObject,
    NoCredentials,
    NothingStaged,
    PlatformOutage,
)
from include.twitter.records import Record, StoreProbe, decoded, encoded

log = logging.getLogger(__name__)

# What they tell of each connection stands between the lines of the stage.
for chatty in ("airflow.providers.amazon.aws", "botocore"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

SIDE_BY_SIDE = 16
"""Objects read at once, and at most so many ahead of who uses them."""
TAKEN = {"PreconditionFailed", "412"}
"""How S3 says that the condition of a write does not hold."""
CONFLICTS = {"ConditionalRequestConflict", "OperationAborted", "409"}
"""How S3 says that another write of the key is under way; it may be an earlier try of the same one."""
UNKNOWN_CONDITION = {"NotImplemented", "InvalidArgument", "InvalidRequest"}
"""How a store says that it knows no conditional writes."""
TRIES = 8
"""Of what others may disturb, with random pauses between: some five seconds together."""
UNREACHABLE = (
    ConnectionError,
    FlexibleChecksumError,  # bytes changed on their way
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
    ResponseParserError,
)
OF_THE_PLATFORM = {"iam-role", "container-role"}
"""Whose credentials are away only while the platform is."""
UNUSABLE_CREDENTIALS = (
    LoginError,
    NoAuthTokenError,
    PartialCredentialsError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)
BAD_CONFIGURATION = (
    ConfigNotFound,
    ConfigParseError,
    InvalidConfigError,
    InvalidDefaultsMode,
    InvalidRegionError,
    InvalidRetryConfigurationError,
    InvalidS3AddressingStyleError,
    MissingDependencyException,
    NoRegionError,
    ProfileNotFound,
    UnknownRegionError,
)

# The instance's metadata may be slow: botocore would ask for the role's credentials once, for one second.
os.environ.setdefault("AWS_METADATA_SERVICE_TIMEOUT", "5")
os.environ.setdefault("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "4")

MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".gz": "application/gzip",
}


Each = TypeVar("Each")
Parsed = TypeVar("Parsed")
NAMED = 5
"""So many strays are named in a warning."""
LONGEST_PROBLEM = 200
"""Characters of what a parser says about an object."""


def retried(when: Callable[[BaseException], bool]) -> Retrying:
    """Calls again what others may disturb, after a pause, where it failed so; in the end that is raised."""
    return Retrying(
        retry=retry_if_exception(when),
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    )


def is_busy(error: BaseException) -> bool:
    return isinstance(error, Busy)


def _is_conflict(error: BaseException) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in CONFLICTS


class Object(NamedTuple):
    data: bytes
    tag: str


def deployed() -> Lake:
    """The lake that the deployment's settings name."""
    return Lake(settings.bucket(), settings.aws_connection())


class Lake:
    """Whole objects in one bucket, by key; `aws_conn_id` None means the instance role."""

    def __init__(self, bucket: str, aws_conn_id: str | None) -> None:
        self.bucket = bucket
        self.strays: set[str] = set()
        self._hook = S3Hook(aws_conn_id=aws_conn_id, config=Config(max_pool_connections=SIDE_BY_SIDE))

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    @property
    def endpoint(self) -> str:
        """The address of the object store."""
        with self._explained(""):
            return self._hook.get_conn().meta.endpoint_url

    def keys(self, prefix: str) -> list[str]:
        """Every key below a prefix, sorted."""
        return sorted(self.tags(prefix))

    def parsed(self, keys: Iterable[str], parse: Callable[[str], Parsed | None]) -> dict[str, Parsed]:
        """What each key is of. Keys that `parse` does not know are skipped, and reported once."""
        found = {key: parse(key) for key in keys}
        strays = sorted({key for key, value in found.items() if value is None} - self.strays)
        if strays:
            self.strays.update(strays)
            log.warning(
                "%d objects were not written by this pipeline and are skipped: %s%s. Delete them, or move "
                "them to another bucket.",
                len(strays),
                ", ".join(repr(self.url(key)) for key in strays[:NAMED]),
                f" and {len(strays) - NAMED} more" if len(strays) > NAMED else "",
            )
        return {key: value for key, value in found.items() if value is not None}

    def tags(self, prefix: str) -> dict[str, str]:
        """The tag of every object below a prefix, by key: it tells whether one has changed."""
        with self._explained(prefix):
            listed = self._hook.iter_file_metadata(prefix, self.bucket)
            return {item["Key"]: item["ETag"] for item in listed}

    def tag(self, key: str) -> str | None:
        """The tag of one object; None where there is no such object."""
        return self.tags(key).get(key)

    def read(self, key: str) -> bytes | None:
        """An object's bytes; None where there is no such object."""
        found = self.look(key)
        return found.data if found else None

    def record(self, key: str, kind: type[Record]) -> Record | None:
        """The record at this key; None where there is no such object, DamagedObject where it is none."""
        data = self.read(key)
        return None if data is None else self.decoded(key, data, kind)

    def decoded(self, key: str, data: bytes, kind: type[Record]) -> Record:
        """The record that was read at this key; DamagedObject where it is none."""
        with self.parsing(key, f"a {getattr(kind, '__name__', 'record')} of this version"):
            return decoded(data, kind)

    @contextmanager
    def parsing(self, key: str, what: str) -> Iterator[None]:
        """Turn what a parser raises into a DamagedObject, which names the object and the remedy."""
        try:
            yield
        except (ValueError, KeyError, OSError, EOFError, RecursionError, zlib.error) as error:
            of, at = f"--bucket {self.bucket}", f"--key {quote(key)}"
            version = quote(f"{self.bucket}/{key}?versionId=ID")
            raise DamagedObject(
                f"{self.url(key)} is not {what}: {str(error)[:LONGEST_PROBLEM].rstrip('.')}. Restore its "
                f"previous version: `aws s3api list-object-versions {of} --prefix {quote(key)}` lists them, "
                f"`aws s3api copy-object {of} {at} --copy-source {version}` restores one. Then clear the "
                "task. If this pipeline has written no version of it, delete it."
            ) from error

    def required(self, key: str) -> bytes:
        """An object's bytes; NothingStaged where there is no such object."""
        if (data := self.read(key)) is None:
            raise NothingStaged(f"{self.url(key)} is gone: clear the stage that made it.")
        return data

    def beginning(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes of an object; None where there is none."""
        try:
            found = self.look(key, Range=f"bytes=0-{size - 1}")
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidRange":  # of an empty object there is none
                raise
            return b""
        return found.data if found else None

    def look(self, key: str, **part: str) -> Object | None:
        """An object with the tag that a condition of a later write names; None where there is none."""
        with self._explained(key):
            try:
                found = self._hook.get_conn().get_object(Bucket=self.bucket, Key=key, **part)
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise
            return Object(found["Body"].read(), found["ETag"])

    def look_each(self, keys: Iterable[str]) -> Iterator[Object | None]:
        """The objects in the order of their keys, several read at once."""
        return _side_by_side(self.look, keys)

    def answers(self, keys: Iterable[str]) -> Iterator[Answer]:
        """The staged answers of X, in the order of their keys: unpacked while others are worked on."""

        def answer(key: str) -> Answer:
            if (data := self.read(key)) is None:
                raise NothingStaged(
                    f"{self.url(key)} is gone. It was paid for: restore it, or Trigger with `buy_again`."
                )
            return answer_in(data, self.url(key))

        return _side_by_side(answer, keys)

    def write(self, key: str, data: bytes) -> None:
        """Put an object, in the place of an older one."""
        self._put(key, data)

    def swap(self, key: str, data: bytes, tag: str | None) -> str:
        """Put an object in the place of the one with this tag, None for none at all; returns the new tag.

        Raises Busy where another writer came first.
        """
        condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        try:
            return retried(_is_conflict)(self._put, key, data, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in TAKEN | CONFLICTS:
                raise
            found = self.look(key)
            if found and found.data == data:  # our own: S3 had written it, and its answer was lost
                return found.tag
            raise Busy(f"{self.url(key)} was written by somebody else meanwhile.") from error

    def change(self, key: str, changed: Callable[[bytes | None], bytes]) -> None:
        """Put what becomes of an object; Busy where others have changed it meanwhile at every attempt."""

        def attempt() -> None:
            found = self.look(key)
            self.swap(key, changed(found and found.data), found and found.tag)

        retried(is_busy)(attempt)

    def upload(self, key: str, file: Path) -> str:
        """Put a file's bytes; returns the object's tag."""
        with file.open("rb") as opened:
            return self._put(key, opened)

    def copy(self, source: str, target: str, tag: str, over: str | None = None) -> str:
        """Copy the object with this tag inside the bucket, on the server; returns the tag of the target.

        The target changes whole, and takes the place of the one with the tag `over`, None for none at all:
        Busy where another writer came first. A store that knows no condition for the target of a copy copies.
        """
        condition = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        with self._explained(source, target):
            try:
                return retried(_is_conflict)(
                    self._hook.get_conn().copy_object,
                    Bucket=self.bucket,
                    Key=target,
                    CopySource={"Bucket": self.bucket, "Key": source},
                    CopySourceIfMatch=tag,
                    **condition,
                )["CopyObjectResult"]["ETag"]
            except ClientError as error:
                if error.response["Error"]["Code"] not in TAKEN | CONFLICTS | {"NoSuchKey"}:
                    raise
                if self.tag(source) != tag:
                    raise NothingStaged(
                        f"{self.url(source)} is not what its receipt says: it was overwritten or is gone. "
                        "Clear `transform`."
                    ) from error
                if self.tag(target) == tag:  # our own: S3 had copied it, and its answer was lost
                    return tag
                raise Busy(f"{self.url(target)} was written by somebody else meanwhile.") from error

    def _put(self, key: str, body: bytes | IO[bytes], **condition: Any) -> str:
        with self._explained(key):
            return self._hook.get_conn().put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=MEDIA_TYPES[Path(key).suffix], **condition
            )["ETag"]

    @contextmanager
    def _explained(self, key: str, target: str = "") -> Iterator[None]:
        """Turn what botocore raises into errors that say what to do; a copy has a target too."""
        url = f"{self.url(key)} → {target}" if target else self.url(key)
        try:
            yield
        except NoCredentialsError as error:
            raise NoCredentials(
                "There are no AWS credentials here. On EC2, attach the instance role; "
                "elsewhere, set Connection aws_default."
            ) from error
        except CredentialRetrievalError as error:
            if error.kwargs.get("provider") in OF_THE_PLATFORM:
                raise PlatformOutage(f"{url} cannot be reached: {error}") from error
            raise NoCredentials(f"There are no AWS credentials for {url}: {error}. {USE_VALID}") from error
        except UNREACHABLE as error:
            raise PlatformOutage(f"{url} cannot be reached: {error}") from error
        except UNUSABLE_CREDENTIALS as error:
            raise BadCredentials(f"{url} was not asked for: {str(error).rstrip('.')}. {USE_VALID}") from error
        except BAD_CONFIGURATION as error:
            raise BadSetting(
                "Connection aws_default, the environment or ~/.aws/config",
                str(error).rstrip("."),
                "AWS_DEFAULT_REGION=eu-central-1",  # pragma: allowlist secret
            ) from error
        except ParamValidationError as error:
            if "bucket name" not in str(error):
                raise
            raise other_bucket(self.bucket, str(error).replace("\n", " ")) from error
        except ClientError as error:
            said = error.response["Error"]
            if said["Code"] == "NoSuchKey":
                raise NothingStaged(f"{key} is gone: clear the stage that made it.") from error
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            call = Call(error.operation_name, url, self.bucket, key)
            if explanation := explained(said["Code"], said.get("Message", ""), status, call):
                raise explanation from error
            error.args = (f"{error} ({url})",)  # its code decides what is done, so it stays what it is
            raise


def answer_in(data: bytes, url: str) -> Answer:
    """The staged answer that an object holds; DamagedObject where it holds none."""
    try:
        return Answer.from_bytes(data)
    except ValueError as error:
        raise DamagedObject(
            f"{url} is no stored response of X: {error}. "
            "Restore its earlier version, or Trigger with `buy_again`."
        ) from error


def require_conditional_writes(lake: Lake) -> None:
    """Refuse a store that ignores the conditions of writes: there, several runs would buy a day at once.

    A store that was tried is not tried again: the probe names bucket and endpoint, since a bucket may be
    copied. Several may try at once, and one may be killed: the next one begins with what it finds.
    """
    where = {"bucket": lake.url(""), "endpoint": getattr(lake, "endpoint", "")}  # one in memory has none
    passed = encoded(StoreProbe(**where, keeps_conditions=True))
    try:
        retried(is_busy)(_probe, lake, where, passed)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in UNKNOWN_CONDITION:
            raise
        raise _bad_store(where, f"it answers {code} to a conditional write") from error


def _probe(lake: Lake, where: Mapping[str, str], passed: bytes) -> None:
    """Try each condition once; Busy where another run tries at the same time."""

    def data() -> bytes:
        return encoded(StoreProbe(**where, keeps_conditions=False, token=uuid4().hex))

    def accepted(data: bytes, tag: str | None) -> str:
        try:
            return lake.swap(PROBE, data, tag)
        except Busy:
            found = lake.look(PROBE)
            if (found and found.tag) == tag:
                raise _bad_store(where, "it answers 412 where the condition of a write holds") from None
            raise

    def refused(tag: str | None, condition: str) -> None:
        with suppress(Busy):
            lake.swap(PROBE, data(), tag)
            raise _bad_store(where, f"it accepts {condition}")

    found = lake.look(PROBE)
    if found and found.data == passed:
        return
    stale = found.tag if found else accepted(data(), None)
    refused(None, "If-None-Match for a key that is there")
    tag = accepted(data(), stale)
    refused(stale, "If-Match with the ETag of an older version")
    accepted(passed, tag)
    log.info("%s keeps the conditions of writes", where["endpoint"])


def _bad_store(where: Mapping[str, str], found: str) -> BadStore:
    return BadStore(
        f"{where['bucket']} at {where['endpoint']} does not keep the conditions of writes: {found}. Two runs "
        "could buy one day twice, so nothing is bought. Use a bucket of Amazon S3, or of a store that "
        "supports If-None-Match and If-Match in PutObject, for example: twitter_bucket = acme-twitter-lake."
    )


def _side_by_side(work: Callable[[str], Each], keys: Iterable[str]) -> Iterator[Each]:
    """What becomes of each key, in their order, several at once; one that comes again soon is read once.

    Accounts that were read together share their pages.
    """
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        begun: deque[tuple[str, Future[Each]]] = deque()
        for key in keys:
            under_way = next((future for other, future in begun if other == key), None)
            begun.append((key, under_way or pool.submit(work, key)))
            if len(begun) > SIDE_BY_SIDE:
                yield begun.popleft()[1].result()
        while begun:
            yield begun.popleft()[1].result()
