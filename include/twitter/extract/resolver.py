"""Which account each handle is: resolved by what is known, else looked up; confirmed, or blocked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
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
WHICH_ONE = (
    ". Nothing is bought of {id}: if it is the account you want, add {handle}={id} to Variable "
    "twitter_confirmed_account_ids and clear `extract`; if not, put the new handle of the old one into "
    "twitter_handles"
)
UNSEEN = "nothing of it arrived, and whether X still shows it could not be looked up: clear `extract`. {}"
ERASED = "it was forgotten on {:%Y-%m-%d}, and nothing is bought of it: take it out of twitter_handles"


@dataclass
class Resolver:
    """Finds out for one run of `extract` which accounts the handles are."""

    purchase: Purchase
    known: Identities
    look_up: Callable[[list[str]], Response]
    """Asks X for at most 100 handles."""
    is_own: Callable[[str, str, bool], bool]
    """Whether X charges the price of own posts: by handle, id, and whether the handle was another account."""
    old: bool
    now: datetime
    looked_up: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The users that X has shown to this purchase, by lower-case handle."""
    _by_id: dict[str, AccountProgress] = field(default_factory=dict)

    def recall(self, response: Response) -> None:
        """Take over a look-up that an earlier try has paid for."""
        self.looked_up |= users_of(response)
        self._remember(response)

    def resolve(self, accounts: Iterable[AccountProgress]) -> None:
        """Bind each account to its id, or say why it cannot be read."""
        unknown = []
        for account in accounts:
            if id_ := self._known_id(account.handle):
                self._bind(account, id_)
            else:
                unknown.append(account)
        self._look_up(unknown)

    def resolve_again(self, accounts: list[AccountProgress]) -> None:
        """Look accounts up, once, by their handles, since X does not find their ids."""
        lost = [account for account in accounts if account.handle.lower() not in self.looked_up]
        try:
            self._look_up(lost)
        except PermanentError as error:
            log.warning(
                "%d accounts that X does not find by their ids are not looked up. %s", len(lost), error
            )
        for account in accounts:
            if account.state is State.UNRESOLVED:
                account.mark_unavailable(account.reason or "")

    def is_gone(self, account: AccountProgress) -> bool:
        """Look up whether X still shows an account whose archive has less than X counts."""
        self.look_up_gone([account])
        return account.is_unavailable

    def look_up_empty(self, accounts: Collection[AccountProgress]) -> None:
        """Make sure that X still shows the accounts without a post."""
        try:
            self.look_up_gone(accounts)
        except PermanentError as error:
            for account in accounts:
                if self.old and account.can_be_read and account.handle.lower() not in self.looked_up:
                    account.mark_unavailable(UNSEEN.format(error))

    def look_up_gone(self, accounts: Iterable[AccountProgress]) -> None:
        """Mark accounts unavailable that X no longer shows; this purchase looks each account up once.

        The archive returns no posts of an account that is suspended or protected, and no error either.
        """
        unseen = [account for account in accounts if account.handle.lower() not in self.looked_up]
        for some in chunked(unseen if self.old else (), HANDLES_A_LOOKUP):
            handles = [account.handle for account in some]
            response = self.look_up(handles)
            self.looked_up |= users_of(response)
            gone = unavailable_reasons(response, handles)
            for account in some:
                user = self.looked_up.get(account.handle.lower(), {})
                if account.handle in gone:
                    account.mark_unavailable(gone[account.handle])
                elif user["id"] != account.id and not account.arrived:
                    account.mark_unavailable(_which_one(account.handle, user["id"], account.id))
                elif user.get("protected"):
                    account.mark_unavailable(PROTECTED_REASON)
            self._remember(response)

    def _known_id(self, handle: str) -> str | None:
        """The account's id, if X need not be asked: of an old day X has to have shown it lately."""
        name = handle.lower()
        if name in self.looked_up:
            return self.looked_up[name]["id"]
        line = self.purchase.line(handle)
        is_red = line is not None and line.outcome == "unavailable"  # what was away may be another by now
        id_ = (line.id if line and not is_red else None) or self.known.id_of(handle, self.now)
        if not self.old or id_ in self.purchase.forgotten.accounts:
            return id_
        return id_ if id_ == self.known.id_of(handle, self.now, for_archive=True) and not is_red else None

    def _look_up(self, accounts: list[AccountProgress]) -> None:
        for some in chunked(accounts, HANDLES_A_LOOKUP):
            handles = [account.handle for account in some]
            response = self.look_up(handles)
            self.looked_up |= users_of(response)
            gone = unavailable_reasons(response, handles)
            for account in some:
                if account.handle in gone:
                    if not account.id and (id_ := self.purchase.id_of(account.handle)):
                        self._be(account, id_)  # what was bought of it stays the day's
                    account.mark_unavailable(account.reason or gone[account.handle])
                else:
                    self._bind(account, self.looked_up[account.handle.lower()]["id"])
            self._remember(response)

    def _remember(self, response: Response) -> None:
        """Remember which accounts the handles are, but for those that nobody has accepted as another one."""
        ids = {name: user["id"] for name, user in users_of(response).items()}
        blocked = [
            name
            for name, id_ in ids.items()
            if self._former_id(name, id_) and not self.known.accepts(name, id_)
        ]
        self.known.learn(response, but=blocked)

    def _former_id(self, handle: str, id_: str) -> str | None:
        """The other account that the handle was, in the day or when it was looked up last."""
        before = self.purchase.line(handle) or self.purchase.former_entry(handle)
        # Without a look-up, the day itself says which account it is, whatever the handle became later.
        remembered = self.known.last_id_of(handle) if handle.lower() in self.looked_up else None
        former_ids = [before.id if before else None, remembered]
        return next((former for former in former_ids if former not in (None, id_)), None)

    def _bind(self, account: AccountProgress, id_: str) -> None:
        """Read this account for the handle, unless it was another one's, and that was not accepted."""
        handle = account.handle
        is_accepted = self.known.accepts(handle, id_)
        if former := self._former_id(handle, id_):
            if not is_accepted:
                # The refusal takes the place of no line that has pages: what was bought stays the day's.
                line = self.purchase.line(handle)
                self._be(
                    account, (line and line.id) or (id_ if self.purchase.former_entry(handle) else former)
                )
                account.mark_unavailable(_which_one(handle, id_, former), Event.OTHER_ID)
                return
            message = safe_text(OTHER_ID.format(id_, former))
            log.warning("%s: %s. Accepted by twitter_confirmed_account_ids", handle, message)
        if account.id == id_:  # X still names the account that it does not find
            account.mark_unavailable(account.reason or "")
            return
        self.known.confirm(handle, id_)
        self._be(account, id_, own=self.is_own(handle, id_, is_accepted))
        if twin := self._by_id.get(id_):
            log.warning("%s and %s are one account, %s: it is collected once", handle, twin.handle, id_)
            account.is_skipped = True
        elif self.purchase.has(handle):
            log.info("%s is %s in this day, and nothing of it is missing", handle, account.username)
            account.is_skipped = True
        else:
            account.apply(Event.RESOLVED)
            if tombstone := self.purchase.forgotten.accounts.get(id_):
                account.refusal = ERASED.format(tombstone.at)
            elif self.old and self._is_protected(handle):
                account.refusal = PROTECTED_REASON
            else:
                self._by_id[id_] = account

    def _be(self, account: AccountProgress, id_: str, *, own: bool = False) -> None:
        account.username = self.purchase.username_of(account.handle)
        account.bind(id_, own=own)

    def _is_protected(self, handle: str) -> bool:
        user = self.looked_up.get(handle.lower())
        return bool(user.get("protected")) if user else self.known.is_protected(handle)


def _which_one(handle: str, id_: str, former: str | None) -> str:
    """The reason why an account is blocked whose handle has another id now, and what to do about it."""
    advice = WHICH_ONE.format(handle=handle, id=safe_text(id_, 40))
    return safe_text(OTHER_ID.format(id_, former)) + advice
