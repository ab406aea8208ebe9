"""The pipeline's bucket: the only importer of S3Hook.

S3Hook uses the instance role if connection `aws_default` is missing or empty. No request has an ACL: a bucket
with ACLs disabled would refuse it.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import IO, Any, NamedTuple, TypeVar
from uuid import uuid4

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from include.twitter import settings
from include.twitter.aws_errors import CREDENTIALS_REMEDY, Call, explained, wrong_bucket
from include.twitter.errors import (
    BadCredentials,
    BadSetting,
    BadStore,
    DamagedObject,
    MissingInput,
    NewerFormat,
    NoCredentials,
    PipelineError,
    PlatformOutage,
    WriteConflict,
)
from include.twitter.layout import PROBE, PROBES, TOMBSTONES
from include.twitter.records import Record, StoreProbe, decoded, encoded
from include.twitter.response import Response
from include.twitter.tombstones import Tombstones

log = logging.getLogger(__name__)

# They log each connection.
for chatty in ("airflow.providers.amazon.aws", "botocore"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

CONCURRENT_READS = 16
CONDITION_FAILED = {"PreconditionFailed", "412"}
CONFLICTS = {"ConditionalRequestConflict", "OperationAborted", "409"}
"""Another write of the key is in progress, possibly an earlier attempt of this one."""
UNKNOWN_CONDITION = {"NotImplemented", "InvalidArgument", "InvalidRequest"}
"""Error codes of a store that does not support conditional writes."""
TRIES = 8
"""Attempts after a conflict, with random pauses: about five seconds in total."""
UNREACHABLE = (
    boto.ConnectionError,
    boto.FlexibleChecksumError,  # bytes changed on their way
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.MetadataRetrievalError,
    ResponseParserError,
)
ROLE_PROVIDERS = {"iam-role", "container-role"}
"""Their credentials are missing only while the platform is unreachable."""
UNUSABLE_CREDENTIALS = (
    boto.LoginError,
    boto.NoAuthTokenError,
    boto.PartialCredentialsError,
    boto.RefreshWithMFAUnsupportedError,
    boto.SSOError,
    boto.TokenRetrievalError,
    boto.UnknownCredentialError,
)
MAX_STRAYS_NAMED = 5
"""Unknown objects that a warning names."""
MAX_PROBLEM_LENGTH = 200
"""Characters of a parser's error that a message repeats."""
MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".gz": "application/gzip",
}

