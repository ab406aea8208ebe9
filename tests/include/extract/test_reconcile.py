"""X's counts compared with what arrived, and what is requested because of it."""

from collections import Counter

import pytest

from include.twitter.errors import (
    BadKeys,
    BadRequest,
    LeaseHeld,
    NoAccess,
    NoCredits,
    NoPermission,
    Outage,
    OverBudget,
    RateLimited,
    UnexpectedResponse,
)
from include.twitter.extract.account_state import Event, State
from include.twitter.extract.counts import Count
from include.twitter.extract.progress import AccountProgress
from include.twitter.extract.reconcile import Reconciler, reconcile
from include.twitter.sources import account_sources
from tests.include.factories import DAY, RECEIVED, account_read, make_response


def read(id_, **hours):
    """An account that was read to the end of the day, with so many posts of each hour."""
    account = AccountProgress(id_, id_, DAY, 0, account_sources(id_))
    account.bind(id_, id_)
    account.state = State.READ
    account.posts.hours = {
        f"{hour}-{number}": hour for hour, posts in hours.items() for number in range(posts)
    }
    return account


def count(**hours):
    return Count(sum(hours.values()), Counter(hours), RECEIVED)


class Replies:
    """Replies in turn, or raises; keeps what was requested."""

    def __init__(self, *replies):
        self.replies, self.requests = [*replies], []

    def __call__(self, request):
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply(request) if callable(reply) else reply


class Reconciling(Reconciler):
    """With replies to counts and to verifications; `pauses` are not waited for."""

    def __init__(self, counts=(), pages=(), *, cached=None, is_gone=lambda _: False):
        self.pauses = []
        replies = Replies(*counts), Replies(*pages)
        super().__init__(*replies, is_gone, self.pauses.append, cached or {})


def total(number):
    return make_response(meta={"total_tweet_count": number}, kind="counts")


def page(**hours):
    """A page of the verification with so many more posts."""

    def arrive(account):
        more = {f"more-{hour}-{number}": hour for hour, posts in hours.items() for number in range(posts)}
        account.verification.hours |= more
        return True

    return arrive


NASA, ESA, EMPTY, MANY = read("1", h09=3), read("2", h10=1), read("3"), read("4", h09=200)
EQUAL, HIGHER, LOWER, NO_COUNT = Event.COUNT_EQUAL, Event.COUNT_HIGHER, Event.COUNT_LOWER, Event.NO_COUNT


@pytest.mark.parametrize(
    ("batch", "counted", "is_shared", "events"),
    [
        pytest.param([NASA], count(h09=3), False, [EQUAL], id="equal"),
        pytest.param([NASA], count(h23=3), False, [EQUAL], id="a single account needs no hours"),
        pytest.param([NASA], count(h09=4), False, [HIGHER], id="higher"),
        pytest.param([NASA], count(h09=2), True, [LOWER], id="lower"),
        pytest.param([NASA, ESA], count(h09=3, h10=1, h11=0), False, [EQUAL] * 2, id="equal in each hour"),
        pytest.param([NASA, ESA], count(h09=2, h10=2), False, [None, None], id="a surplus hides nothing"),
        pytest.param([NASA, ESA], count(h09=3), False, [None, None], id="fewer"),
        pytest.param([MANY, EMPTY], count(h09=205), False, [None, None], id="counted one by one"),
        pytest.param([MANY, EMPTY], count(h09=205), True, [NO_COUNT, None], id="within the tolerance"),
        pytest.param([MANY, EMPTY], count(h09=250), True, [None, None], id="beyond the tolerance"),
        pytest.param([MANY, EMPTY], count(h10=200), True, [None, None], id="other hours"),
    ],
)
def test_a_count_is_compared_with_what_arrived(batch, counted, is_shared, events):
    assert [event for event, _ in reconcile(batch, counted, is_shared=is_shared)] == events


def test_a_match_of_a_batch_has_its_number_of_accounts():
    assert "4 posts of 2 accounts together" in str(reconcile([NASA, ESA], count(h09=3, h10=1))[0])


def test_accounts_are_batched_as_cached_counts_are_and_the_others_by_twenty():
    cached = {("1", "2", "3"): count(), ("2", "3"): count(), ("1", "99"): count()}
    reconciler = Reconciling(cached=cached)
    others = [read(str(number)) for number in range(10, 32)]
    batches = reconciler.batches([read("1"), read("2"), read("3"), *others])
    assert [[account.id for account in batch] for batch in batches] == [
        ["2", "3"],
        ["1", *map(str, range(10, 29))],
        ["29", "30", "31"],
    ]


@pytest.mark.parametrize(
    ("cached", "empty"),
    [
        ({("3",): count()}, ["3"]),
        ({("3",): count(h09=1)}, []),
        ({("1", "3"): count(h09=3)}, ["3"]),
        ({("1", "3"): count(h09=4)}, []),
        ({("3", "99"): count()}, []),
    ],
)
def test_a_cached_count_confirms_that_an_account_is_empty(cached, empty):
    counted_at = Reconciling(cached=cached).empty_counted_at([NASA, EMPTY])
    assert counted_at == dict.fromkeys(empty, RECEIVED)


