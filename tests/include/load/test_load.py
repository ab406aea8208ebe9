"""Which rows a load may remove, and which accounts make it red."""

from dataclasses import replace

import pytest

from include.twitter import layout
from include.twitter.errors import Incomplete, MissingInput, RowLossBlocked
from include.twitter.layout import TOMBSTONES
from include.twitter.load import load
from include.twitter.records import Decrease
from tests.include.factories import DAY, post

NASA, ESA = "400", "300"


def ids(*numbers):
    return tuple(f"19900000000000000{number:02}" for number in numbers)


def posts(*numbers, **changes):
    return [post(number, **changes) for number in numbers]


# Rows that leave


def test_rows_that_others_replace_one_for_one_are_named_in_receipt_and_log(landing, caplog):
    landing.land("first", {"NASA": posts(1, 2, 3, 4), "esa": posts(11)})
    receipt = landing.land("again", {"NASA": posts(3, 4, 5, 6), "esa": posts(11)})
    assert receipt.decreases == [Decrease("NASA", 4, 4, NASA, ids(1, 2))]
    assert all(id_ in caplog.text for id_ in ids(1, 2))
    assert not any(id_ in caplog.text for id_ in ids(3, 4, 5))


@pytest.mark.parametrize("now", [(4, 5, 6), (3, 4, 5, 6, 7, 8)])
def test_a_rerun_that_would_replace_most_rows_of_an_account_publishes_nothing(landing, now):
    landing.land("first", {"NASA": posts(1, 2, 3), "esa": posts(11, 12)})
    before = landing.published
    landing.stage("again", {"NASA": posts(*now), "esa": posts(11, 12)})
    with pytest.raises(RowLossBlocked, match="NASA: 3 rows are landed") as refused:
        landing.load("again")
    assert ids(1)[0] in str(refused.value)
    assert "esa" not in str(refused.value)
    assert landing.published == before


def test_an_accepted_loss_is_published_and_every_id_of_it_is_in_the_receipt(landing, caplog):
    landing.land("first", {"NASA": posts(*range(1, 31))})
    landing.put(allow_row_loss=str(DAY))
    receipt = landing.land("again", {"NASA": posts(*range(30, 60))})
    assert receipt.decreases == [Decrease("NASA", 30, 30, NASA, ids(*range(1, 30)))]
    assert landing.published == landing.staged("again")
    assert f"{ids(10)[0]} and 19 more" in caplog.text, "the log has a bounded number"


def test_an_account_is_its_id_and_no_handle(landing):
    landing.land("first", {"NASA:1": posts(1, 2, 3)})
    landing.put(handles="NASA_now")
    assert landing.land("again", {"NASA_now:1": posts(1, 2, 3)}).decreases == []
    landing.stage("another", {"NASA_now:2": posts(11, 12, 13, 14)})
    with pytest.raises(RowLossBlocked, match="3 rows are landed, this run has 0"):
        landing.load("another")


def edited(number, of):
    return post(number, edit_history_tweet_ids=[*ids(of, number)])


def test_a_later_version_of_a_post_takes_its_place(landing):
    landing.land("first", {"NASA": [post(1), edited(3, of=2)]})
    assert landing.land("again", {"NASA": [edited(5, of=1), edited(6, of=2)]}).decreases == []


def test_erased_posts_are_no_loss_and_hide_none(landing):
    landing.land("first", {"NASA": [*posts(*range(1, 9)), edited(10, of=9)], "esa": posts(11, 12)})
    tombstones = landing.forget(*ids(1, 2, 3, 4, 5, 9), account=ESA)
    now = {"NASA": posts(*range(1, 8)), "esa": posts(11, 12)}
    receipt = landing.land("again", now, tombstones=tombstones)
    assert [account.published for account in receipt.accounts] == [2, 0]
    assert receipt.decreases == [Decrease("NASA", 3, 2, NASA, ids(8))]


def test_what_is_published_again_keeps_what_was_recorded(landing):
    landing.land("first", {"NASA": posts(1, 2, 3)})
    recorded = landing.land("again", {"NASA": posts(2, 3, 4)})
    landing.load("again")
    assert landing.receipt == recorded
    assert recorded.decreases


def test_the_day_that_is_published_for_the_first_time_reads_no_table(landing, monkeypatch):
    monkeypatch.setattr("include.twitter.load.guard.rows", lambda _: pytest.fail("it was read"))
    assert landing.land("first", {"NASA": posts(1)}).decreases == []
    landing.load("first")


# A landed table that cannot be read

UNREADABLE = {
    "gone": lambda store: store.objects.pop(layout.parquet(DAY)),
    "another": lambda store: store.write(layout.parquet(DAY), b"PAR1"),
    "sound, and of another run": lambda store: store.write(
        layout.parquet(DAY), store.required(f"{layout.staging(DAY, 'other')}refined_tweets.parquet")
    ),
}


