"""The day's account."""

import json

import pytest

from include.twitter.errors import TooManyRejected, Unbalanced
from include.twitter.transform import receipt
from tests.include.invented import DAY, account, answer, post


def refined(*posts, limit=0):
    return account([answer(*posts)], username="NASA", author_id="42", day=DAY, limit=limit).tally


def bought(posts, **changes):
    """An account's line in the manifest."""
    return {
        "username": "NASA",
        "id": "42",
        "outcome": "complete",
        "reason": None,
        "proof": "matched",
        "counted": None,
        "posts": posts,
    } | changes


def line(username, published, outcome="complete", reason=None, proof="matched", alarms=(), drift=()):
    """An account's line with that many published posts and nothing else."""
    return {
        "username": username,
        "id": "1",
        "outcome": outcome,
        "reason": reason,
        "proof": proof,
        "counted": None,
        **dict.fromkeys(receipt.COUNTS, 0),
        "fetched": published,
        "published": published,
        "rejected_by_reason": {},
        "alarms": list(alarms),
        "drift": dict.fromkeys(drift, 1),
    }


def a_receipt(*lines):
    manifest = {
        "day": "2026-11-18",
        "run": "c0ffee123456",
        "buy": 2,
        "closed_at": "2026-11-19T01:31:00+00:00",
        "asked": {"handles": ["NASA", "esa"], "tweet_limit": 100},
        "bought": {"posts": 300, "users": 2, "counts": 1},
    }
    objects = {"csv": {"key": "twitter/dt=2026-11-18/refined_tweets.csv", "bytes": 10, "sha256": "ab"}}
    return receipt.of(manifest, list(lines), objects)


# An account's line


def test_every_post_that_was_fetched_is_accounted_for():
    came = (
        post(1),
        post(1),
        post(2, text=None),
        post(3, created_at="2026-11-19T00:00:00.000Z"),
        post(4),
        post(5),
    )
    short = bought(6, proof="short", counted=9)
    assert receipt.entry(short, refined(*came, limit=2)) == {
        "username": "NASA",
        "id": "42",
        "outcome": "complete",
        "reason": None,
        "proof": "short",
        "counted": 9,
        "fetched": 6,
        "published": 2,
        "rejected": 1,
        "duplicates": 1,
        "outside": 1,
        "over_limit": 1,
        "rejected_by_reason": {"text: is missing": 1},
        "alarms": [],
        "drift": {},
        "first_created_at": "2026-11-18T09:04:00Z",
        "last_created_at": "2026-11-18T09:05:00Z",
    }


def test_an_account_without_a_post_has_no_first_and_no_last():
    entry = receipt.entry(bought(0), refined())
    assert (entry["published"], entry["first_created_at"], entry["last_created_at"]) == (0, None, None)


@pytest.mark.parametrize("posts", [0, 1, 3])
def test_a_post_that_was_bought_and_not_fetched_or_the_reverse_is_refused(posts):
    with pytest.raises(Unbalanced, match=f"NASA: {posts} posts were bought, and this became of them: "):
        receipt.entry(bought(posts), refined(post(1), post(2)))


@pytest.mark.parametrize("lost", ["published", "rejected", "duplicates", "outside", "over_limit"])
def test_a_post_that_was_fetched_and_is_nowhere_is_refused(lost):
    came = refined(post(1), post(2))
    came.counts[lost] -= 1
    with pytest.raises(Unbalanced):
        receipt.entry(bought(2), came)


def test_an_unavailable_account_keeps_the_words_of_x():
    entry = receipt.entry(bought(0, outcome="unavailable", reason="Forbidden: suspended"), refined())
    assert (entry["outcome"], entry["reason"]) == ("unavailable", "Forbidden: suspended")


def test_a_long_post_that_arrived_cut_is_published_and_stands_in_the_line_as_an_alarm():
    own = "https://twitter.com/i/web/status/1990000000000000001"
    text = "A long post, cut… https://t.co/own"
    links = [{"start": 18, "end": 34, "url": "https://t.co/own", "expanded_url": own}]
    entry = receipt.entry(bought(2), refined(post(1, text=text, entities={"urls": links}), post(2)))
    assert entry["published"] == 2
    assert entry["alarms"] == [
        "1990000000000000001: a long post, cut: its whole text did not arrive",
    ]


# The receipt


def test_a_receipt_tells_what_was_asked_bought_and_published():
    told = a_receipt(
        line("NASA", 200, alarms=["1: cut", "2: cut"], drift=["views", "article"]),
        line("esa", 100, alarms=["3: cut"], drift=["views"]),
        line("gone", 0, "unavailable", proof="unchecked"),
    )
    assert told["day"] == "2026-11-18"
    assert told["versions"] == {"code": "0.1.0", "contract": "1"}
    assert told["purchase"] == {"run": "c0ffee123456", "buy": 2, "closed_at": "2026-11-19T01:31:00+00:00"}
    assert told["asked"] == {"handles": ["NASA", "esa"], "tweet_limit": 100}
    assert told["bought"] == {"posts": 300, "users": 2, "counts": 1}
    assert told["cost_usd"] == 1.525
    assert told["totals"] == {
        "accounts": 3,
        "unavailable": 1,
        "fetched": 300,
        "published": 300,
        "rejected": 0,
        "duplicates": 0,
        "outside": 0,
        "over_limit": 0,
        "proof": {"matched": 2, "unchecked": 1},
        "alarms": 3,
        "drift": ["article", "views"],
    }
    assert [account["username"] for account in told["accounts"]] == ["NASA", "esa", "gone"]
    assert told["objects"]["csv"]["sha256"] == "ab"


