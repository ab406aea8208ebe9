"""The contract as the Open Data Contract Standard writes one, for catalogs and checkers: `make docs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deploy import athena
from include.twitter import layout
from include.twitter.day import SETTLING
from include.twitter.transform import contract

FILE = Path(__file__).with_name("datacontract.yaml")
HEAD = "# Written by `make docs` from include/twitter/transform/contract.py. Name your own bucket.\n"

TABLE = "refined_tweets"
BUCKET = "acme-twitter-lake"
LANDED_BY = 6
"""The hour (UTC) of the next day at which a day has landed."""

LOGICAL = {
    contract.STRING: {"logicalType": "string"},
    contract.INTEGER: {"logicalType": "integer"},
    contract.BOOLEAN: {"logicalType": "boolean"},
    contract.MOMENT: {"logicalType": "timestamp"},
    contract.TEXTS: {"logicalType": "array", "items": {"logicalType": "string", "physicalType": "string"}},
}


class Plain(yaml.SafeDumper):
    """What stands twice is written twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def text() -> str:
    return HEAD + yaml.dump(_contract(), Dumper=Plain, sort_keys=False, allow_unicode=True, width=110)


def _contract() -> dict[str, Any]:
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "twitter-refined-tweets",
        "name": "Posts of X accounts",
        "version": f"{contract.VERSION}.0.0",
        "status": "active",
        "description": {
            "purpose": "The posts of chosen X (Twitter) accounts, one UTC day a partition.",
            "limitations": "Neither retweets nor replies to others. Counts are those of captured_at.",
            "usage": "The Parquet files are typed. For the CSV, docs/reference/csv.md has the dialect.",
        },
        "servers": [
            _server("csv", layout.csv(athena.FIRST_DAY)),
            _server("parquet", layout.parquet(athena.FIRST_DAY)),
        ],
        "schema": [
            {
                "name": TABLE,
                "physicalType": "file",
                "dataGranularityDescription": "One row a post and day, in the newest version of that day.",
                "properties": [*map(_property, contract.COLUMNS), PARTITION],
                "quality": QUALITY,
            }
        ],
        "slaProperties": _promises(),
    }


def _server(format_: str, key: str) -> dict[str, str]:
    """One of the two files, of every day."""
    everywhere = key.replace(str(athena.FIRST_DAY), "*")
    return {"server": format_, "type": "s3", "location": f"s3://{BUCKET}/{everywhere}", "format": format_}


def _property(column: contract.Column) -> dict[str, Any]:
    more = {"description": column.about, "logicalTypeOptions": OPTIONS.get(column.name)}
    return {
        "name": column.name,
        "physicalType": athena.TYPES[column.kind].glue,
        **LOGICAL[column.kind],
        # An empty cell of the CSV is the empty text, and missing to most readers.
        "required": not column.optional and column.name != "text",
        **{name: value for name, value in more.items() if value},
        **(KEY if column.name == "tweet_id" else {}),
    }


OPTIONS = {
    **{name: {"pattern": f"^{pattern}$"} for name, pattern in contract.PATTERNS.items()},
    **{name: {"minimum": 0} for name in contract.METRICS},
}
KEY = {"unique": True, "primaryKey": True, "primaryKeyPosition": 1}
PARTITION = {
    "name": "dt",
    "physicalType": "date",
    "logicalType": "date",
    "description": "the UTC day; in the key, not in the file",
    "required": True,
    "partitioned": True,
    "partitionKeyPosition": 1,
}


def _none(name: str, description: str, dimension: str, where: str) -> dict[str, Any]:
    """A rule that no row may break."""
    return {
        "name": name,
        "description": description,
        "dimension": dimension,
        "type": "sql",
        "query": f"SELECT count(*) FROM {TABLE} WHERE {where}",  # noqa: S608 - names of columns
        "mustBe": 0,
        "severity": "error",
    }


QUALITY = [
    {
        "name": "one_row_a_post",
        "description": "A version of a post has one row.",
        "dimension": "uniqueness",
        "type": "library",
        "metric": "duplicateValues",
        "arguments": {"properties": ["tweet_id"]},
        "mustBe": 0,
        "severity": "error",
    },
    _none(
        "inside_the_day",
        "A post stands in the partition of the UTC day on which it was posted.",
        "consistency",
        "CAST(created_at AS date) <> dt",
    ),
    _none(
        "no_negative_count",
        "What is counted is 0 or more.",
        "accuracy",
        " OR ".join(f"{name} < 0" for name in contract.METRICS),
    ),
    _none(
        "captured_after_posted",
        "The counts of a post are of a moment after it was posted.",
        "timeliness",
        "captured_at < created_at",
    ),
]


def _promises() -> list[dict[str, Any]]:
    # Before D+2 06:00 the newest day may be D, which X was asked for from D+1 01:30 on.
    oldest = 24 + LANDED_BY - SETTLING.total_seconds() / 3600
    return [
        {"property": "frequency", "value": 1, "unit": "d"},
        {
            "property": "timeOfAvailability",
            "value": f"{LANDED_BY:02}:00+00:00",
            "driver": "operational",
            "description": f"A day has landed by {LANDED_BY:02}:00 UTC of the next one.",
        },
        {
            "property": "freshness",
            "value": oldest,
            "unit": "h",
            "element": f"{TABLE}.captured_at",
            "driver": "operational",
            "description": "The same, as the age of the newest row: days without a post aside.",
        },
    ]
