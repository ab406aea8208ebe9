"""One purchase of a day's posts."""

from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier, BrokenBarrierError, Semaphore, Thread

import pytest
from msgspec.structs import replace as with_fields

from include.twitter.airflow_context import Run
from include.twitter.errors import LeaseHeld, MissingInput, WriteConflict
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
OLD = f"{ROOT}11/0001.json.gz"
IDS = {"NASA": "11", "esa": "22", "gone": "33", "quiet": "44", "jaxa": "55"}
ABSENT, LEASED, ABANDONED, CLOSED = PurchaseState
MINUTE = timedelta(minutes=1)


@pytest.fixture
def lake():
    return MemoryStore()


def purchase(lake, *handles, limit=0, threads=False, may_leave=False, only=(), name="c0ffee123456", **about):
    run = Run(DAY, name, **{"now": after(0)} | about)
    asked = CollectionSpec(handles or ("NASA",), limit, threads)
    return Purchase(lake, run, asked, may_leave=may_leave, only=only)


def after(seconds):
    """A clock that stands."""
    return lambda: RECEIVED + timedelta(seconds=seconds)


def line(username="NASA", posts=1, **changes):
    return account_read(username, posts, **{"id": IDS[username]} | changes)


def close(bought, *lines):
    """Buy for the purchase: each account with posts has one page."""
    with bought.hold_lease():
        list(bought.stored_responses())
        pages = {each.id: [bought.store(each.id, answer(post(1)))] for each in lines if each.posts}
        bought.close(with_fields(each, pages=pages.get(each.id, [])) for each in lines)
    return bought


def manifest(lake, key=KEY):
    return decoded(lake.read(key), Manifest)


def usernames(lake):
    return [each.username for each in manifest(lake).accounts]


def counted(total):
    pieces = [{"tweet_count": total}, {"tweet_count": 0}]
    meta = {"total_tweet_count": total}
    return answer(*pieces, meta=meta, path="/2/tweets/counts/recent", kind="counts")


# The state


@pytest.mark.parametrize(
    ("before", "event", "then"),
    [
        (ABSENT, "acquire", LEASED),
        (LEASED, "expire", ABANDONED),
        (LEASED, "close", CLOSED),
        (ABANDONED, "acquire", LEASED),
        (CLOSED, "acquire", LEASED),
    ],
)
def test_a_purchase_has_four_states_and_five_transitions(before, event, then):
    assert before.after(event) is then


@pytest.mark.parametrize(
    ("state", "event"),
    [(LEASED, "acquire"), (ABSENT, "expire"), (ABSENT, "close"), (ABANDONED, "close"), (CLOSED, "close")],
)
def test_no_other_transition_is_possible(state, event):
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
def test_the_manifest_says_which_state_it_is_in(is_open, expires_at, state):
    lease = LeaseHolder("run", "token", expires_at)
    opened = Manifest(day=str(DAY), buy=1, opened_by="r", opened_at=RECEIVED, is_open=is_open, lease=lease)
    assert opened.state(RECEIVED) is state


def test_a_purchase_goes_through_all_of_them(lake):
    assert purchase(lake).state is ABSENT
    killed = purchase(lake).hold_lease()
    killed.__enter__()
    assert [purchase(lake, now=after(seconds)).state for seconds in (0, 59, 60)] == [
        LEASED,
        LEASED,
        ABANDONED,
    ]
    early = purchase(lake)
    early._run = replace(early._run, now=after(60))
    early._lease._run = early._run  # its clock: the lease expires after the manifest was read
    with suppress(OSError), early.hold_lease():
        raise OSError("X is away")
    assert purchase(lake).state is ABANDONED
    assert close(purchase(lake, now=after(60)), line()).state is CLOSED
    assert purchase(lake).state is CLOSED


# What is missing


def test_of_a_new_day_everything_is_missing(lake):
    new = purchase(lake, "NASA", "esa")
    assert (new.missing, new.is_complete) == (["NASA", "esa"], False)
    assert new.name == ("2026-11-18", 1)


