"""What an answer of X tells of each post that it was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from include.twitter.answer import NOT_FOUND, SUSPENDED, Answer, kind_of, problems, reason_of
from include.twitter.records import PostState
from include.twitter.safe_text import safe_text
from include.twitter.transform.decode import counts

PROTECTED = "not-authorized-for-resource"
HIDDEN = {"resource-unavailable", "disallowed-resource"}
SILENCE = "X sends neither the post nor a word on it"


class Seen(NamedTuple):
    """One post, as X gives it now; without counts where it does not."""

    tweet_id: str
    counts: tuple[int | None, ...]
    """In the order of the table's columns."""
    captured_at: datetime
    state: PostState
    reason: str = ""


def seen(answer: Answer) -> Iterator[Seen]:
    """Every post that was asked for, in that order: none is left out."""
    posts = {post["id"]: post for post in answer.posts if isinstance(post, dict)}
    errors = {str(error.get("resource_id") or error.get("value")): error for error in problems(answer.body)}
    for id_ in answer.params["ids"].split(","):
        post, error = posts.get(id_), errors.get(id_)
        state, reason = _shown(post) if post else _refused(error)
        yield Seen(id_, counts(post and dict(post)), answer.received_at, state, reason)


def _shown(post: Mapping[str, Any]) -> tuple[PostState, str]:
    if withheld := post.get("withheld"):
        codes = withheld.get("country_codes") if isinstance(withheld, dict) else None
        where = ", ".join(map(str, codes)) if isinstance(codes, list) else ""
        return "withheld", f"withheld in {safe_text(where)}" if where else "withheld"
    history = post.get("edit_history_tweet_ids") or post.get("edit_history_post_ids")
    versions = history if isinstance(history, list) else [post["id"]]
    latest = max(map(str, versions), key=lambda id_: (len(id_), id_))
    return (
        ("there", "") if latest == post["id"] else ("edited", f"{safe_text(latest, 40)} is a later version")
    )


def _refused(error: Mapping[str, Any] | None) -> tuple[PostState, str]:
    """By the type first; a suspended account's has that of what is not found, and another title.

    Posts that are gone can be erased for good. So neither silence nor an unknown type makes one gone.
    """
    if error is None:
        return "unanswered", SILENCE
    kind, reason = kind_of(error), reason_of(error)
    if kind == NOT_FOUND:
        return ("suspended" if error.get("title") == SUSPENDED else "gone"), reason
    if kind in HIDDEN:
        return "withheld", reason
    return ("protected" if kind == PROTECTED else "unanswered"), reason
