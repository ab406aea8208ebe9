"""Recorded posts, anonymized, in 23 categories of special cases: the rules of any post refine each.

Each is refined as the one post of its account. The expected text is found in another way than the
pipeline's: by the links' addresses instead of their places.
"""

from collections import Counter

import pytest

from tests.include.factories import DAY
from tests.include.recorded import recorded_special_cases
from tests.include.transform.refined import refined

pytestmark = pytest.mark.slow

SHORTENERS = ("https://bit.ly/", "http://econ.st/", "https://trib.al/")
"""Of those that X followed in these posts."""
EDITED = {"1576050594284401438", "1576050549681055323"}
"""Of the autumn of 2022: they link to themselves, and are whole."""


def of_the_day(sent):
    """The same post on the day of these tests; a retweet or a reply as if it was requested."""
    at = {"created_at": f"{DAY}{sent['created_at'][10:]}"} if "created_at" in sent else {}
    quotes = [reference for reference in sent.get("referenced_tweets") or [] if reference["type"] == "quoted"]
    return sent | at | ({"referenced_tweets": quotes} if "referenced_tweets" in sent else {})


@pytest.fixture(scope="module")
def cases():
    """Category, post and batch."""
    posts = [(name, of_the_day(post)) for name, posts in recorded_special_cases().items() for post in posts]
    return [(name, post, refined(post, author_id=post.get("author_id"))) for name, post in posts]


def links(post):
    """The links in the text, as X's entities name them; tools write an empty list as an empty object."""
    urls = (post.get("entities") or {}).get("urls") or []
    return [url for url in urls if url["url"] in post["text"]]


def is_own(post, url):
    """Whether it is X's own link, to attached media or to the post itself."""
    _, own, rest = url["expanded_url"].partition(f"/status/{post['id']}")
    return "media_key" in url or rest.startswith(("/photo/", "/video/")) or bool(own and not rest)


def whole(url):
    """What its author linked to."""
    is_followed = url["expanded_url"].startswith(SHORTENERS) and url.get("status") == 200
    return url["unwound_url"] if is_followed else url["expanded_url"]


def test_every_recorded_post_with_a_time_is_published_and_one_without_is_rejected_for_it(cases):
    rejected = Counter()
    for name, post, batch in cases:
        if "created_at" in post:
            assert batch.fates == {"fetched": 1, "published": 1}
        else:
            assert batch.reasons == {"created_at: is missing": 1}
            assert [item["post"] for item in batch.rejected] == [post]
            rejected[name] += 1
    assert rejected == {"community": 1, "edited": 2}
    assert len(cases) == 203


def test_the_text_has_its_escapes_resolved_and_its_links_whole_without_those_of_x(cases):
    numbers = Counter()
    for _, post, batch in cases:
        text, urls_of_post = post["text"], links(post)
        own = list(dict.fromkeys(url["url"] for url in urls_of_post if is_own(post, url)))
        for link in own:
            before, after = text.split(link)
            text = before.rstrip() + after
        for escape, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            text = text.replace(escape, character)
        for url in urls_of_post:
            text = text.replace(url["url"], whole(url))
        for row in batch.records:
            assert row["text"] == text
            urls = {url["url"]: whole(url) for url in urls_of_post if not is_own(post, url)}
            assert row["urls"] == sorted(urls.values(), key=text.index)
            numbers.update(own=bool(own), links=len(urls_of_post))
    assert numbers["own"] > 20
    assert numbers["links"] > 150


def test_a_cut_or_withheld_post_has_a_warning_and_no_other_post_has_one(cases):
    cut, withheld = Counter(), Counter()
    for name, post, batch in cases:
        urls = (post.get("entities") or {}).get("urls") or []
        itself = any(f"/i/web/status/{post['id']}" in url["expanded_url"] for url in urls)
        itself = itself and post["id"] not in EDITED
        notice = "scope" in post.get("withheld", {})
        warnings = [f"{post['id']}: a long post, cut: its whole text did not arrive"] * itself
        warnings += [f"{post['id']}: withheld: its text is X's notice, not the author's"] * notice
        assert batch.warnings == warnings
        assert batch.dropped_fields == {}
        cut[name] += itself
        withheld[name] += notice
    assert +cut == {"truncated_long_post_without_note_tweet": 22}
    assert +withheld == {"withheld": 10}
