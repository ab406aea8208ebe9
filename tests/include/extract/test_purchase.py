"""One purchase of a day's posts."""

import json
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Semaphore

import pytest
from msgspec.structs import replace as with_fields

from include.twitter.airflow_context import Run
from include.twitter.errors import LeaseHeld, WriteConflict
from include.twitter.extract.paid_requests import REFUSED_PREFIX
from include.twitter.extract.purchase import COUNTS_FOLDER, LOOKUPS_FOLDER, Purchase
from include.twitter.records import (
    BilledUnits,
    CollectionSpec,
    LeaseHolder,
    Manifest,
    PurchaseState,
    decoded,
    encoded,
)
from include.twitter.sources import SEARCHED
from tests.include.factories import (
    DAY,
    RECEIVED,
    SUSPENDED,
    MemoryStore,
    OvertakenStore,
    account_read,
    answer,
    post,
)
from tests.include.fake_x import ROOT

KEY = f"{ROOT}manifest.json"
PAGE = f"{ROOT}11/0001.json.gz"
IDS = {"NASA": "11", "esa": "22", "gone": "33", "quiet": "44", "jaxa": "55"}
ABSENT, LEASED, ABANDONED, CLOSED = PurchaseState
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake():
    return MemoryStore()


def purchase(lake, *handles, limit=0, threads=False, may_leave=False, only=(), name="c0ffee123456", **run):
    run = Run(DAY, name, **{"now": after(0)} | run)
    spec = CollectionSpec(handles or ("NASA",), limit, threads)
    return Purchase(lake, run, spec, may_leave=may_leave, only=only)


def after(seconds):
    """A clock that stands."""
    return lambda: RECEIVED + timedelta(seconds=seconds)


def entry(username="NASA", posts=1, **fields):
    return account_read(username, posts, **{"id": IDS[username]} | fields)


def buy(bought, folder, response):
    """Store a response, and book it, as the budget does."""
    key = bought.store(folder, response)
    bought.stored.add(response)
    return key


def close(bought, *entries):
    """Buy for the purchase: each account with posts has one page."""
    with bought.hold_lease():
        list(bought.stored_responses())
        pages = {each.id: [buy(bought, each.id, answer(post(1)))] for each in entries if each.posts}
        bought.close(with_fields(each, pages=pages.get(each.id, [])) for each in entries)
    return bought


def killed(lake, *pages):
    """A try that stored these responses, each with its folder, and then ended."""
    bought = purchase(lake)
    with suppress(OSError), bought.hold_lease():
        for folder, page in pages:
            buy(bought, folder, page)
        raise OSError("killed")


def manifest(lake, key=KEY):
    return decoded(lake.read(key), Manifest)


def usernames(lake):
    return [each.username for each in manifest(lake).accounts]


def numbers(pages):
    """The stored pages, each with the last two digits of its posts' ids."""
    return [
        (key.removeprefix(ROOT)[: -len(".json.gz")], *(each["id"][-2:] for each in page.posts))
        for *_, key, page in pages
    ]


# The state


def test_a_purchase_has_four_states_and_five_transitions():
    transitions = {
        (ABSENT, "acquire"): LEASED,
        (LEASED, "expire"): ABANDONED,
        (LEASED, "close"): CLOSED,
        (ABANDONED, "acquire"): LEASED,
        (CLOSED, "acquire"): LEASED,
    }
    for state in PurchaseState:
        for event in ("acquire", "expire", "close"):
            if then := transitions.get((state, event)):
                assert state.after(event) is then
            else:
                with pytest.raises(ValueError, match=f"is {state} cannot {event}"):
                    state.after(event)


@pytest.mark.parametrize(
    ("is_open", "expires_at", "state"),
    [
        (True, RECEIVED + MINUTE, LEASED),
        (True, RECEIVED, ABANDONED),
        (True, None, ABANDONED),
        (False, RECEIVED + MINUTE, CLOSED),
    ],
)
def test_the_state_of_a_manifest(is_open, expires_at, state):
    lease = LeaseHolder("run", "token", expires_at)
    opened = Manifest(day=str(DAY), buy=1, opened_by="r", opened_at=RECEIVED, is_open=is_open, lease=lease)
    assert opened.state(RECEIVED) is state


