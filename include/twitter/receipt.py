"""The day's account: what was asked, bought, dropped and published, per account and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from include.twitter import __version__, budget, contract
from include.twitter.errors import TooManyRejected, Unbalanced
from include.twitter.refine import Tally

COUNTS = ("fetched", "published", "rejected", "duplicates", "outside", "over_limit")

FEW_REJECTED, SHARE_REJECTED = 3, 0.05
"""More rejected posts than both, and a day is not published."""

Receipt = dict[str, Any]


def entry(bought: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    """The line of one account: what its walk came to, and what became of its posts.

    Raises Unbalanced where a post is neither published nor accounted for.
    """
    counts = {name: tally.counts[name] for name in COUNTS}
    if not bought["posts"] == counts["fetched"] == sum(counts[name] for name in COUNTS[1:]):
        raise Unbalanced(
            f"{bought['username']}: {bought['posts']} posts were bought, and this became of them: {counts}"
        )
    return {
        **{name: bought[name] for name in ("username", "id", "outcome", "reason", "proof", "counted")},
        **counts,
        "rejected_by_reason": dict(tally.reasons),
        "alarms": tally.alarms,
        "drift": dict(tally.drift),
        "first_created_at": tally.first,
        "last_created_at": tally.last,
    }


def of(manifest: Mapping[str, Any], accounts: list[dict[str, Any]], objects: Mapping[str, Any]) -> Receipt:
    """The receipt of a purchase that was refined; `objects` tells key, size and SHA-256 of what it became."""
    totals = {name: sum(account[name] for account in accounts) for name in COUNTS}
    bought = manifest["bought"]
    return {
        "day": manifest["day"],
        "versions": {"code": __version__, "contract": contract.VERSION},
        "purchase": {name: manifest[name] for name in ("run", "buy", "closed_at")},
        "asked": manifest["asked"],
        "bought": bought,
        "cost_usd": budget.dollars(budget.cost(bought)),
        "totals": {
            "accounts": len(accounts),
            "unavailable": len(list(missing({"accounts": accounts}))),
            **totals,
            "proof": dict(Counter(account["proof"] for account in accounts)),
            "alarms": sum(len(account["alarms"]) for account in accounts),
            "drift": sorted({field for account in accounts for field in account["drift"]}),
        },
        "accounts": accounts,
        "objects": objects,
    }


def require_few_rejected(candidate: Receipt, kept: str) -> None:
    """Refuse a day that lost more posts to the contract than odd ones explain; `kept` is where they are."""
    rejected, fetched = candidate["totals"]["rejected"], candidate["totals"]["fetched"]
    if rejected > FEW_REJECTED and rejected > SHARE_REJECTED * fetched:
        reasons: Counter[str] = Counter()
        for account in candidate["accounts"]:
            reasons.update(account["rejected_by_reason"])
        reason, number = reasons.most_common(1)[0]
        raise TooManyRejected(
            f"Nothing is published: {rejected} of {fetched} posts break the contract, {number} of them for "
            f"`{reason}`. Look at {kept}; mend the contract or the reading of X, and clear `transform`: free."
        )


def packed(receipt: Receipt) -> bytes:
    return msgspec.json.format(msgspec.json.encode(receipt), indent=2)


def missing(receipt: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The accounts that were asked for and are not in the day."""
    return (account for account in receipt["accounts"] if account["outcome"] == "unavailable")


def losses(landed: Receipt | None, candidate: Receipt, wanted: Iterable[str]) -> list[str]:
    """Accounts that publishing would take rows from, each as a sentence: gone, or less than half is left.

    An account that is not wanted any more is no loss.
    """
    if landed is None:
        return []
    now = {account["username"].lower(): account["published"] for account in candidate["accounts"]}
    wanted = {handle.lower() for handle in wanted}
    return [
        f"{account['username']}: {account['published']} rows are landed, this run has {now.get(name, 0)}"
        for account in landed["accounts"]
        if (name := account["username"].lower()) in wanted
        and account["published"]
        and now.get(name, 0) * 2 < account["published"]
    ]


def departed(landed: Receipt | None, candidate: Receipt) -> list[str]:
    """Accounts whose rows the landed day holds, and that were not asked for this time."""
    now = {account["username"].lower() for account in candidate["accounts"]}
    before = landed["accounts"] if landed else ()
    return [a["username"] for a in before if a["published"] and a["username"].lower() not in now]


def essentials(receipt: Receipt) -> dict[str, Any]:
    """What travels with the asset event."""
    return {
        "day": receipt["day"],
        "rows": receipt["totals"]["published"],
        "accounts": receipt["totals"]["accounts"],
        "unavailable": [account["username"] for account in missing(receipt)],
        "cost_usd": receipt["cost_usd"],
        "proof": {account["username"]: account["proof"] for account in receipt["accounts"]},
        "objects": {name: item["key"] for name, item in receipt["objects"].items()},
    }


def readable(receipt: Receipt) -> list[str]:
    """The receipt as the lines of a table, for a log."""
    head = ["account", "outcome", "proof", *COUNTS]
    rows = [
        [a["username"], a["outcome"], a["proof"], *(str(a[name]) for name in COUNTS)]
        for a in receipt["accounts"]
    ]
    totals = receipt["totals"]
    rows.append(["total", "", "", *(str(totals[name]) for name in COUNTS)])
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
