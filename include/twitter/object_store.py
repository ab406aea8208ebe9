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
from include.twitter.layout import PROBE
from include.twitter.records import Record, StoreProbe, decoded, encoded
from include.twitter.response import Response

log = logging.getLogger(__name__)

# They log each connection, between the lines of the stage.
for chatty in ("airflow.providers.amazon.aws", "botocore"):
    logging.getLogger(chatty).setLevel(logging.WARNING)

SIDE_BY_SIDE = 16
"""Objects read at once, and at most so many ahead of who uses them."""
CONDITION_FAILED = {"PreconditionFailed", "412"}
CONFLICTS = {"ConditionalRequestConflict", "OperationAborted", "409"}
"""Another write of the key is under way; it may be an earlier attempt of the same one."""
UNKNOWN_CONDITION = {"NotImplemented", "InvalidArgument", "InvalidRequest"}
"""How a store says that it knows no conditional writes."""
TRIES = 8
"""After a conflict, with random pauses between: some five seconds together."""
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


Item = TypeVar("Item")
Result = TypeVar("Result")
NAMED = 5
"""So many strays are named in a warning."""
LONGEST_PROBLEM = 200
"""Characters of what a parser says about an object."""


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


class Object(NamedTuple):
    data: bytes
    tag: str


def from_settings() -> ObjectStore:
    """The lake that the deployment's settings name."""
    return ObjectStore(settings.bucket(), settings.aws_connection())


