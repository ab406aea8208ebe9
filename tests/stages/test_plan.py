"""A backfill that is planned, priced and approved: what is quoted is bought, and no more is asked for."""

import time
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.twitter import plan
from include.twitter.day import plan_key, short_hash
from include.twitter.errors import BadAccounts, BadDay, Incomplete, NoCredits, OverBudget
from include.twitter.run import Range, days_from
from local.x_api import posts
from tests.hands import said
from tests.stages.child import Moment
from tests.stages.conftest import NOW, TOKEN
from tests.stages.test_kills_and_races import CONTEXT, Process

pytestmark = pytest.mark.live

DAY, NEXT = "2026-10-06", "2026-10-07"
SMALL = [f"reader_{number:02}" for number in range(18)]
SEARCH = "/2/tweets/search/all"
PAGE_WRITES = [3, 5, 7]
"""Which writes to S3 of a process are a group's pages: before each is one of its turn or its money."""
LOOKUP, COUNT = "/2/users/by", "/2/tweets/counts/all"


@pytest.fixture(autouse=True)
def no_caps(pipeline):
    pipeline.put(run_budget_usd=0, month_budget_usd=0, tweet_limit=100)


def quote(pipeline, first: str = DAY, last: str = DAY, accounts: str = "", name: str = "plan") -> dict:
    days = days_from(first, last)
    return plan.quote(Range(days, short_hash(pipeline.name + name), accounts, lambda: NOW))


def land(pipeline, conf: dict) -> dict:
    """What a run of `twitter` does for a day, started with this conf; returns its manifest."""
    how = {"name": conf.get("plan", "") + conf["day"]} | conf
    day = how.pop("day")
    bought = pipeline.extract(day=day, **how)
    pipeline.load(pipeline.transform(bought, day, **how), day, **how)
    return pipeline.bucket.json(bought["manifest"])


def start(pipeline, quoted: dict) -> list[str]:
    """Start what the plan starts; returns the runs' names."""
    started = plan.runs(quoted["plan"])
    for run in started:
        land(pipeline, run["conf"])
    return [run["trigger_run_id"] for run in started]


def paths(x) -> dict[str, int]:
    """How often X was asked for what, without the exchanges of keys."""
    return dict(Counter(request["path"] for request in x.requests() if request["path"] != TOKEN))


def receipt(bucket, day: str = DAY) -> dict:
    return {
        account["username"]: account
        for account in bucket.json(f"twitter_receipts/dt={day}/receipt.json")["accounts"]
    }


def test_ten_days_of_twenty_accounts_with_three_landed_cost_what_was_quoted(pipeline, x, bucket):
    landed = ["2026-10-03", "2026-10-04", "2026-10-10"]
    pipeline.put(handles=", ".join([*SMALL, "posts_130_big", "posts_0_silent"]))
    for day in landed:
        land(pipeline, {"day": day})
    before, kept = bucket.ledger_mills(), {day: receipt(bucket, day) for day in landed}
    x.forget()

    quoted = quote(pipeline, "2026-10-01", "2026-10-10")
    assert paths(x) == {LOOKUP: 1, COUNT: 1 + 20}
    assert bucket.ledger_mills() - before == x.served_mills() == 20 * 10 + 21 * 10
    assert "Whole already: 3 of 10 days." in quoted["body"]
    assert "To find that out has cost $0.410." in quoted["body"]
    assert "| 2026-10-03 | 20 | 0 | 0 | 0 | 0 | $0.000 |" in quoted["body"]
    x.forget()

    names = start(pipeline, quoted)
    assert len(names) == 7
    assert names[0] == f"manual__2026-10-01__plan_{quoted['plan']}"
    compared = plan.compare(quoted["plan"])
    assert abs(compared["percent"]) <= 1
    assert round(compared["bought_usd"] * 1000) == x.served_mills()
    assert paths(x) == {SEARCH: 7 * 3}  # the small ones at once, and the big one's two pages
    assert max(Counter(said(r) for r in x.requests() if r["path"] != TOKEN).values()) == 1
    proofs = Counter(account["proof"] for account in receipt(bucket, "2026-10-02").values())
    assert proofs == {"matched": 19, "limited": 1}
    assert receipt(bucket, "2026-10-02")["posts_130_big"]["counted"] == 130  # by the plan
    assert kept == {day: receipt(bucket, day) for day in landed}

    with pytest.raises(AirflowSkipException, match="All 10 days have landed"):
        quote(pipeline, "2026-10-01", "2026-10-10", name="again")


