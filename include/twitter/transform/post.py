"""A post as X sends it: the parts that the columns are made of, with their types.

Source: X's OpenAPI description 2.166. A field that is absent is None, never invented.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

Name = Annotated[str, Meta(min_length=1)]

ENTITY_KINDS = ("hashtags", "mentions", "cashtags", "urls")
MEDIA_KINDS = {"3": "photo", "7": "video", "13": "video", "16": "animated_gif"}
"""By the number before the `_` of a media key; docs/x.md has the evidence."""

OWN_LINK = re.compile(r"https?://(?:\w+\.)?(?:x|twitter)\.com/(i/web|\w+)/status/(\d+)/?", re.ASCII)
LONG_POSTS_BEGAN = "2023-02-08"
MIN_CUT_LENGTH = 140
"""Characters: X cuts a long post at 280, of which those of some scripts count as two."""
PICTURE = re.compile(
    r"https?://(?:\w+\.)?(?:x|twitter)\.com/(?:i/web|\w+)/status/(\d+)/(?:photo|video)/\d+", re.ASCII
)
POST_LINK = re.compile(r"https?://(?:\w+\.)?(?:x|twitter)\.com/(\w+)/status/(\d+)/?(?:[?#].*)?", re.ASCII)
ONLY_LINKS = re.compile(r"(\s*https?://t\.co/\w+)+\s*", re.ASCII)
NOTICE = re.compile(
    r"(@\w{1,15}['\u2019]s account|This (Tweet|Post) from @\w{1,15}) "
    r"(is temporarily unavailable because it violates|has been withheld) "
)
"""The beginning of X's notice in place of the author's text. Most end in `Learn more`, and its link is not in
the text."""


class Hashtag(Struct, gc=False):
    tag: Name


class Mention(Struct, gc=False):
    username: Name


class Link(Struct, gc=False):
    """A url in the text; the offsets count code points of the text as X escaped it."""

    start: int
    end: int
    url: str
    expanded_url: str | None = None
    unwound_url: str | None = None
    """Where X's crawler ended: also at a log-in, a consent or an error page."""
    status: int | None = None
    """The crawler's HTTP status there."""
    media_key: str | None = None
    """Set if it is X's own link to media attached to the post; old posts have none."""


class Entities(Struct, gc=False):
    hashtags: list[Hashtag] | None = None
    mentions: list[Mention] | None = None
    cashtags: list[Hashtag] | None = None
    urls: list[Link] | None = None

    def within(self, note: str, cut: str) -> Entities:
        """Those of a cut text that occur in its note: all of the author's, and not X's link to the post.

        A link without `url` gets the text at its place.
        """
        folded = note.casefold()

        def occurs(marks: str, name: str) -> bool:
            return any(f"{mark}{name}".casefold() in folded for mark in marks)

        links = [replace(link, url=link.url or cut[link.start : link.end]) for link in self.urls or ()]
        return Entities(
            [hashtag for hashtag in self.hashtags or () if occurs("#＃", hashtag.tag)],
            [mention for mention in self.mentions or () if occurs("@＠", mention.username)],
            [cashtag for cashtag in self.cashtags or () if occurs("$", cashtag.tag)],
            [link for link in links if link.url and link.url in note],
        )


class Note(Struct, gc=False):
    """The whole of a long post, whose `text` is cut."""

    text: Name
    entities: Entities | None = None


class Article(Struct, gc=False):
    """The article of a post that has nothing but a link to it."""

    title: str | None = None
    plain_text: str | None = None


class Reference(Struct, gc=False):
    type: str
    id: Any = None


