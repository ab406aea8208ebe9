"""What publishing would take from a landed day."""

from __future__ import annotations

import logging

from include.twitter.day import Day
from include.twitter.errors import Shrunk
from include.twitter.records import Decrease, Receipt

log = logging.getLogger(__name__)


def decreases(landed: Receipt | None, candidate: Receipt) -> list[Decrease]:
    """The accounts of which fewer rows would be there than have landed and were not forgotten since."""
    now = {account.username.lower(): account for account in candidate.accounts}
    lost = []
    for account in landed.accounts if landed else ():
        same = now.get(account.username.lower())
        left, forgotten = (same.published, same.forgotten) if same else (0, 0)
        if left + max(forgotten - account.forgotten, 0) < account.published:
            lost.append(Decrease(account.username, account.published, left))
    return lost


def require_no_loss(lost: list[Decrease], day: Day, *, accepted: bool) -> None:
    """Tell of every decrease; Shrunk where most of an account's rows would go, unless that is accepted."""
    for decrease in lost:
        log.warning(_in_words(decrease))
    losses = "; ".join(_in_words(decrease) for decrease in lost if decrease.published * 2 < decrease.landed)
    if losses and not accepted:
        raise Shrunk(
            f"Nothing is published: {day} would lose rows. {losses}. "
            f"If that is right, add {day} to Variable twitter_accept_shrink and clear `load`."
        )
    if losses:
        log.warning("Accepted by twitter_accept_shrink: %s", losses)


def _in_words(decrease: Decrease) -> str:
    return f"{decrease.username}: {decrease.landed} rows are landed, this run has {decrease.published}"
