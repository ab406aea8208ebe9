"""The columns that readers were promised, in order: the one list of them in the tests. Add at its end."""

from typing import NamedTuple

TYPES = {
    "string": ("string", "string"),
    "integer": ("int64", "bigint"),
    "boolean": ("bool", "boolean"),
    "moment": ("timestamp[ms, tz=UTC]", "timestamp"),
    "list": ("list<element: string>", "array<string>"),
}
"""In Parquet and in Athena."""
LINES = """
tweet_id string required
created_at moment required
username string required
text string required
likes integer
retweets integer
replies integer
quotes integer
bookmarks integer
impressions integer
lang string
is_quote boolean
hashtags list
mentions list
cashtags list
urls list
url string required
author_id string required
conversation_id string
original_tweet_id string required
is_edited boolean
possibly_sensitive boolean
captured_at moment required
media list
has_poll boolean
quoted_tweet_id string
quoted_username string
in_reply_to_tweet_id string
community_id string
paid_partnership boolean
source string
"""
PLAIN = {"has_poll": False, "media": []}
"""The columns that are not empty in the row of a post that has nothing of theirs."""


class Promised(NamedTuple):
    name: str
    parquet: str
    athena: str
    required: bool


def _promised(name: str, kind: str, *required: str) -> Promised:
    return Promised(name, *TYPES[kind], bool(required))


PROMISED = {line.split()[0]: _promised(*line.split()) for line in LINES.split("\n") if line}
ADDED = [*PROMISED][[*PROMISED].index("captured_at") + 1 :]
"""Those of contract version 3 and later, of which the tests of older ones know nothing."""


def added(**filled: object) -> dict[str, object]:
    """The cells of the added columns of a plain post, or of one that has these."""
    return dict.fromkeys(ADDED) | PLAIN | filled
