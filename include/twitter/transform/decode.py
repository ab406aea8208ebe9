"""Decodes posts. One that is as expected is decoded in one step; any other is repaired field by field.

An unexpected value costs its own field, never the post: only `id`, `text`, `created_at` and `author_id` are
needed. Each dropped value and each unknown field is counted.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import reduce
from operator import attrgetter, getitem
from typing import Any

import msgspec

from include.twitter.safe_text import safe_text
from include.twitter.transform.contract import COLUMNS, METRICS
from include.twitter.transform.post import Post
from include.twitter.x.response import OLDER_NAMES

STORED = (
    "attachments",
    "card_uri",
    "community_id",
    "context_annotations",
    "display_text_range",
    "edit_controls",
    "geo",
    "in_reply_to_user_id",
    "matched_media_notes",
    "media_metadata",
    "note_request_suggestions",
    "paid_partnership",
    "reply_settings",
    "scopes",
    "source",
    "suggested_source_links",
    "suggested_source_links_with_counts",
)
"""Fields that X sends and the raw responses keep. No code knows them; a column may read them."""
PATHS = [column for column in COLUMNS if column.path]
MEASURED = max(column.measured_since for column in COLUMNS)
"""When X began to show the last of the counts."""
NEEDED = ("id", "text", "created_at", "author_id")
"""Without one of these there is no row."""
NEEDED_IN = ("tag", "username", "type", "text")
"""A hashtag, a mention, a reference or a note is dropped without these."""
UNKNOWN_LINK = {"start": 0, "end": 0, "url": ""}
"""What replaces bad values of a link: its place is searched in the text."""
INDEX = re.compile(r"\[\d+\]")
MAX_REPAIRS = 100
"""Bad values of a post that are dropped one by one. After that each bad field is dropped as a whole."""


class Malformed(Exception):
    """A post that cannot be a row; the message is the reason in the rejected file."""


def _types() -> tuple[Any, Any]:
    """`Post` with the fields that columns read by path: as a lenient type, and as a strict decoder."""
    fields: dict[str, Any] = {}
    nested: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for column in PATHS:
        name, _, inner = column.path.partition(".")
        if inner:
            nested[name][inner] = column.kind.sent | None
        elif name not in Post.__struct_fields__:
            fields[name] = column.kind.sent | None
    strict = {name: msgspec.Raw for name in STORED if name not in fields and name not in nested}
    for name, inner_fields in nested.items():
        fields[name] = _struct(name, inner_fields)
        if name == "public_metrics":
            strict[name] = _struct(name, {}, fields[name], forbid_unknown_fields=True)
    lenient = _struct("Post", fields, Post)
    decoder = msgspec.json.Decoder(_struct("Post", strict, lenient, forbid_unknown_fields=True))
    return lenient, decoder


def _struct(name: str, fields: dict[str, Any], base: Any = None, **options: Any) -> Any:
    """A type whose fields may be absent: then they are None, or an object without a value."""
    listed = []
    for field, kind in fields.items():
        default = msgspec.field(default_factory=kind) if isinstance(kind, type) else None
        listed.append((field, kind, default))
    return msgspec.defstruct(name, listed, bases=(base,) if base else None, gc=False, **options)


_POST, _DECODER = _types()
READ_FIELDS = frozenset(_POST.__struct_fields__)
FIELDS = READ_FIELDS | {*STORED} | OLDER_NAMES.keys()
"""All fields of a post that are known."""
METRIC_FIELDS = {column.path.partition(".")[2] for column in PATHS if "." in column.path} | {"repost_count"}
# msgspec reads a type when it is first used, and crashes if two threads are the first: it is read here.
msgspec.json.Decoder(_POST)


def decoded_post(raw: bytes | msgspec.Raw) -> Post | None:
    """The post in JSON; None if anything in it is unexpected."""
    try:
        return _DECODER.decode(raw)
    except (ValueError, RecursionError):
        return None


def repaired_post(sent: Any, dropped: Counter[str] | None = None) -> Post:
    """The post in decoded JSON; what is wrong in it is removed from `sent`, and counted in `dropped`.

    Raises Malformed if one of the needed fields is missing or wrong.
    """
    if isinstance(sent, dict):
        for name in [name for name, value in sent.items() if value is None and name not in NEEDED]:
            del sent[name]
        _use_older_names(sent)
        _use_older_names(sent.get("public_metrics"))
    repairs = 0
    while True:
        try:
            return msgspec.convert(sent, _POST)
        except msgspec.ValidationError as error:
            place, problem = _complaint(str(error))
        if place in ("", *NEEDED):
            raise Malformed(f"{place or 'post'}: {safe_text(problem)}")
        value = _drop(sent, place if repairs < MAX_REPAIRS else re.split(r"\W", place)[0])
        repairs += 1
        is_empty_list = value == {} and problem.startswith("expected array")  # as some tools write one
        if dropped is not None and not is_empty_list:
            dropped[f"{INDEX.sub('[]', place)}: {safe_text(problem)}"] += 1


def unknown_fields(sent: Mapping[str, Any]) -> list[str]:
    """Fields of a post that this pipeline does not know: X's format has drifted, and nothing is lost."""
    metrics = sent.get("public_metrics")
    unknown_metrics = metrics.keys() - METRIC_FIELDS if isinstance(metrics, dict) else ()
    unknown = [*(sent.keys() - FIELDS), *(f"public_metrics.{name}" for name in unknown_metrics)]
    return sorted(safe_text(name, 100) for name in unknown)


