"""Which account a handle is."""

import json
from datetime import UTC, datetime, timedelta

from include.twitter.extract.accounts import REMEMBERED_FOR, Accounts, reasons
from tests.include.invented import RECEIVED, about, answer

NASA = {"id": "11348282", "username": "NASA", "name": "NASA"}


def looked_up(*users, **more):
    return answer(*users, path="/2/users/by", **more)


def test_an_empty_memory_knows_nobody():
    assert Accounts.unpacked(None).id_of("NASA", RECEIVED) is None


def test_a_handle_that_was_looked_up_is_known_whatever_its_case():
    known = Accounts.unpacked(None)
    known.learn(looked_up(NASA))
    assert known.id_of("nasa", RECEIVED) == "11348282"
    assert known.id_of("NaSa", RECEIVED) == "11348282"


def test_an_account_is_asked_for_again_after_thirty_days():
    known = Accounts.unpacked(None)
    known.learn(looked_up(NASA))
    assert timedelta(days=30) == REMEMBERED_FOR
    assert known.id_of("NASA", datetime(2026, 12, 19, 1, 30, 6, tzinfo=UTC)) == "11348282"
    assert known.id_of("NASA", datetime(2026, 12, 19, 1, 30, 7, tzinfo=UTC)) is None


def test_a_handle_that_has_a_new_owner_is_learnt_anew():
    known = Accounts.unpacked(None)
    known.learn(looked_up(NASA))
    known.learn(looked_up(NASA | {"id": "77"}))
    assert known.id_of("NASA", RECEIVED) == "77"


def test_the_memory_is_kept_as_sorted_readable_json():
    known = Accounts.unpacked(None)
    known.learn(looked_up(NASA, {"id": "5", "username": "esa"}))
    packed = known.packed()
    assert json.loads(packed) == {
        "esa": {"id": "5", "seen_at": "2026-11-19T01:30:07+00:00"},
        "nasa": {"id": "11348282", "seen_at": "2026-11-19T01:30:07+00:00"},
    }
    assert list(json.loads(packed)) == ["esa", "nasa"]
    assert Accounts.unpacked(packed) == known


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
