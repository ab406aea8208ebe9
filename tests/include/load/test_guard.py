"""What publishing would take from a landed day."""

from contextlib import nullcontext

import pytest

from include.twitter.errors import RowLossBlocked
from include.twitter.load.guard import lower_counts, require_no_loss
from include.twitter.records import Decrease
from tests.include.factories import DAY, a_receipt, account_receipt


def day_of(*accounts):
    """A receipt of accounts by handle, id, rows, and posts that were erased."""
    return a_receipt(
        *(
            account_receipt(name, rows, id=id_, fetched=rows + sum(erased), erased=sum(erased))
            for name, id_, rows, *erased in accounts
        )
    )


NASA, ESA = ("NASA", "1"), ("esa", "2")


@pytest.mark.parametrize(
    ("landed", "now", "decreases"),
    [
        ([(*NASA, 10)], [(*NASA, 10)], []),
        ([(*NASA, 0)], [(*NASA, 5)], []),
        ([(*NASA, 10)], [(*NASA, 9)], [Decrease("NASA", 10, 9, "1")]),
        ([(*NASA, 10), (*ESA, 3)], [(*NASA, 10)], [Decrease("esa", 3, 0, "2")]),
        ([(*NASA, 10), (*ESA, 10)], [(*NASA, 99), (*ESA, 1)], [Decrease("esa", 10, 1, "2")]),
        # erased since
        ([(*NASA, 10)], [(*NASA, 0, 10)], []),
        ([(*NASA, 4, 6)], [(*NASA, 4, 6)], []),
        ([(*NASA, 4, 6)], [(*NASA, 4, 0)], []),
        ([(*NASA, 10)], [(*NASA, 3, 6)], [Decrease("NASA", 10, 3, "1")]),
        ([(*NASA, 4, 6)], [(*NASA, 2, 7)], [Decrease("NASA", 4, 2, "1")]),
        # an account is its id, and its handle if no id is known
        ([("NASA", None, 10)], [("nasa", None, 10)], []),
        ([("NASA", "1", 10)], [("NASA_now", "1", 10)], []),
        ([("NASA", None, 10)], [("NASA", "1", 10)], []),
        ([("NASA", "1", 10)], [("NASA", None, 10)], []),
        ([("NASA", "1", 6)], [("NASA", "2", 7)], [Decrease("NASA", 6, 0, "1")]),
    ],
)
def test_by_the_receipts_an_account_has_lost_rows_if_it_has_fewer_that_were_not_erased(
    landed, now, decreases
):
    assert lower_counts(day_of(*landed), day_of(*now)) == decreases


# What is refused


def test_the_error_names_the_losses_and_the_log_all_decreases(caplog):
    with pytest.raises(RowLossBlocked) as refused:
        require_no_loss([Decrease("NASA", 10, 9), Decrease("esa", 10, 1)], DAY, accepted=False)
    assert ("esa: 10 rows" in str(refused.value), "NASA" in str(refused.value)) == (True, False)
    assert [message[:4] for message in caplog.messages] == ["NASA", "esa:"]


@pytest.mark.parametrize(
    ("decrease", "is_most"),
    [
        *((Decrease("NASA", landed, now), False) for landed, now in ((86, 48), (10, 5), (9, 5), (2, 1))),
        *((Decrease("NASA", landed, now), True) for landed, now in ((10, 4), (9, 4), (1, 0), (300, 149))),
        # What counts is how many landed rows stay, not how many came instead.
        (Decrease("NASA", 10, 100, "42", tuple("12345")), False),
        (Decrease("NASA", 10, 100, "42", tuple("123456")), True),
    ],
)
def test_the_loss_of_more_than_half_is_refused_unless_it_is_accepted(decrease, is_most, caplog):
    with pytest.raises(RowLossBlocked, match="twitter_allow_row_loss") if is_most else nullcontext():
        require_no_loss([decrease], DAY, accepted=False)
    caplog.clear()
    require_no_loss([decrease], DAY, accepted=True)
    assert ("Accepted by twitter_allow_row_loss" in caplog.text) == is_most
