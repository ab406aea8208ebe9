"""What X charges, the caps that no request may cross, and the ledger of what was spent."""

import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, date, datetime
from threading import Barrier, Lock, Thread

import pytest

from include.twitter import pricing
from include.twitter.errors import BadRequest, NoResponse, Outage, OverBudget, RateLimited, WriteConflict
from include.twitter.extract.budget import Budget, Caps, Stored, spent_of_month
from include.twitter.extract.reader import Stopped
from include.twitter.pricing import NEWEST
from include.twitter.records import BilledUnits, LedgerEntry, decoded, encoded
from include.twitter.response import Response
from tests.include.factories import RECEIVED, MemoryStore, OvertakenStore

RUN, MONTH = "twitter_run_budget_usd", "twitter_month_budget_usd"
KEY = "twitter_ledger/month=2026-11/2026-11-18-1.json"


@pytest.fixture
def lake():
    return MemoryStore()


def budget(lake, *, run=0, month=0, posts=0, buy=1, day="2026-11-18", clock=lambda: RECEIVED):
    """What a purchase of the day may spend; `posts` are those that it has staged before."""
    stored = Stored({"2026-11": BilledUnits(posts=posts)}, {"2026-11": 5 * posts}) if posts else Stored()
    made = Budget(lake, (day, buy), Caps((RUN, run), (MONTH, month)), stored, clock)
    made.stored = stored
    return made


def came(number, kind="posts"):
    """An answer with so many things."""
    return Response("/2", {}, RECEIVED, json.dumps({"data": [0] * number}).encode(), kind=kind)


def spend(drawn, number, wanted=100, smallest=5, kind="posts"):
    """Ask for a page, of which that many posts come and are stored; returns how many were asked for."""
    with drawn.reserve(kind, wanted, smallest) as reserved:
        reserved.settle(came(number, kind))
    return reserved.size


def entry(lake, key=KEY):
    return decoded(lake.read(key), LedgerEntry)


def booked(lake, *, reserved, spent, day="2026-11-17", buy=1, month="2026-11"):
    """The entry of a purchase."""
    booked = LedgerEntry(day=day, buy=buy, month=month, reserved_mills=reserved, spent_mills=spent)
    lake.write(f"twitter_ledger/month={month}/{day}-{buy}.json", encoded(booked))


# What is free


def test_a_post_that_x_has_charged_today_is_held_at_its_price_and_booked_as_nothing(lake):
    with budget(lake, run=500) as drawn:
        with drawn.reserve("rereads", 100, 100) as reserved:
            held = entry(lake)
            reserved.settle(came(100, "rereads"))
        spend(drawn, 40, kind="rereads")
    assert (held.reserved_mills, held.spent_mills) == (500, 0)
    assert (entry(lake).reserved_mills, entry(lake).spent_mills) == (0, 0)
    assert entry(lake).would_have_cost_usd == 0.7


def test_the_entry_of_what_is_read_again_has_its_age_and_a_name_of_its_own(lake):
    caps, name = Caps((RUN, 0), (MONTH, 0)), "2026-11-18-age-7"
    stored = Stored()
    with Budget(lake, ("2026-11-18", 0), caps, stored, lambda: RECEIVED, name, 7) as drawn:
        drawn.stored = stored
        spend(drawn, 3)
    (key,) = lake.keys("twitter_ledger/")
    assert key == "twitter_ledger/month=2026-11/2026-11-18-age-7.json"
    found = decoded(lake.read(key), LedgerEntry)
    assert (found.day, found.buy, found.age, found.spent_mills) == ("2026-11-18", 0, 7, 15)
    assert not found.is_of_purchase


# Holding


def test_what_x_did_not_bill_is_given_back(lake):
    with budget(lake, run=1_000) as drawn:
        assert spend(drawn, 3) == 100
        assert spend(drawn, 0, wanted=500) == 197
        assert spend(drawn, 0, wanted=500) == 197


def test_a_page_may_take_the_last_mill(lake):
    with budget(lake, run=525) as drawn:
        assert spend(drawn, 100) == 100
        assert spend(drawn, 5) == 5
        with pytest.raises(OverBudget, match=r"\$0\.525 of \$0\.53 are spent"):
            spend(drawn, 0)


