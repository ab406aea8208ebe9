"""An account's replies to itself, the later posts of its threads."""

from datetime import date

import pytest

from local.x_api import posts

pytestmark = pytest.mark.live

ACCOUNT = "posts_120_thr"


def replies_to_itself(day):
    return {str(slot.id) for slot in posts.slots(ACCOUNT, date.fromisoformat(day)) if posts.is_thread(slot)}


def test_threads_that_are_wanted_later_cost_themselves_alone(pipeline, x, bucket):
    pipeline.put(tweet_limit=0)
    before = pipeline.refine(pipeline.extract(ACCOUNT))[ACCOUNT]
    x.forget()

    pipeline.put(include_threads="true")
    bought = pipeline.extract(name="threads")

    assert x.request_kinds() == ["search"], "the count of its own posts is there already"
    assert bucket.ledger_mills() == round(1000 * bought["cost_usd"])
    assert x.served_mills() == 3 * 5
    after = pipeline.refine(bought, name="threads")[ACCOUNT]
    assert (after["published"], after["unrequested"]) == (before["published"] + 3, 0)
    landed = {row["tweet_id"] for row in pipeline.rows(name="threads")}
    assert len(replies_to_itself("2026-11-20") & landed) == 3
    assert (after["proof"], pipeline.extract(name="more")) == ("matched", bought)


def test_threads_stay_in_a_day_that_was_bought_with_them(pipeline, x):
    pipeline.put(tweet_limit=0, include_threads="true")
    whole = pipeline.refine(pipeline.extract(ACCOUNT))[ACCOUNT]
    x.forget()
    pipeline.put(include_threads="false")
    assert pipeline.refine(pipeline.extract(name="own"), name="own")[ACCOUNT] == whole
    assert x.requests() == []


def test_threads_of_an_old_day_come_from_the_archive(pipeline, x):
    pipeline.put(tweet_limit=0, include_threads="true")
    account = pipeline.refine(pipeline.extract(ACCOUNT, "2026-10-20"), "2026-10-20")[ACCOUNT]
    assert x.request_kinds() == ["users", "token", "search", "search", "count"]
    landed = {row["tweet_id"] for row in pipeline.rows("2026-10-20")}
    assert len(replies_to_itself("2026-10-20") & landed) == 5
    assert account["proof"] == "matched"