class Post(Struct, gc=False):
    """The fields that code needs. `decode` adds those that columns read by their path."""

    id: str
    text: str
    created_at: str
    author_id: str
    entities: Entities | None = None
    note_tweet: Note | None = None
    article: Article | None = None
    referenced_tweets: list[Reference] | None = None
    edit_history_tweet_ids: list[str] | None = None
    withheld: Any = None
    attachments: Any = None

    @property
    def written(self) -> tuple[str, Entities]:
        """The text of its author, which is the article, the note or the text, with its entities."""
        if self.article and self.article.plain_text and ONLY_LINKS.fullmatch(self.text):
            return "\n\n".join(filter(None, [self.article.title, self.article.plain_text])), Entities()
        note = self.note_tweet
        if not note:
            return self.text, self.entities or Entities()
        entities = note.entities or Entities()
        if self.entities and not all(getattr(entities, kind) for kind in ENTITY_KINDS):
            own = self.entities.within(note.text, self.text)
            entities = Entities(*(getattr(entities, kind) or getattr(own, kind) for kind in ENTITY_KINDS))
        return note.text, entities

    @property
    def warning(self) -> str | None:
        """Why its text is not the author's whole one; None if it is."""
        if isinstance(self.withheld, dict) and self.withheld.get("scope"):
            # Withheld in some countries only, a post comes whole.
            return "withheld: its text is X's notice, not the author's"
        links = (self.entities and self.entities.urls) or ()
        if NOTICE.match(self.text) or (
            "Learn more" in self.text and any(link.url not in self.text for link in links)
        ):
            return "unavailable: its text is X's notice, not the author's"
        for link in links:
            target = link.expanded_url or ""
            if "/i/" not in target:
                continue
            # Before there were long posts, edited ones linked to themselves, and were whole.
            may_be_long = not self.note_tweet and self.created_at >= LONG_POSTS_BEGAN
            if may_be_long and target.endswith(f"/i/web/status/{self.id}"):
                before = self.text.partition(link.url or "\0")[0].rstrip()
                if before.endswith("…") or len(before) >= MIN_CUT_LENGTH:
                    return "a long post, cut: its whole text did not arrive"
            has_article = self.article and self.article.plain_text
            if "/i/article/" in target and not has_article and ONLY_LINKS.fullmatch(self.text):
                return "an article: its text did not arrive"
        return None

    @property
    def may_be_cut(self) -> bool:
        """Whether X may have cut its text, by its length."""
        return len(self.text) >= MIN_CUT_LENGTH or self.text.rstrip().endswith("…")

    def is_own_link(self, link: Link) -> bool:
        """Whether X made it, to the post itself: to media, to its whole text, or to a version of it.

        No author knows the id of a post before it is posted, but those of its earlier versions.
        """
        if link.media_key:
            return True
        target = link.expanded_url or ""
        if (picture := PICTURE.match(target)) and picture[1] in (self.id, *self.versions):
            return True
        if own := OWN_LINK.fullmatch(target):
            return own[2] == self.id or (own[1] == "i/web" and own[2] in self.versions)
        return False

    @property
    def is_quote(self) -> bool:
        references = self.referenced_tweets
        return references is not None and any(reference.type == "quoted" for reference in references)

    def reference(self, kind: str) -> str | None:
        """The id of the post that it refers to in this way."""
        for reference in self.referenced_tweets or ():
            if reference.type == kind:
                return reference.id if isinstance(reference.id, str) else None
        return None

    def quoted_username(self, entities: Entities) -> str | None:
        """The handle in the link to the quoted post; X's own short form `x.com/i/…` has none."""
        if not self.referenced_tweets or not (id_ := self.reference("quoted")):
            return None
        own = self.entities or Entities()
        for link in (*(entities.urls or ()), *(own.urls or ())):
            target = POST_LINK.fullmatch(link.expanded_url or "")
            if target and target[2] == id_ and target[1] != "i":
                return target[1]
        return None

    @property
    def media(self) -> list[str] | None:
        """The type of each attached medium, in order; None if one is of a type that nobody knows."""
        if self.attachments is None:  # most have none
            return []
        keys = self._attached("media_keys")
        if not keys:
            return keys
        kinds = [MEDIA_KINDS.get(key.partition("_")[0]) if isinstance(key, str) else None for key in keys]
        return [kind for kind in kinds if kind] if all(kinds) else None

    @property
    def has_poll(self) -> bool | None:
        if self.attachments is None:
            return False
        polls = self._attached("poll_ids")
        return None if polls is None else bool(polls)

    @property
    def unread(self) -> list[str]:
        """What of its attachments cannot be read, as it is counted."""
        if not isinstance(self.attachments, dict):
            return [] if self.attachments is None else ["attachments: expected object | null"]
        kinds = {"media_keys": self.media, "poll_ids": self.has_poll}
        return [f"attachments.{name}: is not known" for name, value in kinds.items() if value is None]

    def _attached(self, name: str) -> list[Any] | None:
        """The attachments of a kind; None if they cannot be read."""
        if not isinstance(self.attachments, dict):
            return None
        values = self.attachments.get(name)
        if values is None or values == {}:  # some tools write an empty list so
            return []
        return values if isinstance(values, list) else None

    @property
    def versions(self) -> list[str]:
        """The ids of all its edits, from the first."""
        return self.edit_history_tweet_ids or [self.id]

    @property
    def is_edited(self) -> bool:
        """Whether it has another version, earlier or later."""
        return self.versions != [self.id]
