"""The tables and views of Athena. docs/explanation/athena.md says what is tested without Athena itself."""

import base64
import json
import re
from datetime import UTC, datetime

import duckdb
import pyarrow.parquet
import pytest
import yaml

from deploy import athena
from docs import tables
from include.twitter import layout
from include.twitter.layout import Snapshot
from include.twitter.transform import contract
from include.twitter.transform.files import Partition
from include.twitter_features.snapshots import contract as engagement
from include.twitter_features.snapshots.post_status import PostStatus
from tests.include.factories import DAY, a_day, account, link, make_response, post
from tests.include.transform.promised import PROMISED

TYPED = {column.name: column.athena for column in PROMISED.values()}
NASTY = [
    'she said "no", twice',
    '"',
    '""',
    '"quoted whole"',
    '","',
    "a \\ alone, and one at the end \\",
    '\\" a backslash before a quote, and after "\\',
    '\\\\"", \\n is no line break',
    "C:\\new\\table",
    "  spaces at both ends  ",
    '  " after spaces',
    "'single', `grave`, NULL, \\N",
    'NUL \0 and NUL before a quote \0" here',
    "tab\there, 👩‍🚀 and 🌒",
    "two\nlines\u2028of\r\ntext",
]


@pytest.fixture(scope="module")
def resources():
    return {name: made["Properties"] for name, made in yaml.safe_load(athena.resources()).items()}


def table(resources, name):
    return resources[name]["TableInput"]


def columns(table):
    return {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}


def presto_view(table):
    """What CloudFormation makes of the view's text, for the database `twitter`, as Athena decodes it."""
    before, encoded, after = table["ViewOriginalText"]["Fn::Join"][1]
    text = encoded["Fn::Base64"]["Fn::Sub"].replace("${DatabaseName}", "twitter")
    whole = before + base64.b64encode(text.encode()).decode() + after
    match = re.fullmatch(r"/\* Presto View: ([A-Za-z0-9+/=]+) \*/", whole)
    return json.loads(base64.b64decode(match[1]))


# What is generated


def test_the_generated_files_are_those_of_the_contract():
    assert athena.SCHEMA_FILE.read_text() == athena.schema(), "make docs"
    assert tables.TEMPLATE.read_text() == tables.with_parts(tables.TEMPLATE.read_text()), "make docs"
    assert tables.ATHENA.read_text() == tables.with_tables(tables.ATHENA), "make docs"


def test_the_schema_names_every_column_in_order_with_its_types():
    schema = json.loads(athena.SCHEMA_FILE.read_text())
    assert {field["name"]: field["athena"] for field in schema["fields"]} == TYPED
    assert [field["name"] for field in schema["fields"]] == list(TYPED)
    assert schema["contract_version"] == contract.VERSION
    assert schema["missingValues"] == [""]
    assert schema["fields"][1] == {
        "name": "created_at",
        "type": "datetime",
        "description": "when it was posted, inside the day",
        "constraints": {"required": True},
        "csv": "`2026-11-18T09:30:00Z`",
        "parquet": "timestamp[ms, tz=UTC]",
        "athena": "timestamp",
    }


def test_only_what_x_may_leave_out_may_be_missing():
    fields = json.loads(athena.SCHEMA_FILE.read_text())["fields"]
    assert {field["name"]: field["constraints"]["required"] for field in fields} == {
        column.name: column.required for column in PROMISED.values()
    }


# What Athena reads


@pytest.mark.parametrize(
    ("name", "prefix"), [("Tweets", "twitter_parquet/"), ("TweetsCsvStrings", "twitter/")]
)
def test_a_new_day_is_found_without_a_crawler_or_a_repair(resources, name, prefix):
    properties = table(resources, name)
    projection = {key: value for key, value in properties["Parameters"].items() if "rojection" in key}
    assert projection == {
        "projection.enabled": "true",
        "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.range": {"Fn::Sub": "${FirstDay},NOW"},
        "projection.dt.interval": "1",
        "projection.dt.interval.unit": "DAYS",
    }
    assert properties["PartitionKeys"] == [
        {"Name": "dt", "Type": "string", "Comment": "the UTC day, YYYY-MM-DD"}
    ]
    assert properties["StorageDescriptor"]["Location"] == {"Fn::Sub": f"s3://${{Bucket}}/{prefix}"}
    place = properties["Parameters"]["storage.location.template"]
    assert place == {"Fn::Sub": f"s3://${{Bucket}}/{prefix}dt=${{!dt}}/"}  # CloudFormation makes it ${dt}


