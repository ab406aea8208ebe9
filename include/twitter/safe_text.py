"""Text of X or of a person, made safe for a terminal, a log, a mail and a page.

A log line stays one line, no escape sequence reaches a terminal, and no text reverses the text beside it.
"""

from __future__ import annotations

import re

MAX_LENGTH = 300
"""Characters of one text of X: a title, a reason, a name."""
LONGEST_MESSAGE = 4000
"""Characters of a whole message of the pipeline, which may list many accounts."""

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 controls, line and paragraph separators, marks of direction, halves of emojis."""


def safe_text(text: object, longest: int = MAX_LENGTH) -> str:
    """The text with unsafe characters as visible code points, `[U+001B]`, in at most `longest` characters.

    Safe text is not changed, so a second call has no effect.
    """
    whole = str(text)
    safe = UNSAFE.sub(lambda match: f"[U+{ord(match[0]):04X}]", whole[: longest + 1])
    if len(safe) <= longest:
        return safe
    mark = f" … ({len(whole):,} characters)"
    return safe[: max(longest - len(mark), 0)] + mark


def safe_lines(text: object) -> str:
    """A text of several lines, such as the end of a log, with each line made safe."""
    return "\n".join(safe_text(line, LONGEST_MESSAGE) for line in str(text).split("\n"))