def test_fifty_accounts_and_ten_days_are_twenty_requests(pipeline, x, bucket):
    pipeline.put(handles=", ".join(f"reader_{number:02}" for number in range(50)), tweet_limit=0)
    quoted = quote(pipeline, "2026-10-01", "2026-10-10")
    assert paths(x) == {LOOKUP: 1, COUNT: 2}
    assert "in some 20 requests. To find that out has cost $0.520." in quoted["body"]
    x.forget()
    assert len(start(pipeline, quoted)) == 10
    assert paths(x) == {SEARCH: 20}
    assert plan.compare(quoted["plan"])["percent"] == 0
    assert {account["proof"] for account in receipt(bucket).values()} == {"matched"}


def test_what_is_read_together_is_what_is_read_alone(pipeline, x, bucket):
    pipeline.put(handles=", ".join(SMALL))
    land(pipeline, {"day": DAY, "name": "alone"})
    alone, rows = receipt(bucket), pipeline.rows(DAY, name="alone")
    bucket.delete("twitter_raw/")
    bucket.delete("twitter_receipts/")
    quoted = quote(pipeline)
    land(pipeline, {"day": DAY, "plan": quoted["plan"], "name": "together"})
    strip = lambda rows: [{k: v for k, v in row.items() if k != "captured_at"} for row in rows]  # noqa: E731
    assert strip(pipeline.rows(DAY, plan=quoted["plan"], name="together")) == strip(rows)
    told = receipt(bucket)
    of_the_count = {"counted": None, "proof_reason": None}  # how many were counted together
    assert {name: account | of_the_count for name, account in alone.items()} == {
        name: account | of_the_count for name, account in told.items()
    }
    assert all(account["fetched"] for account in told.values())


def test_each_account_names_the_pages_that_it_shares_and_the_purchase_counts_each_post_once(
    pipeline, x, bucket
):
    pipeline.put(handles="reader_00, reader_01", tweet_limit=0)
    manifest = land(pipeline, plan.runs(quote(pipeline)["plan"])[0]["conf"])
    one, other = manifest["accounts"]
    assert one["pages"] == other["pages"]
    assert "/group-" in one["pages"][0]
    assert (
        manifest["bought"]["2026-11"]["posts"]
        == one["posts"] + other["posts"]
        == bucket.json(one["pages"][0])["billed"]["posts"]
    )
    assert manifest["requests"] == []


