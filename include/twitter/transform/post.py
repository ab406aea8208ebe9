"""A post as X sends it, in both of its vocabularies: the fields that are read, with their types.

Source: X's OpenAPI descriptions 2.166 (tweets) and 2.167 (posts). What X sends beside these is kept in the
raw answers; a field that is absent is None, never invented.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Malformed(Exception):
    """A post that cannot be a row; the message is the reason that stands in the rejected file."""


class Nothing(Struct, forbid_unknown_fields=True):
    """`{}`: an empty list, as tools that answers may have gone through write it."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Hashtag(Struct):
    tag: str


class Mention(Struct):
    username: str


class Link(Struct):
    """A url in the text; the offsets count code points of the text as X escaped it."""

    start: int
    end: int
    url: str
    expanded_url: str | None = None
    unwound_url: str | None = None
    media_key: str | None = None
    """Set where it is X's own link to media attached to the post."""


class Entities(Struct):
    hashtags: list[Hashtag] | Nothing | None = None
    mentions: list[Mention] | Nothing | None = None
    cashtags: list[Hashtag] | Nothing | None = None
    urls: list[Link] | Nothing | None = None


class Note(Struct):
    """The whole of a long post, whose `text` is cut."""

    text: str
    entities: Entities | None = None


class Reference(Struct):
    type: str


class Metrics(Struct):
    like_count: Count | None = None
    retweet_count: Count | None = None
    repost_count: Count | None = None
    reply_count: Count | None = None
    quote_count: Count | None = None
    bookmark_count: Count | None = None
    impression_count: Count | None = None


class Post(Struct):
    id: str
    text: str
    created_at: str
    author_id: str
    conversation_id: str | None = None
    lang: str | None = None
    possibly_sensitive: bool | None = None
    public_metrics: Metrics | None = None
    entities: Entities | None = None
    note_tweet: Note | None = None
    note_post: Note | None = None
    referenced_tweets: list[Reference] | Nothing | None = None
    referenced_posts: list[Reference] | Nothing | None = None
    edit_history_tweet_ids: list[str] | None = None
    edit_history_post_ids: list[str] | None = None
    withheld: Any = None

    @property
    def note(self) -> Note | None:
        """The whole post, where it is a long one."""
        return self.note_tweet or self.note_post

    @property
    def alarm(self) -> str | None:
        """Why its text is not the author's whole one, where it is not."""
        if self.is_cut:
            return "a long post, cut: its whole text did not arrive"
        if self.is_withheld:
            return "withheld: its text is X's notice, not the author's"
        return None

    @property
    def is_withheld(self) -> bool:
        """Whether X shows a notice in its place; withheld in some countries alone, it comes whole."""
        return isinstance(self.withheld, dict) and "scope" in self.withheld

    @property
    def is_cut(self) -> bool:
        """Whether it is a long post whose whole text did not arrive: it links to itself, and has no note."""
        if self.note or not self.entities or not self.entities.urls:
            return False
        own = f"/i/web/status/{self.id}"
        return any((link.expanded_url or "").endswith(own) for link in self.entities.urls)

    @property
    def references(self) -> Iterable[Reference]:
        """The posts that it quotes or answers."""
        return self.referenced_tweets or self.referenced_posts or ()

    @property
    def original_id(self) -> str:
        """The id of its first version: what stays the same over edits."""
        return (self.edit_history_tweet_ids or self.edit_history_post_ids or [self.id])[0]


# msgspec reads a type when it is first used, and crashes if two threads are the first: it is read here.
msgspec.json.Decoder(Post)

FIELDS = frozenset(Post.__struct_fields__) | {
    # asked for, or always sent, and kept in the raw answers alone
    "attachments",
    "community_id",
    "edit_controls",
    "in_reply_to_user_id",
    "reply_settings",
}
METRICS = frozenset(Metrics.__struct_fields__)


def unknown_fields(raw: Mapping[str, Any]) -> list[str]:
    """Fields of a post that this pipeline has never heard of: X's form has drifted, and nothing is lost."""
    metrics = raw.get("public_metrics") or {}
    if raw.keys() <= FIELDS and metrics.keys() <= METRICS:
        return []
    unknown = [*(raw.keys() - FIELDS), *(f"public_metrics.{name}" for name in metrics.keys() - METRICS)]
    return sorted(unknown)


def parsed(raw: Any) -> Post:
    """The post in a decoded answer; a Malformed says which field is not as it has to be."""
    try:
        return msgspec.convert(raw, Post)
    except msgspec.ValidationError as error:
        raise Malformed(_reason(str(error))) from None


def _reason(said: str) -> str:
    """What msgspec says, with the field in front, as the contract's reasons have it."""
    what, _, where = said.replace("`", "").partition(" - at $.")
    if what.startswith("Object contains unknown field"):  # of Nothing
        what = "Expected array | null, got object"
    what = what.replace("object | array | null", "array | null")
    if (missing := what.removeprefix("Object missing required field ")) != what:
        return f"{where}.{missing}: is missing".lstrip(".")
    return f"{where or 'post'}: {what[0].lower()}{what[1:]}"
