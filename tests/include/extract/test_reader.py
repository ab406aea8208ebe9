"""A day is collected: look-ups, walks, and X's own count held against them."""

import json
from collections import Counter
from datetime import timedelta
from threading import Barrier

import pytest

from include.twitter.errors import BadKeys, NoAccess, Outage
from include.twitter.extract.counts import Count
from include.twitter.x.client import POST_FIELDS
from tests.include.factories import RECEIVED, SUSPENDED, MemoryStore, about, post
from tests.include.fake_x import (
    FORBIDDEN,
    LIMIT,
    MALFORMED,
    OUTAGE,
    ROOT,
    Hurried,
    Try,
    open_shop,
    page,
    total,
    users,
)

UNAUTHORIZED = (401, {"title": "Unauthorized", "type": "about:blank", "status": 401})


@pytest.fixture
def shop(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("include.twitter.x.client.ARCHIVE_SECONDS", 0)
    with open_shop() as opened:
        yield opened


@pytest.fixture
def lake():
    return MortalLake()


class MortalLake(MemoryStore):
    """A lake whose writer is killed before it has written an object."""

    dies_at = "none"

    def put_if_match(self, key, data, tag):
        if key.endswith(self.dies_at):
            self.dies_at = "none"
            raise ConnectionError
        return super().put_if_match(key, data, tag)


def remember(lake, **ids):
    """The accounts that earlier days have looked up."""
    seen = {name.lower(): {"id": id_, "seen_at": "2026-11-10T01:30:00Z"} for name, id_ in ids.items()}
    lake.write("twitter_accounts/accounts.json", json.dumps(seen).encode())


def staged(lake):
    """The keys of the first purchase, without its prefix."""
    return [key.removeprefix(ROOT) for key in lake.keys(ROOT)]


def proofs(lines):
    return {username: line.proof for username, line in lines.items()}


# Look-ups


def test_a_remembered_account_is_not_looked_up(shop, lake):
    remember(lake, NASA="11")
    shop.has("users esa", users(esa="22"))
    shop.has("timeline 11", page())
    shop.has("timeline 22", page())
    shop.has("count 11,22", total(0, hour=9))
    lines = Try(shop, lake, "NASA", "esa").collect()
    assert {username: line.id for username, line in lines.items()} == {"NASA": "11", "esa": "22"}
    assert shop.asked[0] == "users esa"


def test_more_than_a_hundred_handles_are_looked_up_in_hundreds(shop, lake):
    names = [f"u{number}" for number in range(101)]
    gone = [about(name, "Not Found Error", "Could not find it.", parameter="usernames") for name in names]
    shop.has(f"users {','.join(names[:100])}", {"errors": gone[:100]})
    shop.has("users u100", {"errors": gone[100:]})
    lines = Try(shop, lake, *names).collect()
    assert {line.outcome for line in lines.values()} == {"unavailable"}
    assert (len(shop.asked), len(lines)) == (2, 101)


def test_an_id_that_is_none_costs_its_account_alone_and_enters_no_request(shop, lake):
    shop.has("users NASA,esa", users(NASA="../../1.1/account", esa="22"))
    shop.has("timeline 22", page())
    shop.has("count 22", total(0))
    lines = Try(shop, lake, "NASA", "esa").collect()
    assert outcomes(lines) == {"NASA": "unavailable", "esa": "complete"}
    assert "../../1.1/account" in lines["NASA"].reason
    assert shop.asked == ["users NASA,esa", "timeline 22", "count 22"]


@pytest.mark.parametrize("is_known", [True, False])
def test_two_handles_of_one_account_are_collected_once(shop, lake, caplog, is_known):
    remember(lake, NASA="11", **({"NASA_new": "11"} if is_known else {}))
    shop.has("users NASA_new", users(NASA_new="11"))
    shop.has("timeline 11", page(post(1)))
    shop.has("count 11", total(1))
    going = Try(shop, lake, "NASA", "NASA_new")
    assert outcomes(going.collect()) == {"NASA": "complete"}
    assert "NASA_new and NASA are one account, 11: it is collected once" in caplog.messages
    again = Try(shop, lake, "NASA", "NASA_new").purchase
    assert (again.missing, again.doubles) == ([], [("NASA_new", "NASA")])


# Accounts that were renamed


def bought_as_nasa(shop, lake, **line):
    """A day that has the account 11 under the handle NASA, which belongs to nobody by now."""
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(3), post(2), token="t1"))
    if not line:
        shop.has("timeline 11 t1", page(post(1)))
        shop.has("count 11", total(3))
    before = Try(shop, lake, "NASA", **line).collect()["NASA"]
    shop.asked.clear()
    return before


@pytest.mark.parametrize("is_known", [True, False])
def test_a_raised_limit_goes_on_with_a_renamed_account_under_the_handle_of_the_day(shop, lake, is_known):
    before = bought_as_nasa(shop, lake, limit=2)
    if is_known:
        remember(lake, NASA="11", NASA_new="11")
    shop.has("users NASA_new", users(NASA_new="11"))
    shop.has("timeline 11", page(post(1)))
    shop.has("count 11", total(3))
    lines = Try(shop, lake, "NASA_new", limit=9).collect()
    assert {name: (line.id, line.posts, line.proof) for name, line in lines.items()} == {
        "NASA": ("11", 3, "matched")
    }
    assert lines["NASA"].pages[: len(before.pages)] == before.pages
    assert shop.asked == [*["users NASA_new"] * (not is_known), "timeline 11", "count 11"]
    assert shop.wire.heard[-2].query["until_id"] == "1990000000000000002"


