"""A post as X sends it, in both of its vocabularies: the fields that are read, with their types.

Source: X's OpenAPI descriptions 2.166 (tweets) and 2.167 (posts). What X sends beside these is kept in the
raw answers; a field that is absent is None, never invented. One that is not as it has to be costs itself and
never the post: only `id`, `text`, `created_at` and `author_id` are needed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from operator import getitem
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from include.twitter.safe_text import safe_text

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1)]

NEEDED = ("id", "text", "created_at", "author_id")
"""Without one of these there is no row."""
MADE_OF = ("tag", "username", "type", "text")
"""What a hashtag, a mention, a reference or a note is gone without."""
UNKNOWN = {"start": 0, "end": 0, "url": ""}
"""What stands in a link for what X did not tell: it is looked for in the text."""

INDEX = re.compile(r"\[\d+\]")
MOST_ODD = 100
"""So many odd values of a post are taken out one by one; then each odd field is taken out whole."""

MEASURED_SINCE = {"impression_count": "2022-12-22", "bookmark_count": "2023-03-16"}
"""When X began to show these counts: 0 for an older post is no measurement (docs/x.md has the sources)."""
ENTITY_KINDS = ("hashtags", "mentions", "cashtags", "urls")

OWN_LINK = re.compile(r"https?://(?:\w+\.)?(?:x|twitter)\.com/(i/web|\w+)/status/(\d+)/?", re.ASCII)
LONG_POSTS_BEGAN = "2023-02-08"
SHORTEST_CUT = 140
"""Characters: X cuts a long post at 280, of which those of some scripts count as two."""
PICTURE = re.compile(
    r"https?://(?:\w+\.)?(?:x|twitter)\.com/(?:i/web|\w+)/status/(\d+)/(?:photo|video)/\d+", re.ASCII
)
ONLY_LINKS = re.compile(r"(\s*https?://t\.co/\w+)+\s*", re.ASCII)
NOTICE = re.compile(
    r"(@\w{1,15}['\u2019]s account|This (Tweet|Post) from @\w{1,15}) "
    r"(is temporarily unavailable because it violates|has been withheld) "
)
"""How X's words in the place of the author's begin. Most end in `Learn more`, whose link is not in them."""


class Malformed(Exception):
    """A post that cannot be a row; the message is the reason that stands in the rejected file."""


class Nothing(Struct, forbid_unknown_fields=True, gc=False):
    """`{}`: an empty list, as tools that answers may have gone through write it."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0


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
    """What the crawler was answered there."""
    media_key: str | None = None
    """Set where it is X's own link to media attached to the post; old posts have none."""


class Entities(Struct, gc=False):
    hashtags: list[Hashtag] | Nothing | None = None
    mentions: list[Mention] | Nothing | None = None
    cashtags: list[Hashtag] | Nothing | None = None
    urls: list[Link] | Nothing | None = None

    def within(self, text: str) -> Entities:
        """Those that stand in a text: of a cut post all that is the author's, and not X's own link to it."""
        return Entities(
            [hashtag for hashtag in self.hashtags or () if _stands_in(text, "#＃", hashtag.tag)],
            [mention for mention in self.mentions or () if _stands_in(text, "@＠", mention.username)],
            [cashtag for cashtag in self.cashtags or () if _stands_in(text, "$", cashtag.tag)],
            [link for link in self.urls or () if link.url and link.url in text],
        )

    def named_in(self, text: str) -> Entities:
        """The same, with links that have no `url` named by their place in the text that they came with."""
        urls = [
            link if link.url else replace(link, url=text[link.start : link.end]) for link in self.urls or ()
        ]
        return replace(self, urls=urls)

    def filled_from(self, others: Entities) -> Entities:
        """The same, with each kind that is empty taken from others."""
        return Entities(*(getattr(self, kind) or getattr(others, kind) for kind in ENTITY_KINDS))


def _stands_in(text: str, marks: str, name: str) -> bool:
    """Whether a text has the name behind one of these marks, in whatever case."""
    return any(f"{mark}{name}".casefold() in text.casefold() for mark in marks)


class Note(Struct, gc=False):
    """The whole of a long post, whose `text` is cut."""

    text: Name
    entities: Entities | None = None


class Article(Struct, gc=False):
    """What a post is about that has nothing but a link to it."""

    title: str | None = None
    plain_text: str | None = None


class Reference(Struct, gc=False):
    type: str
    id: Any = None


