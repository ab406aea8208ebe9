"""The files of a snapshot."""

import csv

import pandera.errors
import pyarrow.parquet
import pytest

from include.twitter.transform.contract import parquet_schema
from include.twitter_features.snapshots import contract
from include.twitter_features.snapshots.post_status import PostStatus
from tests.include.factories import RECEIVED

LARGE = 9_007_199_254_740_993
"""More than a float holds."""
STATUSES = [
    PostStatus("1990000000000000001", (LARGE, 2, 3, 4, 5, None), RECEIVED, "there"),
    PostStatus("1990000000000000002", (None,) * 6, RECEIVED, "gone", "deleted"),
]


def test_both_files_hold_every_digit_and_missing_is_empty(tmp_path):
    files = contract.write_files(tmp_path, STATUSES)
    assert files["csv"].read_text() == (
        "tweet_id,likes,retweets,replies,quotes,bookmarks,impressions,captured_at,state\n"
        f"1990000000000000001,{LARGE},2,3,4,5,,2026-11-19T01:30:07Z,there\n"
        "1990000000000000002,,,,,,,2026-11-19T01:30:07Z,gone\n"
    )
    table = pyarrow.parquet.read_table(files["parquet"])
    assert table.schema == parquet_schema(contract.SNAPSHOT_COLUMNS)
    assert table["likes"].to_pylist() == [LARGE, None]
    assert table["captured_at"].to_pylist()[1] == RECEIVED


def test_a_day_without_a_post_is_a_header(tmp_path):
    files = contract.write_files(tmp_path, [])
    with files["csv"].open(newline="") as lines:
        assert list(csv.reader(lines)) == [[column.name for column in contract.SNAPSHOT_COLUMNS]]
    assert pyarrow.parquet.read_table(files["parquet"]).num_rows == 0


def test_the_same_rows_give_the_same_bytes(tmp_path):
    first = {name: file.read_bytes() for name, file in contract.write_files(tmp_path, STATUSES).items()}
    assert {n: file.read_bytes() for n, file in contract.write_files(tmp_path, STATUSES).items()} == first


@pytest.mark.parametrize(
    "status",
    [
        STATUSES[0],
        STATUSES[0]._replace(tweet_id="none"),
        STATUSES[0]._replace(tweet_id="3", state="lost"),
        STATUSES[0]._replace(tweet_id="3", counts=(-1, 2, 3, 4, 5, 6)),
    ],
    ids=["twice", "no id", "no state", "below zero"],
)
def test_what_violates_the_contract_is_not_written(tmp_path, status):
    with pytest.raises(pandera.errors.SchemaError):
        contract.write_files(tmp_path, [*STATUSES, status])
    assert list(tmp_path.iterdir()) == []
