"""The refined table for Athena and Glue, written from the contract by `make docs`.

`deploy/schema.json` is for any reader, and a part of `deploy/template.yaml` is for CloudFormation: the
Parquet files as the typed table `tweets`; the CSV files as `tweets_csv_strings`, all strings as the CSV SerDe
demands; and `tweets_csv`, the view that casts those. `engagement` has the snapshots, and a view such as
`tweets_at_7_days` is `tweets` with the counts of that age. Partition projection computes the partitions from
the day and the age: no crawler, no repair.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from deploy.features import feature_module
from include.twitter import layout
from include.twitter.day import Day
from include.twitter.layout import Snapshot
from include.twitter.transform import contract
from include.twitter.transform.contract import Column

FOLDER = Path(__file__).parent
SCHEMA_FILE = FOLDER / "schema.json"

FIRST_DAY = Day.parse("2010-11-06")
"""The first day of which X's timelines still give posts: the template's default for FirstDay."""

DT = {"Name": "dt", "Type": "string", "Comment": "the UTC day, YYYY-MM-DD"}
AGE = {"Name": "age", "Type": "string", "Comment": "in days, at the second request to X"}
VIEWED = (1, 7, 30)
"""Ages that have a view: the template's default for EngagementDays."""
OF_THE_AGE = {*contract.METRICS, "captured_at"}
"""Columns that a view at an age takes from there."""
SNAPSHOT_CONTRACT = feature_module("snapshots.contract")
"""The contract of snapshots; without it there are neither its table nor its views."""
HOURS = Column("hours_old", contract.INTEGER, "how old the post was when X gave these counts")

NO_ESCAPE = "\n"
r"""The escape character of a CSV that has none: the one character that no record can hold.

Left out, it is a backslash. So it is when set to `"`: Hive's OpenCSVSerde takes that for "not set", and Trino
does the same on purpose (github.com/trinodb/trino/pull/18952). NUL is opencsv's own word for none, but
nothing shows that Glue keeps it. A line break ends the record before it is parsed.
"""


@dataclass(frozen=True)
class Type:
    """A kind of column, as Glue, Athena's SQL and a JSON Table Schema call it, and how CSV becomes one."""

    glue: str
    sql: str
    json: str
    cast: str = "{}"


# date_parse: from_iso8601_timestamp has a time zone, which Athena neither keeps in a view nor casts away.
TYPES = {
    contract.STRING: Type("string", "varchar", "string"),
    contract.INTEGER: Type("bigint", "bigint", "integer", "CAST({} AS bigint)"),
    contract.BOOLEAN: Type("boolean", "boolean", "boolean", "CAST({} AS boolean)"),
    contract.MOMENT: Type("timestamp", "timestamp", "datetime", "date_parse({}, '%Y-%m-%dT%H:%i:%sZ')"),
    contract.TEXTS: Type(
        "array<string>", "array(varchar)", "array", "CAST(json_parse({}) AS array(varchar))"
    ),
}


def schema() -> str:
    """A JSON Table Schema, with each column's type in CSV, Parquet and Athena beside it."""
    fields = [
        {
            "name": column.name,
            "type": TYPES[column.kind].json,
            "description": column.about,
            "constraints": {"required": not column.optional},
            "csv": column.kind.csv,
            "parquet": str(column.kind.parquet),
            "athena": TYPES[column.kind].glue,
        }
        for column in contract.COLUMNS
    ]
    whole = {
        "$schema": "https://datapackage.org/profiles/2.0/tableschema.json",
        "name": "tweets",
        "contract_version": contract.VERSION,
        "partition": {
            "name": "dt",
            "type": "date",
            "description": "the UTC day; in the key, not in the file",
        },
        "fields": fields,
        "primaryKey": ["tweet_id"],
        "missingValues": [""],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def view_sql() -> str:
    """What the view over the strings selects: every column with its type, missing as NULL."""
    casts = []
    for column in contract.COLUMNS:
        name = f'"{column.name}"'
        source = f"nullif({name}, '')" if column.optional else name
        cast = TYPES[column.kind].cast.format(source)
        casts.append(name if cast == name else f"{cast} AS {name}")
    return "SELECT\n  " + ",\n  ".join([*casts, '"dt"']) + '\nFROM "tweets_csv_strings"'


def view_name(age: int) -> str:
    return f"tweets_at_{age}_day{'s' * (age != 1)}"


def view_at_age_sql(age: int) -> str:
    """The columns of `tweets` with the counts at an age, the post's state, and how old it was by then."""
    columns = [f'{"e" if column.name in OF_THE_AGE else "t"}."{column.name}"' for column in contract.COLUMNS]
    hours = """date_diff('hour', t."created_at", e."captured_at") AS "hours_old\""""
    return (
        "SELECT\n  " + ",\n  ".join([*columns, 'e."state"', hours, 't."dt"']) + '\nFROM "tweets" t\n'
        'JOIN "engagement" e ON e."dt" = t."dt" AND e."tweet_id" = t."tweet_id"\n'
        f"WHERE e.\"age\" = '{age}'"
    )


def resources() -> str:
    """The database, its tables and the views, as CloudFormation resources in YAML."""
    parquet = {
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }
    typed = {kind: type_.glue for kind, type_ in TYPES.items()}
    whole = {
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {
                "CatalogId": {"Ref": "AWS::AccountId"},
                "DatabaseInput": {
                    "Name": {"Ref": "DatabaseName"},
                    "Description": "Posts of X (Twitter) accounts, one UTC day a partition.",
                },
            },
        },
        "Tweets": _files(
            "tweets",
            "The refined posts from Parquet: typed, text untouched.",
            key=layout.parquet(FIRST_DAY),
            columns=_glue_columns(typed),
            classes=parquet,
            parameters={"classification": "parquet"},
        ),
        "TweetsCsvStrings": _files(
            "tweets_csv_strings",
            "The refined posts from CSV, every column as it is written. Typed: tweets_csv.",
            key=layout.csv(FIRST_DAY),
            # Without descriptions, which `tweets` has: the template has to fit into one request.
            columns=_glue_columns(
                dict.fromkeys(TYPES, "string"), [replace(column, about="") for column in contract.COLUMNS]
            ),
            classes={
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "SerdeInfo": {
                    "SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
                    "Parameters": {"separatorChar": ",", "quoteChar": '"', "escapeChar": NO_ESCAPE},
                },
            },
            parameters={"classification": "csv", "skip.header.line.count": "1"},
        ),
        "TweetsCsv": _view(
            "tweets_csv",
            "The refined posts from CSV, typed. Line breaks in text are spaces.",
            view_sql(),
            [replace(column, about="") for column in contract.COLUMNS],
        ),
    }
    if SNAPSHOT_CONTRACT:
        whole |= _snapshot_resources(typed, parquet)
    # Innermost lists and mappings on one line each: most of the template is columns.
    return yaml.dump(
        whole, Dumper=_Yaml, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )


