"""Which account a handle is."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from include.twitter.extract.accounts import REMEMBERED_FOR, Accounts, reasons, users_of
from tests.include.factories import RECEIVED, MemoryStore, OvertakenStore, about, answer

NASA = {"id": "11348282", "username": "NASA", "name": "NASA"}
ESA = {"id": "5", "username": "esa"}
KEY = "twitter_accounts/accounts.json"


@pytest.fixture
def lake():
    return MemoryStore()


def looked_up(*users, **more):
    return answer(*users, path="/2/users/by", kind="users", **more)


def test_an_empty_memory_knows_nobody(lake):
    assert Accounts(lake).id_of("NASA", RECEIVED) is None


@pytest.mark.parametrize("handle", ["NASA", "nasa", "NaSa"])
def test_a_handle_that_was_looked_up_is_known_at_once_and_in_the_next_run_whatever_its_case(lake, handle):
    known = Accounts(lake)
    known.learn(looked_up(NASA))
    assert known.id_of(handle, RECEIVED) == Accounts(lake).id_of(handle, RECEIVED) == "11348282"


def test_an_account_is_asked_for_again_after_thirty_days(lake):
    known = Accounts(lake)
    known.learn(looked_up(NASA))
    assert timedelta(days=30) == REMEMBERED_FOR
    assert known.id_of("NASA", datetime(2026, 12, 19, 1, 30, 6, tzinfo=UTC)) == "11348282"
    assert known.id_of("NASA", datetime(2026, 12, 19, 1, 30, 7, tzinfo=UTC)) is None


def test_a_handle_that_has_a_new_owner_is_learnt_anew(lake):
    known = Accounts(lake)
    known.learn(looked_up(NASA))
    known.learn(looked_up(NASA | {"id": "77"}))
    assert known.id_of("NASA", RECEIVED) == "77"


def test_the_last_id_of_a_handle_is_known_however_long_ago_it_was_seen(lake):
    known = Accounts(lake)
    assert known.last_id_of("NASA") is None
    known.learn(looked_up(NASA, received_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert (known.last_id_of("Nasa"), known.id_of("NASA", RECEIVED)) == ("11348282", None)


def test_what_was_not_accepted_is_not_learnt(lake):
    Accounts(lake).learn(looked_up(NASA, ESA))
    Accounts(lake).learn(looked_up(NASA | {"id": "77"}, ESA | {"id": "6"}), but=["nasa"])
    known = Accounts(lake)
    assert (known.id_of("NASA", RECEIVED), known.id_of("esa", RECEIVED)) == ("11348282", "6")


def test_a_handle_is_accepted_with_one_id_and_in_any_case(lake):
    known = Accounts(lake, {("nasa", "77")})
    assert known.accepts("NASA", "77")
    assert not known.accepts("NASA", "78")
    assert not known.accepts("esa", "77")


def test_the_memory_is_kept_as_sorted_readable_json(lake):
    Accounts(lake).learn(looked_up(NASA, ESA))
    kept = json.loads(lake.read(KEY))
    assert list(kept.items()) == [
        ("esa", {"id": "5", "seen_at": "2026-11-19T01:30:07Z", "protected": False}),
        ("nasa", {"id": "11348282", "seen_at": "2026-11-19T01:30:07Z", "protected": False}),
    ]


def test_a_look_up_that_found_nobody_writes_nothing(lake):
    Accounts(lake).learn(looked_up())
    assert lake.written == []


def test_of_two_runs_that_learn_at_once_neither_forgets_what_the_other_has_learnt():
    lake = OvertakenStore()
    lake.meanwhile = lambda: Accounts(lake).learn(looked_up(ESA))
    Accounts(lake).learn(looked_up(NASA))
    assert list(json.loads(lake.read(KEY))) == ["esa", "nasa"]


def test_every_handle_that_was_not_found_has_a_reason():
    gone = about("gone_one", "Not Found Error", "Could not find user with usernames: [gone_one].")
    out = about("Out_One", "Forbidden", "User has been suspended: [Out_One].")
    found = looked_up(NASA, errors=[error | {"parameter": "usernames"} for error in (gone, out)])
    assert reasons(found, ["Nasa", "gone_one", "out_one", "silent"]) == {
        "gone_one": "Not Found Error: Could not find user with usernames: [gone_one].",
        "out_one": "Forbidden: User has been suspended: [Out_One].",
        "silent": "X does not mention it",
    }


def test_when_nobody_is_found_everybody_has_a_reason():
    assert reasons(looked_up(), ["a", "b"]) == {"a": "X does not mention it", "b": "X does not mention it"}


@pytest.mark.parametrize(
    "id_", ["../../1.1/account", "5?x=1", "", "12345678901234567890", "٣", " 5", "5\n", 5.5, None]
)
def test_what_is_no_id_of_an_account_is_neither_used_nor_remembered(lake, id_):
    found = looked_up(NASA, {"id": id_, "username": "esa"}, None, {"id": "7"})
    assert list(users_of(found)) == ["nasa"]
    Accounts(lake).learn(found)
    assert list(json.loads(lake.read(KEY))) == ["nasa"]
    (reason,) = reasons(found, ["NASA", "esa"]).values()
    assert repr(str(id_)) in reason
    assert "1 to 19 digits" in reason
