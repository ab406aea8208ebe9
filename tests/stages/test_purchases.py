"""What is paid for is not bought again: after a failure, a clear, or a change of handles."""

import json
from collections import Counter
from contextlib import nullcontext

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException

from include.twitter.errors import Incomplete, Outage
from include.twitter.extract import reconcile
from tests.drivers import request_line
from tests.stages.conftest import TOKEN

pytestmark = pytest.mark.live

THREE = "posts_250_three, posts_5_one, posts_120_two"  # 3 + 1 + 2 pages, one look-up, one count
TIMELINE = r"/2/users/\d+/tweets"


def billed(requests) -> Counter[str]:
    """The requests that X answered with what it bills."""
    return Counter(request_line(r) for r in requests if r["status"] == 200 and r["path"] != TOKEN)


@pytest.fixture(scope="module")
def undisturbed() -> dict:
    """What an undisturbed purchase of the three accounts asks for and comes to; bought once."""
    return {}


@pytest.mark.parametrize("k", range(1, 10))
def test_a_failure_at_any_request_costs_nothing_twice(pipeline, x, bucket, undisturbed, monkeypatch, k):
    monkeypatch.setattr(reconcile, "PAUSES", (0, 0, 0))
    pipeline.put(tweet_limit=0)
    if not undisturbed:
        pipeline.transform(pipeline.extract(THREE, name="good"), name="good")
        undisturbed["mills"] = x.served_mills()
        undisturbed["raw"] = pipeline.raw()
        undisturbed["rows"] = pipeline.rows(name="good")
        assert billed(x.requests()).total() == 8
        for zone in ("twitter_accounts/", "twitter_ledger/", "twitter_raw/"):
            bucket.delete(zone)
        x.forget()
    x.order({"status": 503, "skip": k - 1})

    proves = k > 7  # the token of the count, and the count: they are requested again in the same try
    with nullcontext() if proves else pytest.raises(Outage if k == 1 else AirflowRescheduleException):
        pipeline.extract(THREE)
    assert bucket.ledger_mills() == x.served_mills()
    assert [r["status"] for r in x.requests()].count(503) == 1
    account = pipeline.refine(pipeline.extract(THREE))

    assert (billed(x.requests()).total(), x.served_mills()) == (8, undisturbed["mills"])
    assert bucket.ledger_mills() == undisturbed["mills"]
    assert pipeline.raw() == undisturbed["raw"]
    assert pipeline.rows() == undisturbed["rows"]
    assert {line["proof"] for line in account.values()} == {"matched"}


def test_handles_may_change_between_two_tries(pipeline, x):
    x.order({"match": TIMELINE, "status": 503, "skip": 2})
    with pytest.raises(AirflowRescheduleException):
        pipeline.extract("posts_2_a, posts_3_b, posts_4_c")
    before = billed(x.requests())
    x.forget()

    bought = pipeline.extract("posts_5_d, posts_4_c, posts_3_b")
    pipeline.load(pipeline.transform(bought))

    assert not before & billed(x.requests()), "nothing is requested twice"
    published = Counter(row["username"] for row in pipeline.rows())
    assert published == {"posts_3_b": 3, "posts_4_c": 4, "posts_5_d": 5}


def test_of_100_accounts_five_are_unavailable_named_and_requested_alone(pipeline, x):
    sound = [f"posts_2_n{number}" for number in range(95)]
    gone = ["suspended_a", "suspended_b", "suspended_c", "protected_d", "unknown_e"]
    pipeline.put(tweet_limit=0)
    bought = pipeline.extract(",".join(sound + gone))
    staged = pipeline.transform(bought)
    with pytest.raises(Incomplete, match="without 5 of 100 accounts") as raised:
        pipeline.load(staged)
    assert all(f"{handle}: " in str(raised.value) for handle in gone)
    x.forget()

    pipeline.extract()

    assert x.requests()[0]["query"]["usernames"] == "suspended_a,suspended_b,suspended_c,unknown_e"
    assert x.request_kinds() == ["users", "timeline"]
    pipeline.put(handles=",".join(sound))
    landed = pipeline.load(staged)
    assert landed["rows"] == 190
    assert sum(len(json.dumps(value)) for value in (bought, staged, landed)) < 4096, "all of it goes by XCom"