@pytest.mark.parametrize(
    ("stored", "limit", "is_missing"),
    [
        ({}, 0, False),
        ({}, 7, False),
        ({"limit": 5}, 7, False),
        ({"outcome": "limit", "limit": 5}, 5, False),
        ({"outcome": "limit", "limit": 5}, 4, False),
        ({"outcome": "limit", "limit": 5}, 6, True),
        ({"outcome": "limit", "limit": 5}, 0, True),
        ({"outcome": "unavailable"}, 0, True),
    ],
    ids=["complete", "complete, now a limit", "complete below a limit", "the same limit", "a lower limit",
         "a higher limit", "no limit any more", "unavailable"],
)  # fmt: skip
def test_of_an_account_that_was_bought_something_is_missing_or_not(lake, stored, limit, is_missing):
    close(purchase(lake, limit=stored.get("limit", 0)), line(**stored))
    again = purchase(lake, "nasa", "esa", limit=limit, name="another run")
    assert again.missing == ["nasa"] * is_missing + ["esa"]


@pytest.mark.parametrize(("had", "wanted", "is_missing"), [(0, 1, True), (1, 1, False), (1, 0, False)])
def test_of_an_account_that_was_bought_its_threads_are_missing_or_not(lake, had, wanted, is_missing):
    close(purchase(lake, threads=bool(had)), line(threads=bool(had)))
    other = purchase(lake, "NASA", threads=bool(wanted))
    assert other.missing == ["NASA"] * is_missing
    assert other.wants_threads("nasa")


def test_a_day_that_was_bought_is_complete_for_every_run_that_wants_the_same(lake):
    close(purchase(lake, "NASA", "esa", limit=10), line(), line("esa"))
    assert purchase(lake, "esa", "nasa", limit=10, name="another run").is_complete
    lower = purchase(lake, "NASA", "esa", limit=5)
    assert (lower.missing, lower.is_complete) == ([], False)
    close(lower)
    assert [each.publish_limit for each in manifest(lake).accounts] == [5, 5]
    assert purchase(lake, "NASA", "esa", limit=5).is_complete


def test_two_accounts_that_had_one_handle_have_each_its_own_limit(lake):
    close(purchase(lake, limit=9), line(limit=9))
    lines = manifest(lake)
    lines.accounts.append(account_read("NASA", 1, id="99", limit=9, publish_limit=9))
    lake.write(KEY, encoded(lines))
    close(purchase(lake, limit=5))
    assert [(each.id, each.publish_limit) for each in manifest(lake).accounts] == [("11", 5), ("99", 9)]


def test_a_page_that_was_stored_after_it_was_closed_is_booked_by_the_next_run(lake):
    stale = purchase(lake)
    close(purchase(lake), line())
    stale.store("22", answer(post(1), post(2)))
    again = purchase(lake)
    assert (again.missing, again.is_complete) == ([], False)
    close(again)
    assert manifest(lake).bought == {"2026-11": BilledUnits(posts=3)}
    assert purchase(lake).is_complete


def test_purchases_of_another_day_are_none_of_this_one(lake):
    lake.write("twitter_raw/dt=2026-11-17/buy=1/manifest.json", b"no JSON")
    assert purchase(lake).missing == ["NASA"]


# Accounts that are not wanted any more


def test_accounts_with_posts_stay_in_the_day_and_those_without_leave(lake):
    close(purchase(lake, "NASA", "gone"), line(), line("gone", 0, outcome="unavailable"))
    assert purchase(lake).is_complete
    close(purchase(lake, "jaxa"), line("jaxa"))
    assert usernames(lake) == ["NASA", "jaxa"]


def test_accounts_leave_where_they_may_and_come_back_with_their_pages_which_are_not_booked_again(lake):
    close(purchase(lake, "NASA", "esa"), line(), line("esa"))
    leaving = purchase(lake, "ESA", may_leave=True)
    assert (leaving.missing, leaving.is_complete) == ([], False)
    close(leaving)
    assert (usernames(lake), manifest(lake).requests) == (["esa"], [OLD])
    assert purchase(lake, "ESA", may_leave=True).is_complete
    back = purchase(lake, "esa", "NASA")
    assert back.missing == ["NASA"]
    with back.hold_lease():
        assert list(back.stored_responses()) == []
        assert [key for key, _ in back.stored_pages("11")] == [OLD]
    assert back.bought == {"2026-11": BilledUnits(posts=2)}


@pytest.mark.parametrize("reason", ["it was renamed", "its handle is another's, and not accepted"])
def test_of_two_handles_of_one_account_the_one_that_could_be_read_has_its_pages(lake, reason):
    refused = line("quiet", 1, id="11", outcome="unavailable", reason=reason)
    close(purchase(lake, "NASA", "quiet"), line(), refused)
    found = [(each.username, each.posts, len(each.pages)) for each in manifest(lake).accounts]
    assert found == [("NASA", 1, 1), ("quiet", 0, 0)]
    close(purchase(lake, "quiet"), with_fields(refused, posts=0))
    assert usernames(lake) == ["NASA", "quiet"], "a refusal replaces no entry that has posts"


