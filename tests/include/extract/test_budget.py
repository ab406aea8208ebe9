"""The caps that no request may cross, and the ledger of what was spent."""

import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, date, datetime
from threading import Barrier, Lock, Semaphore

import pytest

from include.twitter import pricing
from include.twitter.errors import NoResponse, Outage, OverBudget, WriteConflict
from include.twitter.extract.budget import Budget, Caps, Stored, spent_of_month
from include.twitter.extract.reader import Stopped
from include.twitter.records import BilledUnits, LedgerEntry, decoded, encoded
from include.twitter.response import Response
from tests.include.factories import RECEIVED, MemoryStore, OvertakenStore

RUN, MONTH = "twitter_run_budget_usd", "twitter_month_budget_usd"
KEY = "twitter_ledger/month=2026-11/2026-11-18-1.json"
IN_JANUARY = datetime(2027, 1, 2, tzinfo=UTC)
MIDNIGHT = [datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)]


@pytest.fixture
def store():
    return MemoryStore()


def budget(store, *, run=0, month=0, posts=0, day="2026-11-18", clock=lambda: RECEIVED, stored=None, **more):
    """What a purchase of the day may spend; `posts` are those that it has stored before."""
    before = Stored({"2026-11": BilledUnits(posts=posts)}, {"2026-11": 5 * posts}) if posts else Stored()
    return Budget(store, (day, 1), Caps((RUN, run), (MONTH, month)), stored or before, clock, **more)


def response(units, kind="posts"):
    return Response("/2", {}, RECEIVED, json.dumps({"data": [0] * units}).encode(), kind=kind)


def spend(drawn, units, size=100, smallest=5, kind="posts"):
    """Request so much, get and store so many units; returns how many were requested."""
    with drawn.reserve(kind, size, smallest) as reservation:
        reservation.settle(response(units, kind))
    return reservation.size


def lose(drawn, posts):
    """Request a page whose response cannot be stored."""
    with pytest.raises(OSError), drawn.reserve("posts", 100, 5) as reservation:
        reservation.settle(response(posts))
        raise OSError("S3 refuses")


def time_out(drawn, units=100, kind="posts"):
    with pytest.raises(NoResponse), drawn.reserve(kind, units, 5):
        raise NoResponse("a read timeout")


def entry(store, key=KEY):
    return decoded(store.read(key), LedgerEntry)


def mills(store):
    """Spent, reserved, and uncertain."""
    found = entry(store)
    return found.spent_mills, found.reserved_mills, found.uncertain_mills


def book(store, *, reserved, spent, day="2026-11-17", buy=1, month="2026-11"):
    """Write the entry of a purchase."""
    booked = LedgerEntry(day=day, buy=buy, month=month, reserved_mills=reserved, spent_mills=spent)
    store.write(f"twitter_ledger/month={month}/{day}-{buy}.json", encoded(booked))


# A request


def test_a_post_that_x_has_charged_today_is_reserved_at_its_price_and_booked_as_nothing(store):
    with budget(store, run=500) as drawn:
        with drawn.reserve("rereads", 100, 100) as reservation:
            reserved = entry(store).reserved_mills
            reservation.settle(response(100, "rereads"))
        spend(drawn, 40, kind="rereads")
    assert (reserved, *mills(store)) == (500, 0, 0, 0)
    assert entry(store).would_have_cost_usd == 0.7


def test_the_entry_of_a_snapshot_has_its_age_and_a_name_of_its_own(store):
    with budget(store, entry="2026-11-18-age-7", age=7) as drawn:
        spend(drawn, 3)
    found = entry(store, "twitter_ledger/month=2026-11/2026-11-18-age-7.json")
    assert (found.day, found.age, found.spent_mills) == ("2026-11-18", 7, 15)


def test_a_page_may_take_the_last_mill(store):
    with budget(store, run=525) as drawn:
        assert spend(drawn, 100) == 100
        assert spend(drawn, 5) == 5
        with pytest.raises(OverBudget, match=r"\$0\.525 of \$0\.53 are spent"):
            spend(drawn, 0)


