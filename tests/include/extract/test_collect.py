"""A day is collected: look-ups, walks, and X's own count held against them."""

import json
from threading import Barrier

import pytest

from include.twitter.errors import BadKeys, NoAccess, Outage
from include.twitter.extract.money import Budget, Cap
from tests.include.invented import SUSPENDED, MemoryLake, about, post
from tests.include.shop import FORBIDDEN, LIMIT, OUTAGE, ROOT, Try, open_shop, page, total, users

UNAUTHORIZED = (401, {"title": "Unauthorized", "type": "about:blank", "status": 401})


@pytest.fixture
def shop(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with open_shop() as opened:
        yield opened


@pytest.fixture
def lake():
    return MemoryLake()


def remember(lake, **ids):
    """The accounts that earlier days have looked up."""
    seen = {name.lower(): {"id": id_, "seen_at": "2026-11-10T01:30:00+00:00"} for name, id_ in ids.items()}
    lake.write("twitter_accounts/accounts.json", json.dumps(seen).encode())


def staged(lake):
    """The keys of the first purchase, without its prefix."""
    prefix = f"{ROOT}buy=1/"
    return [key.removeprefix(prefix) for key in sorted(lake.objects) if key.startswith(prefix)]


def proofs(accounts):
    return {account.username: account.proof for account in accounts.values()}


def lines(lake):
    """The manifest's lines by handle."""
    return {
        line["username"]: line for line in json.loads(lake.read(f"{ROOT}buy=1/manifest.json"))["accounts"]
    }


# Look-ups


def test_a_day_is_looked_up_walked_and_counted(shop, lake):
    shop.has("users NASA,esa", users(NASA="11", esa="22"))
    shop.has("timeline 11", page(post(2), token="t1"))
    shop.has("timeline 11 t1", page(post(1)))
    shop.has("timeline 22", page(post(9)))
    shop.has("count NASA,esa", total(3))
    accounts = Try(shop, lake).collect("NASA", "esa")
    assert shop.asked[0] == "users NASA,esa"
    assert sorted(shop.asked[1:4]) == ["timeline 11", "timeline 11 t1", "timeline 22"]
    assert shop.asked[4:] == ["count NASA,esa"]
    assert {name: account.arrived for name, account in accounts.items()} == {"NASA": 2, "esa": 1}
    assert staged(lake) == [
        "counts-of/0001.json.gz",
        "esa/0001.json.gz",
        "manifest.json",
        "nasa/0001.json.gz",
        "nasa/0002.json.gz",
        "users-by/0001.json.gz",
    ]


def test_the_manifest_tells_each_account_in_the_order_of_the_setting(shop, lake):
    shop.has("users esa,NASA", users(NASA="11", esa="22"))
    shop.has("timeline 11", page(post(2), post(1)))
    shop.has("timeline 22", page())
    shop.has("count esa,NASA", total(2))
    Try(shop, lake).collect("esa", "NASA")
    assert list(lines(lake).values()) == [
        {
            "username": "esa",
            "id": "22",
            "outcome": "complete",
            "reason": None,
            "proof": "matched",
            "counted": None,
            "posts": 0,
            "pages": [f"{ROOT}buy=1/esa/0001.json.gz"],
        },
        {
            "username": "NASA",
            "id": "11",
            "outcome": "complete",
            "reason": None,
            "proof": "matched",
            "counted": None,
            "posts": 2,
            "pages": [f"{ROOT}buy=1/nasa/0001.json.gz"],
        },
    ]


def test_a_remembered_account_is_not_looked_up(shop, lake):
    remember(lake, NASA="11")
    shop.has("users esa", users(esa="22"))
    shop.has("timeline 11", page())
    shop.has("timeline 22", page())
    shop.has("count NASA,esa", total(0))
    accounts = Try(shop, lake).collect("NASA", "esa")
    assert {name: account.id for name, account in accounts.items()} == {"NASA": "11", "esa": "22"}
    assert shop.asked[0] == "users esa"


def test_an_account_that_was_looked_up_is_remembered_for_the_next_day(shop, lake):
    shop.has("users NASA", users(NASA="11"))
    shop.has("timeline 11", page())
    shop.has("count NASA", total(0))
    Try(shop, lake).collect("NASA")
    assert json.loads(lake.read("twitter_accounts/accounts.json")) == {
        "nasa": {"id": "11", "seen_at": "2026-11-19T01:30:07+00:00"}
    }


def test_more_than_a_hundred_handles_are_looked_up_in_hundreds(shop, lake):
    names = [f"u{number}" for number in range(101)]
    gone = [about(name, "Not Found Error", "Could not find it.", parameter="usernames") for name in names]
    shop.has(f"users {','.join(names[:100])}", {"errors": gone[:100]})
    shop.has("users u100", {"errors": gone[100:]})
    accounts = Try(shop, lake).collect(*names)
    assert {account.walk.outcome for account in accounts.values()} == {"unavailable"}
    assert (len(shop.asked), len(accounts)) == (2, 101)


# The proof


def test_a_group_whose_count_matches_is_asked_for_nothing_more(shop, lake):
    remember(lake, NASA="11", esa="22")
    shop.has("timeline 11", page(post(2), post(1)))
    shop.has("timeline 22", page(post(3)))
    shop.has("count NASA,esa", total(3))
    accounts = Try(shop, lake).collect("NASA", "esa")
    assert proofs(accounts) == {"NASA": "matched", "esa": "matched"}
    assert sorted(shop.asked) == ["count NASA,esa", "timeline 11", "timeline 22"]


def test_a_count_below_what_arrived_is_no_shortage(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(2), post(1)))
    shop.has("count NASA", total(1))
    assert proofs(Try(shop, lake).collect("NASA")) == {"NASA": "matched"}