@pytest.mark.parametrize("is_known", [True, False])
def test_an_account_that_went_in_mid_walk_and_is_back_under_a_new_handle_is_gone_on_with(
    shop, lake, is_known
):
    remember(lake, NASA="11", **({"NASA_new": "11"} if is_known else {}))
    shop.has("timeline 11", page(post(3), post(2), token="t1"), page(post(1)))
    shop.has("timeline 11 t1", {"errors": [about("11", "Forbidden", "User has been suspended: [11].")]})
    shop.has("users NASA_new", users(NASA_new="11"))
    shop.has("count 11", total(3))
    assert outcomes(Try(shop, lake, "NASA").collect()) == {"NASA": "unavailable"}
    lines = Try(shop, lake, "NASA_new").collect()
    assert {name: (line.outcome, line.posts) for name, line in lines.items()} == {"NASA": ("complete", 3)}


@pytest.mark.parametrize("handles", [["NASA_new"], ["NASA_new", "NASA"]], ids=["renamed", "named by both"])
@pytest.mark.parametrize("is_known", [True, False])
def test_pages_of_a_try_that_was_killed_are_read_again_under_no_other_handle(shop, lake, is_known, handles):
    remember(lake, NASA="11", **({"NASA_new": "11"} if is_known else {}))
    shop.has("timeline 11", page(post(3), post(2), token="t1"), page(post(1)))
    lake.dies_at = "/11/0002.json.gz"
    shop.has("timeline 11 t1", page(post(1)))
    with pytest.raises(ConnectionError):
        Try(shop, lake, "NASA").collect()
    shop.asked.clear()
    shop.has("users NASA_new", users(NASA_new="11"))
    shop.has("count 11", total(3))
    [line] = Try(shop, lake, *handles).collect().values()
    assert (line.id, line.outcome, line.posts, line.proof) == ("11", "complete", 3, "matched")
    assert shop.asked == [*["users NASA_new"] * (not is_known), "timeline 11", "count 11"]
    assert shop.wire.heard[-2].query["until_id"] == "1990000000000000002"
    for name in ("NASA", "NASA_new"):
        assert Try(shop, lake, name).purchase.missing == []


def test_a_look_up_of_a_try_that_was_killed_before_it_was_remembered_is_asked_for_once(shop, lake):
    before = bought_as_nasa(shop, lake)
    shop.has("users NASA_new", users(NASA_new="11"))
    lake.dies_at = "accounts.json"
    with pytest.raises(ConnectionError):
        Try(shop, lake, "NASA_new").collect()
    assert Try(shop, lake, "NASA_new").collect() == {"NASA": before}
    assert Try(shop, lake, "NASA_new").purchase.is_complete
    assert remembered(lake) == {"nasa": "11", "nasa_new": "11"}
    assert shop.asked == ["users NASA_new"]


def test_a_staged_look_up_takes_the_place_of_nothing_that_was_seen_since(shop, lake):
    shop.has("users NASA", users(NASA="11"))
    lake.dies_at = "accounts.json"
    with pytest.raises(ConnectionError):
        Try(shop, lake, "NASA").collect()
    seen = {"nasa": {"id": "11", "seen_at": "2026-11-19T02:30:00Z"}}
    lake.write("twitter_accounts/accounts.json", json.dumps(seen).encode())
    shop.has("timeline 11", page())
    shop.has("count 11", total(0))
    Try(shop, lake, "NASA").collect()
    assert json.loads(lake.read("twitter_accounts/accounts.json")) == seen


def test_part_of_an_account_stays_where_its_handle_was_accepted_as_another_one(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(3), post(2), token="t1"), {"errors": [NOT_FOUND]})
    shop.has("timeline 11 t1", {"errors": [about("11", "Forbidden", "User has been suspended: [11].")]})
    Try(shop, lake, "NASA").collect()
    shop.has("users NASA", users(NASA="777"))
    shop.has("timeline 777", page(post(5)))
    shop.has("count 777", total(1))
    going = Try(shop, lake, "NASA", accepted=[("nasa", "777")])
    going.collect()
    lines = going.purchase.manifest.accounts
    assert [(line.id, line.outcome, line.posts) for line in lines] == [
        ("11", "unavailable", 2), ("777", "complete", 1)
    ]  # fmt: skip


def test_a_handle_that_another_day_has_accepted_is_looked_up_where_its_former_account_was_begun(shop, lake):
    shop.has("users NASA", users(NASA="11"), users(NASA="777"))
    shop.has("search-all 11", page(post(9)))
    lake.dies_at = "counts-of/0001.json.gz"
    shop.has("count-all 11", total(1))
    with pytest.raises(ConnectionError):
        Try(shop, lake, "NASA", old=True).collect()
    remember(lake, NASA="777")
    for key in staged(lake):
        if key.startswith("users-by"):
            del lake.objects[ROOT + key]  # it is older than this purchase
    shop.has("search-all 777", page(post(1)))
    shop.has("count-all 777", total(1))
    line = Try(shop, lake, "NASA", old=True, accepted=[("nasa", "777")]).collect()["NASA"]
    assert (line.id, line.outcome, line.posts) == ("777", "complete", 1)


# Accounts that are another one by now

NOT_FOUND = about("11", "Not Found Error", "Could not find user with id: [11].")
ANOTHER = (
    "the handle has become another account: 777, and it was 11. Nothing is bought of 777: if it is the "
    "account you want, add NASA=777 to Variable twitter_confirmed_account_ids and clear `extract`; if not, "
    "put the new handle of the old one into twitter_handles"
)


