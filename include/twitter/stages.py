"""What each task does: the edges and the pure modules put together."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import msgspec

from include.twitter import accounts, budget, receipt, refine, settings
from include.twitter.accounts import Accounts
from include.twitter.day import ACCOUNTS, Day
from include.twitter.errors import Incomplete, NothingStaged, Shrunk, UnexpectedAnswer
from include.twitter.lake import Lake
from include.twitter.partition import Partition, fingerprint
from include.twitter.purchase import LOOKUPS, REFUSED, Purchase, staged_answer
from include.twitter.run import Run, now, require_ended, wait_until_settled
from include.twitter.walk import Walk
from include.twitter.x_api import HANDLES_A_LOOKUP, READERS, X

log = logging.getLogger(__name__)

DAYS_LOOKED_BACK = 7


def extract(run: Run) -> dict[str, Any]:
    """Buy the day's posts, or what is missing of them, and stage every answer as it arrives.

    Every setting is checked before the first call to X, also those that only `load` needs.
    """
    require_ended(run.day, now())
    handles, limit, _ = settings.handles(), settings.tweet_limit(), settings.accept_shrink()
    access, lake = settings.x_access(), _lake()
    wait_until_settled(run.day, settings.settling(), now())
    purchase = Purchase(lake, run)
    x = X(access, now)
    ids, unknown = _look_up(handles, x, lake, purchase)
    walks = _walk_all(ids, x, purchase, run.day, limit)
    manifest: dict[str, Any] = {
        "day": str(run.day),
        "run": run.id,
        "buy": purchase.number,
        "closed_at": now().isoformat(timespec="seconds"),
        "asked": {"handles": handles, "tweet_limit": limit},
        "bought": {
            "posts": sum(walk.returned for walk in walks.values()),
            "users": sum(len(answer.posts) for answer in purchase.answers(LOOKUPS)),
        },
        "accounts": [_outcome(handle, ids, walks, unknown, purchase) for handle in handles],
    }
    purchase.close(manifest)
    cost = budget.cost(**manifest["bought"])
    log.info(
        "Bought %(posts)d posts and %(users)d users for $%(cost).3f: %(manifest)s",
        {**manifest["bought"], "cost": cost, "manifest": lake.url(purchase.manifest)},
    )
    return {"manifest": purchase.manifest, **manifest["bought"], "cost_usd": cost}


def _look_up(
    handles: Iterable[str], x: X, lake: Lake, purchase: Purchase
) -> tuple[dict[str, str], dict[str, str]]:
    """The ids of the handles, asked for only where they are not remembered, and why the others have none."""
    known, at = Accounts.unpacked(lake.read(ACCOUNTS)), now()
    asked = [handle for handle in handles if not known.id_of(handle, at)]
    unknown: dict[str, str] = {}
    for start in range(0, len(asked), HANDLES_A_LOOKUP):
        some = asked[start : start + HANDLES_A_LOOKUP]
        answer = x.users(some)
        purchase.stage(LOOKUPS, answer)
        known.learn(answer)
        lake.write(ACCOUNTS, known.packed())
        unknown |= accounts.reasons(answer, some)
    return {handle: id_ for handle in handles if (id_ := known.id_of(handle, at))}, unknown


def _walk_all(ids: dict[str, str], x: X, purchase: Purchase, day: Day, limit: int) -> dict[str, Walk]:
    """Walk through all accounts, several side by side; the first failure stops the others."""
    stop = Event()

    def walked(handle: str, user_id: str) -> Walk:
        walk = Walk(day, limit)
        for answer in purchase.answers(handle):
            if not answer.unavailable:  # it may be back
                walk.take(answer)
        while not walk.outcome and not stop.is_set():
            answer = x.timeline(user_id, day, size=walk.page_size, token=walk.token)
            try:
                walk.take(answer)
            except UnexpectedAnswer:
                purchase.stage(f"{REFUSED}{handle}", answer)  # paid for, but no page to go on from
                raise
            purchase.stage(handle, answer)
        log.info("%s: %s; posts %d, pages %d", handle, walk.reason or walk.outcome, walk.returned, walk.pages)
        return walk

    with ThreadPoolExecutor(READERS) as pool:
        walks = {handle: pool.submit(walked, handle, user_id) for handle, user_id in ids.items()}
        try:
            wait(walks.values(), return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    for walk in walks.values():
        if not walk.cancelled() and (error := walk.exception()):
            raise error
    return {handle: walk.result() for handle, walk in walks.items()}


def _outcome(
    handle: str, ids: dict[str, str], walks: dict[str, Walk], unknown: dict[str, str], purchase: Purchase
) -> dict[str, Any]:
    """An account's line in the manifest."""
    walk = walks.get(handle)
    return {
        "username": handle,
        "id": ids.get(handle),
        "outcome": walk.outcome if walk else "unavailable",
        "reason": walk.reason if walk else unknown[handle],
        "posts": walk.returned if walk else 0,
        "pages": purchase.pages(handle),
    }