@pytest.mark.parametrize("k", range(1, 5))
def test_an_abort_between_the_pages_of_a_group_buys_nothing_twice(pipeline, x, bucket, k):
    pipeline.put(handles="posts_600_a, posts_590_b, posts_5_c", tweet_limit=0)
    (run,) = plan.runs(quote(pipeline)["plan"])
    x.forget()
    before = bucket.ledger_mills()
    x.order({"match": SEARCH, "status": 402, "body": {"title": "CreditsDepleted"}, "skip": k - 1})
    if k < 4:  # there are three pages
        with pytest.raises(NoCredits):
            land(pipeline, run["conf"])
    manifest = land(pipeline, run["conf"])
    answered = [request for request in x.requests() if request["path"] == SEARCH and request["status"] == 200]
    assert len(answered) == 3
    assert bucket.ledger_mills() - before == x.served_mills() == round(1000 * manifest["cost_usd"])
    assert {account["proof"] for account in receipt(bucket).values()} == {"matched"}
    assert {account["duplicates"] > 0 for account in receipt(bucket).values()} == {True, False}


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("at", ["before", "after"])
def test_a_kill_in_a_group_is_gone_on_with_by_a_run_without_the_plan(pipeline, x, bucket, page, at):
    pipeline.put(handles="posts_600_a, posts_590_b", tweet_limit=0)
    (run,) = plan.runs(quote(pipeline)["plan"])
    x.forget()
    moment, clock = Moment("killed", at, PAGE_WRITES[page - 1]), CONTEXT.Value("d", 0)
    with closing(Process(pipeline, clock, moment, "killed", DAY, run["conf"]["plan"])) as process:
        process.go().hears()
    x.answered()
    staged = [key for key in bucket.keys(f"twitter_raw/dt={DAY}/") if "/group-" in key]
    assert len(staged) == page - (at == "before")
    manifest = land(pipeline, {"day": DAY, "now": NOW + timedelta(seconds=61), "name": "later"})

    lost = max(request["posts"] for request in x.requests()) if at == "before" else 0
    served = sum(request["posts"] for request in x.requests())
    posts_of_both = len(own_posts("posts_600_a")) + len(own_posts("posts_590_b"))
    assert served <= posts_of_both + lost, "at most the page in flight is bought twice"
    assert manifest["bought"]["2026-11"]["posts"] == posts_of_both
    assert {account["proof"] for account in receipt(bucket).values()} == {"matched"}


def test_an_archive_that_fails_at_500_posts_is_asked_for_fewer(pipeline, x, bucket):
    pipeline.put(handles="posts_600_a, posts_5_c", tweet_limit=0)
    (run,) = plan.runs(quote(pipeline)["plan"])
    x.order({"match": "max_results=500", "status": 503, "times": 9})
    land(pipeline, run["conf"])
    assert {account["proof"] for account in receipt(bucket).values()} == {"matched"}


def test_posts_of_others_in_a_group_are_kept_and_its_accounts_read_one_by_one(pipeline, x, bucket):
    pipeline.put(handles="reader_00, reader_01, reader_02", tweet_limit=0)
    (run,) = plan.runs(quote(pipeline)["plan"])
    stranger = own_posts("reader_09")[0]
    x.order({"match": SEARCH, "status": 200, "body": {"data": [stranger], "meta": {"result_count": 1}}})
    manifest = land(pipeline, run["conf"])
    assert [key for key in manifest["requests"] if "/refused-group-" in key]
    assert {account["proof"] for account in receipt(bucket).values()} == {"matched"}


def test_a_group_that_was_given_up_is_not_tried_again(pipeline, x, bucket):
    pipeline.put(handles="reader_00, reader_01, reader_02", tweet_limit=0)
    (run,) = plan.runs(quote(pipeline)["plan"])
    strange = {"data": own_posts("reader_09")[:1], "meta": {"result_count": 1}}
    x.order(
        {"match": SEARCH, "status": 200, "body": strange},
        {"match": SEARCH, "status": 402, "body": {"title": "CreditsDepleted"}, "times": 9},
    )
    with pytest.raises(NoCredits):
        land(pipeline, run["conf"])
    x.order()
    x.forget()
    land(pipeline, run["conf"])
    assert [request["query"]["query"] for request in x.requests() if "OR" in str(request["query"])] == []


def test_an_account_that_comes_short_in_a_group_is_looked_up_and_read_alone(pipeline, x, bucket):
    pipeline.put(handles="posts_120_a, posts_90_b", tweet_limit=150)
    (run,) = plan.runs(quote(pipeline)["plan"])
    x.forget()
    x.order({"match": SEARCH, "drop_posts": 40})
    land(pipeline, run["conf"])
    told = receipt(bucket)
    assert {account["proof"] for account in told.values()} == {"matched"}
    assert {account["published"] > 80 for account in told.values()} == {True}
    assert paths(x)[SEARCH] == 3
    assert paths(x)[LOOKUP] == 2