@pytest.mark.parametrize(("cap", "spent"), [(5_000, r"\$4\.980 of \$5\.00"), (1_000, r"\$4\.980 of \$1\.00")])
def test_less_than_the_smallest_page_is_refused_also_where_the_cap_was_lowered(store, cap, spent):
    message = rf"{spent} are spent \(Variable {RUN}\); .* at least 5 posts, up to \$0\.025\. Raise {RUN}"
    with budget(store, run=cap, posts=996) as drawn, pytest.raises(OverBudget, match=message):
        spend(drawn, 0)


def test_a_response_that_could_not_be_stored_stays_booked(store):
    with budget(store, run=500) as drawn:
        lose(drawn, 90)
    assert (entry(store).spent_mills, entry(store).lost_mills, entry(store).bought) == (
        450,
        450,
        BilledUnits(),
    )
    with budget(store, run=500) as drawn:
        assert spend(drawn, 2) == 10
    assert (entry(store).spent_mills, entry(store).bought) == (460, BilledUnits(posts=2))


def test_a_response_that_was_stored_although_its_writer_got_no_reply_is_booked_once(store):
    stored = Stored()
    with budget(store) as drawn, pytest.raises(OSError), drawn.reserve("posts", 100, 5) as reservation:
        stored.add(reservation.settle(response(90)))
        raise OSError("S3 has it, and its reply is lost")
    assert entry(store).lost_mills == 450
    with budget(store, stored=stored):
        pass
    found = entry(store)
    assert (found.spent_mills, found.lost_mills, found.bought) == (450, 0, BilledUnits(posts=90))


@pytest.mark.parametrize(
    ("error", "uncertain"),
    [
        (NoResponse(""), 500),
        (RecursionError(), 500),
        (KeyboardInterrupt(), 500),
        (Outage(""), 0),
        (Stopped(), 0),
    ],
)
def test_a_request_without_a_response_is_uncertain_if_x_may_have_billed_it(store, error, uncertain):
    with budget(store) as drawn, pytest.raises(type(error)), drawn.reserve("posts", 100, 5):
        raise error
    assert spent_of_month(store, RECEIVED) == uncertain


def test_what_is_uncertain_counts_against_the_caps_of_the_purchase_and_of_the_month(store):
    with budget(store, run=1_000) as drawn:
        time_out(drawn)
        time_out(drawn, 7, "users")
        assert spend(drawn, 0) == 86
    assert mills(store) == (0, 570, 570)
    assert [each.bought for each in entry(store).uncertain.values()] == [BilledUnits(posts=100, users=7)]
    refused = pytest.raises(OverBudget, match=r"\$0\.570 of requests without a response")
    with budget(store, run=1_000) as drawn, refused:
        spend(drawn, 0, smallest=87)
    with budget(store, month=1_000, day="2026-11-17") as other:
        assert spend(other, 0) == 86


def test_a_booked_amount_stays_what_it_was_when_the_price_changes(store, monkeypatch):
    old = {**pricing.prices(RECEIVED)}
    lists = {date(2026, 1, 1): old, date(2027, 1, 2): old | {"posts": 6}}
    monkeypatch.setattr(pricing, "PRICE_LISTS", lists)
    stored = Stored()
    stored.add(response(100))
    with budget(store, run=1_000, stored=stored, clock=lambda: IN_JANUARY) as drawn:
        assert spend(drawn, 10, size=100) == 83
    later = entry(store, KEY.replace("2026-11/", "2027-01/"))
    assert (entry(store).spent_mills, later.spent_mills) == (500, 60)
    assert stored.mills == {"2026-11": 500, "2027-01": 60}


# Caps


@pytest.mark.parametrize(
    ("run", "posts", "month", "others", "named", "text"),
    [
        (5_000, 998, 100_000, 0, RUN, "$4.990 of $5.00 are spent"),
        (5_000, 0, 100_000, 99_990, MONTH, "$99.990 of $100.00 are spent"),
        (5_000, 997, 6_000, 1_005, MONTH, "$5.990 of $6.00 are spent"),
        (0, 0, 100, 80, MONTH, "$0.080 of $0.10 are spent"),
    ],
)
def test_the_tighter_of_two_caps_is_the_one_that_is_named(store, run, posts, month, others, named, text):
    book(store, reserved=others, spent=others)
    with budget(store, run=run, month=month, posts=posts) as drawn, pytest.raises(OverBudget) as refused:
        spend(drawn, 0)
    assert str(refused.value).startswith(f"{text} (Variable {named});")
    assert ({RUN, MONTH} - {named}).pop() not in str(refused.value)