class ObjectStore:
    """Whole objects in one bucket, by key; `aws_conn_id` None means the instance role."""

    def __init__(self, bucket: str, aws_conn_id: str | None) -> None:
        self.bucket = bucket
        self.strays: set[str] = set()
        config = Config(max_pool_connections=SIDE_BY_SIDE, retries={"mode": "standard"})
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

    def parsed(self, keys: Iterable[str], parse: Callable[[str], Result | None]) -> dict[str, Result]:
        """What `parse` makes of each key. Keys that it does not know are skipped, and reported once."""
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

    def etags(self, prefix: str) -> dict[str, str]:
        """The ETag of every object below a prefix, by key: an object that changes gets another."""
        with self._explained(prefix):
            listed = self._hook.iter_file_metadata(prefix, self.bucket)
            return {item["Key"]: item["ETag"] for item in listed}

    def etag(self, key: str) -> str | None:
        """The ETag of one object; None where there is no such object."""
        return self.etags(key).get(key)

    def read(self, key: str) -> bytes | None:
        """An object's bytes; None where there is no such object."""
        found = self.get(key)
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
        except NewerFormat as error:
            raise NewerFormat(f"{self.url(key)} {error}: install the version that wrote it.") from None
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
        """An object's bytes; MissingInput where there is no such object."""
        if (data := self.read(key)) is None:
            raise MissingInput(f"{self.url(key)} is gone: clear the stage that made it.")
        return data

    def beginning(self, key: str, size: int) -> bytes | None:
        """The first `size` bytes of an object; None where there is none."""
        try:
            found = self.get(key, Range=f"bytes=0-{size - 1}")
        except boto.ClientError as error:
            if _code(error) != "InvalidRange":  # of an empty object there is none
                raise
            return b""
        return found.data if found else None

    def get(self, key: str, **part: str) -> Object | None:
        """An object with its ETag, for the condition of a later write; None where there is none."""
        with self._explained(key):
            try:
                found = self._hook.get_conn().get_object(Bucket=self.bucket, Key=key, **part)
            except boto.ClientError as error:
                if _code(error) == "NoSuchKey":
                    return None
                raise
            return Object(found["Body"].read(), found["ETag"])

    def get_many(self, keys: Iterable[str]) -> Iterator[Object | None]:
        """The objects in the order of their keys, several read at once."""
        return map_concurrently(self.get, keys)

    def answers(self, keys: Iterable[str]) -> Iterator[Response]:
        """The stored responses of X, in the order of their keys: parsed while others are used."""

        def answer(key: str) -> Response:
            if (data := self.read(key)) is None:
                raise MissingInput(
                    f"{self.url(key)} is gone. It was paid for: restore it, or Trigger with `buy_again`."
                )
            return response_in(data, self.url(key))

        return map_concurrently(answer, keys)

    def write(self, key: str, data: bytes) -> None:
        """Put an object, in the place of an older one."""
        self._put(key, data)

    def put_if_match(self, key: str, data: bytes, tag: str | None) -> str:
        """Put an object if the one there has this ETag, None for none at all; returns the new ETag.

        Raises WriteConflict where another writer was faster.
        """
        condition = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        try:
            return retried(_is_conflict)(self._put, key, data, **condition)
        except boto.ClientError as error:
            if _code(error) not in CONDITION_FAILED | CONFLICTS:
                raise
            found = self.get(key)
            if found and found.data == data:  # our own write: its response was lost
                return found.tag
            raise WriteConflict(f"{self.url(key)} was written by somebody else meanwhile.") from error

    def update(self, key: str, changed: Callable[[bytes | None], bytes]) -> None:
        """Replace an object by what `changed` makes of it; WriteConflict if others were always faster."""

        def attempt() -> None:
            found = self.get(key)
            self.put_if_match(key, changed(found and found.data), found and found.tag)

        retried(is_write_conflict)(attempt)

    def upload(self, key: str, file: Path) -> str:
        """Put a file's bytes; returns the object's tag."""
        with file.open("rb") as opened:
            return self._put(key, opened)

    def copy(self, source: str, target: str, tag: str, over: str | None = None) -> str:
        """Copy the object with this ETag inside the bucket, on the server; returns the ETag of the target.

        The target is replaced whole if it has the ETag `over`, None for none at all: WriteConflict where
        another writer was faster. A store that knows no condition for the target of a copy ignores it.
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
            except boto.ClientError as error:
                if _code(error) not in CONDITION_FAILED | CONFLICTS | {"NoSuchKey"}:
                    raise
                if self.etag(source) != tag:
                    raise MissingInput(
                        f"{self.url(source)} is not what its receipt says: it was overwritten or is gone. "
                        "Clear `transform`."
                    ) from error
                if self.etag(target) == tag:  # our own copy: its response was lost
                    return tag
                raise WriteConflict(f"{self.url(target)} was written by somebody else meanwhile.") from error

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
    """The staged answer that an object holds; DamagedObject where it holds none."""
    try:
        return Response.from_bytes(data)
    except ValueError as error:
        raise DamagedObject(
            f"{url} is no stored response of X: {error}. "
            "Restore its earlier version, or Trigger with `buy_again`."
        ) from error


def require_conditional_writes(lake: ObjectStore) -> None:
    """Refuse a store that ignores the conditions of writes: there, several runs would buy a day at once.

    A store that passed is not probed again: the record names bucket and endpoint, since a bucket may be
    copied. Several runs may probe at once, and one may be killed: the next begins with what it left.
    """
    store = {"bucket": lake.url(""), "endpoint": getattr(lake, "endpoint", "")}  # one in memory has none
    try:
        retried(is_write_conflict)(_probe, lake, store)
    except boto.ClientError as error:
        if _code(error) not in UNKNOWN_CONDITION:
            raise
        raise _bad_store(store, f"it answers {_code(error)} to a conditional write") from error


def _probe(lake: ObjectStore, store: Mapping[str, str]) -> None:
    """Try each condition once; WriteConflict where another run probes at the same time."""

    def probe(*, has_passed: bool = False) -> bytes:
        return encoded(
            StoreProbe(**store, keeps_conditions=has_passed, token="" if has_passed else uuid4().hex)
        )

    def write(data: bytes, tag: str | None) -> str:
        try:
            return lake.put_if_match(PROBE, data, tag)
        except WriteConflict:
            if lake.etag(PROBE) == tag:
                raise _bad_store(store, "it answers 412 where the condition of a write holds") from None
            raise

    def require_refusal(tag: str | None, condition: str) -> None:
        with suppress(WriteConflict):
            lake.put_if_match(PROBE, probe(), tag)
            raise _bad_store(store, f"it accepts {condition}")

    found = lake.get(PROBE)
    if found and found.data == probe(has_passed=True):
        return
    stale = found.tag if found else write(probe(), None)
    require_refusal(None, "If-None-Match for an existing key")
    tag = write(probe(), stale)
    require_refusal(stale, "If-Match with the ETag of an older version")
    write(probe(has_passed=True), tag)
    log.info("%s keeps the conditions of writes", store["endpoint"])


def _bad_store(store: Mapping[str, str], problem: str) -> BadStore:
    return BadStore(
        f"{store['bucket']} at {store['endpoint']} does not keep the conditions of writes: {problem}. Two "
        "runs could buy one day twice, so nothing is bought. Use a bucket of Amazon S3, or of a store that "
        "supports If-None-Match and If-Match in PutObject, for example: twitter_bucket = acme-twitter-lake."
    )


def map_concurrently(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Map `work` over the items concurrently, yielding results in their order.

    An item that is repeated while it is worked on is worked on once: accounts may share their pages.
    """
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        running: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            same = next((future for other, future in running if other == item), None)
            running.append((item, same or pool.submit(work, item)))
            if len(running) > SIDE_BY_SIDE:
                yield running.popleft()[1].result()
        while running:
            yield running.popleft()[1].result()