@pytest.mark.parametrize(("cap", "spent"), [(5_000, r"\$4\.980 of \$5\.00"), (1_000, r"\$4\.980 of \$1\.00")])
def test_less_than_the_smallest_page_is_refused_also_where_the_cap_was_lowered(lake, cap, spent):
    refused = pytest.raises(
        OverBudget,
        match=rf"{spent} are spent \(Variable {RUN}\); .* at least 5 posts, up to \$0\.025\. Raise {RUN}",
    )
    with budget(lake, run=cap, posts=996) as drawn, refused:
        spend(drawn, 0)


def test_a_look_up_is_bought_whole_or_not_at_all(lake):
    with budget(lake, run=290) as drawn, pytest.raises(OverBudget, match="at least 30 users, up to "):
        drawn.reserve("users", 30, 30).__enter__()


def test_what_x_has_billed_stays_booked_when_its_answer_cannot_be_kept(lake):
    with pytest.raises(OSError), budget(lake, run=500) as drawn, drawn.reserve("posts", 100, 5) as reserved:
        reserved.settle(came(90))
        raise OSError("S3 refuses")
    assert (entry(lake).spent_mills, entry(lake).lost_mills, entry(lake).bought) == (450, 450, BilledUnits())
    with budget(lake, run=500) as drawn:
        assert spend(drawn, 2) == 10
    assert (entry(lake).spent_mills, entry(lake).bought) == (460, BilledUnits(posts=2))


# What may have been billed


def test_a_request_without_a_response_is_uncertain_and_counts_against_the_cap(lake):
    with budget(lake, run=1_000) as drawn:
        with pytest.raises(NoResponse), drawn.reserve("posts", 100, 5):
            raise NoResponse("a read timeout")
        with pytest.raises(NoResponse), drawn.reserve("users", 7, 7):
            raise NoResponse("a read timeout")
        assert spend(drawn, 0) == 86
    found = entry(lake)
    assert (found.spent_mills, found.uncertain_mills, found.reserved_mills) == (0, 570, 570)
    assert [each.bought for each in found.uncertain.values()] == [BilledUnits(posts=100, users=7)]
    with (
        budget(lake, run=1_000) as drawn,
        pytest.raises(OverBudget, match=r"\$0\.570 of requests without a response"),
    ):
        spend(drawn, 0, smallest=87)


def test_what_is_uncertain_counts_against_the_month_of_other_purchases(lake):
    with budget(lake, day="2026-11-17") as drawn, pytest.raises(NoResponse), drawn.reserve("posts", 100, 5):
        raise NoResponse("a read timeout")
    with budget(lake, month=1_000) as drawn:
        assert spend(drawn, 0, wanted=200) == 100
    assert spent_of_month(lake, RECEIVED) == 500


@pytest.mark.parametrize(
    ("error", "mills"),
    [
        (NoResponse(""), 500),
        (Outage(""), 0),
        (RateLimited(""), 0),
        (BadRequest(""), 0),
        (WriteConflict(""), 0),
        (Stopped(), 0),
        (RecursionError(), 500),
        (KeyboardInterrupt(), 500),
    ],
)
def test_only_what_x_may_have_processed_is_uncertain(lake, error, mills):
    with budget(lake) as drawn, pytest.raises(type(error)), drawn.reserve("posts", 100, 5):
        raise error
    assert spent_of_month(lake, RECEIVED) == mills


# A process that was killed


def test_who_was_killed_may_have_had_in_flight_what_it_had_checked_and_not_spent(lake):
    killed = budget(lake)
    spend(killed, 100)
    with budget(lake, posts=100):
        pass
    found = entry(lake)
    assert (found.spent_mills, found.uncertain_mills, found.reserved_mills) == (500, 500, 1_000)
    with budget(lake, posts=100) as drawn:
        spend(drawn, 1)
    assert entry(lake).uncertain_mills == 500, "it is taken up once"


def test_what_was_in_flight_of_a_killed_process_comes_in_addition_to_its_requests_without_a_response(lake):
    killed = budget(lake)
    with pytest.raises(NoResponse), killed.reserve("posts", 100, 5):
        raise NoResponse("a read timeout")
    spend(killed, 100)
    spend(killed, 100)
    written = entry(lake)
    assert (written.spent_mills, written.uncertain_mills, written.checked_mills) == (500, 500, 2_000)
    with budget(lake, posts=200):
        pass
    found = entry(lake)
    assert (found.spent_mills, found.uncertain_mills) == (1_000, 1_000)
    assert [each.bought for each in found.uncertain.values()] == [BilledUnits(posts=200)]