def forget_since(lake, **ids):
    """The accounts that were looked up more than thirty days ago."""
    seen = {name.lower(): {"id": id_, "seen_at": "2026-10-01T01:30:00Z"} for name, id_ in ids.items()}
    lake.write("twitter_accounts/accounts.json", json.dumps(seen).encode())


def remembered(lake):
    known = json.loads(lake.read("twitter_accounts/accounts.json"))
    return {name: account["id"] for name, account in known.items()}


def outcomes(lines):
    return {username: line.outcome for username, line in lines.items()}


def test_a_handle_that_has_become_another_account_is_not_bought_and_says_what_to_do(shop, lake, caplog):
    forget_since(lake, NASA="11", esa="22")
    shop.has("users NASA,esa", users(NASA="777", esa="22"))
    shop.has("timeline 22", page(post(1)))
    shop.has("count 22", total(1))
    lines = Try(shop, lake, "NASA", "esa").collect()
    assert (lines["NASA"].outcome, lines["NASA"].reason, lines["NASA"].id) == ("unavailable", ANOTHER, "11")
    assert (lines["esa"].outcome, lines["esa"].proof) == ("complete", "matched")
    assert f"NASA: {ANOTHER}" in caplog.messages
    assert remembered(lake) == {"nasa": "11", "esa": "22"}
    assert shop.asked == ["users NASA,esa", "timeline 22", "count 22"]


def test_it_is_refused_again_and_again_until_it_is_accepted(shop, lake, caplog):
    forget_since(lake, NASA="11")
    shop.has("users NASA", *[users(NASA="777")] * 3)
    shop.has("timeline 777", page(post(1)))
    shop.has("count 777", total(1))
    for accepted in [[], [("nasa", "778")]]:
        line = Try(shop, lake, "NASA", accepted=accepted).collect()["NASA"]
        assert (line.outcome, line.reason) == ("unavailable", ANOTHER)
    caplog.clear()
    line = Try(shop, lake, "NASA", accepted=[("nasa", "777")]).collect()["NASA"]
    assert (line.outcome, line.proof, line.id) == ("complete", "matched", "777")
    assert remembered(lake) == {"nasa": "777"}
    assert caplog.messages[0] == (
        "NASA: the handle has become another account: 777, and it was 11. Accepted by "
        "twitter_confirmed_account_ids"
    )


def test_a_look_up_that_an_earlier_try_has_staged_is_held_against_what_is_remembered_too(shop, lake):
    forget_since(lake, NASA="11", esa="22")
    shop.has("users NASA,esa", users(NASA="777", esa="22"))
    shop.has("timeline 22", OUTAGE)
    with pytest.raises(Outage):
        Try(shop, lake, "NASA", "esa").collect()
    shop.has("timeline 22", page())
    shop.has("count 22", total(0))
    assert Try(shop, lake, "NASA", "esa").collect()["NASA"].reason == ANOTHER


def test_an_id_that_x_no_longer_finds_is_looked_up_by_its_handle_at_once(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", {"errors": [NOT_FOUND]})
    shop.has("users NASA", users(NASA="777"))
    line = Try(shop, lake, "NASA").collect()["NASA"]
    assert (line.outcome, line.reason, line.id) == ("unavailable", ANOTHER, "11")
    assert shop.asked == ["timeline 11", "users NASA"]


def test_an_id_that_is_gone_and_whose_handle_was_accepted_is_read_as_the_new_one(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(9), token="t1"))
    shop.has("timeline 11 t1", {"errors": [NOT_FOUND]})
    shop.has("users NASA", users(NASA="777"))
    shop.has("timeline 777", page(post(2), post(1)))
    shop.has("count 777", total(2))
    line = Try(shop, lake, "NASA", accepted=[("nasa", "777")]).collect()["NASA"]
    assert (line.outcome, line.proof, line.id, line.posts) == ("complete", "matched", "777", 2)
    assert line.pages == [f"{ROOT}777/0001.json.gz"], "what was bought of 11 is kept, and none of its pages"


def test_an_id_and_a_handle_that_are_both_gone_are_unavailable_in_the_words_of_x(shop, lake):
    remember(lake, NASA="11")
    gone = about("NASA", "Not Found Error", "Could not find NASA.", parameter="usernames")
    shop.has("timeline 11", {"errors": [NOT_FOUND]})
    shop.has("users NASA", {"errors": [gone]})
    line = Try(shop, lake, "NASA").collect()["NASA"]
    assert line.outcome == "unavailable"
    assert line.reason == "Not Found Error: Could not find user with id: [11]."
    assert shop.asked == ["timeline 11", "users NASA"]


@pytest.mark.parametrize(
    ("title", "kind"),
    [("Forbidden", "resource-not-found"), ("Authorization Error", "not-authorized-for-resource")],
    ids=["suspended", "protected"],
)
def test_an_account_that_x_finds_and_does_not_show_is_not_looked_up(shop, lake, title, kind):
    remember(lake, NASA="11")
    hidden = about("11", title, "No.", type=f"https://api.x.com/2/problems/{kind}")
    shop.has("timeline 11", {"errors": [hidden]})
    assert Try(shop, lake, "NASA").collect()["NASA"].reason == f"{title}: No."
    assert shop.asked == ["timeline 11"]


