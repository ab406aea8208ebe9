"""The contract as a standard file: it is that of the code, and its SQL rules find a row that breaks them.

rehearsals/datacontract gives the whole file and landed days to a checker.
"""

import duckdb
import pytest
import yaml

from docs import datacontract
from include.twitter import layout
from include.twitter.transform import contract
from tests.docs.test_read import HARD, land
from tests.include.factories import DAY


def test_the_file_is_the_one_of_the_code():
    assert datacontract.FILE.read_text() == datacontract.text(), "make docs"


def test_its_columns_are_those_of_the_table_and_the_day_of_the_key():
    assert [column["name"] for column in table()["properties"]] == [*contract.COLUMN_NAMES, "dt"]


def test_its_servers_are_the_published_keys():
    servers = yaml.safe_load(datacontract.FILE.read_text())["servers"]
    assert [server["location"].replace("*", str(DAY)) for server in servers] == [
        f"s3://acme-twitter-lake/{key}" for key in (layout.csv(DAY), layout.parquet(DAY))
    ]


BREAKS = {
    None: "likes AS likes",
    "inside_the_day": "dt - 1 AS dt",
    "no_negative_count": "-1 AS likes",
    "captured_after_posted": "created_at - INTERVAL 1 SECOND AS captured_at",
}
"""The SQL rules, and a change of the rows that breaks each one and no other."""


@pytest.fixture(scope="module")
def hard_day(tmp_path_factory):
    return land(tmp_path_factory.mktemp(f"dt={DAY}", numbered=False), HARD)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_landed_day_keeps_the_sql_rules_and_a_broken_one_fails_the_rule_that_says_so(hard_day, broken):
    rules = {rule["name"]: rule["query"] for rule in table()["quality"] if rule["type"] == "sql"}
    rows = f"read_parquet('{hard_day}/refined_tweets.parquet', hive_partitioning = true)"
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(f"CREATE VIEW refined_tweets AS SELECT * REPLACE ({BREAKS[broken]}) FROM {rows}")
        failed = {name for name, query in rules.items() if database.execute(query).fetchone() != (0,)}
    assert failed == {broken} - {None}
    assert rules.keys() == BREAKS.keys() - {None}


def table() -> dict:
    (only,) = yaml.safe_load(datacontract.FILE.read_text())["schema"]
    return only
