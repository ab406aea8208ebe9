"""A cell may be a whole article, longer than Python's csv module takes by itself."""

import csv

import pytest

from deploy import traces
from include.twitter import layout
from include.twitter.csv_rows import csv_rows
from include.twitter.records import Erasure
from include.twitter.tombstones import Tombstones
from include.twitter.transform.files import Partition
from local import cli
from tests.include.factories import DAY, RECEIVED, account, answer, link, post

LINK = "https://t.co/art"
PYTHONS_LIMIT = 131_072


@pytest.fixture(autouse=True)
def pythons_own_limit():
    """Each test begins with the limit of a fresh process."""
    before = csv.field_size_limit(PYTHONS_LIMIT)
    yield
    csv.field_size_limit(before)


@pytest.fixture
def day_with_an_article(tmp_path):
    """The CSV of a day of three posts, of which the first is an article of so many characters."""

    def made(characters):
        article = post(
            1,
            text=LINK,
            article={"plain_text": "dome, " * (characters // 6)},
            entities={"urls": [link(LINK, LINK, expanded_url="https://x.com/i/article/1990000000000000777")]},
        )
        day = account(
            [answer(article, post(2), post(3))],
            username="ObservatoryHill",
            author_id="42",
            day=DAY,
            limit=0,
        )
        with Partition(tmp_path) as partition:
            partition.append(day)
        return (tmp_path / "refined_tweets.csv").read_bytes()

    return made


def test_a_cell_of_any_length_is_read(day_with_an_article):
    rows = list(csv_rows(day_with_an_article(200_000).decode().split("\n")))
    assert [len(row["text"]) for row in rows] == [199_998, 19, 19]


def test_posts_are_forgotten_also_beside_a_long_cell(day_with_an_article):
    gone = Tombstones([Erasure(at=RECEIVED, why="requested", posts=[post(2)["id"]], days=[])])
    data = day_with_an_article(200_000)
    assert [trace.ids[0] for trace in traces.traces(layout.csv(DAY), data, gone)] == [post(2)["id"]]
    left = traces.redact(layout.csv(DAY), data, gone)
    assert [row["tweet_id"][-2:] for row in csv_rows(left.decode().split("\n"))] == ["01", "03"]


def test_the_sample_of_a_local_run_shows_a_day_with_a_long_cell(day_with_an_article):
    assert cli._sample(day_with_an_article(200_000).decode()).title == "1 of 3 rows"
