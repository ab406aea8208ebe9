"""A post as X sends it."""

import subprocess
import sys
from pathlib import Path

import pytest

from include.twitter.transform.post import Malformed, parsed
from tests.include.invented import in_post_words, post
from tests.include.recorded import recorded_pages

ROOT = Path(__file__).parents[3]


def test_what_x_sends_beside_the_fields_that_are_read_is_no_trouble():
    assert parsed(post(1, withheld={"copyright": False}, tomorrow=[1])).id == "1990000000000000001"


def test_a_post_needs_an_id_a_text_a_time_an_author_and_nothing_else_to_be_read():
    bare = parsed({"id": "1", "text": "", "created_at": "2026-11-18T09:01:00.000Z", "author_id": "42"})
    assert (bare.note, len(bare.references), bare.public_metrics, bare.lang) == (None, 0, None, None)
    assert bare.original_id == "1"


def test_the_note_the_references_and_the_first_version_are_read_in_both_vocabularies():
    tweet = post(
        2,
        note_tweet={"text": "whole"},
        referenced_tweets=[{"type": "quoted", "id": "7"}],
        edit_history_tweet_ids=["1990000000000000001", "1990000000000000002"],
    )
    for words in (tweet, in_post_words(tweet)):
        read = parsed(words)
        assert read.note.text == "whole"
        assert [reference.type for reference in read.references] == ["quoted"]
        assert read.original_id == "1990000000000000001"


def test_null_is_the_same_as_absent():
    absent = parsed({"id": "1", "text": "", "created_at": "", "author_id": "42"})
    empty = {"lang": None, "entities": None, "public_metrics": None, "referenced_tweets": None}
    assert parsed({"id": "1", "text": "", "created_at": "", "author_id": "42", **empty}) == absent


def test_an_empty_history_is_that_of_a_post_that_was_never_edited():
    assert parsed(post(1, edit_history_tweet_ids=[])).original_id == "1990000000000000001"


def test_a_field_that_is_not_as_it_has_to_be_is_named_with_its_place():
    odd = post(1, entities={"urls": [{"start": "0", "end": 1, "url": "x"}]})
    with pytest.raises(Malformed, match=r"^entities\.urls\[0\]\.start: expected int, got str$"):
        parsed(odd)


def test_a_post_that_links_to_itself_and_has_no_note_is_cut():
    own = {
        "start": 0,
        "end": 1,
        "url": "x",
        "expanded_url": "https://twitter.com/i/web/status/1990000000000000001",
    }
    assert parsed(post(1, entities={"urls": [own]})).is_cut
    assert not parsed(post(2, entities={"urls": [own]})).is_cut
    assert not parsed(post(1, entities={"urls": [own]}, note_tweet={"text": "whole"})).is_cut
    assert not parsed(post(1)).is_cut


def test_every_recorded_post_is_read():
    posts = [p for page in recorded_pages() for p in page["body"].get("data") or [] if "created_at" in p]
    whole = [p for p in posts if "text" in p]
    assert [parsed(p).id for p in whole] == [p["id"] for p in whole]
    assert len(whole) > 300


FIRST_USES = """
import importlib, sys, threading
from include.twitter.transform import post
from tests.include import invented

sys.setswitchinterval(1e-6)
for _ in range(50):
    importlib.reload(post)
    readers = [threading.Thread(target=post.parsed, args=[invented.post()]) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
"""


def test_several_threads_may_be_the_first_to_read_a_post():
    done = subprocess.run([sys.executable, "-c", FIRST_USES], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0
