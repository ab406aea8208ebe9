"""The pages as a browser gets them, over a bucket in memory."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx
import pytest
from msgspec.structs import replace

from include.twitter import day as days_of
from include.twitter.day import Day
from include.twitter.page import price, site, span, views
from include.twitter.page.runs import DayRun, Trigger, trigger
from include.twitter.records import Asked, LedgerEntry, encoded
from include.twitter.roster import Identities
from tests.include.invented import DAY, MemoryLake, a_receipt, account_receipt

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MATCHED = "X counts 7 posts of 2 accounts together, and as many arrived"
LIMITED = {
    **{"outcome": "limit", "proof": "limited", "id": "7"},
    "first_created_at": "2026-11-18T16:34:00Z",
}


class Pages:
    """The pages over a bucket and runs of its own."""

    def __init__(self, monkeypatch) -> None:
        self.lake, self.runs, self.handles = MemoryLake(), {}, ["NASA", "esa", "orbital_news"]
        self.lake.beginning = lambda key, number: self.lake.read(key)
        monkeypatch.setattr(span, "lake", lambda: self.lake)
        monkeypatch.setattr(span.runs, "by_day", lambda first, last: self.runs)
        monkeypatch.setattr(views.runs, "failed_tasks", lambda run: ["load"])
        monkeypatch.setattr(span.Wanted, "read", self.wanted)
        monkeypatch.setattr(views, "_prices", self.prices)
        monkeypatch.setattr(site.run, "now", lambda: NOW)

    def wanted(self, here, now):
        return span.Wanted(
            tuple(self.handles), 100_000, Day.parse("2026-11-24"), span.Notices(), Identities({})
        )

    def prices(self, manifest, receipt, *_):
        wish = price.Wish(Asked(tuple(self.handles), 100), "", 0)
        return {"extract": "free: nothing is missing", "buy_again": price.of_buying_again(1525, wish)}

    def land(self, *accounts, day="2026-11-18", billed="2026-11") -> None:
        receipt = replace(a_receipt(*accounts), day=day)
        self.lake.write(Day.parse(day).receipt, encoded(receipt))
        entry = LedgerEntry(day=day, buy=2, month=billed, reserved_mills=1525, spent_mills=1525)
        self.lake.write(f"{days_of.LEDGER}month={billed}/{day}-2.json", encoded(entry))

    def html(self, path: str) -> str:
        response = asyncio.run(_get(path))
        assert response.status_code == 200, response.text
        return response.text

    def words(self, path: str) -> str:
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.html(path))).split())


async def _get(path: str) -> httpx.Response:
    mounted = httpx.ASGITransport(app=site.app, root_path="/twitter_days")
    async with httpx.AsyncClient(transport=mounted, base_url="http://airflow") as client:
        return await client.get(path)


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.setattr(site.app, "dependency_overrides", {})
    for dependency in site.app.router.dependencies:
        site.app.dependency_overrides[dependency.dependency] = lambda: None
    return Pages(monkeypatch)


def a_run(state: str, id_: str = "scheduled__2026-11-19") -> dict[str, list[DayRun]]:
    return {str(DAY): [DayRun(id_, state, id_.partition("_")[0], NOW - timedelta(hours=1))]}


def test_a_limited_account_is_the_latest_posts_of_about_how_many_on_every_page(pages):
    pages.land(
        account_receipt("NASA", 4, proof_reason=MATCHED, id="1"),
        account_receipt("orbital_news", 100, **LIMITED),
    )
    month, day = pages.words("/month/2026-11"), pages.words("/day/2026-11-18")
    assert "orbital_news : latest 100 of about 323, on 1 day" in month
    assert "orbital_news : latest 100 of about 323, on 1 day" in pages.words("/year/2026")
    assert "orbital_news is limited: latest 100 of about 323." in day
    assert "limited 100 not counted: about 323" in day
    assert "the posts from 16:34 UTC to midnight" in day
    assert f"4 equal, in a group 0 {MATCHED}" in day
    assert "Landed: all that is asked for has landed, of limited accounts the latest posts." in day


def test_a_limited_account_of_which_nothing_tells_the_number_may_have_more(pages):
    pages.land(account_receipt("orbital_news", 100, **LIMITED | {"first_created_at": None}))
    assert "latest 100, more may exist" in pages.words("/month/2026-11")
    assert "latest 100, more may exist" in pages.words("/day/2026-11-18")


def test_the_month_tells_the_range_of_an_accounts_limited_days(pages):
    for day, first in (("2026-11-18", "16:34"), ("2026-11-19", "12:00")):
        limited = LIMITED | {"first_created_at": f"{day}T{first}:00Z"}
        pages.land(account_receipt("orbital_news", 100, **limited), day=day)
    assert "orbital_news : latest 100 of about 200 to 323 a day, on 2 days" in pages.words("/month/2026-11")


@pytest.mark.parametrize(
    ("state", "said"), [("failed", "the newest run has failed"), ("running", "a run is at it")]
)
def test_a_landed_day_stays_landed_and_its_newest_run_stands_next_to_it(pages, state, said):
    pages.land(account_receipt("NASA", 4))
    pages.runs = a_run(state)
    assert "Days: 1 landed," in pages.words("/month/2026-11")
    assert f"✓ landed {'R' if state == 'failed' else '…'} {said}" in pages.words("/month/2026-11")
    assert "Landed: " in (day := pages.words("/day/2026-11-18"))
    assert said in day.lower()
    assert f'aria-label="2026-11-18: landed; {said}"' in pages.html("/year/2026")
    for path in ("/month/2026-11", "/year/2026"):
        assert ("Newest run failed: 2026-11-18" in pages.words(path)) == (state == "failed")


def test_a_day_with_a_missing_account_says_of_how_many_it_has_rows(pages):
    gone = account_receipt("gone", 0, outcome="unavailable", proof="unchecked", reason="suspended")
    pages.land(account_receipt("NASA", 4), account_receipt("esa", 3), gone)
    assert "7 rows of 2 of 3 accounts have landed (1 account is incomplete)" in pages.words("/day/2026-11-18")
    pages.land(account_receipt("NASA", 4), replace(gone, published=2, fetched=2))
    assert "6 rows of 2 accounts have landed (1 account is incomplete)" in pages.words("/day/2026-11-18")
    pages.land(account_receipt("NASA", 4), account_receipt("esa", 3))
    assert "7 rows of 2 accounts have landed, from purchase 2" in pages.words("/day/2026-11-18")


def test_two_thousand_accounts_are_pages_with_the_problems_first(pages):
    pages.handles = [f"account_{number:04}" for number in range(2_000)]
    accounts = [account_receipt(handle, 1) for handle in pages.handles[:-2]]
    short = account_receipt("account_1998", 1, proof="short", counted=9)
    gone = account_receipt("account_1999", 0, outcome="unavailable", proof="unchecked")
    pages.land(*accounts, short, gone)
    for path in ("/month/2026-11", "/day/2026-11-18", "/year/2026"):
        html = pages.html(path)
        assert len(html) < 300_000
        table = html[html.index("2,000 accounts, those with problems first: page 1 of 20") :]
        named = list(dict.fromkeys(re.findall(r"<bdi>(account_\d+)", table)))
        assert (len(named), named[:3]) == (100, ["account_1999", "account_1998", "account_0000"])
        assert "100 of 100 found accounts (of 2,000 in all)" in pages.words(f"{path}?find=Account_12")
        assert "account_0000" not in pages.html(f"{path}?find=account_12")
        assert "<script>x" not in pages.html(f"{path}?find=<script>x&page=-1")
    assert "account_1997" in pages.html("/day/2026-11-18?page=20")


def test_the_page_of_an_account_that_nothing_is_known_of_is_empty(pages):
    pages.land(account_receipt("NASA", 4))
    assert "0 of 0 found accounts" in pages.words("/month/2026-11?find=nobody&page=x")


def test_a_day_is_triggered_by_a_named_run_after_its_price_was_shown(pages):
    html, words = pages.html("/day/2026-11-18"), pages.words("/day/2026-11-18")
    assert 'data-run="manual__2026-11-18"' in html
    assert "Run manual__2026-11-18 is started." in words
    assert "Cost: free: nothing is missing. Trigger Cancel" in words
    assert "Run manual__2026-11-18__buy_again is started." in words
    assert "Cost: about $1.525, as before . Buy again Cancel" in words.replace("before.", "before .")


def test_a_run_of_the_day_that_exists_is_cleared_and_not_while_it_goes_on(pages):
    pages.runs = a_run("success", "manual__2026-11-18")
    assert 'data-run="manual__2026-11-18" data-clears>' in pages.html("/day/2026-11-18")
    pages.runs = a_run("running", "manual__2026-11-18")
    assert "The run is under way: nothing is started" in pages.words("/day/2026-11-18")
    assert 'class="yes" disabled' in pages.html("/day/2026-11-18")


def test_a_run_that_a_clear_would_not_repeat_gets_another_beside_it():
    [plain] = a_run("success", "manual__2026-11-18")[str(DAY)]
    of_one_account = plain._replace(is_plain=False)
    again = plain._replace(id="manual__2026-11-18__buy_again", is_plain=False)
    assert trigger(DAY, []) == Trigger("manual__2026-11-18")
    assert trigger(DAY, [plain]) == Trigger("manual__2026-11-18", clears=True)
    assert trigger(DAY, [of_one_account]) == Trigger("manual__2026-11-18_2")
    assert trigger(DAY, [plain], buy_again=True) == Trigger("manual__2026-11-18__buy_again")
    assert trigger(DAY, [plain, again], buy_again=True) == Trigger("manual__2026-11-18__buy_again_2")


def test_a_month_whose_days_were_bought_later_says_when_and_the_later_month_for_what(pages):
    pages.land(account_receipt("NASA", 4), day="2026-10-03")
    assert (
        "X has billed $0.00 of $100.00 this month, says the ledger. "
        "The month's own days have cost $1.525 so far: $0.00 billed this month, $1.525 in 2026-11."
    ) in pages.words("/month/2026-10")
    assert "Billed this month for other months: $1.525 for days of 2026-10." in pages.words("/month/2026-11")
