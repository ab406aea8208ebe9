"""X's own counts compared with what arrived: what to do about each account, and a driver that does it.

A count costs as much as a post, so accounts are counted together, and one by one only where the count of a
group is not exactly what arrived. X says that counts and results can differ a little. Whatever becomes of
the comparison, what was paid for lands.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    wait_chain,
    wait_fixed,
)

from include.twitter.errors import (
    BadKeys,
    BadRequest,
    ClockWrong,
    KeysInDoubt,
    NoAccess,
    NoCredits,
    Outage,
    OverBudget,
    PipelineError,
    RateLimited,
    UnexpectedAnswer,
)
from include.twitter.extract.account_state import EVENTS_OF_PROOF, Event, State
from include.twitter.extract.counts import Count, count_of
from include.twitter.extract.progress import AccountProgress
from include.twitter.records import AccountOutcome
from include.twitter.response import Response
from include.twitter.sources import THREADS, author_query, id_batches

log = logging.getLogger(__name__)

TRANSIENT = (Outage, RateLimited)
PAUSES = (1, 5, 25)
"""Seconds after which a transient failure is tried again: half a minute in all."""
FOR_ALL = (BadKeys, KeysInDoubt, ClockWrong, NoAccess, NoCredits, OverBudget, *TRANSIENT)
"""What keeps X's count, or the search, away from every account alike."""
NO_COUNT = (*FOR_ALL, BadRequest, UnexpectedAnswer)
"""What may keep them away: then the day lands without."""
COUNT_TOLERANCE = 0.05
"""X counts posts that it does not show: so small a share of them is no reason to ask again for money."""

ResultT = TypeVar("ResultT")


class Arrived(NamedTuple):
    """What arrived of an account."""

    id: str
    posts: int
    hours: Mapping[str, int]


class Action(NamedTuple):
    """What to do about an account whose group was counted."""

    id: str
    event: Event | None
    """What the count says of it; None where it has to be counted alone."""
    reason: str | None = None


def reconcile(group: Sequence[Arrived], count: Count, *, is_shared: bool = False) -> list[Action]:
    """What X's count of some accounts says of each: it matches, cannot be verified, or is counted alone.

    A count that is `shared` with other days, and differs by little, is not worth counts of single accounts:
    each costs two posts.
    """
    posts = sum(account.posts for account in group)
    if len(group) == 1:
        return [Action(group[0].id, *_compared(count.total, posts))]
    hours: Counter[str] = sum((Counter(account.hours) for account in group), Counter())
    if count.total == posts and +count.hours == hours:
        reason = f"X counts {count.total} posts of {len(group)} accounts together, and as many arrived"
        return [Action(account.id, Event.COUNT_EQUAL, reason) for account in group]
    if is_shared and posts != count.total and not _exceeds_tolerance(count.total, posts):
        reason = f"X counts {count.total} posts of {len(group)} accounts, {posts} arrived"
        # Nothing says that an empty account is one.
        return [Action(one.id, Event.NO_COUNT if one.posts else None, reason) for one in group]
    return [Action(account.id, None) for account in group]


def _arrived(group: Iterable[AccountProgress]) -> list[Arrived]:
    return [Arrived(str(account.id), account.arrived, account.hours) for account in group]


def _compared(counted: int, arrived: int) -> tuple[Event, str | None]:
    if counted == arrived:
        return Event.COUNT_EQUAL, None
    event = Event.COUNT_HIGHER if counted > arrived else Event.COUNT_LOWER
    return event, f"X counts {counted} posts, {arrived} arrived"


def _exceeds_tolerance(counted: int, arrived: int) -> bool:
    return abs(counted - arrived) > COUNT_TOLERANCE * counted