@pytest.mark.parametrize(
    ("page", "line", "state"),
    [
        ("buy=1/thread-1/0001", {"proof": "short"}, State.SHORT),
        ("buy=1/thread-1/0001", {"proof": "surplus"}, State.SURPLUS),
        ("buy=1/thread-1/0001", {"proof": "unchecked"}, State.READ),
        ("buy=1/thread-1/0001", {"id": "2"}, State.READ),
        ("buy=1/thread-1/0001", {"outcome": "unavailable"}, State.READ),
        ("buy=1/1/0002", {"proof": "matched"}, State.READ),
    ],
)
def test_an_earlier_proof_is_kept_unless_an_own_page_has_arrived(page, line, state):
    account = read("1")
    account.pages = ["buy=1/1/0001", page]
    Reconciling().restore(account, account_read("1", pages=["buy=1/1/0001"], **{"id": "1"} | line))
    assert account.state is state


# Requests

RETRIED = [Outage, RateLimited]
FINAL = [BadKeys, BadRequest, NoAccess, NoCredits, OverBudget, UnexpectedResponse]


@pytest.mark.parametrize("error", [*RETRIED, *FINAL])
def test_without_a_count_an_account_lands_unchecked_with_the_reason(error, caplog):
    account, tries = read("1", h09=1), 4 if error in RETRIED else 1
    reconciler = Reconciling([error("No count today.")] * 9)
    reconciler.check([account])
    assert account.state is State.UNCHECKED
    assert "No count today." in account.proof_reason
    assert account.proof_reason in caplog.text
    assert len(reconciler.count.requests) == tries
    assert reconciler.pauses == [1, 5, 25][: tries - 1]


@pytest.mark.parametrize("error", [NoPermission("AWS denies it."), LeaseHeld("Another run.", RECEIVED)])
def test_other_errors_end_the_reading(error):
    with pytest.raises(type(error)):
        Reconciling([error]).check([read("1")])


@pytest.mark.parametrize(
    ("replies", "pages", "state", "requests"),
    [
        pytest.param([Outage("503")] * 3 + [total(1)], [], State.MATCHED, (4, 0), id="retried"),
        pytest.param([total(3)], [page(h10=2), False], State.MATCHED, (1, 2), id="found by the search"),
        pytest.param([total(3)], [page(h10=1), False], State.SHORT, (1, 2), id="short after the search"),
        pytest.param([total(3)], [page(h10=3), False], State.SURPLUS, (1, 2), id="a surplus by the search"),
        pytest.param([total(3)], [NoAccess("403")], State.SHORT, (1, 1), id="no search"),
        pytest.param([total(3)], [RateLimited("429")] * 9, State.SHORT, (1, 4), id="no search, retried"),
        pytest.param([make_response(data=[{}])], [], State.UNCHECKED, (1, 0), id="no count in the response"),
    ],
)
def test_a_short_account_is_read_once_more(replies, pages, state, requests):
    account, reconciler = read("1", h09=1), Reconciling(replies, pages)
    reconciler.check([account])
    assert account.state is state
    assert (len(reconciler.count.requests), len(reconciler.verify.requests)) == requests
    assert (account.proof_reason is None) == (state is State.MATCHED)
    assert "It could not be read once more" not in (account.proof_reason or "") or len(pages) != 2


def test_accounts_without_a_count_and_without_a_post_are_read_once_more():
    accounts = [read("1"), read("2", h09=1), read("3")]
    reconciler = Reconciling([NoAccess("403")], [page(h09=2), False, False])
    reconciler.check(accounts)
    assert [account.arrived for account in accounts] == [2, 1, 0]
    assert {account.state for account in accounts} == {State.UNCHECKED}
    assert [account.id for account in reconciler.verify.requests] == ["1", "1", "3"]


def test_what_is_closed_to_all_is_requested_once():
    accounts = [read("1"), read("2")]
    reconciler = Reconciling([NoAccess("No counts.")], [NoAccess("No search.")])
    reconciler.check(accounts)
    reconciler.check([read("3", h09=1)])
    assert (len(reconciler.count.requests), len(reconciler.verify.requests)) == (1, 1)
    assert all("No counts. " in one.proof_reason and "No search." in one.proof_reason for one in accounts)


@pytest.mark.parametrize(
    ("counted", "looked_up", "state"), [(100, False, State.SHORT), (200, True, State.UNAVAILABLE)]
)
def test_an_account_of_which_much_is_missing_may_be_gone(counted, looked_up, state):
    account, look_ups = read("1", h09=99), []

    def is_gone(account):
        look_ups.append(account.id)
        account.mark_unavailable("Suspended.")
        return True

    Reconciling([total(counted)], [False], is_gone=is_gone).check([account])
    assert (account.state, bool(look_ups)) == (state, looked_up)


def test_an_empty_account_without_a_count_may_be_read_to_its_limit():
    def to_the_limit(account):
        account.verification.ended = Event.LIMIT
        return False

    account = read("1")
    Reconciling([NoAccess("403")], [to_the_limit]).check([account])
    assert (account.state, account.proof_reason) == (State.LIMITED, None)
