"""The price of clearing `extract` now: nothing, or the price of the missing posts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from include.twitter.identities import Identities
from include.twitter.pricing import NEWEST, format_usd
from include.twitter.records import AccountOutcome, CollectionSpec, Manifest


@dataclass(frozen=True)
class PriceInputs:
    """The current settings that determine the price of a day."""

    asked: CollectionSpec
    own_handle: str
    run_cap: int
    """In mills; 0 is no cap."""
    prices: Mapping[str, int] = field(default_factory=lambda: NEWEST)
    identities: Identities = field(default_factory=lambda: Identities({}))


def of_extract(manifest: Manifest | None, inputs: PriceInputs) -> str:
    """Describe what a clear of `extract` would buy, and the highest price."""
    bought = manifest.accounts if manifest else ()
    lines = inputs.identities.index(bought)
    most = {
        handle: _most_posts(handle, lines.of(handle), inputs.asked)
        for handle in inputs.asked.handles
        if not inputs.asked.is_satisfied_by(lines.of(handle), handle)
    }
    if unknown := inputs.identities.unresolved(inputs.asked.handles, bought):
        known = {handle: posts for handle, posts in most.items() if handle not in unknown}
        return (
            f"{format_usd(inputs.prices['users'] * len(unknown))} to look up {_list(unknown)}; if that is a "
            f"renamed account of the day, {_price(known, inputs) if known else 'no more'}; "
            f"else {_price(most, inputs)}"
        )
    return _price(most, inputs) if most else "free: nothing is missing"


def of_buying_again(spent: int, inputs: PriceInputs) -> str:
    """Describe the price of a Trigger with `buy_again`, by the mills spent on the day's purchase."""
    return f"about {format_usd(spent)}, as before" if spent else of_extract(None, inputs)


def _most_posts(handle: str, account: AccountOutcome | None, asked: CollectionSpec) -> int:
    """Return the most posts that would be bought of an account; 0 means no bound."""
    limit = asked.limit_of(handle)
    if account is None or account.outcome == "unavailable" or asked.threads > account.threads:
        return limit
    return max(limit - account.limit, 0)


def _price(most: Mapping[str, int], inputs: PriceInputs) -> str:
    """Describe the price of accounts, by the most posts per account."""
    accounts = "1 account is" if len(most) == 1 else f"{len(most)} accounts are"
    cap = f"; the day's purchase may cost {format_usd(inputs.run_cap)} in all" if inputs.run_cap else ""
    if all(map(inputs.asked.limit_of, most)):
        mills = sum(
            inputs.prices["own_posts" if handle.lower() == inputs.own_handle else "posts"] * posts
            + inputs.prices["users"]
            for handle, posts in most.items()
        )
        price = f"up to {max(most.values())} posts each, {format_usd(mills)} at most"
    else:
        price = f"{format_usd(inputs.prices['posts'])} a post, without a limit"
    return f"{accounts} missing ({_list([*most])}): {price}{cap}"


def _list(handles: Sequence[str]) -> str:
    return ", ".join(handles[:5]) + (f" and {len(handles) - 5} more" if len(handles) > 5 else "")
