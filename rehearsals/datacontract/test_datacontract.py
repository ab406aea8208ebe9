"""The contract as `datacontract` reads it, in its own environment: landed days pass, broken days fail.

What needs no checker is in tests/docs/test_datacontract.py: the file, its columns, its keys, its SQL rules.
"""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from jsonschema import Draft201909Validator
from pyarrow import compute

from docs import datacontract
from include.twitter.transform import contract, refine
from include.twitter.transform.files import Partition
from tests.docs.test_read import HARD, land
from tests.include.factories import DAY, make_response, post

ROOT = Path(__file__).parents[2]
TOOL = ROOT / ".local" / "datacontract"
CHECK = """
import json, sys
import duckdb, yaml
from datacontract.data_contract import DataContract

kinds, *cases = sys.argv[1:]
results = {}
for case in cases:
    view = f"SELECT * FROM read_parquet('{case}/dt=*/refined_tweets.parquet', hive_partitioning = true)"
    with duckdb.connect(f"{case}/tables.duckdb") as tables:
        tables.execute(f"CREATE VIEW refined_tweets AS {view}")
    file = f"{case}/datacontract.yaml"
    results[case] = {}
    for server in yaml.safe_load(open(file))["servers"]:
        options = {"server": server["server"], "check_categories": set(kinds.split(","))}
        checks = DataContract(data_contract_file=file, **options).test().checks
        results[case][server["server"]] = {check.name: check.result.value for check in checks}
json.dump(results, sys.stdout)
"""
"""What `datacontract test` does, for many days in one process: it takes 5 seconds to start."""


def checked(*cases: Path, kinds: str = "schema,quality") -> dict[str, dict[str, dict[str, str]]]:
    """What the checker says of folders with a landed day: by folder and file, the result of each check."""
    for case in cases:
        whole = yaml.safe_load(datacontract.text()) | {"servers": servers(case)}
        (case / "datacontract.yaml").write_text(yaml.safe_dump(whole))
    command = [TOOL / "bin" / "python", "-c", CHECK, kinds, *cases]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return {Path(case).name: results for case, results in json.loads(done.stdout).items()}


def servers(case: Path) -> list[dict[str, str]]:
    """The files of a folder in the place of those in S3."""
    csv = {"server": "csv", "type": "local", "path": f"{case}/dt=*/refined_tweets.csv", "format": "csv"}
    # It does not look at the types in a Parquet file, but at those of a table over it.
    table = {"server": "parquet", "type": "duckdb", "database": f"{case}/tables.duckdb", "schema": "main"}
    return [csv, table] if list(case.glob("dt=*/*.csv")) else [table]


def faults(checks: dict[str, str]) -> set[str]:
    return {name for name, result in checks.items() if result != "passed"}


def with_column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


def twice(table):
    return pyarrow.concat_tables([table, table.slice(0, 1)])


def a_day_later(table):
    moment = pyarrow.scalar(DAY.end, contract.MOMENT.parquet)
    return with_column(table, "created_at", pyarrow.repeat(moment, len(table)))


def likes_as_text(table):
    return with_column(table, "likes", compute.cast(table["likes"], pyarrow.string()))


def fewer_than_no_likes(table):
    return with_column(table, "likes", pyarrow.repeat(pyarrow.scalar(-1), len(table)))


def an_id_lost_its_digits(table):
    return with_column(table, "conversation_id", pyarrow.repeat("1.99e+18", len(table)))


def without_lang(table):
    return table.drop_columns("lang")


LIKES_ARE_NO_COUNT = {"Check that field likes has a minimum of 0", "What is counted is 0 or more."}
BROKEN = {
    twice: {
        "Check that model refined_tweets has duplicate_count = 0 for columns tweet_id",
        "Check that unique field tweet_id has no duplicate values",
    },
    a_day_later: {"A post stands in the partition of the UTC day on which it was posted."},
    likes_as_text: LIKES_ARE_NO_COUNT | {"Check that field likes has type integer"},
    fewer_than_no_likes: LIKES_ARE_NO_COUNT,
    an_id_lost_its_digits: {"Check that field conversation_id matches regex pattern ^[0-9]{1,19}$"},
    without_lang: {
        "Check that field 'lang' is present",
        "Check that field lang has type string",
        "Check that field lang matches regex pattern ^[A-Za-z0-9-]+$",
    },
}
"""What is done to the Parquet file of a day, and the checks that it fails."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the checker says of each day, by its name."""
    folder = tmp_path_factory.mktemp("days")

    def day(name, posts):
        (folder / name / f"dt={DAY}").mkdir(parents=True)
        return land(folder / name / f"dt={DAY}", posts)

    first, last = f"{DAY}T00:00:00.000Z", f"{DAY}T23:59:59.000Z"
    day("hard", [*HARD, post(97, created_at=first), post(98, created_at=last)])
    day("empty", [])
    csv = day("a line twice", HARD) / "refined_tweets.csv"
    csv.write_text(csv.read_text() + csv.read_text().splitlines(keepends=True)[-1])
    for break_it in BROKEN:
        there = day(break_it.__name__, HARD)
        (there / "refined_tweets.csv").unlink()
        file = there / "refined_tweets.parquet"
        pyarrow.parquet.write_table(break_it(pyarrow.parquet.ParquetFile(file).read()), file)
    return checked(*folder.iterdir())


def test_it_is_as_the_standard_demands():
    (schema,) = TOOL.glob("lib/*/site-packages/datacontract/schemas/odcs-3.1.0.schema.json")
    standard = Draft201909Validator(json.loads(schema.read_text()))
    whole = yaml.safe_load(datacontract.FILE.read_text())
    assert list(standard.iter_errors(whole)) == []
    whole["schema"][0]["properties"][0]["logicalType"] = "text"
    assert list(standard.iter_errors(whole)) != []


@pytest.mark.parametrize("day", ["hard", "empty"])
@pytest.mark.parametrize(("server", "checks"), [("csv", 47), ("parquet", 75)])
def test_a_landed_day_passes_every_check(results, day, server, checks):
    assert faults(results[day][server]) == set()
    assert len(results[day][server]) == checks


@pytest.mark.parametrize("break_it", BROKEN)
def test_a_day_that_breaks_the_contract_fails_the_check_that_says_so(results, break_it):
    assert faults(results[break_it.__name__]["parquet"]) == BROKEN[break_it]


def test_a_csv_with_a_line_twice_fails_the_same_check(results):
    assert faults(results["a line twice"]["csv"]) == BROKEN[twice]


def test_a_day_is_fresh_for_as_long_as_the_contract_promises(tmp_path):
    ages = {"fresh": timedelta(hours=27), "stale": timedelta(hours=29)}
    for name, age in ages.items():
        folder = tmp_path / name / f"dt={DAY}"
        folder.mkdir(parents=True)
        page = make_response(post(1), received_at=datetime.now(UTC) - age)
        with Partition(folder) as partition:
            for batch in refine.refine_accounts(
                [refine.AccountPages("ObservatoryHill", "42", [page])], day=DAY, limit=0
            ):
                partition.append(batch)
    results = checked(*(tmp_path / name for name in ages), kinds="schema,quality,servicelevel")
    assert [faults(results["fresh"][server]) for server in ("csv", "parquet")] == [set(), set()]
    assert faults(results["stale"]["csv"]) == {"Freshness of refined_tweets.captured_at < 28.5h"}