def test_an_entry_under_another_handle_is_replaced_by_that_of_the_same_account(lake):
    close(purchase(lake, limit=1), line(outcome="limit", limit=1))
    close(purchase(lake, "quiet"), line("quiet", id="11"))
    assert usernames(lake) == ["quiet"]


# Some accounts, and buying again


def test_a_run_for_some_accounts_buys_no_others_and_keeps_what_the_day_has_of_them(lake):
    close(purchase(lake, "esa", "gone", "quiet"), line("esa"), line("gone"), line("quiet", 0))
    some = purchase(lake, "NASA", "JAXA", "esa", "quiet", only=("nasa",), may_leave=True)
    assert some.missing == ["NASA"]
    close(some, line())
    assert usernames(lake) == ["NASA", "esa", "gone", "quiet"]
    assert manifest(lake).spec.handles == ("NASA", "esa", "quiet")
    assert purchase(lake, "NASA", "JAXA", "esa", "quiet").missing == ["JAXA"]


def test_buying_again_opens_the_next_purchase_once_a_run(lake):
    close(purchase(lake), line())
    wish = {"name": "wishing", "buy_again": True}
    assert purchase(lake, **wish).name == ("2026-11-18", 2)
    close(purchase(lake, **wish), line())
    for other in (purchase(lake, **wish), purchase(lake, name="another run")):
        assert (other.name[1], other.is_complete) == (2, True)
    assert purchase(lake, name="wishing too", buy_again=True).name[1] == 3


def test_buying_again_has_nothing_of_what_is_wanted_and_all_of_the_rest(lake):
    close(purchase(lake, "NASA", "esa"), line(), line("esa"))
    again = purchase(lake, "NASA", "esa", only=("esa",), name="wishing", buy_again=True)
    assert (again.missing, again.bought, again.manifest.buy) == (["esa"], {}, 2)
    close(again, line("esa", 0))
    [nasa, esa] = manifest(lake, KEY.replace("buy=1", "buy=2")).accounts
    assert (nasa.username, nasa.pages) == ("NASA", [OLD])
    assert (esa.username, esa.pages) == ("esa", [])


def test_the_newest_purchase_is_the_one_with_the_highest_number(lake):
    for number in (2, 9, 12):
        opened = Manifest(day=str(DAY), buy=number, opened_by=f"run {number}", opened_at=RECEIVED)
        lake.write(KEY.replace("buy=1", f"buy={number}"), encoded(opened))
    assert purchase(lake).name[1] == 12
    assert purchase(lake, name="run 9", buy_again=True).name[1] == 12
    assert purchase(lake, name="run 10", buy_again=True).name[1] == 13


# One process at a time


@pytest.mark.parametrize(
    ("other", "may"),
    [({}, False), ({"name": "another run", "now": after(59)}, False), ({"now": after(60)}, True)],
    ids=["the same run once more", "another run", "after a minute"],
)
def test_while_its_lease_is_held_no_other_process_takes_over(lake, other, may):
    with purchase(lake).hold_lease():
        held = manifest(lake).lease
        assert (held.owner, held.expires_at) == ("c0ffee123456", RECEIVED + MINUTE)
        late = purchase(lake, **other)
        if may:
            with late.hold_lease():
                assert manifest(lake).lease.token != held.token
        else:
            with (
                pytest.raises(LeaseHeld, match=r"2026-11-18 is being bought .* 01:31:07 UTC") as busy,
                late.hold_lease(),
            ):
                pass
            assert busy.value.retry_at == RECEIVED + MINUTE


class HeardLake(MemoryStore):
    """Says when something was written."""

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


def test_a_process_whose_lease_was_taken_over_stops_and_leaves_the_manifest_to_the_other(lake):
    seconds = 0
    stale = purchase(lake, now=lambda: after(seconds)())
    with ExitStack() as other:
        with pytest.raises(LeaseHeld, match="by another process"), stale.hold_lease():
            seconds = 180
            other.enter_context(purchase(lake, name="another run", now=after(180)).hold_lease())
            stale.renew_lease()
        assert manifest(lake).lease.owner == "another run"


