"""The only function that can cost money."""

import json

import pytest

from include.twitter.errors import LeaseExpired, Outage, OverBudget, UnexpectedResponse, WriteConflict
from include.twitter.extract.budget import Budget, Caps, Stored
from include.twitter.extract.paid_requests import NamedResponses, PaidRequests
from include.twitter.records import BilledUnits, LedgerEntry, decoded
from include.twitter.response import Response
from tests.include.factories import RECEIVED, MemoryStore

PREFIX = "twitter_plans/0a1b2c3d4e5f/"
LEDGER = "twitter_ledger/month=2026-11/2026-11-18-1.json"


class FakeX:
    """Sends so many posts, if that many are requested."""

    def __init__(self, posts=3):
        self.posts, self.sizes = posts, []

    def __call__(self, size):
        self.sizes.append(size)
        content = json.dumps({"data": [{"id": str(number)} for number in range(min(size, self.posts))]})
        return Response("/2/tweets", {}, RECEIVED, content.encode())


class Requests:
    """Requests of one purchase, each with a budget of its own."""

    def __init__(self, cap=0):
        self.store, self.stored, self.cap = MemoryStore(), Stored(), cap
        self.responses = NamedResponses(self.store, PREFIX)

    def ask(self, x, name="0a1b", smallest=5, before_sending=lambda: None, **options):
        caps = Caps(("run", self.cap), ("month", 0))
        with Budget(self.store, ("2026-11-18", 1), caps, self.stored, lambda: RECEIVED) as budget:
            requests = PaidRequests(budget, self.responses, before_sending)
            return requests.ask(name, "posts", 100, smallest, x, **options)

    @property
    def entry(self):
        return decoded(self.store.read(LEDGER), LedgerEntry)

    @property
    def names(self):
        return [key.removeprefix(PREFIX) for key in self.store.keys(PREFIX)]


@pytest.fixture
def requests():
    return Requests()


def test_a_response_is_paid_for_once(requests):
    first, x = FakeX(), FakeX()
    key, response = requests.ask(first)
    assert (key, requests.names, first.sizes) == (f"{PREFIX}0a1b.json.gz", ["0a1b.json.gz"], [100])
    assert requests.responses.made_progress
    again = requests.ask(x)
    assert (again[0], again[1].content, again[1].id) == (key, response.content, response.id)
    assert x.sizes == []
    entry = requests.entry
    assert (entry.bought, entry.spent_mills, entry.lost_mills) == (BilledUnits(posts=3), 15, 0)


def test_no_more_is_requested_than_the_budget_covers(requests):
    requests.cap, x = 300, FakeX()
    requests.ask(x)
    assert x.sizes == [60]
    with pytest.raises(OverBudget):
        requests.ask(x, "2c3d", smallest=60)
    assert (x.sizes, requests.names) == ([60], ["0a1b.json.gz"])


def test_a_request_that_may_not_be_sent_any_more_is_neither_sent_nor_booked(requests):
    def stop():
        raise LeaseExpired("the lease was lost")

    x = FakeX()
    with pytest.raises(LeaseExpired):
        requests.ask(x, before_sending=stop)
    assert (x.sizes, requests.names) == ([], [])
    assert requests.entry.charged_mills == requests.entry.reserved_mills == 0


def test_a_response_that_cannot_be_used_is_paid_for_stored_aside_and_raised(requests):
    with pytest.raises(UnexpectedResponse, match="of others"):
        requests.ask(FakeX(), problem=lambda _: UnexpectedResponse("posts of others"))
    assert requests.names == ["refused-0a1b.json.gz"]
    assert (requests.entry.bought, requests.entry.spent_mills) == (BilledUnits(posts=3), 15)
    requests.ask(x := FakeX())
    assert x.sizes == [100], "it is requested again"


@pytest.mark.parametrize(("posts", "lost"), [(0, 0), (3, 15)])
def test_what_x_has_billed_for_a_response_that_must_not_be_stored_stays_booked(requests, posts, lost):
    def fail(response):
        raise Outage("a part of X failed")

    with pytest.raises(Outage):
        requests.ask(FakeX(posts), problem=fail)
    assert (requests.names, requests.responses.made_progress) == ([], False)
    assert (requests.entry.spent_mills, requests.entry.lost_mills) == (lost, lost)


def test_a_response_that_another_process_has_stored_meanwhile_is_lost_and_stays_booked(requests):
    def overtake(response):
        requests.store.write(f"{PREFIX}0a1b.json.gz", response.to_bytes("another process"))

    with pytest.raises(WriteConflict):
        requests.ask(FakeX(), problem=overtake)
    assert (requests.entry.lost_mills, requests.entry.bought) == (15, BilledUnits())
