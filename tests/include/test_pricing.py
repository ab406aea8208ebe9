"""X's price list: dated, and there once."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from include.twitter import pricing
from include.twitter.records import BilledUnits

ROOT = Path(__file__).parents[2]
NOVEMBER = datetime(2026, 11, 18, tzinfo=UTC)


@pytest.fixture
def dearer(monkeypatch):
    """X raises the price of a post on 1 January 2027."""
    prices = {"posts": 5, "own_posts": 1, "users": 10, "counts": 5, "archive_counts": 10, "rereads": 0}
    lists = {date(2026, 4, 21): prices, date(2027, 1, 1): prices | {"posts": 6}}
    monkeypatch.setattr(pricing, "PRICE_LISTS", lists)


@pytest.mark.parametrize(
    ("at", "price"),
    [
        (datetime(2020, 1, 1, tzinfo=UTC), 5),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), 5),
        (datetime(2027, 1, 1, tzinfo=UTC), 6),
        (datetime.fromisoformat("2027-01-01T00:30:00+01:00"), 5),
        (datetime(2030, 1, 1, tzinfo=UTC), 6),
    ],
)
def test_a_price_is_that_of_the_utc_day(dearer, at, price):
    assert pricing.prices(at)["posts"] == price
    assert pricing.worst_case(at)["rereads"] == price
    assert pricing.cost(BilledUnits(posts=100, users=1), at) == 100 * price + 10


def test_each_list_has_a_price_for_all_that_x_bills():
    for listed in pricing.PRICE_LISTS.values():
        assert listed.keys() == set(BilledUnits.__struct_fields__)


def test_free_posts_would_have_cost_the_price_of_their_month(dearer):
    bought = {"2026-12": BilledUnits(rereads=10), "2027-01": BilledUnits(rereads=10)}
    assert pricing.would_have_cost(bought) == 50 + 60


def test_no_other_file_of_the_code_has_a_price():
    files = [*(ROOT / "include").rglob("*.py"), *(ROOT / "include").rglob("*.html")]
    files += (ROOT / "dags").glob("*.py")
    priced = {
        f"{file.name}: {line}"
        for file in files
        for line in file.read_text().splitlines()
        if re.search(r"\$0\.0\d|half a cent|MILLS_A_POST", line) and "twitter_engagement_days" not in line
        if "twitter_own_handle" not in line  # both are written from the settings by `make docs`
    }
    assert {line for line in priced if not line.startswith("pricing.py")} == set()
