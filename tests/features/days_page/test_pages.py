"""The pages as a browser receives them, over a bucket in memory: texts, escaping, headers, damage."""

import re
from datetime import timedelta
from html import unescape

import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace

from include.twitter import layout
from include.twitter.day import Day
from include.twitter.layout import Snapshot, ledger_key
from include.twitter.records import Checked, LedgerEntry, LostPost, encoded
from include.twitter_features.days_page.airflow_db import DayRun, Trigger, trigger
from tests.features.days_page.days_app import NOW, PREFIX, days_app, land_hostile_day
from tests.include.factories import DAY, MemoryStore, a_receipt, account_receipt

MONTH, YEAR, PAGE_OF_DAY = "month/2026-11", "year/2026", "day/2026-11-18"
MATCHED = "X counts 7 posts of 2 accounts together, and as many arrived"


class Pages:
    """The pages over a bucket and runs of its own."""

    def __init__(self, client: TestClient, store: MemoryStore, runs: dict[str, list[DayRun]]) -> None:
        self.get, self.store, self.runs = client.get, store, runs

    def land(self, *accounts, day=str(DAY), billed="2026-11") -> None:
        self.store.write(layout.receipt(Day.parse(day)), encoded(replace(a_receipt(*accounts), day=day)))
        self.spend(day, billed)

    def spend(self, day: str, month: str = "2026-11", mills: int = 1525, buy: int = 2, **more) -> None:
        whole = {"reserved_mills": mills, "spent_mills": mills} | more
        entry = LedgerEntry(day=day, buy=buy, month=month, **whole)
        name = f"{day}-age-{entry.age}" if entry.age else f"{day}-{buy}" if buy else "plan-c0ffee123456"
        self.store.write(ledger_key(month, name), encoded(entry))

    def run(self, state: str, id_: str = "scheduled__2026-11-18") -> DayRun:
        """Make a run the only one of the day."""
        run = DayRun(id_, state, NOW - timedelta(hours=1))
        self.runs[str(DAY)] = [run]
        return run

    def html(self, path: str) -> str:
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.text

    def words(self, path: str) -> str:
        return text(self.html(path))

    def shows(self, path: str, *facts: str) -> None:
        words = self.words(path)
        assert [fact for fact in facts if fact not in words] == [], words


def text(page: str) -> str:
    words = " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())
    return re.sub(r" (?=[.:,;])", "", words)


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", "NASA, esa, orbital_news")
    store, runs = MemoryStore(), {}
    with (
        days_app(store, runs) as app,
        TestClient(app, base_url=f"http://airflow{PREFIX}/", follow_redirects=False) as client,
    ):
        yield Pages(client, store, runs)


def limited(day: str = str(DAY), first: str = "16:34"):
    created_at = f"{day}T{first}:00Z"
    return account_receipt(
        "orbital_news", 100, outcome="limit", proof="limited", id="7", first_created_at=created_at
    )


def test_a_limited_account_has_its_latest_posts_of_about_how_many_on_every_page(pages):
    pages.land(account_receipt("NASA", 4, proof_reason=MATCHED, id="1"), limited())
    pages.land(limited("2026-11-17", "12:00"), day="2026-11-17")
    for path in (MONTH, YEAR):
        pages.shows(path, "orbital_news: latest 100 of about 323, and 1 more day ")
    assert 'title="limited, latest 100 of about 323"' in pages.html(MONTH)
    pages.shows(
        PAGE_OF_DAY,
        "orbital_news is limited: latest 100 of about 323.",
        "limited 100 not counted: about 323",
        "the posts from 16:34 UTC to midnight",
        f"4 equal, in a group 0 {MATCHED}",
        "Landed: all accounts have landed, the latest posts of limited ones.",
    )


@pytest.mark.parametrize(
    ("state", "letter", "word"), [("failed", "F", "failed"), ("running", "…", "running")]
)
def test_a_landed_day_stays_landed_and_its_newest_run_is_shown_beside_it(pages, state, letter, word):
    pages.land(account_receipt("NASA", 4))
    pages.run(state)
    pages.shows(MONTH, "Days: 1 landed,", f"✓ landed {letter} ")
    pages.shows(PAGE_OF_DAY, "Landed: ")
    assert ("log of load, its last ERROR line" in pages.words(PAGE_OF_DAY)) == (state == "failed")
    assert re.search(f'aria-label="2026-11-18: landed; [^"]*{word}', pages.html(YEAR))
    for path in (MONTH, YEAR):
        assert ("Newest run failed: 2026-11-18" in pages.words(path)) == (state == "failed")


