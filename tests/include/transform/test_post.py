"""A post as X sends it."""

import sys
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from threading import Thread

import pytest

from include.twitter.transform import decode as decode_module
from include.twitter.transform.decode import MAX_REPAIRS, counts, decoded_post, unknown_fields
from include.twitter.transform.text import written_post
from tests.include.factories import METRICS, RECEIVED, in_post_words, link, post


def test_a_post_needs_an_id_a_text_a_time_an_author_and_nothing_else_to_be_read():
    bare = decoded_post({"id": "1", "text": "", "created_at": "2026-11-18T09:01:00.000Z", "author_id": "42"})
    assert (bare.note_tweet, bare.referenced_tweets, bare.lang, bare.versions) == (None, None, None, ["1"])


def test_the_note_the_references_and_the_first_version_are_read_in_both_vocabularies():
    tweet = post(
        2,
        note_tweet={"text": "whole"},
        referenced_tweets=[{"type": "quoted", "id": "7"}],
        edit_history_tweet_ids=["1990000000000000001", "1990000000000000002"],
    )
    for words in (tweet, in_post_words(tweet)):
        read = decoded_post(words)
        assert read.note_tweet.text == "whole"
        assert [reference.type for reference in read.referenced_tweets] == ["quoted"]
        assert read.versions[0] == "1990000000000000001"


def long(before, number=1, **changes):
    """A post that links to itself at its end, as X sends long ones."""
    text = f"{before} https://t.co/own"
    own = f"https://twitter.com/i/web/status/19900000000000000{number:02}"
    return decoded_post(
        post(1, text=text, entities={"urls": [link(text, "https://t.co/own", expanded_url=own)]}) | changes
    )


CUT = "a long post, cut: its whole text did not arrive"


@pytest.mark.parametrize(
    ("sent", "warning"),
    [
        (long("The first words…"), CUT),
        (long("Words " * 24), CUT),
        (long("Words…", number=2), None),
        (long("Words…", note_tweet={"text": "whole"}), None),
        (decoded_post(post(1)), None),
        # In October 2022 edited posts linked to themselves, and were whole.
        (long("hey :)"), None),
        (long("Words " * 40, created_at="2022-10-03T17:57:11.000Z"), None),
    ],
)
def test_a_post_that_links_to_itself_and_has_no_note_is_cut_where_it_is_as_long_as_that(sent, warning):
    assert sent.warning == warning


NOTICE = "unavailable: its text is X's notice, not the author's"
LEARN = {"start": 8, "end": 18, "url": "https://support.twitter.com/articles/1", "display_url": "Learn more"}


