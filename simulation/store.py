"""S3 in memory, as a boto client shows it: conditional writes, versions, server-side copies, and faults."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    IncompleteReadError,
    ReadTimeoutError,
)

from simulation.faults import Draw, Faults
from simulation.scheduler import Killed, Process, Scheduler, current

ENDPOINT = "https://s3.simulated.example"
CHANCES = {
    "s3.error": 0.004,
    "s3.timeout": 0.002,
    "s3.lost_reply": 0.004,
    "s3.lost_for_good": 0.004,
    "s3.late": 0.002,
    "s3.conflict": 0.004,
    "s3.slow": 0.004,
    "s3.metadata": 0.0015,
    "s3.denied": 0.0007,
    "s3.cut": 0.002,
    "process.pause": 0.003,
}
"""Of one request, in a stormy attempt."""


@dataclass(frozen=True)
class Version:
    data: bytes
    etag: str
    at: datetime
    by: str
    """The process that wrote it."""
    id: str = ""
    media_type: str = ""


@dataclass
class Bucket:
    """Every version of every object; `watch` sees each write just after it."""

    clock: Callable[[], datetime]
    versions: dict[str, list[Version]] = field(default_factory=dict)
    watch: list[Callable[[str, Version], None]] = field(default_factory=list)
    writes: int = 0
    deleted: dict[str, int] = field(default_factory=dict)
    """How many versions each process has deleted."""

    def newest(self, key: str) -> Version | None:
        versions = self.versions.get(key)
        return versions[-1] if versions else None

    def read(self, key: str) -> bytes | None:
        version = self.newest(key)
        return version.data if version else None

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(key for key, versions in self.versions.items() if versions and key.startswith(prefix))

    def version(self, key: str, id_: str) -> Version | None:
        return next((each for each in self.versions.get(key, []) if each.id == id_), None)

    def delete(self, key: str, id_: str, by: str) -> None:
        """Delete one version for good; the one before it is then the newest."""
        if version := self.version(key, id_):
            self.versions[key].remove(version)
            self.deleted[by] = self.deleted.get(by, 0) + 1

    def put(self, key: str, data: bytes, by: str, condition: dict[str, str], media_type: str = "") -> str:
        """Write a version, if the condition holds; else 412."""
        newest = self.newest(key)
        if (condition.get("IfNoneMatch") == "*" and newest) or (
            "IfMatch" in condition and (newest is None or newest.etag != condition["IfMatch"])
        ):
            if newest is None:
                raise _refusal("NoSuchKey", 404, "PutObject")
            raise _refusal("PreconditionFailed", 412, "PutObject")
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        self.writes += 1
        version = Version(data, etag, self.clock(), by, f"v{self.writes}", media_type)
        self.versions.setdefault(key, []).append(version)
        for see in self.watch:
            see(key, version)
        return etag


def _refusal(code: str, status: int, operation: str) -> ClientError:
    error_response = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(error_response, operation)  # type: ignore[arg-type]


class _Body(io.BytesIO):
    is_cut = False

    def read(self, *size: Any) -> bytes:
        if self.is_cut:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=2)
        return super().read(*size)


class _Versions:
    """The paginator of all versions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[Any]:
        yield {"Versions": self._client.list_object_versions(Prefix)}