@pytest.mark.parametrize(
    ("other", "size"),
    [
        ({"reserved": 900, "spent": 0}, 20),
        ({"reserved": 50, "spent": 50}, 190),
        ({"reserved": 0, "spent": 900}, 20),
        ({"reserved": 900, "spent": 0, "day": "2026-11-18", "buy": 11}, 20),
        ({"reserved": 900, "spent": 0, "day": "2026-11-18", "buy": 1}, 200),
        ({"reserved": 900, "spent": 0, "month": "2026-10"}, 200),
    ],
    ids=["reserved", "settled", "more spent than reserved", "another purchase of the day",
         "this purchase itself", "the month before"],
)  # fmt: skip
def test_a_month_is_what_its_other_purchases_may_cost_and_this_one(store, other, size):
    book(store, **other)
    with budget(store, month=1_000) as drawn:
        assert spend(drawn, 0, size=200) == size


def test_of_two_that_reserve_at_once_none_spends_what_the_other_may():
    store = OvertakenStore()
    with ExitStack() as other:
        drawn = other.enter_context(budget(store, month=600, day="2026-11-17"))
        store.meanwhile = lambda: other.enter_context(drawn.reserve("posts", 100, 5))
        with budget(store, month=600) as late, pytest.raises(OverBudget, match="2026-11-17, not settled"):
            spend(late, 0)


def test_each_month_has_an_entry_and_a_cap_and_both_are_in_the_cap_of_the_purchase(store):
    moment = MIDNIGHT[0]
    book(store, reserved=200, spent=200, month="2026-12")
    with budget(store, run=1_000, month=600, clock=lambda: moment) as drawn:
        assert spend(drawn, 110, size=500) == 120
        moment = MIDNIGHT[1]
        assert spend(drawn, 70, size=500) == 80
        assert spend(drawn, 10, size=500) == 10
        with pytest.raises(OverBudget, match=MONTH):
            spend(drawn, 0)
    months = [entry(store, KEY.replace("2026-11/", f"2026-{month}/")) for month in (11, 12)]
    assert [(each.month, each.spent_mills) for each in months] == [("2026-11", 550), ("2026-12", 400)]


def test_a_request_is_booked_in_the_month_in_which_it_was_reserved(store):
    moment = MIDNIGHT[0]
    with budget(store, clock=lambda: moment) as drawn, drawn.reserve("posts", 100, 5) as reservation:
        moment = MIDNIGHT[1]
        assert reservation.settle(response(2)).sent_at == MIDNIGHT[0]
    assert (entry(store).month, entry(store).bought) == ("2026-11", BilledUnits(posts=2))


# The ledger


def test_a_reservation_is_written_before_the_request_and_is_a_dollar_at_a_time(store):
    with budget(store) as drawn:
        with drawn.reserve("posts", 100, 5) as reservation:
            assert mills(store) == (0, 1_000, 0)
            reservation.settle(response(100))
        spend(drawn, 100)
        assert store.written == [KEY]
        with drawn.reserve("posts", 100, 5):
            assert mills(store) == (1_000, 2_000, 0)
    assert mills(store) == (1_000, 1_000, 0)


@pytest.mark.parametrize("caps", [{"run": 700, "posts": 100}, {"month": 700}])
def test_no_more_is_reserved_than_the_caps_let_be_spent(store, caps):
    with budget(store, **caps) as drawn, drawn.reserve("posts", 100, 5):
        assert entry(store).reserved_mills == 700


def test_a_settled_entry_has_what_was_bought_and_what_it_cost(store):
    with budget(store, posts=100) as drawn:
        spend(drawn, 100)
        for kind, units in [("users", 2), ("counts", 24), ("own_posts", 3)]:
            spend(drawn, units, 2, 1, kind)
    assert entry(store) == LedgerEntry(
        day="2026-11-18",
        buy=1,
        month="2026-11",
        reserved_mills=1_028,
        checked_mills=1_028,
        spent_mills=1_028,
        spent_usd=1.028,
        bought=BilledUnits(posts=200, own_posts=3, users=2, counts=1),
    )