@dataclass
class Reconciler:
    """Counts accounts that were read, and does what `reconcile` says; several groups at once."""

    count: Callable[[str], Response]
    """X's count of a query, on the day."""
    verify: Callable[[AccountProgress], bool]
    """Takes the second reading of an account one page further; False where it is at its end."""
    is_gone: Callable[[AccountProgress], bool]
    """Looks up whether X still shows an account that came short."""
    pause: Callable[[float], None]
    stored: Mapping[tuple[str, ...], Count] = field(default_factory=dict)
    """X's counts that others have paid for, by the ids of the accounts that were counted together."""
    _failed: dict[str, PipelineError] = field(default_factory=dict)
    """The kinds of requests that are no longer sent, and why."""

    def restore(self, account: AccountProgress, line: AccountOutcome | None) -> None:
        """Keep the proof of an account whose own posts were compared before: later threads change none."""
        if account.state is State.LIMITED and (count := self.stored.get((str(account.id),))):
            account.counted = count.total
        if account.state is not State.READ or line is None or line.id != account.id:
            return
        own_pages = {page for page in account.pages if f"/{THREADS}" not in page}
        if line.outcome == "complete" and line.proof in EVENTS_OF_PROOF and own_pages <= {*line.pages}:
            for event in EVENTS_OF_PROOF[line.proof]:
                account.apply(event)
            account.proof_reason, account.counted = line.proof_reason, line.counted

    def groups(self, accounts: Iterable[AccountProgress]) -> list[list[AccountProgress]]:
        """Accounts that are counted together: as others have counted them, else as few as X allows."""
        read = {str(account.id): account for account in accounts if account.state is State.READ}
        ids_of_groups = [*self._counted_already(read)]
        counted = {id_ for ids in ids_of_groups for id_ in ids}
        ids_of_groups += id_batches(id_ for id_ in read if id_ not in counted)
        return [[read[id_] for id_ in ids] for ids in ids_of_groups]

    def _counted_already(self, ids: Collection[str]) -> Iterator[list[str]]:
        uncounted = {*ids}
        for group in sorted(self.stored, key=len):
            if uncounted.issuperset(group):
                uncounted -= {*group}
                yield [*group]

    def check(self, group: list[AccountProgress]) -> None:
        """Count a group together, and one by one where it does not match in each hour of the day."""
        ids = [str(account.id) for account in group]
        shared = self.stored.get(tuple(ids))
        try:
            query = author_query(ids) if len(ids) > 1 else group[0].posts.source.count_query() or ""
            count = shared or count_of(self._ask("count", lambda: self.count(query)))
        except NO_COUNT as error:
            log.warning("X's own count is not held against %d accounts. %s", len(group), _failure_text(error))
            for account in group:
                self._leave_unchecked(account, _failure_text(error))
            return
        actions = reconcile(_arrived(group), count, is_shared=shared is not None)
        for account, action in zip(group, actions, strict=True):
            if len(group) == 1:
                self._settle(account, count.total)
            elif action.event is None:
                self.check([account])
            else:
                account.apply(action.event)
                account.proof_reason = action.reason

    def _leave_unchecked(self, account: AccountProgress, reason: str) -> None:
        """Without a count, an empty account is read a second time."""
        account.proof_reason = reason
        if not account.arrived:
            account.apply(Event.EMPTY_WITHOUT_COUNT)
            self._read_again(account)
        if account.state is not State.LIMITED:
            account.apply(Event.NO_COUNT)

    def _settle(self, account: AccountProgress, counted: int) -> None:
        """Read a short account once more; what does not match after that lands as it is, and is reported."""
        account.counted = counted
        while True:
            event, reason = _compared(counted, account.arrived)
            account.apply(event)
            if account.state is not State.VERIFYING:
                break
            if _exceeds_tolerance(counted, account.arrived) and self._is_gone(account):
                return
            self._read_again(account)
            if account.state is State.LIMITED:
                return
        if account.state is State.MATCHED:
            account.proof_reason = None
        else:
            account.proof_reason = ". ".join(filter(None, [reason, account.proof_reason]))
            log.warning("%s: %s", account.username, account.proof_reason)

    def unproven_empty(self, accounts: Iterable[AccountProgress]) -> list[AccountProgress]:
        """Empty accounts, except those for which a stored count says that they had no post.

        A stored count was made after a look-up of its accounts, so X showed them when it counted none.
        """
        read = {str(account.id): account for account in accounts if account.state is State.READ}
        proven: set[str] = set()
        for ids in self._counted_already(read):
            actions = reconcile(_arrived(read[id_] for id_ in ids), self.stored[tuple(ids)])
            proven |= {action.id for action in actions if action.event is Event.COUNT_EQUAL}
        return [account for id_, account in read.items() if not account.arrived and id_ not in proven]

    def _is_gone(self, account: AccountProgress) -> bool:
        try:
            return self._ask("users", lambda: self.is_gone(account))
        except NO_COUNT as error:
            log.warning("%s is not looked up. %s", account.username, _failure_text(error))
            return False

    def _read_again(self, account: AccountProgress) -> None:
        """Read an account once more, through the search, as far as the limit."""
        try:
            while self._ask("search", lambda: self.verify(account)):
                pass
        except NO_COUNT as error:
            reason = f"It could not be read once more: {_failure_text(error)}"
            account.proof_reason = " ".join(filter(None, [account.proof_reason, reason]))
            log.warning("%s: %s", account.username, reason)
        if account.verification.ended is Event.LIMIT:
            account.apply(Event.LIMIT)
            account.proof_reason = None

    def _ask(self, what: str, ask: Callable[[], ResultT]) -> ResultT:
        """Request from X, and retry transient failures; a kind that failed for all accounts is closed."""
        if what in self._failed:
            raise self._failed[what]
        try:
            return Retrying(
                retry=retry_if_exception_type(TRANSIENT),
                wait=wait_chain(*map(wait_fixed, PAUSES)),
                stop=stop_after_attempt(len(PAUSES) + 1),
                sleep=self.pause,
                before_sleep=before_sleep_log(log, logging.INFO),
                reraise=True,
            )(ask)
        except FOR_ALL as error:
            self._failed[what] = error
            raise


def _failure_text(error: PipelineError) -> str:
    return f"{error} That was done {len(PAUSES)} times." if isinstance(error, TRANSIENT) else str(error)