@pytest.mark.parametrize(
    ("name", "key"), [("Tweets", layout.parquet(DAY)), ("TweetsCsvStrings", layout.csv(DAY))]
)
def test_the_partitions_are_where_the_pipeline_publishes(resources, name, key):
    place = table(resources, name)["Parameters"]["storage.location.template"]["Fn::Sub"]
    folder = place.replace("${Bucket}", "acme").replace("${!dt}", "2026-11-18")
    assert f"s3://acme/{key}".startswith(folder)


def test_every_column_is_in_the_tables_and_the_view_in_order(resources):
    typed, strings, view = (table(resources, name) for name in ("Tweets", "TweetsCsvStrings", "TweetsCsv"))
    assert list(columns(typed).items()) == list(TYPED.items())
    assert list(columns(strings).items()) == [(name, "string") for name in TYPED]
    assert list(columns(view).items()) == [*TYPED.items(), ("dt", "string")]


def test_the_csv_is_read_with_quotes_without_escapes_and_without_its_header(resources):
    strings = table(resources, "TweetsCsvStrings")
    assert strings["Parameters"]["skip.header.line.count"] == "1"
    assert strings["StorageDescriptor"]["SerdeInfo"] == {
        "SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
        "Parameters": {"separatorChar": ",", "quoteChar": '"', "escapeChar": "\n"},
    }


def test_the_view_is_a_presto_view_over_the_strings(resources):
    view = table(resources, "TweetsCsv")
    assert (view["TableType"], view["Parameters"]["presto_view"]) == ("VIRTUAL_VIEW", "true")
    assert view["PartitionKeys"] == []
    decoded = presto_view(view)
    assert (decoded["catalog"], decoded["schema"]) == ("awsdatacatalog", "twitter")
    assert decoded["originalSql"] == athena.view_sql()
    sql_types = {"string": "varchar", "array<string>": "array(varchar)"}
    assert decoded["columns"] == [
        {"name": name, "type": sql_types.get(type_, type_)}
        for name, type_ in [*TYPED.items(), ("dt", "string")]
    ]


# What was read again


def test_the_counts_at_an_age_are_found_by_day_and_age(resources):
    properties = table(resources, "Engagement")
    snapshot = Snapshot(DAY, 7)
    place = properties["Parameters"]["storage.location.template"]["Fn::Sub"].replace("${Bucket}", "acme")
    folder = place.replace("${!dt}", "2026-11-18").replace("${!age}", "7")
    assert f"s3://acme/{snapshot.parquet}".startswith(folder)
    assert [key["Name"] for key in properties["PartitionKeys"]] == ["dt", "age"]
    assert properties["Parameters"]["projection.age.type"] == "enum"
    assert properties["Parameters"]["projection.age.values"] == {"Ref": "EngagementDays"}
    metrics = dict.fromkeys(contract.METRICS, "bigint")
    assert columns(properties) == {
        "tweet_id": "string",
        **metrics,
        "captured_at": "timestamp",
        "state": "string",
    }


def test_the_ages_that_have_a_view_are_those_of_the_parameter():
    parameters = yaml.load(tables.TEMPLATE.read_text(), Loader=yaml.BaseLoader)["Parameters"]
    assert parameters["EngagementDays"]["Default"] == ",".join(map(str, athena.VIEWED))


@pytest.mark.parametrize("age", athena.VIEWED)
def test_a_view_at_an_age_has_the_columns_of_the_table_and_two_more(resources, age):
    view = table(resources, f"TweetsAt{age}Days")
    decoded = presto_view(view)
    assert view["Name"] == ("tweets_at_1_day" if age == 1 else f"tweets_at_{age}_days")
    assert decoded["originalSql"] == athena.view_at_age_sql(age)
    assert [column["name"] for column in decoded["columns"]] == [*TYPED, "state", "hours_old", "dt"]
    assert columns(view) == {**TYPED, "state": "string", "hours_old": "bigint", "dt": "string"}


def test_the_view_gives_likes_after_a_week_of_posts_that_are_gone_too(day, tmp_path):
    """DuckDB stands in for Athena, over the Parquet files."""
    rows = pyarrow.parquet.read_table(day.parquet).to_pylist()
    at = datetime(2026, 11, 25, 22, 30, tzinfo=UTC)
    counts = (1000, 2, 3, 4, 5, 6)
    lines = [PostStatus(row["tweet_id"], counts, at, "there") for row in rows[:-1]]
    lines.append(PostStatus(rows[-1]["tweet_id"], (None,) * 6, at, "gone", "deleted"))
    again = engagement.write_files(tmp_path, lines)["parquet"]
    with duckdb.connect() as sql:
        sql.execute("SET TimeZone = 'UTC'")
        sql.execute(f"CREATE VIEW tweets AS SELECT *, '2026-11-18' AS dt FROM '{day.parquet}'")
        sql.execute(
            f"CREATE VIEW engagement AS SELECT *, '2026-11-18' AS dt, age FROM '{again}', "
            "(VALUES ('7')) AS ages(age)"
        )
        view_rows = sql.execute(athena.view_at_age_sql(7)).fetchall()
        names = [column[0] for column in sql.description]
        assert sql.execute(athena.view_at_age_sql(30)).fetchall() == []
    read = {row["tweet_id"]: row for row in (dict(zip(names, row, strict=True)) for row in view_rows)}
    assert names == [*TYPED, "state", "hours_old", "dt"]
    assert len(read) == len(rows)
    first, gone = read[rows[0]["tweet_id"]], read[rows[-1]["tweet_id"]]
    assert (first["likes"], first["state"], first["text"]) == (1000, "there", rows[0]["text"])
    assert first["hours_old"] == 24 * 7 + 22 - rows[0]["created_at"].hour
    assert (gone["likes"], gone["state"], gone["text"]) == (None, "gone", rows[-1]["text"])