def test_a_purchase_goes_through_all_states(lake):
    assert purchase(lake).state is ABSENT
    killed = purchase(lake).hold_lease()
    killed.__enter__()
    states = [purchase(lake, now=after(seconds)).state for seconds in (0, 59, 60)]
    assert states == [LEASED, LEASED, ABANDONED]
    seconds = 0
    early = purchase(lake, now=lambda: after(seconds)())
    seconds = 60  # the lease expires after the manifest was read
    with suppress(OSError), early.hold_lease():
        raise OSError("X is away")
    assert purchase(lake).state is ABANDONED
    assert close(purchase(lake, now=after(60)), entry()).state is CLOSED
    assert purchase(lake).state is CLOSED


# What is missing


@pytest.mark.parametrize(
    ("stored", "limit", "threads", "is_satisfied"),
    [
        ({}, 0, False, True),
        ({}, 7, False, True),
        ({"limit": 5}, 7, False, True),
        ({"outcome": "limit", "limit": 5}, 5, False, True),
        ({"outcome": "limit", "limit": 5}, 4, False, True),
        ({"outcome": "limit", "limit": 5}, 6, False, False),
        ({"outcome": "limit", "limit": 5}, 0, False, False),
        ({"outcome": "unavailable"}, 0, False, False),
        ({}, 0, True, False),
        ({"threads": True}, 0, True, True),
        ({"threads": True}, 0, False, True),
    ],
    ids=["complete", "complete, now a limit", "complete below a limit", "the same limit", "a lower limit",
         "a higher limit", "no limit any more", "unavailable", "threads were not read", "threads were read",
         "threads are no longer collected"],
)  # fmt: skip
def test_an_account_that_was_bought_satisfies_a_spec_or_not(stored, limit, threads, is_satisfied):
    assert CollectionSpec(("NASA",), limit, threads).is_satisfied_by(entry(**stored), "nasa") is is_satisfied


def test_a_day_that_was_bought_is_complete_for_every_run_with_the_same_spec(lake):
    assert purchase(lake, "NASA", "esa").missing == ["NASA", "esa"]
    close(
        purchase(lake, "NASA", "esa", limit=10, threads=True), entry(threads=True), entry("esa", threads=True)
    )
    same = purchase(lake, "esa", "nasa", limit=10, name="another run")
    assert (same.missing, same.is_complete, same.wants_threads("nasa")) == ([], True, True)
    lower = purchase(lake, "NASA", "esa", limit=5)
    assert (lower.missing, lower.is_complete) == ([], False)
    close(lower)
    assert [each.publish_limit for each in manifest(lake).accounts] == [5, 5]
    assert purchase(lake, "NASA", "esa", limit=5).is_complete
    killed(lake)
    assert not purchase(lake, "NASA", "esa", limit=5).is_complete


def test_two_accounts_that_had_one_handle_have_each_its_own_limit(lake):
    close(purchase(lake, limit=9), entry(limit=9))
    lines = manifest(lake)
    lines.accounts.append(account_read("NASA", 1, id="99", limit=9, publish_limit=9))
    lake.write(KEY, encoded(lines))
    close(purchase(lake, limit=5))
    assert [(each.id, each.publish_limit) for each in manifest(lake).accounts] == [("11", 5), ("99", 9)]
    assert purchase(lake, limit=5).is_complete


def test_of_two_handles_of_one_account_the_first_has_its_limit(lake):
    known = {name: {"id": "11", "seen_at": "2026-11-19T00:00:00Z"} for name in ("nasa", "nasa_new")}
    lake.write("twitter_accounts/accounts.json", json.dumps(known).encode())
    close(purchase(lake), entry())
    spec = CollectionSpec(("NASA_new", "NASA"), 0, limits={"nasa_new": 5, "nasa": 7})
    both = Purchase(lake, Run(DAY, "c0ffee123456", after(0)), spec, may_leave=False)
    assert (both.missing, both.duplicate_handles) == ([], [("NASA", "NASA_new")])
    assert [each.publish_limit for each in close(both).manifest.accounts] == [5]
    assert both.is_complete


