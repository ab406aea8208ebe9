"""A backfill that is planned, priced and approved: it costs what was approved, and nothing is paid twice."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.twitter.errors import BadDay, Incomplete, NoCredits
from include.twitter.layout import TOMBSTONES, short_hash
from include.twitter.records import Erasure, ErasureLog, encoded
from include.twitter_features.backfill_plan import tasks
from include.twitter_features.backfill_plan.plan import PlanRequest, days_between, plan_key
from local.x_api import posts
from tests.drivers import request_line
from tests.stages.conftest import NOW, TOKEN

pytestmark = pytest.mark.live

DAY, NEXT = "2026-10-06", "2026-10-07"
SMALL = [f"reader_{number:02}" for number in range(18)]
SEARCH, LOOKUP, COUNT = "/2/tweets/search/all", "/2/users/by", "/2/tweets/counts/all"


@pytest.fixture(autouse=True)
def no_caps(pipeline):
    pipeline.put(run_budget_usd=0, month_budget_usd=0, tweet_limit=100)


def quote(pipeline, first: str = DAY, last: str = DAY, accounts: str = "", name: str = "plan") -> dict:
    days = days_between(first, last)
    return tasks.quote(PlanRequest(days, short_hash(pipeline.name + name), accounts, lambda: NOW))


def land(pipeline, day: str, accounts: str = "", name: str = "") -> None:
    """Run the three stages for a day."""
    how = {"name": name or day, "accounts": accounts}
    pipeline.load(pipeline.transform(pipeline.extract(day=day, **how), day, **how), day, **how)


def start(pipeline, quoted: dict) -> list[str]:
    """Run what the plan starts; returns the runs' names."""
    runs = tasks.runs(quoted["plan"])
    for run in runs:
        land(pipeline, **run["conf"], name=run["trigger_run_id"])
    return [run["trigger_run_id"] for run in runs]


def paths(x) -> dict[str, int]:
    """The number of requests by path, without the exchanges of keys."""
    return dict(Counter(request["path"] for request in x.requests() if request["path"] != TOKEN))


def receipt(bucket, day: str = DAY) -> dict:
    return {
        account["username"]: account
        for account in bucket.json(f"twitter_receipts/dt={day}/receipt.json")["accounts"]
    }


def proofs(bucket, day: str = DAY) -> Counter:
    return Counter(account["proof"] for account in receipt(bucket, day).values())


def spent_mills(x, quoted: dict) -> int:
    """The cost of the plan's runs by `compare`, which equals what X has served."""
    compared = tasks.compare(quoted["plan"])
    assert compared["bought_usd"] <= compared["approved_usd"]
    assert round(compared["bought_usd"] * 1000) == x.served_mills()
    return x.served_mills()


def test_ten_days_of_twenty_accounts_with_three_landed_cost_no_more_than_was_approved(pipeline, x, bucket):
    landed = ["2026-10-03", "2026-10-04", "2026-10-10"]
    pipeline.put(handles=", ".join([*SMALL, "posts_130_big", "posts_0_silent"]))
    for day in landed:
        land(pipeline, day)
    before, receipts = bucket.ledger_mills(), {day: receipt(bucket, day) for day in landed}
    x.forget()

    quoted = quote(pipeline, "2026-10-01", "2026-10-10")
    assert paths(x) == {COUNT: 1}, "the accounts were looked up when their days landed"
    assert bucket.ledger_mills() - before == x.served_mills() == 10
    assert "Complete already: 3 of 10 days." in quoted["body"]
    assert "The plan itself has cost $0.010." in quoted["body"]
    x.forget()

    names = start(pipeline, quoted)
    assert len(names) == 7
    assert names[0] == f"manual__2026-10-01__plan_{quoted['plan']}"
    assert spent_mills(x, quoted) > 0
    assert (
        max(Counter(request_line(r) for r in x.requests() if r["path"] not in (TOKEN, LOOKUP)).values()) == 1
    )
    look_ups = [request["handles"] for request in x.requests() if request["path"] == LOOKUP]
    assert look_ups == [["posts_0_silent"]] * 7, "no stored count is of this account alone"
    assert proofs(bucket, "2026-10-02") == {"matched": 19, "limited": 1}
    assert receipts == {day: receipt(bucket, day) for day in landed}

    with pytest.raises(AirflowSkipException, match="All 10 days have landed"):
        quote(pipeline, "2026-10-01", "2026-10-10", name="again")


@pytest.mark.parametrize("first", ["2026-10-05", "2026-11-19"])
def test_the_counts_and_look_ups_of_a_plan_serve_its_runs(pipeline, x, bucket, first):
    pipeline.put(handles=", ".join(f"reader_{number:02}" for number in range(40)), tweet_limit=0)
    last = str(days_between(first, first)[0].plus(1))
    quoted = quote(pipeline, first, last)
    assert paths(x) == {LOOKUP: 1, COUNT: 2}
    assert "The plan itself has cost $0.420." in quoted["body"]
    x.forget()
    assert len(start(pipeline, quoted)) == 2
    assert not [path for path in paths(x) if path == LOOKUP or "/counts/" in path]
    assert f"most likely ${spent_mills(x, quoted) / 1000:.3f}." in quoted["body"]
    assert proofs(bucket, first) == {"matched": 40}


def test_threads_are_counted_and_bought_too(pipeline, x):
    pipeline.put(handles="reader_00, posts_50_b", include_threads="true")
    quoted = quote(pipeline)
    assert paths(x) == {LOOKUP: 1, COUNT: 1 + 2}
    x.forget()
    start(pipeline, quoted)
    assert f"most likely ${spent_mills(x, quoted) / 1000:.3f}." in quoted["body"]


