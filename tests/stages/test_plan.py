"""A backfill that is planned, priced and approved: what is quoted is what is bought, and no more is asked for."""

from collections import Counter

import pytest

from include.twitter import plan
from include.twitter.day import short_hash
from include.twitter.run import Range, days_from
from tests.stages.conftest import NOW, TOKEN, said

pytestmark = pytest.mark.live

FIRST, LAST = "2026-10-01", "2026-10-30"
LANDED = ["2026-10-03", "2026-10-04", "2026-10-05", "2026-10-12", "2026-10-30"]
SMALL = [f"reader_{number:02}" for number in range(18)]
ACCOUNTS = [*SMALL, "posts_130_big", "posts_0_silent"]


@pytest.fixture(autouse=True)
def no_second_between_requests(monkeypatch):
    monkeypatch.setattr("include.twitter.extract.x.ARCHIVE_SECONDS", 0)


def quote(pipeline, first: str = FIRST, last: str = LAST, accounts: str = "", name: str = "plan") -> dict:
    days = days_from(first, last)
    return plan.quote(Range(days, short_hash(pipeline.name + name), accounts, lambda: NOW))


def land(pipeline, conf: dict) -> None:
    """What a run of `twitter` does for a day, started with this conf."""
    how = {"name": conf.get("plan", "") + conf["day"]} | conf
    day = how.pop("day")
    bought = pipeline.extract(day=day, **how)
    pipeline.load(pipeline.transform(bought, day, **how), day, **how)


def start(pipeline, quoted: dict) -> list[str]:
    """Start what the plan starts; returns the runs' names."""
    started = plan.runs(quoted["plan"])
    for run in started:
        land(pipeline, run["conf"])
    return [run["trigger_run_id"] for run in started]


def test_thirty_days_of_twenty_accounts_with_five_landed_cost_what_was_quoted(pipeline, x, bucket):
    pipeline.put(handles=", ".join(ACCOUNTS), run_budget_usd=0, month_budget_usd=0)
    for day in LANDED:
        land(pipeline, {"day": day})
    before = bucket.ledger_mills()
    x.forget()

    quoted = quote(pipeline)
    asked = Counter(request["path"] for request in x.requests())
    assert asked == {"/2/users/by": 1, "/2/tweets/counts/all": 1 + 20, "/oauth2/token": 1}
    own = bucket.ledger_mills() - before
    assert own == x.served_mills() == 20 * 10 + 21 * 10
    print(quoted["body"])
    x.forget()

    names = start(pipeline, quoted)
    assert len(names) == 25
    assert names[0] == f"manual__2026-10-01__plan_{quoted['plan']}"
    asked = Counter(request["path"] for request in x.requests())
    print(asked)
    compared = plan.compare(quoted["plan"])
    print(compared)
    assert abs(compared["percent"]) <= 5
    assert compared["bought_usd"] * 1000 == pytest.approx(x.served_mills())
    assert asked["/2/tweets/counts/all"] == asked["/2/users/by"] == 0
    assert asked["/2/tweets/search/all"] <= 25 * 3
    assert max(Counter(said(r) for r in x.requests() if r["path"] != TOKEN).values()) == 1
    receipt = bucket.json("twitter_receipts/dt=2026-10-02/receipt.json")
    assert Counter(a["proof"] for a in receipt["accounts"]) == {"matched": 19, "limited": 1}