@pytest.mark.parametrize("is_new", [False, True])
def test_of_two_that_begin_at_once_one_has_the_lease(is_new):
    lake = OvertakenStore()
    if not is_new:
        close(purchase(lake), line())
    one, quicker = purchase(lake, "esa"), purchase(lake, "esa")
    with ExitStack() as first:
        lake.meanwhile = lambda: first.enter_context(quicker.hold_lease())
        with pytest.raises(LeaseHeld), one.hold_lease():
            pass
        assert manifest(lake).lease.token == quicker._lease.token


def test_a_manifest_that_another_process_has_written_is_not_closed(lake):
    stale = purchase(lake)
    with pytest.raises(WriteConflict), stale.hold_lease():
        lake.write(KEY, encoded(manifest(lake)) + b" ")
        stale.close([line()])
    assert manifest(lake).accounts == []


# Storing


def test_a_response_is_stored_below_day_purchase_and_account(lake):
    bought = purchase(lake)
    with bought.hold_lease():
        for folder in (
            "11",
            "11",
            "22",
            LOOKUPS_FOLDER,
            COUNTS_FOLDER,
            f"{SEARCHED}11",
            f"{REFUSED_PREFIX}11",
        ):
            bought.store(folder, answer(post(1)))
    assert [key.removeprefix(ROOT) for key in lake.keys(ROOT)] == [
        "11/0001.json.gz",
        "11/0002.json.gz",
        "22/0001.json.gz",
        "counts-of/0001.json.gz",
        "manifest.json",
        "refused-11/0001.json.gz",
        "search-11/0001.json.gz",
        "users-by/0001.json.gz",
    ]


def test_an_equal_page_of_another_process_is_not_taken_for_ones_own(lake):
    late, quicker = purchase(lake), purchase(lake)
    quicker.store("11", answer(post(1)))
    with pytest.raises(WriteConflict, match="was written by another process"):
        late.store("11", answer(post(1)))
    assert (quicker.bought, late.bought) == ({"2026-11": BilledUnits(posts=1)}, {})
    assert [page.posts for page in lake.responses([OLD])] == [[post(1)]]


class MeetingLake(MemoryStore):
    """Two writers meet in it, if both come: neither has finished before the other has begun."""

    def __init__(self):
        super().__init__()
        self.meeting = Barrier(2)

    def put_if_match(self, key, data, tag):
        if "counts-of" in key:
            with suppress(BrokenBarrierError):
                self.meeting.wait(0.2)
        return super().put_if_match(key, data, tag)