@pytest.mark.parametrize(
    ("changes", "warning"),
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
def test_a_notice_of_x_in_place_of_the_text_has_a_warning(changes, warning):
    assert decoded_post(post(1, **changes)).warning == warning


BARE = "https://t.co/art"
TO_IT = {"start": 0, "end": 16, "url": BARE, "expanded_url": "http://x.com/i/article/1990000000000000777"}
ABSENT = "an article: its text did not arrive"


@pytest.mark.parametrize(
    ("text", "article", "written", "warning"),
    [
        (BARE, {"title": "The dome", "plain_text": "A &amp; B\n\nend"}, "The dome\n\nA &amp; B\n\nend", None),
        (BARE, {"plain_text": "It began."}, "It began.", None),
        (BARE, {"title": "The dome"}, BARE, ABSENT),
        (BARE, None, BARE, ABSENT),
        (f"Read {BARE}", {"title": "The dome", "plain_text": "It began."}, f"Read {BARE}", None),
    ],
)
def test_the_text_of_a_post_that_is_a_bare_link_to_its_article_is_that_of_the_article(
    text, article, written, warning
):
    sent = decoded_post(post(1, text=text, article=article, entities={"urls": [TO_IT]}))
    assert (sent.written[0], sent.warning) == (written, warning)


def test_several_threads_may_be_the_first_to_read_a_post(monkeypatch):
    """Where msgspec's types are not read at the import, this crashes the process."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            spec = spec_from_file_location("decode_of_a_test", decode_module.__file__)
            fresh = module_from_spec(spec)
            monkeypatch.setitem(sys.modules, spec.name, fresh)
            spec.loader.exec_module(fresh)
            readers = [Thread(target=fresh.decoded_post, args=[post()]) for _ in range(4)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
    finally:
        sys.setswitchinterval(interval)


def test_names_of_new_fields_are_short_and_safe():
    assert unknown_fields({"id": "1", "\x1b[2J": 1}) == ["[U+001B][2J"]
    assert [len(name) for name in unknown_fields({"A" * 1_000_000: 1})] == [100]


# Entities of a long post, kind by kind

CUT_TEXT = "Of #Mars and $ACME, with @rowan_sky: https://t.co/sky and more…"
WHOLE_TEXT = "Of #Mars and $ACME, with @rowan_sky: https://t.co/sky and more words, #Moon"
OWN = {
    "hashtags": [{"tag": "Mars"}],
    "mentions": [{"username": "rowan_sky"}],
    "cashtags": [{"tag": "ACME"}],
    "urls": [link(CUT_TEXT, "https://t.co/sky", expanded_url="https://sky.example")],
}


def entities_of(sent):
    _, entities = decoded_post(sent).written
    return {
        "hashtags": [entity.tag for entity in entities.hashtags or ()],
        "mentions": [entity.username for entity in entities.mentions or ()],
        "cashtags": [entity.tag for entity in entities.cashtags or ()],
        "urls": [entity.expanded_url for entity in entities.urls or ()],
    }


ALL = {"hashtags": ["Mars"], "mentions": ["rowan_sky"], "cashtags": ["ACME"], "urls": ["https://sky.example"]}


@pytest.mark.parametrize(
    ("of_note", "changed"),
    [
        ({"hashtags": [{"tag": "Mars"}, {"tag": "Moon"}]}, {"hashtags": ["Mars", "Moon"]}),
        ({"mentions": [{"username": "rowan_sky"}], "hashtags": None}, {}),
        ({}, {}),
        ({"hashtags": [], "mentions": [], "cashtags": [], "urls": []}, {}),
        ({"hashtags": {}, "urls": {}}, {}),
        (None, {}),
    ],
)
def test_a_kind_of_entities_that_a_note_does_not_have_is_that_of_the_post(of_note, changed):
    sent = post(1, text=CUT_TEXT, entities=OWN, note_tweet={"text": WHOLE_TEXT, "entities": of_note})
    for words in (sent, in_post_words(sent)):
        assert entities_of(words) == ALL | changed


def test_entities_that_are_not_in_the_text_of_the_note_are_none_of_its_own():
    note = {"text": "An executive of the marshes", "entities": {"hashtags": []}}
    own = {"hashtags": [{"tag": "mars"}, {"tag": "cut"}], "mentions": [{"username": "executive"}]}
    sent = post(1, text="Cut…", entities=own, note_tweet=note)
    assert entities_of(sent) == {kind: [] for kind in ALL}


def test_a_link_of_the_cut_text_is_known_by_its_place_there_and_found_in_the_note():
    unnamed = {
        "start": CUT_TEXT.index("https"),
        "end": CUT_TEXT.index(" and more"),
        "expanded_url": "https://a.example",
    }
    note = {"text": f"First this. {WHOLE_TEXT}", "entities": {"hashtags": []}}
    sent = decoded_post(post(1, text=CUT_TEXT, entities={"urls": [unnamed | {"url": ""}]}, note_tweet=note))
    written, _ = written_post(sent, "rowan_sky", RECEIVED)
    assert written.text == "First this. " + WHOLE_TEXT.replace("https://t.co/sky", "https://a.example")
    assert written.urls == ["https://a.example"]


# Counts that X has not measured


@pytest.mark.parametrize(
    ("posted", "bookmarks", "impressions"),
    [
        ("2017-05-08T22:34:06.000Z", None, None),
        ("2022-12-21T23:59:59.000Z", None, None),
        ("2022-12-22T00:00:00.000Z", None, 0),
        ("2023-03-15T23:59:59.000Z", None, 0),
        ("2023-03-16T00:00:00.000Z", 0, 0),
    ],
)
def test_a_zero_from_before_x_measured_is_no_count(posted, bookmarks, impressions):
    sent = post(1, created_at=posted, public_metrics=dict.fromkeys(METRICS, 0))
    assert counts(sent) == (0, 0, 0, 0, bookmarks, impressions)


# Fields that nobody expects


@pytest.mark.parametrize(
    "name",
    [
        "a.b",
        "[0]",
        "`",
        " - at `$.id`",
        "x` - at `$.text",
        "x - at $.id",
        "$.created_at",
        "a` - at `$.entities.urls[7].x",
    ],
)
@pytest.mark.parametrize("kind", ["hashtags", "mentions", "cashtags", "urls"])
def test_a_field_whose_name_looks_like_a_place_costs_itself_alone(name, kind):
    dropped_fields = Counter()
    read = decoded_post(post(1, entities={kind: {name: 1}, "annotations": {name: 1}}), dropped_fields)
    assert (read.id, getattr(read.entities, kind)) == ("1990000000000000001", None)
    assert dropped_fields == {f"entities.{kind}: expected array | null, got object": 1}


def test_many_odd_values_of_a_post_cost_the_field_that_they_stand_in():
    sent = post(1, entities={"hashtags": [{"tag": 5}] * 5_000, "mentions": [{"username": "rowan_sky"}]})
    dropped_fields = Counter()
    read = decoded_post(sent, dropped_fields)
    assert (read.text, read.entities) == ("Clear skies tonight", None)
    assert dropped_fields.total() == MAX_REPAIRS + 1
