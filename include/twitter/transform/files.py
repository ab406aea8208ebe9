"""The files of one day, written batch by batch: memory holds one batch."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow.parquet

from include.twitter.transform import contract
from include.twitter.transform.contract import Column
from include.twitter.transform.refine import Refined


@contextmanager
def table_files(
    csv: Path, parquet: Path, columns: Sequence[Column] = contract.COLUMNS
) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write a table as CSV and Parquet: the function that is yielded appends rows to both.

    A table without rows is a header in both.
    """
    schema = contract.parquet_schema(columns)
    with (
        csv.open("wb") as lines,
        pyarrow.parquet.ParquetWriter(parquet, schema, compression="zstd") as writer,
    ):
        lines.write((",".join(column.name for column in columns) + "\n").encode())

        def append(rows: pd.DataFrame) -> None:
            if not rows.empty:
                lines.write(contract.csv_text(rows, columns).encode())
                writer.write_table(contract.arrow_table(rows, schema))

        yield append


class Partition(ExitStack):
    """CSV, Parquet and the rejected posts, in a local folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.csv = folder / "refined_tweets.csv"
        self.parquet = folder / "refined_tweets.parquet"
        self.rejected = folder / "rejected_tweets.jsonl.gz"

    @property
    def files(self) -> dict[str, Path]:
        return {"csv": self.csv, "parquet": self.parquet, "rejected": self.rejected}

    def __enter__(self) -> Partition:
        enter = self.enter_context
        self._append = enter(table_files(self.csv, self.parquet))
        # No file name and no time in the gzip header: the same posts give the same bytes.
        self._rejected = enter(gzip.GzipFile("", "wb", fileobj=enter(self.rejected.open("wb")), mtime=0))
        return self

    def append(self, refined: Refined) -> None:
        """Add a batch below those before it."""
        self._append(refined.rows)
        for post in refined.rejected:
            self._rejected.write(msgspec.json.encode(post) + b"\n")


def fingerprint(file: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    with file.open("rb") as opened:
        return {"bytes": file.stat().st_size, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}
