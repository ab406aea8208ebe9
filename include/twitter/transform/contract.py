"""The promise to readers: the columns of the refined table, their types, and what is checked of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow
from pyarrow import compute

from include.twitter.day import Day

VERSION = "2"
"""Raised when a column is added, dropped, renamed or changes its meaning."""

READ_CSV = "pd.read_csv(path, dtype=str, keep_default_na=False)"
"""The line that reads the CSV right: ids keep their digits, a post that says just NA stays one."""

NOT_OWN = "is another author's, not the account's own"
"""Why a post of another author is rejected."""
MOMENTS = "%Y-%m-%dT%H:%M:%SZ"
LINE_BREAKS = re.compile("[\r\n\v\f\x1c-\x1e\u0085\u2028\u2029]+")
"""What becomes one space in the CSV, so that a record is a line for every reader."""


@dataclass(frozen=True)
class Kind:
    """A type, as the three places that hold the table call it."""

    csv: str
    parquet: pyarrow.DataType
    pandas: str

    def array(self, values: list[Any]) -> Any:
        """The values as a column: by way of Arrow it takes a third of pandas' own."""
        if self.pandas == "object":
            return pd.Series(values, dtype="object").array
        kind: Any = pd.api.types.pandas_dtype(self.pandas)
        return kind.__from_arrow__(pyarrow.array(values, self.parquet))


STRING = Kind("text", pyarrow.string(), "string")
INTEGER = Kind("whole number", pyarrow.int64(), "Int64")
BOOLEAN = Kind("`true` or `false`", pyarrow.bool_(), "boolean")
MOMENT = Kind("`2026-11-18T09:30:00Z`", pyarrow.timestamp("ms", tz="UTC"), "datetime64[ms, UTC]")
TEXTS = Kind("JSON array", pyarrow.list_(pyarrow.string()), "object")


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind
    about: str
    optional: bool = False
    """Whether it may be empty: X did not send it, or reports that it could not fill it."""


COLUMNS = (
    Column("tweet_id", STRING, "the post's id; unique in the table"),
    Column("created_at", MOMENT, "when it was posted, inside the day"),
    Column(
        "username",
        STRING,
        "the account's handle, as `twitter_handles` wrote it when the account's day was first bought; a "
        "rename changes no landed day, and `author_id` joins across it",
    ),
    Column(
        "text",
        STRING,
        "the whole text, also of long posts and articles; links whole, HTML entities resolved, NUL as "
        "U+FFFD; empty where a post is a picture alone",
    ),
    Column("likes", INTEGER, "", optional=True),
    Column("retweets", INTEGER, "", optional=True),
    Column("replies", INTEGER, "", optional=True),
    Column("quotes", INTEGER, "", optional=True),
    Column(
        "bookmarks",
        INTEGER,
        "empty, not 0, for posts from before X showed it (2023-03-16)",
        optional=True,
    ),
    Column(
        "impressions",
        INTEGER,
        "how often it was seen; empty, not 0, for posts from before X showed it (2022-12-22)",
        optional=True,
    ),
    Column(
        "lang",
        STRING,
        "X's guess at the language (BCP 47; `und`, `zxx`, `qme` and others for none)",
        optional=True,
    ),
    Column("is_quote", BOOLEAN, "it quotes another post", optional=True),
    Column("hashtags", TEXTS, "without `#`, in order; `[]` is none", optional=True),
    Column("mentions", TEXTS, "user names without `@`, in order; `[]` is none", optional=True),
    Column("cashtags", TEXTS, "stock symbols without `$`, in order; `[]` is none", optional=True),
    Column(
        "urls",
        TEXTS,
        "the links of its author, expanded, in order; none to attached media or to itself; `[]` is none",
        optional=True,
    ),
    Column("url", STRING, "permalink"),
    Column("author_id", STRING, "the account's id"),
    Column("conversation_id", STRING, "id of the post that began the thread", optional=True),
    Column("original_tweet_id", STRING, "id of the first version of an edited post, else `tweet_id`"),
    Column(
        "is_edited",
        BOOLEAN,
        "the post was edited: this is a later version, or there is a later one, also on the next day",
        optional=True,
    ),
    Column("possibly_sensitive", BOOLEAN, "", optional=True),
    Column("captured_at", MOMENT, "when X answered: the moment that the counts are of"),
)
NAMES = [column.name for column in COLUMNS]
IDS = ["tweet_id", "conversation_id", "original_tweet_id"]
OPTIONAL = {column.name for column in COLUMNS if column.optional}
METRICS = ["likes", "retweets", "replies", "quotes", "bookmarks", "impressions"]
PATTERNS = dict.fromkeys(IDS, "[0-9]{1,19}") | {"lang": "[A-Za-z0-9-]+"}
"""What the whole of a cell has to look like."""