def test_a_post_that_x_counts_and_does_not_show_costs_nothing_more(pipeline, x, bucket):
    pipeline.put(handles="posts_120_a, posts_90_b", tweet_limit=150)
    (run,) = plan.runs(quote(pipeline)["plan"])
    x.forget()
    x.order({"match": SEARCH, "drop_posts": 2})
    land(pipeline, run["conf"])
    told = receipt(bucket)
    assert {account["proof"] for account in told.values()} <= {"matched", "short"}
    assert paths(x) == {SEARCH: 1}
    assert plan.compare(run["conf"]["plan"])["percent"] < 0


def test_a_group_that_differs_a_little_is_not_counted_one_by_one(pipeline, x, bucket):
    pipeline.put(handles="posts_60_a, posts_30_b", tweet_limit=100)
    (run,) = plan.runs(quote(pipeline)["plan"])
    x.forget()
    x.order({"match": SEARCH, "drop_posts": 2})
    land(pipeline, run["conf"])
    told = receipt(bucket)
    assert {account["proof"] for account in told.values()} == {"unchecked"}
    assert told["posts_60_a"]["proof_reason"] == "X counts 90 posts of 2 accounts, 88 arrived"
    assert paths(x) == {SEARCH: 1}


def test_an_account_that_is_suspended_after_the_plan_is_told_so(pipeline, x, bucket):
    pipeline.put(handles="reader_00, reader_01, reader_02", tweet_limit=30)
    (run,) = plan.runs(quote(pipeline)["plan"])
    x.owners(reader_01="suspended_1")
    left = [post for name in ("reader_00", "reader_02") for post in own_posts(name)]
    left.sort(key=lambda post: -int(post["id"]))
    x.order({"match": SEARCH, "status": 200, "body": {"data": left, "meta": {"result_count": len(left)}}})
    with pytest.raises(Incomplete, match=r"reader_01: .*suspended"):
        land(pipeline, run["conf"])
    assert {name: account["outcome"] for name, account in receipt(bucket).items()} == {
        "reader_00": "complete",
        "reader_01": "unavailable",
        "reader_02": "complete",
    }
    with pytest.raises(Incomplete, match=DAY):
        plan.compare(run["conf"]["plan"])


def own_posts(handle: str) -> list[dict]:
    day = days_from(DAY, DAY)[0].date
    return [posts.post(handle, slot) for slot in posts.slots(handle, day) if slot.kind == "own"]


def test_days_of_the_last_week_are_read_from_timelines_and_proved_by_the_plan(pipeline, x, bucket):
    pipeline.put(handles="reader_00, reader_01, posts_130_big")
    quoted = quote(pipeline, "2026-11-18", "2026-11-20")
    assert paths(x) == {LOOKUP: 1, COUNT: 4}
    x.forget()
    start(pipeline, quoted)
    assert set(paths(x)) <= {
        f"/2/users/{posts.user_id(name)}/tweets" for name in ("reader_00", "reader_01", "posts_130_big")
    }
    assert {account["proof"] for account in receipt(bucket, "2026-11-19").values()} == {"matched", "limited"}
    assert abs(plan.compare(quoted["plan"])["percent"]) <= 5


def test_ones_own_account_is_counted_alone_and_quoted_at_a_fifth(pipeline, x):
    pipeline.put(handles="reader_00, reader_01, reader_02", own_handle="reader_01")
    quoted = quote(pipeline, "2026-11-18", "2026-11-20")
    assert paths(x) == {LOOKUP: 1, COUNT: 2}
    start(pipeline, quoted)
    assert plan.compare(quoted["plan"])["percent"] == 0


def test_threads_are_counted_and_quoted_too(pipeline, x, bucket):
    pipeline.put(handles="reader_00, posts_50_b", include_threads="true")
    quoted = quote(pipeline)
    assert paths(x) == {LOOKUP: 1, COUNT: 4}
    x.forget()
    start(pipeline, quoted)
    assert paths(x) == {SEARCH: 4}
    assert plan.compare(quoted["plan"])["percent"] == 0


