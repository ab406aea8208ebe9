"""The only function that can cost money."""

import json

import pytest

from include.twitter.errors import (
    LeaseExpired,
    NoResponse,
    Outage,
    OverBudget,
    UnexpectedAnswer,
    WriteConflict,
)
from include.twitter.extract.budget import Budget, Caps, Stored
from include.twitter.extract.paid_requests import NamedResponses, PaidRequests
from include.twitter.extract.reader import Stopped
from include.twitter.records import BilledUnits, LedgerEntry, decoded
from include.twitter.response import Response
from tests.include.factories import RECEIVED, MemoryStore

PREFIX = "twitter_plans/0a1b2c3d4e5f/"
LEDGER = "twitter_ledger/month=2026-11/2026-11-18-1.json"


class FakeX:
    """Sends so many posts, if that many are asked for."""

    def __init__(self, posts=3, error=None):
        self.posts, self.error, self.sizes = posts, error, []

    def __call__(self, size):
        self.sizes.append(size)
        if self.error:
            raise self.error
        content = json.dumps({"data": [{"id": str(number)} for number in range(min(size, self.posts))]})
        return Response("/2/tweets", {}, RECEIVED, content.encode())


class Asking:
    def __init__(self, cap=0):
        self.lake, self.stored, self.cap = MemoryStore(), Stored(), cap
        self.responses = NamedResponses(self.lake, PREFIX)

    def ask(self, x, name="0a1b", wanted=100, smallest=5, **options):
        before = options.pop("before_sending", lambda: None)
        caps = Caps(("run", self.cap), ("month", 0))
        with Budget(self.lake, ("2026-11-18", 1), caps, self.stored, lambda: RECEIVED) as budget:
            requests = PaidRequests(budget, self.responses, before)
            return requests.ask(name, "posts", wanted, smallest, x, **options)

    @property
    def entry(self):
        return decoded(self.lake.read(LEDGER), LedgerEntry)

    @property
    def keys(self):
        return [key.removeprefix(PREFIX) for key in self.lake.keys(PREFIX)]


@pytest.fixture
def asking():
    return Asking()


def test_a_response_is_paid_for_once(asking):
    first, x = FakeX(), FakeX()
    key, response = asking.ask(first)
    assert (key, asking.keys, first.sizes) == (f"{PREFIX}0a1b.json.gz", ["0a1b.json.gz"], [100])
    assert asking.responses.made_progress
    again = asking.ask(x)
    assert (again[0], again[1].content, again[1].id) == (key, response.content, response.id)
    assert x.sizes == []
    assert (asking.entry.bought, asking.entry.spent_mills, asking.entry.lost_mills) == (
        BilledUnits(posts=3),
        15,
        0,
    )


def test_no_more_is_requested_than_the_budget_covers(asking):
    asking.cap = 300
    x = FakeX()
    asking.ask(x)
    assert x.sizes == [60]
    with pytest.raises(OverBudget):
        asking.ask(x, "2c3d", smallest=60)
    assert (x.sizes, asking.keys) == ([60], ["0a1b.json.gz"])


@pytest.mark.parametrize("error", [Stopped(), LeaseExpired("the lease was lost")])
def test_what_may_not_be_sent_any_more_is_neither_sent_nor_booked(asking, error):
    def stop():
        raise error

    x = FakeX()
    with pytest.raises(type(error)):
        asking.ask(x, before_sending=stop)
    assert (x.sizes, asking.keys) == ([], [])
    assert asking.entry.charged_mills == asking.entry.reserved_mills == 0


def test_a_response_that_cannot_be_used_is_paid_for_stored_aside_and_raised(asking):
    with pytest.raises(UnexpectedAnswer, match="of others"):
        asking.ask(FakeX(), problem=lambda _: UnexpectedAnswer("posts of others"))
    assert asking.keys == ["refused-0a1b.json.gz"]
    assert (asking.entry.bought, asking.entry.spent_mills) == (BilledUnits(posts=3), 15)
    assert len(asking.ask(x := FakeX())[1].posts) == 3
    assert x.sizes == [100], "it is requested anew"


@pytest.mark.parametrize(("posts", "lost"), [(0, 0), (3, 15)])
def test_a_response_that_is_none_is_not_stored_and_what_x_has_billed_stays_booked(asking, posts, lost):
    def none(response):
        raise Outage("a part of X failed")

    with pytest.raises(Outage):
        asking.ask(FakeX(posts), problem=none)
    assert (asking.keys, asking.responses.made_progress) == ([], False)
    assert (asking.entry.spent_mills, asking.entry.lost_mills) == (lost, lost)


def test_a_response_that_another_process_has_stored_meanwhile_is_lost_and_stays_booked(asking):
    def quicker(response):
        asking.lake.write(f"{PREFIX}0a1b.json.gz", response.to_bytes("another process"))

    with pytest.raises(WriteConflict):
        asking.ask(FakeX(), problem=quicker)
    assert (asking.entry.lost_mills, asking.entry.bought) == (15, BilledUnits())


@pytest.mark.parametrize(("error", "uncertain"), [(Outage("500"), 0), (NoResponse("a read timeout"), 500)])
def test_a_request_that_fails_costs_nothing_unless_x_may_have_answered_it(asking, error, uncertain):
    with pytest.raises(type(error)):
        asking.ask(FakeX(error=error))
    assert (asking.entry.spent_mills, asking.entry.uncertain_mills) == (0, uncertain)
