"""The contract with readers: each column of the refined table, its type, its origin and its check.

A column is added here alone; `make docs` writes the docs and the schemas from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pyarrow
from msgspec import Meta
from pyarrow import compute

from include.twitter.transform.text import WrittenPost

VERSION = "3"
"""Raised when a column is added, dropped, renamed or changes its meaning."""

READ_CSV = "pd.read_csv(path, dtype=str, keep_default_na=False)"
"""The line that reads the CSV right: ids keep their digits, a post that says just NA stays one."""

MOMENTS = "%Y-%m-%dT%H:%M:%SZ"
LINE_BREAKS = re.compile("[\r\n\v\f\x1c-\x1e\u0085\u2028\u2029]+")
"""What becomes one space in the CSV, so that a record is a line for every reader."""


@dataclass(frozen=True)
class Kind:
    """A type, as the three places that hold the table name it, and as X sends it."""

    csv: str
    parquet: pyarrow.DataType
    pandas: str
    sent: Any

    def array(self, values: Sequence[Any]) -> Any:
        """The values as a column: by way of Arrow it takes a third of pandas' own time."""
        if self.pandas == "object":
            return pd.Series(values, dtype="object").array
        kind: Any = pd.api.types.pandas_dtype(self.pandas)
        return kind.__from_arrow__(pyarrow.array(values, self.parquet))


STRING = Kind("text", pyarrow.string(), "string", str)
INTEGER = Kind("whole number", pyarrow.int64(), "Int64", Annotated[int, Meta(ge=0, le=2**63 - 1)])
BOOLEAN = Kind("`true` or `false`", pyarrow.bool_(), "boolean", bool)
MOMENT = Kind("`2026-11-18T09:30:00Z`", pyarrow.timestamp("ms", tz="UTC"), "datetime64[ms, UTC]", str)
TEXTS = Kind("JSON array", pyarrow.list_(pyarrow.string()), "object", list[str])


class CellCheck(NamedTuple):
    """What a whole cell of text has to look like, and the complaint if it does not."""

    pattern: str
    complaint: str


IS_ID = CellCheck("[0-9]{1,19}", "is no id")
IS_LANGUAGE = CellCheck("[A-Za-z0-9-]+", "is no language")
IS_HANDLE = CellCheck("[A-Za-z0-9_]{1,50}", "is no handle")
IS_APP = CellCheck(r"[^\s\x00]+( [^\s\x00]+)*", "is no name of an app")


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind
    about: str
    optional: bool = False
    """Whether it may be empty: X did not send it, or reports that it could not fill it."""
    source: str | Callable[[WrittenPost], Any] = ""
    """Its origin: a path in the post that X sent, or a function of the post as people read it."""
    check: CellCheck | None = None
    measured_since: str = ""
    """When X began to show this count: 0 of an older post is no measurement (docs/x.md has the sources)."""
    made_of: str = ""
    """X's field without which a value that is empty or false is unknown."""

    @property
    def path(self) -> str:
        """The origin, if it is a path."""
        return self.source if isinstance(self.source, str) else ""

    @property
    def read(self) -> Callable[[WrittenPost], Any]:
        """The function that reads a cell of it."""
        return attrgetter(f"post.{self.source}") if isinstance(self.source, str) else self.source

    @property
    def complaint(self) -> str:
        """About a cell that fails the check."""
        return f"{self.name}: {self.check.complaint}" if self.check else ""