def test_more_than_a_month_is_counted_in_as_many_spans(pipeline, x):
    pipeline.put(handles="reader_00, reader_01", tweet_limit=0)
    quoted = quote(pipeline, "2026-08-01", "2026-10-30")
    assert paths(x) == {LOOKUP: 1, COUNT: 3}
    assert len(plan.runs(quoted["plan"])) == 91
    assert "| 2026-09 | 0 | 60 |" in quoted["body"]


def test_an_earlier_try_s_answers_are_not_asked_for_again(pipeline, x, bucket):
    pipeline.put(handles=", ".join(SMALL))
    x.order({"match": COUNT, "status": 402, "body": {"title": "CreditsDepleted"}, "skip": 5})
    with pytest.raises(NoCredits):
        quote(pipeline)
    quote(pipeline)
    assert [r["status"] for r in x.requests()].count(402) == 1
    answered = [said(r) for r in x.requests() if r["status"] == 200 and r["path"] != TOKEN]
    assert len(answered) == len(set(answered)) == 1 + 1 + 18
    assert bucket.ledger_mills() == x.served_mills()


def test_a_cleared_quote_is_the_same_plan_and_costs_nothing(pipeline, x):
    pipeline.put(handles="reader_00, reader_01")
    first = quote(pipeline)
    start(pipeline, first)
    x.forget()
    assert quote(pipeline) == first
    assert paths(x) == {}


def test_its_own_price_is_told_before_x_is_asked(pipeline, x, caplog):
    pipeline.put(handles=", ".join(SMALL))
    x.order({"match": LOOKUP, "status": 402, "body": {"title": "CreditsDepleted"}})
    with pytest.raises(NoCredits):
        quote(pipeline, "2026-09-01", "2026-10-30")
    assert (
        "The plan itself costs $0.200 to $0.560: 18 accounts to look up and 2 counts at $0.010, "
        "and up to 36 more of single accounts"
    ) in caplog.text


def test_a_cap_keeps_a_plan_from_asking(pipeline, x):
    pipeline.put(handles="reader_00, reader_01", month_budget_usd="0.02")
    with pytest.raises(OverBudget, match="twitter_month_budget_usd"):
        quote(pipeline)
    assert paths(x) == {LOOKUP: 1}


def test_what_a_cap_would_cut_off_is_said_before_the_yes(pipeline):
    pipeline.put(handles="posts_90_a", run_budget_usd="0.20", month_budget_usd="0.30")
    body = quote(pipeline)["body"]
    assert "1 day would cost more than `twitter_run_budget_usd` lets a day cost, first 2026-10-06" in body
    assert "Of `twitter_month_budget_usd` $0.280 are left" in body
    assert "`twitter_month_budget_usd` is $0.300: $0.280 are left now. It takes some 1 minute." in body


def test_what_reading_the_posts_again_will_cost_is_said_where_it_lies_ahead(pipeline):
    pipeline.put(handles="posts_4_a", engagement_days="1, 7, 30")
    for first, last, told in (
        ("2026-11-19", "2026-11-20", "at 7 and 30 days, for up to $0.080."),
        ("2026-10-28", "2026-10-28", "at 30 days, for up to $0.020."),
    ):
        quoted = quote(pipeline, first, last, name=first)
        assert f"\n`twitter_engagement` will read them again {told}\n" in quoted["body"]
    assert "twitter_engagement" not in quote(pipeline, "2026-10-20", "2026-10-20", name="old")["body"]
    pipeline.put(engagement_days="1")
    assert "twitter_engagement" not in quote(pipeline, "2026-11-19", "2026-11-19", name="free")["body"]


def test_only_the_accounts_that_are_missing_are_bought_and_the_others_stay(pipeline, x, bucket):
    pipeline.put(handles="reader_00, posts_0_silent")
    land(pipeline, {"day": DAY})
    before = receipt(bucket)
    pipeline.put(handles="reader_00, posts_0_silent, reader_01, reader_02")
    quoted = quote(pipeline, DAY, NEXT, accounts="reader_01")
    x.forget()
    assert len(start(pipeline, quoted)) == 2
    assert {handle for request in x.requests() for handle in request["handles"]} == {"reader_01"}
    after = receipt(bucket)
    assert [*after] == ["posts_0_silent", "reader_00", "reader_01"]
    assert {name: after[name] for name in before} == before
    assert [*receipt(bucket, NEXT)] == ["reader_01"]
    compared = plan.compare(quoted["plan"])
    assert round(compared["bought_usd"] * 1000) == x.served_mills()
    assert compared["percent"] == 0