def test_a_look_up_of_one_that_is_gone_that_the_budget_does_not_hold_refuses_no_day(shop, lake):
    remember(lake, NASA="11", esa="22")
    shop.has("timeline 11", {"errors": [NOT_FOUND]})
    shop.has("timeline 22", page(*map(post, range(1, 10))))
    lines = Try(shop, lake, "NASA", "esa", cap=54).collect()
    assert outcomes(lines) == {"NASA": "unavailable", "esa": "complete"}
    assert "users NASA" not in shop.asked


# Posts of another author


def test_a_page_that_is_all_another_accounts_ends_the_walk_and_is_not_published(shop, lake):
    remember(lake, NASA="11", esa="22")
    shop.has("timeline 11", page(post(9), token="t1"))
    shop.has("timeline 11 t1", page(post(2, author_id="777"), post(1, author_id="778"), token="t2"))
    shop.has("timeline 22", page(post(1)))
    shop.has("count 22", total(1))
    lines = Try(shop, lake, "NASA", "esa").collect()
    assert outcomes(lines) == {"NASA": "unavailable", "esa": "complete"}
    assert (lines["NASA"].posts, lines["NASA"].pages) == (1, [f"{ROOT}11/0001.json.gz"])
    assert lines["NASA"].reason == (
        "X was asked for the posts of 11 and sent those of 777, 778: they are kept as they came, and not "
        "published"
    )
    assert f"{ROOT}refused-11/0001.json.gz" in lake.objects


def test_a_search_that_brings_another_accounts_posts_leaves_the_account_short(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count 11", total(2))
    shop.has("search 11", page(post(2, author_id="777")))
    line = Try(shop, lake, "NASA").collect()["NASA"]
    assert (line.outcome, line.proof, line.posts) == ("complete", "short", 1)
    assert line.proof_reason == (
        "X counts 2 posts, 1 arrived. It could not be read once more: X was asked for the posts of 11 and "
        "sent those of 777: they are kept as they came, and not published"
    )


# The proof


def test_a_group_whose_count_matches_is_asked_for_nothing_more(shop, lake):
    remember(lake, NASA="11", esa="22")
    shop.has("timeline 11", page(post(2), post(1)))
    shop.has("timeline 22", page(post(3)))
    shop.has("count 11,22", total(3, hour=9))
    lines = Try(shop, lake, "NASA", "esa").collect()
    assert proofs(lines) == {"NASA": "matched", "esa": "matched"}
    assert "3 posts of 2 accounts together" in lines["NASA"].proof_reason, "a match of the group"
    assert lines["esa"].proof_reason == lines["NASA"].proof_reason
    assert sorted(shop.asked) == ["count 11,22", "timeline 11", "timeline 22"]


def test_a_count_below_what_arrived_is_a_surplus_and_told(shop, lake, caplog):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(2), post(1)))
    shop.has("count 11", total(1))
    nasa = Try(shop, lake, "NASA").collect()["NASA"]
    assert (nasa.proof, nasa.counted, nasa.proof_reason) == ("surplus", 1, "X counts 1 posts, 2 arrived")
    assert "NASA: X counts 1 posts, 2 arrived" in caplog.messages
    assert shop.asked == ["timeline 11", "count 11"]


def test_only_inside_a_group_that_does_not_match_is_each_account_counted_alone(shop, lake):
    names = [f"u{number:02}" for number in range(1, 23)]
    remember(lake, **{name: f"1{name[1:]}" for name in names})
    for name in names:
        shop.has(f"timeline 1{name[1:]}", page(post(int(name[1:]))))
    first_twenty = ",".join(f"1{name[1:]}" for name in names[:20])
    shop.has(f"count {first_twenty}", total(20, hour=9))
    shop.has("count 121,122", total(3, hour=9))
    shop.has("count 121", total(1))
    shop.has("count 122", total(2))
    shop.has("search 122", page(post(22), post(50)))
    lines = Try(shop, lake, *names).collect()
    assert set(proofs(lines).values()) == {"matched"}
    assert sorted(name for name in shop.asked if not name.startswith("timeline")) == [
        f"count {first_twenty}",
        "count 121",
        "count 121,122",
        "count 122",
        "search 122",
    ]
    assert {name for name, line in lines.items() if len(line.pages) == 2} == {"u22"}


def test_an_account_that_reached_its_limit_has_the_count_that_another_run_has_paid_for(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(3), post(2), token="t1"))
    run = Try(shop, lake, "NASA", limit=2)
    run.collection.cached_counts = {("11",): Count(323, Counter())}
    nasa = run.collect()["NASA"]
    assert (nasa.proof, nasa.counted, shop.asked) == ("limited", 323, ["timeline 11"])


def test_a_second_reading_ends_at_the_limit(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(90)))
    shop.has("count 11", total(50))
    shop.has("search 11", page(*map(post, range(12, 2, -1)), token="s1"))
    lines = Try(shop, lake, "NASA", limit=10).collect()
    assert (lines["NASA"].proof, lines["NASA"].outcome) == ("limited", "limit")
    assert shop.sizes["search 11"] == 10


