"""How X is asked for what is collected, and which posts belong to it."""

from dataclasses import dataclass

import pytest

from include.twitter.extract.account_state import Event
from include.twitter.extract.cursor import Cursor
from include.twitter.sources import (
    AccountPosts,
    Endpoint,
    PageRequest,
    SelfReplies,
    Verification,
    author_query,
    id_batches,
)
from tests.include.factories import DAY, answer, post

OWN, REPLIES = "(from:42) -is:retweet -is:reply", "(from:42) to:42 is:reply -is:retweet"
ARCHIVE = Endpoint.FULL_ARCHIVE_SEARCH
REPLY_TO_SELF = post(1, in_reply_to_user_id="42", referenced_tweets=[{"type": "replied_to", "id": "7"}])


@pytest.mark.parametrize(
    ("source", "label", "request_", "count"),
    [
        (AccountPosts("NASA"), "42", PageRequest(Endpoint.TIMELINE, "42"), OWN),
        (AccountPosts("NASA", own=True), "42", PageRequest(Endpoint.TIMELINE, "42", "own_posts"), OWN),
        (AccountPosts("NASA", old=True, own=True), "42", PageRequest(ARCHIVE, OWN), OWN),
        (Verification("NASA"), "search-42", PageRequest(Endpoint.RECENT_SEARCH, OWN), None),
        (SelfReplies("NASA"), "thread-42", PageRequest(Endpoint.RECENT_SEARCH, REPLIES), None),
        (SelfReplies("NASA", old=True), "thread-42", PageRequest(ARCHIVE, REPLIES), None),
    ],
)
def test_a_source_says_how_x_is_asked(source, label, request_, count):
    resolved = source.resolve("42")
    assert (resolved.label, resolved.page_request(), resolved.count_query()) == (label, request_, count)


@pytest.mark.parametrize(
    ("sent", "unfilled", "is_own", "is_self_reply"),
    [
        (post(1), (), True, False),
        (REPLY_TO_SELF, (), False, True),
        (post(1, author_id="7"), (), False, False),
        (post(1, in_reply_to_user_id="7"), ["referenced_tweets"], False, False),
    ],
)
def test_a_source_owns_what_was_asked_for(sent, unfilled, is_own, is_self_reply):
    assert AccountPosts("NASA", "42").owns(sent, unfilled) is is_own
    assert SelfReplies("NASA", "42").owns(sent, unfilled) is is_self_reply
    assert AccountPosts("NASA", "42").username(sent) == "NASA"


@pytest.mark.parametrize(
    ("number", "most", "longest", "sizes"),
    [(0, 20, 512, []), (1, 20, 512, [1]), (45, 20, 5000, [20, 20, 5]), (36, 100, 1024, [35, 1])],
)
def test_accounts_are_counted_in_as_few_queries_as_x_allows(number, most, longest, sizes):
    made = [*id_batches([f"{1_990_000_000_000_000_000 + n}" for n in range(number)], most, longest)]
    assert [len(ids) for ids in made] == sizes
    assert all(len(author_query(ids)) <= longest for ids in made)


@dataclass(frozen=True)
class Hashtag:
    """A source that is no account: one class is all that it takes."""

    tag: str
    author_id = None

    @property
    def label(self):
        return f"tag-{self.tag}"

    def resolve(self, id_):
        return self

    def page_request(self):
        return PageRequest(Endpoint.RECENT_SEARCH, f"#{self.tag} -is:retweet")

    def count_query(self):
        return self.page_request().target

    def owns(self, post, unfilled=()):
        return any(tag["tag"] == self.tag for tag in post.get("entities", {}).get("hashtags", ()))

    def username(self, post):
        return post["author_id"]


def test_a_cursor_goes_through_the_posts_of_anybody():
    tagged = {"entities": {"hashtags": [{"tag": "mars"}]}}
    cursor = Cursor(Hashtag("mars"), DAY, limit=3)
    page = answer(post(4, author_id="7", **tagged), post(3), post(2, author_id="8", **tagged), token="t1")
    assert cursor.problem(page) is None
    cursor.advance(page)
    assert (len(cursor.hours), cursor.ended, cursor.page_size) == (2, None, 34)
    cursor.advance(answer(post(1, author_id="9", **tagged)))
    assert cursor.ended is Event.LIMIT
