"""A post's text as people read it: its links whole, X's own links taken out, X's escapes resolved."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from include.twitter.transform.post import Link, Post

SHORT = "://t.co/"
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
"""Addresses of pages at which X's crawler was asked to sign in, to consent or to prove itself."""
LOST = "its links are not all whole: X does not say where one stands, or where it leads"

Place = tuple[int, int, Link]
"""Where a link stands in a text, from and to."""


def readable(post: Post, text: str, links: Collection[Link]) -> tuple[str, list[str], str | None]:
    """The text, its author's links in order, and why it is not the author's whole one, where it is not.

    Links are put in first, and `&amp;` and its like are resolved after, piece by piece: what X says of places
    counts code points of the text as X escaped it. X's own links, to attached media or to the post
    itself, are taken out.
    """
    pieces: list[str] = []
    urls: list[str] = []
    places, lost = placed(text, links) if links else ([], False)
    at = 0
    for start, end, link in places:
        if start < at:  # within the one before
            lost = True
            continue
        before = unescaped(text[at:start])
        lost = lost or SHORT in before
        at = end
        if post.is_own_link(link):
            pieces.append(before.rstrip())
            at += 0 if any(pieces) and text[at:].strip() else _blanks(text[at:])
        else:
            target = whole(link)
            lost = lost or (SHORT in text[start:end] and target in (None, "", text[start:end]))
            urls.append(target or text[start:end])
            pieces += (before, urls[-1])
    lost = lost or SHORT in text[at:]
    read = "".join([*pieces, unescaped(text[at:])])
    return read, urls, post.alarm or (LOST if lost else None)


def placed(text: str, links: Collection[Link]) -> tuple[list[Place], bool]:
    """The links where they stand in the text, and whether one stands nowhere.

    X has been seen to repeat a link and to miscount; then each is known by its own text.
    """
    if len(links) == 1 == text.count(SHORT):
        (link,) = links
        if text[link.start : link.end] == link.url:
            return [(link.start, link.end, link)], False
    said = {link.start: link for link in links if text[link.start : link.end] == link.url}
    if len(said) == len(links) == text.count(SHORT):
        return [(start, said[start].end, said[start]) for start in sorted(said)], False
    known = {link.url or _short(text[link.start : link.end]): link for link in links}
    places = sorted((*place, link) for url, link in known.items() for place in _spans(url, text))
    return places, len({text[start:end] for start, end, _ in places}) < len(known)


def _short(text: str) -> str:
    return text if SHORT in text else ""


def _spans(url: str, text: str) -> Iterator[tuple[int, int]]:
    """Every place of a link in the text, from and to; one that goes on is another link."""
    at = text.find(url) if url else -1
    while at >= 0:
        end = at + len(url)
        if not (text[end : end + 1].isascii() and text[end : end + 1].isalnum()):
            yield at, end
        at = text.find(url, end)


def whole(link: Link) -> str | None:
    """What its author linked to; where that is a shortener's, what X found there, but for a sign-in page."""
    is_short = _host(link.expanded_url or link.url) in SHORTENERS
    if is_short and link.unwound_url and link.status == 200 and not SIGN_IN.match(link.unwound_url):
        return link.unwound_url
    return link.expanded_url


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].lower().removeprefix("www.")


def _blanks(text: str) -> int:
    """How many it begins with."""
    return len(text) - len(text.lstrip())


def unescaped(text: str) -> str:
    """The text without the three escapes that X makes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") if "&" in text else text
