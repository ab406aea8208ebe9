"""The files of a snapshot."""

import pandera.errors
import pyarrow.parquet
import pytest

from include.twitter.transform.contract import parquet_schema
from include.twitter_features.snapshots import contract
from include.twitter_features.snapshots.post_status import PostStatus
from tests.include.factories import RECEIVED

LARGE = 9_007_199_254_740_993
"""More than a float holds."""
HEADER = "tweet_id,likes,retweets,replies,quotes,bookmarks,impressions,captured_at,state\n"
STATUSES = [
    PostStatus("1990000000000000001", (LARGE, 2, 3, 4, 5, None), RECEIVED, "there"),
    PostStatus("1990000000000000002", (None,) * 6, RECEIVED, "gone", "deleted"),
]


def test_both_files_hold_every_digit_and_missing_is_empty(tmp_path):
    files = contract.write_files(tmp_path, STATUSES)
    first = {name: file.read_bytes() for name, file in files.items()}
    assert first["csv"].decode() == (
        f"{HEADER}1990000000000000001,{LARGE},2,3,4,5,,2026-11-19T01:30:07Z,there\n"
        "1990000000000000002,,,,,,,2026-11-19T01:30:07Z,gone\n"
    )
    table = pyarrow.parquet.read_table(files["parquet"])
    assert table.schema == parquet_schema(contract.SNAPSHOT_COLUMNS)
    assert table["likes"].to_pylist() == [LARGE, None]
    assert table["captured_at"].to_pylist()[1] == RECEIVED
    again = contract.write_files(tmp_path, STATUSES)
    assert {name: file.read_bytes() for name, file in again.items()} == first


def test_a_day_without_a_post_is_a_header(tmp_path):
    files = contract.write_files(tmp_path, [])
    assert files["csv"].read_text() == HEADER
    assert pyarrow.parquet.read_table(files["parquet"]).num_rows == 0


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tweet_id": "none"},
        {"tweet_id": "3", "state": "lost"},
        {"tweet_id": "3", "counts": (-1, *[2] * 5)},
    ],
    ids=["twice", "no id", "no state", "below zero"],
)
def test_rows_that_violate_the_contract_are_not_written(tmp_path, changes):
    with pytest.raises(pandera.errors.SchemaError):
        contract.write_files(tmp_path, [*STATUSES, STATUSES[0]._replace(**changes)])
    assert list(tmp_path.iterdir()) == []
