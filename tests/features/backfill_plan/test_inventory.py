"""What a plan reads from the bucket."""

import pytest

from include.twitter import layout
from include.twitter.errors import DamagedObject
from include.twitter_features.backfill_plan.inventory import spent_usd
from include.twitter_features.backfill_plan.plan import RESPONSE_KEY
from tests.include.factories import DAY, MemoryStore

PLAN_ID = "c0ffee123456"


@pytest.mark.parametrize(
    "key",
    [
        f"twitter_plans/{PLAN_ID}/",
        f"twitter_plans/{PLAN_ID}/note.txt",
        f"twitter_plans/{PLAN_ID}/copy/{PLAN_ID}.json.gz",
        f"{layout.raw(DAY)}buy=1/",
        f"{layout.raw(DAY)}buy=1/manifest.json.bak",
        f"{layout.raw(DAY)}buy=1/old/manifest.json",
    ],
)
def test_objects_of_others_are_neither_responses_nor_purchases(key):
    store = MemoryStore()
    store.write(key, b"")
    assert store.parsed(store.keys("twitter_plans/"), RESPONSE_KEY.fullmatch) == {}
    assert spent_usd(store, DAY) == 0


def test_a_damaged_manifest_is_no_missing_one():
    store = MemoryStore()
    store.write(layout.manifest(DAY, 1), b"")
    with pytest.raises(DamagedObject, match=layout.manifest(DAY, 1)):
        spent_usd(store, DAY)
