"""The promise to readers of the counts at an age: the columns, what is checked of them, and the files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pandas as pd
import pandera.pandas as pa

from include.twitter.engagement.seen import Seen
from include.twitter.records import PostState
from include.twitter.transform.contract import INTEGER, METRICS, MOMENT, STRING, Column
from include.twitter.transform.partition import table_files

VERSION = "1"
"""Raised when a column is added, dropped, renamed or changes its meaning."""

COLUMNS = (
    Column("tweet_id", STRING, "the post's id, as in the day's table; unique in the file"),
    *(Column(name, INTEGER, "by then; empty where X no longer gives the post", True) for name in METRICS),
    Column("captured_at", MOMENT, "when X answered: the moment that the counts are of"),
    Column(
        "state", STRING, "`there`, `gone`, `protected`, `suspended`, `withheld`, `edited` or `unanswered`"
    ),
)
SCHEMA = pa.DataFrameSchema(
    {
        column.name: pa.Column(
            column.kind.pandas,
            {
                "tweet_id": [pa.Check.str_matches(r"^[0-9]{1,19}\Z")],
                "state": [pa.Check.isin(get_args(PostState))],
            }.get(column.name, [pa.Check.ge(0)] if column.name in METRICS else None),
            nullable=column.optional,
            unique=column.name == "tweet_id",
        )
        for column in COLUMNS
    },
    strict=True,
    ordered=True,
)


def rows(lines: Iterable[Seen]) -> pd.DataFrame:
    """What was seen, with the types of the table, checked."""
    values = [(line.tweet_id, *line.counts, line.captured_at, line.state) for line in lines]
    frame = pd.DataFrame(values, columns=[column.name for column in COLUMNS], dtype="object")
    frame["captured_at"] = pd.to_datetime(frame["captured_at"], utc=True)
    return SCHEMA.validate(frame.astype({column.name: column.kind.pandas for column in COLUMNS}))


def write(folder: Path, lines: Iterable[Seen]) -> dict[str, Path]:
    """CSV and Parquet of what was seen; nothing at all is a header."""
    frame = rows(lines)
    files = {"csv": folder / "engagement.csv", "parquet": folder / "engagement.parquet"}
    with table_files(files["csv"], files["parquet"], COLUMNS) as append:
        append(frame)
    return files
