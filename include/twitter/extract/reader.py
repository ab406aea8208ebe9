"""Collects what is missing of a day: which account each handle is, its posts, and X's own count of them.

Accounts are isolated and read side by side, each from its stored pages on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from threading import Event as Flag
from typing import TypeVar

from more_itertools import chunked

from include.twitter.day import Day
from include.twitter.errors import (
    BadRequest,
    LeaseExpired,
    LeaseHeld,
    OtherAuthors,
    Outage,
    PermanentError,
    PipelineError,
    TransientError,
    UnexpectedAnswer,
    WriteConflict,
)
from include.twitter.extract.account_state import Event, State
from include.twitter.extract.budget import Budget
from include.twitter.extract.counts import Count
from include.twitter.extract.cursor import Cursor
from include.twitter.extract.paid_requests import PaidRequests
from include.twitter.extract.progress import AccountProgress
from include.twitter.extract.purchase import COUNTS_FOLDER, LOOKUPS_FOLDER, Purchase
from include.twitter.extract.reconcile import Reconciler
from include.twitter.extract.resolver import Resolver
from include.twitter.records import AccountOutcome
from include.twitter.response import Response, author_of, problems
from include.twitter.sources import REREADS
from include.twitter.x.client import POSTS_A_LOOKUP, READERS, X

log = logging.getLogger(__name__)

WorkItem = TypeVar("WorkItem")


class Stopped(PipelineError):
    """Another reader failed, so this one buys no more."""


@dataclass
class Collection:
    """Reads the incomplete accounts of a day; for an `old` day from X's full archive."""

    purchase: Purchase
    old: bool
    stored_counts: Mapping[tuple[str, ...], Count] = field(default_factory=dict)
    """X's counts of the day that others have paid for, by the ids that were counted together."""
    own_handle: str = ""
    stopped: Flag = field(default_factory=Flag)
    look_ups: list[Response] = field(default_factory=list)
    """Responses that an earlier try has stored."""
    counts: list[Response] = field(default_factory=list)

    def resume(self) -> None:
        """Take over what an earlier try has stored, and book it; accounts go on from their pages later."""
        for folder, _, response in self.purchase.stored_responses():
            if folder == LOOKUPS_FOLDER:
                self.look_ups.append(response)
            elif folder == COUNTS_FOLDER:
                self.counts.append(response)

    def collect(self, x: X, budget: Budget) -> list[AccountOutcome]:
        """Buy what is missing; an account that X no longer finds by its id is looked up by its handle."""
        purchase, now = self.purchase, self.purchase.now()
        self.x = x
        self.requests = PaidRequests(budget, purchase, self._go_on)
        resolver = Resolver(purchase, purchase.identities, self._look_up, self._is_own, self.old, now)
        accounts = [self._begun(handle) for handle in purchase.missing]
        for response in self.look_ups:
            resolver.recall(response)
        resolver.resolve(accounts)
        accounts = [account for account in accounts if not account.is_skipped]
        self._for_each(accounts, self._read)
        if lost := [account for account in accounts if account.state is State.UNRESOLVED]:
            resolver.resolve_again(lost)
            self._for_each([account for account in lost if not account.is_skipped], self._read)
            accounts = [account for account in accounts if not account.is_skipped]
        self._for_each(accounts, self._reread)
        reconciler = Reconciler(self._count, self._verify, resolver.is_gone, self._pause, self.stored_counts)
        for account in accounts:
            reconciler.restore(account, purchase.line(account.handle))
        resolver.look_up_empty(reconciler.unproven_empty(accounts))
        self._for_each(reconciler.groups(accounts), reconciler.check)
        self._for_each(accounts, self._reread)
        return [account.record() for account in accounts]

    def _begun(self, handle: str) -> AccountProgress:
        purchase = self.purchase
        username, limit = purchase.username_of(handle), purchase.limit_of(handle)
        return AccountProgress(handle, username, purchase.day, limit, self.old)

    # Reading

    def _read(self, account: AccountProgress) -> None:
        """Read an account to the end of its day or to the limit, and its threads where they are wanted."""
        wants_threads = self.purchase.wants_threads(account.handle)
        for cursor, is_wanted in (
            (account.posts, True),
            (account.self_replies, wants_threads),
            (account.verification, False),
        ):
            try:
                for key, response in self._pages(account, cursor, is_wanted=is_wanted):
                    account.pages.append(key)
                    cursor.advance(response)
            except OtherAuthors as error:
                cursor.ended, cursor.reason = Event.GONE, str(error)
            if is_wanted and account.can_be_read:
                account.finish(cursor)
        if not account.is_begun:
            account.is_begun = True
            for key, response in self.purchase.stored_pages(f"{REREADS}{account.id}"):
                account.take_reread(key, response)

    def _pages(
        self, account: AccountProgress, cursor: Cursor, *, is_wanted: bool
    ) -> Iterator[tuple[str, Response]]:
        """The pages of a source: the stored ones first, then X's, as far as the cursor leads."""
        if not account.is_begun:
            for key, response in self.purchase.stored_pages(cursor.source.label):
                if response.unavailable:
                    account.pages.append(key)  # it may be back
                else:
                    yield key, response
            cursor.fall_back_to_until_id()
        if cursor is account.posts and not cursor.ended:
            if account.refusal and account.can_be_read:
                account.mark_unavailable(account.refusal)
            elif not cursor.pages and self._is_empty(account):
                cursor.ended = Event.END
        while is_wanted and account.can_be_read and not cursor.ended:
            if page := self._next_page(cursor):
                yield page

    def _is_empty(self, account: AccountProgress) -> bool:
        """Whether X is known to count no post of the account: of an old day a page would tell no more."""
        return self.old and any(
            account.id in ids and not count.total for ids, count in self.stored_counts.items()
        )

    def _next_page(self, cursor: Cursor) -> tuple[str, Response] | None:
        """X's next page; None if it has to be requested in another way."""
        source, position = cursor.source, cursor.request_params
        request = source.page_request()
        try:
            return self.requests.ask(
                source.label,
                request.kind,
                cursor.page_size,
                cursor.smallest_page,
                lambda size: self.x.page(request, self.purchase.day, size, **position),
                cursor.problem,
            )
        except BadRequest:
            if not cursor.fall_back_to_until_id():
                raise
        except Outage:
            if not cursor.shrink_page_size():
                raise
        return None

    def _reread(self, account: AccountProgress) -> None:
        """Read posts with unfilled fields a second time, while X charges nothing for it.

        Nothing else depends on it: what fails is logged, and the posts stay as they came.
        """
        today = Day.of(self.purchase.now())
        ids = [id_ for id_, at in sorted(account.unfilled.items()) if Day.of(at) == today]
        for some in chunked(ids if not account.is_unavailable else (), POSTS_A_LOOKUP):
            try:
                key, response = self.requests.ask(
                    f"{REREADS}{account.id}",
                    "rereads",
                    len(some),
                    len(some),
                    lambda _: self.x.posts(some, free=True, whole=True),  # noqa: B023
                    partial(_reread_problem, some, account.id),
                )
            except (LeaseHeld, LeaseExpired, WriteConflict):  # another run has the lease now
                raise
            except PipelineError as error:
                account.reread |= {*ids}  # this try of the task asks once
                message = "%s: X could not fill fields of %d posts, and they are not read again. %s"
                log.warning(message, account.username, len(some), error)
                return
            account.take_reread(key, response)
            log.info("%s: %d posts with unfilled fields were read again", account.username, len(some))

    # What identity and reconciliation ask X for

    def _look_up(self, handles: list[str]) -> Response:
        number = len(handles)
        _, response = self.requests.ask(
            LOOKUPS_FOLDER, "users", number, number, lambda _: self.x.users(handles), _look_up_problem
        )
        if response.failure:
            raise Outage(f"X could not look up all users: {response.failure}")
        return response

    def _count(self, query: str) -> Response:
        kind = "archive_counts" if self.old else "counts"
        stored = (response for response in self.counts if response.params["query"] == query)
        if response := next(stored, None):
            return response
        day = self.purchase.day
        return self.requests.ask(
            COUNTS_FOLDER, kind, 1, 1, lambda _: self.x.count(query, day, archive=self.old)
        )[1]

    def _verify(self, account: AccountProgress) -> bool:
        """Take the search of an account one page further; False where that is of no use any more."""
        cursor = account.verification
        if self.old or cursor.ended:  # the archive brings the same again
            return False
        if page := self._next_page(cursor):
            account.pages.append(page[0])
            cursor.advance(page[1])
        return True

    def _is_own(self, handle: str, id_: str, was_another: bool) -> bool:
        """Whether X charges an own post's price: the account owns the access token.

        X's tokens begin with the owner's id. Where one does not, a handle that another account took over is
        not one's own, so that no amount is booked too low.
        """
        if not (self.x.is_user and self.own_handle):
            return False
        if self.x.owner_id:
            return id_ == self.x.owner_id
        return handle.lower() == self.own_handle and not was_another

    # Several at once

    def _pause(self, seconds: float) -> None:
        """Wait, unless another reader fails meanwhile."""
        self.stopped.wait(seconds)

    def _go_on(self) -> None:
        if self.stopped.is_set():
            raise Stopped
        self.purchase.renew_lease()

    def _for_each(self, items: Iterable[WorkItem], work: Callable[[WorkItem], None]) -> None:
        """Work on several at once; the first failure keeps the others from buying more.

        Of several failures the one that needs a person is raised, and one that passes by itself last.
        """
        with ThreadPoolExecutor(READERS) as pool:
            running = [pool.submit(work, item) for item in items]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
                failed = any(job.done() and not job.cancelled() and job.exception() for job in running)
            except BaseException:  # Airflow ends the task
                failed = True
                raise
            finally:
                if failed:
                    self.stopped.set()
                    pool.shutdown(cancel_futures=True)
        errors = [error for job in running if not job.cancelled() and (error := job.exception())]
        errors = [error for error in errors if not isinstance(error, Stopped)]
        if errors:
            raise min(
                errors,
                key=lambda error: isinstance(error, TransientError) - isinstance(error, PermanentError),
            )


def _look_up_problem(response: Response) -> None:
    if not (response.posts or problems(response.body)):
        raise Outage(f"X was asked for users and sent none, but {response.content[:200]!r}")


def _reread_problem(ids: list[str], author_id: str | None, response: Response) -> UnexpectedAnswer | None:
    if response.failure or not (response.posts or problems(response.body)):
        raise Outage(f"X could not send the posts: {response.failure or repr(response.content[:200])}")
    posts = (post for post in response.posts if isinstance(post, dict))
    if all(post.get("id") in ids and author_of(post, author_id) == author_id for post in posts):
        return None
    return UnexpectedAnswer(f"X was asked for {len(ids)} posts by their ids and sent others.")
