"""A column is one entry of COLUMNS: whoever adds one touches no other code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from include.twitter.transform import contract
from include.twitter.transform.decode import FIELDS
from include.twitter.x.client import POST_FIELDS

ROOT = Path(__file__).parents[3]
AFTER = '    Column("possibly_sensitive",'
ADDED = """\
    Column("replies_by", STRING, "who may reply", True, "reply_settings",
           CellCheck("[a-z]+", "is no audience")),
    Column("place", STRING, "", True, "geo.place_id"),
    Column("words", INTEGER, "", False, lambda written: len(written.text.split())),
"""
SCRIPT = """
import json, sys
from importlib.util import spec_from_file_location
from pathlib import Path

class Changed:
    def find_spec(name, path=None, target=None):
        if name == "include.twitter.transform.contract":
            return spec_from_file_location(name, sys.argv[1])

sys.meta_path.insert(0, Changed)
import pyarrow.parquet
from include.twitter.csv_rows import csv_rows
from tests.include.factories import DAY, account, make_response, post
from include.twitter.transform.files import Partition
from deploy import athena
posts = [post(1, reply_settings="everyone", geo={"place_id": "07d9", "coordinates": {}}),
         post(2, reply_settings="??"), post(3, reply_settings=5)]
batch = account([make_response(*posts)], username="o", author_id="42", day=DAY, limit=0)
with Partition(Path(sys.argv[2])) as partition:
    partition.append(batch)
names = "replies_by", "place", "words"
parquet = pyarrow.parquet.read_table(partition.parquet, columns=[*names]).to_pylist()
schema = {field["name"]: field for field in json.loads(athena.schema())["fields"]}
print(json.dumps({
    "csv": [[row[name] for name in names] for row in csv_rows(partition.csv.open())],
    "parquet": [[*row.values()] for row in parquet],
    "schema": [schema[name]["athena"] for name in names],
    "dropped_fields": batch.post_counts.dropped_fields,
    "drift": batch.post_counts.drift,
}))
"""


@pytest.fixture(scope="module")
def with_columns(tmp_path_factory):
    """What comes of posts once three columns are added to contract.py."""
    folder = tmp_path_factory.mktemp("columns")
    text = Path(contract.__file__).read_text()
    assert text.count(AFTER) == 1
    (folder / "contract.py").write_text(text.replace(AFTER, ADDED + AFTER))
    command = [sys.executable, "-c", SCRIPT, folder / "contract.py", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_added_column_is_in_csv_parquet_and_schema_with_its_origin_and_check(with_columns):
    assert with_columns["csv"] == [["everyone", "07d9", "3"], ["", "", "3"], ["", "", "3"]]
    assert with_columns["parquet"] == [["everyone", "07d9", 3], [None, None, 3], [None, None, 3]]
    assert with_columns["schema"] == ["string", "string", "bigint"]
    assert with_columns["dropped_fields"] == {
        "replies_by: is no audience": 1,
        "reply_settings: expected str | null, got int": 1,
    }
    assert with_columns["drift"] == {}


def test_every_field_that_a_column_is_made_of_is_requested_from_x():
    always_sent = {"id", "text"}
    made_of = {column.path or column.made_of for column in contract.COLUMNS}
    assert {name.partition(".")[0] for name in made_of if name} - always_sent <= {*POST_FIELDS}
    assert {column.path.partition(".")[0] for column in contract.COLUMNS if column.path} <= FIELDS
