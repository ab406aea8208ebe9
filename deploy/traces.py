"""Finds erased posts in an object of the bucket, and redacts the object.

Every other row stays the same, byte for byte: nothing is refined again.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow
import pyarrow.parquet
from msgspec import Struct
from msgspec.structs import replace

from include.twitter.csv_rows import csv_rows
from include.twitter.records import AccountReceipt, PublishedObject, Receipt, Tombstone, encoded
from include.twitter.records import decoded as decoded_record
from include.twitter.response import MAX_STORED_BYTES, decode_json, unzipped
from include.twitter.tombstones import MARK, Tombstones, ids_of

RESPONSE, LINES, CSV, PARQUET = ".json.gz", ".jsonl.gz", ".csv", ".parquet"
BODY_FIELD = b',"body":'
"""The start of the body in a raw response: no text before it can contain this."""
LINES_BYTES = 1 << 30
"""Of one day's rejected posts after decompression."""
IDS = ("tweet_id", "original_tweet_id")
AUTHOR = "author_id"
FORMAT_ERRORS = (
    AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, csv.Error, zlib.error,
)  # fmt: skip
"""What an object raises that is not what its key says; a StopIteration in a generator is a RuntimeError."""
Files = Mapping[str, tuple[bytes, str]]
"""Bytes and etag of the files that a receipt names, by their names there."""


class Trace(NamedTuple):
    """A post that has to go, or a user."""

    ids: tuple[str, ...]
    """Its own first, then those of its versions."""
    tombstone: Tombstone
    is_post: bool = True


class NotReadable(Exception):
    """An object is not what its name says, so nobody knows what it holds."""


def traces(key: str, data: bytes, tombstones: Tombstones) -> list[Trace]:
    """Return the erased posts and users in an object."""
    try:
        return list(_traces(key, data, tombstones))
    except FORMAT_ERRORS as error:
        raise NotReadable(
            f"{key} cannot be read ({error}): correct or remove it, then run this again."
        ) from error


def _traces(key: str, data: bytes, tombstones: Tombstones) -> Iterator[Trace]:
    if key.endswith(RESPONSE):
        yield from _in_response(data, tombstones)
        return
    for ids, author in _rows_of_file(key, data):
        if tombstone := tombstones.of_ids(ids, author):
            yield Trace(tuple(ids), tombstone)


def redact(key: str, data: bytes, tombstones: Tombstones) -> bytes:
    """Return the object without erased posts and users."""
    if key.endswith(RESPONSE):
        return _redact_response(data, tombstones)
    gone = [tombstones.of_ids(ids, author) is not None for ids, author in _rows_of_file(key, data)]
    if key.endswith(PARQUET):
        return _redact_parquet(data, gone)
    if key.endswith(LINES):
        return _gzipped(_redact_lines(unzipped(data, LINES_BYTES), gone))
    head, _, rows = data.partition(b"\n")
    return head + b"\n" + _redact_lines(rows, gone)


def _rows_of_file(key: str, data: bytes) -> Iterator[tuple[list[str], str | None]]:
    """Ids and author of each row of a file, in order."""
    if key.endswith(LINES):
        for line in io.BytesIO(unzipped(data, LINES_BYTES)):
            yield _of_line(decode_json(line))
    elif key.endswith(CSV):
        for row in csv_rows(data.decode().split("\n")):
            yield [row[name] for name in IDS if row.get(name)], row.get(AUTHOR)
    elif key.endswith(PARQUET):
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        table = file.read([name for name in (*IDS, AUTHOR) if name in file.schema_arrow.names])
        for row in table.to_pylist():
            yield [row[name] for name in IDS if row.get(name)], row.get(AUTHOR)


def _of_line(line: Any) -> tuple[list[str], str | None]:
    post = line.get("post", line) if isinstance(line, dict) else None
    if not isinstance(post, dict):
        return [], None
    return [*ids_of(post), *(str(post[name]) for name in IDS if name in post)], post.get(AUTHOR)


def _redact_lines(lines: bytes, gone: Iterable[bool]) -> bytes:
    pairs = zip(io.BytesIO(lines), gone, strict=True)
    return b"".join(line for line, goes in pairs if not goes)


def _gzipped(data: bytes) -> bytes:
    """As the pipeline writes it: no name and no time."""
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=packed, mtime=0) as file:
        file.write(data)
    return packed.getvalue()


def _redact_parquet(data: bytes, gone: list[bool]) -> bytes:
    """Row group by row group, as it was written."""
    file, output, at = pyarrow.parquet.ParquetFile(io.BytesIO(data)), io.BytesIO(), 0
    schema = _schema(file)
    with pyarrow.parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        for number in range(file.num_row_groups):
            group = file.read_row_group(number)
            stays = group.filter([not goes for goes in gone[at : at + group.num_rows]])
            at += group.num_rows
            if stays.num_rows:
                writer.write_table(stays.cast(schema))
    return output.getvalue()


def _schema(file: Any) -> pyarrow.Schema:
    """As its writer had it: Parquet has another name for the items of a list."""
    written = (file.metadata.metadata or {}).get(b"ARROW:schema")
    return pyarrow.ipc.read_schema(pyarrow.py_buffer(b64decode(written))) if written else file.schema_arrow


