"""Finds the account id of each handle by an earlier or a new look-up, and blocks unconfirmed ids."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from more_itertools import chunked

from include.twitter.errors import PermanentError
from include.twitter.extract.account_state import Event, State
from include.twitter.extract.progress import AccountProgress
from include.twitter.extract.purchase import Purchase
from include.twitter.identities import PROTECTED_REASON, Identities, unavailable_reasons, users_of
from include.twitter.response import Response
from include.twitter.safe_text import safe_text
from include.twitter.x.client import HANDLES_A_LOOKUP

log = logging.getLogger(__name__)

OTHER_ID = "the handle has become another account: {}, and it was {}"
WHAT_TO_DO = (
    ". Nothing is bought of {id}: if it is the account you want, add {handle}={id} to Variable "
    "twitter_confirmed_account_ids and clear `extract`; if not, put the new handle of the former one into "
    "twitter_handles"
)
UNSEEN = "no post of it arrived, and it could not be looked up: clear `extract`. {}"
ERASED = "it was erased on {:%Y-%m-%d}, and nothing is bought of it: take it out of twitter_handles"


@dataclass
class Resolver:
    """Resolves the handles of one attempt of `extract`."""

    purchase: Purchase
    known: Identities
    look_up: Callable[[list[str]], Response]
    """Requests at most 100 handles from X."""
    old: bool
    now: datetime
    looked_up: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The users that X has returned to this purchase, by lower-case handle."""
    _by_id: dict[str, AccountProgress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids_before = {name: account.id for name, account in self.known.known.items()}

    def learn(self, response: Response) -> None:
        """Record the users of a look-up, also of one that an earlier attempt has paid for.

        An id that replaces another one without a confirmation is not stored.
        """
        users = users_of(response)
        self.looked_up |= users
        ids = {name: user["id"] for name, user in users.items()}
        self.known.learn(response, exclude=[name for name, id_ in ids.items() if self._is_blocked(name, id_)])

    def resolve(self, accounts: Iterable[AccountProgress]) -> None:
        """Bind each account to its id, or record why it cannot be read."""
        unknown = []
        for account in accounts:
            if account.posts.source.author_id is None:  # its source is no account
                account.apply(Event.RESOLVED)
            elif id_ := self._known_id(account.handle):
                self._bind_if_confirmed(account, id_)
            else:
                unknown.append(account)
        self._resolve_by_look_up(unknown)

    def resolve_again(self, accounts: list[AccountProgress]) -> None:
        """Look accounts up by their handles, once, since X does not find their ids."""
        unknown = [account for account in accounts if account.handle.lower() not in self.looked_up]
        try:
            self._resolve_by_look_up(unknown)
        except PermanentError as error:
            log.warning("%d accounts whose ids X does not find are not looked up. %s", len(unknown), error)
        for account in accounts:
            if account.state is State.UNRESOLVED:
                account.mark_unavailable(account.reason or "")

    def is_gone(self, account: AccountProgress) -> bool:
        """Look up, once in a purchase, whether X still shows an account of an old day."""
        if self.old and account.id and account.handle.lower() not in self.looked_up:
            self._mark_gone([account])
        return account.is_unavailable

    def look_up_empty(
        self, accounts: Iterable[AccountProgress], counted_at: Mapping[str, datetime | None]
    ) -> None:
        """Look up accounts of an old day without a post: X may no longer show them.

        `counted_at`: when X counted no post of an account, by its id. X counts no post of an account that it
        does not show, so such a count is a proof only if X showed the account later.
        """

        def was_shown(account: AccountProgress) -> bool:
            if account.label not in counted_at:
                is_recent = self.known.id_of(account.handle, self.now, for_archive=True) is not None
                return is_recent and account.handle.lower() in self.looked_up
            seen_at, at = self.known.seen_at(account.handle), counted_at[account.label]
            return seen_at is not None and at is not None and seen_at > at

        empty = [
            account
            for account in accounts
            if account.state is State.READ and account.id and not account.arrived
        ]
        unseen = [account for account in empty if self.old and not was_shown(account)]
        try:
            self._mark_gone(unseen)
        except PermanentError as error:
            for account in unseen:
                if account.can_be_read and not was_shown(account):
                    account.mark_unavailable(UNSEEN.format(error))

    def _mark_gone(self, accounts: Collection[AccountProgress]) -> None:
        """Mark the accounts unavailable that X does not show.

        The archive returns no posts of a suspended or protected account, and no error.
        """
        for account, user, reason in self._look_up(accounts):
            if reason:
                account.mark_unavailable(reason)
            elif user["id"] != account.id and not account.arrived:
                account.mark_unavailable(_other_id(account.handle, user["id"], account.id))
            elif user.get("protected"):
                account.mark_unavailable(PROTECTED_REASON)

    def _known_id(self, handle: str) -> str | None:
        """Return the id that needs no look-up: for an old day X must have shown the account recently."""
        name = handle.lower()
        if name in self.looked_up:
            return self.looked_up[name]["id"]
        entry = self.purchase.entry(handle)
        # The handle of an unavailable account may belong to another account now.
        is_unavailable = entry is not None and entry.outcome == "unavailable"
        id_ = (entry.id if entry and not is_unavailable else None) or self.known.id_of(handle, self.now)
        if not self.old or id_ in self.purchase.tombstones.accounts:
            return id_
        return (
            id_
            if id_ == self.known.id_of(handle, self.now, for_archive=True) and not is_unavailable
            else None
        )

    def _look_up(
        self, accounts: Iterable[AccountProgress]
    ) -> Iterator[tuple[AccountProgress, Mapping[str, Any], str]]:
        """Request accounts from X: yields each with its user, or with the reason why there is none."""
        for batch in chunked(accounts, HANDLES_A_LOOKUP):
            handles = [account.handle for account in batch]
            self.learn(response := self.look_up(handles))
            reasons = unavailable_reasons(response, handles)
            for account in batch:
                user = self.looked_up.get(account.handle.lower(), {})
                yield account, user, reasons.get(account.handle, "")

    def _resolve_by_look_up(self, accounts: Iterable[AccountProgress]) -> None:
        for account, user, reason in self._look_up(accounts):
            if not reason:
                self._bind_if_confirmed(account, user["id"])
                continue
            if not account.id and (id_ := self.purchase.id_of(account.handle)):
                self._bind_id(account, id_)  # the day keeps what was bought of it
            account.mark_unavailable(account.reason or reason)

    def _former_id(self, handle: str, id_: str) -> str | None:
        """Return the other id that the handle had on the day or at its latest look-up."""
        before = self.purchase.entry(handle) or self.purchase.former_entry(handle)
        # Without a look-up the day itself shows which account it is, whatever the handle became later.
        known = self._ids_before.get(handle.lower()) if handle.lower() in self.looked_up else None
        former_ids = [before.id if before else None, known]
        return next((former for former in former_ids if former not in (None, id_)), None)

    def _is_blocked(self, handle: str, id_: str) -> bool:
        return self._former_id(handle, id_) is not None and not self.known.accepts(handle, id_)

    def _bind_if_confirmed(self, account: AccountProgress, id_: str) -> None:
        """Bind the account to this id; block it if its handle had another id and this one is unconfirmed."""
        handle = account.handle
        if former := self._former_id(handle, id_):
            if self._is_blocked(handle, id_):
                # A blocked account keeps its entry with pages: the day keeps what was bought.
                entry = self.purchase.entry(handle)
                kept_id = (entry and entry.id) or (id_ if self.purchase.former_entry(handle) else former)
                self._bind_id(account, kept_id)
                account.mark_unavailable(_other_id(handle, id_, former), Event.OTHER_ID)
                return
            message = safe_text(OTHER_ID.format(id_, former))
            log.warning("%s: %s. Accepted by twitter_confirmed_account_ids", handle, message)
        if account.id == id_:  # X returns the user but not its timeline
            account.mark_unavailable(account.reason or "")
            return
        self.known.confirm(handle, id_)
        self._bind_id(account, id_)
        if duplicate := self._by_id.get(id_):
            log.warning("%s and %s are one account, %s: it is collected once", handle, duplicate.handle, id_)
            account.is_skipped = True
        elif self.purchase.has(handle):
            log.info("%s is %s on this day, and nothing of it is missing", handle, account.username)
            account.is_skipped = True
        else:
            account.apply(Event.RESOLVED)
            if tombstone := self.purchase.tombstones.accounts.get(id_):
                account.refusal = ERASED.format(tombstone.at)
            elif self.old and self.known.is_protected(handle):
                account.refusal = PROTECTED_REASON
            else:
                self._by_id[id_] = account

    def _bind_id(self, account: AccountProgress, id_: str) -> None:
        account.bind(id_, self.purchase.username_of(account.handle))


def _other_id(handle: str, id_: str, former: str | None) -> str:
    """Return why an account is blocked whose handle has another id now, and what to do about it."""
    advice = WHAT_TO_DO.format(handle=handle, id=safe_text(id_, 40))
    return safe_text(OTHER_ID.format(id_, former)) + advice