def transform(run: Run, bought: dict[str, Any]) -> dict[str, Any]:
    """Refine what was bought into the day's candidates, account by account, without a call to X."""
    lake = _lake()
    manifest = _json(lake, bought["manifest"])
    if manifest is None:
        raise NothingStaged(f"{lake.url(bought['manifest'])} is gone: clear `extract`.")
    staging = run.day.staging(run.id)
    entries = []
    with TemporaryDirectory() as folder:
        with Partition(Path(folder)) as partition:
            for account in sorted(manifest["accounts"], key=lambda account: account["username"]):
                refined = refine.account(
                    (staged_answer(lake, key) for key in account["pages"]),
                    username=account["username"],
                    author_id=account["id"],
                    day=run.day,
                    limit=manifest["asked"]["tweet_limit"],
                )
                partition.append(refined)
                entries.append(receipt.entry(account, refined))
        objects = {}
        for name, file in partition.files.items():
            lake.upload(staging + file.name, file)
            objects[name] = {"key": getattr(run.day, name), **fingerprint(file)}
    candidate = receipt.of(manifest, entries, objects)
    lake.write(f"{staging}receipt.json", receipt.packed(candidate))
    for line in receipt.readable(candidate):
        log.info(line)
    return {"receipt": f"{staging}receipt.json", "rows": candidate["totals"]["published"]}


def load(run: Run, staged: dict[str, Any]) -> dict[str, Any]:
    """Publish the candidates, the receipt last, unless that would lose landed rows; green means complete."""
    lake = _lake()
    wanted = {handle.lower() for handle in settings.handles()}
    candidate = _json(lake, staged["receipt"])
    if candidate is None:
        raise NothingStaged(
            f"{lake.url(staged['receipt'])} is gone (it is kept for 14 days). Clear `transform`: it is free."
        )
    missing = list(receipt.missing(candidate))
    if len(missing) == len(candidate["accounts"]):
        raise Incomplete(f"Nothing is published: no account of {run.day} could be read. {_named(missing)}")
    _guard(run.day, _json(lake, run.day.receipt), candidate, wanted)
    for name in ("csv", "parquet", "rejected", "receipt"):
        target = getattr(run.day, name)
        lake.copy(run.day.staging(run.id) + Path(target).name, target)
        log.info("Published %s", lake.url(target))
    if rejected := candidate["totals"]["rejected"]:
        log.warning("%d posts broke the contract: %s", rejected, lake.url(run.day.rejected))
    _warn_of_gaps(lake)
    if waived := [account for account in missing if account["username"].lower() not in wanted]:
        log.warning("Waived, since they left twitter_handles: %s", _named(waived))
    if missing := [account for account in missing if account["username"].lower() in wanted]:
        raise Incomplete(
            f"{run.day} is published without {len(missing)} of {len(candidate['accounts'])} accounts. "
            f"{_named(missing)} Clear `extract` to ask for them again, or take them out of twitter_handles "
            "and clear `load`."
        )
    return receipt.essentials(candidate)


def _guard(
    day: Day, landed: receipt.Receipt | None, candidate: receipt.Receipt, wanted: Iterable[str]
) -> None:
    """Refuse to publish a day that lost an account's rows, unless the day was accepted by name."""
    if gone := receipt.departed(landed, candidate):
        log.warning("Landed before and not asked for now: %s", ", ".join(gone))
    losses = receipt.losses(landed, candidate, wanted)
    if losses and day in settings.accept_shrink():
        log.warning("Accepted by twitter_accept_shrink: %s", "; ".join(losses))
    elif losses:
        raise Shrunk(
            f"Nothing is published: {day} would lose rows. {'; '.join(losses)}. "
            f"If that is right, add {day} to Variable twitter_accept_shrink and clear `load`."
        )


def _warn_of_gaps(lake: Lake) -> None:
    """Name the recent days that are not landed, from the first landed day on."""
    landed = lake.keys("twitter_receipts/")
    latest = Day.latest_settled(now(), settings.settling())
    recent = [latest.plus(-back) for back in range(DAYS_LOOKED_BACK)]
    if gaps := [
        str(day) for day in reversed(recent) if day.receipt > landed[0] and day.receipt not in landed
    ]:
        log.warning(
            "Not landed among the last %d days: %s. Backfill them.", DAYS_LOOKED_BACK, ", ".join(gaps)
        )


def _lake() -> Lake:
    return Lake(settings.bucket(), settings.aws_connection())


def _named(missing: Iterable[dict[str, Any]]) -> str:
    return " ".join(f"{account['username']}: {account['reason']}" for account in missing)


def _json(lake: Lake, key: str) -> Any:
    data = lake.read(key)
    return msgspec.json.decode(data) if data else None