def test_two_readers_that_store_in_one_folder_at_once_never_write_the_same_key():
    lake = MeetingLake()
    bought = purchase(lake)
    with bought.hold_lease():
        readers = [Thread(target=bought.store, args=(COUNTS_FOLDER, counted(n)), daemon=True) for n in (1, 2)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(5)
    assert lake.keys(f"{ROOT}counts-of/") == [f"{ROOT}counts-of/000{number}.json.gz" for number in (1, 2)]
    assert bought.bought == {"2026-11": BilledUnits(counts=2)}


# Going on


def killed(lake, *pages):
    """A try that stored these responses, each with its folder, and then ended."""
    bought = purchase(lake)
    with suppress(OSError), bought.hold_lease():
        for folder, page in pages:
            bought.store(folder, page)
        raise OSError("killed")


def stored(pages):
    return [
        (key.removeprefix(ROOT)[: -len(".json.gz")], *(each.get("id", "")[-2:] for each in page.posts))
        for *_, key, page in pages
    ]


def test_what_was_never_closed_is_gone_on_from_in_the_order_in_which_it_was_stored(lake):
    killed(lake, *(("11", answer(post(number))) for number in range(1, 12)), ("22", answer(post(20))))
    again = purchase(lake, "nasa")
    with again.hold_lease():
        of_nasa = [(f"11/{number:04}", f"{number:02}") for number in range(1, 12)]
        assert stored(again.stored_responses()) == [*of_nasa, ("22/0001", "20")]
        assert stored(again.stored_pages("11")) == of_nasa
        again.store("11", answer(post(12)))
    assert lake.keys(f"{ROOT}11/")[-1] == f"{ROOT}11/0012.json.gz"


def test_a_page_is_stored_after_the_last_one_also_where_one_before_it_was_never_written(lake):
    killed(lake, (COUNTS_FOLDER, counted(1)), (COUNTS_FOLDER, counted(2)))
    del lake.objects[f"{ROOT}counts-of/0001.json.gz"]  # the slower reader's write did not arrive
    killed(lake, (COUNTS_FOLDER, counted(3)))
    assert lake.keys(f"{ROOT}counts-of/") == [f"{ROOT}counts-of/000{number}.json.gz" for number in (2, 3)]


def test_pages_of_a_source_are_those_of_the_accounts_entry_and_of_its_folder(lake):
    close(purchase(lake, "NASA", "esa"), line(outcome="limit", limit=1), line("esa"))
    killed(lake, (f"{SEARCHED}11", answer(post(3))))
    again = purchase(lake, "NASA", "esa")
    with again.hold_lease():
        assert stored(again.stored_responses()) == [("search-11/0001", "03")]
        assert stored(again.stored_pages("11")) == [("11/0001", "01")]
        assert stored(again.stored_pages("search-11")) == [("search-11/0001", "03")]


def test_what_is_stored_and_not_closed_is_booked_once_over_two_resumes_and_a_close(lake):
    close(purchase(lake), line())
    users = [{"id": "1", "username": "esa"}, {"id": "2", "username": "jaxa"}]
    killed(
        lake,
        (LOOKUPS_FOLDER, answer(*users, kind="users")),
        ("22", answer(post(1), post(2), token="t1")),
        ("22", answer()),
        ("33", answer(errors=[SUSPENDED])),
        (COUNTS_FOLDER, counted(700)),
        (COUNTS_FOLDER, replace(counted(0), kind="archive_counts")),
        (f"{SEARCHED}22", answer(post(1), post(2), post(3))),
        (f"{REFUSED_PREFIX}22", answer(post(4, text=None))),
        ("44", answer(post(5), kind="own_posts")),
    )
    whole = BilledUnits(posts=7, own_posts=1, users=2, counts=1, archive_counts=1)
    for _ in range(2):
        again = purchase(lake)
        assert again.bought == {"2026-11": BilledUnits(posts=1)}
        with again.hold_lease():
            list(again.stored_responses())
        assert again.bought == {"2026-11": whole}
    close(purchase(lake))
    assert (manifest(lake).bought, manifest(lake).cost_usd) == ({"2026-11": whole}, 0.071)
    assert purchase(lake).bought == {"2026-11": whole}


def test_what_was_bought_is_booked_in_the_utc_month_of_the_request(lake):
    november, december = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    late = answer(post(1), post(2), token="t1", received_at=december)
    killed(
        lake,
        ("11", replace(late, sent_at=november)),
        ("11", replace(answer(post(3), received_at=december), sent_at=december)),
    )
    assert close(purchase(lake)).bought == {"2026-11": BilledUnits(posts=2), "2026-12": BilledUnits(posts=1)}


def test_a_stored_response_that_is_gone_says_what_to_do(lake):
    killed(lake, ("11", answer(post(1))))
    again = purchase(lake)
    with again.hold_lease():
        del lake.objects[OLD]
        with pytest.raises(MissingInput, match="It was paid for: restore it, or Trigger with `buy_again`"):
            list(again.stored_responses())


# Closing


def test_the_manifest_has_what_was_wanted_and_what_is_stored_account_by_account(lake):
    bought = purchase(lake, "NASA", "esa", limit=7)
    with bought.hold_lease():
        request = bought.store(LOOKUPS_FOLDER, answer({"id": "1", "username": "NASA"}, kind="users"))
        pages = [bought.store("11", answer(post(1), token="t1")), bought.store("11", answer(post(2)))]
        bought.close([line("esa", 0), line(posts=2, pages=pages, limit=7)])
    closed = manifest(lake)
    assert (closed.day, closed.buy, closed.opened_by) == ("2026-11-18", 1, "c0ffee123456")
    assert (closed.is_open, closed.lease, closed.opened_at, closed.closed_at) == (
        False,
        None,
        RECEIVED,
        RECEIVED,
    )
    assert closed.spec == CollectionSpec(("NASA", "esa"), 7)
    assert [(each.username, each.pages, each.publish_limit) for each in closed.accounts] == [
        ("NASA", pages, 7), ("esa", [], 7)
    ]  # fmt: skip
    assert closed.requests == [request]


def test_the_summary_is_the_key_of_the_manifest_with_what_was_bought(lake):
    summary = close(purchase(lake), line()).summary()
    others = dict.fromkeys(("own_posts", "users", "counts", "archive_counts", "rereads"), 0)
    assert summary == {"manifest": KEY, "posts": 1, **others, "cost_usd": 0.005}
    assert purchase(lake, name="another run").summary() == summary