def test_a_reservation_that_was_never_checked_is_not_taken_for_requests(lake):
    killed = BrokenLake(lake)
    with pytest.raises(OSError):
        spend(budget(killed, month=60), 0)
    assert entry(lake).reserved_mills > 60
    with budget(lake, month=60) as drawn:
        assert spend(drawn, 0) == 12
    assert entry(lake).uncertain_mills == 0


# What was lost, and stored after all


def test_a_response_that_was_stored_although_its_writer_never_heard_of_it_is_booked_once(lake):
    stored = Stored()
    with budget(lake) as drawn, pytest.raises(OSError), drawn.reserve("posts", 100, 5) as reserved:
        stored.add(reserved.settle(came(90)))
        raise OSError("S3 has it, and its reply is lost")
    assert entry(lake).lost_mills == 450
    with Budget(lake, ("2026-11-18", 1), Caps((RUN, 0), (MONTH, 0)), stored, lambda: RECEIVED):
        pass
    found = entry(lake)
    assert (found.spent_mills, found.lost_mills, found.bought) == (450, 0, BilledUnits(posts=90))


# A price that changes


@pytest.fixture
def dearer(monkeypatch):
    """X raises its prices on 1 January 2027."""
    raised = {kind: price + 1 for kind, price in NEWEST.items()} | {"rereads": 0}
    monkeypatch.setitem(pricing.PRICE_LISTS, date(2027, 1, 1), raised)


JANUARY = datetime(2027, 1, 2, tzinfo=UTC)


def test_a_booked_amount_stays_what_it_was_when_the_price_changes(lake, dearer):
    stored = Stored()
    stored.add(came(100))
    with Budget(lake, ("2026-11-18", 1), Caps((RUN, 1_000), (MONTH, 0)), stored, lambda: JANUARY) as drawn:
        drawn.stored = stored
        assert spend(drawn, 10, wanted=100) == 83
    later = entry(lake, KEY.replace("2026-11/", "2027-01/"))
    assert (entry(lake).spent_mills, later.spent_mills) == (500, 60)
    assert stored.mills == {"2026-11": 500, "2027-01": 60}


# Caps


class BrokenLake:
    """S3 fails while the month is added up, so many times."""

    def __init__(self, lake, times=1):
        self._lake, self.times = lake, times

    def __getattr__(self, name):
        return getattr(self._lake, name)

    def etags(self, prefix):
        if self.times:
            self.times -= 1
            raise OSError("S3 is away")
        return self._lake.etags(prefix)


def test_what_was_reserved_and_not_checked_is_not_used_by_others_and_is_given_back(lake):
    booked(lake, reserved=40, spent=40)
    with budget(BrokenLake(lake, times=2), month=60) as drawn:
        for _ in range(2):
            with pytest.raises(OSError):
                spend(drawn, 0)
        assert spend(drawn, 0, wanted=100, smallest=4) == 4
    assert entry(lake).reserved_mills == 0


def test_a_reservation_whose_write_failed_is_not_used(lake):
    class Away(BrokenLake):
        def put_if_match(self, *about):
            if self.times:
                self.times -= 1
                raise OSError("S3 is away")
            return self._lake.put_if_match(*about)

    broken = Away(lake)
    with budget(broken) as drawn:
        with pytest.raises(OSError):
            spend(drawn, 0)
        broken.times = 1
        with pytest.raises(OSError):
            spend(drawn, 0)


@pytest.mark.parametrize(
    ("run", "posts", "month", "others", "named", "said"),
    [
        (5_000, 998, 100_000, 0, RUN, "$4.990 of $5.00 are spent"),
        (5_000, 0, 100_000, 99_990, MONTH, "$99.990 of $100.00 are spent"),
        (5_000, 997, 6_000, 1_005, MONTH, "$5.990 of $6.00 are spent"),
        (0, 0, 100, 80, MONTH, "$0.080 of $0.10 are spent"),
    ],
)
def test_the_tighter_of_two_caps_is_the_one_that_is_named(lake, run, posts, month, others, named, said):
    booked(lake, reserved=others, spent=others)
    with budget(lake, run=run, month=month, posts=posts) as drawn, pytest.raises(OverBudget) as refused:
        spend(drawn, 0)
    other = ({RUN, MONTH} - {named}).pop()
    assert str(refused.value).startswith(f"{said} (Variable {named});")
    assert other not in str(refused.value)