def test_one_new_account_s_past_is_bought_by_trigger_alone(pipeline, x, bucket):
    pipeline.put(handles="reader_00")
    land(pipeline, {"day": DAY})
    pipeline.put(handles="reader_00, reader_01, reader_02")
    x.forget()
    land(pipeline, {"day": DAY, "accounts": "@Reader_02", "name": "by hand"})
    assert {handle for request in x.requests() for handle in request["handles"]} == {"reader_02"}
    assert [*receipt(bucket)] == ["reader_00", "reader_02"]


def test_an_account_that_is_not_collected_is_refused(pipeline, x):
    pipeline.put(handles="reader_00")
    with pytest.raises(BadAccounts, match=r"does not name nasa\. Add them there first"):
        quote(pipeline, accounts="reader_00, nasa")
    with pytest.raises(BadAccounts, match="does not name nasa"):
        pipeline.extract(day=DAY, accounts="nasa")
    assert paths(x) == {}


def test_a_day_that_was_bought_and_has_not_landed_is_landed_for_nothing(pipeline, x, bucket):
    pipeline.put(handles="reader_00")
    pipeline.extract(day=DAY)
    x.forget()
    quoted = quote(pipeline)
    assert quoted["subject"] == "Buy 0 posts of 1 day for $0.000?"
    start(pipeline, quoted)
    assert paths(x) == {}
    assert plan.compare(quoted["plan"]) == {"quoted_usd": 0, "bought_usd": 0, "percent": 0, "days": 1}


def test_accounts_that_x_does_not_show_are_named_and_not_bought(pipeline, x):
    pipeline.put(handles="reader_00, suspended_1, protected_1, unknown_1")
    quoted = quote(pipeline)
    for name in ("suspended", "protected", "unknown"):
        assert rf"Not bought: {name}\_1, " in quoted["body"]
    (run,) = plan.runs(quoted["plan"])
    x.forget()
    land(pipeline, run["conf"])
    assert {handle for request in x.requests() for handle in request["handles"]} == {"reader_00"}


def test_a_day_that_may_still_change_is_refused(pipeline):
    pipeline.put(handles="reader_00")
    with pytest.raises(BadDay, match="the latest day to plan is 2026-11-21"):
        quote(pipeline, "2026-11-20", "2026-11-22")


def test_a_difference_of_more_than_five_per_cent_is_a_warning(pipeline, x, bucket, caplog):
    pipeline.put(handles="reader_00, reader_01", tweet_limit=0)
    quoted = quote(pipeline)
    start(pipeline, quoted)
    key = plan_key(quoted["plan"])
    made = bucket.json(key)
    bucket.write(key, made | {"cost_usd": round(made["cost_usd"] * 0.9, 3)})
    caplog.clear()
    assert plan.compare(quoted["plan"])["percent"] > 5
    assert [record.levelname for record in caplog.records if "Quoted" in record.message] == ["WARNING"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_plan_is_the_same_by_any_clock(pipeline, x, bucket, zone, monkeypatch):
    pipeline.put(handles=", ".join(SMALL))
    here = bucket.json(plan_key(quote(pipeline, DAY, NEXT, name="here")["plan"]))
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        quoted = quote(pipeline, DAY, NEXT, name="there")
        there = bucket.json(plan_key(quoted["plan"]))
        x.forget()
        start(pipeline, quoted)
        compared = plan.compare(quoted["plan"])
    finally:
        monkeypatch.undo()
        time.tzset()
    assert there["days"] == here["days"]
    assert compared["percent"] == 0
    assert paths(x) == {SEARCH: 2}
