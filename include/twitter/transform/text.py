"""A post's text as people read it: its links whole, X's own links taken out, X's escapes resolved."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime

from msgspec import Struct

from include.twitter.transform.post import Entities, Link, Post

SHORT_LINK = "://t.co/"
"""In every link as X writes it into a text."""
SHORTENERS = frozenset({
    "bit.ly", "bitly.com", "j.mp", "buff.ly", "ow.ly", "hubs.ly", "hubs.li", "hubs.la", "dlvr.it",
    "ift.tt", "trib.al", "spr.ly", "lnkd.in", "fb.me", "goo.gl", "t.co", "tinyurl.com", "is.gd", "v.gd",
    "rb.gy", "t.ly", "tiny.cc", "cutt.ly", "shorturl.at", "rebrand.ly", "amzn.to", "apple.co", "flip.it",
    "econ.st", "nyti.ms", "wapo.st", "reut.rs", "bloom.bg", "cnn.it", "bbc.in", "ti.me", "on.ft.com",
    "on.wsj.com",
})  # fmt: skip
"""Hosts that lead elsewhere and say nothing themselves: those of recorded posts, of the tools that publishers
post with, and of large newsrooms."""
SIGN_IN = re.compile(
    r"https?://(?:[^/?#]*\.)?(?:accounts?|auth|consent|guce|id|idp|log-?in|myaccount|passport|sign-?in|sso)\."
    r"|https?://[^?#]*/(?:accounts/login|auth|authorize|authwall|captcha|challenge|checkpoint|client/login|"
    r"consent|global-identity|log[-_]?in|oauth2?|servicelogin|sign[-_]?in|sign[-_]?up|sso|tosv2"
    r")(?:[/?#.]|$)",
    re.IGNORECASE,
)
"""Addresses of pages that required X's crawler to sign in, to consent or to prove that it is no robot."""
LINKS_LOST = "its links are not all whole: X does not say where one stands, or where it leads"

Place = tuple[int, int, Link]
"""Where a link stands in a text, from and to."""


class WrittenPost(Struct, gc=False):
    """A post as people read it, with all that columns are made of."""

    post: Post
    username: str
    """Its account's handle in the table."""
    captured_at: datetime
    text: str
    urls: list[str]
    """Its author's links, in order."""
    entities: Entities


def written_post(post: Post, username: str, captured_at: datetime) -> tuple[WrittenPost, str | None]:
    """The post as people read it, and a warning if its text is not the author's whole one.

    Links are put in first, and `&amp;` and the like are resolved after, piece by piece: X's offsets count
    code points of the text as X escaped it. X's own links, to attached media or to the post itself, go.
    """
    text, entities = post.written
    pieces: list[str] = []
    urls: list[str] = []
    places, is_lost = placed(text, entities.urls) if entities.urls else ([], False)
    position = 0
    for start, end, link in places:
        if start < position:  # inside the link before
            is_lost = True
            continue
        before = unescaped(text[position:start])
        is_lost = is_lost or SHORT_LINK in before
        position = end
        if post.is_own_link(link):
            pieces.append(before.rstrip())
            rest = text[position:]
            position += 0 if any(pieces) and rest.strip() else len(rest) - len(rest.lstrip())
        else:
            target = whole(link)
            is_lost = is_lost or (SHORT_LINK in text[start:end] and target in (None, "", text[start:end]))
            urls.append(target or text[start:end])
            pieces += (before, urls[-1])
    is_lost = is_lost or SHORT_LINK in text[position:]
    read = "".join([*pieces, unescaped(text[position:])])
    read = read.replace("\0", "\ufffd")  # readers of C strings would take it for the end
    written = WrittenPost(post, username, captured_at, read, urls, entities)
    return written, post.warning or (LINKS_LOST if is_lost else None)


def placed(text: str, links: Collection[Link]) -> tuple[list[Place], bool]:
    """The links with their places in the text, and whether one has no place.

    X has been seen to repeat a link and to miscount. Then each is found by its own text.
    """
    by_start = {link.start: link for link in links if text[link.start : link.end] == link.url}
    if len(by_start) == len(links) == text.count(SHORT_LINK):
        return [(start, by_start[start].end, by_start[start]) for start in sorted(by_start)], False
    known: dict[str, Link] = {}
    for link in links:
        place = text[link.start : link.end]
        known[link.url or (place if SHORT_LINK in place else "")] = link
    places = sorted((*place, link) for url, link in known.items() for place in _occurrences(url, text))
    return places, len({text[start:end] for start, end, _ in places}) < len(known)


def _occurrences(url: str, text: str) -> Iterator[tuple[int, int]]:
    """Every place of a link in the text, from and to; a longer one is another link."""
    start = text.find(url) if url else -1
    while start >= 0:
        end = start + len(url)
        if not (text[end : end + 1].isascii() and text[end : end + 1].isalnum()):
            yield start, end
        start = text.find(url, end)


def whole(link: Link) -> str | None:
    """What its author linked to; if that is a shortener's, what X found there, except a sign-in page."""
    host = (link.expanded_url or link.url).partition("://")[2].partition("/")[0].lower()
    is_short = host.removeprefix("www.") in SHORTENERS
    if is_short and link.unwound_url and link.status == 200 and not SIGN_IN.match(link.unwound_url):
        return link.unwound_url
    return link.expanded_url


def unescaped(text: str) -> str:
    """The text without the three escapes that X makes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if "&" in text else text