def test_posts_of_another_day_and_posts_that_came_twice_do_not_fill_a_shortage(shop, lake):
    remember(lake, NASA="11")
    outside = post(9, created_at="2026-11-19T00:00:00.000Z")
    shop.has("timeline 11", page(outside, post(1), token="t1"))
    shop.has("timeline 11 t1", page(post(1)))
    shop.has("count NASA", total(2))
    shop.has("search NASA", page(post(1)))
    accounts = Try(shop, lake).collect("NASA")
    assert (proofs(accounts), accounts["NASA"].arrived) == ({"NASA": "short"}, 1)


def test_only_inside_a_group_that_does_not_match_is_each_account_counted_alone(shop, lake):
    names = [f"u{number:02}" for number in range(1, 23)]
    remember(lake, **{name: f"1{name[1:]}" for name in names})
    for name in names:
        shop.has(f"timeline 1{name[1:]}", page(post(int(name[1:]))))
    shop.has(f"count {','.join(names[:20])}", total(20))
    shop.has("count u21,u22", total(3))
    shop.has("count u21", total(1))
    shop.has("count u22", total(2))
    shop.has("search u22", page(post(22), post(50)))
    accounts = Try(shop, lake).collect(*names)
    assert set(proofs(accounts).values()) == {"matched"}
    assert sorted(name for name in shop.asked if not name.startswith("timeline")) == [
        f"count {','.join(names[:20])}",
        "count u21",
        "count u21,u22",
        "count u22",
        "search u22",
    ]
    assert {name for name, account in accounts.items() if account.arrived == 2} == {"u22"}


def test_an_account_that_reached_its_limit_is_not_counted(shop, lake):
    remember(lake, NASA="11", esa="22")
    shop.has("timeline 11", page(post(3), post(2), token="t1"))
    shop.has("timeline 22", page(post(1)))
    shop.has("count esa", total(1))
    accounts = Try(shop, lake, limit=2).collect("NASA", "esa")
    assert proofs(accounts) == {"NASA": "limited", "esa": "matched"}


def test_where_every_account_reached_its_limit_nothing_is_counted(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(3), token="t1"))
    assert proofs(Try(shop, lake, limit=1).collect("NASA")) == {"NASA": "limited"}
    assert shop.asked == ["timeline 11"]