class Client:
    """What `boto3.client("s3")` is to one process."""

    def __init__(self, bucket: Bucket, faults: Faults, latency: Draw) -> None:
        self._bucket, self._faults, self._latency = bucket, faults, latency
        self.meta = SimpleNamespace(endpoint_url=ENDPOINT)

    def put_object(self, *, Bucket: str, Key: str, Body: Any, ContentType: str = "", **condition: str) -> Any:
        data = Body if isinstance(Body, bytes) else Body.read()
        by = current().process.name
        put = partial(self._bucket.put, Key, data, by, condition, ContentType)
        return self._write("PutObject", put, bool(condition))

    def copy_object(
        self, *, Bucket: str, Key: str, CopySource: Any, CopySourceIfMatch: str, **condition: str
    ) -> Any:
        by = current().process.name

        def copy() -> str:
            source = self._bucket.newest(CopySource["Key"])
            if source is None:
                raise _refusal("NoSuchKey", 404, "CopyObject")
            if source.etag != CopySourceIfMatch:
                raise _refusal("PreconditionFailed", 412, "CopyObject")
            return self._bucket.put(Key, source.data, by, condition, source.media_type)

        etag = self._write("CopyObject", copy, bool(condition))["ETag"]
        return {"CopyObjectResult": {"ETag": etag}}

    def get_object(self, *, Bucket: str, Key: str, Range: str = "", VersionId: str = "") -> Any:
        def get() -> Any:
            version = self._bucket.version(Key, VersionId) if VersionId else self._bucket.newest(Key)
            if version is None:
                raise _refusal("NoSuchVersion" if VersionId else "NoSuchKey", 404, "GetObject")
            data = version.data
            if Range:
                first, last = Range.removeprefix("bytes=").split("-")
                data = data[int(first) : int(last) + 1]
            return {"Body": _Body(data), "ETag": version.etag, "ContentType": version.media_type}

        response, fault = self._request("GetObject", get)
        response["Body"].is_cut = fault == "s3.cut"
        return response

    def delete_objects(self, *, Bucket: str, Delete: Any) -> Any:
        by = current().process.name

        def delete() -> str:
            for each in Delete["Objects"]:
                self._bucket.delete(each["Key"], each["VersionId"], by)
            return ""

        self._write("DeleteObjects", delete, False)
        return {}

    def get_paginator(self, operation: str) -> Any:
        return _Versions(self) if operation == "list_object_versions" else self

    def list_object_versions(self, prefix: str) -> Any:
        def listed() -> Any:
            versions = ((key, self._bucket.versions[key]) for key in self._bucket.keys(prefix))
            return [
                {"Key": key, "VersionId": each.id, "IsLatest": each is of_key[-1], "LastModified": each.at}
                for key, of_key in versions
                for each in reversed(of_key)
            ]

        return self._request("ListObjectVersions", listed)[0]

    def paginate(self, *, Bucket: str, Prefix: str, **_: Any) -> Iterator[Any]:
        def listed() -> Any:
            newest = ((key, self._bucket.newest(key)) for key in self._bucket.keys(Prefix))
            return [{"Key": key, "ETag": version.etag} for key, version in newest if version]

        contents = self._request("ListObjectsV2", listed)[0]
        yield {"Contents": contents} if contents else {}

    def _write(self, operation: str, apply: Callable[[], str], is_conditional: bool) -> Any:
        etag, _ = self._request(operation, apply, is_write=True, is_conditional=is_conditional)
        return {"ETag": etag}

    def _request(
        self,
        operation: str,
        apply: Callable[[], Any],
        *,
        is_write: bool = False,
        is_conditional: bool = False,
    ) -> tuple[Any, str | None]:
        process, scheduler = current().process, Scheduler.active
        is_open = is_write or not process.only_writes
        where = begun(process, self._faults, is_open)
        latency = 0.005 + 0.05 * self._latency.number(where) ** 3
        fault = self._faults.one_of(CHANCES, where) if process.faults and is_open else None
        if fault == "process.pause":
            process.paused_until = scheduler.now + 20 + 200 * self._latency.number(f"pause {where}")
        if fault == "s3.slow":
            latency += 100 * self._latency.number(f"slow {where}") ** 2
        scheduler.sleep(latency / 2)
        match fault:
            case "s3.error":
                raise _refusal("SlowDown", 503, operation)
            case "s3.timeout":
                scheduler.sleep(60)
                raise ConnectTimeoutError(endpoint_url=ENDPOINT)
            case "s3.metadata":
                scheduler.sleep(20)
                raise CredentialRetrievalError(provider="iam-role", error_msg="timed out")
            case "s3.denied":
                raise _refusal("AccessDenied", 403, operation)
            case "s3.conflict" if is_conditional:
                raise _refusal("ConditionalRequestConflict", 409, operation)
            case "s3.late" if is_write:
                late = Process("the network")
                after = 60 + 90 * self._latency.number(f"late {where}")
                scheduler.spawn(lambda: _later(after, apply), late)
                scheduler.sleep(60)
                raise ReadTimeoutError(endpoint_url=ENDPOINT)
        result = apply()
        scheduler.sleep(latency / 2)
        ended(process, self._faults, is_open)
        if is_write and fault == "s3.lost_for_good":
            scheduler.sleep(60)
            raise ReadTimeoutError(endpoint_url=ENDPOINT)
        if is_write and fault == "s3.lost_reply":  # botocore sends it again
            scheduler.sleep(1)
            result = apply()
        return result, fault


def _later(seconds: float, apply: Callable[[], Any]) -> None:
    Scheduler.active.sleep(seconds)
    try:
        apply()
    except ClientError:
        return


def begun(process: Process, faults: Faults, is_open: bool = True) -> str:
    """Count a request of a process; it may be killed just before, where the request is open to that."""
    process.operations += 1
    process.strikes += is_open
    where = f"{process.name}#{process.operations}"
    if not process.is_alive:
        raise Killed
    if is_open and process.strikes == process.kill_at and not process.kill_after:
        _kill(process, faults, "process.kill_before", where)
    return where


def ended(process: Process, faults: Faults, is_open: bool = True) -> None:
    """A request has had its effect; the process may be killed before it knows."""
    if is_open and process.strikes >= process.kill_at > 0 and process.kill_after:
        _kill(process, faults, "process.kill_after", f"{process.name}#{process.kill_at}")


def _kill(process: Process, faults: Faults, kind: str, where: str) -> None:
    process.kill_at = 0
    if faults.take(kind, where):
        Scheduler.active.kill(process)
        raise Killed
