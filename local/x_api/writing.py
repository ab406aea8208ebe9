"""A text as X sends it: escaped, with short links, entities and offsets, and cut if it is long."""

import re
from collections.abc import Callable
from html import escape
from random import Random
from typing import Any

ENTITY = re.compile(
    r"(?P<urls>https://\S+)|(?<!\w)@(?P<mentions>[A-Za-z0-9_]{1,15})\b"
    r"|(?<!\w)#(?P<hashtags>[^\s#@.,;:!?]+)|(?<!\w)\$(?P<cashtags>[A-Z]{2,6})\b"
)


class Text:
    """A text and its entities, whose offsets count code points of the escaped text."""

    def __init__(self) -> None:
        self.text = ""
        self.entities: dict[str, list[dict[str, Any]]] = {}

    def plain(self, text: str) -> None:
        self.text += escape(text, quote=False)

    def entity(self, kind: str, shown: str, **about: str) -> None:
        start, end = len(self.text), len(self.text) + len(shown)
        self.text += shown
        self.entities.setdefault(kind, []).append({"start": start, "end": end, **about})

    def link(self, rng: Random, target: str, **about: str) -> None:
        short, address = f"https://t.co/{code(rng)}", target.removeprefix("https://")
        about.setdefault("display_url", address if len(address) <= 27 else address[:26] + "…")
        self.entity("urls", short, url=short, expanded_url=target, **about)

    def cut(self, limit: int) -> "Text":
        """The first words and an ellipsis, with the entities that they contain completely."""
        shortened = Text()
        shortened.text = cut(self.text, limit)
        for kind, entities_of_kind in self.entities.items():
            if whole := [entity for entity in entities_of_kind if entity["end"] < len(shortened.text)]:
                shortened.entities[kind] = whole
        return shortened


def typed(rng: Random, raw: str, user_id: Callable[[str], str]) -> Text:
    """The text that an author typed, as X sends it."""
    written, done = Text(), 0
    for match in ENTITY.finditer(raw):
        written.plain(raw[done : match.start()])
        done, kind = match.end(), match.lastgroup or ""
        value = match[kind]
        if kind == "urls":
            written.link(rng, value)
        elif kind == "mentions":
            written.entity(kind, match[0], username=value, id=user_id(value))
        else:
            written.entity(kind, match[0], tag=value)
    written.plain(raw[done:])
    return written


def cut(text: str, limit: int) -> str:
    """The words that fit, and an ellipsis; a script without spaces is cut at the limit."""
    if len(text) <= limit:
        return text
    end = text.rfind(" ", limit - 60, limit)
    return text[: end if end > 0 else limit] + "…"


def code(rng: Random) -> str:
    """The last part of a short link."""
    return f"{int(rng.random() * (1 << 40)):010x}"
