"""The day's account."""

from contextlib import nullcontext

import pytest
from msgspec.structs import asdict

from include.twitter.errors import AccountingMismatch, TooManyRejected
from include.twitter.records import BilledUnits, CollectionSpec, latest_in_words
from include.twitter.transform import receipt
from tests.include.factories import (
    DAY,
    a_receipt,
    account,
    account_read,
    account_receipt,
    make_response,
    post,
)


def refined(*posts, limit=0):
    return account([make_response(*posts)], username="NASA", author_id="42", day=DAY, limit=limit).post_counts


# An account's line


def test_every_post_that_was_fetched_is_accounted_for():
    counts = (
        post(1),
        post(1),
        post(2, text=None),
        post(3, created_at="2026-11-19T00:00:00.000Z"),
        post(4),
        post(5),
        post(6, referenced_tweets=[{"type": "retweeted", "id": "7"}]),
        post(7, lang=5),
    )
    short = account_read("NASA", 8, proof="short", proof_reason="X counts 9 posts, 8 arrived", counted=9)
    assert asdict(receipt.entry(short, refined(*counts, limit=2))) == {
        "username": "NASA",
        "id": "42",
        "outcome": "limit",
        "reason": None,
        "proof": "short",
        "proof_reason": "X counts 9 posts, 8 arrived",
        "counted": 9,
        "fetched": 8,
        "published": 2,
        "rejected": 1,
        "duplicates": 1,
        "outside": 1,
        "over_limit": 2,
        "unrequested": 1,
        "erased": 0,
        "rejected_by_reason": {"text: is missing": 1},
        "warnings": [],
        "dropped_fields": {"lang: expected str | null, got int": 1},
        "drift": {},
        "first_created_at": "2026-11-18T09:05:00Z",
        "last_created_at": "2026-11-18T09:07:00Z",
    }


@pytest.mark.parametrize(
    ("changes", "total", "words"),
    [
        ({"outcome": "complete"}, None, None),
        ({"counted": 323}, 323, "latest 100 of about 323"),
        ({"counted": 99}, 100, "latest 100 of about 100"),  # X's counts may differ a little
        ({"first_created_at": "2026-11-18T12:00:00Z"}, 200, "latest 100 of about 200"),
        ({"first_created_at": "2026-11-18T12:00:00Z", "rejected": 10}, 220, "latest 100 of about 220"),
        ({"first_created_at": "2026-11-18T00:00:00Z", "over_limit": 5}, 105, "latest 100 of about 105"),
        ({"first_created_at": "2026-11-18T23:59:59Z"}, 8_640_000, "latest 100 of about 8,640,000"),
        ({"first_created_at": None}, None, "latest 100, more may exist"),
        ({"proof": "matched", "over_limit": 5, "counted": 105}, 105, "latest 100 of about 105"),
        ({"proof": "matched", "over_limit": 5}, 105, "latest 100 of about 105"),
    ],
)
def test_a_limited_account_has_about_as_many_posts_as_x_counts_or_their_rate_makes(changes, total, words):
    entry = account_receipt("NASA", 100, **{"outcome": "limit", "proof": "limited"} | changes)
    assert entry.estimated_total == total
    assert words in (None, latest_in_words(entry))


def test_an_account_of_which_a_lowered_limit_lands_a_part_is_limited():
    counts = refined(post(1), post(2))
    counts.counts.update({"published": -1, "over_limit": 1})
    assert receipt.entry(account_read("NASA", 2), counts).outcome == "limit"
    assert receipt.entry(account_read("NASA", 2), refined(post(1), post(2))).outcome == "complete"


@pytest.mark.parametrize("posts", [0, 1, 3])
def test_a_post_that_was_bought_and_not_fetched_or_the_reverse_is_refused(posts):
    with pytest.raises(
        AccountingMismatch, match=f"NASA: {posts} posts were bought, and this became of them: "
    ):
        receipt.entry(account_read("NASA", posts), refined(post(1), post(2)))


@pytest.mark.parametrize("fate", receipt.FATES[1:])
def test_a_post_that_was_fetched_and_has_no_fate_is_refused(fate):
    counts = refined(post(1), post(2))
    counts.counts[fate] -= 1
    with pytest.raises(AccountingMismatch):
        receipt.entry(account_read("NASA", 2), counts)


