"""A post as X sends it."""

import subprocess
import sys
from pathlib import Path

import pytest

from include.twitter.transform.post import Malformed, all_of, parsed, unknown_fields
from tests.include.invented import METRICS, answer, in_post_words, link, post
from tests.include.recorded import recorded_pages

ROOT = Path(__file__).parents[3]


def test_what_x_sends_beside_the_fields_that_are_read_is_no_trouble():
    assert parsed(post(1, withheld={"copyright": False}, tomorrow=[1])).id == "1990000000000000001"


def test_a_post_needs_an_id_a_text_a_time_an_author_and_nothing_else_to_be_read():
    bare = parsed({"id": "1", "text": "", "created_at": "2026-11-18T09:01:00.000Z", "author_id": "42"})
    assert (bare.note, len(bare.references), bare.public_metrics, bare.lang) == (None, 0, None, None)
    assert bare.original_id == "1"


def test_the_posts_of_a_page_are_decoded_at_once_unless_one_is_odd_or_new_in_form():
    sound = [post(1, source="a field that nobody reads"), in_post_words(post(2))]
    assert [found.id for found in all_of(answer(*sound).content)] == [each["id"] for each in sound]
    for odd in (
        {"views": 1},
        {"public_metrics": METRICS | {"views": 1}},
        {"lang": 1},
        {"text": "\ud83d"},
    ):
        assert all_of(answer(*sound, post(3, **odd)).content) == []


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


def test_a_field_that_is_needed_and_not_as_it_has_to_be_is_named():
    with pytest.raises(Malformed, match=r"^text: expected str, got int$"):
        parsed(post(1, text=5))


def long(before, number=1, **changes):
    """A post that links to itself at its end, as X sends long ones."""
    text = f"{before} https://t.co/own"
    own = f"https://twitter.com/i/web/status/19900000000000000{number:02}"
    return parsed(
        post(1, text=text, entities={"urls": [link(text, "https://t.co/own", expanded_url=own)]}) | changes
    )


CUT = "a long post, cut: its whole text did not arrive"


@pytest.mark.parametrize(
    ("sent", "alarm"),
    [
        (long("The first words…"), CUT),
        (long("Words " * 24), CUT),
        (long("Words…", number=2), None),
        (long("Words…", note_tweet={"text": "whole"}), None),
        (parsed(post(1)), None),
        # In October 2022 edited posts linked to themselves, and were whole.
        (long("hey :)"), None),
        (long("Words " * 40, created_at="2022-10-03T17:57:11.000Z"), None),
    ],
)
def test_a_post_that_links_to_itself_and_has_no_note_is_cut_where_it_is_as_long_as_that(sent, alarm):
    assert sent.alarm == alarm


NOTICE = "unavailable: its text is X's notice, not the author's"
NULL = {"scope": None}
LEARN = {"start": 8, "end": 18, "url": "https://support.twitter.com/articles/1", "display_url": "Learn more"}


@pytest.mark.parametrize(
    ("changes", "alarm"),
    [
        (
            {
                "text": "@acme's account is temporarily unavailable because it violates the "
                "Twitter Media Policy. Learn more."
            },
            NOTICE,
        ),
        ({"text": "@acme\u2019s account has been withheld in India in response to a legal demand."}, NOTICE),
        ({"text": "This Post from @acme has been withheld in response to a report."}, NOTICE),
        ({"text": "Missing. Learn more.", "entities": {"urls": [LEARN]}}, NOTICE),
        (
            {"text": "Missing. Learn more.", "entities": {"urls": [LEARN]}, "withheld": {"scope": None}},
            NOTICE,
        ),
        (
            {"text": "Notice", "withheld": {"scope": "user"}},
            "withheld: its text is X's notice, not the author's",
        ),
        ({"text": "Whole", "withheld": {"country_codes": ["IN"], "scope": None}}, None),
        ({"text": "Learn more about @acme's account", "entities": {"urls": []}}, None),
        ({"text": "Our app: @acme's account is temporarily unavailable because it violates us"}, None),
    ],
)
def test_words_of_x_in_the_place_of_the_authors_raise_the_alarm(changes, alarm):
    assert parsed(post(1, **changes)).alarm == alarm


BARE = "https://t.co/art"
TO_IT = {"start": 0, "end": 16, "url": BARE, "expanded_url": "http://x.com/i/article/1990000000000000777"}
ABSENT = "an article: its text did not arrive"


@pytest.mark.parametrize(
    ("text", "article", "written", "alarm"),
    [
        (BARE, {"title": "The dome", "plain_text": "A &amp; B\n\nend"}, "The dome\n\nA &amp; B\n\nend", None),
        (BARE, {"plain_text": "It began."}, "It began.", None),
        (BARE, {"title": "The dome"}, BARE, ABSENT),
        (BARE, None, BARE, ABSENT),
        (f"Read {BARE}", {"title": "The dome", "plain_text": "It began."}, f"Read {BARE}", None),
    ],
)
def test_the_text_of_a_post_that_is_a_bare_link_to_its_article_is_that_of_the_article(
    text, article, written, alarm
):
    sent = parsed(post(1, text=text, article=article, entities={"urls": [TO_IT]}))
    assert (sent.written[0], sent.alarm) == (written, alarm)


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


def test_names_of_new_fields_are_short_and_safe():
    assert unknown_fields({"id": "1", "\x1b[2J": 1}) == ["[U+001B][2J"]
    assert [len(name) for name in unknown_fields({"A" * 1_000_000: 1})] == [100]