@pytest.mark.parametrize(
    ("other", "size"),
    [
        ({"reserved": 900, "spent": 0}, 20),
        ({"reserved": 900, "spent": 900}, 20),
        ({"reserved": 50, "spent": 50}, 190),
        ({"reserved": 0, "spent": 900}, 20),
        ({"reserved": 900, "spent": 0, "day": "2026-11-18", "buy": 2}, 20),
        ({"reserved": 900, "spent": 0, "day": "2026-11-18", "buy": 11}, 20),
        ({"reserved": 900, "spent": 0, "day": "2026-11-18", "buy": 1}, 200),
        ({"reserved": 900, "spent": 0, "month": "2026-10"}, 200),
        ({"reserved": 900, "spent": 0, "month": "2026-12"}, 200),
    ],
    ids=["reserved", "settled", "settled for less", "more spent than reserved", "the day's next purchase",
         "the day's eleventh purchase", "this purchase itself", "the month before", "the month after"],
)  # fmt: skip
def test_a_month_is_what_its_other_purchases_may_cost_and_this_one(lake, other, size):
    booked(lake, **other)
    with budget(lake, month=1_000) as drawn:
        assert spend(drawn, 0, wanted=200) == size


def test_of_two_that_reserve_at_once_none_spends_what_the_other_may():
    lake = OvertakenStore()
    with ExitStack() as other:
        drawn = other.enter_context(budget(lake, month=600, day="2026-11-17"))
        lake.meanwhile = lambda: other.enter_context(drawn.reserve("posts", 100, 5))
        with budget(lake, month=600) as late, pytest.raises(OverBudget, match="2026-11-17: not settled"):
            spend(late, 0)


# The turn of the month

TURNING = [datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)]


def test_each_month_has_an_entry_and_a_cap_and_both_are_in_the_cap_of_the_purchase(lake):
    moment = TURNING[0]
    booked(lake, reserved=200, spent=200, month="2026-12")
    with budget(lake, run=1_000, month=600, clock=lambda: moment) as drawn:
        assert spend(drawn, 110, wanted=500) == 120
        moment = TURNING[1]
        assert spend(drawn, 70, wanted=500) == 80
        assert spend(drawn, 10, wanted=500) == 10
        with pytest.raises(OverBudget, match=MONTH):
            spend(drawn, 0)
    months = [entry(lake, KEY.replace("2026-11/", f"2026-{month}/")) for month in (11, 12)]
    assert [(each.month, each.spent_mills) for each in months] == [("2026-11", 550), ("2026-12", 400)]


def test_a_request_is_booked_in_the_month_in_which_it_was_held_whenever_its_answer_comes(lake):
    moment = TURNING[0]
    with budget(lake, clock=lambda: moment) as drawn, drawn.reserve("posts", 100, 5) as reserved:
        moment = TURNING[1]
        response = reserved.settle(came(2))
        assert response.sent_at == TURNING[0]
    assert (entry(lake).month, entry(lake).bought) == ("2026-11", BilledUnits(posts=2))


# The ledger


def test_a_reservation_is_written_before_the_request_and_is_a_dollar_at_a_time(lake):
    with budget(lake) as drawn:
        with drawn.reserve("posts", 100, 5) as reserved:
            assert (entry(lake).reserved_mills, entry(lake).spent_mills) == (1_000, 0)
            reserved.settle(came(100))
        spend(drawn, 100)
        assert lake.written == [KEY]
        with drawn.reserve("posts", 100, 5):
            assert (entry(lake).reserved_mills, entry(lake).spent_mills) == (2_000, 1_000)
    assert (entry(lake).reserved_mills, entry(lake).spent_mills) == (1_000, 1_000)


@pytest.mark.parametrize(
    ("caps", "reserved"), [({"run": 700}, 700), ({"month": 700}, 700), ({"run": 700, "posts": 100}, 700)]
)
def test_no_more_is_reserved_than_the_caps_let_be_spent(lake, caps, reserved):
    with budget(lake, **caps) as drawn, drawn.reserve("posts", 100, 5):
        assert entry(lake).reserved_mills == reserved


