"""Every key of the bucket: built, and parsed whole or not at all."""

import pytest

from include.twitter import layout
from include.twitter.layout import Snapshot
from tests.include.factories import DAY

PLAN = "c0ffee123456"
SNAPSHOT = Snapshot(DAY, 7)
BUILT = {
    "twitter/dt=2026-11-18/refined_tweets.csv": layout.csv(DAY),
    "twitter_parquet/dt=2026-11-18/refined_tweets.parquet": layout.parquet(DAY),
    "twitter_rejected/dt=2026-11-18/rejected_tweets.jsonl.gz": layout.rejected(DAY),
    "twitter_raw/dt=2026-11-18/": layout.raw(DAY),
    "staging/twitter/dt=2026-11-18/run=c0ffee/": layout.staging(DAY, "c0ffee"),
    "staging/twitter/dt=2026-11-18/lease.json": layout.publish_lease(DAY),
    "twitter_accounts/accounts.json": layout.ACCOUNTS,
    "folder/0001.json.gz": layout.next_page("folder/", []),
    "folder/0012.json.gz": layout.next_page("folder/", ["folder/0003.json.gz", "folder/0011.json.gz"]),
}
KEYS = {
    "twitter_receipts/dt=2026-11-18/receipt.json": (layout.receipt(DAY), layout.parse_receipt, DAY),
    "twitter_usage/month=2026-11/2026-11-18.json": (layout.usage(DAY), layout.parse_usage, DAY),
    "twitter_raw/dt=2026-11-18/buy=12/manifest.json": (
        layout.manifest(DAY, 12), layout.parse_purchase_key, (12, "")),
    "twitter_raw/dt=2026-11-18/buy=1/thread-11/0001.json.gz": (
        f"{layout.raw(DAY)}buy=1/thread-11/0001.json.gz", layout.parse_purchase_key, (1, "thread-11")),
    "twitter_engagement_receipts/dt=2026-11-18/age=7/receipt.json": (
        SNAPSHOT.receipt, Snapshot.of_receipt, SNAPSHOT),
    "twitter_raw/dt=2026-11-18/age=7/0001.json.gz": (f"{SNAPSHOT.raw}0001.json.gz", Snapshot.is_page, True),
    "twitter_ledger/month=2026-12/2026-11-18-2.json": (
        layout.ledger_key("2026-12", f"{DAY}-2"), layout.parse_ledger_key, ("2026-12", f"{DAY}-2", str(DAY))),
    "twitter_ledger/month=2026-12/2026-11-18-age-7.json": (
        layout.ledger_key("2026-12", SNAPSHOT.ledger), layout.parse_ledger_key,
        ("2026-12", SNAPSHOT.ledger, str(DAY))),
    f"twitter_ledger/month=2026-12/plan-{PLAN}.json": (
        layout.ledger_key("2026-12", f"plan-{PLAN}"), layout.parse_ledger_key,
        ("2026-12", f"plan-{PLAN}", f"plan-{PLAN}")),
    "twitter_accounts/counts/month=2026-11/2026-11-18_2026-11-19-f611a50724c0.json.gz": (
        layout.count_key("from:42", DAY, DAY.plus(1)), layout.parse_count_key, (DAY, DAY.plus(1))),
    f"twitter_compliance/run={PLAN}/job=2.json": (layout.job_key(PLAN, 2), layout.parse_job_key, 2),
}  # fmt: skip
"""By key what builds it, what parses it, and to what."""


def strays(key):
    """Keys of others beside one of the pipeline's, also such as look like it."""
    folder, _, name = key.rpartition("/")
    stem, _, ending = name.partition(".")
    match = {
        f"{folder}/",
        f"{folder}/.DS_Store",
        f"{folder}/{name}.bak",
        f"{folder}/{stem} (1).{ending}",
        f"{folder}/{name}\n",
        f"{folder}/old/{name}",
        f"{folder}/{name}/",
        f"{folder}/inventory/2026-12-01T00-00Z/manifest.json",
        f"backup/{key}",
        key.replace("2026-11-18", "2026-13-45"),
        key.replace("2026-11-18", "20261118"),
        key.replace("2026-11-18", "2026-11-18 copy"),
        key.replace("2026-11-18", "२०२६-११-१८"),
        key.replace("month=2026-1", "month=2026-7"),
        *(f"{'/'.join(key.split('/')[:depth])}/" for depth in range(1, key.count("/") + 1)),
    }
    return sorted(match - {key})


@pytest.mark.parametrize(("key", "built"), BUILT.items())
def test_a_key_is_built(key, built):
    assert built == key


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_built_and_parsed_and_what_looks_like_it_is_not(key):
    built, parse, value = KEYS[key]
    assert (built, parse(key)) == (key, value)
    assert [stray for stray in strays(key) if parse(stray) is not None] == []


def test_a_run_id_has_a_key_safe_name_that_never_changes():
    assert layout.short_hash("scheduled__2026-11-19T00:00:00+00:00") == "450239e2d3b8"
    assert layout.short_hash("manual__2026-11-19T00:00:00+00:00") != "450239e2d3b8"
