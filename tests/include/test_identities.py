"""Which account a handle is."""

import json
from datetime import timedelta

import pytest

from include.twitter.identities import Identities, unavailable_reasons, users_of
from tests.include.factories import RECEIVED, MemoryStore, OvertakenStore, about, account_read, make_response

NASA = {"id": "11348282", "username": "NASA", "name": "NASA"}
ESA = {"id": "5", "username": "esa"}
KEY = "twitter_accounts/accounts.json"


@pytest.fixture
def store():
    return MemoryStore()


def looked_up(*users, **more):
    return make_response(*users, path="/2/users/by", kind="users", **more)


@pytest.mark.parametrize("handle", ["NASA", "nasa", "NaSa"])
def test_a_look_up_is_known_at_once_and_in_the_next_run(store, handle):
    known = Identities.read(store)
    assert (known.id_of(handle, RECEIVED), known.last_id_of(handle), known.seen_at(handle)) == (None,) * 3
    known.learn(looked_up(NASA, ESA | {"protected": True}))
    for identities in (known, Identities.read(store)):
        assert (identities.id_of(handle, RECEIVED), identities.seen_at(handle)) == ("11348282", RECEIVED)
        assert (identities.is_protected(handle), identities.is_protected("esa")) == (False, True)


@pytest.mark.parametrize(("for_archive", "days"), [(False, 30), (True, 1)])
def test_a_look_up_expires(store, for_archive, days):
    known, second = Identities.read(store), timedelta(seconds=1)
    known.learn(looked_up(NASA))
    until = RECEIVED + timedelta(days=days)
    assert known.id_of("NASA", until - second, for_archive=for_archive) == "11348282"
    assert known.id_of("NASA", until, for_archive=for_archive) is None
    assert known.last_id_of("NASA") == "11348282"


def test_a_newer_look_up_replaces_an_older_one_unless_it_is_blocked(store):
    known = Identities.read(store)
    known.learn(looked_up(NASA, ESA))
    known.learn(looked_up(NASA | {"id": "77"}, ESA | {"id": "6"}), exclude=["esa"])
    known.learn(looked_up(NASA | {"id": "78"}, received_at=RECEIVED - timedelta(seconds=1)))
    for identities in (known, Identities.read(store)):
        assert (identities.last_id_of("NASA"), identities.last_id_of("esa")) == ("77", "5")


def test_a_handle_is_accepted_with_one_id_and_in_any_case(store):
    known = Identities.read(store, {("nasa", "77")})
    assert known.accepts("NASA", "77")
    assert not known.accepts("NASA", "78")
    assert not known.accepts("esa", "77")


def test_look_ups_are_stored_as_sorted_readable_json(store):
    Identities.read(store).learn(looked_up())
    assert store.written == [], "nobody was found"
    Identities.read(store).learn(looked_up(NASA, ESA))
    assert list(json.loads(store.read(KEY)).items()) == [
        ("esa", {"id": "5", "seen_at": "2026-11-19T01:30:07Z", "protected": False}),
        ("nasa", {"id": "11348282", "seen_at": "2026-11-19T01:30:07Z", "protected": False}),
    ]


def test_of_two_runs_that_learn_at_once_neither_forgets_what_the_other_has_learnt():
    store = OvertakenStore()
    store.meanwhile = lambda: Identities.read(store).learn(looked_up(ESA))
    Identities.read(store).learn(looked_up(NASA))
    assert list(json.loads(store.read(KEY))) == ["esa", "nasa"]


def test_every_handle_that_was_not_found_has_a_reason():
    gone = about("gone_one", "Not Found Error", "Could not find user with usernames: [gone_one].")
    out = about("Out_One", "Forbidden", "User has been suspended: [Out_One].")
    response = looked_up(NASA, errors=[error | {"parameter": "usernames"} for error in (gone, out)])
    assert unavailable_reasons(response, ["Nasa", "gone_one", "out_one", "silent"]) == {
        "gone_one": "Not Found Error: Could not find user with usernames: [gone_one].",
        "out_one": "Forbidden: User has been suspended: [Out_One].",
        "silent": "X does not mention it",
    }


@pytest.mark.parametrize(
    "id_", ["../../1.1/account", "5?x=1", "", "12345678901234567890", "٣", " 5", "5\n", 5.5, None]
)
def test_what_is_no_id_of_an_account_is_neither_used_nor_remembered(store, id_):
    response = looked_up(NASA, {"id": id_, "username": "esa"}, None, {"id": "7"})
    assert list(users_of(response)) == ["nasa"]
    Identities.read(store).learn(response)
    assert list(json.loads(store.read(KEY))) == ["nasa"]
    (reason,) = unavailable_reasons(response, ["NASA", "esa"]).values()
    assert repr(str(id_)) in reason
    assert "1 to 19 digits" in reason


# Which account a handle is on a day

A, GONE = account_read("a", id="42"), account_read("a", id=None, outcome="unavailable")
OTHER, RENAMED = account_read("a", id="77"), account_read("b", id="42")


@pytest.mark.parametrize(
    ("ids", "accepted", "entries", "entry"),
    [
        ({}, [], [A], A),
        ({"a": "42"}, [], [A], A),
        ({"a": "42"}, [], [RENAMED], RENAMED),
        ({"a": "42"}, [], [OTHER, RENAMED], RENAMED),
        ({"a": "42"}, [], [A, OTHER], A),
        ({"a": "77"}, [], [A, OTHER], OTHER),
        ({"a": "77"}, [], [A], A),
        ({"a": "77"}, [("a", "77")], [A], None),
        ({"a": "77"}, [("a", "78")], [A], A),
        ({"a": "42"}, [], [GONE], GONE),
        ({"a": "42"}, [], [GONE, RENAMED], GONE),
        ({"a": "42"}, [("a", "42")], [GONE, RENAMED], RENAMED),
        ({}, [], [RENAMED], None),
    ],
    ids=["by handle", "both", "renamed", "renamed, its handle another's", "two of a handle",
         "the other of them",
         "another account's, not accepted", "accepted", "another id accepted", "no posts", "refused",
         "found by a look-up", "nobody has looked it up"],
)  # fmt: skip
def test_an_entry_is_found_by_the_id_of_its_account(ids, accepted, entries, entry):
    assert Identities(ids, accepted).index(entries).of("A") is entry


def test_a_handle_that_nobody_has_looked_up_may_be_an_account_of_the_day_that_no_other_handle_is():
    known = Identities({"c": "1"})
    assert known.unresolved(["new", "c"], [RENAMED]) == ["new"]
    assert known.unresolved(["new", "b"], [RENAMED]) == []
    assert known.unresolved(["new"], [GONE]) == []
