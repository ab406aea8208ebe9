"""Compares X's own counts with the posts that arrived: `reconcile` decides, `Reconciler` sends the requests.

A count costs as much as a post, so accounts are counted together, and one by one only if the sum differs. X
documents that counts and results may differ a little. A missing count never blocks a paid day.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import tenacity

from include.twitter import errors
from include.twitter.extract.account_state import STATE_OF_PROOF, Event, State
from include.twitter.extract.counts import Count, count_of
from include.twitter.extract.progress import AccountProgress
from include.twitter.records import AccountOutcome
from include.twitter.response import Response
from include.twitter.sources import THREADS, author_query, id_batches

log = logging.getLogger(__name__)

RETRIED = (errors.Outage, errors.RateLimited)
PAUSES = (1, 5, 25)
"""Seconds before each further attempt after a transient error."""
FOR_ALL = (
    errors.BadKeys, errors.KeysInDoubt, errors.ClockWrong, errors.NoAccess, errors.NoCredits,
    errors.OverBudget, *RETRIED,
)  # fmt: skip
"""Errors that concern all accounts alike."""
NO_PROOF = (*FOR_ALL, errors.BadRequest, errors.UnexpectedResponse)
"""Errors despite which the day lands, without a count or without the verification."""
COUNT_TOLERANCE = 0.05
"""X counts posts that it does not show: a difference of so small a share is not worth paid requests."""

ResultT = TypeVar("ResultT")


def reconcile(
    batch: Sequence[AccountProgress], count: Count, *, is_shared: bool = False
) -> list[tuple[Event | None, str | None]]:
    """Return the event and the reason for each account of a counted batch; None: count the account alone.

    If a count that is shared with other days differs by little, no account with posts is counted alone: that
    would cost two posts each.
    """
    posts = sum(account.arrived for account in batch)
    if len(batch) == 1:
        return [_compared(count.total, posts)]
    hours: Counter[str] = sum((account.hours for account in batch), Counter())
    if count.total == posts and count.hours == hours:
        reason = f"X counts {count.total} posts of {len(batch)} accounts together, and as many arrived"
        return [(Event.COUNT_EQUAL, reason)] * len(batch)
    if is_shared and posts != count.total and not _exceeds_tolerance(count.total, posts):
        reason = f"X counts {count.total} posts of {len(batch)} accounts, {posts} arrived"
        # An account without a post may be one that X does not show.
        return [(Event.NO_COUNT, reason) if account.arrived else (None, None) for account in batch]
    return [(None, None)] * len(batch)


def _compared(counted: int, arrived: int) -> tuple[Event, str | None]:
    if counted == arrived:
        return Event.COUNT_EQUAL, None
    event = Event.COUNT_HIGHER if counted > arrived else Event.COUNT_LOWER
    return event, f"X counts {counted} posts, {arrived} arrived"


def _exceeds_tolerance(counted: int, arrived: int) -> bool:
    return abs(counted - arrived) > COUNT_TOLERANCE * counted


def _readable(accounts: Iterable[AccountProgress]) -> dict[str, AccountProgress]:
    """The accounts that were read to the end of the day, by label."""
    return {account.label: account for account in accounts if account.state is State.READ}


@dataclass
class Reconciler:
    """Compares accounts with X's counts, several batches at once."""

    count: Callable[[str], Response]
    """Requests X's count of a query for the day."""
    verify: Callable[[AccountProgress], bool]
    """Requests one more page of an account's verification; False if there is none."""
    is_gone: Callable[[AccountProgress], bool]
    """Looks up whether X still shows an account."""
    pause: Callable[[float], None]
    stored: Mapping[tuple[str, ...], Count] = field(default_factory=dict)
    """Cached counts, by the ids of the accounts that were counted together."""
    _failed: dict[str, errors.PipelineError] = field(default_factory=dict)
    """Kinds of requests that are no longer sent, each with the error."""

    def restore(self, account: AccountProgress, entry: AccountOutcome | None) -> None:
        """Keep an earlier proof if no own page has arrived since: self-replies are not compared."""
        if account.state is State.LIMITED and (count := self.stored.get((account.label,))):
            account.counted = count.total
        if account.state is not State.READ or entry is None or entry.id != account.id:
            return
        own_pages = {page for page in account.pages if f"/{THREADS}" not in page}
        if entry.outcome == "complete" and entry.proof in STATE_OF_PROOF and own_pages <= {*entry.pages}:
            account.state = STATE_OF_PROOF[entry.proof]
            account.proof_reason, account.counted = entry.proof_reason, entry.counted

    def batches(self, accounts: Iterable[AccountProgress]) -> list[list[AccountProgress]]:
        """Batch the accounts as cached counts do, and the others into as few requests as X allows."""
        uncounted = _readable(accounts)
        batches = [[uncounted.pop(id_) for id_ in ids] for ids in self._cached(uncounted)]
        batches += [[uncounted.pop(label)] for label, account in [*uncounted.items()] if not account.id]
        return batches + [[uncounted[id_] for id_ in ids] for ids in id_batches(uncounted)]

    def _cached(self, labels: Collection[str]) -> Iterator[tuple[str, ...]]:
        """The cached batches of ids, the smallest first, without one that contains a counted account."""
        uncounted = {*labels}
        for ids in sorted(self.stored, key=len):
            if uncounted.issuperset(ids):
                uncounted -= {*ids}
                yield ids

    def empty_counted_at(self, accounts: Iterable[AccountProgress]) -> dict[str, datetime | None]:
        """When cached counts confirmed that accounts have no post, by label."""
        read = _readable(accounts)
        return {
            id_: self.stored[ids].received_at
            for ids in self._cached(read)
            for id_, (event, _) in zip(
                ids, reconcile([read[id_] for id_ in ids], self.stored[ids]), strict=True
            )
            if event is Event.COUNT_EQUAL and not read[id_].arrived
        }

    def check(self, batch: list[AccountProgress]) -> None:
        """Count a batch, and each account alone if the batch does not match in each hour of the day."""
        ids = tuple(account.label for account in batch)
        query = author_query(ids) if len(ids) > 1 else batch[0].posts.source.count_query()
        shared = self.stored.get(ids)
        if query is None:
            self._set_unchecked(batch[0], "X has no count of it")
            return
        try:
            count = shared or count_of(self._send_retried("count", lambda: self.count(query)))
        except NO_PROOF as error:
            log.warning("%d accounts are not compared with X's count. %s", len(batch), _failure_text(error))
            for account in batch:
                self._set_unchecked(account, _failure_text(error))
            return
        if len(batch) == 1:
            self._compare_alone(batch[0], count.total)
            return
        decisions = reconcile(batch, count, is_shared=shared is not None)
        for account, (event, reason) in zip(batch, decisions, strict=True):
            if event is None:
                self.check([account])
            else:
                account.apply(event)
                account.proof_reason = reason

    def _set_unchecked(self, account: AccountProgress, reason: str) -> None:
        """Give an account no proof; one without a post is read again."""
        account.proof_reason = reason
        if not account.arrived:
            account.apply(Event.EMPTY_WITHOUT_COUNT)
            self._read_again(account)
        if account.state is not State.LIMITED:
            account.apply(Event.NO_COUNT)

    def _compare_alone(self, account: AccountProgress, counted: int) -> None:
        """Compare an account with its own count, and read it once more if it is short."""
        account.counted = counted
        while True:
            event, reason = _compared(counted, account.arrived)
            account.apply(event)
            if account.state is not State.VERIFYING:
                break
            if _exceeds_tolerance(counted, account.arrived) and self._looks_gone(account):
                return
            self._read_again(account)
            if account.state is State.LIMITED:
                return
        if account.state is State.MATCHED:
            account.proof_reason = None
        else:
            account.proof_reason = ". ".join(filter(None, [reason, account.proof_reason]))
            log.warning("%s: %s", account.username, account.proof_reason)

    def _looks_gone(self, account: AccountProgress) -> bool:
        try:
            return self._send_retried("users", lambda: self.is_gone(account))
        except NO_PROOF as error:
            log.warning("%s is not looked up. %s", account.username, _failure_text(error))
            return False

    def _read_again(self, account: AccountProgress) -> None:
        """Read the verification of an account to its end or to the limit."""
        try:
            while self._send_retried("search", lambda: self.verify(account)):
                pass
        except NO_PROOF as error:
            reason = f"It could not be read once more: {_failure_text(error)}"
            account.proof_reason = " ".join(filter(None, [account.proof_reason, reason]))
            log.warning("%s: %s", account.username, reason)
        if account.verification and account.verification.ended is Event.LIMIT:
            account.apply(Event.LIMIT)
            account.proof_reason = None

    def _send_retried(self, kind: str, send: Callable[[], ResultT]) -> ResultT:
        """Send a request, retry transient errors, and send no more of a kind that failed for all accounts."""
        if kind in self._failed:
            raise self._failed[kind]
        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(RETRIED),
                wait=tenacity.wait_chain(*map(tenacity.wait_fixed, PAUSES)),
                stop=tenacity.stop_after_attempt(len(PAUSES) + 1),
                sleep=self.pause,
                before_sleep=tenacity.before_sleep_log(log, logging.INFO),
                reraise=True,
            )(send)
        except FOR_ALL as error:
            self._failed[kind] = error
            raise


def _failure_text(error: errors.PipelineError) -> str:
    return f"{error} It was retried {len(PAUSES)} times." if isinstance(error, RETRIED) else str(error)
