"""The pages of an account's day: asked for one by one, stored and paid for, in another way where X fails."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from include.twitter.airflow_context import Run
from include.twitter.errors import BadRequest, LeaseHeld, Outage, OverBudget, PlatformOutage
from include.twitter.extract.cursor import MAX_DEAD_TOKENS
from include.twitter.extract.purchase import Purchase
from include.twitter.extract.reader import Stopped
from include.twitter.records import BilledUnits, CollectionSpec, LedgerEntry, decoded
from include.twitter.settings import XAccess
from include.twitter.x.client import owner_id
from tests.include.factories import DAY, RECEIVED, MemoryStore, post
from tests.include.fake_x import MALFORMED, OUTAGE, ROOT, Try, open_shop, page, total, users

PROBLEMS = "https://api.x.com/2/problems"


@pytest.fixture
def shop(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("include.twitter.x.client.ARCHIVE_SECONDS", 0)
    with open_shop() as opened:
        opened.has("users NASA", users(NASA="42"))
        yield opened


@pytest.fixture
def lake():
    return MemoryStore()


def line(going):
    read = going.collect()["NASA"]
    return read.outcome, read.posts


def entry(lake):
    [key] = lake.keys("twitter_ledger/")
    return decoded(lake.read(key), LedgerEntry)


# Requests that are made smaller


def test_a_page_that_would_cross_the_cap_is_asked_for_smaller(shop, lake):
    shop.has("timeline 42", page(post(2), post(1)))
    Try(shop, lake, "NASA", cap=46).collect()
    assert shop.sizes["timeline 42"] == 7


def test_a_search_asks_for_no_page_that_is_smaller_than_x_serves(shop, lake):
    shop.has("timeline 42", page())
    with pytest.raises(OverBudget, match="at least 10 posts, up to"):
        Try(shop, lake, "NASA", cap=59, threads=True).collect()


def archive_that_serves(shop, most):
    sizes = []

    def serve():
        sizes.append(shop.sizes["search-all 42"])
        return page(post(1)) if sizes[-1] <= most else OUTAGE

    shop.has("search-all 42", *[serve] * 9)
    shop.has("count-all 42", total(1))
    return sizes


def test_an_archive_page_that_fails_is_asked_for_smaller(shop, lake):
    sizes = archive_that_serves(shop, 100)
    assert line(Try(shop, lake, "NASA", old=True)) == ("complete", 1)
    assert sizes == [500, 250, 125, 100]


def test_an_archive_that_fails_at_the_smallest_page_too_is_an_outage(shop, lake):
    sizes = archive_that_serves(shop, 0)
    with pytest.raises(Outage):
        Try(shop, lake, "NASA", old=True).collect()
    assert sizes == [500, 250, 125, 100]


# Tokens that X takes no longer


def test_a_token_that_died_leads_on_below_the_oldest_post(shop, lake):
    shop.has("timeline 42", page(post(3), post(2), token="t1"), page(post(1)))
    shop.has("timeline 42 t1", MALFORMED)
    shop.has("count 42", total(3))
    going = Try(shop, lake, "NASA").collect()["NASA"]
    assert shop.asked[1:4] == ["timeline 42", "timeline 42 t1", "timeline 42"]
    assert shop.wire.heard[3].query["until_id"] == "1990000000000000002"
    assert (going.outcome, going.posts) == ("complete", 3)
    assert going.pages == [f"{ROOT}42/0001.json.gz", f"{ROOT}42/0002.json.gz"]


def test_tokens_that_die_again_and_again_with_nothing_older_between_are_refused_at_last(shop, lake):
    shop.has("timeline 42", page(post(3), token="t1"), *[page(token="u1")] * 20)
    shop.has("timeline 42 t1", MALFORMED)
    shop.has("timeline 42 u1", *[MALFORMED] * 20)
    with pytest.raises(BadRequest):
        Try(shop, lake, "NASA").collect()
    assert shop.asked.count("timeline 42 u1") == MAX_DEAD_TOKENS


def test_a_request_without_a_token_that_x_calls_malformed_is_refused_at_once(shop, lake):
    shop.has("timeline 42", MALFORMED)
    with pytest.raises(BadRequest):
        Try(shop, lake, "NASA").collect()
    assert shop.asked == ["users NASA", "timeline 42"]


# The ledger


def test_a_stored_page_has_the_month_and_the_id_of_its_request(shop, lake):
    moment = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    going = Try(shop, lake, "NASA", limit=1)

    def late():
        going.now += timedelta(seconds=2)
        return page(post(1))

    shop.has("timeline 42", late)
    going.now = moment
    going.collect()
    [response] = lake.responses(lake.keys(f"{ROOT}42/"))
    assert (response.sent_at, bool(response.id)) == (moment, True)
    assert going.purchase.bought == {"2026-11": BilledUnits(posts=1, users=1)}


def test_a_smaller_page_is_asked_for_after_a_timeout_and_the_first_one_is_uncertain(shop, lake):
    shop.has("search-all 42", (200, b"<html>"), page(post(1)))
    Try(shop, lake, "NASA", old=True, limit=500).collect()
    assert (entry(lake).spent_mills, entry(lake).uncertain_mills) == (10 + 5, 2_500)


class Lossy(MemoryStore):
    """Has stored a page, and its reply is lost for good."""

    def put_if_match(self, key, data, tag):
        stored = super().put_if_match(key, data, tag)
        if key == f"{ROOT}42/0001.json.gz":
            raise PlatformOutage("no reply")
        return stored


def test_a_page_whose_reply_from_s3_was_lost_is_booked_once(shop):
    lake = Lossy()
    shop.has("timeline 42", page(post(2), post(1)))
    with pytest.raises(PlatformOutage):
        Try(shop, lake, "NASA").collect()
    assert entry(lake).lost_mills == 10
    with Try(shop, lake, "NASA").buying():
        pass
    assert (entry(lake).spent_mills, entry(lake).lost_mills) == (20, 0)


# Look-ups


def test_a_look_up_that_a_part_of_x_failed_in_is_kept_and_no_account_is_missing(shop, lake):
    failed = {"title": "Internal Error", "detail": "Try again.", "type": f"{PROBLEMS}/internal-error"}
    shop.has("users NASA,esa", users(NASA="11") | {"errors": [failed | {"value": "esa"}]})
    first = Try(shop, lake, "NASA", "esa")
    with pytest.raises(Outage, match=r"Internal Error: Try again\."):
        first.collect()
    assert lake.keys(f"{ROOT}users-by/") == [f"{ROOT}users-by/0001.json.gz"]
    assert first.purchase.bought == {"2026-11": BilledUnits(users=1)}


@pytest.mark.parametrize("body", [{}, {"errors": []}, {"errors": [None, "odd"]}, {"meta": {}}])
def test_a_look_up_without_users_or_a_word_on_them_is_an_outage_and_no_progress(shop, lake, body):
    shop.has("users esa", body)
    first = Try(shop, lake, "esa")
    with pytest.raises(Outage, match="X was asked for users and sent none"):
        first.collect()
    assert not first.purchase.made_progress


# What stops a reader


def test_a_reader_that_was_stopped_buys_no_more(shop, lake):
    stopped = Try(shop, lake, "NASA")
    stopped.stopped.set()
    with pytest.raises(Stopped):
        stopped.collect()
    assert shop.asked == []


def test_a_reader_whose_lease_was_taken_asks_x_for_nothing_more(shop, lake):
    late = Run(DAY, "another run", now=lambda: RECEIVED + timedelta(minutes=3))
    stale = Try(shop, lake, "NASA")
    with pytest.raises(LeaseHeld), stale.buying() as (x, money):
        stale.now += timedelta(minutes=3)
        with Purchase(lake, late, CollectionSpec(("NASA",), 0), may_leave=False).hold_lease():
            stale.collection.collect(x, money)
    assert shop.asked == []


# Posts of one's own


def test_posts_read_with_a_bearer_token_are_nobodys_own(shop, lake):
    shop.has("timeline 42", page(post(1)))
    own = Try(shop, lake, "NASA", own_handle="nasa", limit=1)
    own.collect()
    assert own.purchase.bought == {"2026-11": BilledUnits(posts=1, users=1)}


@pytest.mark.parametrize(
    ("owner", "handle", "was_another", "is_own"),
    [
        (None, "NASA", False, True),
        (None, "NASA", True, False),
        (None, "esa", False, False),
        ("42", "NASA_new", False, True),
        ("77", "NASA", False, False),
    ],
    ids=["by handle", "a stranger's by now", "another", "renamed", "not the token's"],
)
def test_whose_posts_are_ones_own_is_decided_by_the_id_of_the_tokens_owner(
    shop, lake, owner, handle, was_another, is_own
):
    collection = Try(shop, lake, "NASA", own_handle="nasa").collection
    collection.x = SimpleNamespace(is_user=True, owner_id=owner)
    assert collection._is_own(handle, "42", was_another) is is_own


@pytest.mark.parametrize(
    ("token", "owner"), [("42-aBc", "42"), ("local-access-token", None), ("aBc", None), (None, None)]
)
def test_an_access_token_begins_with_the_id_of_its_owner(token, owner):
    secret = token and "secret"
    assert owner_id(XAccess("https://x.example", "key", "secret", token, secret)) == owner
