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
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from include.twitter import settings
from include.twitter.aws_errors import USE_VALID, Call, explained, other_bucket
from include.twitter.errors import (
    BadCredentials,
    BadSetting,
    BadStore,
    DamagedObject,
    MissingInput,
    NewerFormat,
    NoCredentials,
    PlatformOutage,
    WriteConflict,
)
from include.twitter.layout import FORGOTTEN, PROBE
from include.twitter.records import Record, StoreProbe, decoded, encoded
from include.twitter.response import Response
from include.twitter.tombstones import Tombstones

log = logging.getLogger(__name__)

# They log each connection, between the lines of the stage.
for chatty in ("airflow.providers.amazon.aws", "botocore"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

CONCURRENT_READS = 16
"""Objects that are read concurrently, and how many are read ahead."""
CONDITION_FAILED = {"PreconditionFailed", "412"}
CONFLICTS = {"ConditionalRequestConflict", "OperationAborted", "409"}
"""Another write of the key is under way; it may be an earlier attempt of the same one."""
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

# The instance's metadata may be slow: botocore would ask for the role's credentials once, for one second.
os.environ.setdefault("AWS_METADATA_SERVICE_TIMEOUT", "5")
os.environ.setdefault("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "4")

MEDIA_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".gz": "application/gzip",
}


Input = TypeVar("Input")
Output = TypeVar("Output")
MAX_STRAYS_NAMED = 5
"""Unknown objects that a warning names."""
MAX_PROBLEM_LENGTH = 200
"""Characters of a parser's error that a message repeats."""


def retried(should_retry: Callable[[BaseException], bool]) -> Retrying:
    """Retry a call after random pauses while it fails with such an error; at last that error is raised."""
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
    """The error code of S3."""
    return error.response["Error"]["Code"] if isinstance(error, boto.ClientError) else ""


class StoredObject(NamedTuple):
    data: bytes
    etag: str


def from_settings() -> ObjectStore:
    """The store that the settings name."""
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
    def parsing(self, key: str, what: str) -> Iterator[None]:
        """Raise DamagedObject, with the object and the remedy, if parsing fails."""
        try:
            yield
        except NewerFormat as error:
            raise NewerFormat(f"{self.url(key)} {error}: install the version that wrote it.") from None
        except (ValueError, KeyError, OSError, EOFError, RecursionError, zlib.error) as error:
            of, at = f"--bucket {self.bucket}", f"--key {quote(key)}"
            version = quote(f"{self.bucket}/{key}?versionId=ID")
            raise DamagedObject(
                f"{self.url(key)} is not {what}: {str(error)[:MAX_PROBLEM_LENGTH].rstrip('.')}. Restore its "
                f"previous version: `aws s3api list-object-versions {of} --prefix {quote(key)}` lists them, "
                f"`aws s3api copy-object {of} {at} --copy-source {version}` restores one. Then clear the "
                "task. If this pipeline has written no version of it, delete it."
            ) from error

    def tombstones(self) -> Tombstones:
        """All erasures; DamagedObject if their list cannot be read."""
        with self.parsing(FORGOTTEN, "the list of erased posts and accounts"):
            return Tombstones.of(self.read(FORGOTTEN))

    def required(self, key: str) -> bytes:
        """An object's bytes; MissingInput if it does not exist."""
        if (data := self.read(key)) is None:
            raise MissingInput(f"{self.url(key)} is gone: clear the stage that made it.")
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
                    f"{self.url(key)} is gone. It was paid for: restore it, or Trigger with `buy_again`."
                )
            return response_in(data, self.url(key))

        return map_concurrently(read_response, keys)

    def write(self, key: str, data: bytes) -> None:
        """Put an object without a condition."""
        self._put(key, data)

    def put_if_match(self, key: str, data: bytes, etag: str | None) -> str:
        """Put an object if the stored one has this ETag (None: if none is stored); returns the new ETag.

        Raises WriteConflict if another process has written it.
        """
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            return retried(_is_conflict)(self._put, key, data, **condition)
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
            return self._put(key, opened)

    def copy(self, source: str, target: str, etag: str, over: str | None = None) -> str:
        """Copy the object with this ETag inside the bucket, on the server; returns the ETag of the target.

        The target is replaced if it has the ETag `over` (None: if it does not exist), else WriteConflict is
        raised. A store without conditions for the target of a copy ignores it.
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
                        f"{self.url(source)} is not what its receipt says: it was overwritten or is gone. "
                        "Clear `transform`."
                    ) from error
                if self.etag(target) == etag:  # our own copy: its response was lost
                    return etag
                raise WriteConflict(
                    f"{self.url(target)} was written by another process in the meantime."
                ) from error

    def _put(self, key: str, body: bytes | IO[bytes], **condition: Any) -> str:
        with self._explained(key):
            return self._hook.get_conn().put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=MEDIA_TYPES[Path(key).suffix], **condition
            )["ETag"]

    @contextmanager
    def _explained(self, key: str, target: str = "") -> Iterator[None]:
        """Turn botocore's errors into the pipeline's; a copy has a target too."""
        url = f"{self.url(key)} → {target}" if target else self.url(key)
        try:
            yield
        except boto.NoCredentialsError as error:
            raise NoCredentials(
                "There are no AWS credentials here. On EC2, attach the instance role; "
                "elsewhere, set Connection aws_default."
            ) from error
        except boto.CredentialRetrievalError as error:
            if error.kwargs.get("provider") in ROLE_PROVIDERS:
                raise PlatformOutage(f"{url} cannot be reached: {error}") from error
            raise NoCredentials(f"There are no AWS credentials for {url}: {error}. {USE_VALID}") from error
        except UNREACHABLE as error:
            raise PlatformOutage(f"{url} cannot be reached: {error}") from error
        except UNUSABLE_CREDENTIALS as error:
            raise BadCredentials(f"{url} was not requested: {str(error).rstrip('.')}. {USE_VALID}") from error
        except boto.ClientError as error:
            response, code = error.response["Error"], _code(error)
            if code == "NoSuchKey":
                raise MissingInput(f"{key} is gone: clear the stage that made it.") from error
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            call = Call(error.operation_name, url, self.bucket, key)
            if explanation := explained(code, response.get("Message", ""), status, call):
                raise explanation from error
            error.args = (f"{error} ({url})",)  # its code decides what is done, so it stays what it is
            raise
        except boto.ParamValidationError as error:
            if "bucket name" not in str(error):
                raise
            raise other_bucket(self.bucket, str(error).replace("\n", " ")) from error
        except boto.BotoCoreError as error:
            raise BadSetting(
                "Connection aws_default, the environment or ~/.aws/config",
                str(error).rstrip("."),
                "AWS_DEFAULT_REGION=eu-central-1",  # pragma: allowlist secret
            ) from error


def response_in(data: bytes, url: str) -> Response:
    """Decode a stored response; DamagedObject if it is none."""
    try:
        return Response.from_bytes(data)
    except ValueError as error:
        raise DamagedObject(
            f"{url} is no stored response of X: {error}. "
            "Restore its earlier version, or Trigger with `buy_again`."
        ) from error


def require_conditional_writes(store: ObjectStore) -> None:
    """Refuse a store that ignores the conditions of writes: there, several runs would buy a day at once.

    A store that passed is not probed again: the record names bucket and endpoint, since a bucket may be
    copied. Several runs may probe at once, and a killed probe is started over.
    """
    address = {"bucket": store.url(""), "endpoint": getattr(store, "endpoint", "")}  # one in memory has none
    try:
        retried(is_write_conflict)(_probe, store, address)
    except boto.ClientError as error:
        if _code(error) not in UNKNOWN_CONDITION:
            raise
        raise _bad_store(address, f"it answers {_code(error)} to a conditional write") from error


def _probe(store: ObjectStore, address: Mapping[str, str]) -> None:
    """Try each condition once; WriteConflict where another run probes at the same time."""

    def probe(*, has_passed: bool = False) -> bytes:
        return encoded(
            StoreProbe(**address, keeps_conditions=has_passed, token="" if has_passed else uuid4().hex)
        )

    def write(data: bytes, etag: str | None) -> str:
        try:
            return store.put_if_match(PROBE, data, etag)
        except WriteConflict:
            if store.etag(PROBE) == etag:
                raise _bad_store(address, "it answers 412 where the condition of a write holds") from None
            raise

    def require_refusal(etag: str | None, condition: str) -> None:
        with suppress(WriteConflict):
            store.put_if_match(PROBE, probe(), etag)
            raise _bad_store(address, f"it accepts {condition}")

    stored = store.get(PROBE)
    if stored and stored.data == probe(has_passed=True):
        return
    stale = stored.etag if stored else write(probe(), None)
    require_refusal(None, "If-None-Match for an existing key")
    etag = write(probe(), stale)
    require_refusal(stale, "If-Match with the ETag of an older version")
    write(probe(has_passed=True), etag)
    log.info("%s keeps the conditions of writes", address["endpoint"])


def _bad_store(address: Mapping[str, str], problem: str) -> BadStore:
    return BadStore(
        f"{address['bucket']} at {address['endpoint']} does not keep the conditions of writes: {problem}. "
        "Two runs could buy one day twice, so nothing is bought. Use a bucket of Amazon S3, or of a store "
        "that supports If-None-Match and If-Match in PutObject, for example: twitter_bucket = "
        "acme-twitter-lake."
    )


def map_concurrently(work: Callable[[Input], Output], items: Iterable[Input]) -> Iterator[Output]:
    """Map `work` over the items concurrently, yielding results in their order.

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
