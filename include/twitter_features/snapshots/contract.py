"""The columns of a snapshot, their checks, and the files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pandas as pd
import pandera.pandas as pa

from include.twitter.records import PostState
from include.twitter.transform.contract import INTEGER, METRICS, MOMENT, STRING, Column
from include.twitter.transform.files import table_files
from include.twitter_features.snapshots.post_status import PostStatus

SNAPSHOT_VERSION = "1"
"""Raised when a column is added, dropped, renamed or changes its meaning."""

SNAPSHOT_COLUMNS = (
    Column("tweet_id", STRING, "the post's id, as in the day's table; unique in the file"),
    *(Column(name, INTEGER, "by then; empty where X no longer gives the post", True) for name in METRICS),
    Column("captured_at", MOMENT, "when X answered: the moment that the counts are of"),
    Column(
        "state", STRING, "`there`, `gone`, `protected`, `suspended`, `withheld`, `edited` or `unanswered`"
    ),
)
CHECKS = {
    "tweet_id": pa.Check.str_matches(r"^[0-9]{1,19}\Z"),
    "state": pa.Check.isin(get_args(PostState)),
    **dict.fromkeys(METRICS, pa.Check.ge(0)),
}
SCHEMA = pa.DataFrameSchema(
    {
        column.name: pa.Column(column.kind.pandas, CHECKS.get(column.name), nullable=column.optional)
        for column in SNAPSHOT_COLUMNS
    },
    coerce=True,
    strict=True,
    ordered=True,
    unique=["tweet_id"],
)


def write_files(folder: Path, statuses: Iterable[PostStatus]) -> dict[str, Path]:
    """Write CSV and Parquet; SchemaError, and no file, for rows that violate the contract."""
    rows = [(status.tweet_id, *status.counts, status.captured_at, status.state) for status in statuses]
    frame = SCHEMA.validate(pd.DataFrame(rows, columns=[*SCHEMA.columns], dtype="object"))
    files = {"csv": folder / "engagement.csv", "parquet": folder / "engagement.parquet"}
    with table_files(files["csv"], files["parquet"], SNAPSHOT_COLUMNS) as append:
        append(frame)
    return files
