"""The requests of each source, and which posts belong to it."""

import pytest

from include.twitter.settings import XAccess
from include.twitter.sources import (
    AccountPosts,
    Endpoint,
    PageRequest,
    SelfReplies,
    TokenOwner,
    Verification,
    author_query,
    id_batches,
)
from include.twitter.x.client import owner_id
from tests.include.factories import post

OWN, REPLIES = "(from:42) -is:retweet -is:reply", "(from:42) to:42 is:reply -is:retweet"
ARCHIVE, SEARCH = Endpoint.FULL_ARCHIVE_SEARCH, Endpoint.RECENT_SEARCH
NASA = TokenOwner("nasa")
REPLY_TO_SELF = post(1, in_reply_to_user_id="42", referenced_tweets=[{"type": "replied_to", "id": "7"}])


@pytest.mark.parametrize(
    ("source", "label", "request_", "count"),
    [
        (AccountPosts("NASA"), "42", PageRequest(Endpoint.TIMELINE, "42"), OWN),
        (AccountPosts("NASA", owner=NASA), "42", PageRequest(Endpoint.TIMELINE, "42", "own_posts"), OWN),
        (AccountPosts("NASA", old=True, owner=NASA), "42", PageRequest(ARCHIVE, OWN), OWN),
        (Verification("NASA"), "search-42", PageRequest(SEARCH, OWN), None),
        (SelfReplies("NASA"), "thread-42", PageRequest(SEARCH, REPLIES), None),
        (SelfReplies("NASA", old=True), "thread-42", PageRequest(ARCHIVE, REPLIES), None),
    ],
)
def test_a_source_describes_its_requests(source, label, request_, count):
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
def test_a_source_owns_the_posts_that_were_requested(sent, unfilled, is_own, is_self_reply):
    assert AccountPosts("NASA", "42").owns(sent, unfilled) is is_own
    assert SelfReplies("NASA", "42").owns(sent, unfilled) is is_self_reply


@pytest.mark.parametrize(
    ("owner", "handle", "is_owner"),
    [
        pytest.param(TokenOwner(), "NASA", False, id="nobody"),
        pytest.param(TokenOwner(id="42"), "NASA", False, id="nobody by the settings"),
        pytest.param(NASA, "NASA", True, id="by handle"),
        pytest.param(TokenOwner("nasa", confirmed={("nasa", "42")}), "NASA", False, id="changed hands"),
        pytest.param(NASA, "esa", False, id="another handle"),
        pytest.param(TokenOwner("nasa", "42"), "NASA_new", True, id="renamed"),
        pytest.param(TokenOwner("nasa", "77"), "NASA", False, id="another id"),
    ],
)
def test_the_owner_of_the_access_token_is_an_id_else_a_handle(owner, handle, is_owner):
    assert owner.is_account(handle, "42") is is_owner


@pytest.mark.parametrize(
    ("token", "owner"), [("42-aBc", "42"), ("local-access-token", None), ("aBc", None), (None, None)]
)
def test_an_access_token_begins_with_the_id_of_its_owner(token, owner):
    secret = token and "secret"
    assert owner_id(XAccess("https://x.example", "key", "secret", token, secret)) == owner


@pytest.mark.parametrize(
    ("number", "most", "longest", "sizes"),
    [(0, 20, 512, []), (1, 20, 512, [1]), (45, 20, 5000, [20, 20, 5]), (36, 100, 1024, [35, 1])],
)
def test_accounts_are_counted_in_as_few_queries_as_x_allows(number, most, longest, sizes):
    batches = [*id_batches([f"{1_990_000_000_000_000_000 + n}" for n in range(number)], most, longest)]
    assert [len(ids) for ids in batches] == sizes
    assert all(len(author_query(ids)) <= longest for ids in batches)
