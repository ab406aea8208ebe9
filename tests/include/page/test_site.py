"""The routes of the page Days through FastAPI's test client: what they say, refuse, escape and forbid."""

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from tests.days_app import NOW, PREFIX, days_app, land_hostile_day
from tests.include.invented import MemoryLake


@pytest.fixture
def lake(monkeypatch) -> MemoryLake:
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", "posts_5_fine, acme_press")
    return MemoryLake()


@pytest.fixture
def days(lake):
    with days_app(lake) as app, TestClient(app, base_url=f"http://airflow{PREFIX}/") as client:
        yield client


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.mark.parametrize("path", ["month/2009-01", "year/2009", "day/2009-01-01"])
def test_where_nothing_has_landed_the_page_says_so(days, path):
    response = days.get(path)
    assert response.status_code == 200
    assert "not landed" in words(response.text)


@pytest.mark.parametrize(
    "path", ["day/2026-02-30", "day/<script>", "month/2026-13", "year/x", "year/9999", "day/0001-01-01"]
)
def test_what_is_no_date_is_one_sentence(days, path):
    response = days.get(path)
    assert response.status_code == 404
    assert "There is no page for" in response.text
    assert "<script>" not in response.text


def test_the_price_of_a_day_that_has_not_landed_is_told(days):
    said = words(days.get("day/2015-05-05").text)
    assert "There is no receipt: the day has not landed." in said
    assert (
        "2 accounts are missing (posts_5_fine, acme_press): up to 100 posts each, some $1.02 at most" in said
    )


def test_a_setting_that_is_malformed_is_told_beside_what_can_be_shown(days, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", "not a handle")
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_MONTH_BUDGET_USD", "much")
    response = days.get(f"month/{NOW:%Y-%m}")
    assert response.status_code == 200
    assert "Variable twitter_handles" in words(response.text)
    assert "Variable twitter_month_budget_usd" in words(response.text)


def test_every_value_of_a_stranger_is_escaped(lake, days):
    hostile = land_hostile_day(lake)
    for path in (f"day/{hostile}", f"month/{hostile[:7]}", f"year/{hostile[:4]}"):
        page = days.get(path).text
        assert page.count("<script") == 1  # the page's own
        assert "<img" not in page
        assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page
    page = days.get(f"day/{hostile}").text
    assert "{{ 7 * 7 }} {% raw %} &#39; &#34; &amp;lt;b&amp;gt;" in page
    assert "abc[U+202E]desrever[U+2066] and [U+2069] left" in page
    assert not set("\u202e\u2066\u2069") & set(page)
    assert "the ledger has $0.00, the receipt $0.01" in page


@pytest.mark.parametrize("path", ["day/2026-11-18", "month/2026-11", "year/2026", "day/x", "days.js"])
def test_the_page_runs_no_script_but_its_own_and_is_not_kept(days, path):
    headers = days.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"


def test_the_first_page_is_the_month_of_the_newest_settled_day(days):
    response = days.get("", follow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (307, f"{PREFIX}/month/2026-11")