class Metrics(Struct, gc=False):
    like_count: Count | None = None
    retweet_count: Count | None = None
    repost_count: Count | None = None
    reply_count: Count | None = None
    quote_count: Count | None = None
    bookmark_count: Count | None = None
    impression_count: Count | None = None

    @property
    def counts(self) -> tuple[int | None, ...]:
        """In the order of the table's columns."""
        return (
            self.like_count,
            self.retweet_count if self.retweet_count is not None else self.repost_count,
            self.reply_count,
            self.quote_count,
            self.bookmark_count,
            self.impression_count,
        )


HEAD = (
    "id",
    "author_id",
    "referenced_tweets",
    "referenced_posts",
    "edit_history_tweet_ids",
    "edit_history_post_ids",
)


class Post(Struct, gc=False):
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
    article: Article | None = None
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
    def written(self) -> tuple[str, Entities]:
        """What its author wrote: the article, the note or the text, with the entities of that."""
        if self.article and self.article.plain_text and ONLY_LINKS.fullmatch(self.text):
            return "\n\n".join(filter(None, [self.article.title, self.article.plain_text])), Entities()
        note = self.note
        if not note:
            return self.text, self.entities or Entities()
        entities = note.entities or Entities()
        if self.entities and not all(getattr(entities, kind) for kind in ENTITY_KINDS):
            entities = entities.filled_from(self.entities.named_in(self.text).within(note.text))
        return note.text, entities

    @property
    def alarm(self) -> str | None:
        """Why its text is not the author's whole one, where it is not."""
        if self.withheld and self.is_withheld:
            return "withheld: its text is X's notice, not the author's"
        links = (self.entities and self.entities.urls) or ()
        if NOTICE.match(self.text) or ("Learn more" in self.text and self._has_a_link_elsewhere(links)):
            return "unavailable: its text is X's notice, not the author's"
        for link in links:
            where = link.expanded_url or ""
            if "/i/" not in where:
                continue
            if where.endswith(f"/i/web/status/{self.id}") and self._is_cut_at(link):
                return "a long post, cut: its whole text did not arrive"
            if "/i/article/" in where and self._lacks_its_article:
                return "an article: its text did not arrive"
        return None

    @property
    def is_withheld(self) -> bool:
        """Whether X shows a notice in its place; withheld in some countries alone, it comes whole."""
        return isinstance(self.withheld, dict) and bool(self.withheld.get("scope"))

    def _has_a_link_elsewhere(self, links: Iterable[Link]) -> bool:
        """Whether a link is not in the text: X's own behind its words."""
        return any(link.url not in self.text for link in links)

    @property
    def may_be_cut(self) -> bool:
        """Whether X may have cut its text, by its length."""
        return len(self.text) >= SHORTEST_CUT or self.text.rstrip().endswith("…")

    def _is_cut_at(self, link: Link) -> bool:
        """Whether it is a long post whose whole text did not arrive: it links to itself, and has no note.

        Before there were long posts, edited ones linked to themselves, and were whole.
        """
        before = self.text.partition(link.url or "\0")[0].rstrip()
        long = before.endswith("…") or len(before) >= SHORTEST_CUT
        return long and not self.note and self.created_at >= LONG_POSTS_BEGAN

    @property
    def _lacks_its_article(self) -> bool:
        """Whether it is nothing but the link to an article that did not arrive."""
        arrived = self.article and self.article.plain_text
        return not arrived and bool(ONLY_LINKS.fullmatch(self.text))

    def is_picture(self, link: Link) -> bool:
        """Whether it is X's own link to media attached to the post."""
        if link.media_key:
            return True
        found = PICTURE.match(link.expanded_url or "")
        return found is not None and found[1] in (self.id, *self.versions)

    def is_own_link(self, link: Link) -> bool:
        """Whether X made it, to the post itself: to media, to its whole text, or to a version of it.

        No author knows the id of a post before it is posted, but those of its earlier versions.
        """
        if self.is_picture(link):
            return True
        found = OWN_LINK.fullmatch(link.expanded_url or "")
        if not found:
            return False
        return found[2] == self.id or (found[1] == "i/web" and found[2] in self.versions)

    @property
    def counts(self) -> tuple[int | None, ...]:
        """In the order of the table's columns: a zero that X has not measured is none."""
        metrics = self.public_metrics or Metrics()
        for name, since in MEASURED_SINCE.items():
            if getattr(metrics, name) == 0 and self.created_at < since:
                metrics = replace(metrics, **{name: None})
        return metrics.counts

    @property
    def references(self) -> Iterable[Reference]:
        """The posts that it quotes."""
        return self.referenced_tweets or self.referenced_posts or ()

    @property
    def head(self) -> dict[str, Any]:
        """Who it is, and what it refers to, as X sent it."""
        return {name: msgspec.to_builtins(getattr(self, name)) for name in HEAD}

    @property
    def versions(self) -> list[str]:
        """The ids of all its edits, from the first."""
        return self.edit_history_tweet_ids or self.edit_history_post_ids or [self.id]

    @property
    def original_id(self) -> str:
        """The id of its first version: what stays the same over edits."""
        return self.versions[0]

    @property
    def is_edited(self) -> bool:
        """Whether it has another version, earlier or later."""
        return any(id_ != self.id for id_ in self.versions)