def test_a_receipt_is_kept_as_json_and_the_same_one_as_the_same_bytes():
    assert json.loads(receipt.packed(a_receipt(line("NASA", 2)))) == a_receipt(line("NASA", 2))
    assert receipt.packed(a_receipt(line("NASA", 2))) == receipt.packed(a_receipt(line("NASA", 2)))


def test_the_missing_accounts_are_those_that_x_refused():
    told = a_receipt(line("NASA", 0), line("gone", 0, "unavailable"), line("esa", 5, "limit"))
    assert [account["username"] for account in receipt.missing(told)] == ["gone"]


# Losses


def test_a_day_that_was_never_landed_loses_nothing():
    assert receipt.losses(None, a_receipt(line("NASA", 0)), ["NASA"]) == []
    assert receipt.departed(None, a_receipt(line("NASA", 0))) == []


@pytest.mark.parametrize(("landed", "now"), [(10, 5), (9, 5), (1, 1), (10, 11), (0, 0), (0, 5)])
def test_an_account_that_keeps_half_of_its_rows_is_no_loss(landed, now):
    assert receipt.losses(a_receipt(line("NASA", landed)), a_receipt(line("NASA", now)), ["NASA"]) == []


@pytest.mark.parametrize(("landed", "now"), [(10, 4), (9, 4), (1, 0), (300, 149)])
def test_an_account_that_loses_more_than_half_of_its_rows_is_a_loss(landed, now):
    assert receipt.losses(a_receipt(line("NASA", landed)), a_receipt(line("NASA", now)), ["nasa"]) == [
        f"NASA: {landed} rows are landed, this run has {now}"
    ]


def test_an_account_that_is_missing_from_the_candidate_but_wanted_is_a_loss():
    landed = a_receipt(line("NASA", 10), line("esa", 3))
    assert receipt.losses(landed, a_receipt(line("NASA", 10)), ["NASA", "esa"]) == [
        "esa: 3 rows are landed, this run has 0"
    ]


def test_an_account_that_is_not_wanted_any_more_is_no_loss_but_is_named():
    landed = a_receipt(line("NASA", 10), line("esa", 3))
    candidate = a_receipt(line("NASA", 10))
    assert receipt.losses(landed, candidate, ["NASA"]) == []
    assert receipt.departed(landed, candidate) == ["esa"]


def test_one_account_that_grew_does_not_hide_another_that_shrank():
    landed = a_receipt(line("NASA", 10), line("esa", 10))
    assert receipt.losses(landed, a_receipt(line("NASA", 99), line("esa", 1)), ["NASA", "esa"]) == [
        "esa: 10 rows are landed, this run has 1"
    ]


def test_a_handle_that_is_written_otherwise_is_the_same_account():
    landed, candidate = a_receipt(line("NASA", 10)), a_receipt(line("nasa", 10))
    assert receipt.losses(landed, candidate, ["Nasa"]) == []
    assert receipt.departed(landed, candidate) == []


def test_an_account_that_left_without_a_row_is_not_worth_a_word():
    assert receipt.departed(a_receipt(line("esa", 0)), a_receipt(line("NASA", 1))) == []


# For people


def test_a_receipt_reads_as_a_table():
    told = a_receipt(
        line("NASA", 200),
        line("esa", 7, "limit", proof="limited"),
        line("gone", 0, "unavailable", proof="unchecked"),
    )
    assert receipt.readable(told) == [
        "account  outcome      proof      fetched  published  rejected  duplicates  outside  over_limit",
        "NASA     complete     matched    200      200        0         0           0        0",
        "esa      limit        limited    7        7          0         0           0        0",
        "gone     unavailable  unchecked  0        0          0         0           0        0",
        "total                            207      207        0         0           0        0",
    ]


def test_the_asset_event_carries_the_essentials():
    gone = line("gone", 0, "unavailable", proof="unchecked")
    assert receipt.essentials(a_receipt(line("NASA", 200), gone)) == {
        "day": "2026-11-18",
        "rows": 200,
        "accounts": 2,
        "unavailable": ["gone"],
        "cost_usd": 1.525,
        "proof": {"NASA": "matched", "gone": "unchecked"},
        "objects": {"csv": "twitter/dt=2026-11-18/refined_tweets.csv"},
    }


# Too many rejected


def rejecting(rejected, fetched):
    reasons = {"text: is missing": rejected}
    return a_receipt(
        line("NASA", 0) | {"fetched": fetched, "rejected": rejected, "rejected_by_reason": reasons}
    )


@pytest.mark.parametrize(("rejected", "fetched"), [(0, 0), (3, 3), (4, 80), (5, 100)])
def test_three_rejected_posts_or_one_in_twenty_are_let_through(rejected, fetched):
    receipt.require_few_rejected(rejecting(rejected, fetched), "s3://lake/rejected")


@pytest.mark.parametrize(("rejected", "fetched"), [(4, 4), (4, 79), (6, 119)])
def test_more_rejected_posts_than_that_stop_the_day(rejected, fetched):
    with pytest.raises(TooManyRejected) as error:
        receipt.require_few_rejected(rejecting(rejected, fetched), "s3://lake/rejected")
    assert (
        f"{rejected} of {fetched} posts break the contract, {rejected} of them for `text: is missing`"
        in str(error.value)
    )