@pytest.mark.parametrize("how", UNREADABLE)
def test_without_the_landed_table_numbers_are_compared_and_the_log_says_so(landing, caplog, how):
    landing.land("first", {"NASA": posts(1, 2, 3), "esa": posts(11, 12)})
    landing.stage("other", {"NASA": posts(1)})
    UNREADABLE[how](landing.store)
    landing.stage("again", {"NASA": posts(1), "esa": posts(13, 14)})
    with pytest.raises(RowLossBlocked, match="NASA: 3 rows are landed, this run has 1"):
        landing.load("again")
    assert "numbers of rows are compared, not ids" in caplog.text
    landing.stage("once more", {"NASA": posts(1, 2), "esa": posts(13, 14)})
    landing.load("once more")
    assert landing.receipt.decreases == [Decrease("NASA", 3, 2, NASA)]


def test_a_landed_table_that_is_no_parquet_is_as_good_as_none(landing, monkeypatch, caplog):
    landing.land("first", {"NASA": posts(1, 2, 3)})
    landed = landing.receipt.objects["parquet"]
    rows = iter([[]])

    def broken(data):
        if landing.store.objects[landed.key] == data:
            raise KeyError("tweet_id")
        return next(rows)

    monkeypatch.setattr("include.twitter.load.guard.rows", broken)
    assert landing.land("again", {"NASA": posts(1, 2)}).decreases == [Decrease("NASA", 3, 2, NASA)]
    assert "numbers of rows are compared, not ids" in caplog.text


# Accounts of which all posts were rejected

CUT = post(5, text=None)


def test_an_account_whose_posts_were_all_rejected_is_named_and_the_others_are_published(landing, caplog):
    landing.stage("first", {"NASA": posts(1, 2), "esa": [CUT, post(6, created_at="2026-11-19T00:00:00Z")]})
    with pytest.raises(Incomplete, match="published without 1 of 2 accounts") as red:
        landing.load("first")
    assert "esa: all of its posts were rejected, 1 for `text: is missing`" in str(red.value)
    assert layout.rejected(DAY) in str(red.value)
    assert "clear `transform`" in str(red.value)
    assert "`extract`" not in str(red.value)
    assert f"1 posts broke the contract: {landing.store.url(layout.rejected(DAY))}" in caplog.text
    assert landing.published == landing.staged("first")


@pytest.mark.parametrize("accounts", [None, "NASA"])
def test_unavailable_and_rejected_accounts_are_named_together_with_the_remedy_of_each(landing, accounts):
    gone = {"outcome": "unavailable", "reason": "Forbidden: suspended"}
    staged = landing.stage("first", {"NASA": posts(1), "esa": [CUT], "isro": []}, isro=gone)
    with pytest.raises(Incomplete, match="published without 2 of 3 accounts") as red:
        load(replace(landing.run("first"), accounts=accounts), staged)
    for fact in ("isro: Forbidden: suspended.", "`extract`", "`transform`"):
        assert fact in str(red.value)
    assert (f"trigger {DAY} without `accounts`" in str(red.value)) == (accounts is not None)


def test_a_rejected_account_that_left_twitter_handles_is_waived(landing):
    landing.put(handles="NASA")
    landing.land("first", {"NASA": posts(1), "esa": [CUT]})


def test_a_day_that_lands_no_row_of_any_account_is_not_published(landing):
    foreign = post(5, author_id="666")
    landing.stage("first", {"NASA": [foreign], "esa": [foreign]})
    with pytest.raises(Incomplete, match="Nothing is published"):
        landing.load("first")
    assert landing.store.read(layout.receipt(DAY)) is None


def test_an_account_with_posts_outside_the_day_excluded_twice_or_erased_is_green(landing):
    tombstones = landing.forget(*ids(7))
    sent = [
        post(5, created_at="2026-11-19T00:00:00Z"),
        post(6, referenced_tweets=[{"type": "retweeted", "id": "7"}]),
        *posts(7, 7),
    ]
    receipt = landing.land("first", {"NASA": posts(1), "esa": sent}, tombstones=tombstones)
    assert [(line.published, line.rejected) for line in receipt.accounts] == [(1, 0), (0, 0)]


def test_what_was_staged_before_something_was_forgotten_is_not_published(landing):
    landing.stage("first", {"NASA": posts(1)})
    landing.forget(*ids(1))
    with pytest.raises(MissingInput, match="were erased since it was staged"):
        landing.load("first")
    assert TOMBSTONES in landing.store.objects
    assert landing.store.read(layout.receipt(DAY)) is None
