"""What X charges, and the caps that no request may cross."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock, Thread

import pytest

from include.twitter import budget
from include.twitter.errors import OverBudget
from include.twitter.extract.money import Budget, Cap

RUN, MONTH = "twitter_run_budget_usd", "twitter_month_budget_usd"


def dollars_for_a_run(mills, spent=0):
    return Budget(Cap(RUN, mills, spent))


def side_by_side(job):
    """Begin a job in a thread of its own; returns what waits for it, and what it came to."""
    came = []

    def run():
        try:
            came.append(job())
        except OverBudget as error:
            came.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    return thread, came


# Prices


def test_a_post_costs_half_a_cent_a_user_a_cent_and_a_count_half_a_cent():
    assert budget.cost({"posts": 1}) == 5
    assert budget.cost({"users": 1}) == 10
    assert budget.cost({"counts": 1}) == 5


def test_nothing_read_costs_nothing():
    assert budget.cost({}) == 0
    assert budget.cost({"posts": 0, "users": 0, "counts": 0}) == 0


def test_a_sum_of_many_reads_has_no_binary_dust():
    assert budget.cost({"posts": 2_407, "users": 3, "counts": 6}) == 12_095
    assert budget.dollars(12_095) == 12.095


def test_a_thing_without_a_price_is_not_free():
    with pytest.raises(KeyError):
        budget.cost({"likes": 1})


# Holding and settling


def test_what_is_held_is_no_room_for_another():
    drawn = dollars_for_a_run(1_000)
    assert drawn.room == 1_000
    assert drawn.hold("posts", 100, 5) == 100
    assert drawn.room == 500
    assert drawn.hold("users", 2, 2) == 2
    assert drawn.room == 480
    assert drawn.hold("counts", 1, 1) == 1
    assert drawn.room == 475


def test_what_x_did_not_bill_is_given_back():
    drawn = dollars_for_a_run(1_000)
    drawn.hold("posts", 100, 5)
    drawn.settle("posts", 100, 3)
    assert drawn.room == 985
    drawn.hold("posts", 100, 5)
    drawn.settle("posts", 100, 0)
    assert drawn.room == 985


def test_what_was_spent_before_counts_against_the_cap():
    assert dollars_for_a_run(1_000, spent=400).room == 600


def test_a_page_that_does_not_fit_is_a_smaller_one():
    assert dollars_for_a_run(1_000, spent=800).hold("posts", 100, 5) == 40


def test_a_page_may_take_the_last_mill():
    drawn = dollars_for_a_run(525)
    assert drawn.hold("posts", 100, 5) == 100
    drawn.settle("posts", 100, 100)
    assert drawn.hold("posts", 100, 5) == 5
    assert drawn.room == 0


def test_a_rest_that_buys_no_whole_post_is_left():
    drawn = dollars_for_a_run(39)
    assert drawn.hold("posts", 100, 5) == 7
    assert drawn.room == 4


def test_less_than_the_smallest_page_is_refused_naming_the_setting_what_was_spent_and_what_was_planned():
    drawn = dollars_for_a_run(5_000, spent=4_000)
    drawn.hold("posts", 100, 5)
    drawn.settle("posts", 100, 100)
    drawn.hold("posts", 96, 5)
    drawn.settle("posts", 96, 96)
    with pytest.raises(OverBudget) as refused:
        drawn.hold("posts", 100, 5)
    assert str(refused.value) == (
        "$4.980 of $5.00 are spent (Variable twitter_run_budget_usd); the next request is for at least "
        "5 posts, up to $0.025. Raise twitter_run_budget_usd and clear `extract`: "
        "it goes on where it stopped."
    )


def test_a_refusal_holds_nothing():
    drawn = dollars_for_a_run(24)
    with pytest.raises(OverBudget):
        drawn.hold("posts", 100, 5)
    assert drawn.room == 24
    assert drawn.hold("users", 2, 2) == 2


def test_a_look_up_is_bought_whole_or_not_at_all():
    with pytest.raises(OverBudget, match="at least 30 users, up to "):
        dollars_for_a_run(290).hold("users", 30, 30)


def test_a_cap_that_was_lowered_below_what_is_spent_refuses_and_does_not_stumble():
    with pytest.raises(OverBudget, match=r"\$4\.000 of \$1\.00 are spent"):
        dollars_for_a_run(1_000, spent=4_000).hold("counts", 1, 1)


# Caps


def test_zero_is_no_cap():
    free = Budget(Cap(RUN, 0, 9_999), Cap(MONTH, 0, 9_999))
    assert free.room is None
    assert free.hold("posts", 500, 10) == 500
    assert free.hold("posts", 500, 10) == 500


def test_without_a_cap_there_is_no_end():
    assert Budget().room is None


def test_a_cap_of_zero_does_not_lift_the_other():
    capped = Budget(Cap(RUN, 0, 0), Cap(MONTH, 100, 80))
    assert capped.room == 20
    with pytest.raises(OverBudget, match=MONTH):
        capped.hold("posts", 100, 5)


@pytest.mark.parametrize(
    ("run", "month", "named", "said"),
    [
        ((5_000, 4_990), (100_000, 4_990), RUN, "$4.990 of $5.00 are spent"),
        ((5_000, 0), (100_000, 99_990), MONTH, "$99.990 of $100.00 are spent"),
        ((5_000, 4_985), (6_000, 5_990), MONTH, "$5.990 of $6.00 are spent"),
    ],
)
def test_the_tighter_of_two_caps_is_the_one_that_is_named(run, month, named, said):
    capped = Budget(Cap(RUN, *run), Cap(MONTH, *month))
    with pytest.raises(OverBudget) as refused:
        capped.hold("posts", 100, 5)
    other = ({RUN, MONTH} - {named}).pop()
    assert str(refused.value).startswith(f"{said} (Variable {named});")
    assert other not in str(refused.value)


# Several readers


def test_what_does_not_fit_waits_for_the_request_in_flight_and_takes_what_it_gives_back():
    drawn = dollars_for_a_run(500)
    drawn.hold("posts", 100, 5)
    waiting, came = side_by_side(lambda: drawn.hold("posts", 100, 5))
    waiting.join(0.1)
    assert waiting.is_alive()
    drawn.settle("posts", 100, 0)
    waiting.join(5)
    assert came == [100]


def test_a_smaller_page_is_taken_only_after_those_in_flight_have_come_back():
    drawn = dollars_for_a_run(700)
    drawn.hold("posts", 100, 5)
    waiting, came = side_by_side(lambda: drawn.hold("posts", 100, 5))
    waiting.join(0.1)
    assert waiting.is_alive()  # 40 posts would fit at once
    drawn.settle("posts", 100, 60)
    waiting.join(5)
    assert came == [80]


def test_a_reader_that_waits_takes_a_whole_page_as_soon_as_one_fits():
    drawn = dollars_for_a_run(1_000)
    drawn.hold("posts", 100, 5)
    drawn.hold("posts", 100, 5)
    waiting, came = side_by_side(lambda: drawn.hold("posts", 50, 5))
    waiting.join(0.1)
    assert waiting.is_alive()
    drawn.settle("posts", 100, 50)
    waiting.join(5)
    assert came == [50]
    assert drawn.room == 0


def test_a_reader_that_waits_is_refused_once_nothing_is_in_flight_and_nothing_fits():
    drawn = dollars_for_a_run(500)
    drawn.hold("posts", 100, 5)
    waiting, came = side_by_side(lambda: drawn.hold("posts", 100, 5))
    waiting.join(0.1)
    assert waiting.is_alive()
    drawn.settle("posts", 100, 100)
    waiting.join(5)
    assert [str(error)[:25] for error in came] == ["$0.500 of $0.50 are spent"]


def test_all_that_wait_are_told_and_none_is_forgotten():
    drawn = dollars_for_a_run(500)
    drawn.hold("posts", 100, 5)
    readers = [side_by_side(lambda: drawn.hold("posts", 100, 5)) for _ in range(8)]
    drawn.settle("posts", 100, 100)
    for waiting, _ in readers:
        waiting.join(5)
    assert [type(came[0]) for _, came in readers] == [OverBudget] * 8


@pytest.fixture
def hasty():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_eight_readers_that_draw_at_random_never_pass_the_cap_and_the_sum_is_exact(hasty, seed):
    limit = 60_000
    drawn = Budget(Cap(RUN, limit, 0), Cap(MONTH, 100_000, 30_000))
    start, counting = Barrier(8), Lock()
    # Told of a hold after it, and of its end before it: never more than what is really out.
    known = {"held": 0, "spent": 0, "most": 0}

    def reader(number):
        chance = random.Random(seed * 100 + number)  # noqa: S311
        start.wait(5)
        for _ in range(10_000):
            kind, wanted, smallest = chance.choice(
                [("posts", chance.randint(5, 100), 5), ("users", 20, 20), ("counts", 1, 1)]
            )
            try:
                held = drawn.hold(kind, wanted, smallest)
            except OverBudget:
                return True
            assert smallest <= held <= wanted
            billed = chance.randint(0, held)
            with counting:
                known["held"] += budget.PRICES[kind] * held
                known["most"] = max(known["most"], known["held"] + known["spent"])
            with counting:
                known["held"] -= budget.PRICES[kind] * held
                known["spent"] += budget.PRICES[kind] * billed
            drawn.settle(kind, held, billed)
        return False

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(reader, number) for number in range(8)]
        ended = [each.result(timeout=30) for each in readers]
    assert ended == [True] * 8
    assert known["most"] <= limit
    assert drawn.room == limit - known["spent"]
    assert 0 <= drawn.room < 200
