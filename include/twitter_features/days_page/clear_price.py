"""The price of clearing `extract` now: nothing, or the price of the missing posts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.twitter.identities import Identities
from include.twitter.pricing import format_usd
from include.twitter.records import AccountOutcome, CollectionSpec, Manifest


@dataclass(frozen=True)
class PriceInputs:
    """The current settings that determine the price of a day."""

    spec: CollectionSpec
    own_handle: str
    run_cap: int
    """In mills; 0 is no cap."""
    prices: Mapping[str, int]
    identities: Identities = field(default_factory=lambda: Identities({}))


def of_extract(manifest: Manifest | None, inputs: PriceInputs) -> str:
    """Describe what a clear of `extract` would buy, and the highest price."""
    spec, prices = inputs.spec, inputs.prices
    entries = inputs.identities.index(manifest.accounts if manifest else ())
    most = {
        handle: _most_posts(handle, entries.of(handle), spec)
        for handle in spec.handles
        if not spec.is_satisfied_by(entries.of(handle), handle)
    }
    if not most:
        return "free: nothing is missing"
    if all(map(spec.limit_of, most)):
        mills = sum(
            prices["own_posts" if handle.lower() == inputs.own_handle else "posts"] * posts + prices["users"]
            for handle, posts in most.items()
        )
        price = f"up to {max(most.values())} posts each, {format_usd(mills)} at most"
    else:
        price = f"{format_usd(prices['posts'])} a post, without a limit"
    names = ", ".join([*most][:5]) + (f" and {len(most) - 5} more" if len(most) > 5 else "")
    accounts = "1 account is" if len(most) == 1 else f"{len(most)} accounts are"
    cap = f"; the day's purchase may cost {format_usd(inputs.run_cap)} in all" if inputs.run_cap else ""
    return f"{accounts} missing ({names}): {price}{cap}"


def _most_posts(handle: str, account: AccountOutcome | None, spec: CollectionSpec) -> int:
    """Return the most posts that would be bought of an account; 0 means no bound."""
    limit = spec.limit_of(handle)
    if account is None or account.outcome == "unavailable" or spec.threads > account.threads:
        return limit
    return max(limit - account.limit, 0)
