"""Concurrent fetches of a snapshot, and erasures during one, over a store in memory."""

import io
import json
from datetime import timedelta
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from deploy import forget
from deploy.__main__ import CannotDo
from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.errors import MissingInput, Outage, UnexpectedResponse
from include.twitter.layout import TOMBSTONES, Snapshot, ledger_key
from include.twitter.lease import LIFETIME, held
from include.twitter.records import Erasure, ErasureLog, encoded
from include.twitter.response import Response
from include.twitter_features.snapshots import tasks
from tests.include.factories import MemoryStore
from tests.include.test_strays import strays

DAY = Day.parse("2026-11-18")
SNAPSHOT, WEEK = Snapshot(DAY, 1), Snapshot(DAY, 7)
NOW = SNAPSHOT.due_at
POSTS = ["1", "2"]


class FakeX:
    """X that has each post, or sends `body`; records the requested ids, and calls `during_request` once."""

    def __init__(self):
        self.requested, self.during_request, self.body = [], lambda: None, None

    def __call__(self, *_, **__):
        return self

    __enter__ = __call__

    def __exit__(self, *_):
        pass

    def posts(self, ids, free=False):
        self.requested += ids
        callback, self.during_request = self.during_request, lambda: None
        callback()
        posts = [{"id": id_, "public_metrics": {"like_count": 3}} for id_ in ids]
        kind = "rereads" if free else "posts"
        body = json.dumps(self.body or {"data": posts}).encode()
        return Response("/2/tweets", {"ids": ",".join(ids)}, NOW, body, kind=kind)


@pytest.fixture
def x(monkeypatch):
    x = FakeX()
    monkeypatch.setattr(tasks, "X", x)
    return x


@pytest.fixture
def store(monkeypatch):
    store, data = MemoryStore(), io.BytesIO()
    rows = [{"tweet_id": id_, "username": "NASA", "captured_at": NOW - timedelta(hours=21)} for id_ in POSTS]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), data)
    store.write(layout.parquet(DAY), data.getvalue())
    store.write(layout.receipt(DAY), b"{}")
    monkeypatch.setattr(tasks.object_store, "from_settings", lambda: store)
    monkeypatch.setattr(tasks.object_store, "require_conditional_writes", lambda _: None)
    budgets = {"twitter_run_budget_usd": 0, "twitter_month_budget_usd": 0}
    settings = SimpleNamespace(engagement_days=lambda: [1], budgets=lambda: budgets, x_access=lambda: None)
    monkeypatch.setattr(tasks, "settings", settings)
    return store


def run(name="one", at=NOW):
    return Run(DAY, name, lambda: at)


def erase(store, *ids):
    erasure = Erasure(at=NOW, why="requested", posts=[*ids], days=[str(DAY)])
    store.write(TOMBSTONES, encoded(ErasureLog(erasures=[erasure])))


def test_a_concurrent_fetch_waits_and_requests_no_post_again(store, x):
    def other():
        with pytest.raises(AirflowRescheduleException):
            tasks.extract_snapshots(run("other"))

    x.during_request = other
    tasks.extract_snapshots(run())
    tasks.extract_snapshots(run("other"))
    assert x.requested == POSTS


def test_the_lease_of_a_killed_fetch_expires_after_a_minute(store, x):
    killed = held(store, SNAPSHOT.fetch_lease, run("killed"))
    killed.__enter__()  # and never exits
    with pytest.raises(AirflowRescheduleException):
        tasks.extract_snapshots(run())
    tasks.extract_snapshots(run(at=NOW + LIFETIME))
    assert x.requested == POSTS


def test_an_erased_post_is_neither_requested_nor_published(store, x):
    fetched = tasks.extract_snapshots(run())
    staged = tasks.transform_snapshots(run(), fetched)
    erase(store, "1")
    with pytest.raises(MissingInput, match="Clear `transform`"):
        tasks.load_snapshots(run(), staged)
    assert SNAPSHOT.csv not in store.objects
    tasks.load_snapshots(run(), tasks.transform_snapshots(run(), fetched))
    _, *rows = store.objects[SNAPSHOT.csv].decode().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["2"]
    for key in [key for key in store.objects if key.startswith(SNAPSHOT.raw)]:
        del store.objects[key]
    x.requested.clear()
    tasks.extract_snapshots(run("later"))
    assert x.requested == ["2"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"errors": [{"title": "Oops", "type": "about:blank"}]}, Outage),
        ({"data": []}, Outage),
        ({"data": [{"id": "9", "public_metrics": {"like_count": 3}}]}, UnexpectedResponse),
        ({"data": [{"id": "1"}, {"id": "2"}]}, UnexpectedResponse),
    ],
    ids=["a failed part", "empty", "other posts", "without counts"],
)
def test_an_unusable_response_is_not_stored(store, x, body, error):
    x.body = body
    with pytest.raises(error):
        tasks.extract_snapshots(run())
    assert not [key for key in store.objects if key.startswith(SNAPSHOT.raw)]


@pytest.mark.parametrize(("is_stored", "spent"), [(True, 10), (False, 20)])
def test_the_ledger_is_never_below_the_bill_of_a_response_whose_write_failed(
    store, x, monkeypatch, is_stored, spent
):
    """X charges both posts once. Nothing names the posts of a response that S3 lost, so it stays spent."""
    monkeypatch.setattr(tasks.settings, "engagement_days", lambda: [7])
    put = store.put_if_match

    def lose(key, data, etag):
        if key.startswith(WEEK.raw):
            if is_stored:
                put(key, data, etag)
            raise Outage("S3 did not reply.")
        return put(key, data, etag)

    later = Run(DAY.plus(6), "one", lambda: WEEK.due_at)
    monkeypatch.setattr(store, "put_if_match", lose)
    with pytest.raises(Outage):
        tasks.extract_snapshots(later)
    monkeypatch.setattr(store, "put_if_match", put)
    tasks.extract_snapshots(later)
    entry = json.loads(store.objects[ledger_key("2026-11", WEEK.ledger)])
    assert (entry["spent_mills"], entry["lost_mills"]) == (spent, spent - 10)
    assert x.requested == POSTS * (1 if is_stored else 2)


@pytest.mark.parametrize("key", [SNAPSHOT.fetch_lease, SNAPSHOT.lease, layout.publish_lease(DAY)])
def test_nothing_is_erased_while_a_lease_of_the_day_is_held(store, key):
    def versions(prefix):
        keys = [stored for stored in store.objects if stored.startswith(prefix)]
        return [forget.Version(stored, "v", True, False, NOW) for stored in keys]

    forgetter = forget.Forgetter.__new__(forget.Forgetter)
    forgetter.bucket = SimpleNamespace(
        versions=versions, read=lambda key: forget.ObjectContent(store.objects[key], "", "")
    )
    with held(store, key, run()):
        with pytest.raises(CannotDo, match="is held at this moment"):
            forgetter.require_quiet(NOW)
        forgetter.require_quiet(NOW + LIFETIME)
    forgetter.require_quiet(NOW)


def test_objects_of_others_among_the_responses_are_skipped(store, x):
    for stray in strays(f"{SNAPSHOT.raw}0001.json.gz"):
        store.write(stray, b"")
    tasks.extract_snapshots(run())
    assert x.requested == POSTS