def test_of_others_only_the_entries_that_have_changed_are_read_again(store, monkeypatch):
    for day in (14, 15, 16):
        book(store, reserved=0, spent=0, day=f"2026-11-{day}")
    with budget(store, month=2_000) as drawn:
        spend(drawn, 0)
        read = []
        monkeypatch.setattr(store, "get_many", lambda keys: read.extend(keys) or map(store.get, keys))
        assert spend(drawn, 0, size=300) == 300
        book(store, reserved=1_000, spent=1_000, day="2026-11-15")
        assert spend(drawn, 0, size=400) == 200
    assert read == ["twitter_ledger/month=2026-11/2026-11-15-1.json"]


# Failures and other processes


class BrokenStore:
    """S3 fails a few times, before or `after` it has done its work."""

    def __init__(self, store, method, times=1, *, after=False):
        self._store, self.method, self.times, self.after = store, method, times, after

    def __getattr__(self, name):
        done = getattr(self._store, name)
        if name != self.method or not self.times:
            return done
        self.times -= 1

        def fail(*arguments):
            if self.after:
                done(*arguments)
            raise OSError("S3 is away")

        return fail


def test_what_was_reserved_and_not_checked_is_not_used_by_others_and_is_given_back(store):
    book(store, reserved=40, spent=40)
    with budget(BrokenStore(store, "etags", times=2), month=60) as drawn:
        for _ in range(2):
            with pytest.raises(OSError):
                spend(drawn, 0)
        assert spend(drawn, 0, size=100, smallest=4) == 4
    assert entry(store).reserved_mills == 0


def test_a_reservation_whose_write_failed_is_not_used(store):
    with budget(BrokenStore(store, "put_if_match", times=2)) as drawn:
        for _ in range(2):
            with pytest.raises(OSError):
                spend(drawn, 0)


def test_a_write_of_ones_own_that_arrives_late_is_not_taken_for_that_of_another_process(store):
    with budget(BrokenStore(store, "put_if_match", after=True)) as drawn:
        with pytest.raises(OSError):
            spend(drawn, 0)
        assert spend(drawn, 3, size=400) == 400
    assert mills(store) == (15, 15, 0)


def test_a_killed_process_may_have_had_in_flight_what_it_had_checked_and_not_spent(store):
    killed = budget(store)
    time_out(killed)
    spend(killed, 100)
    spend(killed, 100)
    assert (*mills(store), entry(store).checked_mills) == (500, 2_000, 500, 2_000)
    with budget(store, posts=200):
        pass
    assert mills(store) == (1_000, 2_000, 1_000)
    assert [each.bought for each in entry(store).uncertain.values()] == [BilledUnits(posts=200)]
    with budget(store, posts=200) as drawn:
        spend(drawn, 1)
    assert mills(store) == (1_005, 2_005, 1_000), "it is booked once"


def test_a_reservation_that_was_never_checked_had_no_request_in_flight(store):
    with pytest.raises(OSError):
        spend(budget(BrokenStore(store, "etags"), month=60), 0)
    assert entry(store).reserved_mills > 60
    with budget(store, month=60) as drawn:
        assert spend(drawn, 0) == 12
    assert entry(store).uncertain_mills == 0


def test_a_process_that_was_taken_over_reserves_no_more_and_adds_what_it_lost(store):
    with budget(store) as late:
        lose(late, 10)
        with budget(store, posts=2) as drawn:
            spend(drawn, 3)
        with pytest.raises(WriteConflict):
            spend(late, 0, size=200)
    assert mills(store) == (75, 75, 0)
    assert (entry(store).lost_mills, entry(store).bought) == (50, BilledUnits(posts=5))


