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

FATES = ("fetched", "published", "rejected", "duplicates", "outside", "over_limit", "unrequested", "erased")
"""The numbers of an account's posts: the first is the sum of the others."""
OUTCOME_FIELDS = ("username", "id", "reason", "proof", "proof_reason", "counted")
FEW_REJECTED, SHARE_REJECTED = 3, 0.05
"""More rejected posts than both, and a day is not published."""


def entry(bought: AccountOutcome, post_counts: PostCounts) -> AccountReceipt:
    """The outcome of one account, and what became of its posts.

    Raises AccountingMismatch if a post is neither published nor accounted for.
    """
    counts: dict[str, Any] = {name: post_counts.counts[name] for name in FATES}
    if not bought.posts == counts["fetched"] == sum(counts[name] for name in FATES[1:]):
        raise AccountingMismatch(
            f"{bought.username}: {bought.posts} posts were bought, and this became of them: {counts}"
        )
    outcome_fields: dict[str, Any] = {name: getattr(bought, name) for name in OUTCOME_FIELDS}
    return AccountReceipt(
        **outcome_fields,
        # An account that was read to the end of its day may be published with a lower limit.
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
    """The receipt of a purchase that was refined, and of its files.

    `erased` has the tombstones of the posts that are not in them; `erasures` is how many were known.
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
            dropped_fields=sorted({name for account in accounts for name in account.dropped_fields}),
            drift=sorted({name for account in accounts for name in account.drift}),
            **{name: sum(getattr(account, name) for account in accounts) for name in FATES},
        ),
        accounts=accounts,
        objects=dict(objects),
        erased=sorted(set(erased)),
        erasures=erasures,
    )


def require_few_rejected(candidate: Receipt, url: str) -> None:
    """Raise TooManyRejected if the contract costs a day more posts than odd ones explain, or all of them.

    `url` is where the rejected posts are. Posts of other authors do not count: they are a problem of one
    account, not of X's format or the contract.
    """
    reasons: Counter[str] = Counter()
    for account in candidate.accounts:
        reasons.update(account.rejected_by_reason)
    rejected, fetched = candidate.totals.rejected - reasons.pop(NOT_OWN, 0), candidate.totals.fetched
    are_many = rejected > FEW_REJECTED and rejected > SHARE_REJECTED * fetched
    if are_many or (rejected and not candidate.totals.published):
        reason, number = reasons.most_common(1)[0]
        raise TooManyRejected(
            f"Nothing is published: {rejected} of {fetched} posts break the contract, {number} of them for "
            f"`{reason}`. Look at {url}; correct the contract or the code that reads X's posts, and clear "
            "`transform`: it is free."
        )


def readable(receipt: Receipt) -> list[str]:
    """The receipt as the lines of a table, for a log."""
    rows = [["account", "outcome", "proof", *FATES]]
    for account in receipt.accounts:
        rows.append([account.username, account.outcome, account.proof, *_numbers(account)])
    rows.append(["total", "", "", *_numbers(receipt.totals)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _numbers(counts: AccountReceipt | Totals) -> list[str]:
    return [str(getattr(counts, name)) for name in FATES]
