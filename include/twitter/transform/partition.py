"""The files of one day's partition, written account by account: memory holds one account at a time."""

from __future__ import annotations

import gzip
import hashlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pyarrow.parquet

from include.twitter.transform import contract
from include.twitter.transform.refine import Refined


class Partition:
    """CSV, Parquet and the rejected posts, in a folder on the local disk; no account at all is a header."""

    def __init__(self, folder: Path) -> None:
        self.csv = folder / "refined_tweets.csv"
        self.parquet = folder / "refined_tweets.parquet"
        self.rejected = folder / "rejected_tweets.jsonl.gz"
        self._open = ExitStack()

    @property
    def files(self) -> dict[str, Path]:
        return {"csv": self.csv, "parquet": self.parquet, "rejected": self.rejected}

    def __enter__(self) -> Partition:
        enter = self._open.enter_context
        self._csv = enter(self.csv.open("wb"))
        self._csv.write((",".join(contract.NAMES) + "\n").encode())
        self._parquet = enter(
            pyarrow.parquet.ParquetWriter(self.parquet, contract.PARQUET_SCHEMA, compression="zstd")
        )
        # No file name and no time in the gzip header: the same posts give the same bytes.
        self._rejected = enter(gzip.GzipFile("", "wb", fileobj=enter(self.rejected.open("wb")), mtime=0))
        return self

    def append(self, refined: Refined) -> None:
        """Add an account's rows below those of the accounts before it."""
        if not refined.rows.empty:
            self._csv.write(contract.csv_text(refined.rows).encode())
            self._parquet.write_table(contract.arrow_table(refined.rows))
        for post in refined.rejected:
            self._rejected.write(msgspec.json.encode(post) + b"\n")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()


def fingerprint(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with file.open("rb") as opened:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