UNREAD = (
    # asked for, or always sent, and kept in the raw answers alone
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
FIELDS = frozenset((*Post.__struct_fields__, *UNREAD))
METRICS = frozenset(Metrics.__struct_fields__)

_Metrics = msgspec.defstruct("_Metrics", [], bases=(Metrics,), forbid_unknown_fields=True, gc=False)
_Post = msgspec.defstruct(
    "_Post",
    [("public_metrics", _Metrics | None, None), *((name, msgspec.Raw, msgspec.Raw()) for name in UNREAD)],
    bases=(Post,),
    forbid_unknown_fields=True,
    gc=False,
)
_Page = msgspec.defstruct("_Page", [("data", list[_Post] | None, None)])  # type: ignore[valid-type]
# msgspec reads a type when it is first used, and crashes if two threads are the first: they are read here.
_PAGES: Any = msgspec.json.Decoder(_Page)
msgspec.json.Decoder(Post)


def all_of(content: bytes) -> list[Post]:
    """The posts of an answer, decoded at once without what nobody reads.

    Nothing where one is odd, or has fields that nobody knows: they are read one by one, to say what it is.
    """
    try:
        return _PAGES.decode(content).data or []
    except (ValueError, RecursionError):
        return []


def unknown_fields(raw: Mapping[str, Any]) -> list[str]:
    """Fields of a post that this pipeline has never heard of: X's form has drifted, and nothing is lost."""
    metrics = raw.get("public_metrics") or {}
    if raw.keys() <= FIELDS and metrics.keys() <= METRICS:
        return []
    unknown = [*(raw.keys() - FIELDS), *(f"public_metrics.{name}" for name in metrics.keys() - METRICS)]
    return sorted(safe_text(name, 100) for name in unknown)


def parsed(raw: Any, oddities: Counter[str] | None = None) -> Post:
    """The post in a decoded answer; what is odd about it is taken out of `raw`, and counted.

    A Malformed says which of the needed fields is not as it has to be.
    """
    taken_out = 0
    while True:
        try:
            return msgspec.convert(raw, Post)
        except msgspec.ValidationError as error:
            where, what = _complaint(str(error))
        if where in ("", *NEEDED):
            raise Malformed(f"{where or 'post'}: {safe_text(what)}")
        _take_out(raw, where if taken_out < MOST_ODD else re.split(r"\W", where)[0])
        taken_out += 1
        if oddities is not None:
            oddities[f"{INDEX.sub('[]', where)}: {safe_text(what)}"] += 1


def _complaint(said: str) -> tuple[str, str]:
    """What msgspec says: the place of the field, and what is wrong with it.

    The place stands last: before it there may be a field's name, which may hold anything, also a place.
    """
    what, at, where = said.rpartition(" - at `$")
    if not at:
        what, where = said, ""
    what, where = what.replace("`", ""), where.strip(".`")
    if what.startswith("Object contains unknown field"):  # of Nothing
        what = "Expected array | null, got object"
    what = what.replace("object | array | null", "array | null")
    if (missing := what.removeprefix("Object missing required field ")) != what:
        return f"{where}.{missing}".lstrip("."), "is missing"
    return where, f"{what[0].lower()}{what[1:]}"


def _take_out(raw: Any, where: str) -> None:
    """Leave the field out, or what is nothing without it."""
    *path, name = [int(key) if key.isdecimal() else key for key in re.findall(r"\w+", where)]
    if name in MADE_OF:
        name = path.pop()
    holder = reduce(getitem, path, raw)
    if name in UNKNOWN:
        holder[name] = UNKNOWN[name]
    else:
        del holder[name]