def test_another_try_and_another_plan_repeat_no_request(pipeline, x, bucket, caplog):
    pipeline.put(handles=", ".join(SMALL))
    x.order({"match": COUNT, "status": 402, "body": {"title": "CreditsDepleted"}, "skip": 1})
    with pytest.raises(NoCredits):
        quote(pipeline, "2026-08-01", "2026-09-20")
    for price in ("18 accounts are looked up, at $0.010 each", "2 counts are requested, at $0.010 each"):
        assert price in caplog.text, "the price of the plan is logged before its requests"
    first = quote(pipeline, "2026-08-01", "2026-09-20")
    quote(pipeline, "2026-08-01", "2026-09-20", name="another")
    responses = [request_line(r) for r in x.requests() if r["status"] == 200 and r["path"] != TOKEN]
    assert len(responses) == len(set(responses)) == 1 + 2
    assert bucket.ledger_mills() == x.served_mills()
    x.forget()
    assert quote(pipeline, "2026-08-01", "2026-09-20") == first, "a cleared task shows the same plan"
    assert paths(x) == {}


def test_only_the_accounts_that_are_missing_are_bought_and_the_others_stay(pipeline, x, bucket):
    pipeline.put(handles="reader_00, posts_0_silent")
    land(pipeline, DAY)
    before = receipt(bucket)
    pipeline.put(handles="reader_00, posts_0_silent, reader_01, reader_02")
    quoted = quote(pipeline, DAY, NEXT, accounts="reader_01")
    assert {run["conf"]["accounts"] for run in tasks.runs(quoted["plan"])} == {"reader_01"}
    x.forget()
    assert len(start(pipeline, quoted)) == 2
    assert {handle for request in x.requests() for handle in request["handles"]} == {"reader_01"}
    after = receipt(bucket)
    assert [*after] == ["posts_0_silent", "reader_00", "reader_01"]
    assert {name: after[name] for name in before} == before
    assert [*receipt(bucket, NEXT)] == ["reader_01"]
    spent_mills(x, quoted)


def test_a_day_that_was_bought_and_has_not_landed_is_landed_for_nothing(pipeline, x):
    pipeline.put(handles="reader_00")
    pipeline.extract(day=DAY)
    x.forget()
    quoted = quote(pipeline)
    assert quoted["subject"] == "Buy up to 0 posts of 1 day for at most $0.000?"
    start(pipeline, quoted)
    assert paths(x) == {}
    assert tasks.compare(quoted["plan"]) == {"approved_usd": 0, "bought_usd": 0, "days": 1}


def test_accounts_that_x_does_not_show_are_named_and_not_bought(pipeline, x):
    pipeline.put(handles="reader_00, suspended_1, protected_1, unknown_1")
    quoted = quote(pipeline)
    for name in ("suspended", "protected", "unknown"):
        assert rf"Not bought: {name}\_1, " in quoted["body"]
    x.forget()
    assert len(start(pipeline, quoted)) == 1
    assert {handle for request in x.requests() for handle in request["handles"]} == {"reader_00"}
    pipeline.put(handles="suspended_1")
    with pytest.raises(AirflowSkipException, match="X shows none"):
        quote(pipeline, name="of nobody")


def test_an_account_that_was_erased_or_is_no_longer_collected_does_not_keep_a_plan_red(pipeline, bucket):
    pipeline.put(handles="reader_00, reader_01, reader_02")
    erasure = Erasure(at=NOW, why="account", account=posts.user_id("reader_02"), posts=[], days=[])
    bucket.write(TOMBSTONES, json.loads(encoded(ErasureLog(erasures=[erasure]))))
    quoted = quote(pipeline)
    assert r"Not bought: reader\_02, the account was erased" in quoted["body"]
    (run,) = tasks.runs(quoted["plan"])
    assert run["conf"]["accounts"] == "reader_00, reader_01"
    land(pipeline, DAY, accounts="reader_00")
    with pytest.raises(Incomplete):
        tasks.compare(quoted["plan"])
    pipeline.put(handles="reader_00, reader_02")
    assert tasks.compare(quoted["plan"])["days"] == 1


def test_the_runs_are_waited_for_without_a_worker_slot(pipeline, monkeypatch):
    pipeline.put(handles="reader_00")
    with pytest.raises(BadDay, match="the latest day to plan is 2026-11-21"):
        quote(pipeline, "2026-11-20", "2026-11-22")
    quoted = quote(pipeline, "2026-05-01", "2026-08-31")
    open_runs, requests = [0, 2, 0, 0], []

    def count_runs(dag_id, *, run_ids, states):
        assert (dag_id, states) == ("twitter", ["queued", "running"])
        requests.append(len(run_ids))
        return open_runs.pop(0)

    ti = SimpleNamespace(get_dr_count=count_runs)
    monkeypatch.setattr(tasks, "get_current_context", lambda: {"ti": ti})
    with pytest.raises(AirflowRescheduleException):
        tasks.wait_for_runs(quoted["plan"])
    tasks.wait_for_runs(quoted["plan"])
    assert requests == [100, 23] * 2


def test_days_that_have_not_landed_and_a_price_above_the_approved_are_reported(pipeline, bucket, caplog):
    pipeline.put(handles="reader_00, reader_01", tweet_limit=0)
    quoted = quote(pipeline, DAY, NEXT)
    with pytest.raises(Incomplete, match=f"2 of 2 days have not landed completely: {DAY}, {NEXT}"):
        tasks.compare(quoted["plan"])
    start(pipeline, quoted)
    key = plan_key(quoted["plan"])
    bucket.write(key, bucket.json(key) | {"cost_usd": 0.001})
    caplog.clear()
    assert tasks.compare(quoted["plan"])["bought_usd"] > 0.001
    assert [record.levelname for record in caplog.records if "approved" in record.message] == ["WARNING"]