# The receipt


def test_a_receipt_has_the_spec_the_price_and_the_sums_of_the_accounts():
    day = a_receipt(
        account_receipt("NASA", 200, warnings=["1: cut", "2: cut"], drift={"views": 1, "article": 1}),
        account_receipt("esa", 100, warnings=["3: cut"], drift={"views": 1}, dropped_fields={"lang: odd": 2}),
        account_receipt("gone", 0, outcome="unavailable", proof="unchecked"),
    )
    assert (day.day, day.buy, f"{day.closed_at:%F %T}") == ("2026-11-18", 2, "2026-11-19 01:31:00")
    assert day.versions == {"code": "0.1.0", "contract": "3"}
    assert day.spec == CollectionSpec(("NASA", "esa"), 100)
    assert day.uncertain_usd == 0.25
    assert (day.bought, day.cost_usd) == (BilledUnits(posts=300, users=2, counts=1), 1.525)
    assert asdict(day.totals) == {
        "accounts": 3,
        "unavailable": 1,
        "fetched": 300,
        "published": 300,
        "rejected": 0,
        "duplicates": 0,
        "outside": 0,
        "over_limit": 0,
        "unrequested": 0,
        "erased": 0,
        "proof": {"matched": 2, "unchecked": 1},
        "warnings": 3,
        "dropped_fields": ["lang: odd"],
        "drift": ["article", "views"],
    }
    assert [account.username for account in day.accounts] == ["NASA", "esa", "gone"]
    assert day.objects["csv"].sha256 == "ab"


# For people


def test_a_receipt_reads_as_a_table():
    lines = receipt.readable(
        a_receipt(
            account_receipt("NASA", 200),
            account_receipt("gone", 0, outcome="unavailable", proof="unchecked"),
        )
    )
    assert [line.split()[:5] for line in lines] == [
        ["account", "outcome", "proof", "fetched", "published"],
        ["NASA", "complete", "matched", "200", "200"],
        ["gone", "unavailable", "unchecked", "0", "0"],
        ["total", "200", "200", "0", "0"],
    ]
    assert len({line.find("fetched" if line is lines[0] else "200") for line in lines[:2]}) == 1


# Too many rejected

TEXT, OTHERS = "text: is missing", "author_id: is another author's, not the account's own"


@pytest.mark.parametrize(
    ("published", "reasons", "more", "is_refused"),
    [
        (0, {}, {}, False),
        (1, {TEXT: 3}, {}, False),
        (76, {TEXT: 4}, {}, False),
        (95, {TEXT: 5}, {}, False),
        (1, {OTHERS: 40, TEXT: 3}, {}, False),
        *((0, {}, {fate: 3}, False) for fate in receipt.FATES[3:]),
        (0, {TEXT: 1}, {}, True),
        (0, {TEXT: 1}, {"duplicates": 29}, True),
        (75, {TEXT: 4}, {}, True),
        (113, {TEXT: 6}, {}, True),
        (0, {OTHERS: 40, TEXT: 4}, {}, True),
    ],
)
def test_more_than_three_rejected_posts_and_one_in_twenty_or_all_of_a_day_stop_it_but_none_of_others(
    published, reasons, more, is_refused
):
    day = rejecting(published, reasons, **more)
    fact = (
        f"{reasons.get(TEXT)} of {day.totals.fetched} posts break the contract, {reasons.get(TEXT)} of them"
    )
    with pytest.raises(TooManyRejected, match=fact) if is_refused else nullcontext():
        receipt.require_few_rejected(day, "s3://lake/rejected")


def rejecting(published, reasons, **more):
    rejected = sum(reasons.values())
    counts = {"fetched": published + rejected + sum(more.values()), "rejected": rejected, **more}
    return a_receipt(account_receipt("NASA", published, rejected_by_reason=reasons, **counts))


def test_the_accounts_of_which_rows_are_missing_are_incomplete():
    day = a_receipt(
        account_receipt("NASA", 9, fetched=10, rejected=1),
        account_receipt("esa", 0, fetched=5, rejected=1, outside=4),
        account_receipt("isro", 0),
        account_receipt("gone", 0, outcome="unavailable", fetched=1, rejected=1),
    )
    assert [account.username for account in day.incomplete] == ["esa", "gone"]
    assert [account.username for account in day.missing] == ["gone"]
