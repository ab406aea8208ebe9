"""Collects a day: which account each handle is, its posts, and X's own count held against them.

Accounts are isolated and read side by side. What the purchase holds already is not asked for again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from include.twitter.accounts import Accounts, reasons
from include.twitter.buyer import Buyer, Stopped
from include.twitter.day import ACCOUNTS, Day
from include.twitter.errors import BadKeys, BadRequest, NoAccess, OverBudget
from include.twitter.lake import Lake
from include.twitter.proof import LIMITED, MATCHED, SHORT, UNCHECKED, groups
from include.twitter.purchase import LOOKUPS, SEARCHED, Purchase
from include.twitter.walk import Walk
from include.twitter.x_api import ARCHIVE_PAGES, HANDLES_A_LOOKUP, READERS, RECENT_PAGES, TIMELINE_PAGES

log = logging.getLogger(__name__)

NO_PROOF = (BadKeys, BadRequest, NoAccess, OverBudget)
"""What may keep X's count away: then the day lands unchecked."""
PROTECTED = "Authorization Error: the account is protected, and the archive shows nothing of it"


@dataclass
class Account:
    """One handle of the day, and how far it has come."""

    username: str
    walk: Walk
    again: Walk
    """The one re-read of an account that came short of X's count."""
    id: str | None = None
    proof: str = UNCHECKED
    counted: int | None = None
    """X's own count, where it was asked for alone."""

    @property
    def arrived(self) -> int:
        """The day's posts that X has sent, each once."""
        return len(self.walk.ids | self.again.ids)

    def gone(self, reason: str) -> None:
        """It cannot be read, and is not asked for again in this try."""
        log.warning("%s: %s", self.username, reason)
        self.walk.outcome, self.walk.reason = "unavailable", reason

    def line(self, purchase: Purchase) -> dict[str, Any]:
        """Its line in the manifest."""
        return {
            "username": self.username,
            "id": self.id,
            "outcome": self.walk.outcome,
            "reason": self.walk.reason,
            "proof": self.proof,
            "counted": self.counted,
            "posts": self.walk.returned + self.again.returned,
            "pages": [*purchase.pages(self.username), *purchase.pages(SEARCHED + self.username)],
        }