@pytest.mark.parametrize(("cap", "size"), [(0, 200), (1_075, 200), (1_074, 199)])
def test_a_loss_that_is_added_while_more_is_reserved_takes_nothing_of_it_but_for_the_cap(cap, size):
    store = OvertakenStore()
    with ExitStack() as late:
        lose(late.enter_context(budget(store)), 10)
        with budget(store, run=cap, posts=2) as drawn:
            spend(drawn, 3)
            store.meanwhile = late.close
            assert spend(drawn, 0, size=200) == size
    assert mills(store) == (75, 75, 0)


def test_what_a_killed_process_may_have_had_in_flight_stays_uncertain_when_another_one_adds_a_loss():
    store = OvertakenStore()
    with ExitStack() as late:
        lose(late.enter_context(budget(store)), 10)
        with budget(store) as killed:
            spend(killed, 0)
            before = store.read(KEY)
        store.write(KEY, before)  # it never settled
        with budget(store) as drawn:
            store.meanwhile = late.close
            spend(drawn, 1)
    assert (entry(store).spent_mills, entry(store).uncertain_mills) == (55, 1_000)


# Several readers


@pytest.fixture
def side_by_side(monkeypatch):
    """Runs a job in a thread of its own, until it waits for the budget; returns its future."""
    with ThreadPoolExecutor(8) as pool:

        def begin(drawn, job):
            waits, wait = Semaphore(0), drawn._changed.wait
            monkeypatch.setattr(drawn._changed, "wait", lambda: waits.release() or wait(), raising=False)
            future = pool.submit(job)
            assert waits.acquire(timeout=10)
            return future

        yield begin


@pytest.mark.parametrize(
    ("cap", "size", "came_first", "then"),
    [(500, 100, 0, 100), (700, 100, 60, 80), (1_000, 150, 50, 150)],
    ids=["takes what is given back", "takes a smaller page", "takes the whole page that fits now"],
)
def test_what_does_not_fit_waits_for_the_request_in_flight(store, side_by_side, cap, size, came_first, then):
    with budget(store, run=cap) as drawn:
        with drawn.reserve("posts", 100, 5) as reservation:
            waiting = side_by_side(drawn, lambda: spend(drawn, 0, size=size))
            reservation.settle(response(came_first))
        assert waiting.result(timeout=10) == then


def test_readers_that_wait_are_refused_once_nothing_is_in_flight_and_nothing_fits(store, side_by_side):
    with budget(store, run=500) as drawn:
        with drawn.reserve("posts", 100, 5) as reservation:
            readers = [side_by_side(drawn, lambda: spend(drawn, 0)) for _ in range(8)]
            reservation.settle(response(100))
        for reader in readers:
            assert isinstance(reader.exception(timeout=10), OverBudget)


@pytest.fixture
def hasty():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_eight_readers_that_draw_at_random_never_pass_the_cap_and_the_sum_is_exact(hasty, store):
    book(store, reserved=30_000, spent=30_000)
    limit, prices = 60_000, pricing.prices(RECEIVED)
    start, counting = Barrier(8), Lock()
    # A reservation is counted after it was made, and no more before it ends: never more than what is out.
    known = {"reserved": 0, "spent": 0, "most": 0}

    def reader(number):
        chance = random.Random(number)  # noqa: S311
        start.wait(5)
        for _ in range(10_000):
            kind, size, smallest = chance.choice(
                [("posts", chance.randint(5, 100), 5), ("users", 20, 20), ("counts", 1, 1)]
            )
            try:
                with drawn.reserve(kind, size, smallest) as reservation:
                    assert smallest <= reservation.size <= size
                    page = response(chance.randint(0, reservation.size), kind)
                    with counting:
                        known["reserved"] += prices[kind] * reservation.size
                        known["most"] = max(known["most"], known["reserved"] + known["spent"])
                    with counting:
                        known["reserved"] -= prices[kind] * reservation.size
                        known["spent"] += prices[kind] * page.billed
                    reservation.settle(page)
            except OverBudget:
                return True
        return False

    with budget(store, run=limit, month=100_000) as drawn, ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(reader, number) for number in range(8)]
        ended = [each.result(timeout=30) for each in readers]
    assert ended == [True] * 8
    assert known["most"] <= limit
    assert entry(store).spent_mills == entry(store).reserved_mills == known["spent"]
    assert limit - 200 < known["spent"] <= limit