# Raw responses


def _in_response(data: bytes, tombstones: Tombstones) -> Iterator[Trace]:
    _, kind, body = _split_response(data)
    content = decode_json(body)
    includes = content.get("includes") or {}
    for name, values in {"data": content.get("data"), **includes}.items():
        are_users = name == "users" or (name == "data" and kind == "users")
        for value in values if isinstance(values, list) else ():
            if not isinstance(value, dict) or MARK in value:
                continue
            if are_users and (tombstone := tombstones.of_user(value)):
                yield Trace((), tombstone, is_post=False)
            elif not are_users and (tombstone := tombstones.of_post(value)):
                yield Trace(tuple(_own_ids(value)), tombstone)


def _own_ids(post: Mapping[str, Any]) -> Iterator[str]:
    """Of the post and its versions; not of one that it is a retweet of."""
    return ids_of({name: value for name, value in post.items() if not name.startswith("referenced_")})


def _redact_response(data: bytes, tombstones: Tombstones) -> bytes:
    head, kind, body = _split_response(data)
    return gzip.compress(head + BODY_FIELD + tombstones.redact(body, kind) + b"}", compresslevel=6, mtime=0)


def _split_response(data: bytes) -> tuple[bytes, str, bytes]:
    """Return the text before the body, the kind that X bills, and the body."""
    head, _, rest = unzipped(data, MAX_STORED_BYTES).partition(BODY_FIELD)
    return head, next(iter(json.loads(head + b"}")["billed"])), rest[:-1]


# The receipt


def receipt_of(data: bytes, files: Files, gone: Iterable[Tombstone], tombstones: Tombstones) -> bytes:
    """The receipt of a day's files as they are now.

    `gone` is what is left of the posts that any version of them held. What a receipt counts beside rows and
    rejected posts stays as it is, so the rest of what was fetched is what was erased.
    """
    landed = decoded_record(data, Receipt)
    rows, rejected = (
        _rows_by_account(files["csv"][0]),
        _rejected_by_account(files["rejected"][0]),
    )
    accounts = [
        _account_traces(line, rows[str(line.id)], rejected[line.username], tombstones)
        for line in landed.accounts
    ]
    sums = {
        name: sum(getattr(line, name) for line in accounts) for name in ("published", "rejected", "erased")
    }
    renewed = replace(
        landed,
        accounts=accounts,
        totals=replace(landed.totals, warnings=sum(len(line.warnings) for line in accounts), **sums),
        objects={name: _published(item, *files[name]) for name, item in landed.objects.items()},
        erased=sorted({*landed.erased, *gone}),
        erasures=len(tombstones.erasures),
    )
    return encoded(renewed)


def snapshot_receipt_of(data: bytes, files: Files, tombstones: Tombstones) -> bytes:
    """Return the receipt of a snapshot for its current files."""
    receipt, rows = json.loads(data), list(csv_rows(files["csv"][0].decode().split("\n")))
    objects = decoded_record(data, _WithObjects).objects
    return encoded(
        receipt
        | {
            "posts": len(rows),
            "states": Counter(row["state"] for row in rows),
            "lost": [post for post in receipt["lost"] if not tombstones.of_ids([post["tweet_id"]], None)],
            "objects": {name: _published(item, *files[name]) for name, item in objects.items()},
        }
    )


class _WithObjects(Struct):
    objects: dict[str, PublishedObject]


def _account_traces(
    line: AccountReceipt, rows: list[str], rejected: Counter[str], tombstones: Tombstones
) -> AccountReceipt:
    others = line.duplicates + line.outside + line.over_limit + line.unrequested
    if (erased := line.fetched - others - len(rows) - rejected.total()) < line.erased:
        raise NotReadable(
            f"{line.username} has more rows than its receipt says: its day was left half published. "
            "Clear `transform`, and run this again when `load` has ended."
        )
    return replace(
        line,
        published=len(rows),
        rejected=rejected.total(),
        erased=erased,
        rejected_by_reason=dict(rejected),
        warnings=[
            warning
            for warning in line.warnings
            if not tombstones.of_ids([warning.partition(":")[0]], line.id)
        ],
        first_created_at=min(rows, default=None),
        last_created_at=max(rows, default=None),
    )


def _rows_by_account(data: bytes) -> dict[str, list[str]]:
    """When each row was posted, by the account's id: two accounts may have had the same handle."""
    rows = defaultdict(list)
    for row in csv_rows(data.decode().split("\n")):
        rows[row[AUTHOR]].append(row["created_at"])
    return rows


def _rejected_by_account(data: bytes) -> dict[str, Counter[str]]:
    """How many were rejected for which reason, by account."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for line in map(decode_json, io.BytesIO(unzipped(data, LINES_BYTES))):
        counts[line["username"]][line["reason"]] += 1
    return counts


def _published(item: PublishedObject, data: bytes, etag: str) -> PublishedObject:
    return PublishedObject(item.key, len(data), hashlib.sha256(data).hexdigest(), etag)
