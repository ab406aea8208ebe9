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
from include.twitter.transform.partition import Partition
from tests.include.invented import DAY, a_day, account, answer, post

GOLDEN = Path(__file__).parents[2] / "data" / "refined_tweets.csv"

COLUMNS = [
    "tweet_id",
    "created_at",
    "username",
    "text",
    "likes",
    "retweets",
    "replies",
    "quotes",
    "bookmarks",
    "impressions",
    "lang",
    "is_quote",
    "hashtags",
    "mentions",
    "cashtags",
    "urls",
    "url",
    "author_id",
    "conversation_id",
    "original_tweet_id",
    "is_edited",
    "possibly_sensitive",
    "captured_at",
]


def written(folder, accounts):
    with Partition(folder) as partition:
        for username, posts in accounts:
            author_id = posts[0]["author_id"] if posts else "42"
            partition.append(
                account([answer(*posts)], username=username, author_id=author_id, day=DAY, limit=0)
            )
    return partition


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The files of a day that holds what readers find hard."""
    return written(tmp_path_factory.mktemp("day"), a_day())


def of_texts(folder, texts):
    posts = [post(number, text=text) for number, text in enumerate(texts, 1)]
    return written(folder, [("ObservatoryHill", posts)])


# How each reader reads


def csv_by_python(file):
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def csv_by_pandas(file):
    read = pd.read_csv(file, dtype=str, keep_default_na=False)
    return read.to_dict("records")


def csv_by_duckdb(file):
    read = duckdb.read_csv(str(file), header=True, all_varchar=True)
    return [
        {name: value or "" for name, value in zip(read.columns, row, strict=True)} for row in read.fetchall()
    ]


def csv_by_pyarrow(file):
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pyarrow.string()), strings_can_be_null=False
    )
    return pyarrow.csv.read_csv(file, convert_options=convert).to_pylist()


def csv_by_lines(file):
    """A reader that splits lines before it looks for quotes, like Athena's."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [dict(zip(COLUMNS, next(csv.reader([line])), strict=True)) for line in lines[1:]]


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

    def said(value):
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

    return {name: said(value) for name, value in row.items()}


# The CSV


def test_the_csv_of_a_day_is_this(day):
    assert day.csv.read_bytes() == GOLDEN.read_bytes()


def test_the_csv_begins_with_the_names_of_the_columns_in_order(day):
    assert day.csv.read_text(encoding="utf-8").split("\n")[0] == ",".join(COLUMNS)
    assert contract.NAMES == COLUMNS


@pytest.mark.parametrize("reader", CSV_READERS)
def test_every_reader_of_the_csv_gives_the_same_rows(day, reader):
    assert reader(day.csv) == csv_by_python(GOLDEN)


def test_the_line_that_readers_are_told_to_use_is_the_one_that_is_tested():
    assert contract.READ_CSV == "pd.read_csv(path, dtype=str, keep_default_na=False)"


def test_a_record_is_a_line_for_whoever_counts_lines(day):
    lines = day.csv.read_bytes().split(b"\n")
    assert (len(lines), lines[-1]) == (1 + 8 + 1, b"")
    assert len(day.csv.read_text(encoding="utf-8").splitlines()) == 1 + 8


def test_a_run_of_line_breaks_is_one_space_in_the_csv_and_itself_in_parquet(tmp_path):
    breaks = [
        "\n",
        "\r",
        "\r\n",
        "\n\n\n",
        "\v",
        "\f",
        "\x1c",
        "\x1d",
        "\x1e",
        "\x85",
        "\u2028",
        "\u2029",
        "\r\n\u2028",
    ]
    day = of_texts(tmp_path, [f"one{each}two" for each in breaks])
    assert [row["text"] for row in csv_by_lines(day.csv)] == ["one two"] * 13
    assert [row["text"] for row in parquet_by_pyarrow(day.parquet)] == [f"one{each}two" for each in breaks]