@pytest.mark.parametrize(
    ("answer", "tries", "said"),
    [
        pytest.param(FORBIDDEN, 1, "The app of Connection twitter_default has no access", id="no access"),
        pytest.param(MALFORMED, 1, "X calls the request malformed", id="bad request"),
        pytest.param(UNAUTHORIZED, 1, "Put valid keys into Connection", id="bad keys"),
        pytest.param((402, {"title": "CreditsDepleted"}), 1, "Buy credits", id="no credits"),
        pytest.param((418, {"title": "Teapot"}), 1, "does not know this answer", id="unknown"),
        pytest.param({"meta": {"result_count": 0}}, 1, "asked for a count and sent none", id="no number"),
        pytest.param({"meta": [], "data": 5}, 1, "asked for a count and sent none, but", id="no count"),
        pytest.param((404, b""), 4, "(empty body)", id="404"),
        pytest.param(OUTAGE, 4, "Service Unavailable", id="503"),
        pytest.param((200, b"<html>"), 4, "no JSON object", id="HTML"),
        pytest.param((429, {"title": "Too Many Requests"}), 4, "The rate window is used up", id="429"),
        pytest.param((200, None), 4, "X cannot be reached: ConnectionError", id="no answer"),
    ],
)
def test_where_x_does_not_open_its_counts_the_day_lands_unchecked_with_the_reason(
    shop, lake, caplog, answer, tries, said
):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count 11", *[answer] * 9)
    going = Try(shop, lake, "NASA", stopped=Hurried())
    nasa = going.collect()["NASA"]
    assert (nasa.proof, nasa.outcome) == ("unchecked", "complete")
    assert said in nasa.proof_reason
    assert nasa.proof_reason.endswith("That was done 3 times.") == (tries == 4)
    assert f"X's own count is not held against 1 accounts. {nasa.proof_reason}" in caplog.messages
    assert shop.asked == ["timeline 11"] + ["count 11"] * tries
    assert going.stopped.pauses == [1, 5, 25][: tries - 1]


def test_a_count_that_fails_for_the_moment_is_asked_for_again(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count 11", OUTAGE, OUTAGE, OUTAGE, total(1))
    nasa = Try(shop, lake, "NASA", stopped=Hurried()).collect()["NASA"]
    assert (nasa.proof, nasa.proof_reason) == ("matched", None)


def test_accounts_that_nothing_has_counted_and_that_were_empty_are_read_once_more(shop, lake):
    remember(lake, NASA="11", esa="22", jaxa="33")
    shop.has("timeline 11", page())
    shop.has("timeline 22", page(post(5)))
    shop.has("timeline 33", page())
    shop.has("count 11,22,33", *[(404, b"")] * 4)
    shop.has("search 11", page(post(2), post(1)))
    shop.has("search 33", page())
    lines = Try(shop, lake, "NASA", "esa", "jaxa", stopped=Hurried()).collect()
    assert {name: (line.proof, line.posts) for name, line in lines.items()} == {
        "NASA": ("unchecked", 2),
        "esa": ("unchecked", 1),
        "jaxa": ("unchecked", 0),
    }
    assert [name for name in shop.asked if name.startswith("search")] == ["search 11", "search 33"]


def test_a_search_that_is_closed_is_not_asked_for_each_account(shop, lake):
    remember(lake, NASA="11", esa="22")
    shop.has("timeline 11", page())
    shop.has("timeline 22", page())
    shop.has("count 11,22", FORBIDDEN)
    shop.has("search 11", FORBIDDEN)
    lines = Try(shop, lake, "NASA", "esa").collect()
    assert proofs(lines) == {"NASA": "unchecked", "esa": "unchecked"}
    assert lines["esa"].proof_reason.count("Not for this app.") == 2, "the count, and the search"
    assert shop.asked[2:] == ["count 11,22", "search 11"]


def test_a_count_that_the_budget_does_not_hold_is_not_asked_for(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(*map(post, range(1, 6))))
    lines = Try(shop, lake, "NASA", cap=29).collect()
    assert (lines["NASA"].proof, lines["NASA"].outcome) == ("unchecked", "complete")
    assert shop.asked == ["timeline 11"]


@pytest.mark.parametrize(("cap", "asked"), [(0, ["search 11"]), (40, [])], ids=["no access", "no budget"])
def test_a_short_account_that_cannot_be_read_once_more_lands_as_it_is(shop, lake, cap, asked):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count 11", total(3))
    shop.has("search 11", FORBIDDEN)
    nasa = Try(shop, lake, "NASA", cap=cap).collect()["NASA"]
    assert nasa.proof == "short"
    assert nasa.proof_reason.startswith("X counts 3 posts, 1 arrived. It could not be read once more: ")
    assert shop.asked[2:] == asked


@pytest.mark.parametrize("answer", [(404, b""), OUTAGE, (429, {"title": "Too Many Requests"})])
def test_a_second_reading_that_x_never_answers_keeps_nobody_from_landing(shop, lake, answer):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(1)))
    shop.has("count 11", total(3))
    shop.has("search 11", *[answer] * 9)
    nasa = Try(shop, lake, "NASA", stopped=Hurried()).collect()["NASA"]
    assert (nasa.proof, nasa.outcome, nasa.posts) == ("short", "complete", 1)
    assert shop.asked[2:] == ["search 11"] * 4


# A second try