def parquet_schema(columns: Iterable[Column]) -> pyarrow.Schema:
    return pyarrow.schema(
        [pyarrow.field(column.name, column.kind.parquet, nullable=column.optional) for column in columns]
    )


PARQUET_SCHEMA = parquet_schema(COLUMNS)


@dataclass(frozen=True)
class Check:
    """What has to be true of a column's cells, and what is wrong where it is not."""

    holds: Callable[[pd.Series], pd.Series]
    otherwise: str
    of_missing: bool = False
    """Whether empty cells are looked at too."""


def checks(day: Day, own_ids: pd.Series) -> dict[str, Check]:
    """What is checked of the rows of a day; `own_ids` has the id of each row's account."""
    return {
        **{name: _like(name, "is no id") for name in IDS},
        "created_at": Check(lambda at: (at >= day.start) & (at < day.end), f"is not on {day}"),
        "author_id": Check(lambda ids: (ids == own_ids).fillna(False).astype(bool), NOT_OWN, of_missing=True),
        "lang": _like("lang", "is no language"),
        **{metric: Check(lambda counts: counts >= 0, "is negative") for metric in METRICS},
    }


def _like(name: str, otherwise: str) -> Check:
    return Check(lambda cells: cells.str.fullmatch(PATTERNS[name]), otherwise)


def breaches(rows: pd.DataFrame, day: Day, own_ids: pd.Series) -> list[tuple[int, str, str]]:
    """What breaks the contract: the row's index, the column, and what is wrong."""
    found = checks(day, own_ids)
    return [] if _keep(rows, found) else _broken(rows, found)


def _keep(rows: pd.DataFrame, checks: Mapping[str, Check]) -> bool:
    """Whether all rows keep it: on nearly every day they do, and nothing has to be named."""
    kinds = [(column.name, column.kind.pandas) for column in COLUMNS]
    return (
        [*rows.dtypes.astype(str).items()] == kinds
        and not any(rows[column.name].hasnans for column in COLUMNS if not column.optional)
        and all(check.holds(rows[name]).all() for name, check in checks.items())
    )


def _broken(rows: pd.DataFrame, checks: Mapping[str, Check]) -> list[tuple[int, str, str]]:
    import pandera.pandas as pa  # here: as long to import as pandas, and rarely needed

    columns = {column.name: pa.Column(column.kind.pandas, nullable=column.optional) for column in COLUMNS}
    for name, check in checks.items():
        columns[name].checks = [pa.Check(check.holds, error=check.otherwise, ignore_na=not check.of_missing)]
    try:
        pa.DataFrameSchema(columns, strict=True, ordered=True).validate(rows, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        if cases["index"].isna().any():  # a column, not a row: no data could do that
            raise
        return [(int(case.index), str(case.column), str(case.check)) for case in cases.itertuples()]
    return []


def csv_text(rows: pd.DataFrame, columns: Iterable[Column] = COLUMNS) -> str:
    """The rows as CSV, without the header: RFC 4180 quotes, one record a line, empty for missing."""
    cells = [_cells(column, rows[column.name]) for column in columns]
    lines = compute.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
    return "\n".join([*lines.to_pylist(), ""])


def _cells(column: Column, values: pd.Series) -> Any:
    """A column as the strings that stand in the CSV, or null."""
    if column.kind is MOMENT:
        return pyarrow.array(np.datetime_as_string(values.to_numpy("datetime64[s]"), timezone="UTC"))
    if column.kind is TEXTS:
        return _quoted(pyarrow.array([_json_line(each) for each in values.to_numpy()], pyarrow.string()))
    cells = pyarrow.array(values, column.kind.parquet)
    if column.name == "text":
        cells = compute.replace_substring_regex(cells, LINE_BREAKS.pattern, " ")
    return _quoted(cells) if column.kind is STRING else cells.cast(pyarrow.string())


def _quoted(cells: Any) -> Any:
    """Those that hold a comma or a quote are put in quotes; no cell holds a line break."""
    needed = compute.match_substring_regex(cells, '[",]')
    if not compute.any(needed).as_py():
        return cells
    quoted = compute.binary_join_element_wise('"', compute.replace_substring(cells, '"', '""'), '"', "")
    return compute.if_else(needed, quoted, cells)


def _json_line(texts: list[str] | None) -> str | None:
    """A JSON array on one line: the line breaks that JSON lets stand are escaped, like the others."""
    if not texts:
        return None if texts is None else "[]"
    line = msgspec.json.encode(texts).decode()
    if line.isascii():
        return line
    return LINE_BREAKS.sub(lambda found: "".join(f"\\u{ord(character):04x}" for character in found[0]), line)


def arrow_table(rows: pd.DataFrame, schema: pyarrow.Schema = PARQUET_SCHEMA) -> pyarrow.Table:
    """The rows with the Parquet types, text as it was."""
    return pyarrow.Table.from_pandas(rows, schema, preserve_index=False).replace_schema_metadata()
