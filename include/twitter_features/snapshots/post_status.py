"""The status of each requested post, parsed from a response of X."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from include.twitter.records import PostState
from include.twitter.response import NOT_FOUND, SUSPENDED, Response, kind_of, problems, reason_of
from include.twitter.safe_text import safe_text
from include.twitter.transform.decode import counts

STATE_OF_TYPE: dict[str, PostState] = {
    NOT_FOUND: "gone",
    "not-authorized-for-resource": "protected",
    "resource-unavailable": "withheld",
    "disallowed-resource": "withheld",
}
"""By the last segment of an error's `type`. Posts that are gone can be erased for good: so neither silence
nor an unknown type makes a post gone."""
SHOWN = {"there", "edited", "unanswered"}
"""States in which a post does not count as lost."""


class PostStatus(NamedTuple):
    """A post as X shows it now; without counts if X does not show it."""

    tweet_id: str
    counts: tuple[int | None, ...]
    """In the order of the table's columns."""
    captured_at: datetime
    state: PostState
    reason: str = ""


def post_statuses(response: Response) -> Iterator[PostStatus]:
    """Yield the status of every post that was requested, in that order."""
    posts = {post["id"]: post for post in response.posts if isinstance(post, dict)}
    errors = {str(error.get("resource_id") or error.get("value")): error for error in problems(response.body)}
    for id_ in response.params["ids"].split(","):
        post = posts.get(id_)
        state, reason = _state_of_post(post) if post else _state_of_error(errors.get(id_))
        yield PostStatus(id_, counts(post and dict(post)), response.received_at, state, reason)


def _state_of_post(post: Mapping[str, Any]) -> tuple[PostState, str]:
    if withheld := post.get("withheld"):
        codes = withheld.get("country_codes") if isinstance(withheld, dict) else None
        countries = ", ".join(map(str, codes)) if isinstance(codes, list) else ""
        return "withheld", f"withheld in {safe_text(countries)}" if countries else "withheld"
    history = post.get("edit_history_tweet_ids") or post.get("edit_history_post_ids")
    versions = history if isinstance(history, list) else [post["id"]]
    latest = max(map(str, versions), key=lambda id_: (len(id_), id_))
    if latest == post["id"]:
        return "there", ""
    return "edited", f"{safe_text(latest, 40)} is a later version"


def _state_of_error(error: Mapping[str, Any] | None) -> tuple[PostState, str]:
    """Return the state by the error's type; a suspended account has no own type, but a title."""
    if error is None:
        return "unanswered", "X sent neither the post nor an error"
    state = STATE_OF_TYPE.get(kind_of(error), "unanswered")
    is_suspended = state == "gone" and error.get("title") == SUSPENDED
    return "suspended" if is_suspended else state, reason_of(error)