def _snapshot_resources(typed: dict[contract.Kind, str], parquet: dict[str, Any]) -> dict[str, Any]:
    state = SNAPSHOT_CONTRACT.SNAPSHOT_COLUMNS[-1]
    resources = {
        "Engagement": _files(
            "engagement",
            "The counts of landed posts at the ages of twitter_engagement_days, and the state of each post.",
            key=Snapshot(FIRST_DAY, 1).parquet,
            columns=_glue_columns(typed, SNAPSHOT_CONTRACT.SNAPSHOT_COLUMNS),
            classes=parquet,
            parameters={
                "classification": "parquet",
                "projection.age.type": "enum",
                "projection.age.values": {"Ref": "EngagementDays"},
            },
            keys=[DT, AGE],
        ),
    }
    for age in VIEWED:
        about = f"The refined posts with their counts at {age} day{'s' * (age != 1)}."
        # Without the columns' descriptions: the template has to fit into one request.
        columns = [replace(column, about="") for column in (*contract.COLUMNS, state, HOURS)]
        resources[f"TweetsAt{age}Days"] = _view(view_name(age), about, view_at_age_sql(age), columns)
    return resources


def _glue_columns(
    types: dict[contract.Kind, str], columns: Iterable[Column] = contract.COLUMNS
) -> list[dict[str, str]]:
    described = []
    for column in columns:
        glue = {"Name": column.name, "Type": types[column.kind]}
        described.append(glue | ({"Comment": column.about} if column.about else {}))
    return described


def _files(
    name: str,
    about: str,
    *,
    key: str,
    columns: list[dict[str, str]],
    classes: dict[str, Any],
    parameters: dict[str, Any],
    keys: Iterable[dict[str, str]] = (DT,),
) -> dict[str, Any]:
    """A table over the files of all days, of which `key` is the first one's."""
    prefix, partition = key.split(f"dt={FIRST_DAY}")[0], key.rpartition("/")[0]
    partitions = partition.replace(str(FIRST_DAY), "${!dt}")  # CloudFormation's way to write ${dt}
    partitions = partitions.replace("age=1", "age=${!age}")
    return _table(
        {
            "Name": name,
            "Description": about,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {
                "EXTERNAL": "TRUE",
                **parameters,
                "projection.enabled": "true",
                "projection.dt.type": "date",
                "projection.dt.format": "yyyy-MM-dd",
                "projection.dt.range": {"Fn::Sub": "${FirstDay},NOW"},
                "projection.dt.interval": "1",
                "projection.dt.interval.unit": "DAYS",
                "storage.location.template": {"Fn::Sub": f"s3://${{Bucket}}/{partitions}/"},
            },
            "PartitionKeys": [*keys],
            "StorageDescriptor": {
                "Location": {"Fn::Sub": f"s3://${{Bucket}}/{prefix}"},
                "Columns": columns,
                **classes,
            },
        }
    )


def _view(name: str, about: str, sql: str, columns: Sequence[Column] = contract.COLUMNS) -> dict[str, Any]:
    """A view as Athena itself leaves it in Glue: its SQL and columns as JSON in base64, in a comment."""
    types = [(column.name, TYPES[column.kind].sql) for column in columns]
    presto = {
        "originalSql": sql,
        "catalog": "awsdatacatalog",
        "schema": "${DatabaseName}",
        "columns": [{"name": column, "type": type_} for column, type_ in [*types, ("dt", "varchar")]],
    }
    encoded = {"Fn::Base64": {"Fn::Sub": json.dumps(presto, separators=(",", ":"))}}
    return _table(
        {
            "Name": name,
            "Description": about,
            "TableType": "VIRTUAL_VIEW",
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "ViewOriginalText": {"Fn::Join": ["", ["/* Presto View: ", encoded, " */"]]},
            "ViewExpandedText": "/* Presto View */",
            "PartitionKeys": [],  # Athena wants it to be there
            "StorageDescriptor": {
                "SerdeInfo": {},
                "Columns": [*_glue_columns({kind: type_.glue for kind, type_ in TYPES.items()}, columns), DT],
            },
        }
    )


def _table(table: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::Glue::Table",
        "Properties": {
            "CatalogId": {"Ref": "AWS::AccountId"},
            "DatabaseName": {"Ref": "Database"},
            "TableInput": table,
        },
    }


class _Yaml(yaml.SafeDumper):
    """Writes a text with a line break on one line, with escapes, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\n" in text else None)


_Yaml.add_representer(str, _text)
