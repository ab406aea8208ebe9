"""The conditions of reads, writes and copies: of S3, and of the store in memory of the unit tests."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.twitter.errors import MissingInput, WriteConflict
from include.twitter.object_store import ObjectStore
from tests.include.factories import MemoryStore, make_response, post

pytestmark = pytest.mark.live

KEY = "staging/twitter/test_store/1.json"
COPY = KEY.replace(".json", "-copy.json")
MISSING = "staging/twitter/missing.json"


@pytest.fixture(params=["S3", "memory"])
def store(request):
    if request.param == "memory":
        return MemoryStore()
    request.getfixturevalue("deployment")
    return ObjectStore(request.getfixturevalue("bucket").name, None)


def test_a_missing_object_is_none(store):
    assert (store.get(KEY), store.read(KEY), store.keys(KEY)) == (None, None, [])


def test_a_written_object_is_read_with_its_etag(store):
    etag = store.put_if_match(KEY, b"{}", None)
    assert store.get(KEY) == (b"{}", etag)
    assert (store.read(KEY), store.keys(KEY), store.etags(KEY)) == (b"{}", [KEY], {KEY: etag})


def test_an_object_is_overwritten_only_under_its_current_etag(store):
    first = store.put_if_match(KEY, b"1", None)
    with pytest.raises(WriteConflict, match=KEY):
        store.put_if_match(KEY, b"mine", None)
    second = store.put_if_match(KEY, b"2", first)
    with pytest.raises(WriteConflict):
        store.put_if_match(KEY, b"3", first)
    assert store.read(KEY) == b"2"
    assert store.put_if_match(KEY, b"2", first) == second, "its own write, whose response was lost"


def test_concurrent_updates_are_all_kept(store):
    def add(number):
        store.update(KEY, lambda data: b" ".join(filter(None, [data, b"%d" % number])))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    assert sorted(store.read(KEY).split()) == [b"%d" % number for number in range(8)]


def test_objects_are_read_in_the_order_of_their_keys(store, caplog):
    keys = [KEY.replace(".json", f"-{number}.json") for number in range(40)]
    for number in range(0, 40, 2):
        store.write(keys[number], b"%d" % number)
    read = [stored and stored.data for stored in store.get_many(keys)]
    assert read == [None if n % 2 else b"%d" % n for n in range(40)]
    assert "Connection pool is full" not in caplog.text, "a connection is discarded and opened again"


def test_a_missing_response_is_not_an_empty_page(store):
    key = KEY.replace(".json", ".json.gz")
    store.write(key, make_response(post(1)).to_bytes())
    responses = store.responses([key, MISSING])
    assert next(responses).posts == [post(1)]
    with pytest.raises(MissingInput, match=MISSING):
        next(responses)


def test_an_object_is_copied_if_it_has_the_etag_of_the_upload(store, tmp_path):
    file = tmp_path / "refined.json"
    file.write_bytes(b"[]")
    etag = store.upload(KEY, file)
    copied = store.copy(KEY, COPY, etag, None)
    assert (store.get(COPY), store.etag(COPY)) == ((b"[]", copied), copied)


def test_an_overwritten_or_missing_object_is_not_copied(store):
    etag = store.put_if_match(KEY, b"1", None)
    store.write(KEY, b"2")
    for source in (KEY, MISSING):
        with pytest.raises(MissingInput):
            store.copy(source, COPY, etag, None)
    assert store.read(COPY) is None
