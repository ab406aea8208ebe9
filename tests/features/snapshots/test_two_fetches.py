"""Two that read the same posts again, and one that is overtaken by an erasure: over a lake in memory."""

import io
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import ClassVar

import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from deploy import forget
from deploy.__main__ import CannotDo
from include.twitter import layout
from include.twitter.airflow_context import Run
from include.twitter.day import Day
from include.twitter.errors import MissingInput, Outage
from include.twitter.layout import FORGOTTEN, Snapshot, ledger_key
from include.twitter.lease import LIFETIME, held
from include.twitter.records import Erasure, ErasureLog, encoded
from include.twitter.response import Response
from include.twitter_features.snapshots import tasks
from tests.include.factories import MemoryStore
from tests.include.test_strays import strays

DAY = Day.parse("2026-11-18")
SNAPSHOT = Snapshot(DAY, 1)
NOW = SNAPSHOT.due_at
POSTS = ["1", "2"]


class FakeX:
    """X that has each post, and counts what was requested."""

    asked: ClassVar[list[str]] = []
    meanwhile = staticmethod(lambda: None)

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def posts(self, ids, free=False):
        FakeX.asked += ids
        FakeX.meanwhile()
        posts = ",".join(f'{{"id":"{id_}","public_metrics":{{"like_count":3}}}}' for id_ in ids)
        body = f'{{"data":[{posts}]}}'.encode()
        kind = "rereads" if free else "posts"
        return Response("/2/tweets", {"ids": ",".join(ids)}, NOW, body, kind=kind)


@pytest.fixture
def lake(monkeypatch):
    lake, data = MemoryStore(), io.BytesIO()
    rows = [{"tweet_id": id_, "username": "NASA", "captured_at": NOW - timedelta(hours=21)} for id_ in POSTS]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), data)
    lake.write(layout.parquet(DAY), data.getvalue())
    lake.write(layout.receipt(DAY), b"{}")
    monkeypatch.setattr(tasks.object_store, "from_settings", lambda: lake)
    monkeypatch.setattr(tasks.object_store, "require_conditional_writes", lambda _: None)
    budgets = {"twitter_run_budget_usd": 0, "twitter_month_budget_usd": 0}
    settings = SimpleNamespace(engagement_days=lambda: [1], budgets=lambda: budgets, x_access=lambda: None)
    monkeypatch.setattr(tasks, "settings", settings)
    monkeypatch.setattr(tasks, "X", FakeX)
    monkeypatch.setattr(FakeX, "asked", [])
    return lake


def run(name="one", at=NOW):
    return Run(DAY, name, lambda: at)


def erase(lake, *ids):
    erasure = Erasure(at=NOW, why="requested", posts=[*ids], days=[str(DAY)])
    lake.write(FORGOTTEN, encoded(ErasureLog(erasures=[erasure])))


def test_two_at_once_do_not_ask_for_the_same_posts(lake, monkeypatch):
    def other():
        monkeypatch.setattr(FakeX, "meanwhile", lambda: None)
        with pytest.raises(AirflowRescheduleException):
            tasks.extract(run("other"))

    monkeypatch.setattr(FakeX, "meanwhile", other)
    tasks.extract(run())
    tasks.extract(run("other"))
    assert FakeX.asked == POSTS


def test_one_that_was_killed_is_waited_for_a_minute(lake):
    killed = held(lake, SNAPSHOT.fetch_lease, run("killed"))
    killed.__enter__()  # and never exits
    with pytest.raises(AirflowRescheduleException):
        tasks.extract(run())
    tasks.extract(run(at=NOW + LIFETIME))
    assert FakeX.asked == POSTS


def test_a_forgotten_post_is_not_asked_for(lake):
    erase(lake, "1")
    tasks.extract(run())
    assert FakeX.asked == ["2"]


def test_what_was_staged_before_a_post_was_forgotten_is_not_published(lake):
    fetched = tasks.extract(run())
    staged = tasks.transform(run(), fetched)
    erase(lake, "1")
    with pytest.raises(MissingInput, match="Clear `transform`"):
        tasks.load(run(), staged)
    assert SNAPSHOT.csv not in lake.objects
    tasks.load(run(), tasks.transform(run(), fetched))
    _, *rows = lake.objects[SNAPSHOT.csv].decode().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["2"]


@pytest.mark.parametrize(("is_stored", "spent"), [(True, 10), (False, 20)])
def test_the_ledger_is_never_below_the_bill_of_a_response_whose_write_failed(
    lake, monkeypatch, is_stored, spent
):
    """X charges both posts once. Nothing names the posts of a response that S3 lost, so it stays spent."""
    week = Snapshot(DAY, 7)
    monkeypatch.setattr(tasks.settings, "engagement_days", lambda: [7])
    swap = lake.put_if_match

    def lost(key, data, tag):
        if key.startswith(week.raw):
            if is_stored:
                swap(key, data, tag)
            raise Outage("S3 did not reply.")
        return swap(key, data, tag)

    later = Run(DAY.plus(6), "one", lambda: week.due_at)
    monkeypatch.setattr(lake, "put_if_match", lost)
    with pytest.raises(Outage):
        tasks.extract(later)
    monkeypatch.setattr(lake, "put_if_match", swap)
    tasks.extract(later)
    entry = json.loads(lake.objects[ledger_key("2026-11", week.ledger)])
    assert (entry["spent_mills"], entry["lost_mills"]) == (spent, spent - 10)
    assert FakeX.asked == POSTS * (1 if is_stored else 2)


@pytest.mark.parametrize("key", [SNAPSHOT.fetch_lease, SNAPSHOT.lease, layout.publish_lease(DAY)])
def test_nothing_is_erased_while_somebody_reads_or_publishes(lake, key):
    def versions(prefix):
        keys = [each for each in lake.objects if each.startswith(prefix)]
        return [forget.Version(each, "v", True, False, NOW) for each in keys]

    forgetter = forget.Forgetter.__new__(forget.Forgetter)
    forgetter.bucket = SimpleNamespace(
        versions=versions, read=lambda key: forget.ObjectContent(lake.objects[key], "", "")
    )
    with held(lake, key, run()):
        with pytest.raises(CannotDo, match="is held at this moment"):
            forgetter.require_quiet(datetime(2026, 11, 19, 22, 30, tzinfo=UTC))
        forgetter.require_quiet(NOW + LIFETIME)
    forgetter.require_quiet(NOW)


def test_objects_of_others_among_the_responses_are_skipped(lake):
    for stray in strays(f"{SNAPSHOT.raw}0001.json.gz"):
        lake.write(stray, b"")
    tasks.extract(run())
    assert FakeX.asked == POSTS
