"""One purchase of a day's posts."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier, BrokenBarrierError, Thread

import orjson
import pytest

from include.twitter.errors import NothingStaged
from include.twitter.extract.purchase import (
    COUNTS,
    LOOKUPS,
    REFUSED,
    SEARCHED,
    Purchase,
    month_of,
    staged_answer,
)
from include.twitter.run import Run
from include.twitter.settings import HANDLE
from tests.include.invented import DAY, RECEIVED, SUSPENDED, MemoryLake, answer, post

ROOT = "twitter_raw/dt=2026-11-18/run=c0ffee123456/"


@pytest.fixture
def lake():
    return MemoryLake()


def purchase(lake, attempt=1, run="c0ffee123456"):
    return Purchase(lake, Run(DAY, run, attempt))


def counted(total, received_at=RECEIVED):
    meta = {"total_tweet_count": total}
    pieces = [{"tweet_count": total}, {"tweet_count": 0}]
    return answer(*pieces, meta=meta, path="/2/tweets/counts/recent", received_at=received_at)


def manifest(*outcomes):
    return {"accounts": [{"username": f"user{n}", "outcome": outcome} for n, outcome in enumerate(outcomes)]}


def test_the_first_purchase_of_a_run_is_number_one_whatever_the_try(lake):
    assert purchase(lake).number == 1
    assert purchase(lake, attempt=3).number == 1


def test_an_answer_is_staged_below_day_run_purchase_and_handle(lake):
    bought = purchase(lake)
    bought.stage("NASA", answer(post(1), token="t1"))
    bought.stage("NASA", answer(post(2)))
    bought.stage("esa", answer(post(3)))
    bought.stage(LOOKUPS, answer({"id": "1", "username": "NASA"}))
    bought.stage(COUNTS, counted(3))
    bought.stage(SEARCHED + "NASA", answer(post(3)))
    bought.stage(REFUSED + "NASA", answer(post(4, text=None)))
    bought.close(manifest("complete"))
    assert lake.written == [
        f"{ROOT}buy=1/nasa/0001.json.gz",
        f"{ROOT}buy=1/nasa/0002.json.gz",
        f"{ROOT}buy=1/esa/0001.json.gz",
        f"{ROOT}buy=1/users-by/0001.json.gz",
        f"{ROOT}buy=1/counts-of/0001.json.gz",
        f"{ROOT}buy=1/search-nasa/0001.json.gz",
        f"{ROOT}buy=1/refused-nasa/0001.json.gz",
        f"{ROOT}buy=1/manifest.json",
    ]
    assert bought.manifest == f"{ROOT}buy=1/manifest.json"


@pytest.mark.parametrize("folder", [LOOKUPS, COUNTS, f"{SEARCHED}a", f"{REFUSED}a", f"{REFUSED}search-a"])
def test_a_folder_beside_those_of_the_accounts_is_no_handle(folder):
    assert not HANDLE.fullmatch(folder)


def test_what_was_searched_or_refused_is_no_page_of_the_account(lake):
    bought = purchase(lake)
    bought.stage(SEARCHED + "NASA", answer(post(1)))
    bought.stage(REFUSED + "NASA", answer(post(2)))
    assert bought.pages("NASA") == ()
    assert purchase(lake, attempt=2).pages("NASA") == ()
    assert len(purchase(lake, attempt=2).pages("search-NASA")) == 1


def test_what_was_staged_comes_back_in_order_whatever_the_case_of_the_handle(lake):
    bought = purchase(lake)
    for number in range(1, 12):
        bought.stage("NASA", answer(post(number)))
    again = purchase(lake, attempt=2)
    assert [each.posts[0]["id"][-2:] for each in again.answers("nasa")] == [f"{n:02}" for n in range(1, 12)]
    assert again.pages("Nasa") == bought.pages("NASA")
    assert len(again.pages("NASA")) == 11


def test_an_account_without_a_page_has_none(lake):
    assert purchase(lake).pages("nobody") == ()


def test_an_open_purchase_goes_on_after_its_last_page(lake):
    purchase(lake).stage("NASA", answer(post(1), token="t1"))
    again = purchase(lake, attempt=2)
    assert again.number == 1
    again.stage("NASA", answer(post(2)))
    assert lake.written[-1] == f"{ROOT}buy=1/nasa/0002.json.gz"


@pytest.mark.parametrize("outcomes", [("complete",), ("complete", "limit"), ("limit",)])
def test_a_complete_purchase_is_followed_by_a_new_one(lake, outcomes):
    first = purchase(lake)
    first.stage("NASA", answer(post(1)))
    first.close(manifest(*outcomes))
    second = purchase(lake, attempt=2)
    assert (second.number, second.pages("NASA")) == (2, ())


def test_a_new_purchase_has_the_next_number_whatever_the_try(lake):
    first = purchase(lake)
    first.close(manifest("complete"))
    assert purchase(lake, attempt=5).number == 2


def test_a_new_purchase_never_takes_the_number_of_an_older_one(lake):
    lake.write(f"{ROOT}buy=7/manifest.json", orjson.dumps(manifest("complete")))
    assert purchase(lake, attempt=2).number == 8


def test_a_purchase_with_a_missing_account_goes_on(lake):
    first = purchase(lake)
    first.stage("NASA", answer(post(1)))
    first.stage("gone", answer(errors=[SUSPENDED]))
    first.close(manifest("complete", "unavailable"))
    again = purchase(lake, attempt=2)
    assert again.number == 1
    assert (len(again.pages("NASA")), len(again.pages("gone"))) == (1, 1)


def test_the_newest_of_many_purchases_is_the_one_with_the_highest_number(lake):
    for number in (2, 9, 12):
        lake.write(f"{ROOT}buy={number}/nasa/0001.json.gz", answer(post(number)).packed())
        if number < 12:
            lake.write(f"{ROOT}buy={number}/manifest.json", orjson.dumps(manifest("complete")))
    assert purchase(lake, attempt=3).number == 12


def test_the_purchases_of_another_run_or_day_are_not_touched(lake):
    lake.write("twitter_raw/dt=2026-11-18/run=other/buy=1/nasa/0001.json.gz", answer(post(1)).packed())
    lake.write("twitter_raw/dt=2026-11-17/run=c0ffee123456/buy=1/nasa/0001.json.gz", answer(post(1)).packed())
    assert purchase(lake).pages("NASA") == ()


def test_a_purchase_that_goes_on_knows_the_manifest_of_the_try_before(lake):
    purchase(lake).close(manifest("complete", "unavailable"))
    assert purchase(lake, attempt=2).before == manifest("complete", "unavailable")


@pytest.mark.parametrize("closed", [False, True])
def test_an_open_or_a_new_purchase_has_no_manifest_before_it(lake, closed):
    first = purchase(lake)
    assert first.before is None
    first.stage("NASA", answer(post(1)))
    if closed:
        first.close(manifest("complete"))
    assert purchase(lake, attempt=2).before is None


def test_what_was_bought_is_every_post_and_user_returned_and_every_count_asked_for(lake):
    bought = purchase(lake)
    assert bought.bought() == {"posts": 0, "users": 0, "counts": 0}
    bought.stage(LOOKUPS, answer({"id": "1", "username": "NASA"}, {"id": "2", "username": "esa"}))
    bought.stage("NASA", answer(post(1), post(2), token="t1"))
    bought.stage("NASA", answer())
    bought.stage("gone", answer(errors=[SUSPENDED]))
    bought.stage(COUNTS, counted(700))
    bought.stage(COUNTS, counted(0))
    bought.stage(SEARCHED + "NASA", answer(post(1), post(2), post(3)))
    bought.stage(REFUSED + "esa", answer(post(4, text=None)))
    assert bought.bought() == {"posts": 6, "users": 2, "counts": 2}
    assert purchase(lake, attempt=2).bought() == {"posts": 6, "users": 2, "counts": 2}


def test_what_was_bought_is_told_by_the_utc_month_in_which_x_answered(lake):
    november = datetime(2026, 12, 1, 0, 59, 59, tzinfo=timezone(timedelta(hours=1)))
    december = datetime(2026, 12, 1, tzinfo=UTC)
    bought = purchase(lake)
    bought.stage("NASA", answer(post(1), post(2), token="t1", received_at=november.astimezone(UTC)))
    bought.stage("NASA", answer(post(3), received_at=december))
    bought.stage(COUNTS, counted(3, received_at=december))
    for told in (bought, purchase(lake, attempt=2)):
        assert told.bought("2026-11") == {"posts": 2, "users": 0, "counts": 0}
        assert told.bought("2026-12") == {"posts": 1, "users": 0, "counts": 1}
        assert told.bought("2027-01") == {"posts": 0, "users": 0, "counts": 0}
        assert told.bought() == {"posts": 3, "users": 0, "counts": 1}
    assert month_of(december) == "2026-12"


def test_the_purchase_before_is_not_counted_as_bought_by_the_new_one(lake):
    first = purchase(lake)
    first.stage("NASA", answer(post(1)))
    first.close(manifest("complete"))
    assert purchase(lake, attempt=2).bought() == {"posts": 0, "users": 0, "counts": 0}


class MeetingLake(MemoryLake):
    """Two writers meet in it, if both come: neither has finished before the other has begun."""

    def __init__(self):
        super().__init__()
        self.meeting = Barrier(2)

    def write(self, key, data):
        with suppress(BrokenBarrierError):
            self.meeting.wait(0.2)
        super().write(key, data)


def test_two_readers_that_stage_in_one_folder_at_once_never_write_the_same_key():
    lake = MeetingLake()
    bought = purchase(lake)
    readers = [Thread(target=bought.stage, args=(COUNTS, counted(n)), daemon=True) for n in (1, 2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(5)
    assert sorted(lake.objects) == [
        f"{ROOT}buy=1/counts-of/0001.json.gz",
        f"{ROOT}buy=1/counts-of/0002.json.gz",
    ]
    assert purchase(lake, attempt=2).bought() == {"posts": 0, "users": 0, "counts": 2}


def test_the_manifest_comes_back_as_it_was_closed(lake):
    bought = purchase(lake)
    bought.close(manifest("complete"))
    assert orjson.loads(lake.read(bought.manifest)) == manifest("complete")


def test_a_staged_answer_that_is_gone_says_what_to_do(lake):
    key = f"{ROOT}buy=1/nasa/0001.json.gz"
    with pytest.raises(NothingStaged, match="It was paid for: restore it, or clear `extract`") as error:
        staged_answer(lake, key)
    assert str(error.value).startswith(f"s3://acme-twitter-lake/{key} is gone.")
