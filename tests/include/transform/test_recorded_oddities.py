"""Recorded posts, anonymized, in 23 categories of oddity: each is refined by rules that hold for any post.

They are read as their own account would have been. What is expected is found in another way
than the pipeline's: by the links' addresses instead of their places.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from include.twitter.transform import refine
from tests.include.factories import DAY, answer
from tests.include.recorded import recorded_oddities

pytestmark = pytest.mark.slow


@dataclass
class Case:
    """A real post and what came of it, as the one post of an account."""

    post: dict[str, Any]
    post_counts: refine.PostCounts
    rows: pd.DataFrame
    rejected: list[dict[str, Any]]

    @property
    def row(self):
        return self.rows.iloc[0]

    def entities(self, name):
        """The entities of one kind; tools that saved them write an empty list as an empty object."""
        return list((self.post.get("entities") or {}).get(name) or [])

    def links(self):
        """The links that stand in the text, as X's entities name them."""
        return [url for url in self.entities("urls") if url["url"] in self.post["text"]]

    @property
    def own_links(self):
        """X's own links, to attached media and to the post itself."""
        return list(dict.fromkeys(url["url"] for url in self.links() if self.is_own(url)))

    def is_own(self, url):
        _, own, shown = url["expanded_url"].partition(f"/status/{self.post['id']}")
        return "media_key" in url or shown.startswith(("/photo/", "/video/")) or bool(own and not shown)


def of_the_day(sent):
    """The same post at the same time of the day of these tests: together they are refined in a moment.

    Retweets and replies are read as if they had been asked for.
    """
    at = {"created_at": f"{DAY}{sent['created_at'][10:]}"} if "created_at" in sent else {}
    references = list(sent.get("referenced_tweets") or [])
    quotes = [reference for reference in references if reference["type"] == "quoted"]
    return sent | at | ({"referenced_tweets": quotes} if references else {})


def cases_of(posts):
    """Refine each post as the one post of an account."""
    sources = [
        refine.AccountPages(f"account_{number}", sent.get("author_id"), [answer(sent)])
        for number, sent in enumerate(posts)
    ]
    (batch,) = refine.refine_accounts(sources, day=DAY, limit=0)
    rows = dict(list(batch.rows.groupby("username")))
    rejected = {source.username: [] for source in sources}
    for item in batch.rejected:
        rejected[item["username"]].append(item)
    return [
        Case(
            sent, post_counts, rows.get(post_counts.username, batch.rows[:0]), rejected[post_counts.username]
        )
        for sent, post_counts in zip(posts, batch.counts_by_account, strict=True)
    ]


SHORTENERS = ("https://bit.ly/", "http://econ.st/", "https://trib.al/")
"""Of those that X followed in these posts."""


def whole(url):
    """What its author linked to."""
    return url["unwound_url"] if followed(url) else url["expanded_url"]


def followed(url):
    return url["expanded_url"].startswith(SHORTENERS) and url.get("status") == 200


def resolved(text):
    """Without the three escapes of X; the one of the ampersand last, so that nothing is resolved twice."""
    for escape, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(escape, character)
    return text


@pytest.fixture(scope="module")
def oddities():
    recorded = recorded_oddities()
    cases = iter(cases_of([of_the_day(post) for posts in recorded.values() for post in posts]))
    return {name: [next(cases) for _ in posts] for name, posts in recorded.items()}


@pytest.fixture(scope="module")
def published(oddities):
    return [case for cases in oddities.values() for case in cases if len(case.rows)]


def test_every_recorded_post_with_a_time_is_published_and_one_without_is_rejected_for_it(oddities):
    rejected = Counter()
    for name, cases in oddities.items():
        for case in cases:
            whole_post = "created_at" in case.post
            assert dict(case.post_counts.reasons) == ({} if whole_post else {"created_at: is missing": 1})
            assert {key: number for key, number in case.post_counts.counts.items() if number} == {
                "fetched": 1,
                "published" if whole_post else "rejected": 1,
            }
            assert [item["post"] for item in case.rejected] == ([] if whole_post else [case.post])
            rejected[name] += not whole_post
    assert +rejected == {"community": 1, "edited": 2}
    assert sum(map(len, oddities.values())) == 203


def test_the_text_is_the_posts_with_its_escapes_resolved_and_its_links_whole(published):
    for case in published:
        text = case.post["text"]
        for link in case.own_links:
            before, after = text.split(link)
            text = before.rstrip() + after
        text = resolved(text)
        for url in case.links():
            text = text.replace(url["url"], whole(url))
        assert case.row["text"] == text
        own = {url["url"]: whole(url) for url in case.links() if not case.is_own(url)}
        assert case.row["urls"] == sorted(own.values(), key=text.index)
    assert sum(bool(case.own_links) for case in published) > 20
    assert sum(len(case.links()) for case in published) > 150


EDITED = {"1576050594284401438", "1576050549681055323"}
"""Of the autumn of 2022: they link to themselves, and are whole."""


def test_a_cut_or_withheld_post_raises_an_alarm_and_no_other_post_does(oddities):
    cut, withheld, short = Counter(), Counter(), Counter()
    for name, cases in oddities.items():
        for case in cases:
            own = f"/i/web/status/{case.post['id']}"
            itself = any(own in url["expanded_url"] for url in case.entities("urls"))
            itself = itself and case.post["id"] not in EDITED
            notice = "scope" in case.post.get("withheld", {})
            unnamed = len(case.rows) > 0 and "https://t.co/" in case.row["text"]
            warnings = [f"{case.post['id']}: a long post, cut: its whole text did not arrive"] * itself
            warnings += [f"{case.post['id']}: withheld: its text is X's notice, not the author's"] * notice
            lost = "its links are not all whole: X does not say where one stands, or where it leads"
            warnings += [f"{case.post['id']}: {lost}"] * unnamed
            assert case.post_counts.warnings == warnings
            assert case.post_counts.dropped_fields == {}
            cut[name] += itself
            withheld[name] += notice
            short[name] += unnamed
    assert +cut == {"truncated_long_post_without_note_tweet": 22}
    assert +withheld == {"withheld": 10}
    assert +short == {}
