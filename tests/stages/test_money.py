"""No request is sent that could cross a cap, and the ledger holds what X has served, to the mill."""

import json

import pytest

from include.twitter.errors import OverBudget

pytestmark = pytest.mark.live

TWELVE = ",".join(f"posts_90_m{number}" for number in range(12))  # 106 slots each: two pages of up to $0.50


def pages_served(x) -> list[str]:
    return [f"{r['path']} {json.dumps(r['query'])}" for r in x.requests() if r["posts"]]


@pytest.mark.parametrize("cap", ["0.3", "2.5"])
def test_eight_readers_together_stay_below_the_run_cap(pipeline, x, bucket, cap):
    pipeline.put(tweet_limit=0, run_budget_usd=cap)
    x.latency(20)

    with pytest.raises(OverBudget, match="Raise twitter_run_budget_usd and clear the task") as raised:
        pipeline.extract(TWELVE)

    assert bucket.ledger_mills() == x.served_mills() <= float(cap) * 1000
    assert f"${x.served_mills() / 1000:.3f} of ${float(cap):.2f} are spent" in str(raised.value)
    assert x.served_mills() > float(cap) * 1000 - 50 - 8 * 100, "it stops long before the cap"


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


def test_three_days_one_after_the_other_share_the_month_cap(pipeline, x, bucket):
    pipeline.put(tweet_limit=0, month_budget_usd="2", run_budget_usd="1")
    ends = []
    for day in ("2026-11-17", "2026-11-18", "2026-11-19"):
        with pytest.raises(OverBudget) as raised:
            pipeline.extract(TWELVE, day, name=day)
        ends.append("run" if "Raise twitter_run_budget_usd" in str(raised.value) else "month")

    assert ends == ["run", "run", "month"]
    assert 1900 < bucket.ledger_mills() == x.served_mills() <= 2000