def test_lists_are_json_arrays_in_the_csv():
    (row, *_) = [row for row in csv_by_python(GOLDEN) if row["tweet_id"].endswith("05")]
    assert row["hashtags"] == '["Moon","Mars"]'
    assert json.loads(row["mentions"]) == ["rowan_sky"]
    assert json.loads(row["urls"]) == ["https://observatory.example/map?a=1&b=2"]


def test_missing_is_empty_and_zero_is_zero():
    (row,) = [row for row in csv_by_python(GOLDEN) if row["text"] == "RT @rowan_sky: not a retweet"]
    assert (row["likes"], row["retweets"], row["lang"]) == ("0", "", "")


# Parquet


def test_parquet_has_the_types_of_the_contract(day):
    schema = pyarrow.parquet.read_schema(day.parquet)
    string, whole, moment = pyarrow.string(), pyarrow.int64(), pyarrow.timestamp("ms", tz="UTC")
    lists, boolean = pyarrow.list_(string), pyarrow.bool_()
    assert {field.name: field.type for field in schema} == {
        "tweet_id": string,
        "created_at": moment,
        "username": string,
        "text": string,
        "likes": whole,
        "retweets": whole,
        "replies": whole,
        "quotes": whole,
        "bookmarks": whole,
        "impressions": whole,
        "lang": string,
        "is_quote": boolean,
        "hashtags": lists,
        "mentions": lists,
        "cashtags": lists,
        "urls": lists,
        "url": string,
        "author_id": string,
        "conversation_id": string,
        "original_tweet_id": string,
        "is_edited": boolean,
        "possibly_sensitive": boolean,
        "captured_at": moment,
    }
    assert schema.names == COLUMNS


def test_parquet_says_which_columns_may_be_empty(day):
    schema = pyarrow.parquet.read_schema(day.parquet)
    assert [field.name for field in schema if field.nullable] == [
        "likes",
        "retweets",
        "replies",
        "quotes",
        "bookmarks",
        "impressions",
        "lang",
        "is_quote",
        "hashtags",
        "mentions",
        "cashtags",
        "urls",
        "conversation_id",
        "is_edited",
        "possibly_sensitive",
    ]


@pytest.mark.parametrize("reader", PARQUET_READERS)
def test_every_reader_of_parquet_gives_the_same_rows(day, reader):
    assert reader(day.parquet) == parquet_by_pyarrow(day.parquet)


def test_csv_and_parquet_hold_the_same_rows_but_for_the_line_breaks_of_the_text(day):
    from_parquet = [as_csv_says(row) for row in parquet_by_pyarrow(day.parquet)]
    for row in from_parquet:
        row["text"] = contract.LINE_BREAKS.sub(" ", row["text"])
    assert from_parquet == csv_by_python(day.csv)


# The checks


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [
        ("tweet_id", "x", "is no id"),
        ("original_tweet_id", "12345678901234567890", "is no id"),
        ("conversation_id", "", "is no id"),
        ("lang", "zh_TW", "is no language"),
    ],
)
def test_a_cell_that_breaks_its_columns_check_is_found(column, cell, complaint):
    rows = account([answer(post(1), post(2, lang=None))], username="o", author_id="42", day=DAY, limit=0).rows
    assert [where.any() for *_, where in contract.breaches(rows)] == [False] * 4
    rows.loc[rows.index[0], column] = cell
    found = {complaint: [*where] for _, complaint, where in contract.breaches(rows)}
    assert found[f"{column}: {complaint}"] == [True, False]


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
    came = account([answer(post(1))], username="o", author_id="42", day=DAY, limit=0)
    came.rows = defect(came.rows)
    with pytest.raises((KeyError, ValueError)), Partition(tmp_path) as partition:
        partition.append(came)


def test_every_column_is_explained_or_explains_itself():
    assert [column.name for column in contract.COLUMNS if not column.about] == [
        "likes",
        "retweets",
        "replies",
        "quotes",
        "possibly_sensitive",
    ]