def test_a_page_that_was_stored_after_it_was_closed_is_booked_by_the_next_run(lake):
    stale = purchase(lake)
    close(purchase(lake), entry())
    stale.store("22", answer(post(1), post(2)))
    again = purchase(lake)
    assert (again.missing, again.is_complete) == ([], False)
    close(again)
    assert manifest(lake).bought == {"2026-11": BilledUnits(posts=3)}
    assert purchase(lake).is_complete


# Accounts that are no longer in the spec


def test_accounts_with_posts_stay_in_the_day_and_those_without_leave(lake):
    close(purchase(lake, "NASA", "gone"), entry(), entry("gone", 0, outcome="unavailable"))
    assert purchase(lake).is_complete
    close(purchase(lake, "jaxa"), entry("jaxa"))
    assert usernames(lake) == ["NASA", "jaxa"]


def test_accounts_leave_where_they_may_and_come_back_with_their_pages_which_are_not_booked_again(lake):
    close(purchase(lake, "NASA", "esa"), entry(), entry("esa"))
    leaving = purchase(lake, "ESA", may_leave=True)
    assert (leaving.missing, leaving.is_complete) == ([], False)
    close(leaving)
    assert (usernames(lake), manifest(lake).requests) == (["esa"], [PAGE])
    assert purchase(lake, "ESA", may_leave=True).is_complete
    back = purchase(lake, "esa", "NASA")
    assert back.missing == ["NASA"]
    with back.hold_lease():
        assert list(back.stored_responses()) == []
        assert [key for key, _ in back.stored_pages("11")] == [PAGE]
    assert back.bought == {"2026-11": BilledUnits(posts=2)}


def test_of_two_handles_of_one_account_the_one_that_could_be_read_has_its_pages(lake):
    refused = entry("quiet", 1, id="11", outcome="unavailable", reason="it was renamed")
    close(purchase(lake, "NASA", "quiet"), entry(), refused)
    found = [(each.username, each.posts, len(each.pages)) for each in manifest(lake).accounts]
    assert found == [("NASA", 1, 1), ("quiet", 0, 0)]
    close(purchase(lake, "quiet"), with_fields(refused, posts=0))
    assert usernames(lake) == ["NASA", "quiet"], "a refusal replaces no entry that has posts"
    close(purchase(lake, "quiet"), entry("quiet", id="11"))
    assert usernames(lake) == ["quiet"], "an entry of the same account does"


def test_an_account_without_posts_that_is_gone_when_more_is_requested_is_unavailable(lake):
    close(purchase(lake, "quiet"), entry("quiet", 0))
    gone = entry("quiet", 0, outcome="unavailable", reason="not found")
    close(purchase(lake, "quiet", threads=True), gone)
    assert [each.outcome for each in manifest(lake).accounts] == ["unavailable"]


# Some accounts, and buying again


def test_a_run_for_some_accounts_buys_no_others_and_keeps_what_the_day_has_of_them(lake):
    close(purchase(lake, "esa", "gone", "quiet"), entry("esa"), entry("gone"), entry("quiet", 0))
    some = purchase(lake, "NASA", "JAXA", "esa", "quiet", only=("nasa",), may_leave=True)
    assert some.missing == ["NASA"]
    close(some, entry())
    assert usernames(lake) == ["NASA", "esa", "gone", "quiet"]
    assert manifest(lake).spec.handles == ("NASA", "esa", "quiet")
    assert purchase(lake, "NASA", "JAXA", "esa", "quiet").missing == ["JAXA"]


def test_buying_again_opens_the_next_purchase_once_a_run(lake):
    close(purchase(lake), entry())
    again = {"name": "again", "buy_again": True}
    assert purchase(lake, **again).name == ("2026-11-18", 2)
    close(purchase(lake, **again), entry())
    for other in (purchase(lake, **again), purchase(lake, name="another run")):
        assert (other.name[1], other.is_complete) == (2, True)
    opened = Manifest(day=str(DAY), buy=12, opened_by="r", opened_at=RECEIVED)
    lake.write(KEY.replace("buy=1", "buy=12"), encoded(opened))
    assert purchase(lake, **again).name[1] == purchase(lake).name[1] == 12
    assert purchase(lake, name="once more", buy_again=True).name[1] == 13


