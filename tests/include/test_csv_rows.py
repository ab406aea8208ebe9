"""A cell may be a whole article, longer than Python's csv module reads by default."""

import csv

import pytest

from deploy import traces
from include.twitter import layout
from include.twitter.csv_rows import csv_rows
from include.twitter.records import Erasure
from include.twitter.tombstones import Tombstones
from include.twitter.transform.files import Partition
from local import cli
from tests.include.factories import DAY, RECEIVED, account, link, make_response, post

LINK, ARTICLE = "https://t.co/art", "https://x.com/i/article/1990000000000000777"
PYTHONS_LIMIT = 131_072


@pytest.fixture(autouse=True)
def pythons_own_limit():
    before = csv.field_size_limit(PYTHONS_LIMIT)
    yield
    csv.field_size_limit(before)


def test_every_reader_of_the_csv_reads_a_cell_of_any_length(tmp_path):
    entities = {"urls": [link(LINK, LINK, expanded_url=ARTICLE)]}
    article = post(1, text=LINK, article={"plain_text": "dome, " * 33_333}, entities=entities)
    responses = [make_response(article, post(2), post(3))]
    with Partition(tmp_path) as partition:
        partition.append(account(responses, username="NASA", author_id="42", day=DAY, limit=0))
    data = (tmp_path / "refined_tweets.csv").read_bytes()
    assert [len(row["text"]) for row in csv_rows(data.decode().split("\n"))] == [199_998, 19, 19]

    csv.field_size_limit(PYTHONS_LIMIT)
    erased = Tombstones([Erasure(at=RECEIVED, why="requested", posts=[post(2)["id"]], days=[])])
    redacted = traces.redact(layout.csv(DAY), data, erased)
    assert [row["tweet_id"][-2:] for row in csv_rows(redacted.decode().split("\n"))] == ["01", "03"]

    csv.field_size_limit(PYTHONS_LIMIT)
    assert cli._sample(data.decode()).title == "1 of 3 rows"