def test_a_second_try_goes_on_with_a_search_that_was_cut_off_below_its_oldest_post(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", page(post(9)))
    shop.has("count 11", total(3))
    shop.has("search 11", page(post(3), token="s1"), page(post(2)))
    shop.has("search 11 s1", page(post(2)))
    lake.dies_at = "search-11/0002.json.gz"
    with pytest.raises(ConnectionError):
        Try(shop, lake, "NASA").collect()
    shop.asked.clear()
    lines = Try(shop, lake, "NASA").collect()
    assert shop.asked == ["search 11"]
    assert shop.wire.heard[-1].query["until_id"] == "1990000000000000003"
    assert (lines["NASA"].proof, lines["NASA"].posts) == ("matched", 3)


def test_an_account_that_was_bought_is_neither_counted_nor_looked_up_when_another_is_missing(shop, lake):
    remember(lake, NASA="11", out="42")
    shop.has("timeline 11", page(post(1)))
    shop.has("timeline 42", {"errors": [SUSPENDED]})
    shop.has("count 11", total(1))
    Try(shop, lake, "NASA", "out").collect()
    shop.asked.clear()
    shop.has("users out", users(out="42"))
    shop.has("search-all 42", page(post(2), token="t1"))
    lines = Try(shop, lake, "NASA", "out", old=True, limit=1).collect()
    assert shop.asked == ["users out", "search-all 42"]
    assert proofs(lines) == {"NASA": "matched", "out": "limited"}


# Several readers


def test_accounts_are_read_side_by_side(shop, lake):
    names = [f"u{number}" for number in range(8)]
    remember(lake, **{name: f"1{name[1:]}" for name in names})
    together = Barrier(8)

    def when_all_have_asked():
        together.wait(LIMIT)
        return page()

    for number in range(8):
        shop.has(f"timeline 1{number}", when_all_have_asked)
    shop.has("count 10,11,12,13,14,15,16,17", total(0, hour=9))
    assert set(proofs(Try(shop, lake, *names).collect()).values()) == {"matched"}


@pytest.mark.parametrize(
    ("answer", "kind"), [(OUTAGE, Outage), (FORBIDDEN, NoAccess), (UNAUTHORIZED, BadKeys)]
)
def test_the_first_failure_keeps_the_other_readers_from_buying_more(shop, lake, answer, kind):
    remember(lake, NASA="11", esa="22", bad="33")
    first = Try(shop, lake, "NASA", "esa", "bad")

    def after_the_failure():
        assert first.stopped.wait(LIMIT)
        return page(post(1), token="t1")

    shop.has("timeline 11", after_the_failure)
    shop.has("timeline 22", after_the_failure)
    shop.has("timeline 33", answer)
    with pytest.raises(kind):
        first.collect()
    assert sorted(shop.asked) == ["timeline 11", "timeline 22", "timeline 33"]
    assert staged(lake) == ["11/0001.json.gz", "22/0001.json.gz", "manifest.json"], "it was on its way"


def test_of_several_failures_the_one_that_needs_a_person_is_raised_whoever_was_first(shop, lake):
    remember(lake, NASA="11", esa="22", bad="33")
    together = Barrier(3)

    def at_once(answer):
        return lambda: together.wait(LIMIT) * 0 or answer

    shop.has("timeline 11", at_once(OUTAGE))
    shop.has("timeline 22", at_once((429, {"title": "Too Many Requests"})))
    shop.has("timeline 33", at_once(UNAUTHORIZED))
    with pytest.raises(BadKeys):
        Try(shop, lake, "NASA", "esa", "bad").collect()


# The archive


def test_an_account_that_was_protected_is_looked_up_again_when_a_red_day_goes_on(shop, lake):
    hidden = {"data": [{"id": "11", "username": "NASA", "protected": True}]}
    shop.has("users NASA", hidden, users(NASA="11"))
    shop.has("search-all 11", page(post(1), token="t1"))
    lines = Try(shop, lake, "NASA", old=True, limit=1).collect()
    assert lines["NASA"].reason.startswith("Authorization Error: the account is protected")
    lines = Try(shop, lake, "NASA", old=True, limit=1).collect()
    assert lines["NASA"].outcome == "limit"
    assert shop.asked == ["users NASA", "users NASA", "search-all 11"]


def test_an_old_day_that_came_short_is_not_searched_for_again(shop, lake):
    shop.has("users NASA", users(NASA="11"))
    shop.has("search-all 11", page(post(1)))
    shop.has("count-all 11", total(2))
    lines = Try(shop, lake, "NASA", old=True).collect()
    assert (lines["NASA"].proof, lines["NASA"].counted) == ("short", 2)
    assert shop.asked == ["users NASA", "search-all 11", "count-all 11"]


def test_of_an_old_day_no_page_is_asked_for_of_accounts_that_have_no_post_by_a_stored_count(shop, lake):
    shop.has("users NASA,esa,jaxa", users(NASA="11", esa="22", jaxa="33"))
    shop.has("search-all 33", page(post(1)))
    going = Try(shop, lake, "NASA", "esa", "jaxa", old=True)
    going.collection.cached_counts = {("11", "22"): Count(0, Counter()), ("33",): Count(1, Counter())}
    lines = going.collect()
    assert proofs(lines) == {"NASA": "matched", "esa": "matched", "jaxa": "matched"}
    assert (lines["NASA"].outcome, lines["NASA"].posts, lines["NASA"].pages) == ("complete", 0, [])
    assert shop.asked == ["users NASA,esa,jaxa", "search-all 33"]


def test_of_a_recent_day_the_timeline_is_read_although_nothing_was_counted_since_it_says_who_is_gone(
    shop, lake
):
    remember(lake, NASA="11")
    shop.has("timeline 11", {"errors": [SUSPENDED]})
    going = Try(shop, lake, "NASA")
    going.collection.cached_counts = {("11",): Count(0, Counter())}
    assert outcomes(going.collect()) == {"NASA": "unavailable"}


@pytest.mark.parametrize(("hours", "asked"), [(23, []), (25, ["users NASA"])])
def test_of_an_old_day_an_account_that_was_looked_up_on_the_last_day_is_not_looked_up(
    shop, lake, hours, asked
):
    seen_at = (RECEIVED - timedelta(hours=hours)).isoformat()
    lake.write(
        "twitter_accounts/accounts.json", json.dumps({"nasa": {"id": "11", "seen_at": seen_at}}).encode()
    )
    shop.has("users NASA", users(NASA="11"))
    shop.has("search-all 11", page(post(1)))
    shop.has("count-all 11", total(1))
    Try(shop, lake, "NASA", old=True).collect()
    assert shop.asked == [*asked, "search-all 11", "count-all 11"]


@pytest.mark.parametrize("together", [True, False])
def test_of_an_old_day_an_account_that_is_gone_since_it_was_counted_is_unavailable(shop, lake, together):
    ids = {"nasa": "11", "esa": "22"}
    seen_at = (RECEIVED - timedelta(hours=1)).isoformat()
    seen = {name: {"id": id_, "seen_at": seen_at} for name, id_ in ids.items()}
    lake.write("twitter_accounts/accounts.json", json.dumps(seen).encode())
    shop.has("search-all 11", page(post(1)))
    shop.has("search-all 22", page())
    shop.has("count-all 11", total(1))
    gone = about("esa", "Forbidden", "User has been suspended: [esa].", parameter="usernames")
    shop.has("users esa", {"errors": [gone]})
    going = Try(shop, lake, "NASA", "esa", old=True)
    counts = {("11",): Count(1, Counter()), ("22",): Count(5, Counter())}
    going.collection.cached_counts = {("11", "22"): Count(6, Counter())} if together else counts
    lines = going.collect()
    assert outcomes(lines) == {"NASA": "complete", "esa": "unavailable"}
    assert proofs(lines)["NASA"] == "matched"


EMPTY_GONE = {
    "suspended": {
        "errors": [about("esa", "Forbidden", "User has been suspended: [esa].", parameter="usernames")]
    },
    "protected": {"data": [{"id": "22", "username": "esa", "protected": True}]},
    "become another account": users(esa="99"),
}


def seen_an_hour_ago(lake, **ids):
    seen_at = (RECEIVED - timedelta(hours=1)).isoformat()
    seen = {name.lower(): {"id": id_, "seen_at": seen_at} for name, id_ in ids.items()}
    lake.write("twitter_accounts/accounts.json", json.dumps(seen).encode())


@pytest.mark.parametrize("reason", [*EMPTY_GONE])
def test_of_an_old_day_an_account_that_is_gone_since_its_look_up_is_unavailable(shop, lake, reason):
    seen_an_hour_ago(lake, NASA="11", esa="22", jaxa="33")
    shop.has("search-all 11", page(post(1)))
    shop.has("search-all 22", page())
    shop.has("search-all 33", page())
    answer = EMPTY_GONE[reason]
    shop.has(
        "users esa,jaxa",
        {"data": [*answer.get("data", []), *users(jaxa="33")["data"]], "errors": answer.get("errors", [])},
    )
    shop.has("count-all 11,33", total(1, hour=9))
    lines = Try(shop, lake, "NASA", "esa", "jaxa", old=True).collect()
    assert outcomes(lines) == {"NASA": "complete", "esa": "unavailable", "jaxa": "complete"}
    assert reason in lines["esa"].reason
    assert lines["esa"].id == "22"


@pytest.mark.parametrize(("number", "look_ups"), [(1, []), (2, ["users esa"])])
def test_an_empty_account_is_not_looked_up_where_a_stored_count_says_that_it_has_no_post(
    shop, lake, number, look_ups
):
    seen_an_hour_ago(lake, NASA="11", esa="22")
    shop.has("search-all 11", page(post(1)))
    shop.has("search-all 22", page())
    shop.has("users esa", users(esa="22"))
    shop.has("count-all 11", total(1))
    shop.has("count-all 22", total(0))
    going = Try(shop, lake, "NASA", "esa", old=True)
    counts = Counter({"2026-11-18T09": number})
    going.collection.cached_counts = {("11", "22"): Count(number, counts)}
    assert proofs(going.collect()) == {"NASA": "matched", "esa": "matched"}
    assert [name for name in shop.asked if name.startswith("users")] == look_ups


def test_an_empty_account_that_cannot_be_looked_up_is_not_green(shop, lake):
    seen_an_hour_ago(lake, NASA="11", esa="22")
    shop.has("search-all 11", page(post(1)))
    shop.has("search-all 22", page())
    shop.has("users esa", FORBIDDEN)
    shop.has("count-all 11", total(1))
    lines = Try(shop, lake, "NASA", "esa", old=True).collect()
    assert outcomes(lines) == {"NASA": "complete", "esa": "unavailable"}
    shop.has("users esa", users(esa="22"))
    shop.has("search-all 22", page())
    shop.has("count-all 22", total(0))
    assert outcomes(Try(shop, lake, "NASA", "esa", old=True).collect())["esa"] == "complete"


def test_that_an_account_is_protected_is_remembered_for_other_old_days(shop, lake):
    hidden = {"id": "11", "seen_at": (RECEIVED - timedelta(hours=1)).isoformat(), "protected": True}
    lake.write("twitter_accounts/accounts.json", json.dumps({"nasa": hidden}).encode())
    line = Try(shop, lake, "NASA", old=True).collect()["NASA"]
    assert (line.outcome, line.id, shop.asked) == ("unavailable", "11", [])


# Counts that are there


def test_an_account_whose_threads_are_wanted_later_is_not_counted_again(shop, lake):
    remember(lake, NASA="11", esa="22")
    shop.has("timeline 11", page(post(2), post(1)))
    shop.has("timeline 22", page(post(3)))
    shop.has("count 11,22", total(3, hour=9))
    before = proofs(Try(shop, lake, "NASA", "esa").collect())
    shop.asked.clear()
    shop.has("search 11", page())
    shop.has("search 22", page())
    lines = Try(shop, lake, "NASA", "esa", threads=True).collect()
    assert (sorted(shop.asked), proofs(lines)) == (["search 11", "search 22"], before)
    assert "of 2 accounts" in lines["NASA"].proof_reason


# Fields that X could not fill


def lacking(*posts, field="entities", token=None, **more):
    problem = {"type": "https://api.x.com/2/problems/field-hydration-failure", "field": field} | more
    return page(*posts, token=token) | {"errors": [problem]}


ONE, TWO = post(1)["id"], post(2)["id"]
WHOLE = post(1, author_id="11", entities={"hashtags": [{"tag": "Mars"}]})
FILLED = post(2, entities={"hashtags": [{"tag": "Moon"}]})


def a_day_that_lacks_a_field(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", lacking(FILLED, post(1)))
    shop.has("count 11", total(2))


def bought(attempt):
    return attempt.purchase.manifest.bought["2026-11"]


def test_a_post_of_which_x_could_not_fill_a_field_is_read_once_more_with_all_fields_for_free(shop, lake):
    a_day_that_lacks_a_field(shop, lake)
    shop.has(f"posts {ONE}", {"data": [WHOLE]})
    attempt = Try(shop, lake, "NASA")
    line = attempt.collect()["NASA"]
    assert (line.outcome, line.proof, line.posts) == ("complete", "matched", 3)
    assert line.pages == [f"{ROOT}11/0001.json.gz", f"{ROOT}reread-11/0001.json.gz"]
    assert (bought(attempt).posts, bought(attempt).rereads) == (2, 1)
    (asked,) = [heard for heard in shop.wire.heard if heard.path == "/2/tweets"]
    assert set(asked.query["tweet.fields"].split(",")) == set(POST_FIELDS)


@pytest.mark.parametrize(
    "answer",
    [
        OUTAGE,
        FORBIDDEN,
        MALFORMED,
        {},
        {"data": [post(7, author_id="11")]},
        {"data": [post(1, author_id="99")]},
        {"errors": [{"type": "https://api.x.com/2/problems/internal-error", "title": "Internal Error"}]},
    ],
)
def test_a_day_does_not_wait_for_posts_that_could_not_be_read_again(shop, lake, answer, caplog):
    a_day_that_lacks_a_field(shop, lake)
    shop.has(f"posts {ONE}", answer, answer)
    line = Try(shop, lake, "NASA").collect()["NASA"]
    assert (line.outcome, line.proof, line.posts) == ("complete", "matched", 2)
    assert "could not fill" in caplog.text


def test_posts_are_not_read_again_where_the_cap_leaves_nothing_for_it(shop, lake):
    remember(lake, NASA="11")
    shop.has("timeline 11", lacking(*map(post, range(5, 0, -1))))
    shop.has("count 11", total(5))
    line = Try(shop, lake, "NASA", cap=30).collect()["NASA"]
    assert (line.outcome, line.proof, line.posts) == ("complete", "matched", 5)
    assert shop.asked == ["timeline 11", "count 11"]


def test_a_try_that_goes_on_reads_nothing_again_that_was_read_again(shop, lake):
    a_day_that_lacks_a_field(shop, lake)
    shop.has(f"posts {ONE}", {"data": [WHOLE]})
    first = Try(shop, lake, "NASA")
    with first.buying() as (x, money):
        first.collection.collect(x, money)  # and killed before it is closed
    second = Try(shop, lake, "NASA")
    line = second.collect()["NASA"]
    assert shop.asked.count(f"posts {ONE}") == 1
    assert (line.posts, sorted(line.pages)) == (
        3,
        [f"{ROOT}11/0001.json.gz", f"{ROOT}reread-11/0001.json.gz"],
    )
    assert bought(second).rereads == 1


def test_a_try_on_the_next_utc_day_does_not_read_again_what_would_be_charged(shop, lake):
    a_day_that_lacks_a_field(shop, lake)
    lake.dies_at = "reread-11/0001.json.gz"
    shop.has(f"posts {ONE}", {"data": [WHOLE]})
    with pytest.raises(ConnectionError):
        Try(shop, lake, "NASA").collect()
    shop.asked.clear()
    second = Try(shop, lake, "NASA")
    second.now = RECEIVED + timedelta(days=1)
    assert second.collect()["NASA"].outcome == "complete"
    assert not [name for name in shop.asked if name.startswith("posts")]


def test_a_post_presumed_to_be_a_reply_counts_as_arrived_once_it_turns_out_to_be_none(shop, lake):
    remember(lake, NASA="11")
    answer_to = post(1, in_reply_to_user_id="77")
    shop.has("timeline 11", lacking(answer_to, field="referenced_tweets", resource_id=ONE))
    shop.has("count 11", total(1))
    quote = answer_to | {"author_id": "11", "referenced_tweets": [{"type": "quoted", "id": "7"}]}
    shop.has(f"posts {ONE}", {"data": [quote]})
    assert Try(shop, lake, "NASA").collect()["NASA"].proof == "matched"
