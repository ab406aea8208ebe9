"""Decodes posts, and repairs field by field what is not as expected.

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

from include.twitter.response import OLDER_NAMES
from include.twitter.safe_text import safe_text
from include.twitter.transform.contract import COLUMNS, METRICS
from include.twitter.transform.post import Post

STORED = (
    "card_uri", "context_annotations", "display_text_range", "edit_controls", "geo", "in_reply_to_user_id",
    "matched_media_notes", "media_metadata", "note_request_suggestions", "reply_settings", "scopes",
    "suggested_source_links", "suggested_source_links_with_counts",
)  # fmt: skip
"""Fields that X sends and the raw responses keep. No code knows them; a column may read them."""
NEEDED = ("id", "text", "created_at", "author_id")
"""Without one of these there is no row."""
NEEDED_IN = ("tag", "username", "type", "text")
"""A hashtag, a mention, a reference or a note is dropped without these."""
UNKNOWN_LINK = {"start": 0, "end": 0, "url": ""}
"""What replaces bad values of a link: its place is searched in the text."""
INDEX = re.compile(r"\[\d+\]")
MAX_REPAIRS = 100
"""Bad values of a post that are dropped one by one. After that each bad field is dropped as a whole."""
MEASURED = max(column.measured_since for column in COLUMNS)
"""When X began to show the last of the counts."""


class Malformed(Exception):
    """A post that cannot be a row; the message is the reason in the rejected file."""


def _post_type() -> Any:
    """`Post` with the fields that columns read by path. An absent object is one without a value."""
    fields: list[Any] = []
    objects: defaultdict[str, list[Any]] = defaultdict(list)
    for column in COLUMNS:
        name, _, inner = column.path.partition(".")
        if inner:
            objects[name].append((inner, column.kind.sent | None, None))
        elif name and name not in Post.__struct_fields__:
            fields.append((name, column.kind.sent | None, None))
    for name, inner_fields in objects.items():
        kind = msgspec.defstruct(name, inner_fields, gc=False)
        fields.append((name, kind, msgspec.field(default_factory=kind)))
    return msgspec.defstruct("Post", fields, bases=(Post,), gc=False)


_POST = _post_type()
# msgspec reads a type when it is first used, and crashes if two threads are the first: it is read here.
msgspec.json.Decoder(_POST)
READ_FIELDS = frozenset(_POST.__struct_fields__)
FIELDS = READ_FIELDS | {*STORED} | OLDER_NAMES.keys()
"""All fields of a post that are known."""
METRIC_FIELDS = {column.path.partition(".")[2] for column in COLUMNS if "." in column.path} | {"repost_count"}
_metrics = attrgetter(*(column.path for column in COLUMNS if column.name in METRICS))


def decoded_post(sent: Any, dropped: Counter[str] | None = None) -> Post:
    """The post in decoded JSON; what is wrong in it is removed from `sent`, and counted in `dropped`.

    A count of zero from before X measured it is None. Raises Malformed if one of the needed fields is
    missing or wrong.
    """
    if isinstance(sent, dict):
        _use_older_names(sent)
        _use_older_names(sent.get("public_metrics"))
    repairs = 0
    while True:
        try:
            post = msgspec.convert(sent, _POST)
            break
        except msgspec.ValidationError as error:
            place, problem = _complaint(str(error))
        if place in ("", *NEEDED):
            raise Malformed(f"{place or 'post'}: {safe_text(problem)}")
        value = _drop(sent, place if repairs < MAX_REPAIRS else re.split(r"\W", place)[0])
        repairs += 1
        is_null_field = value is None and place.isidentifier()
        is_empty_list = value == {} and problem.startswith("expected array")  # as some tools write one
        if dropped is not None and not is_null_field and not is_empty_list:
            dropped[f"{INDEX.sub('[]', place)}: {safe_text(problem)}"] += 1
    if dropped is not None and post.attachments is not None:
        dropped.update(post.unread)
    if post.created_at < MEASURED:
        _drop_unmeasured(post)
    return post


def unknown_fields(sent: Mapping[str, Any]) -> list[str]:
    """Fields of a post that this pipeline does not know: X's format has drifted, and nothing is lost."""
    metrics = sent.get("public_metrics")
    unknown = [name for name in sent if name not in FIELDS]
    if isinstance(metrics, dict):
        unknown += [f"public_metrics.{name}" for name in metrics if name not in METRIC_FIELDS]
    return sorted(safe_text(name, 100) for name in unknown)


def counts(sent: Any) -> tuple[int | None, ...]:
    """The counts of a post in decoded JSON, in the order of METRICS; all None without a post."""
    try:
        return _metrics(decoded_post(sent))
    except Malformed:
        return (None,) * len(METRICS)


def _drop_unmeasured(post: Post) -> None:
    for column in COLUMNS:
        if post.created_at < column.measured_since:
            *path, name = column.path.split(".")
            holder = reduce(getattr, path, post)
            setattr(holder, name, getattr(holder, name) or None)


def _use_older_names(sent: Any) -> None:
    """X's vocabulary of August 2026 becomes the older one."""
    if isinstance(sent, dict) and not OLDER_NAMES.keys().isdisjoint(sent):
        for newer in OLDER_NAMES.keys() & sent.keys():
            value = sent.pop(newer)
            if value is not None and sent.get(OLDER_NAMES[newer]) in (None, "", [], {}):
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
