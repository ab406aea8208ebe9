"""The form of a page of posts: requested fields, `meta`, tokens, and X's two vocabularies."""

import re
from typing import Any

from local.x_api.errors import Body, invalid

OLDER = "7140dibdnow"  # the beginning of every token
ALWAYS = ("id", "text", "edit_history_tweet_ids")
POST_VOCABULARY = {  # spec 2.167, August 2026
    "edit_history_tweet_ids": "edit_history_post_ids",
    "note_tweet": "note_post",
    "referenced_tweets": "referenced_posts",
    "retweet_count": "repost_count",
    "tweet_count": "post_count",
    "total_tweet_count": "total_post_count",
}


def chosen(posts: list[Body], params: dict[str, str]) -> list[Body]:
    """The posts with the requested fields. Unknown names are ignored."""
    fields = dict.fromkeys([*ALWAYS, *params.get("tweet.fields", "").split(",")])
    return [{name: post[name] for name in fields if name in post} for post in posts]


def to_post_vocabulary(value: Any) -> Any:
    """The same response in the vocabulary of spec 2.167."""
    if isinstance(value, dict):
        return {POST_VOCABULARY.get(key, key): to_post_vocabulary(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [to_post_vocabulary(inner) for inner in value]
    return value


def page(posts: list[Body], next_token: str | None) -> Body:
    """The body of a page: without `data` if it is empty, with a token if there is one."""
    meta: Body = {"result_count": len(posts)}
    if posts:
        ids = sorted((post["id"] for post in posts), key=int)
        meta |= {"newest_id": ids[-1], "oldest_id": ids[0]}
    if next_token:
        meta["next_token"] = next_token
    return {"data": posts, "meta": meta} if posts else {"meta": meta}


def older_than(post_id: int) -> str:
    """The token of the page below a post."""
    return f"{OLDER}{post_id:x}"


def token_below(token: str) -> int:
    """The id below which the page of a token starts."""
    match = re.fullmatch(rf"{OLDER}([0-9a-f]{{1,16}})", token)
    if not match:
        raise invalid("pagination_token", token, "is not valid")
    return int(match[1], 16)