_read_paths = attrgetter(*(column.path for column in PATHS))


def cells_by_path(post: Post) -> tuple[Any, ...]:
    """The cells of the columns in PATHS; a zero that X had not measured yet is None."""
    cells = _read_paths(post)
    if post.created_at >= MEASURED:
        return cells
    return tuple(
        None if cell == 0 and post.created_at < column.measured_since else cell
        for cell, column in zip(cells, PATHS, strict=True)
    )


def counts(sent: Any) -> tuple[int | None, ...]:
    """The counts of a post in decoded JSON, in the order of METRICS; all None without a post."""
    try:
        cells = cells_by_path(repaired_post(sent))
    except Malformed:
        return (None,) * len(METRICS)
    return tuple(cell for cell, column in zip(cells, PATHS, strict=True) if column.name in METRICS)


def _use_older_names(sent: Any) -> None:
    """X's vocabulary of August 2026 becomes the older one."""
    if isinstance(sent, dict):
        for newer in OLDER_NAMES.keys() & sent.keys():
            value = sent.pop(newer)
            if sent.get(OLDER_NAMES[newer]) in (None, "", [], {}):
                sent[OLDER_NAMES[newer]] = value


def _complaint(message: str) -> tuple[str, str]:
    """What msgspec complains about: the place of the field, and what is wrong with it.

    The place comes last: before it there may be a field's name, which may be any text, also a place.
    """
    problem, marker, place = message.rpartition(" - at `$")
    if not marker:
        problem, place = message, ""
    problem, place = problem.replace("`", ""), place.strip(".`")
    if (missing := problem.removeprefix("Object missing required field ")) != problem:
        return f"{place}.{missing}".lstrip("."), "is missing"
    return place, f"{problem[0].lower()}{problem[1:]}"


def _drop(sent: Any, place: str) -> Any:
    """Remove a bad value, or what is nothing without it; returns it."""
    *path, name = [int(key) if key.isdecimal() else key for key in re.findall(r"\w+", place)]
    if name in NEEDED_IN:
        name = path.pop()
    holder = reduce(getitem, path, sent)
    if name not in UNKNOWN_LINK:
        return holder.pop(name)
    value, holder[name] = holder.get(name), UNKNOWN_LINK[name]
    return value
