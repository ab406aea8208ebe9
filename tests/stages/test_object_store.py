"""On which conditions objects are written and copied: by S3, and by the lake that unit tests take for it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.twitter.errors import MissingInput, WriteConflict
from include.twitter.object_store import ObjectStore
from tests.include.factories import MemoryStore, answer, post

pytestmark = pytest.mark.live

KEY = "staging/twitter/test_lake/1.json"


@pytest.fixture(params=["S3", "memory"])
def lake(request):
    if request.param == "memory":
        return MemoryStore()
    request.getfixturevalue("deployment")
    return ObjectStore(request.getfixturevalue("bucket").name, None)


def test_what_is_not_there_is_none(lake):
    assert (lake.get(KEY), lake.read(KEY), lake.keys(KEY)) == (None, None, [])


def test_what_was_written_is_there_with_its_tag(lake):
    etag = lake.put_if_match(KEY, b"{}", None)
    assert lake.get(KEY) == (b"{}", etag)
    assert (lake.read(KEY), lake.keys(KEY), lake.etags(KEY)) == (b"{}", [KEY], {KEY: etag})


def test_what_is_there_is_not_written_as_if_it_were_not(lake):
    lake.write(KEY, b"of somebody else")
    with pytest.raises(WriteConflict, match=f"{KEY} was written by another process in the meantime"):
        lake.put_if_match(KEY, b"mine", None)
    assert lake.read(KEY) == b"of somebody else"


def test_what_has_changed_since_it_was_looked_at_is_not_overwritten(lake):
    etag = lake.put_if_match(KEY, b"1", None)
    lake.put_if_match(KEY, b"2", etag)
    with pytest.raises(WriteConflict):
        lake.put_if_match(KEY, b"3", etag)
    assert lake.read(KEY) == b"2"


def test_a_write_whose_answer_was_lost_has_succeeded(lake):
    etag = lake.put_if_match(KEY, b"1", None)
    assert lake.put_if_match(KEY, b"1", None) == etag
    newer = lake.put_if_match(KEY, b"2", etag)
    assert lake.put_if_match(KEY, b"2", etag) == newer != etag


def test_changes_by_several_at_once_are_all_there(lake):
    def adding(number):
        lake.update(KEY, lambda data: b" ".join(filter(None, [data, b"%d" % number])))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(adding, range(8)))
    assert sorted(lake.read(KEY).split()) == [b"%d" % number for number in range(8)]


def test_objects_are_read_in_the_order_of_their_keys_those_that_are_not_there_too(lake, caplog):
    keys = [KEY.replace(".json", f"-{number}.json") for number in range(40)]
    for number in range(0, 40, 2):
        lake.write(keys[number], b"%d" % number)
    read = [found and found.data for found in lake.get_many(keys)]
    assert read == [None if n % 2 else b"%d" % n for n in range(40)]
    assert "Connection pool is full" not in caplog.text, "a connection is thrown away and made anew"


def test_an_answer_that_is_gone_is_no_empty_page(lake):
    there = KEY.replace(".json", ".json.gz")
    lake.write(there, answer(post(1)).to_bytes())
    answers = lake.responses([there, "staging/twitter/gone.json.gz"])
    assert next(answers).posts == [post(1)]
    with pytest.raises(MissingInput, match=r"gone\.json\.gz is gone\. It was paid for: restore it"):
        next(answers)


def test_an_object_is_copied_if_it_is_the_one_that_was_uploaded(lake, tmp_path):
    file = tmp_path / "refined.json"
    file.write_bytes(b"[]")
    etag = lake.upload(KEY, file)
    target = KEY.replace(".json", "-copy.json")
    copied = lake.copy(KEY, target, etag, None)
    assert lake.get(target) == (b"[]", copied)
    assert lake.etag(target) == copied


def test_an_object_that_was_overwritten_or_is_gone_is_not_copied(lake):
    etag = lake.put_if_match(KEY, b"1", None)
    lake.write(KEY, b"2")
    target = KEY.replace(".json", "-copy.json")
    for source in (KEY, "staging/twitter/gone.json"):
        with pytest.raises(MissingInput):
            lake.copy(source, target, etag, None)
    assert lake.read(target) is None