def test_buying_again_has_nothing_of_the_accounts_of_the_run_and_all_of_the_others(lake):
    close(purchase(lake, "NASA", "esa"), entry(), entry("esa"))
    again = purchase(lake, "NASA", "esa", only=("esa",), name="again", buy_again=True)
    assert (again.missing, again.bought, again.manifest.buy) == (["esa"], {}, 2)
    close(again, entry("esa", 0))
    [nasa, esa] = manifest(lake, KEY.replace("buy=1", "buy=2")).accounts
    assert (nasa.username, nasa.pages) == ("NASA", [PAGE])
    assert (esa.username, esa.pages) == ("esa", [])


# One process at a time


def test_while_its_lease_is_held_no_other_process_buys(lake):
    with purchase(lake).hold_lease():
        holder = manifest(lake).lease
        assert (holder.owner, holder.expires_at) == ("c0ffee123456", RECEIVED + MINUTE)
        late = purchase(lake, name="another run", now=after(59))
        with pytest.raises(LeaseHeld, match=r"2026-11-18 is being bought") as raised, late.hold_lease():
            pass
        assert raised.value.retry_at == RECEIVED + MINUTE
        with purchase(lake, now=after(60)).hold_lease():
            assert manifest(lake).lease.token != holder.token


class HeardLake(MemoryStore):
    """Counts its writes for one who waits."""

    def __init__(self):
        super().__init__()
        self.heard = Semaphore(0)

    def put_if_match(self, key, data, tag):
        try:
            return super().put_if_match(key, data, tag)
        finally:
            self.heard.release()


def test_the_lease_is_renewed_while_its_owner_waits_for_a_response(monkeypatch):
    monkeypatch.setattr("include.twitter.lease.LIFETIME", timedelta(milliseconds=30))
    moments = count()
    lake = HeardLake()
    with purchase(lake, now=lambda: after(next(moments))()).hold_lease():
        first = manifest(lake).lease.expires_at
        for _ in range(3):
            assert lake.heard.acquire(timeout=10)
        assert manifest(lake).lease.expires_at > first
    assert manifest(lake).lease.expires_at is None


@pytest.mark.parametrize("is_new", [False, True])
def test_of_two_that_begin_at_once_one_has_the_lease(is_new):
    lake = OvertakenStore()
    if not is_new:
        close(purchase(lake), entry())
    one, quicker = purchase(lake, "esa"), purchase(lake, "esa")
    with ExitStack() as first:
        lake.meanwhile = lambda: first.enter_context(quicker.hold_lease())
        with pytest.raises(LeaseHeld), one.hold_lease():
            pass
        assert manifest(lake).lease.token == quicker._lease.token


# Storing


def test_an_equal_page_of_another_process_is_not_taken_for_ones_own(lake):
    late, quicker = purchase(lake), purchase(lake)
    quicker.store("11", answer(post(1)))
    with pytest.raises(WriteConflict):
        late.store("11", answer(post(1)))
    assert [page.posts for page in lake.responses([PAGE])] == [[post(1)]]


def test_two_readers_that_store_in_one_folder_at_once_never_write_the_same_key():
    lake = OvertakenStore()
    bought = purchase(lake)
    lake.meanwhile = lambda: bought.store(COUNTS_FOLDER, answer())
    bought.store(COUNTS_FOLDER, answer(post(1)))
    assert lake.keys(f"{ROOT}counts-of/") == [f"{ROOT}counts-of/000{number}.json.gz" for number in (1, 2)]


# Going on


def test_a_killed_purchase_goes_on_from_its_pages_in_the_order_in_which_they_were_stored(lake):
    killed(lake, *(("11", answer(post(number))) for number in range(1, 12)), ("22", answer(post(20))))
    again = purchase(lake, "nasa")
    with again.hold_lease():
        of_nasa = [(f"11/{number:04}", f"{number:02}") for number in range(1, 12)]
        assert numbers(again.stored_responses()) == [*of_nasa, ("22/0001", "20")]
        assert numbers(again.stored_pages("11")) == of_nasa
        again.store("11", answer(post(12)))
    assert lake.keys(f"{ROOT}11/")[-1] == f"{ROOT}11/0012.json.gz"
    del lake.objects[PAGE]
    killed(lake, ("11", answer(post(13))))
    assert lake.keys(f"{ROOT}11/")[-1] == f"{ROOT}11/0013.json.gz", "also if a page before was never written"


