"""What publishing would take from a landed day."""

from contextlib import nullcontext

import pytest

from include.twitter.errors import Shrunk
from include.twitter.load.guard import lower_counts, require_no_loss
from include.twitter.records import Decrease
from tests.include.invented import DAY, a_receipt, account_receipt


def day_of(**rows):
    """A receipt with that many rows of each account."""
    lines = ((name, published, name.lower()) for name, published in rows.items())
    return a_receipt(*(account_receipt(name, published, id=id_) for name, published, id_ in lines))


# By the numbers in the receipts


@pytest.mark.parametrize(("landed", "now"), [(10, 10), (10, 11), (0, 0), (0, 5)])
def test_an_account_that_keeps_its_rows_has_no_decrease(landed, now):
    assert lower_counts(day_of(NASA=landed), day_of(NASA=now)) == []


def test_an_account_with_one_row_less_has_a_decrease():
    assert lower_counts(day_of(NASA=10), day_of(NASA=9)) == [Decrease("NASA", 10, 9, "nasa")]


def test_an_account_that_is_not_in_the_candidate_has_lost_all_its_rows():
    assert lower_counts(day_of(NASA=10, esa=3), day_of(NASA=10)) == [Decrease("esa", 3, 0, "esa")]


def forgotten(published, number):
    return a_receipt(account_receipt("NASA", published, fetched=published + number, forgotten=number))


@pytest.mark.parametrize(
    ("landed", "now"),
    [((10, 0), (0, 10)), ((10, 0), (4, 6)), ((4, 6), (4, 6)), ((4, 6), (4, 0)), ((4, 6), (3, 7))],
)
def test_rows_that_were_forgotten_since_are_no_decrease(landed, now):
    assert lower_counts(forgotten(*landed), forgotten(*now)) == []


@pytest.mark.parametrize(
    ("landed", "now"), [((10, 0), (3, 6)), ((4, 6), (3, 6)), ((4, 6), (3, 0)), ((4, 6), (2, 7))]
)
def test_rows_that_are_missing_beside_the_forgotten_ones_are_a_decrease(landed, now):
    assert lower_counts(forgotten(*landed), forgotten(*now)) == [Decrease("NASA", landed[0], now[0], "42")]


def test_one_account_that_grew_does_not_hide_another_that_shrank():
    assert lower_counts(day_of(NASA=10, esa=10), day_of(NASA=99, esa=1)) == [Decrease("esa", 10, 1, "esa")]


def test_a_handle_that_is_written_otherwise_is_the_same_account():
    assert lower_counts(day_of(NASA=10), day_of(nasa=10)) == []


def named(username, id_, published):
    return a_receipt(account_receipt(username, published, id=id_))


@pytest.mark.parametrize(
    ("landed", "now"),
    [(("NASA", "1"), ("NASA_now", "1")), (("NASA", None), ("NASA", "1")), (("NASA", "1"), ("NASA", None))],
    ids=["renamed", "its id is known by now", "its id is not known any more"],
)
def test_an_account_is_its_id_and_its_handle_where_there_is_none(landed, now):
    assert lower_counts(named(*landed, 10), named(*now, 10)) == []


def test_a_handle_that_is_another_account_by_now_keeps_nothing_of_the_old_one():
    assert lower_counts(named("NASA", "1", 6), named("NASA", "2", 7)) == [Decrease("NASA", 6, 0, "1")]


# What is refused


@pytest.mark.parametrize(("landed", "now"), [(86, 48), (10, 5), (9, 5), (2, 1)])
def test_a_decrease_of_half_or_less_is_told_and_published(landed, now, caplog):
    require_no_loss([Decrease("NASA", landed, now)], DAY, accepted=False)
    assert caplog.messages == [f"NASA: {landed} rows are landed, this run has {now}"]


@pytest.mark.parametrize(("landed", "now"), [(10, 4), (9, 4), (1, 0), (300, 149)])
def test_a_loss_of_more_than_half_publishes_nothing_and_says_what_to_do(landed, now):
    with pytest.raises(Shrunk) as refused:
        require_no_loss([Decrease("NASA", landed, now)], DAY, accepted=False)
    assert str(refused.value) == (
        "Nothing is published: 2026-11-18 would lose rows. "
        f"NASA: {landed} rows are landed, this run has {now}. "
        "If that is right, add 2026-11-18 to Variable twitter_allow_row_loss and clear `load`. "
        "If more was bought of the day since, clear `transform`."
    )


def test_only_the_losses_are_refused_and_all_decreases_are_told(caplog):
    with pytest.raises(Shrunk) as refused:
        require_no_loss([Decrease("NASA", 10, 9), Decrease("esa", 10, 1)], DAY, accepted=False)
    assert "esa: 10 rows" in str(refused.value)
    assert "NASA" not in str(refused.value)
    assert [message[:4] for message in caplog.messages] == ["NASA", "esa:"]


@pytest.mark.parametrize(("landed", "lost", "is_refused"), [(10, 5, False), (10, 6, True), (1, 1, True)])
def test_what_counts_is_how_many_landed_rows_stay_not_how_many_came_instead(landed, lost, is_refused):
    decrease = Decrease("NASA", landed, 100, "42", tuple(map(str, range(lost))))
    with pytest.raises(Shrunk) if is_refused else nullcontext():
        require_no_loss([decrease], DAY, accepted=False)


def test_an_accepted_loss_is_told_and_so_is_who_accepted_it(caplog):
    require_no_loss([Decrease("NASA", 10, 0)], DAY, accepted=True)
    assert caplog.messages == [
        "NASA: 10 rows are landed, this run has 0",
        "Accepted by twitter_allow_row_loss: NASA: 10 rows are landed, this run has 0",
    ]
