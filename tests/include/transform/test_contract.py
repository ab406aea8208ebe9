"""The promise to readers, read by the readers themselves."""

import csv
import json
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from include.twitter.transform import contract
from tests.include.factories import DAY, a_day, account, make_response, post
from tests.include.transform.promised import PROMISED
from tests.include.transform.refined import refined, written

GOLDEN = Path(__file__).parents[2] / "data" / "refined_tweets.csv"


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The files of a day that holds what readers find hard."""
    accounts = [
        account([make_response(*posts)], username=username, author_id=posts[0]["author_id"], day=DAY, limit=0)
        for username, posts in a_day()
    ]
    return written(tmp_path_factory.mktemp("day"), *accounts)


# The readers


def csv_by_python(file):
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, strict=True))


def csv_by_pandas(file):
    read = pd.read_csv(file, dtype=str, keep_default_na=False)
    return read.to_dict("records")


def csv_by_duckdb(file):
    with duckdb.connect() as database:
        read = database.read_csv(
            str(file), header=True, all_varchar=True, sep=",", quotechar='"', escapechar='"', comment="",
            na_values=["\n"],
        )  # fmt: skip
        return [dict(zip(read.columns, row, strict=True)) for row in read.fetchall()]


def csv_by_pyarrow(file):
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(PROMISED, pyarrow.string()), strings_can_be_null=False
    )
    return pyarrow.csv.read_csv(file, convert_options=convert).to_pylist()


def csv_by_lines(file):
    """A reader that splits lines before it looks for quotes, like Athena's."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [dict(zip(PROMISED, next(csv.reader([line])), strict=True)) for line in lines[1:]]


CSV_READERS = [csv_by_python, csv_by_pandas, csv_by_duckdb, csv_by_pyarrow, csv_by_lines]


def parquet_by_pyarrow(file):
    return pyarrow.parquet.read_table(file).to_pylist()


def parquet_by_pandas(file):
    read = pd.read_parquet(file, dtype_backend="pyarrow")
    return pyarrow.Table.from_pandas(read, contract.PARQUET_SCHEMA, preserve_index=False).to_pylist()


def parquet_by_duckdb(file):
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        read = database.read_parquet(str(file))
        return [dict(zip(read.columns, row, strict=True)) for row in read.fetchall()]


PARQUET_READERS = [parquet_by_pyarrow, parquet_by_pandas, parquet_by_duckdb]


def as_csv_says(row):
    """A row of the Parquet file in the words of the CSV."""

    def cell(value):
        match value:
            case None:
                return ""
            case bool():
                return "true" if value else "false"
            case list():
                return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            case str() | int():
                return str(value)
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"

    return {name: cell(value) for name, value in row.items()}


# The CSV


def test_the_csv_of_a_day_is_this(day):
    assert day.csv.read_bytes() == GOLDEN.read_bytes()


@pytest.mark.parametrize("reader", CSV_READERS)
def test_every_reader_of_the_csv_gives_the_same_rows(day, reader):
    assert reader(day.csv) == csv_by_python(GOLDEN)


def test_a_run_of_line_breaks_is_one_space_in_the_csv_and_itself_in_parquet(tmp_path):
    breaks = ["\n", "\r", "\r\n", "\n\n\n", *"\v\f\x1c\x1d\x1e\x85\u2028\u2029", "\r\n\u2028"]
    texts = [f"one{line_break}two" for line_break in breaks]
    batch = refined(*(post(number, text=text) for number, text in enumerate(texts, 1)))
    day = written(tmp_path, batch)
    assert [row["text"] for row in csv_by_lines(day.csv)] == ["one two"] * 13
    assert [row["text"] for row in parquet_by_pyarrow(day.parquet)] == texts


# Parquet


def test_parquet_has_the_columns_and_types_of_the_contract_and_says_which_may_be_empty(day):
    schema = pyarrow.parquet.read_schema(day.parquet)
    assert {field.name: (str(field.type), not field.nullable) for field in schema} == {
        column.name: (column.parquet, column.required) for column in PROMISED.values()
    }
    assert schema.names == contract.COLUMN_NAMES == [*PROMISED]


def test_csv_and_parquet_hold_the_same_rows_but_for_the_line_breaks_of_the_text(day):
    from_parquet = [as_csv_says(row) for row in parquet_by_pyarrow(day.parquet)]
    for row in from_parquet:
        row["text"] = contract.LINE_BREAKS.sub(" ", row["text"])
    assert from_parquet == csv_by_python(day.csv)


@pytest.mark.parametrize(
    "defect",
    [
        lambda rows: rows.drop(columns="lang"),
        lambda rows: rows.assign(likes=rows["likes"].astype("string") + "x"),
        lambda rows: rows.assign(text=None),
    ],
    ids=["without a column", "of another type", "empty where nothing may be"],
)
def test_rows_that_do_not_fit_the_columns_are_a_defect_and_are_not_written(defect, tmp_path):
    batch = refined(post(1)).batch
    batch.rows = defect(batch.rows)
    with pytest.raises((KeyError, ValueError)):
        written(tmp_path, batch)
