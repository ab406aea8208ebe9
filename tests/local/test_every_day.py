"""No date is without what the live tests look for: they land the days before today, whichever those are."""

import csv
import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from include.twitter.day import Day
from include.twitter.response import Response
from include.twitter.transform import contract, refine
from include.twitter.transform.decode import decoded_post
from local.x_api import posts
from tests import demo

FIRST, LAST = date(2026, 11, 20), date(2029, 11, 20)
DAYS = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]


def published(handle: str, day: date) -> list[posts.Slot]:
    """The slots of which the pipeline makes rows: own posts, each in its last version, the latest 100."""
    own = [slot for slot in posts.slots(handle, day) if slot.kind == "own"]
    return [slot for slot in own if slot.id == slot.history[-1]][-100:]


def row(handle: str, slot: posts.Slot) -> dict:
    post = decoded_post(json.loads(json.dumps(posts.post(handle, slot))))
    cells, _ = refine.record(post, handle, datetime.now(UTC))
    return dict(zip(contract.COLUMN_NAMES, cells, strict=True))


def test_the_readmes_rows_are_what_the_demo_accounts_give():
    day = Day.parse("2026-11-21")
    received = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    sources = []
    for handle in posts.DEMO:
        own = [posts.post(handle, slot) for slot in posts.slots(handle, day.date) if slot.kind == "own"]
        page = Response("", {}, received, json.dumps({"data": own}).encode())
        sources.append(refine.AccountPages(handle, posts.user_id(handle), [page]))
    (refined,) = refine.refine_accounts(sources, day=day, limit=100)
    text = ",".join(contract.COLUMN_NAMES) + "\n" + contract.csv_text(refined.rows)

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    names, _, *shown = re.findall(r"^\| (.*) \|$|^\|---", readme.partition("## Try it")[0], re.MULTILINE)
    assert (names, len(shown)) == ("username | likes | text", 3)
    rows = csv.DictReader(io.StringIO(text))
    assert set(shown) <= {" | ".join(row[name] for name in names.split(" | ")) for row in rows}


def test_every_day_of_the_demo_accounts_holds_what_the_live_tests_look_for():
    lacking = {}
    for day in DAYS:
        rows = [row("acme_press", slot) for slot in published("acme_press", day)]
        if missing := demo.missing(rows):
            lacking[str(day)] = missing
    assert lacking == {}


def test_on_every_day_x_has_a_retweet_a_reply_and_an_earlier_version_to_drop():
    for day in DAYS:
        slots = posts.slots("acme_press", day)
        assert {slot.kind for slot in slots} == {"own", "retweeted", "replied_to"}, day
        assert [slot for slot in slots if slot.id != slot.history[-1]], day


@pytest.mark.parametrize("handle", demo.PUBLISHED)
def test_every_day_of_an_account_has_as_many_rows_as_the_live_tests_allow_for(handle):
    rows = {day: len(published(handle, day)) for day in DAYS}
    assert {day: number for day, number in rows.items() if number not in demo.PUBLISHED[handle]} == {}
