"""Recorded responses of X, read and refined: nothing of them is lost, and nothing breaks."""

import json
import re

import pytest

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.extract.account_state import Event
from include.twitter.extract.cursor import MUST_HAVE, Cursor
from include.twitter.identities import unavailable_reasons
from include.twitter.sources import AccountPosts
from local.x_api.posts import user_id
from tests.include.factories import DAY, make_response
from tests.include.recorded import recorded_errors, recorded_pages

AUTHOR = "42"
TIMELINE = r"/2/users/\d+/tweets"


def pages_of_posts(author_id: str) -> list[dict]:
    """The recorded bodies that a timeline could have, without their tokens."""
    bodies = [page["body"] for page in recorded_pages()]
    posts = [b for b in bodies if isinstance(b.get("data"), list) and "text" in b["data"][0]]
    return [
        body
        | {"data": [signed(post, author_id) for post in body["data"]]}
        | {"meta": {"result_count": len(body["data"])}}
        for body in posts
    ]


def signed(post: dict, author_id: str) -> dict:
    return post | {"author_id": author_id} if "author_id" in post else post


def has_required_fields(body: dict) -> bool:
    return all(any(name in post for post in body["data"]) for name in MUST_HAVE)


def test_every_recorded_response_is_read_or_refused_for_a_missing_field():
    outcomes = []
    for page in recorded_pages():
        body, cursor = page["body"], Cursor(AccountPosts("NASA", AUTHOR), DAY, 0)
        posts = body.get("data") or []
        response = make_response(**{**body, "data": [signed(post, AUTHOR) for post in posts]})
        if problem := cursor.problem(response):
            assert "posts without" in str(problem)
            outcomes.append("refused")
            continue
        cursor.advance(response)
        assert cursor.returned == len(posts)
        outcomes.append("goes on" if cursor.token else cursor.ended)
    assert len(outcomes) == 28
    assert "goes on" in outcomes


def test_every_recorded_error_about_an_account_ends_its_reading():
    for error in recorded_errors():
        cursor = Cursor(AccountPosts("NASA", AUTHOR), DAY, 0)
        cursor.advance(make_response(errors=[error]))
        is_about_account = error.get("resource_type") == "user" and error.get("parameter") in (
            "id",
            "usernames",
            "username",
        )
        assert (cursor.ended is not Event.END) == is_about_account, error


def test_every_recorded_error_about_a_look_up_names_its_handle():
    lookups = [error for error in recorded_errors() if error.get("parameter") in ("usernames", "username")]
    for error in lookups:
        handle = error["value"]
        assert unavailable_reasons(make_response(errors=[error]), [handle])[handle].startswith(error["title"])
    assert lookups


def of_later(body):
    """The page with its posts after the requested day: reading ends at a page of older ones."""
    day = "2026-11-21T12:00:00.000Z"
    return body | {"data": [item | {"created_at": day} for item in body["data"]]}


@pytest.mark.live
def test_recorded_pages_go_through_the_stages_without_loss(pipeline, x):
    recorded = pages_of_posts(user_id("posts_0_rec"))
    bodies = [of_later(body) for body in recorded if has_required_fields(body)]
    chain = [
        body | {"meta": body["meta"] | ({"next_token": f"t{number}"} if number < len(bodies) else {})}
        for number, body in enumerate(bodies, 1)
    ]
    x.order(*[{"match": TIMELINE, "status": 200, "body": body} for body in chain])
    pipeline.put(tweet_limit=0, run_budget_usd=0)
    sent = sum(len(body["data"]) for body in bodies)

    bought = pipeline.extract("posts_0_rec")
    account = pipeline.refine(bought)["posts_0_rec"]

    assert x.request_kinds().count("timeline") == len(bodies) > 5
    assert account["fetched"] == account["unrequested"] + account["rejected"] + account["outside"] == sent
    [raw] = [key for key in pipeline.raw() if re.fullmatch(r"buy=1/\d+/0001\.json\.gz", key)]
    root = layout.raw(Day.parse("2026-11-20"))
    assert json.loads(pipeline.bucket.read(root + raw))["body"] == chain[0]