def test_a_settled_entry_tells_what_was_bought_and_what_it_cost(lake):
    with budget(lake, posts=100) as drawn:
        spend(drawn, 100)
        for kind, number in [("users", 2), ("counts", 24), ("own_posts", 3)]:
            spend(drawn, number, 2, 1, kind)
    assert json.loads(lake.read(KEY)) == {
        "format": 1,
        "day": "2026-11-18",
        "buy": 1,
        "age": 0,
        "month": "2026-11",
        "reserved_mills": 1_028,
        "checked_mills": 1_028,
        "spent_mills": 1_028,
        "lost_mills": 0,
        "uncertain_mills": 0,
        "spent_usd": 1.028,
        "would_have_cost_usd": 0,
        "bought": {"posts": 200, "own_posts": 3, "users": 2, "counts": 1, "archive_counts": 0, "rereads": 0},
        "lost_responses": {},
        "uncertain": {},
        "writer": "",
    }


def test_what_was_staged_and_never_booked_is_booked_by_the_next_try(lake):
    booked(lake, reserved=1_000, spent=0, day="2026-11-18")
    with budget(lake, posts=160):
        pass
    assert (entry(lake).reserved_mills, entry(lake).spent_mills) == (800, 800)


def test_who_was_taken_over_reserves_no_more(lake):
    with budget(lake) as late:
        spend(late, 100)
        with budget(lake, posts=100) as drawn:
            spend(drawn, 1)
        with pytest.raises(WriteConflict):
            spend(late, 0, wanted=200)
    assert (entry(lake).spent_mills, entry(lake).reserved_mills) == (505, 505)


def test_what_was_lost_after_a_takeover_is_added_to_the_entry_of_who_took_over(lake):
    with budget(lake) as late:
        with pytest.raises(OSError), late.reserve("posts", 100, 5) as reserved:
            reserved.settle(came(10))
            raise OSError("the page is another's")
        with budget(lake, posts=2) as drawn:
            spend(drawn, 3)
    assert (entry(lake).spent_mills, entry(lake).reserved_mills, entry(lake).lost_mills) == (75, 75, 50)
    assert entry(lake).bought == BilledUnits(posts=5)


def test_who_took_over_goes_on_when_nothing_but_a_loss_was_added_to_its_entry(lake):
    with ExitStack() as late:
        stale = late.enter_context(budget(lake))
        with pytest.raises(OSError), stale.reserve("posts", 100, 5) as reserved:
            reserved.settle(came(10))
            raise OSError("the page is another's")
        with budget(lake, posts=2) as drawn:
            spend(drawn, 3)
            late.close()
            assert entry(lake).lost_mills == 50
            spend(drawn, 4, wanted=500)
    assert (entry(lake).spent_mills, entry(lake).bought) == (95, BilledUnits(posts=9))


@pytest.mark.parametrize(("cap", "size"), [(0, 200), (1_075, 200), (1_074, 199)])
def test_a_loss_that_is_added_while_more_is_reserved_takes_nothing_of_it_but_for_the_cap(cap, size):
    lake = OvertakenStore()
    with ExitStack() as late:
        stale = late.enter_context(budget(lake))
        with pytest.raises(OSError), stale.reserve("posts", 100, 5) as reserved:
            reserved.settle(came(10))
            raise OSError("the page is another's")
        with budget(lake, run=cap, posts=2) as drawn:
            spend(drawn, 3)
            lake.meanwhile = late.close
            assert spend(drawn, 0, wanted=200) == size
    assert (entry(lake).spent_mills, entry(lake).reserved_mills) == (75, 75)


def test_a_write_of_ones_own_that_arrives_late_is_not_taken_for_that_of_another_process(lake):
    class Late(BrokenLake):
        def put_if_match(self, *about):
            tag = self._lake.put_if_match(*about)
            if self.times:
                self.times -= 1
                raise OSError("S3 has written it, and answers too late")
            return tag

    with budget(Late(lake)) as drawn:
        with pytest.raises(OSError):
            spend(drawn, 0)
        assert spend(drawn, 3, wanted=400) == 400
    assert (entry(lake).spent_mills, entry(lake).uncertain_mills) == (15, 0)


def test_what_a_killed_process_may_have_had_in_flight_stays_uncertain_when_another_one_adds_a_loss():
    lake = OvertakenStore()
    with ExitStack() as late:
        stale = late.enter_context(budget(lake))
        with pytest.raises(OSError), stale.reserve("posts", 100, 5) as reserved:
            reserved.settle(came(10))
            raise OSError("the page is another's")
        with budget(lake) as killed:
            spend(killed, 0)
            lake.write(KEY, before := lake.read(KEY))
        lake.write(KEY, before)  # it never settled
        with budget(lake) as drawn:
            lake.meanwhile = late.close
            spend(drawn, 1)
    assert (entry(lake).spent_mills, entry(lake).uncertain_mills) == (55, 1_000)


