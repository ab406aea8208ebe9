"""The files of the counts at an age."""

import csv

import pandera.errors
import pyarrow.parquet
import pytest

from include.twitter.engagement import table
from include.twitter.engagement.seen import Seen
from include.twitter.transform.contract import parquet_schema
from tests.include.invented import RECEIVED

LARGE = 9_007_199_254_740_993
"""More than a float holds."""
LINES = [
    Seen("1990000000000000001", (LARGE, 2, 3, 4, 5, None), RECEIVED, "there"),
    Seen("1990000000000000002", (None,) * 6, RECEIVED, "gone", "deleted"),
]


def test_both_files_hold_every_digit_and_missing_is_empty(tmp_path):
    files = table.write(tmp_path, LINES)
    assert files["csv"].read_text() == (
        "tweet_id,likes,retweets,replies,quotes,bookmarks,impressions,captured_at,state\n"
        f"1990000000000000001,{LARGE},2,3,4,5,,2026-11-19T01:30:07Z,there\n"
        "1990000000000000002,,,,,,,2026-11-19T01:30:07Z,gone\n"
    )
    twin = pyarrow.parquet.read_table(files["parquet"])
    assert twin.schema == parquet_schema(table.COLUMNS)
    assert twin.to_pylist()[0]["likes"] == LARGE
    assert [row["likes"] for row in twin.to_pylist()] == [LARGE, None]
    assert twin.to_pylist()[1]["captured_at"] == RECEIVED


def test_a_day_without_a_post_is_a_header(tmp_path):
    files = table.write(tmp_path, [])
    with files["csv"].open(newline="") as opened:
        assert list(csv.reader(opened)) == [[column.name for column in table.COLUMNS]]
    assert pyarrow.parquet.read_table(files["parquet"]).num_rows == 0


def test_the_same_rows_give_the_same_bytes(tmp_path):
    once = {name: file.read_bytes() for name, file in table.write(tmp_path, LINES).items()}
    assert {name: file.read_bytes() for name, file in table.write(tmp_path, LINES).items()} == once


@pytest.mark.parametrize(
    "line",
    [
        LINES[0],  # once more
        LINES[0]._replace(tweet_id="none"),
        LINES[0]._replace(tweet_id="3", state="lost"),
        LINES[0]._replace(tweet_id="3", counts=(-1, 2, 3, 4, 5, 6)),
    ],
    ids=["twice", "no id", "no state", "below zero"],
)
def test_what_breaks_the_contract_is_not_written(tmp_path, line):
    with pytest.raises(pandera.errors.SchemaError):
        table.write(tmp_path, [*LINES, line])
    assert list(tmp_path.iterdir()) == []