def test_a_day_with_a_missing_account_has_the_rows_of_the_others(pages, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", "NASA, esa, gone")
    gone = account_receipt("gone", 0, outcome="unavailable", proof="unchecked", reason="suspended")
    pages.land(account_receipt("NASA", 4), account_receipt("esa", 3), gone)
    pages.shows(PAGE_OF_DAY, "7 rows of 2 of 3 accounts have landed (1 account is incomplete)")
    pages.shows(MONTH, "Incomplete accounts: 1 gone: 18")
    pages.land(account_receipt("NASA", 4), replace(gone, published=2, fetched=2))
    pages.shows(PAGE_OF_DAY, "6 rows of 2 accounts have landed (1 account is incomplete)")


def test_many_accounts_are_small_pages_with_the_problems_first(pages, monkeypatch):
    handles = [f"account_{number:05}" for number in range(1_000)]
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", ",".join(handles))
    like = account_receipt("NASA", 1)
    short = account_receipt(handles[-2], 1, proof="short", counted=9)
    gone = account_receipt(handles[-1], 0, outcome="unavailable", proof="unchecked")
    pages.land(*(replace(like, username=handle) for handle in handles[:-2]), short, gone)
    for path in (MONTH, PAGE_OF_DAY, YEAR):
        html = pages.html(path)
        table = html[html.index("1,000 accounts, those with problems first: page 1 of 10") :]
        named = list(dict.fromkeys(re.findall(r"<bdi>(account_\d+)", table)))
        assert (len(named), named[:3]) == (100, [handles[-1], handles[-2], handles[0]])
    matches = pages.html(f"{MONTH}?find=Account_0012")
    assert "10 of 10 found accounts (of 1,000 in all)" in text(matches)
    assert "account_00000" not in matches
    assert handles[-3] in pages.html(f"{PAGE_OF_DAY}?page=10")
    assert "<script>x" not in pages.html(f"{MONTH}?find=<script>x&page=-1")
    assert "0 of 0 found accounts" in pages.words(f"{MONTH}?find=nobody&page=x")


def test_a_day_is_triggered_by_a_named_run_after_its_price_was_shown(pages):
    pages.land(account_receipt("NASA", 4))
    pages.shows(
        PAGE_OF_DAY,
        "Run manual__2026-11-18 will be started.",
        "Cost: 3 accounts are missing (NASA, esa, orbital_news): up to 100 posts each",
        "Run manual__2026-11-18__buy_again will be started.",
        "Cost: about $1.525, as before. Buy again Cancel",
    )
    assert 'data-run="manual__2026-11-18"' in pages.html(PAGE_OF_DAY)
    pages.run("success", "manual__2026-11-18")
    assert 'data-run="manual__2026-11-18" data-clears>' in pages.html(PAGE_OF_DAY)
    pages.run("running", "manual__2026-11-18")
    pages.shows(PAGE_OF_DAY, "The run has not ended: it cannot be started again")
    assert 'class="yes" disabled' in pages.html(PAGE_OF_DAY)


PLAIN = DayRun("manual__2026-11-18", "success", NOW)
OF_ONE_ACCOUNT = PLAIN._replace(is_plain=False)
AGAIN = DayRun("manual__2026-11-18__buy_again", "success", NOW, is_plain=False)


@pytest.mark.parametrize(
    ("runs", "buy_again", "expected"),
    [
        ([], False, Trigger(PLAIN.id)),
        ([PLAIN], False, Trigger(PLAIN.id, clears=True)),
        ([OF_ONE_ACCOUNT], False, Trigger(f"{PLAIN.id}_2")),
        ([PLAIN], True, Trigger(AGAIN.id)),
        ([PLAIN, AGAIN], True, Trigger(f"{AGAIN.id}_2")),
    ],
)
def test_a_run_is_cleared_only_if_that_does_the_same_as_a_new_one(runs, buy_again, expected):
    assert trigger(DAY, runs, buy_again=buy_again) == expected


def test_a_month_has_its_cost_by_purpose(pages):
    pages.land(account_receipt("NASA", 4))
    pages.land(account_receipt("NASA", 4), day="2026-10-03")
    pages.spend("2026-11-18", mills=300, buy=1)
    pages.spend("2026-11-18", mills=210, buy=0)
    pages.spend("2026-11-18", mills=35, buy=0, age=7, would_have_cost_usd=0.04)
    pages.spend("2026-11-20", mills=40, reserved_mills=1000, uncertain_mills=5, lost_mills=10)
    pages.shows(
        MONTH,
        "X has billed $3.635 of $100.00 this month, according to the ledger. "
        "Receipts account for $3.05 of it.",
        "Only the ledger has $0.30 for days that were bought again since, $0.21 for plans, "
        "$0.035 for snapshots, $0.03 for purchases that have not landed, "
        "$0.01 for responses that were lost before they could be stored.",
        "Free snapshots would have cost $0.04",
        "X may have billed up to $0.005 more",
        "$0.955 more are reserved",
        "Billed this month for other months: $1.525 for days of 2026-10.",
        "The month's own days have cost $1.865 so far.",
        "Ledger and receipts agree.",
    )
    assert "</li>" not in pages.words(MONTH)
    pages.shows(
        "month/2026-10",
        "X has billed $0.00 of $100.00 this month, according to the ledger. "
        "The month's own days have cost $1.525 so far: $0.00 billed this month, $1.525 in 2026-11.",
    )


def test_a_receipt_with_another_cost_than_the_ledger_is_shown(pages):
    pages.land(account_receipt("NASA", 4))
    pages.spend("2026-11-18", mills=1600)
    for path in (MONTH, YEAR, PAGE_OF_DAY):
        assert "2026-11-18: the ledger has $1.60, the receipt $1.525; more was bought" in pages.words(path)
        assert "agree." not in pages.words(path)


def test_posts_that_are_gone_have_their_reason(pages):
    pages.land(account_receipt("NASA", 4))
    lost = [LostPost(str(number), "NASA", "gone", "X says: <delete>", NOW) for number in range(201)]
    checked = Checked(day=str(DAY), requested_at=NOW, job="7", posts=1200, gone=lost)
    pages.store.write(layout.checked(DAY), encoded(checked))
    reason = "gone, at 2026-11-25 12:00 UTC. X says: <delete>"
    pages.shows(PAGE_OF_DAY, "X checked 1,200 posts", reason, f"and 1 more: see {layout.checked(DAY)}")


@pytest.mark.parametrize("path", ["month/2009-01", "year/2009", "day/2009-01-01"])
def test_a_page_without_a_landed_day_shows_that(pages, path):
    pages.shows(path, "not landed")


@pytest.mark.parametrize(
    "path", ["day/2026-02-30", "day/<script>", "month/2026-13", "year/x", "year/9999", "day/0001-01-01"]
)
def test_a_path_without_a_date_is_one_sentence(pages, path):
    response = pages.get(path)
    assert (response.status_code, "<script>" in response.text) == (404, False)
    assert "There is no page for" in response.text


def test_a_setting_that_is_malformed_is_a_notice_on_the_page(pages, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", "not a handle")
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_MONTH_BUDGET_USD", "much")
    for path in (MONTH, PAGE_OF_DAY):
        pages.shows(path, "Variable twitter_handles", "Variable twitter_month_budget_usd")


def test_every_value_from_outside_is_escaped(pages):
    hostile = land_hostile_day(pages.store)
    for path in (f"day/{hostile}", f"month/{hostile[:7]}", f"year/{hostile[:4]}"):
        page = pages.html(path)
        assert page.count("<script") == 1  # the page's own
        assert "<img" not in page
        assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page
    page = pages.html(f"day/{hostile}")
    assert "{{ 7 * 7 }} {% raw %} &#39; &#34; &amp;lt;b&amp;gt;" in page
    assert "abc[U+202E]desrever[U+2066] and [U+2069] left" in page
    assert not set("\u202e\u2066\u2069") & set(page)


@pytest.mark.parametrize("path", [PAGE_OF_DAY, MONTH, YEAR, "day/x", "days.js", "days.css"])
def test_the_page_runs_only_its_own_script_and_is_not_cached(pages, path):
    headers = pages.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"


def test_the_first_page_is_the_month_of_the_newest_settled_day(pages):
    response = pages.get("")
    assert (response.status_code, response.headers["Location"]) == (307, f"{PREFIX}/month/2026-11")


# Objects that are damaged, and very long rows

SNAPSHOT = Snapshot(DAY, 7)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"x": ' + b"[" * 100_000])
def test_a_damaged_receipt_affects_its_own_day_and_the_notice_restores_it(pages, data):
    pages.land(account_receipt("NASA", 4))
    pages.land(account_receipt("NASA", 4), day="2026-11-19")
    pages.store.write(layout.receipt(DAY), data)
    assert "Days: 1 landed, 1 damaged," in pages.words(MONTH)
    assert "has not landed." not in pages.html(PAGE_OF_DAY)
    for path in (MONTH, YEAR, PAGE_OF_DAY):
        html = pages.html(path)
        assert "s-damaged" in html
        assert (
            html.count(f"list-object-versions --bucket acme-twitter-lake --prefix {layout.receipt(DAY)}") == 1
        )


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (MONTH, [ledger_key("2026-11", f"{DAY}-3"), layout.usage(DAY), "twitter_accounts/accounts.json"]),
        (PAGE_OF_DAY, [SNAPSHOT.receipt, layout.checked(DAY), layout.manifest(DAY, 2)]),
    ],
)
def test_every_other_damaged_record_is_a_notice(pages, path, keys):
    pages.land(account_receipt("NASA", 4))
    for key in keys:
        pages.store.write(key, b"{")
    notices = re.findall(r'class="notice" role="status">(.*)</p>', pages.html(path))
    assert [sum(key in notice for notice in notices) for key in keys] == [1, 1, 1]


def test_of_many_damaged_records_some_are_named(pages):
    for number in range(1, 21):
        pages.store.write(ledger_key("2026-11", f"2026-11-{number:02}-9"), b"%d" % number)
    assert pages.html(MONTH).count("list-object-versions") == 5
    pages.shows(MONTH, "15 more records cannot be read")


@pytest.mark.parametrize(("characters", "shown"), [(70_000, 1_000), (2_000_000, 0)])
def test_the_first_rows_are_shown_if_they_are_not_longer_than_what_is_read(pages, characters, shown):
    pages.land(account_receipt("NASA", 2))
    pages.store.write(layout.csv(DAY), f"tweet_id,text\n1,{'@' * characters}\n2,b\n".encode())
    html = pages.html(PAGE_OF_DAY)
    assert html.count("@") == max(shown - 1, 0)
    assert ("The first row is too long for this page" in html) == (not shown)