class WatchedLake(MemoryStore):
    """Tells which objects were read side by side."""

    def __init__(self):
        super().__init__()
        self.read_so_far = []

    def get_many(self, keys):
        self.read_so_far += keys
        return super().get_many(keys)


def test_of_others_only_the_entries_that_have_changed_are_read_again():
    lake = WatchedLake()
    for day in (14, 15, 16):
        booked(lake, reserved=0, spent=0, day=f"2026-11-{day}")
    with budget(lake, month=2_000) as drawn:
        spend(drawn, 0)
        lake.read_so_far.clear()
        assert spend(drawn, 0, wanted=300) == 300
        booked(lake, reserved=1_000, spent=1_000, day="2026-11-15")
        assert spend(drawn, 0, wanted=400) == 200
    assert lake.read_so_far == ["twitter_ledger/month=2026-11/2026-11-15-1.json"]


# Several readers


def side_by_side(job):
    """Begin a job in a thread of its own; returns what waits for it, and what it came to."""
    ended = []

    def run():
        try:
            ended.append(job())
        except OverBudget as error:
            ended.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread, ended


@pytest.mark.parametrize(
    ("cap", "wanted", "came_first", "then"),
    [(500, 100, 0, 100), (700, 100, 60, 80), (1_000, 150, 50, 150)],
    ids=["takes what is given back", "takes a smaller page", "takes the whole page that fits now"],
)
def test_what_does_not_fit_waits_for_the_request_in_flight(lake, cap, wanted, came_first, then):
    with budget(lake, run=cap) as drawn:
        with drawn.reserve("posts", 100, 5) as reserved:
            waiting, ended = side_by_side(lambda: spend(drawn, 0, wanted=wanted))
            waiting.join(0.1)
            assert waiting.is_alive()
            reserved.settle(came(came_first))
        waiting.join(5)
    assert ended == [then]


def test_readers_that_wait_are_refused_once_nothing_is_in_flight_and_nothing_fits(lake):
    with budget(lake, run=500) as drawn:
        with drawn.reserve("posts", 100, 5) as reserved:
            readers = [side_by_side(lambda: spend(drawn, 0)) for _ in range(8)]
            readers[0][0].join(0.1)
            assert all(waiting.is_alive() for waiting, _ in readers)
            reserved.settle(came(100))
        for waiting, _ in readers:
            waiting.join(5)
    assert [str(ended[0])[:25] for _, ended in readers] == ["$0.500 of $0.50 are spent"] * 8


@pytest.fixture
def hasty():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_eight_readers_that_draw_at_random_never_pass_the_cap_and_the_sum_is_exact(hasty, lake):
    booked(lake, reserved=30_000, spent=30_000)
    limit = 60_000
    start, counting = Barrier(8), Lock()
    # Told of a hold after it, and of its end before it: never more than what is really out.
    known = {"held": 0, "spent": 0, "most": 0}

    def reader(number):
        chance = random.Random(number)  # noqa: S311
        start.wait(5)
        for _ in range(10_000):
            kind, wanted, smallest = chance.choice(
                [("posts", chance.randint(5, 100), 5), ("users", 20, 20), ("counts", 1, 1)]
            )
            try:
                with drawn.reserve(kind, wanted, smallest) as reserved:
                    assert smallest <= reserved.size <= wanted
                    answer = came(chance.randint(0, reserved.size), kind)
                    with counting:
                        known["held"] += NEWEST[kind] * reserved.size
                        known["most"] = max(known["most"], known["held"] + known["spent"])
                    with counting:
                        known["held"] -= NEWEST[kind] * reserved.size
                        known["spent"] += NEWEST[kind] * answer.billed
                    reserved.settle(answer)
            except OverBudget:
                return True
        return False

    with budget(lake, run=limit, month=100_000) as drawn, ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(reader, number) for number in range(8)]
        ended = [each.result(timeout=30) for each in readers]
    assert ended == [True] * 8
    assert known["most"] <= limit
    assert entry(lake).spent_mills == entry(lake).reserved_mills == known["spent"]
    assert limit - 200 < known["spent"] <= limit
