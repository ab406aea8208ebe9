"""No request is sent that could cross a cap, and the ledger holds what X has served, to the mill."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import NoAccess, OverBudget
from include.twitter.extract import extract

pytestmark = pytest.mark.live

TIMELINE = r"/2/users/\d+/tweets"
TWELVE = ",".join(f"posts_90_m{number}" for number in range(12))  # 106 slots each: two pages of up to $0.50
EARLIER = {"buy": 1, "month": "2026-11", "day": "2026-11-01"}


def earlier(bucket, *, reserved: int, spent: int) -> None:
    """Another purchase of the month, in the ledger."""
    key = "twitter_ledger/month=2026-11/2026-11-01-1.json"
    bucket.write(key, EARLIER | {"reserved_mills": reserved, "spent_mills": spent})


def pages_served(x) -> list[str]:
    return [f"{r['path']} {json.dumps(r['query'])}" for r in x.requests() if r["posts"]]


@pytest.mark.parametrize("cap", ["0.3", "2.5"])
def test_eight_readers_together_stay_below_the_run_cap(pipeline, x, bucket, cap):
    pipeline.put(tweet_limit=0, run_budget_usd=cap)
    x.latency(20)

    with pytest.raises(OverBudget, match="Raise twitter_run_budget_usd and clear the task") as told:
        pipeline.extract(TWELVE)

    assert bucket.ledger_mills() == x.served_mills() <= float(cap) * 1000
    assert f"${x.served_mills() / 1000:.3f} of ${float(cap):.2f} are spent" in str(told.value)
    assert x.served_mills() > float(cap) * 1000 - 50 - 8 * 100, "it stops long before the cap"


def test_a_look_up_that_does_not_fit_is_not_sent(pipeline, x):
    pipeline.put(run_budget_usd="0.119")

    with pytest.raises(OverBudget, match=r"at least 12 users, up to \$0.120"):
        pipeline.extract(TWELVE)

    assert x.requests() == []


def test_after_raising_the_run_cap_only_the_rest_is_bought(pipeline, x, bucket):
    pipeline.put(tweet_limit=0, run_budget_usd="0")
    whole = pipeline.extract(TWELVE)
    pipeline.transform(whole, name="good")
    for zone in ("twitter_ledger/", "twitter_accounts/", "twitter_raw/"):
        bucket.delete(zone)
    x.forget()
    pipeline.put(run_budget_usd="2.5")
    with pytest.raises(OverBudget):
        pipeline.extract(TWELVE)
    pipeline.put(run_budget_usd="100")

    bought = pipeline.extract(TWELVE)
    pipeline.transform(bought)

    assert {name: bought[name] for name in ("posts", "users", "counts")} == {
        name: whole[name] for name in ("posts", "users", "counts")
    }
    assert len(pages_served(x)) == len(set(pages_served(x)))
    assert bucket.ledger_mills() == x.served_mills() == round(1000 * whole["cost_usd"])
    assert pipeline.rows() == pipeline.rows(name="good")


def test_the_month_cap_counts_what_other_purchases_have_spent(pipeline, x, bucket):
    earlier(bucket, reserved=9000, spent=9000)
    pipeline.put(tweet_limit=0, month_budget_usd="10", run_budget_usd="0")

    with pytest.raises(OverBudget, match=r"of \$10.00 are spent \(Variable twitter_month_budget_usd\)"):
        pipeline.extract(TWELVE)

    assert bucket.ledger_mills() == 9000 + x.served_mills() <= 10_000


def test_an_entry_that_was_never_settled_counts_with_its_reservation(pipeline, x, bucket):
    earlier(bucket, reserved=9900, spent=0)
    pipeline.put(month_budget_usd="10")

    with pytest.raises(OverBudget, match=r"twitter_month_budget_usd.*reserved for 2026-11-01: not settled"):
        pipeline.extract(TWELVE)

    assert x.requests() == [], "twelve look-ups cost $0.12, $0.10 is left"


def test_three_days_one_after_the_other_share_the_month_cap(pipeline, x, bucket):
    pipeline.put(tweet_limit=0, month_budget_usd="2", run_budget_usd="1")
    ends = []
    for day in ("2026-11-17", "2026-11-18", "2026-11-19"):
        with pytest.raises(OverBudget) as told:
            pipeline.extract(TWELVE, day, name=day)
        ends.append("run" if "Raise twitter_run_budget_usd" in str(told.value) else "month")

    assert ends == ["run", "run", "month"]
    assert 1900 < bucket.ledger_mills() == x.served_mills() <= 2000


def test_the_entry_of_a_purchase_tells_what_it_bought(pipeline, x, bucket):
    pipeline.extract("posts_20_a, posts_5_b")

    [entry] = bucket.ledger()
    served = {
        "posts": sum(r["posts"] for r in x.requests()),
        "users": sum(r["users"] for r in x.requests()),
        "counts": x.asked().count("count"),
    }
    assert entry["bought"] == served | {"own_posts": 0, "archive_counts": 0, "rereads": 0}
    assert (entry["day"], entry["month"], entry["buy"]) == ("2026-11-20", "2026-11", 1)
    assert entry["reserved_mills"] == entry["spent_mills"] == x.served_mills()


def test_spending_is_booked_in_the_month_of_purchase_not_of_the_day(pipeline, x, bucket):
    december = datetime(2026, 12, 1, 2, tzinfo=UTC)
    x.clock(december)

    pipeline.extract("posts_5_a", "2026-11-30", now=december)

    assert bucket.keys("twitter_ledger/")[0].startswith("twitter_ledger/month=2026-12/")


def test_a_purchase_over_the_turn_of_the_month_is_booked_whole(pipeline, x, bucket):
    before, after = (datetime(2026, 12, 1, tzinfo=UTC) + timedelta(seconds=s) for s in (-30, 30))
    x.clock(before)
    run = pipeline.run("2026-11-28")
    turning = type(run)(run.day, run.id, lambda: before if len(x.requests()) < 3 else after)
    pipeline.put(handles="posts_250_turn", tweet_limit=0)

    extract(turning)

    assert bucket.ledger_mills() == x.served_mills()


def test_while_a_purchase_goes_on_its_entry_covers_what_it_has_spent_and_may_spend(pipeline, x, bucket):
    pipeline.put(tweet_limit=0, month_budget_usd="2", run_budget_usd="0")
    x.order({"match": TIMELINE, "status": 503, "skip": 2})
    with pytest.raises(AirflowRescheduleException):
        pipeline.extract("posts_250_long")
    spent = bucket.ledger_mills()
    assert spent == x.served_mills() > 800
    x.order({"match": TIMELINE, "delay": 0.5})

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(pipeline.extract, "posts_250_long")
        while (entry := bucket.ledger()[0])["reserved_mills"] == spent and not second.done():
            pass
        second.result()

    assert entry["spent_mills"] == spent
    assert spent + 500 <= entry["reserved_mills"] <= 2000, "killed now, other days could cross the month cap"


def test_a_lowered_cap_does_not_make_a_reservation_that_gives_money_back(pipeline, x, bucket):
    earlier(bucket, reserved=3000, spent=3000)
    pipeline.put(month_budget_usd="2", run_budget_usd="0")
    x.order({"match": "/2/users/by", "delay": 0.3})

    with pytest.raises(OverBudget, match=r"\$3.000 of \$2.00 are spent"):
        pipeline.extract("posts_5_a")

    key = "twitter_ledger/month=2026-11/2026-11-20-1.json"
    versions = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=key)["Versions"]
    get = bucket.client.get_object
    bodies = [
        json.loads(get(Bucket=bucket.name, Key=key, VersionId=version["VersionId"])["Body"].read())
        for version in versions
    ]
    assert bodies
    assert all(body["reserved_mills"] >= 0 for body in bodies)
    assert x.requests() == []


def test_a_refused_request_costs_nothing(pipeline, x, bucket):
    x.order({"match": TIMELINE, "status": 403, "body": {"title": "Forbidden", "type": "about:blank"}})

    with pytest.raises(NoAccess):
        pipeline.extract("posts_5_a")

    assert bucket.ledger_mills() == 10


def test_a_try_killed_before_its_first_answer_does_not_hold_the_month_for_good(pipeline, x, bucket):
    pipeline.put(month_budget_usd="10", run_budget_usd="0")
    killed = EARLIER | {"day": "2026-11-20", "reserved_mills": 10_000, "spent_mills": 0}
    bucket.write("twitter_ledger/month=2026-11/2026-11-20-1.json", killed)

    pipeline.extract("posts_5_a")

    assert bucket.ledger_mills() == x.served_mills()


def test_a_count_that_cannot_be_read_is_booked_and_leaves_the_day_unchecked(pipeline, x, bucket):
    x.order({"match": "/counts/", "status": 200, "body": {"meta": {}}})

    (account,) = pipeline.accounts(pipeline.extract("posts_5_a")).values()

    assert account["proof"] == "unchecked"
    assert bucket.ledger_mills() == x.served_mills()