# The instance's metadata may be slow: botocore's default is one attempt of one second.
os.environ.setdefault("AWS_METADATA_SERVICE_TIMEOUT", "5")
os.environ.setdefault("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "4")

Input = TypeVar("Input")
Output = TypeVar("Output")


def retried(should_retry: Callable[[BaseException], bool]) -> Retrying:
    """Retry a call after random pauses while it raises such an error; the last attempt raises the error."""
    return Retrying(
        retry=retry_if_exception(should_retry),
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        reraise=True,
    )


def is_write_conflict(error: BaseException) -> bool:
    return isinstance(error, WriteConflict)


def _is_conflict(error: BaseException) -> bool:
    return _code(error) in CONFLICTS


def _code(error: BaseException) -> str:
    """S3's error code; empty for another error."""
    return error.response["Error"]["Code"] if isinstance(error, boto.ClientError) else ""


class StoredObject(NamedTuple):
    data: bytes
    etag: str


def from_settings() -> ObjectStore:
    """The store of the configured bucket."""
    return ObjectStore(settings.bucket(), settings.aws_connection())


class ObjectStore:
    """Whole objects in one bucket, by key; `aws_conn_id` None means the instance role."""

    def __init__(self, bucket: str, aws_conn_id: str | None) -> None:
        self.bucket = bucket
        self.strays: set[str] = set()
        config = Config(max_pool_connections=CONCURRENT_READS, retries={"mode": "standard"})
        self._hook = S3Hook(aws_conn_id=aws_conn_id, config=config)

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    @property
    def endpoint(self) -> str:
        """The address of the object store."""
        with self._explained(""):
            return self._hook.get_conn().meta.endpoint_url

    def keys(self, prefix: str) -> list[str]:
        """Every key below a prefix, sorted."""
        return sorted(self.etags(prefix))

    def parsed(self, keys: Iterable[str], parse: Callable[[str], Output | None]) -> dict[str, Output]:
        """Parse each key. Unknown keys are skipped and logged once."""
        values = {key: parse(key) for key in keys}
        strays = sorted({key for key, value in values.items() if value is None} - self.strays)
        if strays:
            self.strays.update(strays)
            log.warning(
                "%d objects were not written by this pipeline and are skipped: %s%s. Delete them, or move "
                "them to another bucket.",
                len(strays),
                ", ".join(repr(self.url(key)) for key in strays[:MAX_STRAYS_NAMED]),
                f" and {len(strays) - MAX_STRAYS_NAMED} more" if len(strays) > MAX_STRAYS_NAMED else "",
            )
        return {key: value for key, value in values.items() if value is not None}

    def etags(self, prefix: str) -> dict[str, str]:
        """The ETag of every object below a prefix, by key."""
        with self._explained(prefix):
            listed = self._hook.iter_file_metadata(prefix, self.bucket)
            return {item["Key"]: item["ETag"] for item in listed}

    def etag(self, key: str) -> str | None:
        """The ETag of one object; None if it does not exist."""
        return self.etags(key).get(key)

    def read(self, key: str) -> bytes | None:
        """An object's bytes; None if it does not exist."""
        stored = self.get(key)
        return stored.data if stored else None

    def record(self, key: str, kind: type[Record]) -> Record | None:
        """The record at this key; None if it does not exist; DamagedObject if it is no such record."""
        data = self.read(key)
        return None if data is None else self.decoded(key, data, kind)

    def decoded(self, key: str, data: bytes, kind: type[Record]) -> Record:
        """Decode the record that was read at this key; DamagedObject if it is none."""
        with self.parsing(key, f"a {getattr(kind, '__name__', 'record')} of this version"):
            return decoded(data, kind)

    @contextmanager
    def parsing(self, key: str, description: str) -> Iterator[None]:
        """Raise DamagedObject, with the object and the remedy, if parsing fails."""
        try:
            yield
        except NewerFormat as error:
            raise NewerFormat(f"{self.url(key)} {error}: install the version that wrote it.") from None
        except (ValueError, KeyError, OSError, EOFError, RecursionError, zlib.error) as error:
            of, at = f"--bucket {self.bucket}", f"--key {quote(key)}"
            version = quote(f"{self.bucket}/{key}?versionId=ID")
            raise DamagedObject(
                f"{self.url(key)} is not {description}: {str(error)[:MAX_PROBLEM_LENGTH].rstrip('.')}. "
                "Restore its previous version: "
                f"`aws s3api list-object-versions {of} --prefix {quote(key)}` lists them, "
                f"`aws s3api copy-object {of} {at} --copy-source {version}` restores one. Then clear the "
                "task. If this pipeline has written no version of it, delete it."
            ) from error

    def tombstones(self) -> Tombstones:
        """All erasures; DamagedObject if their list cannot be read."""
        with self.parsing(TOMBSTONES, "the list of erased posts and accounts"):
            return Tombstones.of(self.read(TOMBSTONES))

    def required(self, key: str) -> bytes:
        """An object's bytes; MissingInput if it does not exist."""
        if (data := self.read(key)) is None:
            raise MissingInput(f"{self.url(key)} does not exist: clear the stage that writes it.")
        return data

    def beginning(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes of an object; None if it does not exist."""
        try:
            stored = self.get(key, Range=f"bytes=0-{size - 1}")
        except boto.ClientError as error:
            if _code(error) != "InvalidRange":  # of an empty object there is none
                raise
            return b""
        return stored.data if stored else None

    def get(self, key: str, **part: str) -> StoredObject | None:
        """An object with its ETag, for the condition of a later write; None if it does not exist."""
        with self._explained(key):
            try:
                response = self._hook.get_conn().get_object(Bucket=self.bucket, Key=key, **part)
            except boto.ClientError as error:
                if _code(error) == "NoSuchKey":
                    return None
                raise
            return StoredObject(response["Body"].read(), response["ETag"])

    def get_many(self, keys: Iterable[str]) -> Iterator[StoredObject | None]:
        """The objects in the order of their keys, several read at once."""
        return map_concurrently(self.get, keys)

    def responses(self, keys: Iterable[str]) -> Iterator[Response]:
        """The stored responses of X, in the order of their keys: parsed while others are used."""

        def read_response(key: str) -> Response:
            if (data := self.read(key)) is None:
                raise MissingInput(
                    f"{self.url(key)} does not exist. It was paid for: restore it, or Trigger with "
                    "`buy_again`."
                )
            return response_in(data, self.url(key))

        return map_concurrently(read_response, keys)

    def write(self, key: str, data: bytes | IO[bytes], **condition: Any) -> str:
        """Put an object; returns its ETag."""
        media_type = MEDIA_TYPES[Path(key).suffix]
        with self._explained(key):
            return self._hook.get_conn().put_object(
                Bucket=self.bucket, Key=key, Body=data, ContentType=media_type, **condition
            )["ETag"]

    def put_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        """Put an object if the stored one has this ETag (None: if the key is free); returns the new ETag.

        Raises WriteConflict if another process has written it.
        """
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            return retried(_is_conflict)(self.write, key, data, **condition)
        except boto.ClientError as error:
            if _code(error) not in CONDITION_FAILED | CONFLICTS:
                raise
            stored = self.get(key)
            if stored and stored.data == data:  # our own write: its response was lost
                return stored.etag
            raise WriteConflict(f"{self.url(key)} was written by another process in the meantime.") from error

    def update(self, key: str, changed: Callable[[bytes | None], bytes]) -> None:
        """Replace an object by `changed(data)`; WriteConflict if other processes wrote it each time."""

        def attempt() -> None:
            stored = self.get(key)
            self.put_if_match(key, changed(stored and stored.data), stored and stored.etag)

        retried(is_write_conflict)(attempt)

    def upload(self, key: str, file: Path) -> str:
        """Put a file; returns the ETag."""
        with file.open("rb") as opened:
            return self.write(key, opened)

    def copy(self, source: str, target: str, etag: str, over: str | None = None) -> str:
        """Copy the object with this ETag inside the bucket, on the server; returns the ETag of the target.

        Raises WriteConflict unless the target has the ETag `over` (None: unless the key is free). Stores that
        support no condition on the target of a copy ignore it.
        """
        condition = {"IfMatch": over} if over else {"IfNoneMatch": "*"}
        with self._explained(source, target):
            try:
                return retried(_is_conflict)(
                    self._hook.get_conn().copy_object,
                    Bucket=self.bucket,
                    Key=target,
                    CopySource={"Bucket": self.bucket, "Key": source},
                    CopySourceIfMatch=etag,
                    **condition,
                )["CopyObjectResult"]["ETag"]
            except boto.ClientError as error:
                if _code(error) not in CONDITION_FAILED | CONFLICTS | {"NoSuchKey"}:
                    raise
                if self.etag(source) != etag:
                    raise MissingInput(
                        f"{self.url(source)} was overwritten or deleted in the meantime. Clear `transform`."
                    ) from error
                if self.etag(target) == etag:  # our own copy: its response was lost
                    return etag
                raise WriteConflict(
                    f"{self.url(target)} was written by another process in the meantime."
                ) from error

    @contextmanager
    def _explained(self, key: str, target: str = "") -> Iterator[None]:
        """Turn botocore's errors into the pipeline's; a copy has a target too."""
        url = f"{self.url(key)} → {target}" if target else self.url(key)
        try:
            yield
        except boto.ClientError as error:
            code = _code(error)
            if code == "NoSuchKey":
                raise MissingInput(f"{url} does not exist: clear the stage that writes it.") from error
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            call = Call(error.operation_name, url, self.bucket, key)
            if explanation := explained(code, error.response["Error"].get("Message", ""), status, call):
                raise explanation from error
            error.args = (f"{error} ({url})",)  # callers decide by its code, so its class stays
            raise
        except (boto.BotoCoreError, ResponseParserError) as error:
            if explanation := _unsent(error, url, self.bucket):
                raise explanation from error
            raise


def _unsent(error: Exception, url: str, bucket: str) -> PipelineError | None:
    """The pipeline's error for a request without a response; None for a defect of the pipeline."""
    text = str(error).replace("\n", " ").rstrip(".")
    match error:
        case boto.NoCredentialsError():
            return NoCredentials(
                f"There are no AWS credentials for {url}. On EC2, attach the instance role; elsewhere, set "
                "Connection aws_default."
            )
        case boto.CredentialRetrievalError() if error.kwargs.get("provider") not in ROLE_PROVIDERS:
            return NoCredentials(f"There are no AWS credentials for {url}: {text}. {CREDENTIALS_REMEDY}")
        case boto.CredentialRetrievalError():
            return PlatformOutage(f"{url} cannot be reached: {text}.")
        case boto.ParamValidationError():
            return wrong_bucket(bucket, text) if "bucket name" in text else None
    if isinstance(error, UNREACHABLE):
        return PlatformOutage(f"{url} cannot be reached: {text}.")
    if isinstance(error, UNUSABLE_CREDENTIALS):
        return BadCredentials(f"The AWS credentials for {url} cannot be used: {text}. {CREDENTIALS_REMEDY}")
    where = "Connection aws_default, the environment or the AWS config file of the user"
    return BadSetting(where, text, "AWS_DEFAULT_REGION=eu-central-1")  # pragma: allowlist secret


def response_in(data: bytes, url: str) -> Response:
    """Decode a stored response; DamagedObject if it is none."""
    try:
        return Response.from_bytes(data)
    except ValueError as error:
        raise DamagedObject(
            f"{url} is not a stored response of X: {error}. "
            "Restore its previous version, or Trigger with `buy_again`."
        ) from error


def require_conditional_writes(store: ObjectStore) -> None:
    """Raise BadStore if the store ignores conditions of writes: several runs could buy a day at once.

    Each condition is tried once with an object of its own, then recorded for this bucket and endpoint.
    """
    endpoint = getattr(store, "endpoint", "")  # a store in memory has none
    passed = encoded(StoreProbe(store.url(""), endpoint, keeps_conditions=True))
    if store.read(PROBE) == passed:
        return
    if problem := _condition_problem(store, f"{PROBES}{uuid4().hex}.json"):
        raise BadStore(
            f"{store.url('')} at {endpoint} does not support conditional writes: {problem}. Two runs could "
            "buy the same day, so nothing was bought. Use a bucket of Amazon S3, or of a store that supports "
            "If-None-Match and If-Match in PutObject. Example: twitter_bucket = acme-twitter-lake"
        )
    store.write(PROBE, passed)
    log.info("%s supports conditional writes", endpoint)


def _condition_problem(store: ObjectStore, key: str) -> str:
    """Which condition the store does not keep; empty if it keeps all."""
    try:
        first = store.put_if_match(key, b"1", None)
        if _accepts(store, key, b"2", None):
            return "it accepts If-None-Match for an existing key"
        store.put_if_match(key, b"3", first)
        if _accepts(store, key, b"4", first):
            return "it accepts If-Match with the ETag of an older version"
    except WriteConflict:
        return "it answers 412 although the condition of a write holds"
    except boto.ClientError as error:
        if _code(error) not in UNKNOWN_CONDITION:
            raise
        return f"it answers {_code(error)} to a conditional write"
    return ""


def _accepts(store: ObjectStore, key: str, data: bytes, etag: str | None) -> bool:
    """Whether the store accepts a write whose condition does not hold."""
    with suppress(WriteConflict):
        store.put_if_match(key, data, etag)
        return True
    return False


def map_concurrently(work: Callable[[Input], Output], items: Iterable[Input]) -> Iterator[Output]:
    """Map `work` over the items concurrently, yielding results in the order of the items.

    An item that is repeated while it is in progress is processed once: accounts may share pages.
    """
    with ThreadPoolExecutor(CONCURRENT_READS) as pool:
        running: deque[tuple[Input, Future[Output]]] = deque()
        for item in items:
            same = next((future for other, future in running if other == item), None)
            running.append((item, same or pool.submit(work, item)))
            if len(running) > CONCURRENT_READS:
                yield running.popleft()[1].result()
        while running:
            yield running.popleft()[1].result()
