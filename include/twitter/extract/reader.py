"""Reads what is missing of a day: resolves the handles, reads the posts, and compares them with X's counts.

Accounts are independent of each other and read in parallel. An account continues after its stored pages.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from threading import Event as Flag
from typing import TypeVar

from more_itertools import chunked

from include.twitter import errors
from include.twitter.day import Day
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
from include.twitter.sources import REREADS, SourceSet
from include.twitter.x.client import POSTS_A_LOOKUP, READERS, X

log = logging.getLogger(__name__)

WorkItem = TypeVar("WorkItem")


class Stopped(errors.PipelineError):
    """Another reader failed, so this one sends no more requests."""


@dataclass
class Collection:
    """Reads the incomplete accounts of a day; an `old` day from X's full archive."""

    purchase: Purchase
    old: bool
    sources: Callable[[str], SourceSet]
    """Makes the sources of a handle."""
    cached_counts: Mapping[tuple[str, ...], Count] = field(default_factory=dict)
    """X's counts of the day that a plan has paid for, by the ids that were counted together."""
    stopped: Flag = field(default_factory=Flag)
    _stored: dict[str, list[Response]] = field(default_factory=lambda: defaultdict(list))
    """Responses that an unfinished attempt has stored, by folder."""

    def resume(self) -> None:
        """Book what an unfinished attempt has stored; accounts read their stored pages later."""
        for folder, _, response in self.purchase.stored_responses():
            if folder in (LOOKUPS_FOLDER, COUNTS_FOLDER):
                self._stored[folder].append(response)

    def collect(self, x: X, budget: Budget) -> list[AccountOutcome]:
        """Buy what is missing; an account whose id X does not find is looked up by its handle."""
        purchase = self.purchase
        self.x, self.requests = x, PaidRequests(budget, purchase, self._before_sending)
        resolver = Resolver(purchase, purchase.identities, self._look_up, self.old, purchase.now())
        for response in self._stored[LOOKUPS_FOLDER]:
            resolver.learn(response)
        accounts = [self._progress_of(handle) for handle in purchase.missing]
        resolver.resolve(accounts)
        accounts = [account for account in accounts if not account.is_skipped]
        self._for_each(accounts, self._read)
        if unresolved := [account for account in accounts if account.state is State.UNRESOLVED]:
            resolver.resolve_again(unresolved)
            accounts = [account for account in accounts if not account.is_skipped]
            self._for_each([account for account in unresolved if not account.is_skipped], self._read)
        self._for_each(accounts, self._reread)
        reconciler = Reconciler(self._count, self._verify, resolver.is_gone, self._pause, self.cached_counts)
        for account in accounts:
            reconciler.restore(account, purchase.entry(account.handle))
        resolver.look_up_empty(accounts, reconciler.empty_counted_at(accounts))
        self._for_each(reconciler.batches(accounts), reconciler.check)
        self._for_each(accounts, self._reread)
        return [account.record() for account in accounts]

    def _progress_of(self, handle: str) -> AccountProgress:
        purchase = self.purchase
        username, limit = purchase.username_of(handle), purchase.limit_of(handle)
        return AccountProgress(handle, username, purchase.day, limit, self.sources(handle))

    # Pages

    def _read(self, account: AccountProgress) -> None:
        """Read an account to the end of its day or to the limit, and its threads if they are collected."""
        for cursor, is_wanted in (
            (account.posts, True),
            (account.self_replies, self.purchase.wants_threads(account.handle)),
            (account.verification, False),
        ):
            if not cursor:
                continue
            try:
                for key, response in self._pages(account, cursor, is_wanted=is_wanted):
                    account.advance(cursor, key, response)
            except errors.OtherAuthors as error:
                cursor.ended, cursor.reason = Event.GONE, str(error)
            if is_wanted and account.can_be_read:
                account.finish(cursor)
        if not account.has_read_stored:
            account.has_read_stored = True
            for key, response in self.purchase.stored_pages(f"{REREADS}{account.label}"):
                account.add_reread(key, response)

    def _pages(
        self, account: AccountProgress, cursor: Cursor, *, is_wanted: bool
    ) -> Iterator[tuple[str, Response]]:
        """Yield the pages of a source: the stored ones, then X's up to the end of the cursor."""
        if not account.has_read_stored:
            for key, response in self.purchase.stored_pages(cursor.source.label):
                if response.unavailable:
                    account.pages.append(key)  # not the end: X may show the account now
                else:
                    yield key, response
            cursor.fall_back_to_until_id()
        if cursor is account.posts and not cursor.ended:
            if account.refusal and account.can_be_read:
                account.mark_unavailable(account.refusal)
            elif not cursor.pages and self._has_no_post(account):
                cursor.ended = Event.END
        while is_wanted and account.can_be_read and not cursor.ended:
            if page := self._next_page(cursor):
                yield page

    def _has_no_post(self, account: AccountProgress) -> bool:
        """Whether X counts no post of the account on an old day: a page of the archive would be empty too."""
        counts = self.cached_counts.items()
        return self.old and any(account.label in ids and not count.total for ids, count in counts)

    def _next_page(self, cursor: Cursor) -> tuple[str, Response] | None:
        """Request X's next page; None if the cursor has to request it in another way."""
        source, position = cursor.source, cursor.request_params
        request, day = source.page_request(), self.purchase.day
        try:
            return self.requests.ask(
                source.label,
                request.kind,
                cursor.page_size,
                cursor.smallest_page,
                lambda size: self.x.page(request, day, size, **position),
                cursor.problem,
            )
        except errors.BadRequest:
            if not cursor.fall_back_to_until_id():
                raise
        except errors.Outage:
            if not cursor.shrink_page_size():
                raise
        return None

    def _verify(self, account: AccountProgress) -> bool:
        """Request one more page of an account's verification; False if there is none."""
        cursor = account.verification
        if not cursor or self.old or cursor.ended:  # the archive would send the same posts again
            return False
        if page := self._next_page(cursor):
            account.advance(cursor, *page)
        return True

    def _reread(self, account: AccountProgress) -> None:
        """Request posts with unfilled fields a second time, on the day on which X charges nothing for it.

        It is optional: an error is logged, and the posts stay as they are.
        """
        today = Day.of(self.purchase.now())
        ids = [id_ for id_, at in sorted(account.unfilled.items()) if Day.of(at) == today]
        for batch in chunked(ids if not account.is_unavailable else (), POSTS_A_LOOKUP):
            folder, size = f"{REREADS}{account.label}", len(batch)
            problem = partial(_reread_problem, batch, account.id)
            try:
                key, response = self.requests.ask(
                    folder,
                    "rereads",
                    size,
                    size,
                    lambda _: self.x.posts(batch, free=True, whole=True),  # noqa: B023
                    problem,
                )
            except (errors.LeaseHeld, errors.LeaseExpired, errors.WriteConflict):
                raise  # another process has the lease now
            except errors.PipelineError as error:
                account.reread |= {*ids}  # not again in this attempt
                message = "%s: X could not fill fields of %d posts, and they are not read again. %s"
                log.warning(message, account.username, size, error)
                return
            account.add_reread(key, response)
            log.info("%s: %d posts with unfilled fields were read again", account.username, size)

    # Look-ups and counts

    def _look_up(self, handles: list[str]) -> Response:
        size = len(handles)
        _, response = self.requests.ask(
            LOOKUPS_FOLDER, "users", size, size, lambda _: self.x.users(handles), _look_up_problem
        )
        if response.failure:
            raise errors.Outage(f"X could not look up all users: {response.failure}")
        return response

    def _count(self, query: str) -> Response:
        for response in self._stored[COUNTS_FOLDER]:
            if response.params["query"] == query:
                return response
        kind, day = "archive_counts" if self.old else "counts", self.purchase.day
        return self.requests.ask(
            COUNTS_FOLDER, kind, 1, 1, lambda _: self.x.count(query, day, archive=self.old)
        )[1]

    # Readers in parallel

    def _pause(self, seconds: float) -> None:
        self.stopped.wait(seconds)  # returns at once if another reader fails

    def _before_sending(self) -> None:
        if self.stopped.is_set():
            raise Stopped
        self.purchase.renew_lease()

    def _for_each(self, items: Iterable[WorkItem], work: Callable[[WorkItem], None]) -> None:
        """Call `work` for the items in parallel; after the first error no more requests are sent.

        If there are several errors, a permanent one is preferred, and a transient one is raised last.
        """
        with ThreadPoolExecutor(READERS) as pool:
            jobs = [pool.submit(work, item) for item in items]
            try:
                wait(jobs, return_when=FIRST_EXCEPTION)
                has_failed = any(job.done() and not job.cancelled() and job.exception() for job in jobs)
            except BaseException:  # Airflow ends the task
                has_failed = True
                raise
            finally:
                if has_failed:
                    self.stopped.set()
                    pool.shutdown(cancel_futures=True)
        failures = [error for job in jobs if not job.cancelled() and (error := job.exception())]
        if failures := [error for error in failures if not isinstance(error, Stopped)]:
            raise min(failures, key=_priority)


def _priority(error: BaseException) -> int:
    return isinstance(error, errors.TransientError) - isinstance(error, errors.PermanentError)


def _look_up_problem(response: Response) -> None:
    if not (response.posts or problems(response.body)):
        raise errors.Outage(f"X sent no users, but {response.content[:200]!r}")


def _reread_problem(
    ids: list[str], author_id: str | None, response: Response
) -> errors.UnexpectedResponse | None:
    if response.failure or not (response.posts or problems(response.body)):
        raise errors.Outage(f"X could not send the posts: {response.failure or repr(response.content[:200])}")
    posts = (post for post in response.posts if isinstance(post, dict))
    if all(post.get("id") in ids and author_id in (None, author_of(post, author_id)) for post in posts):
        return None
    return errors.UnexpectedResponse(f"X sent other posts than the {len(ids)} that were requested by id.")