@dataclass
class Collection:
    """The collecting of one day; `archive` reads X's full archive instead of the timelines.

    A purchase keeps its source, so one that was begun on the timelines may end on a day that is `old` by now.
    """

    day: Day
    limit: int
    archive: bool
    old: bool
    buyer: Buyer
    purchase: Purchase
    accounts: list[Account] = field(default_factory=list)

    def collect(self, handles: Iterable[str], lake: Lake, at: datetime) -> list[Account]:
        sizes = ARCHIVE_PAGES if self.archive else TIMELINE_PAGES
        again = ARCHIVE_PAGES if self.old else RECENT_PAGES
        self.accounts = [
            Account(handle, Walk(self.day, self.limit, *sizes), Walk(self.day, 0, *again))
            for handle in handles
        ]
        for account in self.accounts:
            self._replay(account)
        self._look_up(lake, at)
        found = [account for account in self.accounts if account.walk.outcome != "unavailable"]
        self._side_by_side([partial(self._walk, account) for account in found])
        self._prove([account for account in found if account.walk.outcome in ("complete", "limit")])
        return self.accounts

    def _replay(self, account: Account) -> None:
        """Take the walk to where the staged pages end."""
        for answer in self.purchase.answers(account.username):
            if not answer.unavailable:  # it may be back
                account.walk.take(answer)
        for answer in self.purchase.answers(SEARCHED + account.username):
            account.again.take(answer)

    def _look_up(self, lake: Lake, at: datetime) -> None:
        """Find the ids of the accounts; of those still to be read, the archive wants them seen anew.

        A search finds nothing of an account that is gone, and does not say so; a timeline does.
        """
        known = Accounts.unpacked(lake.read(ACCOUNTS))
        lines = {line["username"].lower(): line for line in _lines(self.purchase)}
        users: dict[str, dict[str, Any]] = {}
        for answer in self.purchase.answers(LOOKUPS):
            users |= {user["username"].lower(): user for user in answer.posts}
        asked = []
        for account in self.accounts:
            name = account.username.lower()
            line = lines.get(name, {})
            if line.get("outcome") == "unavailable" and self.archive:
                users.pop(name, None)  # it may have opened since
            account.id = users.get(name, {}).get("id") or line.get("id") or known.id_of(name, at)
            if not account.walk.outcome and (name not in users if self.archive else not account.id):
                asked.append(account)
        for start in range(0, len(asked), HANDLES_A_LOOKUP):
            some = asked[start : start + HANDLES_A_LOOKUP]
            answer = self.buyer.users([account.username for account in some])
            known.learn(answer)
            lake.write(ACCOUNTS, known.packed())
            users |= {user["username"].lower(): user for user in answer.posts}
            unknown = reasons(answer, [account.username for account in some])
            for account in some:
                account.id = users.get(account.username.lower(), {}).get("id")
                if account.username in unknown:
                    account.gone(unknown[account.username])
        self._refuse_the_unreadable(users)

    def _refuse_the_unreadable(self, users: dict[str, dict[str, Any]]) -> None:
        seen: dict[str | None, str] = {}
        for account in self.accounts:
            if not account.walk.outcome and self.archive and users[account.username.lower()].get("protected"):
                account.gone(PROTECTED)
            elif not account.walk.outcome and account.id in seen:
                account.gone(
                    f"the same account as {seen[account.id]}: take one of them out of twitter_handles"
                )
            seen.setdefault(account.id, account.username)

    def _walk(self, account: Account) -> None:
        """Read an account to the end of its day or to the limit."""
        walk = account.walk
        while not walk.outcome:
            if self.archive:
                self.buyer.search(account.username, walk, account.username)
            else:
                self.buyer.timeline(account.username, walk, str(account.id))
        log.info(
            "%s: %s; posts %d, pages %d",
            account.username,
            walk.reason or walk.outcome,
            walk.returned,
            walk.pages,
        )

    def _prove(self, read: list[Account]) -> None:
        """Hold X's own count against what arrived, where a walk claims to be complete."""
        lines = [line for line in _lines(self.purchase) if line["proof"] in (MATCHED, SHORT)]
        before = {line["username"].lower(): line for line in lines}
        unproved = []
        for account in read:
            if account.walk.outcome == "limit":
                account.proof = LIMITED
            elif line := before.get(account.username.lower()):
                account.proof, account.counted = line["proof"], line["counted"]
            else:
                unproved.append(account)
        named = {account.username: account for account in unproved}
        self._side_by_side(
            [partial(self._check, [named[handle] for handle in group]) for group in groups(named)]
        )

    def _check(self, group: list[Account]) -> None:
        """Count a group together, and one by one where it does not match."""
        try:
            counted = self.buyer.count([account.username for account in group])
        except NO_PROOF as error:
            log.warning("X's own count is not held against %d accounts. %s", len(group), error)
            return
        if counted is None:
            log.warning("X was asked for the count of %d accounts and sent none", len(group))
            return
        if len(group) == 1:
            group[0].counted = counted
        if counted <= sum(account.arrived for account in group):
            for account in group:
                account.proof = MATCHED
        elif len(group) > 1:
            for account in group:
                self._check([account])
        else:
            self._read_again(group[0], counted)

    def _read_again(self, account: Account, counted: int) -> None:
        """Read a short account once more, through the search; what is short after that lands as it is."""
        try:
            while not self.archive and not account.again.outcome:
                self.buyer.search(SEARCHED + account.username, account.again, account.username)
        except NO_PROOF as error:
            log.warning("%s cannot be read once more. %s", account.username, error)
        account.proof = MATCHED if counted <= account.arrived else SHORT
        if account.proof == SHORT:
            log.warning("%s: X counts %d posts, %d arrived", account.username, counted, account.arrived)

    def _side_by_side(self, jobs: list[Callable[[], None]]) -> None:
        """Run the jobs, several at once; the first failure keeps the others from buying more."""
        with ThreadPoolExecutor(READERS) as pool:
            running = [pool.submit(job) for job in jobs]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
                failed = any(job.done() and not job.cancelled() and job.exception() for job in running)
            except BaseException:  # Airflow ends the task
                failed = True
                raise
            finally:
                if failed:
                    self.buyer.stopped.set()
                    pool.shutdown(cancel_futures=True)
        errors = [error for job in running if not job.cancelled() and (error := job.exception())]
        for error in errors:
            if not isinstance(error, Stopped):
                raise error


def _lines(purchase: Purchase) -> list[dict[str, Any]]:
    """The accounts of the manifest that the purchase goes on from."""
    return purchase.before["accounts"] if purchase.before else []