# fmt: off
COLUMNS = (
    Column("tweet_id", STRING, "the post's id; unique in the table", source="id", check=IS_ID),
    Column("created_at", MOMENT, "when it was posted, inside the day", source="created_at"),
    Column("username", STRING, "the account's handle, as `twitter_handles` wrote it when the account's day "
           "was first bought; a rename changes no landed day, and `author_id` joins across it",
           source=attrgetter("username")),
    Column("text", STRING, "the whole text, also of long posts and articles; links whole, HTML entities "
           "resolved, NUL as U+FFFD; empty where a post is a picture alone", source=attrgetter("text")),
    Column("likes", INTEGER, "", True, "public_metrics.like_count"),
    Column("retweets", INTEGER, "", True, "public_metrics.retweet_count"),
    Column("replies", INTEGER, "", True, "public_metrics.reply_count"),
    Column("quotes", INTEGER, "", True, "public_metrics.quote_count"),
    Column("bookmarks", INTEGER, "empty, not 0, for posts from before X showed it (2023-03-16)", True,
           "public_metrics.bookmark_count", measured_since="2023-03-16"),
    Column("impressions", INTEGER, "how often it was seen; empty, not 0, for posts from before X showed it "
           "(2022-12-22)", True, "public_metrics.impression_count", measured_since="2022-12-22"),
    Column("lang", STRING, "X's guess at the language (BCP 47; `und`, `zxx`, `qme` and others for none)",
           True, "lang", IS_LANGUAGE),
    Column("is_quote", BOOLEAN, "it quotes another post", True, attrgetter("post.is_quote"),
           made_of="referenced_tweets"),
    Column("hashtags", TEXTS, "without `#`, in order; `[]` is none", True,
           lambda written: [hashtag.tag for hashtag in written.entities.hashtags or ()],
           made_of="entities.hashtags"),
    Column("mentions", TEXTS, "user names without `@`, in order; `[]` is none", True,
           lambda written: [mention.username for mention in written.entities.mentions or ()],
           made_of="entities.mentions"),
    Column("cashtags", TEXTS, "stock symbols without `$`, in order; `[]` is none", True,
           lambda written: [cashtag.tag for cashtag in written.entities.cashtags or ()],
           made_of="entities.cashtags"),
    Column("urls", TEXTS, "the links of its author, expanded, in order; none to attached media or to itself; "
           "`[]` is none", True, attrgetter("urls"), made_of="entities.urls"),
    Column("url", STRING, "permalink",
           source=lambda written: f"https://x.com/{written.username}/status/{written.post.id}"),
    Column("author_id", STRING, "the account's id", source="author_id"),
    Column("conversation_id", STRING, "id of the post that began the thread", True, "conversation_id", IS_ID),
    Column("original_tweet_id", STRING, "id of the first version of an edited post, else `tweet_id`",
           source=lambda written: written.post.versions[0], check=IS_ID),
    Column("is_edited", BOOLEAN, "the post was edited: this is a later version, or there is a later one, "
           "also on the next day", True, attrgetter("post.is_edited"), made_of="edit_history_tweet_ids"),
    Column("possibly_sensitive", BOOLEAN, "", True, "possibly_sensitive"),
    Column("captured_at", MOMENT, "when X answered: the moment that the counts are of",
           source=attrgetter("captured_at")),
    Column("media", TEXTS, "`photo`, `video` or `animated_gif` for each attached medium, in order; `[]` is "
           "none; empty if one is of a type that is not known", True, attrgetter("post.media"),
           made_of="attachments"),
    Column("has_poll", BOOLEAN, "", True, attrgetter("post.has_poll"), made_of="attachments"),
    Column("quoted_tweet_id", STRING, "id of the post that it quotes", True,
           lambda written: written.post.reference("quoted"), IS_ID, made_of="referenced_tweets"),
    Column("quoted_username", STRING, "the quoted account's handle, as the link to the post has it", True,
           lambda written: written.post.quoted_username(written.entities), IS_HANDLE,
           made_of="referenced_tweets"),
    Column("in_reply_to_tweet_id", STRING, "in a thread, id of the author's post that it replies to", True,
           lambda written: written.post.reference("replied_to"), IS_ID, made_of="referenced_tweets"),
    Column("community_id", STRING, "id of the community that it was posted in", True, "community_id", IS_ID),
    Column("paid_partnership", BOOLEAN, "its author says that it is paid for", True, "paid_partnership"),
    Column("source", STRING, "the app that it was posted with; X rarely sends it for posts after 2022", True,
           "source", IS_APP),
)
# fmt: on
COLUMN_NAMES = [column.name for column in COLUMNS]
METRICS = [column.name for column in COLUMNS if column.path.startswith("public_metrics.")]
PATTERNS = {column.name: column.check.pattern for column in COLUMNS if column.check}
_CHECKS = [
    (place, re.compile(column.check.pattern).fullmatch)
    for place, column in enumerate(COLUMNS)
    if column.check
]


def parquet_schema(columns: Iterable[Column]) -> pyarrow.Schema:
    return pyarrow.schema(
        [pyarrow.field(column.name, column.kind.parquet, nullable=column.optional) for column in columns]
    )


PARQUET_SCHEMA = parquet_schema(COLUMNS)


def breaches(cells: Sequence[Any]) -> Iterator[Column]:
    """The columns whose checks a row fails. An empty cell fails none."""
    for place, fits in _CHECKS:
        if cells[place] is not None and not fits(cells[place]):
            yield COLUMNS[place]


def table(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """The rows, with cells in the order of COLUMNS, with the contract's types."""
    columns = zip(*rows, strict=True) if rows else [()] * len(COLUMNS)
    return pd.DataFrame(
        {column.name: column.kind.array(cells) for column, cells in zip(COLUMNS, columns, strict=True)}
    )


def csv_text(rows: pd.DataFrame, columns: Iterable[Column] = COLUMNS) -> str:
    """The rows as CSV, without the header: RFC 4180 quotes, one record a line, empty for missing."""
    cells = [_column_cells(column, rows[column.name]) for column in columns]
    lines = compute.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
    return "\n".join([*lines.to_pylist(), ""])


def _column_cells(column: Column, values: pd.Series) -> Any:
    """A column as the strings that stand in the CSV, or null."""
    if column.kind is MOMENT:
        return pyarrow.array(np.datetime_as_string(values.to_numpy("datetime64[s]"), timezone="UTC"))
    if column.kind is TEXTS:
        return _quoted(pyarrow.array([_json_line(texts) for texts in values.to_numpy()], pyarrow.string()))
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
    return LINE_BREAKS.sub(lambda match: "".join(f"\\u{ord(character):04x}" for character in match[0]), line)


def arrow_table(rows: pd.DataFrame, schema: pyarrow.Schema = PARQUET_SCHEMA) -> pyarrow.Table:
    """The rows with the Parquet types, text as it was."""
    return pyarrow.Table.from_pandas(rows, schema, preserve_index=False).replace_schema_metadata()