def test_pages_of_a_source_are_those_of_the_accounts_entry_and_of_its_folder(lake):
    close(purchase(lake, "NASA", "esa"), entry(outcome="limit", limit=1), entry("esa"))
    killed(lake, (f"{SEARCHED}11", answer(post(3))))
    again = purchase(lake, "NASA", "esa")
    with again.hold_lease():
        assert numbers(again.stored_responses()) == [("search-11/0001", "03")]
        assert numbers(again.stored_pages("11")) == [("11/0001", "01")]
        assert numbers(again.stored_pages("search-11")) == [("search-11/0001", "03")]


def test_what_is_stored_and_not_closed_is_booked_once_over_two_resumes_and_a_close(lake):
    close(purchase(lake), entry())
    users = [{"id": "1", "username": "esa"}, {"id": "2", "username": "jaxa"}]
    december = datetime(2026, 12, 1, tzinfo=UTC)
    late = answer(post(6), received_at=december)
    killed(
        lake,
        (LOOKUPS_FOLDER, answer(*users, kind="users")),
        ("22", answer(post(1), post(2), token="t1")),
        ("22", answer()),
        ("33", answer(errors=[SUSPENDED])),
        (COUNTS_FOLDER, answer(kind="counts")),
        (COUNTS_FOLDER, answer(kind="archive_counts")),
        (f"{SEARCHED}22", answer(post(1), post(2), post(3))),
        (f"{REFUSED_PREFIX}22", answer(post(4, text=None))),
        ("44", answer(post(5), kind="own_posts")),
        ("55", replace(late, sent_at=december - timedelta(seconds=1))),
        ("55", late),
    )
    november = BilledUnits(posts=8, own_posts=1, users=2, counts=1, archive_counts=1)
    whole = {"2026-11": november, "2026-12": BilledUnits(posts=1)}
    for _ in range(2):
        again = purchase(lake)
        assert again.bought == {"2026-11": BilledUnits(posts=1)}
        with again.hold_lease():
            list(again.stored_responses())
        assert again.bought == whole
    close(purchase(lake))
    assert (manifest(lake).bought, manifest(lake).cost_usd) == (whole, 0.081)
    assert purchase(lake).bought == whole


# Closing


def test_the_manifest_has_the_spec_and_the_stored_responses_account_by_account(lake):
    bought = purchase(lake, "NASA", "esa", limit=7)
    with bought.hold_lease():
        request = buy(bought, LOOKUPS_FOLDER, answer({"id": "1", "username": "NASA"}, kind="users"))
        pages = [buy(bought, "11", answer(post(1), token="t1")), buy(bought, "11", answer(post(2)))]
        bought.close([entry("esa", 0), entry(posts=2, pages=pages, limit=7)])
    assert [*pages, request] == [f"{ROOT}{name}.json.gz" for name in ("11/0001", "11/0002", "users-by/0001")]
    closed = manifest(lake)
    assert (closed.day, closed.buy, closed.opened_by) == ("2026-11-18", 1, "c0ffee123456")
    assert (closed.is_open, closed.lease) == (False, None)
    assert (closed.opened_at, closed.closed_at) == (RECEIVED, RECEIVED)
    assert closed.spec == CollectionSpec(("NASA", "esa"), 7)
    of_accounts = [(each.username, each.pages, each.publish_limit) for each in closed.accounts]
    assert of_accounts == [("NASA", pages, 7), ("esa", [], 7)]
    assert closed.requests == [request]
    units = {"own_posts": 0, "users": 1, "counts": 0, "archive_counts": 0, "rereads": 0}
    summary = {"manifest": KEY, "posts": 2, **units, "cost_usd": 0.02}
    assert bought.summary() == purchase(lake, name="another run").summary() == summary
