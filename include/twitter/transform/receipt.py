"""The day's receipt: what was bought, and what became of each post."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from include.twitter import __version__
from include.twitter.errors import AccountingMismatch, TooManyRejected
from include.twitter.records import (
    AccountOutcome,
    AccountReceipt,
    Manifest,
    PublishedObject,
    Receipt,
    Tombstone,
    Totals,
    total,
)
from include.twitter.transform import contract
from include.twitter.transform.refine import NOT_OWN, PostCounts

FATES = (
    "fetched",
    "published",
    "rejected",
    "duplicates",
    "outside",
    "over_limit",
    "unrequested",
    "erased",
)

OUTCOME_FIELDS = ("username", "id", "reason", "proof", "proof_reason", "counted")

FEW_REJECTED, SHARE_REJECTED = 3, 0.05
"""More rejected posts than both, and a day is not published."""


def entry(bought: AccountOutcome, post_counts: PostCounts) -> AccountReceipt:
    """What the walk of one account came to, and what became of its posts.

    Raises AccountingMismatch where a post is neither published nor accounted for.
    """
    counts: dict[str, Any] = {name: post_counts.counts[name] for name in FATES}
    if not bought.posts == counts["fetched"] == sum(counts[name] for name in FATES[1:]):
        raise AccountingMismatch(
            f"{bought.username}: {bought.posts} posts were bought, and this became of them: {counts}"
        )
    as_bought: dict[str, Any] = {name: getattr(bought, name) for name in OUTCOME_FIELDS}
    return AccountReceipt(
        **as_bought,
        # One that was read to the end of its day, and of which the limit of now lands a part.
        outcome="limit" if bought.outcome == "complete" and counts["over_limit"] else bought.outcome,
        rejected_by_reason=dict(post_counts.reasons),
        warnings=post_counts.warnings,
        dropped_fields=dict(post_counts.dropped_fields),
        drift=dict(post_counts.drift),
        first_created_at=post_counts.first,
        last_created_at=post_counts.last,
        **counts,
    )


def of(
    manifest: Manifest,
    accounts: list[AccountReceipt],
    objects: Mapping[str, PublishedObject],
    erased: Iterable[Tombstone] = (),
    erasures: int = 0,
) -> Receipt:
    """The receipt of a purchase that was refined; `objects` are what it became.

    `erased` is what was left out of them, `erasures` how many erasures of forgetting were known.
    """
    return Receipt(
        day=manifest.day,
        versions={"code": __version__, "contract": contract.VERSION},
        buy=manifest.buy,
        closed_at=manifest.closed_at or manifest.opened_at,
        spec=manifest.spec,
        bought=total(manifest.bought.values()),
        cost_usd=manifest.cost_usd,
        uncertain_usd=manifest.uncertain_usd,
        totals=Totals(
            accounts=len(accounts),
            unavailable=sum(account.outcome == "unavailable" for account in accounts),
            proof=dict(Counter(account.proof for account in accounts)),
            warnings=sum(len(account.warnings) for account in accounts),
            dropped_fields=sorted({oddity for account in accounts for oddity in account.dropped_fields}),
            drift=sorted({field for account in accounts for field in account.drift}),
            **{name: sum(getattr(account, name) for account in accounts) for name in FATES},
        ),
        accounts=accounts,
        objects=dict(objects),
        erased=sorted(set(erased)),
        erasures=erasures,
    )


def require_few_rejected(candidate: Receipt, kept: str) -> None:
    """Refuse a day that lost more posts to the contract than odd ones explain, or all that it had.

    `kept` is where they are. Posts of another author tell of one account, not of X or the contract, and
    refuse nobody's day.
    """
    others = sum(account.rejected_by_reason.get(NOT_OWN, 0) for account in candidate.accounts)
    rejected, fetched = candidate.totals.rejected - others, candidate.totals.fetched
    are_many = rejected > FEW_REJECTED and rejected > SHARE_REJECTED * fetched
    if are_many or (rejected and not candidate.totals.published):
        reasons: Counter[str] = Counter()
        for account in candidate.accounts:
            reasons.update(account.rejected_by_reason)
        del reasons[NOT_OWN]
        reason, number = reasons.most_common(1)[0]
        raise TooManyRejected(
            f"Nothing is published: {rejected} of {fetched} posts break the contract, {number} of them for "
            f"`{reason}`. Look at {kept}; mend the contract or the reading of X, and clear `transform`: free."
        )


def readable(receipt: Receipt) -> list[str]:
    """The receipt as the lines of a table, for a log."""
    head = ["account", "outcome", "proof", *FATES]
    rows = [
        [a.username, a.outcome, a.proof, *(str(getattr(a, name)) for name in FATES)] for a in receipt.accounts
    ]
    rows.append(["total", "", "", *(str(getattr(receipt.totals, name)) for name in FATES)])
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