@pytest.mark.parametrize("answer", [FORBIDDEN, UNAUTHORIZED], ids=["no access", "bad keys"])
def test_where_x_does_not_open_its_counts_the_day_is_unchecked(shop, lake, answer):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count NASA", answer)
    accounts = Try(shop, lake).collect("NASA")
    assert proofs(accounts) == {"NASA": "unchecked"}
    assert accounts["NASA"].walk.outcome == "complete"
    assert shop.asked == ["timeline 11", "count NASA"]


def test_a_count_that_the_budget_does_not_hold_is_not_asked_for(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(*map(post, range(1, 6))))
    budget = Budget(Cap("twitter_run_budget_usd", 29, 0))
    accounts = Try(shop, lake, budget=budget).collect("NASA")
    assert (proofs(accounts), accounts["NASA"].walk.outcome) == ({"NASA": "unchecked"}, "complete")
    assert shop.asked == ["timeline 11"]
    assert budget.room == 4


def test_an_outage_while_counting_is_tried_again(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count NASA", OUTAGE, total(1))
    with pytest.raises(Outage):
        Try(shop, lake).collect("NASA")
    assert proofs(Try(shop, lake, attempt=2).collect("NASA")) == {"NASA": "matched"}
    assert shop.asked == ["timeline 11", "count NASA", "count NASA"]


def test_a_short_account_whose_second_reading_x_does_not_open_lands_as_it_is(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count NASA", total(3))
    shop.has("search NASA", FORBIDDEN)
    assert proofs(Try(shop, lake).collect("NASA")) == {"NASA": "short"}


def test_a_short_account_whose_second_reading_the_budget_does_not_hold_lands_as_it_is(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count NASA", total(3))
    budget = Budget(Cap("twitter_run_budget_usd", 40, 0))
    assert proofs(Try(shop, lake, budget=budget).collect("NASA")) == {"NASA": "short"}


# A second try


def test_a_second_try_goes_on_with_a_search_that_was_cut_off(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count NASA", total(3))
    shop.has("search NASA", page(post(3), token="s1"))
    shop.has("search NASA s1", OUTAGE, page(post(2)))
    with pytest.raises(Outage):
        Try(shop, lake).collect("NASA")
    shop.asked = []
    accounts = Try(shop, lake, attempt=2).collect("NASA")
    assert shop.asked == ["search NASA s1"]
    assert (proofs(accounts), lines(lake)["NASA"]["posts"]) == ({"NASA": "matched"}, 3)


def test_accounts_that_were_not_proved_are_counted_when_a_red_day_goes_on(shop, lake):
    remember(lake, NASA="11", out="42")
    shop.has("timeline 11", page(post(1)))
    shop.has("timeline 42", {"errors": [SUSPENDED]}, {"errors": [SUSPENDED]})
    shop.has("count NASA", FORBIDDEN, total(1))
    assert proofs(Try(shop, lake).collect("NASA", "out")) == {"NASA": "unchecked", "out": "unchecked"}
    assert proofs(Try(shop, lake, attempt=2).collect("NASA", "out")) == {
        "NASA": "matched",
        "out": "unchecked",
    }


# Several readers


def test_accounts_are_read_side_by_side(shop, lake):
    remember(lake, **{f"u{number}": f"1{number}" for number in range(8)})
    together = Barrier(8)

    def when_all_have_asked():
        together.wait(LIMIT)
        return page()

    for number in range(8):
        shop.has(f"timeline 1{number}", when_all_have_asked)
    shop.has("count u0,u1,u2,u3,u4,u5,u6,u7", total(0))
    accounts = Try(shop, lake).collect(*(f"u{number}" for number in range(8)))
    assert set(proofs(accounts).values()) == {"matched"}


@pytest.mark.parametrize(
    ("answer", "kind"), [(OUTAGE, Outage), (FORBIDDEN, NoAccess), (UNAUTHORIZED, BadKeys)]
)
def test_the_first_failure_keeps_the_other_readers_from_buying_more(shop, lake, answer, kind):
    remember(lake, NASA="11", esa="22", bad="33")
    first = Try(shop, lake)

    def after_the_failure():
        assert first.buyer.stopped.wait(LIMIT)
        return page(post(1), token="t1")

    shop.has("timeline 11", after_the_failure)
    shop.has("timeline 22", after_the_failure)
    shop.has("timeline 33", answer)
    with pytest.raises(kind):
        first.collect("NASA", "esa", "bad")
    assert sorted(shop.asked) == ["timeline 11", "timeline 22", "timeline 33"]
    # What was on its way is kept.
    assert staged(lake) == ["esa/0001.json.gz", "nasa/0001.json.gz"]


def test_accounts_that_wait_for_a_reader_are_not_begun_after_a_failure(shop, lake):
    names = [f"u{number:02}" for number in range(12)]
    remember(lake, **{name: f"1{name[1:]}" for name in names})
    first = Try(shop, lake)
    begun = Barrier(8)

    def failing():
        begun.wait(LIMIT)
        return FORBIDDEN

    def one_of_the_first_eight():
        begun.wait(LIMIT)
        return after_the_failure()

    def after_the_failure():
        assert first.buyer.stopped.wait(LIMIT)
        return page()

    shop.has("timeline 100", failing)
    for name in names[1:8]:
        shop.has(f"timeline 1{name[1:]}", one_of_the_first_eight)
    for name in names[8:]:
        shop.has(f"timeline 1{name[1:]}", after_the_failure)
    with pytest.raises(NoAccess):
        first.collect(*names)
    # The reader that failed may have taken up one more before all were told.
    assert len(shop.asked) in (8, 9)


# The archive


def test_an_old_day_is_searched_for_in_the_archive_and_its_accounts_are_looked_up_first(shop, lake):
    remember(lake, NASA="11")
    shop.has("users NASA", users(NASA="11"))
    shop.has("search-all NASA", page(post(2), post(1), token="t1"))
    accounts = Try(shop, lake, archive=True, limit=2).collect("NASA")
    assert shop.asked == ["users NASA", "search-all NASA"]
    assert shop.sizes["search-all NASA"] == 10
    assert proofs(accounts) == {"NASA": "limited"}
    assert staged(lake) == ["manifest.json", "nasa/0001.json.gz", "users-by/0001.json.gz"]


def test_an_account_that_was_protected_is_looked_up_again_when_a_red_day_goes_on(shop, lake):
    hidden = {"data": [{"id": "11", "username": "NASA", "protected": True}]}
    shop.has("users NASA", hidden, users(NASA="11"))
    shop.has("search-all NASA", page(post(1), token="t1"))
    Try(shop, lake, archive=True, limit=1).collect("NASA")
    accounts = Try(shop, lake, attempt=2, archive=True, limit=1).collect("NASA")
    assert accounts["NASA"].walk.outcome == "limit"
    assert shop.asked == ["users NASA", "users NASA", "search-all NASA"]


def test_an_old_day_that_came_short_is_not_searched_for_again(shop, lake):
    shop.has("users NASA", users(NASA="11"))
    shop.has("search-all NASA", page(post(1)))
    shop.has("count-all NASA", total(2))
    accounts = Try(shop, lake, archive=True).collect("NASA")
    assert (proofs(accounts), accounts["NASA"].counted) == ({"NASA": "short"}, 2)
    assert shop.asked == ["users NASA", "search-all NASA", "count-all NASA"]


def test_an_account_that_was_read_whole_is_not_looked_up_when_a_red_day_goes_on_in_the_archive(shop, lake):
    remember(lake, NASA="11", out="42")
    shop.has("timeline 11", page(post(1)))
    shop.has("timeline 42", {"errors": [SUSPENDED]})
    shop.has("count NASA", total(1))
    Try(shop, lake).collect("NASA", "out")
    shop.asked = []
    shop.has("users out", users(out="42"))
    shop.has("search-all out", page(post(2), token="t1"))
    accounts = Try(shop, lake, attempt=2, archive=True, limit=1).collect("NASA", "out")
    assert shop.asked == ["users out", "search-all out"]
    assert {name: account.arrived for name, account in accounts.items()} == {"NASA": 1, "out": 1}
    assert lines(lake)["NASA"]["posts"] == 1