# How OpenCSVSerde reads, emulated


def opencsv(line, escape):
    """One record as Hive's OpenCSVSerde (opencsv 2.3), and Trino's copy of it, take it apart."""
    escape = (
        "\\" if escape == '"' else escape
    )  # Hive takes a quote for "not set", and the default is a backslash
    fields, field, quoted, begun, at = [], "", False, False, 0
    while at < len(line):
        char, following = line[at], line[at + 1 : at + 2]
        if char == escape:
            if (quoted or begun) and following in ('"', escape):
                field, at = field + following, at + 1
        elif char == '"':
            if (quoted or begun) and following == '"':
                field, at = field + '"', at + 1
            else:
                if at > 2 and line[at - 1] != "," and following not in ("", ","):
                    field = "" if field.isspace() else field + '"'
                quoted = not quoted
            begun = not begun
        elif char == "," and not quoted:
            fields.append(field)
            field, begun = "", False
        else:
            field, begun = field + char, True
        at += 1
    return fields if quoted else [*fields, field]


def records(file, escape):
    """Lines first, then fields; the header is skipped."""
    lines = file.read_text(encoding="utf-8").split("\n")
    return [opencsv(line, escape) for line in lines[1:] if line]


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """The files of a day with the nastiest texts, links and gaps."""
    linked = 'see https://t.co/odd "there\\"'
    odd = {"urls": [link(linked, "https://t.co/odd", expanded_url='https://e.example/?a="b\\",c\\\\')]}
    texts = [post(number, text=text) for number, text in enumerate(NASTY, 30)]
    folder = tmp_path_factory.mktemp("day")
    accounts = a_day()
    accounts[0][1].extend([*texts, post(60, text=linked, entities=odd)])
    with Partition(folder) as partition:
        for username, posts in accounts:
            of_account = posts[0]["author_id"]
            partition.append(
                account([make_response(*posts)], username=username, author_id=of_account, day=DAY, limit=0)
            )
    return partition


@pytest.fixture(scope="module")
def published(day):
    """The rows of the Parquet file, as the CSV can hold them."""
    rows = pyarrow.parquet.read_table(day.parquet).to_pylist()
    for row in rows:
        row["text"] = contract.LINE_BREAKS.sub(" ", row["text"])
        row["created_at"] = row["created_at"].replace(tzinfo=None)
        row["captured_at"] = row["captured_at"].replace(tzinfo=None)
    return rows


def test_the_texts_arrive_as_they_were_written(day, published):
    read = [record[3] for record in records(day.csv, athena.NO_ESCAPE)]
    assert read == [row["text"] for row in published]
    assert {text.replace("\0", "\ufffd") for text in NASTY if "\n" not in text} < set(read)


def test_the_view_over_the_csv_gives_the_rows_of_the_parquet_file(day, published):
    """DuckDB stands in for Athena: taught two functions, a type and a format; the rest is the view's."""
    with duckdb.connect() as sql:
        sql.execute("CREATE MACRO date_parse(x, format) AS strptime(x, format)")
        sql.execute("CREATE MACRO json_parse(x) AS CAST(x AS JSON)")
        named = ", ".join(f'"{name}" VARCHAR' for name in [*TYPED, "dt"])
        sql.execute(f"CREATE TABLE tweets_csv_strings ({named})")
        rows = [[*record, "2026-11-18"] for record in records(day.csv, athena.NO_ESCAPE)]
        sql.executemany(
            f"INSERT INTO tweets_csv_strings VALUES ({', '.join('?' * len([*TYPED, 'dt']))})", rows
        )
        cursor = sql.execute(
            athena.view_sql().replace("array(varchar)", "varchar[]").replace("%i:%s", "%M:%S")
        )
        names = [column[0] for column in cursor.description]
        read = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    assert {row.pop("dt") for row in read} == {"2026-11-18"}
    assert read == published
    assert names == [*TYPED, "dt"]
