"""The records of the pipeline and its features, for people and programs: a page and a JSON Schema.

The types come from msgspec, the meanings from the docstrings below the fields, which only the source has.
"""

from __future__ import annotations

import ast
import json
from collections import ChainMap
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from deploy.features import feature_module
from include.twitter import records

FOLDER = Path(__file__).parent
PAGE = FOLDER / "records.md"
PLAN = feature_module("backfill_plan.plan")
SCHEMA = FOLDER.parent / "deploy" / "records.json"

KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "null",
}


def schema() -> str:
    """A JSON Schema that holds each record under its name in `$defs`."""
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What stands beside the posts in the lake",
        "$defs": definitions(),
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def parts() -> dict[str, str]:
    """The part of the page about each record, by its name; those of a removed feature are empty."""
    return {"Plan": "", "PlannedRun": ""} | {
        name: _part(definition) for name, definition in definitions().items()
    }


def definitions() -> dict[str, Any]:
    """The records' JSON Schemas by name, each field with its meaning."""
    kinds = [*records.RECORDS, *([PLAN.Plan] if PLAN else [])]
    _, schemas = msgspec.json.schema_components(kinds)
    meanings = _meanings()
    version = {"type": "integer", "description": "The version of the stored format."}
    for kind in kinds:
        if kind is not records.KnownAccount:  # one of several in an object
            schema = schemas[kind.__name__]
            schema["properties"] = {"format": version} | schema["properties"]
    for name, definition in schemas.items():
        for field, kind in definition["properties"].items():
            if meaning := meanings[name].get(field):
                kind["description"] = meaning
    return schemas


def _meanings() -> dict[str, dict[str, str]]:
    """Return the docstring below each field of each record, else the one below the name of its type."""
    modules = filter(None, (records, PLAN))
    body = [node for module in modules for node in ast.parse(Path(module.__file__).read_text()).body]
    types = _docstrings(body)
    meanings: dict[str, dict[str, str]] = {}
    for record in body:
        if isinstance(record, ast.ClassDef):
            fields = [node for node in record.body if isinstance(node, ast.AnnAssign)]
            of_types = {_name(field.target): types.get(_name(field.annotation), "") for field in fields}
            inherited = [meanings.get(_name(base), {}) for base in record.bases]
            meanings[record.name] = dict(ChainMap(_docstrings(record.body), of_types, *inherited))
    return meanings


def _docstrings(body: list[ast.stmt]) -> dict[str, str]:
    """Return the docstring that follows an assignment, by the name assigned to."""
    docstrings = {}
    for node, below in pairwise(body):
        match node, below:
            case ast.Assign(targets=[name]) | ast.AnnAssign(target=name), ast.Expr(ast.Constant(str(text))):
                docstrings[_name(name)] = " ".join(text.split())
    return docstrings


def _name(node: ast.expr) -> str:
    return ast.unparse(node)


def _part(definition: dict[str, Any]) -> str:
    lines = [definition["description"], "", "| field | type | |", "|---|---|---|"]
    for field, kind in definition["properties"].items():
        lines.append(f"| `{field}` | {_kind(kind)} | {kind.get('description', '')} |")
    return "\n".join(lines)


def _kind(kind: dict[str, Any]) -> str:
    """A field's type in words; another record by its name, linked."""
    match kind:
        case {"$ref": ref}:
            name = ref.rsplit("/", 1)[-1]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": kinds}:
            return " or ".join(map(_kind, kinds))
        case {"enum": values}:
            return " or ".join(f"`{value}`" for value in values)
        case {"items": item}:
            return f"list of {_kind(item)}"
        case {"additionalProperties": value}:
            return f"map to {_kind(value)}"
        case {"format": "date-time"}:
            return "time, UTC"
    return KINDS[kind["type"]]
