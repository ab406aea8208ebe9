"""Every request that X bills."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from include.twitter.airflow_context import Run
from include.twitter.errors import BadRequest, Busy, Outage, OverBudget, PlatformOutage
from include.twitter.extract.buyer import Stopped
from include.twitter.extract.purchase import Purchase
from include.twitter.extract.walk import DEAD_TOKENS, SEARCHED, Reading, Walk
from include.twitter.extract.x import owner_id
from include.twitter.records import Asked, Bought, LedgerEntry, decoded
from include.twitter.settings import XAccess
from tests.include.invented import DAY, RECEIVED, MemoryLake, answer, post
from tests.include.shop import MALFORMED, OUTAGE, ROOT, Try, open_shop, page, users

PROBLEMS = "https://api.x.com/2/problems"


@pytest.fixture
def shop(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("include.twitter.extract.x.ARCHIVE_SECONDS", 0)
    with open_shop() as opened:
        yield opened


@pytest.fixture
def lake():
    return MemoryLake()


def threads():
    return Walk(DAY, 0, 10, 100, of_threads=True)


def reading():
    return Reading("NASA", Walk(DAY, 0), Walk(DAY, 0, 10, 100), threads(), id="42")


def walked(buyer):
    """A reading from the timeline, to its end."""
    going = reading()
    while not going.walk.outcome:
        buyer.page(going)
    return going


def test_a_page_that_would_cross_the_cap_is_asked_for_smaller(shop, lake):
    shop.has("timeline 42", page(post(2), post(1)))
    with Try(shop, lake, cap=36).buying() as buyer:
        buyer.page(reading())
    assert shop.sizes == {"timeline 42": 7}


def test_a_search_asks_for_no_page_that_is_smaller_than_x_serves(shop, lake):
    poor = Try(shop, lake, cap=49)
    with poor.buying() as buyer, pytest.raises(OverBudget, match="at least 10 posts, up to"):
        buyer.page(reading(), SEARCHED)
    assert shop.asked == []


# Tokens that X takes no longer


def test_a_token_that_died_in_mid_walk_leads_on_below_the_oldest_post(shop, lake):
    shop.has("timeline 42", page(post(3), post(2), token="t1"), page(post(1)))
    shop.has("timeline 42 t1", MALFORMED)
    with Try(shop, lake, "NASA").buying() as buyer:
        going = walked(buyer)
    assert shop.asked == ["timeline 42", "timeline 42 t1", "timeline 42"]
    assert shop.wire.heard[-1].query["until_id"] == "1990000000000000002"
    assert "end_time" not in shop.wire.heard[-1].query
    assert (going.arrived, going.walk.outcome) == (3, "complete")
    assert going.pages == [f"{ROOT}42/0001.json.gz", f"{ROOT}42/0002.json.gz"]


def test_tokens_that_die_one_after_another_with_an_empty_page_between_do_not_end_a_walk(shop, lake):
    shop.has("timeline 42", page(post(3), token="t1"), page(token="u1"), page(post(2)))
    shop.has("timeline 42 t1", MALFORMED)
    shop.has("timeline 42 u1", MALFORMED)
    with Try(shop, lake, "NASA").buying() as buyer:
        reading = walked(buyer)
    assert (reading.walk.outcome, reading.arrived) == ("complete", 2)
    assert shop.asked == ["timeline 42", "timeline 42 t1", "timeline 42", "timeline 42 u1", "timeline 42"]


def test_tokens_that_die_again_and_again_with_nothing_older_between_are_a_refusal_at_last(shop, lake):
    shop.has("timeline 42", page(post(3), token="t1"), *[page(token="u1")] * 20)
    shop.has("timeline 42 t1", MALFORMED)
    shop.has("timeline 42 u1", *[MALFORMED] * 20)
    with Try(shop, lake, "NASA").buying() as buyer, pytest.raises(BadRequest, match="calls the request"):
        walked(buyer)
    assert shop.asked.count("timeline 42 u1") == DEAD_TOKENS


def test_a_request_without_a_token_that_x_calls_malformed_is_refused_at_once(shop, lake):
    shop.has("timeline 42", MALFORMED)
    with Try(shop, lake, "NASA").buying() as buyer, pytest.raises(BadRequest):
        walked(buyer)
    assert shop.asked == ["timeline 42"]


# Pages that the archive fails to serve


def test_an_archive_page_that_fails_is_asked_for_smaller_and_later_larger_again(shop, lake):
    def up_to(number):
        return lambda: page(post(1)) if shop.sizes["search-all 42"] <= number else OUTAGE

    sizes = []
    shop.has("search-all 42", *[lambda: sizes.append(shop.sizes["search-all 42"]) or up_to(100)()] * 9)
    with Try(shop, lake, "NASA", old=True).buying() as buyer:
        going = Reading("NASA", Walk(DAY, 0, 10, 500), Walk(DAY, 0, 10, 500), threads(), id="42")
        while not going.walk.outcome:
            buyer.page(going)
    assert (sizes, going.arrived) == ([500, 250, 125, 100], 1)


def test_an_archive_that_fails_at_the_smallest_page_too_is_an_outage(shop, lake):
    shop.has("search-all 42", *[OUTAGE] * 9)
    with Try(shop, lake, "NASA", old=True).buying() as buyer, pytest.raises(Outage):
        buyer.page(going := Reading("NASA", Walk(DAY, 0, 10, 500), Walk(DAY, 0, 10, 500), threads(), id="42"))
        while True:
            buyer.page(going)
    assert len(shop.asked) == 4


# The ledger


def test_a_stored_page_has_the_month_and_the_id_of_its_request(shop, lake):
    moment = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    going = Try(shop, lake, "NASA")

    def late():
        going.now += timedelta(seconds=2)
        return page(post(1))

    shop.has("timeline 42", late)
    with going.buying() as buyer:
        going.now = moment
        buyer.page(reading())
        [key] = lake.keys(f"{ROOT}42/")
    [answer] = lake.answers([key])
    assert (answer.sent_at, bool(answer.id)) == (moment, True)
    assert going.purchase.bought == {"2026-11": Bought(posts=1)}


def test_a_smaller_page_is_asked_for_after_a_timeout_and_the_first_one_is_uncertain(shop, lake):
    shop.has("search-all 42", (200, b"<html>"), page(post(1)))
    with Try(shop, lake, "NASA", old=True).buying() as buyer:
        going = Reading("NASA", Walk(DAY, 0, 10, 500), Walk(DAY, 0, 10, 500), threads(), id="42")
        while not going.walk.outcome:
            buyer.page(going)
    [entry] = [decoded(lake.read(key), LedgerEntry) for key in lake.keys("twitter_ledger/")]
    assert (entry.spent_mills, entry.uncertain_mills) == (5, 2_500)


class Lossy(MemoryLake):
    """Has stored a page, and its reply is lost for good."""

    def swap(self, key, data, tag):
        stored = super().swap(key, data, tag)
        if key == f"{ROOT}42/0001.json.gz":
            raise PlatformOutage("no reply")
        return stored


def test_a_page_whose_reply_from_s3_was_lost_is_booked_once(shop):
    lake = Lossy()
    shop.has("timeline 42", page(post(2), post(1)))
    with pytest.raises(PlatformOutage), Try(shop, lake, "NASA").buying() as buyer:
        buyer.page(reading())
    [key] = lake.keys("twitter_ledger/")
    assert decoded(lake.read(key), LedgerEntry).unstaged_mills == 10
    with Try(shop, lake, "NASA").buying():
        pass
    entry = decoded(lake.read(key), LedgerEntry)
    assert (entry.spent_mills, entry.unstaged_mills, entry.bought) == (10, 0, Bought(posts=2))


# Look-ups


def test_a_look_up_that_a_part_of_x_failed_in_is_kept_and_no_account_is_missing(shop, lake):
    failed = {"title": "Internal Error", "detail": "Try again.", "type": f"{PROBLEMS}/internal-error"}
    shop.has("users NASA,esa", users(NASA="11") | {"errors": [failed | {"value": "esa"}]})
    first = Try(shop, lake, "NASA", "esa")
    with first.buying() as buyer, pytest.raises(Outage, match=r"Internal Error: Try again\."):
        buyer.users(["NASA", "esa"])
    assert lake.keys(f"{ROOT}users-by/") == [f"{ROOT}users-by/0001.json.gz"]
    assert first.purchase.bought == {"2026-11": Bought(users=1)}


@pytest.mark.parametrize("body", [{}, {"errors": []}, {"errors": [None, "odd"]}, {"meta": {}}])
def test_a_look_up_without_users_or_a_word_on_them_is_an_outage_and_no_step_further(shop, lake, body):
    shop.has("users NASA", body)
    first = Try(shop, lake, "NASA")
    with first.buying() as buyer, pytest.raises(Outage, match="X was asked for users and sent none"):
        buyer.users(["NASA"])
    assert not first.purchase.got_further


# What stops a reader


def test_a_reader_that_was_stopped_buys_no_more_and_holds_nothing(shop, lake):
    stopped = Try(shop, lake, cap=500)
    stopped.stopped.set()
    with stopped.buying() as buyer:
        for request in (lambda: buyer.page(reading()), lambda: buyer.count(["NASA"])):
            with pytest.raises(Stopped):
                request()
        with buyer.budget.reserve("posts", 100, 100) as reservation:
            assert reservation.size == 100
    assert shop.asked == []


def test_a_reader_whose_turn_was_taken_asks_x_for_nothing_more(shop, lake):
    late = Run(DAY, "another run", now=lambda: RECEIVED + timedelta(minutes=3))
    stale = Try(shop, lake, "NASA")
    with pytest.raises(Busy), stale.buying() as buyer:
        stale.now += timedelta(minutes=3)
        with Purchase(lake, late, Asked(("NASA",), 0), may_leave=False).turn():
            buyer.page(reading())
    assert shop.asked == []


# Posts of one's own


def test_posts_of_ones_own_cost_a_fifth_only_where_they_are_read_in_ones_own_name(shop, lake):
    shop.has("timeline 42", page(post(1)))
    own = Try(shop, lake, "NASA", own_handle="nasa")
    with own.buying() as buyer:
        buyer.page(reading())
    assert own.purchase.bought == {"2026-11": Bought(posts=1)}, "a bearer token is nobody's"


@pytest.mark.parametrize(
    ("owner", "handle", "was_another", "kind"),
    [
        (None, "NASA", False, "own_posts"),
        (None, "NASA", True, "posts"),
        (None, "esa", False, "posts"),
        ("42", "NASA_new", False, "own_posts"),
        ("77", "NASA", False, "posts"),
    ],
    ids=["by handle", "a stranger's by now", "another", "renamed", "not the token's"],
)
def test_whose_posts_are_ones_own_is_told_by_the_id_of_the_tokens_owner(
    lake, owner, handle, was_another, kind
):
    asked = []

    def timeline(id_, day, *, own, **how):
        asked.append(own)
        return answer(post(1), kind="own_posts" if own else "posts")

    with open_shop() as shop, Try(shop, lake, "NASA", own_handle="nasa").buying() as buyer:
        buyer.x = SimpleNamespace(is_user=True, owner_id=owner, timeline=timeline)
        going = reading()
        going.handle, going.was_another = handle, was_another
        buyer.page(going)
    assert asked == [kind == "own_posts"]
    assert buyer.purchase.bought == {"2026-11": Bought(**{kind: 1})}


@pytest.mark.parametrize(
    ("token", "owner"), [("42-aBc", "42"), ("local-access-token", None), ("aBc", None), (None, None)]
)
def test_an_access_token_begins_with_the_id_of_its_owner(token, owner):
    secret = token and "secret"
    access = XAccess("https://x.example", "key", "secret", token, secret)
    assert owner_id(access) == owner
