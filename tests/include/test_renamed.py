"""Accounts whose handle changed, through all stages: a landed day stays whole, green and free."""

import csv
import io
import json
from types import SimpleNamespace

import pytest

from include.twitter import layout, object_store
from include.twitter.airflow_context import Run
from include.twitter.errors import Incomplete
from include.twitter.extract import extract
from include.twitter.layout import short_hash
from include.twitter.load import load
from include.twitter.records import Receipt, decoded
from include.twitter.transform import transform
from tests.include.factories import DAY, RECEIVED, SUSPENDED, MemoryStore, post
from tests.include.fake_x import open_fake_x, page, total, users


class PlainStore(MemoryStore):
    bucket = "acme-twitter-lake"


@pytest.fixture
def fake_x(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with open_fake_x() as opened:
        yield opened


@pytest.fixture
def stages(fake_x, monkeypatch):
    """The three stages for a run of the day; `put` sets Variables."""
    store = PlainStore()

    def put(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"AIRFLOW_VAR_TWITTER_{name.upper()}", str(value))

    def whole(handles, name="scheduled"):
        put(handles=handles)
        run = Run(DAY, short_hash(name), lambda: RECEIVED)
        return load(run, transform(run, extract(run)))

    def rows():
        table = store.read(layout.csv(DAY)).decode()
        return [
            (row["username"], row["tweet_id"][-2:]) for row in csv.DictReader(io.StringIO(table, newline=""))
        ]

    monkeypatch.setattr(object_store, "from_settings", lambda: store)
    connection = {"conn_type": "http", "host": fake_x.recorder.host, "extra": {"bearer_token": "invented"}}
    monkeypatch.setenv("AIRFLOW_CONN_TWITTER_DEFAULT", json.dumps(connection))
    put(bucket=store.bucket, tweet_limit=0, run_budget_usd=0, month_budget_usd=0)
    return SimpleNamespace(store=store, put=put, whole=whole, rows=rows)


@pytest.fixture
def landed(fake_x, stages):
    """A day that landed before NASA was renamed."""
    fake_x.prepare("users NASA,esa", users(NASA="42", esa="11"))
    fake_x.prepare("timeline 42", page(post(2), post(1)))
    fake_x.prepare("timeline 11", page(post(7, author_id="11")))
    fake_x.prepare("count 42,11", total(3, 9))
    stages.whole("NASA, esa")
    fake_x.requests.clear()
    fake_x.prepare("users NASA_new", *[users(NASA_new="42")] * 2)
    return stages


ROWS = [("NASA", "01"), ("NASA", "02"), ("esa", "07")]


def test_a_landed_day_of_a_renamed_account_is_green_and_costs_one_look_up_once(landed, fake_x):
    assert landed.whole("NASA_new, esa", name="cleared")["rows"] == 3
    assert fake_x.requests == ["users NASA_new"]
    assert landed.whole("NASA_new, esa", name="cleared again")["unavailable"] == []
    assert fake_x.requests == ["users NASA_new"]
    assert landed.rows() == ROWS


def test_a_part_that_landed_before_a_suspension_is_waived_with_the_account_and_not_by_its_handle(
    fake_x, stages
):
    fake_x.prepare("users NASA,esa", users(NASA="42", esa="11"))
    fake_x.prepare("timeline 42", page(post(2), post(1), token="t1"), {"errors": [SUSPENDED]})
    fake_x.prepare("timeline 42 t1", {"errors": [SUSPENDED]})
    fake_x.prepare("timeline 11", page(post(7, author_id="11")))
    fake_x.prepare("count 11", total(1, 9))
    with pytest.raises(Incomplete):
        stages.whole("NASA, esa")
    fake_x.prepare("users NASA_new", users(NASA_new="42"))
    with pytest.raises(Incomplete, match="with a part of 1 of 2 accounts"):
        stages.whole("NASA_new, esa", name="renamed, and still suspended")
    assert stages.whole("esa", name="given up")["rows"] == 3


@pytest.mark.parametrize("accepted", ["", "NASA=77"])
def test_more_is_bought_of_the_account_of_the_day_after_its_handle_became_anothers(fake_x, stages, accepted):
    fake_x.prepare("users NASA", users(NASA="42"))
    fake_x.prepare("timeline 42", page(post(3), post(2), post(1), token="t1"))
    stages.put(tweet_limit=1)
    stages.whole("NASA")
    remembered = {
        "nasa": {"id": "77", "seen_at": f"{RECEIVED:%Y-%m-%dT%H:%M:%SZ}"}
    }  # a later day accepted it
    stages.store.write("twitter_accounts/accounts.json", json.dumps(remembered).encode())
    stages.put(tweet_limit=5, confirmed_account_ids=accepted)
    of_day = ["timeline 42", "count 42"]
    fake_x.prepare("timeline 42", page(post(0)))
    fake_x.prepare("count 42", total(4, 9))
    fake_x.prepare("timeline 77", page(post(9, author_id="77")))
    fake_x.prepare("count 77", total(1, 9))
    fake_x.requests.clear()
    stages.whole("NASA", name="more")
    assert fake_x.requests == (["timeline 77", "count 77"] if accepted else of_day)
    # An account that nobody names any more keeps the limit under which it was published.
    assert len(stages.rows()) == (2 if accepted else 4)
    accounts = decoded(stages.store.read(layout.receipt(DAY)), Receipt).accounts
    assert [(account.rejected, account.outcome) for account in accounts if account.rejected] == []


def test_a_landed_day_keeps_its_pages_when_its_handle_becomes_a_third_account(landed, fake_x):
    long_ago = {"nasa": {"id": "77", "seen_at": "2026-01-01T00:00:00Z"}}  # accepted for a later day
    landed.store.write("twitter_accounts/accounts.json", json.dumps(long_ago).encode())
    landed.put(confirmed_account_ids="NASA=77")
    fake_x.prepare("users NASA", users(NASA="88"))
    with pytest.raises(Incomplete, match="NASA: the handle has become another account: 88, and it was 42"):
        landed.whole("NASA, esa", name="cleared")
    assert landed.rows() == ROWS
    landed.whole("NASA_new, esa", name="followed")
    assert landed.rows() == ROWS
    assert [name for name in fake_x.requests if not name.startswith("users")] == []
